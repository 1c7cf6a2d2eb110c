//! Reads a JSON body field by field and reports every invalid field at once.
//!
//! The types and messages are those that clients of FastAPI parse (docs/http-api.md). No part of
//! the input is ever repeated: it may be a password.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::model::{ConfigValueError, EmailError, NewPasswordError, VerifierError};

/// An invalid field of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The kind of error, for programs.
    #[serde(rename = "type")]
    #[schema(example = "string_too_short")]
    kind: &'static str,
    /// `["body", "<field>"]`, or `["body", <byte offset>]` for JSON that can't be parsed.
    #[schema(example = json!(["body", "password"]))]
    loc: Vec<Location>,
    /// The error, for people.
    #[schema(example = "String should have at least 8 characters")]
    msg: &'static str,
}

/// A part of the path to an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
enum Location {
    Name(&'static str),
    Offset(usize),
}

/// Why a field's text is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    kind: &'static str,
    msg: &'static str,
}

/// A request body.
pub(crate) trait Input: Sized {
    /// Reads the fields; `None` if one is invalid, which `fields` records.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// The fields of a body, and the errors found so far.
pub(crate) struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Refusal {
    /// An empty state; one that is too long is just unknown.
    pub(crate) const EMPTY: Self =
        Self { kind: "string_too_short", msg: "String should have at least 1 character" };
}

impl Fields {
    /// Parses the text of a field.
    pub(crate) fn parse<T, E: Into<Refusal>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let refusal = match self.object.get(name) {
            None => Refusal { kind: "missing", msg: "Field required" },
            Some(Value::String(text)) => match parse(text) {
                Ok(parsed) => return Some(parsed),
                Err(refusal) => refusal.into(),
            },
            Some(_) => Refusal { kind: "string_type", msg: "Input should be a valid string" },
        };
        let loc = vec![Location::Name("body"), Location::Name(name)];
        self.errors.push(FieldError { kind: refusal.kind, loc, msg: refusal.msg });
        None
    }

    /// Returns the text of a field.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.parse(name, |text| Ok::<_, Refusal>(text.to_owned()))
    }
}

/// Reads a body.
///
/// # Errors
///
/// Every invalid field.
pub(crate) fn read<T: Input>(body: &[u8]) -> Result<T, Vec<FieldError>> {
    let whole = |kind, msg| vec![FieldError { kind, loc: vec![Location::Name("body")], msg }];
    let value = if body.is_empty() { Value::Null } else { parse_json(body)? };
    let object = match value {
        Value::Object(object) => object,
        Value::Null => return Err(whole("missing", "Field required")),
        _ => {
            return Err(whole(
                "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from",
            ));
        }
    };
    let mut fields = Fields { object, errors: Vec::new() };
    match T::read(&mut fields) {
        Some(input) if fields.errors.is_empty() => Ok(input),
        _ => Err(fields.errors),
    }
}

/// Returns the error for a body that is cut off or malformed at `offset`.
pub(crate) fn json_invalid(offset: usize) -> Vec<FieldError> {
    let loc = vec![Location::Name("body"), Location::Offset(offset)];
    vec![FieldError { kind: "json_invalid", loc, msg: "JSON decode error" }]
}

/// Returns the error for an email address that the database can't store.
pub(crate) fn invalid_email() -> Vec<FieldError> {
    let Refusal { kind, msg } = EmailError.into();
    vec![FieldError { kind, loc: vec![Location::Name("body"), Location::Name("email")], msg }]
}

fn parse_json(body: &[u8]) -> Result<Value, Vec<FieldError>> {
    serde_json::from_slice(body).map_err(|error| json_invalid(offset(body, &error)))
}

/// Returns the byte offset of an error; the body's length if it ends too early.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return body.len();
    }
    let lines_before = body.split_inclusive(|byte| *byte == b'\n').take(error.line() - 1);
    let begin: usize = lines_before.map(<[u8]>::len).sum();
    // Columns count from 1; an invalid line break is in column 0 of the next line.
    (begin + error.column()).saturating_sub(1).min(body.len())
}

impl From<EmailError> for Refusal {
    fn from(_: EmailError) -> Self {
        Self { kind: "value_error", msg: "Value error, Invalid email address" }
    }
}

impl From<NewPasswordError> for Refusal {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::TooShort => {
                Self { kind: "string_too_short", msg: "String should have at least 8 characters" }
            }
            NewPasswordError::TooLong => {
                Self { kind: "string_too_long", msg: "String should have at most 1024 characters" }
            }
            NewPasswordError::ContainsNul => {
                Self { kind: "value_error", msg: "Value error, Password must not contain NUL" }
            }
        }
    }
}

impl From<VerifierError> for Refusal {
    fn from(error: VerifierError) -> Self {
        let msg = match error {
            VerifierError::Empty => "Value error, Code (PIN) must not be empty",
            VerifierError::TooLong => "Value error, Code (PIN) must have at most 128 characters",
            VerifierError::Invisible => "Value error, Code (PIN) must not contain white space",
        };
        Self { kind: "value_error", msg }
    }
}

impl From<ConfigValueError> for Refusal {
    fn from(_: ConfigValueError) -> Self {
        let msg = "Value error, Value must be 1 to 256 visible ASCII characters";
        Self { kind: "value_error", msg }
    }
}

#[cfg(test)]
#[path = "../../../fuzz/properties/json_body.rs"]
mod fuzzed;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Fields, Input, read};

    #[derive(Debug)]
    struct Two(String, String);

    impl Input for Two {
        fn read(fields: &mut Fields) -> Option<Self> {
            let (a, b) = (fields.text("a"), fields.text("b"));
            Some(Self(a?, b?))
        }
    }

    fn errors(body: &[u8]) -> serde_json::Value {
        json!(read::<Two>(body).unwrap_err())
    }

    fn invalid_at(offset: usize) -> serde_json::Value {
        json!([{ "type": "json_invalid", "loc": ["body", offset], "msg": "JSON decode error" }])
    }

    #[test]
    fn every_invalid_field_is_reported_at_once() {
        assert_eq!(
            errors(br#"{"a": null}"#),
            json!([
                { "type": "string_type", "loc": ["body", "a"], "msg": "Input should be a valid string" },
                { "type": "missing", "loc": ["body", "b"], "msg": "Field required" },
            ])
        );
    }

    #[test]
    fn the_last_duplicate_counts_and_unknown_fields_are_ignored() {
        let two = read::<Two>(br#"{"a": 1, "c": [], "b": "x", "a": "y"}"#).unwrap();
        assert_eq!((two.0.as_str(), two.1.as_str()), ("y", "x"));
    }

    #[test]
    fn malformed_json_is_located_by_its_byte() {
        assert_eq!(errors(b"{"), invalid_at(1));
        assert_eq!(errors(b"{\"a\": x}"), invalid_at(6));
        assert_eq!(errors("{\n \"ä\": 1,\n \"b\": ?}".as_bytes()), invalid_at(18));
        assert_eq!(errors(b"{\"a\": \"x\ny\"}"), invalid_at(8));
        assert_eq!(errors(b"{} {}"), invalid_at(3));
        assert_eq!(errors(b"  "), invalid_at(2));
    }

    #[test]
    fn text_that_is_not_json_is_rejected() {
        let deep = "[".repeat(200);
        let bodies: [&[u8]; 5] = [
            b"{\"a\": \"\xff\"}",
            br#"{"a": "\ud800"}"#,
            b"{\"a\": 1e400}",
            deep.as_bytes(),
            b"{\"a\": NaN}",
        ];
        for body in bodies {
            assert_eq!(errors(body)[0]["type"], "json_invalid", "{body:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected() {
        for body in [&b""[..], b"null"] {
            assert_eq!(
                errors(body),
                json!([{ "type": "missing", "loc": ["body"], "msg": "Field required" }])
            );
        }
        for body in [&b"[]"[..], b"1", b"\"a\"", b"true"] {
            assert_eq!(errors(body)[0]["type"], "model_attributes_type");
        }
    }
}

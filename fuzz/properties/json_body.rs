//! A JSON body: every invalid field is named exactly, and no answer repeats any of the body.

use crate::model::{ConfigValue, Email, NewPassword, Verifier};
use serde_json::Value;

use super::{Fields, Input, read};

const NAMES: [&str; 5] = ["email", "password", "oauth_verifier", "value", "state"];

/// Every message that an answer may contain, besides `missing` and the like.
const MESSAGES: [&str; 12] = [
    "Field required",
    "Input should be a valid string",
    "Input should be a valid dictionary or object to extract fields from",
    "JSON decode error",
    "String should have at least 8 characters",
    "String should have at most 1024 characters",
    "Value error, Invalid email address",
    "Value error, Code (PIN) must have at most 128 characters",
    "Value error, Code (PIN) must not be empty",
    "Value error, Code (PIN) must not contain white space",
    "Value error, Password must not contain NUL",
    "Value error, Value must be 1 to 256 visible ASCII characters",
];

/// A body with a field of every kind.
struct Everything {
    email: Email,
    verifier: Verifier,
    value: ConfigValue,
    state: String,
}

impl Input for Everything {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.parse("email", Email::parse);
        let password = fields.parse("password", NewPassword::parse);
        let verifier = fields.parse("oauth_verifier", Verifier::parse);
        let value = fields.parse("value", ConfigValue::parse);
        let state = fields.text("state");
        password?;
        Some(Self { email: email?, verifier: verifier?, value: value?, state: state? })
    }
}

pub(crate) fn holds(body: &[u8]) {
    let json = serde_json::from_slice::<Value>(body);
    let object = json.as_ref().ok().and_then(Value::as_object);
    let errors = match read::<Everything>(body) {
        Ok(read) => {
            let field = |name| object.and_then(|object| object[name].as_str()).unwrap();
            assert!(Email::parse(field("email")) == Ok(read.email));
            assert!(Verifier::parse(field("oauth_verifier")) == Ok(read.verifier));
            assert_eq!(read.value.expose(), field("value").trim());
            assert_eq!(read.state, field("state"));
            return;
        }
        Err(errors) => serde_json::to_value(errors).unwrap(),
    };
    let errors = errors.as_array().unwrap();
    assert!(errors.iter().all(|error| MESSAGES.contains(&error["msg"].as_str().unwrap())));
    let places: Vec<_> = errors.iter().map(|error| error["loc"].as_array().unwrap()).collect();
    assert!(places.iter().all(|place| place[0] == "body"));
    match object {
        Some(object) => {
            let named: Vec<_> = places.iter().map(|place| place[1].as_str().unwrap()).collect();
            let is_bad = |name: &&str| is_bad(name, object.get(*name));
            assert_eq!(named, NAMES.into_iter().filter(is_bad).collect::<Vec<_>>());
        }
        None if json.is_ok() || body.is_empty() => assert_eq!(places, [&[Value::from("body")]]),
        None => {
            assert_eq!((errors.len(), errors[0]["type"].as_str()), (1, Some("json_invalid")));
            let offset = usize::try_from(places[0][1].as_u64().unwrap()).unwrap();
            assert!(offset <= body.len(), "{offset}");
        }
    }
}

fn is_bad(name: &str, value: Option<&Value>) -> bool {
    let Some(text) = value.and_then(Value::as_str) else {
        return true;
    };
    match name {
        "email" => Email::parse(text).is_err(),
        "password" => NewPassword::parse(text).is_err(),
        "oauth_verifier" => Verifier::parse(text).is_err(),
        "value" => ConfigValue::parse(text).is_err(),
        _ => false,
    }
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("json_body", holds);
}

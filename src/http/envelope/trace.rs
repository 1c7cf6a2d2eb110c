//! W3C Trace Context: the trace to which a request belongs. It is logged, and not sent to Discogs.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A well-formed `traceparent` header (Trace Context section 3.2).
#[derive(Debug)]
pub(crate) struct Trace(HeaderValue);

impl Trace {
    /// Returns the trace of a request; `None` if there is not exactly one, well-formed header.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (Some(one), None) = (given.next(), given.next()) else {
            return None;
        };
        is_well_formed(one.to_str().ok()?).then(|| Self(one.clone()))
    }

    /// Returns `trace-id`: 32 hex digits.
    pub(crate) fn id(&self) -> &str {
        self.field(3..35)
    }

    /// Returns `parent-id`, the caller's span: 16 hex digits.
    pub(crate) fn parent_id(&self) -> &str {
        self.field(36..52)
    }

    fn field(&self, place: std::ops::Range<usize>) -> &str {
        self.0.to_str().ok().and_then(|text| text.get(place)).unwrap_or_default()
    }
}

/// A version after 00 may have more fields, and ff is invalid (sections 3.2.2.1 and 3.2.4).
fn is_well_formed(text: &str) -> bool {
    let mut fields = text.splitn(5, '-');
    let mut hex = |length| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_digit))
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let is_id = |field: &str| field.bytes().any(|digit| digit != b'0');
    let is_version = version != "ff" && (version != "00" || fields.next().is_none());
    is_version && is_id(trace) && is_id(parent)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{TRACEPARENT, Trace};

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(values: &[&str]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        let trace = Trace::of(&headers)?;
        Some((trace.id().to_owned(), trace.parent_id().to_owned()))
    }

    #[test]
    fn the_ids_of_a_trace_are_read() {
        let expected =
            ("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), "00f067aa0ba902b7".to_owned());
        let (later, longer) = (GOOD.replacen("00", "cc", 1), format!("{GOOD}-future-field"));
        for value in [GOOD, &later, &longer.replacen("00", "cc", 1)] {
            assert_eq!(read(&[value]), Some(expected.clone()), "{value}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[GOOD, GOOD]), None);
        for value in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("-01", ""),
            &GOOD.replace("-01", "-1"),
            &format!("{GOOD}-more"),
            &format!("{GOOD} "),
        ] {
            assert_eq!(read(&[value]), None, "{value}");
        }
    }
}

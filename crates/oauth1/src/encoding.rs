//! Percent-encoding (RFC 5849 section 3.6), and the decoding of form parameters.
//!
//! Works on bytes, so that a parameter that is not UTF-8 has a base string too.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Everything but the unreserved characters: letters, digits, `-`, `.`, `_` and `~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes bytes, with upper-case hex digits.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    percent_encode(bytes.as_ref(), RESERVED).to_string()
}

/// Decodes a header value; `None` if it is not percent-encoded UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let whole = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole {
        return None;
    }
    let bytes = percent_decode_str(text).decode_utf8().ok()?;
    Some(bytes.into_owned())
}

/// Splits `name=value&…` of a query or a form body; decodes each part and encodes it again.
///
/// A `+` is a space, and a name without `=` has an empty value (section 3.4.1.3.1).
pub(crate) fn form_parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encode(form_decode(name)), encode(form_decode(value)))
    })
}

fn form_decode(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn only_unreserved_characters_stay_unencoded() {
        assert_eq!(encode("AZaz09-._~"), "AZaz09-._~");
        assert_eq!(encode(" !*'()+&=/%"), "%20%21%2A%27%28%29%2B%26%3D%2F%25");
        assert_eq!(encode("é☃"), "%C3%A9%E2%98%83");
    }

    #[test]
    fn a_broken_escape_is_not_decoded() {
        for text in ["%", "a%2", "%zz", "%+1", "%2é", "%FF"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("a+b%2b%C3%a9").as_deref(), Some("a+b+é"));
    }
}

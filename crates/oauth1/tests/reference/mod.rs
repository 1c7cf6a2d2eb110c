//! A simple reference implementation of the signature base string (RFC 5849 section 3.4.1), which
//! uses nothing from the crate. Only for URLs that have a base string.

use std::fmt::Write as _;

/// Section 3.4.1.1.
pub(crate) fn base_string(
    method: &str,
    url: &str,
    form: &str,
    protocol: &[(String, String)],
) -> String {
    let (base, query) = base_uri(url);
    let mut parameters = parameters(query);
    parameters.extend(self::parameters(form));
    for (name, value) in protocol {
        parameters.push((encode(name.as_bytes()), encode(value.as_bytes())));
    }
    let mut joined = String::new();
    for (name, value) in sorted(parameters) {
        if !joined.is_empty() {
            joined.push('&');
        }
        joined = joined + &name + "=" + &value;
    }
    let method = method.to_ascii_uppercase();
    [method.as_bytes(), base.as_bytes(), joined.as_bytes()].map(encode).join("&")
}

/// Section 3.4.1.2: scheme and host in lower case, no default port; and the query.
fn base_uri(url: &str) -> (String, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = before.split_once("://").unwrap_or_default();
    let slash = rest.find('/');
    let (authority, path) = slash.map_or((rest, "/"), |at| rest.split_at(at));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default = if scheme == "http" { ":80" } else { ":443" };
    let host = authority.strip_suffix(default).or(authority.strip_suffix(':'));
    (format!("{scheme}://{}{path}", host.unwrap_or(&authority)), query)
}

/// Section 3.4.1.3.1: decoded as a form, then encoded again.
pub(crate) fn parameters(form: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pair in form.split('&') {
        if pair.is_empty() {
            continue;
        }
        let end_of_name = pair.find('=').unwrap_or(pair.len());
        let name = &pair[..end_of_name];
        let value = pair.get(end_of_name + 1..).unwrap_or("");
        found.push((encode(&form_decode(name)), encode(&form_decode(value))));
    }
    found
}

/// An invalid escape stays as it is.
fn form_decode(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).map(|digits| (hex(digits[0]), hex(digits[1])));
        match (bytes[at], digits) {
            (b'%', Some((Some(high), Some(low)))) => {
                decoded.push(high * 16 + low);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

/// Section 3.6.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(*byte));
            }
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
    }
    encoded
}

/// Section 3.4.1.3.2, by insertion: by name, then by value.
fn sorted(parameters: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut sorted: Vec<(String, String)> = Vec::new();
    for (name, value) in parameters {
        let comes_after = |other: &(String, String)| {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            let (other_name, other_value) = (other.0.as_bytes(), other.1.as_bytes());
            other_name > name || (other_name == name && other_value > value)
        };
        let place = sorted.iter().position(comes_after).unwrap_or(sorted.len());
        sorted.insert(place, (name, value));
    }
    sorted
}

//! `Authorization: OAuth …`: a valid header is limited in size and survives a round trip.
//!
//! No check of its signature panics. Only the secrets themselves, as a PLAINTEXT signature, pass
//! the check.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oauth1::{Authorization, Target};
use secrecy::SecretString;

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(header) = Authorization::parse(text) else {
        return;
    };
    let parameters: Vec<_> = header.parameters().collect();
    let names: BTreeSet<_> = parameters.iter().map(|(name, _)| *name).collect();
    assert!(parameters.len() <= 32 && text.len() <= 8 * 1024);
    assert_eq!(names.len(), parameters.len(), "a name stands there twice");
    for (name, value) in &parameters {
        assert_eq!(header.parameter(name), Some(*value));
    }
    for comma in [",", ", ", "\t ,\t "] {
        let again = written(&parameters, comma);
        // Escaping may make it longer than the limit.
        if again.len() <= 8 * 1024 {
            assert_eq!(Authorization::parse(&again).as_ref(), Ok(&header), "{again}");
        }
    }
    let (secret, target) = (SecretString::from("secret"), Target::new("GET", "https://a.example/"));
    let is_plaintext = header.parameter("oauth_signature_method") == Some("PLAINTEXT");
    for (token_secret, key) in [(None, "secret&"), (Some(&secret), "secret&secret")] {
        let accepted = header.verify(target, &secret, token_secret).is_ok();
        let signature = header.parameter("oauth_signature");
        assert!(!accepted || (is_plaintext && signature == Some(key)), "{text}");
    }
}

/// Returns the parameters as a header again, with every byte escaped.
fn written(parameters: &[(&str, &str)], comma: &str) -> String {
    let pairs = parameters.iter().map(|(name, value)| {
        let value = if *name == "realm" {
            value.replace('\\', "\\\\").replace('"', "\\\"")
        } else {
            escaped(value)
        };
        format!("{}=\"{value}\"", escaped(name))
    });
    format!("OAuth {}", pairs.collect::<Vec<_>>().join(comma))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        write!(escaped, "%{byte:02x}").unwrap();
    }
    escaped
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("oauth_header", holds);
}

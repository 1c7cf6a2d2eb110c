//! The text in `users.hashed_password`, which other programs also write.
//!
//! It parses if and only if it is two hex strings, the second of 64 digits. Writing it returns the
//! same text in lower case.

use secrecy::ExposeSecret as _;

use super::StoredHash;

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match StoredHash::parse(text) {
        Some(hash) => {
            assert!(is_hash(text));
            let written = hash.to_text();
            assert_eq!(written.expose_secret(), text.to_ascii_lowercase());
            let again = StoredHash::parse(written.expose_secret());
            assert!(again.is_some_and(|again| again.salt == hash.salt && again.matches(&hash.key)));
            assert_eq!(format!("{hash:?}"), "StoredHash([REDACTED])");
        }
        None => assert!(!is_hash(text)),
    }
}

fn is_hash(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let is_hex = |part: &str| {
        part.len().is_multiple_of(2) && part.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    parts.len() == 2 && parts.iter().all(|part| is_hex(part)) && parts[1].len() == 64
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("stored_hash", holds);
}

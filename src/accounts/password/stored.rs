//! The text in `users.hashed_password`: `<hex of salt>:<hex of key>`.
//!
//! Written in lower case with a salt of 32 bytes; read in either case, with a salt of any length.

use std::fmt;

use pbkdf2_lanes::{KEY_LENGTH, Key};
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

/// A salt, and the key derived from it and a password.
#[derive(Clone)]
pub(super) struct StoredHash {
    pub(super) salt: Vec<u8>,
    pub(super) key: Key,
}

impl StoredHash {
    /// The length of a new salt, in bytes.
    pub(super) const SALT_LENGTH: usize = 32;

    /// Parses the stored text; `None` if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (salt, key) = text.split_once(':')?;
        let key: [u8; KEY_LENGTH] = hex::decode(key).ok()?.try_into().ok()?;
        Some(Self { salt: hex::decode(salt).ok()?, key: key.into() })
    }

    pub(super) fn to_text(&self) -> SecretString {
        format!("{}:{}", hex::encode(&self.salt), hex::encode(self.key.as_bytes())).into()
    }

    /// Compares a key with the stored one, in constant time.
    pub(super) fn matches(&self, key: &Key) -> bool {
        self.key.as_bytes().ct_eq(key.as_bytes()).into()
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash([REDACTED])")
    }
}

#[cfg(test)]
#[path = "../../../fuzz/properties/stored_hash.rs"]
mod fuzzed;

#[cfg(test)]
mod tests {
    use pbkdf2_lanes::{Job, derive};
    use secrecy::ExposeSecret as _;
    use serde_json::Value;

    use super::StoredHash;
    use crate::accounts::password::ITERATIONS;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/passwords.json")).unwrap()
    }

    fn verifies(stored: &StoredHash, password: &str) -> bool {
        let job = Job { password: password.as_bytes(), salt: &stored.salt };
        stored.matches(&derive(&[job], ITERATIONS)[0])
    }

    #[test]
    fn every_hash_that_python_made_verifies_in_either_case() {
        for case in vectors()["stored"].as_array().unwrap() {
            let (password, stored) =
                (case["password"].as_str().unwrap(), case["stored"].as_str().unwrap());
            assert!(verifies(&StoredHash::parse(stored).unwrap(), password), "{password:?}");
            let upper = StoredHash::parse(&stored.to_uppercase()).unwrap();
            assert!(!verifies(&upper, &format!("{password}x")), "{password:?}");
            assert_eq!(upper.to_text().expose_secret(), stored);
        }
    }

    #[test]
    fn malformed_hashes_are_not_parsed() {
        for text in vectors()["must_not_verify"].as_array().unwrap() {
            assert!(StoredHash::parse(text.as_str().unwrap()).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let hash = StoredHash { salt: vec![1; 32], key: [2; 32].into() };
        assert_eq!(format!("{hash:?}"), "StoredHash([REDACTED])");
    }
}

//! The text in `users.hashed_password`: `<hex of salt>:<hex of key>`.
//!
//! Written in lower case with a salt of 32 bytes; read in either case, with a salt of any length.

use std::fmt;

use secrecy::SecretString;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const ITERATIONS: u32 = 100_000;
const KEY_LENGTH: usize = 32;

/// A salt with the key that was derived from it and a password.
#[derive(Clone)]
pub(super) struct StoredHash {
    salt: Vec<u8>,
    key: Zeroizing<[u8; KEY_LENGTH]>,
}

impl StoredHash {
    /// The length of a salt that we make, in bytes.
    pub(super) const SALT_LENGTH: usize = 32;

    pub(super) fn new(salt: [u8; Self::SALT_LENGTH], key: [u8; KEY_LENGTH]) -> Self {
        Self { salt: salt.to_vec(), key: Zeroizing::new(key) }
    }

    /// Derives the key of a password: this is what takes its time.
    pub(super) fn derive(password: &str, salt: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, ITERATIONS, key.as_mut());
        Self { salt: salt.to_vec(), key }
    }

    /// Reads the stored text; `None` where it can't be read.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (salt, key) = text.split_once(':')?;
        let key: [u8; KEY_LENGTH] = from_hex(key)?.try_into().ok()?;
        Some(Self { salt: from_hex(salt)?, key: Zeroizing::new(key) })
    }

    pub(super) fn to_text(&self) -> SecretString {
        format!("{}:{}", to_hex(&self.salt), to_hex(self.key.as_ref())).into()
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        let derived = Self::derive(password, &self.salt);
        derived.key.as_slice().ct_eq(self.key.as_slice()).into()
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash([REDACTED])")
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
}

fn hex_digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('0')
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::Value;

    use super::StoredHash;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/passwords.json")).unwrap()
    }

    #[test]
    fn every_hash_that_python_made_verifies_in_either_case() {
        for case in vectors()["stored"].as_array().unwrap() {
            let (password, stored) =
                (case["password"].as_str().unwrap(), case["stored"].as_str().unwrap());
            assert!(StoredHash::parse(stored).unwrap().verify(password), "{password:?}");
            let upper = StoredHash::parse(&stored.to_uppercase()).unwrap();
            assert!(!upper.verify(&format!("{password}x")), "{password:?}");
            assert_eq!(upper.to_text().expose_secret(), stored);
        }
    }

    #[test]
    fn what_is_no_hash_is_not_read() {
        for text in vectors()["must_not_verify"].as_array().unwrap() {
            assert!(StoredHash::parse(text.as_str().unwrap()).is_none(), "{text}");
        }
    }

    #[test]
    fn keys_are_what_python_derives_with_salts_of_other_lengths() {
        let mut checked = 0;
        for case in vectors()["raw"].as_array().unwrap() {
            if case["iterations"] == 100_000 {
                let text = format!(
                    "{}:{}",
                    case["salt_hex"].as_str().unwrap(),
                    case["key_hex"].as_str().unwrap()
                );
                assert!(
                    StoredHash::parse(&text).unwrap().verify(case["password"].as_str().unwrap())
                );
                checked += 1;
            }
        }
        assert!(checked > 0);
    }

    #[test]
    fn debug_shows_nothing() {
        let hash = StoredHash::new([1; 32], [2; 32]);
        assert_eq!(format!("{hash:?}"), "StoredHash([REDACTED])");
    }
}

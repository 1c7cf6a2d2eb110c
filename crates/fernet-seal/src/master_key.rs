//! Master keys, and the keys derived from them.

use base64ct::{Base64Url, Encoding as _};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

use crate::{FernetKey, python_base64};

/// Separates fingerprints from Fernet keys, which are derived without a salt.
const FINGERPRINT_SALT: &[u8] = b"fernet-seal fingerprint";

/// The key from which the [`FernetKey`] of each purpose is derived.
///
/// It is wiped when dropped, and its `Debug` shows nothing.
#[derive(Debug)]
pub struct MasterKey(Kind);

#[derive(Debug)]
enum Kind {
    /// Any number of bytes, from which keys are derived.
    Derived(SecretSlice<u8>),
    /// A Fernet key that is used as it is.
    Direct(FernetKey),
}

impl MasterKey {
    /// The number of bytes from which a key is not weak.
    pub const LENGTH: usize = 32;

    /// Reads a key as Python's `base64.urlsafe_b64decode` does: any length, even zero, is accepted.
    ///
    /// `fernet:` in front of 32 bytes in base64 names a Fernet key that is used directly, for every purpose.
    ///
    /// # Errors
    /// If Python can't read the text, or if Python's versions read it differently.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let Some(direct) = text.trim_ascii_start().strip_prefix("fernet:") else {
            let bytes: Box<[u8]> = python_base64::decode(text)?.as_slice().into();
            return Ok(Self(Kind::Derived(SecretSlice::from(bytes))));
        };
        let bytes = python_base64::decode(direct)?;
        let key = FernetKey::from_slice(&bytes).ok_or(KeyError::NotAFernetKey)?;
        Ok(Self(Kind::Direct(key)))
    }

    /// Returns the text of a new key, made of random bytes.
    #[must_use]
    pub fn generate(random: &[u8; Self::LENGTH]) -> SecretString {
        SecretString::from(Base64Url::encode_string(random))
    }

    /// Whether the key has fewer than 32 bytes.
    ///
    /// A weak key can be guessed by anyone who has a token or the fingerprint.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match &self.0 {
            Kind::Derived(bytes) => bytes.expose_secret().len() < Self::LENGTH,
            Kind::Direct(_) => false,
        }
    }

    /// Whether the key is used as it is, for every purpose.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.0, Kind::Direct(_))
    }

    /// Returns the key for one purpose, the `info` of HKDF-SHA256 (RFC 5869).
    #[must_use]
    pub fn fernet_key(&self, purpose: &str) -> FernetKey {
        match &self.0 {
            Kind::Derived(bytes) => FernetKey::filled_by(|key| {
                derive(None, bytes.expose_secret(), purpose.as_bytes(), key);
            }),
            Kind::Direct(key) => key.copy(),
        }
    }

    /// Returns eight hexadecimal digits to tell keys apart, which may be shown unless the key is weak.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut fingerprint = [0; 4];
        match &self.0 {
            Kind::Derived(bytes) => {
                let bytes = bytes.expose_secret();
                derive(Some(FINGERPRINT_SALT), bytes, b"derived", &mut fingerprint);
            }
            Kind::Direct(key) => {
                derive(Some(FINGERPRINT_SALT), key.as_slice(), b"direct", &mut fingerprint);
            }
        }
        format!("{:08x}", u32::from_be_bytes(fingerprint))
    }
}

fn derive(salt: Option<&[u8]>, key: &[u8], info: &[u8], output: &mut [u8]) {
    let Ok(()) = Hkdf::<Sha256>::new(salt, key).expand(info, output) else {
        unreachable!("HKDF returns up to 8,160 bytes (RFC 5869)")
    };
}

/// Why a text is not a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Python accepts only ASCII.
    #[error("the key has a character that is not ASCII")]
    NotAscii,
    /// A digit or `=` is missing, so a part of the key may be lost.
    #[error("the key is not complete base64: a character or a `=` is missing at its end")]
    Incomplete,
    /// Digits follow the padding.
    #[error(
        "the key continues after a `=`, which Python versions read differently: remove what follows \
         the `=` (before 3.13.13 and 3.14.4), or remove the `=` (later versions)"
    )]
    Ambiguous,
    /// The text after `fernet:` has another number of bytes.
    #[error("`fernet:` must be followed by 32 bytes in base64, which is 44 characters")]
    NotAFernetKey,
}

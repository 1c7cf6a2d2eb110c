//! Tokens as the Fernet specification defines them, without a time to live.
//!
//! A token is the URL-safe base64, with padding, of: the version (0x80), the time in seconds (8 bytes,
//! big-endian), the IV (16), the text (AES-128-CBC, PKCS #7) and the HMAC-SHA256 of all before it (32).

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64ct::{Base64Url, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

const VERSION: u8 = 0x80;
const HEADER_LENGTH: usize = 1 + 8 + 16;
const BLOCK_LENGTH: usize = 16;
const MAC_LENGTH: usize = 32;

/// How every token starts: the version, and a time in the next 100,000 years.
const PREFIX: &str = "gAAAA";

/// The characters of the shortest token, without its padding.
const LEAST_CHARACTERS: usize = (HEADER_LENGTH + BLOCK_LENGTH + MAC_LENGTH) * 8 / 6 + 1;

/// A Fernet key: a signing key and an encryption key.
///
/// It is wiped when dropped, and its `Debug` shows nothing.
#[derive(Debug)]
pub struct FernetKey(SecretBox<Halves>);

type Halves = [[u8; 16]; 2];

impl FernetKey {
    pub(crate) fn filled_by(fill: impl FnOnce(&mut [u8])) -> Self {
        Self(SecretBox::init_with_mut(|halves: &mut Halves| fill(halves.as_flattened_mut())))
    }

    /// Returns `None` for another number of bytes than 32.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let is_key = bytes.len() == size_of::<Halves>();
        is_key.then(|| Self::filled_by(|key| key.copy_from_slice(bytes)))
    }

    pub(crate) fn copy(&self) -> Self {
        Self::filled_by(|key| key.copy_from_slice(self.as_slice()))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.expose_secret().as_flattened()
    }

    /// Encrypts and signs a text. Every call needs a new random IV.
    #[must_use]
    pub fn seal(&self, plain: &str, now_seconds: u64, iv: [u8; 16]) -> String {
        let [_, encryption_key] = self.0.expose_secret();
        let encrypted_length = (plain.len() / BLOCK_LENGTH + 1) * BLOCK_LENGTH;
        let mut token = Vec::with_capacity(HEADER_LENGTH + encrypted_length + MAC_LENGTH);
        token.push(VERSION);
        token.extend(now_seconds.to_be_bytes());
        token.extend(iv);
        token.extend(plain.as_bytes());
        token.resize(HEADER_LENGTH + encrypted_length, 0);
        let (_, text) = token.split_at_mut(HEADER_LENGTH);
        let cipher = cbc::Encryptor::<Aes128>::new(encryption_key.into(), &iv.into());
        let Ok(_) = cipher.encrypt_padded::<Pkcs7>(text, plain.len()) else {
            unreachable!("the last block has room for the padding")
        };
        let mac = self.mac(&token).finalize().into_bytes();
        token.extend(mac);
        Base64Url::encode_string(&token)
    }

    /// Checks and decrypts a token. ASCII white space around it is ignored.
    ///
    /// # Errors
    /// If it is not exactly what `seal` of this key returned, or if it contains no text.
    pub fn open(&self, token: &str) -> Result<SecretString, OpenError> {
        let mut token = decode(token).ok_or(OpenError::NotAToken)?;
        let (signed, mac) = token.split_last_chunk_mut().ok_or(OpenError::NotAToken)?;
        let mac: &[u8; MAC_LENGTH] = mac;
        self.mac(signed).verify_slice(mac).map_err(|_| OpenError::OtherKeyOrChanged)?;
        let ([_, _, _, _, _, _, _, _, _, iv @ ..], text) =
            signed.split_first_chunk_mut::<HEADER_LENGTH>().ok_or(OpenError::NotAToken)?;
        let iv: &[u8; 16] = iv;
        let [_, encryption_key] = self.0.expose_secret();
        let cipher = cbc::Decryptor::<Aes128>::new(encryption_key.into(), iv.into());
        let plain = cipher.decrypt_padded::<Pkcs7>(text).map_err(|_| OpenError::NotText)?;
        let plain = str::from_utf8(plain).map_err(|_| OpenError::NotText)?;
        Ok(SecretString::from(plain))
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let [signing_key, _] = self.0.expose_secret();
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(signing_key) else {
            unreachable!("HMAC takes a key of any length (RFC 2104)")
        };
        mac.chain_update(signed)
    }
}

/// Whether a value is a token, or a token that was damaged: it must not be used as plain text.
///
/// That is any value as long as a token that has the prefix of tokens, or is base64 of a token's length.
#[must_use]
pub fn looks_sealed(value: &str) -> bool {
    let token = trim(value);
    token.len() >= LEAST_CHARACTERS
        && (token.starts_with(PREFIX) || decode_any_version(token).is_some())
}

/// Returns the bytes of a token, if they can be one.
fn decode(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = decode_any_version(trim(token))?;
    (bytes.first() == Some(&VERSION)).then_some(bytes)
}

fn decode_any_version(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Base64Url::decode_vec(token).ok()?;
    let text_length = bytes.len().checked_sub(HEADER_LENGTH + MAC_LENGTH)?;
    let is_whole = text_length > 0 && text_length.is_multiple_of(BLOCK_LENGTH);
    // Wiped because a token is decrypted in place.
    is_whole.then(|| Zeroizing::new(bytes))
}

/// Python's `str.strip`, for ASCII.
fn trim(token: &str) -> &str {
    token.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// Why a token was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not strict base64, has a length that no token has, or another version.
    #[error("not a Fernet token")]
    NotAToken,
    /// Its MAC does not fit.
    #[error("sealed with another key, or changed since it was sealed")]
    OtherKeyOrChanged,
    /// It was sealed with this key, but what it contains is not padded, or not UTF-8.
    #[error("sealed with this key, but does not contain text")]
    NotText,
}

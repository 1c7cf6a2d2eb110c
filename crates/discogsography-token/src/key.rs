//! Signing and checking: HS256 of RFC 7518 section 3.2, with one key that signs and others that are
//! still accepted.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::claims::{Claims, VerifiedClaims};
use crate::compact::{Compact, HEADER};
use crate::error::TokenError;

/// The secret that signs and checks, ready for use.
///
/// Creating one costs two hash blocks, so keep it; its `Debug` shows nothing.
#[derive(Clone)]
pub struct Key {
    mac: Hmac<Sha256>,
}

/// The keys of a service: one signs, and all are accepted.
///
/// A token of the current key costs the same, however many previous keys there are.
#[derive(Debug, Clone)]
pub struct Keys {
    current: Key,
    previous: Vec<Key>,
}

/// Which key signed a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The one that signs new tokens.
    Current,
    /// A previous one: its number in their list, from 1.
    Previous(usize),
}

impl Key {
    /// Creates a key from the shared secret, bytes of any length.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let Ok(mac) = Hmac::new_from_slice(secret) else {
            unreachable!("HMAC takes a key of any length (RFC 2104)")
        };
        Self { mac }
    }

    /// Returns the compact form of a token: `header.payload.signature`.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let Ok(payload) = serde_json::to_vec(claims) else {
            unreachable!("claims are strings and whole numbers, which JSON can always hold")
        };
        let mut token = String::with_capacity(HEADER.len() + payload.len() * 2 + 48);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.mac.clone().chain_update(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// Checks a token at the moment `now`, a time since the Unix epoch.
    ///
    /// # Errors
    ///
    /// If the token is refused; [`TokenError`] says why.
    pub fn verify(&self, token: &str, now: Duration) -> Result<VerifiedClaims, TokenError> {
        let token = Compact::read(token)?;
        if self.has_signed(&token) { token.claims(now) } else { Err(TokenError::WrongSignature) }
    }

    /// Compares the signature in constant time.
    fn has_signed(&self, token: &Compact<'_>) -> bool {
        self.mac.clone().chain_update(token.signed).verify_slice(&token.signature).is_ok()
    }
}

impl Keys {
    /// `current` signs; tokens of `previous` are accepted, too.
    #[must_use]
    pub fn new(current: Key, previous: Vec<Key>) -> Self {
        Self { current, previous }
    }

    /// Returns a token that the current key has signed, as [`Key::sign`] does.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        self.current.sign(claims)
    }

    /// Checks a token as [`Key::verify`] does, with each key until one matches.
    ///
    /// # Errors
    ///
    /// If the token is refused; [`TokenError`] says why.
    pub fn verify(&self, token: &str, now: Duration) -> Result<VerifiedClaims, TokenError> {
        let token = Compact::read(token)?;
        self.signer_of(&token)?;
        token.claims(now)
    }

    /// Returns the key that signed a token, which may be refused for another reason.
    ///
    /// # Errors
    ///
    /// If none of the keys did, or the token is malformed.
    pub fn signer(&self, token: &str) -> Result<Signer, TokenError> {
        self.signer_of(&Compact::read(token)?)
    }

    fn signer_of(&self, token: &Compact<'_>) -> Result<Signer, TokenError> {
        if self.current.has_signed(token) {
            return Ok(Signer::Current);
        }
        let index = self.previous.iter().position(|key| key.has_signed(token));
        index.map(|index| Signer::Previous(index + 1)).ok_or(TokenError::WrongSignature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}

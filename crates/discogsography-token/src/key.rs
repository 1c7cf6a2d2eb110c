//! Signing and checking: HS256 of RFC 7518 section 3.2 over the compact form of RFC 7515.
//!
//! The check never trusts the header: there is one algorithm, and a header that names another,
//! or an extension it does not know (`crit`, RFC 7515 section 4.1.11), is refused.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::Sha256;
use thiserror::Error;

use crate::claims::{Claims, ClaimsError, VerifiedClaims};

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the same for every token.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The secret that signs and checks, ready for use.
///
/// Creating one costs two hash blocks, so keep it; its `Debug` shows nothing.
#[derive(Clone)]
pub struct Key {
    mac: Hmac<Sha256>,
}

/// Why a token is refused. Clients should learn only that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not three parts of unpadded base64url, or an invalid header or payload.
    #[error("malformed token")]
    Malformed,
    /// The header names another algorithm, or an unknown extension.
    #[error("unsupported token header")]
    UnsupportedHeader,
    /// The MAC does not match: another secret, or other bytes.
    #[error("wrong token signature")]
    WrongSignature,
    /// `exp` is not in the future.
    #[error("expired token")]
    Expired,
    /// `nbf` is in the future.
    #[error("token not valid yet")]
    NotYetValid,
    /// There is a `type` claim, so it is no access token.
    #[error("token of another type")]
    OtherType,
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
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if header != HEADER {
            check_header(header)?;
        }
        let signature = decode(signature)?;
        let mac = self.mac.clone().chain_update(signed);
        mac.verify_slice(&signature).map_err(|_| TokenError::WrongSignature)?;
        VerifiedClaims::read(json(payload)?, now).map_err(|error| match error {
            ClaimsError::Malformed => TokenError::Malformed,
            ClaimsError::Expired => TokenError::Expired,
            ClaimsError::NotYetValid => TokenError::NotYetValid,
            ClaimsError::OtherType => TokenError::OtherType,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}

fn check_header(part: &str) -> Result<(), TokenError> {
    let header: Map<String, Value> = json(part)?;
    let is_hs256 = header.get("alg").and_then(Value::as_str) == Some("HS256");
    if is_hs256 && !header.contains_key("crit") {
        Ok(())
    } else {
        Err(TokenError::UnsupportedHeader)
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let text = String::from_utf8(decode(part)?).map_err(|_| TokenError::Malformed)?;
    serde_json::from_str(&text).map_err(|_| TokenError::Malformed)
}

/// Unpadded base64url with no trailing bits; a dot is not in its alphabet.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

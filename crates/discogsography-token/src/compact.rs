//! The compact form of RFC 7515: `header.payload.signature`, each in base64url.
//!
//! The header is never trusted: there is one algorithm, and a header that names another, or an
//! extension that is not supported (`crit`, section 4.1.11), is refused.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::claims::{Payload, VerifiedClaims};
use crate::error::{Part, TokenError};

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of every token that is signed here.
pub(crate) const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// A token with a valid header. Its signature and its payload are not checked yet.
pub(crate) struct Compact<'a> {
    /// The header and the payload as sent, which the signature covers.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Compact<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
        if payload.contains('.') {
            return Err(TokenError::NotThreeParts);
        }
        if header != HEADER {
            check_header(&json(Part::Header, header)?)?;
        }
        Ok(Self { signed, signature: decode(Part::Signature, signature)?, payload })
    }

    /// Checks the payload at the moment `now`. Call this only if the signature is right.
    pub(crate) fn claims(&self, now: Duration) -> Result<VerifiedClaims, TokenError> {
        VerifiedClaims::read(json::<Payload>(Part::Payload, self.payload)?, now)
    }
}

pub(crate) fn check_header(header: &Map<String, Value>) -> Result<(), TokenError> {
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(TokenError::OtherAlgorithm);
    }
    if header.contains_key("crit") { Err(TokenError::CriticalExtension) } else { Ok(()) }
}

pub(crate) fn json<T: DeserializeOwned>(part: Part, encoded: &str) -> Result<T, TokenError> {
    let text = String::from_utf8(decode(part, encoded)?);
    let text = text.map_err(|_| TokenError::NotAnObject(part))?;
    serde_json::from_str(&text).map_err(|_| TokenError::NotAnObject(part))
}

/// Unpadded base64url with no trailing bits; a dot is not in its alphabet.
pub(crate) fn decode(part: Part, encoded: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::NotBase64(part))
}

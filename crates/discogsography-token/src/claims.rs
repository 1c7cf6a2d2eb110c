//! What a token says: the claims as we write them, and as we read them.
//!
//! Reading follows RFC 7519 section 4.1 for `sub` and `exp`, and is strict about their types.
//! Must not know about keys or signatures.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The length of a UUID in its hyphenated form, the only one that `sub` may have.
const HYPHENATED_UUID_LENGTH: usize = 36;

/// The claims of a token that is about to be signed.
///
/// There is no `type` and no `aud`: services that check these tokens would refuse them. Its `Debug`
/// shows no email address.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The user's id, a row of `users`.
    pub sub: Uuid,
    /// The user's email address.
    pub email: String,
    /// When the token was made, in whole seconds since the Unix epoch.
    pub iat: u64,
    /// The first second at which the token is no longer good, since the Unix epoch.
    pub exp: u64,
    /// Random, so that no two tokens are alike.
    pub jti: String,
}

/// The claims of a token that was found good. Its `Debug` shows no email address.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// The user's id.
    pub sub: Uuid,
    /// The email address; `None` where the token names none.
    pub email: Option<String>,
}

/// Why a payload is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimsError {
    Malformed,
    Expired,
}

impl VerifiedClaims {
    /// Reads a payload that has passed the signature check.
    pub(crate) fn read(payload: &Map<String, Value>, now: Duration) -> Result<Self, ClaimsError> {
        let exp =
            payload.get("exp").and_then(Value::as_number).and_then(serde_json::Number::as_f64);
        let exp = exp.ok_or(ClaimsError::Malformed)?;
        if exp <= now.as_secs_f64() {
            return Err(ClaimsError::Expired);
        }
        let sub = payload.get("sub").and_then(Value::as_str).and_then(hyphenated_uuid);
        Ok(Self {
            sub: sub.ok_or(ClaimsError::Malformed)?,
            email: payload.get("email").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("sub", &self.sub).finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims").field("sub", &self.sub).finish_non_exhaustive()
    }
}

fn hyphenated_uuid(text: &str) -> Option<Uuid> {
    if text.len() == HYPHENATED_UUID_LENGTH { Uuid::try_parse(text).ok() } else { None }
}

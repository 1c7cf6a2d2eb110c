//! The claims of a token, as they are written and as they are read.
//!
//! Reading follows RFC 7519 section 4.1 for `sub`, `exp` and `nbf`, and is strict about their types.
//! A token with a `type` claim has another purpose: a second factor, a reset, an admin page.
//! This module must not depend on keys or signatures.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// When the token was created, in whole seconds since the Unix epoch.
    pub iat: u64,
    /// The first second at which the token has expired, since the Unix epoch.
    pub exp: u64,
    /// Random, so that no two tokens are alike.
    pub jti: String,
}

/// The claims of a valid token. Its `Debug` shows no email address.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// The user's id.
    pub sub: Uuid,
    /// The email address; `None` if the token has none.
    pub email: Option<String>,
    /// When the token was created, in whole seconds since the Unix epoch, rounded down; `None` if the
    /// token does not say so by a number.
    pub iat: Option<i64>,
    /// The token's id; `None` if it has none that is a string.
    pub jti: Option<String>,
}

/// Why a payload is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimsError {
    Malformed,
    Expired,
    NotYetValid,
    OtherType,
}

/// The claims that are read; others are ignored. If one is repeated, the last counts.
#[derive(Default)]
pub(crate) struct Payload {
    sub: Value,
    email: Value,
    iat: Value,
    jti: Value,
    exp: Value,
    /// `None` if there is no such claim; `null` is malformed.
    nbf: Option<Value>,
    /// Whether there is a `type`, whatever its value.
    has_type: bool,
}

impl VerifiedClaims {
    /// Reads a payload that has passed the signature check.
    pub(crate) fn read(payload: Payload, now: Duration) -> Result<Self, ClaimsError> {
        if payload.has_type {
            return Err(ClaimsError::OtherType);
        }
        if seconds(&payload.exp)? <= now.as_secs_f64() {
            return Err(ClaimsError::Expired);
        }
        if let Some(nbf) = &payload.nbf
            && seconds(nbf)? > now.as_secs_f64()
        {
            return Err(ClaimsError::NotYetValid);
        }
        let sub = payload.sub.as_str().and_then(hyphenated_uuid);
        Ok(Self {
            sub: sub.ok_or(ClaimsError::Malformed)?,
            email: text(payload.email),
            iat: seconds(&payload.iat).ok().map(whole),
            jti: text(payload.jti),
        })
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PayloadVisitor)
    }
}

/// The names of the claims that are read.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Sub,
    Email,
    Iat,
    Jti,
    Exp,
    Nbf,
    Type,
    #[serde(other)]
    Other,
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Payload, A::Error> {
        let mut payload = Payload::default();
        while let Some(name) = claims.next_key()? {
            match name {
                Name::Sub => payload.sub = claims.next_value()?,
                Name::Email => payload.email = claims.next_value()?,
                Name::Iat => payload.iat = claims.next_value()?,
                Name::Jti => payload.jti = claims.next_value()?,
                Name::Exp => payload.exp = claims.next_value()?,
                Name::Nbf => payload.nbf = Some(claims.next_value()?),
                Name::Type => {
                    claims.next_value::<IgnoredAny>()?;
                    payload.has_type = true;
                }
                Name::Other => drop(claims.next_value::<IgnoredAny>()?),
            }
        }
        Ok(payload)
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

/// A `NumericDate` of RFC 7519 section 2: seconds, with a fraction or without.
fn seconds(claim: &Value) -> Result<f64, ClaimsError> {
    claim.as_number().and_then(serde_json::Number::as_f64).ok_or(ClaimsError::Malformed)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

fn text(claim: Value) -> Option<String> {
    if let Value::String(text) = claim { Some(text) } else { None }
}

fn hyphenated_uuid(text: &str) -> Option<Uuid> {
    if text.len() == HYPHENATED_UUID_LENGTH { Uuid::try_parse(text).ok() } else { None }
}

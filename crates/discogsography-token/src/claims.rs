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

use crate::error::TokenError;

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

/// The claims that are read; others are ignored. If one is repeated, the last counts.
#[derive(Default)]
pub(crate) struct Payload {
    sub: Option<Value>,
    email: Value,
    iat: Value,
    jti: Value,
    exp: Option<Value>,
    /// `None` if there is no such claim; `null` is refused.
    nbf: Option<Value>,
    /// Whether there is a `type`, whatever its value.
    has_type: bool,
}

impl VerifiedClaims {
    /// Reads a payload that has passed the signature check.
    pub(crate) fn read(payload: Payload, now: Duration) -> Result<Self, TokenError> {
        payload.check_type()?;
        payload.check_exp(now)?;
        payload.check_nbf(now)?;
        Ok(Self {
            sub: payload.user_id()?,
            email: text(payload.email),
            iat: seconds("iat", &payload.iat).ok().map(whole),
            jti: text(payload.jti),
        })
    }
}

impl Payload {
    pub(crate) fn check_type(&self) -> Result<(), TokenError> {
        if self.has_type { Err(TokenError::OtherType) } else { Ok(()) }
    }

    pub(crate) fn check_exp(&self, now: Duration) -> Result<(), TokenError> {
        let exp = self.exp.as_ref().ok_or(TokenError::MissingClaim("exp"))?;
        if seconds("exp", exp)? > now.as_secs_f64() { Ok(()) } else { Err(TokenError::Expired) }
    }

    pub(crate) fn check_nbf(&self, now: Duration) -> Result<(), TokenError> {
        let Some(nbf) = &self.nbf else {
            return Ok(());
        };
        let is_valid = seconds("nbf", nbf)? <= now.as_secs_f64();
        if is_valid { Ok(()) } else { Err(TokenError::NotYetValid) }
    }

    pub(crate) fn user_id(&self) -> Result<Uuid, TokenError> {
        let sub = self.sub.as_ref().ok_or(TokenError::MissingClaim("sub"))?;
        sub.as_str().and_then(hyphenated_uuid).ok_or(TokenError::NotAUserId)
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
                Name::Sub => payload.sub = Some(claims.next_value()?),
                Name::Email => payload.email = claims.next_value()?,
                Name::Iat => payload.iat = claims.next_value()?,
                Name::Jti => payload.jti = claims.next_value()?,
                Name::Exp => payload.exp = Some(claims.next_value()?),
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
fn seconds(name: &'static str, claim: &Value) -> Result<f64, TokenError> {
    let number = claim.as_number().and_then(serde_json::Number::as_f64);
    number.ok_or(TokenError::NotANumber(name))
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

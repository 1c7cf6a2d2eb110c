//! What a token says, and which rules it breaks, without a key.
//!
//! For people who ask why a token is refused. [`Keys::verify`](crate::Keys::verify) decides with the
//! same checks.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::claims::Payload;
use crate::compact::{check_header, decode, json};
use crate::error::{Part, TokenError};

/// A rule for access tokens that can be checked without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The compact form.
    Form,
    /// The header.
    Header,
    /// The payload.
    Payload,
    /// The purpose: no `type`.
    Type,
    /// The end of its life: `exp`.
    Expiry,
    /// The start of its life: `nbf`.
    NotBefore,
    /// Its user: `sub`.
    User,
}

/// Whether a token follows a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Kept,
    /// It does not.
    Broken(TokenError),
    /// The part that the rule is about can't be read.
    Unknown,
}

/// The content of a token, whose signature was not checked: anyone could have written it.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The header; `None` if it can't be read.
    pub header: Option<Map<String, Value>>,
    /// The claims; `None` if they can't be read.
    pub claims: Option<Map<String, Value>>,
    /// Every rule.
    pub rules: [(Rule, Outcome); 7],
}

impl Inspection {
    /// Reads as much of a token as can be read, and checks it at the moment `now`.
    #[must_use]
    pub fn new(token: &str, now: Duration) -> Self {
        let parts: Vec<_> = token.split('.').collect();
        let header = read::<Map<_, _>>(Part::Header, parts.first());
        let claims = read(Part::Payload, parts.get(1));
        let payload = read::<Payload>(Part::Payload, parts.get(1));
        let of_payload = |check: &dyn Fn(&Payload) -> Result<(), TokenError>| {
            payload.as_ref().map_or(Outcome::Unknown, |payload| Outcome::of(check(payload)))
        };
        let rules = [
            (Rule::Form, check_form(&parts).map_or_else(Outcome::Broken, |()| Outcome::Kept)),
            (Rule::Header, Outcome::of(header.as_ref().map_err(|it| *it).and_then(check_header))),
            (Rule::Payload, Outcome::of(payload.as_ref().map(drop).map_err(|it| *it))),
            (Rule::Type, of_payload(&Payload::check_type)),
            (Rule::Expiry, of_payload(&|payload| payload.check_exp(now))),
            (Rule::NotBefore, of_payload(&|payload| payload.check_nbf(now))),
            (Rule::User, of_payload(&|payload| payload.user_id().map(drop))),
        ];
        Self { header: header.ok(), claims: claims.ok(), rules }
    }

    /// Whether a token like this is refused whatever its signature.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.rules.iter().any(|(_, outcome)| *outcome != Outcome::Kept)
    }
}

impl Outcome {
    fn of(checked: Result<(), TokenError>) -> Self {
        match checked {
            Ok(()) => Self::Kept,
            // The rule about the form reports it already.
            Err(TokenError::NotBase64(Part::Header | Part::Payload)) => Self::Unknown,
            Err(error) => Self::Broken(error),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "Exactly three parts of unpadded base64url, with no trailing bits",
            Self::Header => "A header object whose `alg` is exactly `HS256`, without `crit`",
            Self::Payload => "A payload object",
            Self::Type => "No `type` claim: such a token is not an access token",
            Self::Expiry => "`exp` is a number of seconds, later than now, with no leeway",
            Self::NotBefore => "`nbf`, if there is one, is a number of seconds, not later than now",
            Self::User => "`sub` is the user's id, a UUID with hyphens",
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(
    part: Part,
    encoded: Option<&&str>,
) -> Result<T, TokenError> {
    json(part, encoded.ok_or(TokenError::NotBase64(part))?)
}

fn check_form(parts: &[&str]) -> Result<(), TokenError> {
    let [header, payload, signature] = parts else {
        return Err(TokenError::NotThreeParts);
    };
    let parts = [(Part::Header, header), (Part::Signature, signature), (Part::Payload, payload)];
    parts.into_iter().try_for_each(|(part, encoded)| decode(part, encoded).map(drop))
}

//! Why a token is refused.

use std::fmt;

use thiserror::Error;

/// Why a token is refused, as the rest of a sentence. Clients should learn only that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// There are more or fewer than two dots.
    #[error("it does not consist of exactly three parts, separated by dots")]
    NotThreeParts,
    /// Padding, another alphabet, or trailing bits (RFC 4648 section 5).
    #[error("its {0} is not unpadded base64url")]
    NotBase64(Part),
    /// The part is not UTF-8, not JSON, or not an object.
    #[error("its {0} is not a JSON object")]
    NotAnObject(Part),
    /// `alg` is missing, or not exactly `HS256`.
    #[error("the `alg` in its header is not HS256")]
    OtherAlgorithm,
    /// The header has `crit` (RFC 7515 section 4.1.11).
    #[error("its header has `crit`, which requires extensions that are not supported")]
    CriticalExtension,
    /// The MAC does not match: another key, or other bytes.
    #[error("none of the keys made its signature, or it was changed afterwards")]
    WrongSignature,
    /// There is a `type` claim.
    #[error("it has a `type` claim, so it is not an access token")]
    OtherType,
    /// `exp` or `sub` is missing.
    #[error("it has no `{0}` claim")]
    MissingClaim(&'static str),
    /// `exp` or `nbf` is not a number.
    #[error("its `{0}` claim is not a number")]
    NotANumber(&'static str),
    /// `sub` is not a UUID in its hyphenated form.
    #[error("its `sub` claim is not a UUID with hyphens")]
    NotAUserId,
    /// `exp` is not in the future.
    #[error("it has expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("it is not valid yet, according to its `nbf` claim")]
    NotYetValid,
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Which algorithm signed it.
    Header,
    /// The claims.
    Payload,
    /// The MAC over the other two.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

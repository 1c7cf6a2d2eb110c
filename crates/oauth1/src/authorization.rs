//! Checking: an `Authorization: OAuth …` header taken apart, and its signature verified.
//!
//! RFC 5849 sections 3.2 and 3.5.1. Tolerant of order and of white space around the commas;
//! strict about everything that could give one header two readings, and bounded.

use std::fmt;

use secrecy::SecretString;
use thiserror::Error;

use crate::base_string::{Target, UrlError};
use crate::encoding::decode;
use crate::signature::SigningKey;

/// A header longer than this many bytes is not read.
const MAX_LENGTH: usize = 8 * 1024;
/// A header with more parameters than this is refused.
const MAX_PARAMETERS: usize = 32;

/// The parameters of an `Authorization: OAuth …` header. Its `Debug` shows only their names.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    parameters: Vec<(String, String)>,
}

/// Why a header can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Another scheme, or none.
    #[error("Authorization header is not of the OAuth scheme")]
    NotOAuth,
    /// More than 8 KiB, or more than 32 parameters.
    #[error("Authorization header is too long")]
    TooLong,
    /// Not a list of `name="percent-encoded value"`.
    #[error("malformed Authorization header")]
    Malformed,
    /// A parameter is there twice.
    #[error("parameter given twice: {0}")]
    Duplicate(String),
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckError {
    /// A parameter without which nothing can be checked is not there.
    #[error("parameter not found: {0}")]
    Missing(&'static str),
    /// `oauth_signature_method` is not `HMAC-SHA1`.
    #[error("unsupported signature method")]
    UnsupportedMethod,
    /// `oauth_version` is there and is not `1.0`.
    #[error("unsupported OAuth version")]
    UnsupportedVersion,
    /// The signature was made with other secrets or over another request.
    #[error("wrong signature")]
    WrongSignature,
    /// The URL has no base string.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl Authorization {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    ///
    /// Says why the header can't be read; see [`HeaderError`].
    pub fn parse(header: &str) -> Result<Self, HeaderError> {
        if header.len() > MAX_LENGTH {
            return Err(HeaderError::TooLong);
        }
        let (scheme, mut rest) =
            header.trim_ascii().split_once([' ', '\t']).ok_or(HeaderError::NotOAuth)?;
        if !scheme.eq_ignore_ascii_case("OAuth") {
            return Err(HeaderError::NotOAuth);
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        while !rest.is_empty() {
            let (name, value, after) = next_parameter(rest).ok_or(HeaderError::Malformed)?;
            if parameters.iter().any(|(seen, _)| *seen == name) {
                return Err(HeaderError::Duplicate(name));
            }
            if parameters.len() == MAX_PARAMETERS {
                return Err(HeaderError::TooLong);
            }
            parameters.push((name, value));
            rest = after;
        }
        Ok(Self { parameters })
    }

    /// The decoded value of a parameter; `None` when it is not there.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters();
        all.find(|(seen, _)| *seen == name).map(|(_, value)| value)
    }

    /// Every parameter, `realm` too, decoded and in the order of the header.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text that must have been signed.
    ///
    /// # Errors
    ///
    /// Refuses a URL that has no base string; see [`UrlError`].
    pub fn signature_base_string(&self, target: Target<'_>) -> Result<String, UrlError> {
        let signed =
            self.parameters().filter(|(name, _)| !matches!(*name, "realm" | "oauth_signature"));
        target.signature_base_string(signed)
    }

    /// Checks the signature, in constant time.
    ///
    /// `token_secret` is the secret that belongs to `oauth_token`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Says why the signature is refused; see [`CheckError`].
    pub fn verify(
        &self,
        target: Target<'_>,
        consumer_secret: &SecretString,
        token_secret: Option<&SecretString>,
    ) -> Result<(), CheckError> {
        let required = |name| self.parameter(name).ok_or(CheckError::Missing(name));
        if required("oauth_signature_method")? != "HMAC-SHA1" {
            return Err(CheckError::UnsupportedMethod);
        }
        if self.parameter("oauth_version").is_some_and(|version| version != "1.0") {
            return Err(CheckError::UnsupportedVersion);
        }
        let signature = required("oauth_signature")?;
        let base_string = self.signature_base_string(target)?;
        let key = SigningKey::new(consumer_secret, token_secret);
        if key.accepts(&base_string, signature) { Ok(()) } else { Err(CheckError::WrongSignature) }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.parameters().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// Reads one `name="value"`, and the comma after it when more is to come.
fn next_parameter(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_ascii();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let name = decode(name)?;
    let rest = rest.trim_ascii_start().strip_prefix('"')?;
    let (value, rest) = quoted(rest)?;
    // The realm is an ordinary quoted string (RFC 2617), everything else is percent-encoded.
    let value = if name == "realm" { value } else { decode(&value)? };
    let rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return Some((name, value, rest));
    }
    let rest = rest.strip_prefix(',')?.trim_ascii_start();
    (!rest.is_empty()).then_some((name, value, rest))
}

/// Reads up to the closing quote; a backslash takes the next character as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

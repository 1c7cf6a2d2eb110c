//! Checking: the protocol parameters of a request, and its signature (RFC 5849 section 3.2).
//!
//! Parameters come from the `Authorization: OAuth …` header, the query or the form body (section
//! 3.5). They may come in any order, with any white space around the header's commas; anything
//! ambiguous is refused, and everything is limited in size.

use std::fmt;

use secrecy::SecretString;
use thiserror::Error;

use crate::base_string::{Target, UrlError};
use crate::encoding::{decode, encode};
use crate::signature::SigningKey;

/// The maximum length, in bytes, of a header.
const MAX_LENGTH: usize = 8 * 1024;
/// The maximum number of protocol parameters of a request.
const MAX_PARAMETERS: usize = 32;

/// The protocol parameters of a request. Its `Debug` shows only their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorization {
    /// The header's parameters come first.
    parameters: Vec<(String, String)>,
    in_header: usize,
}

/// Why the protocol parameters of a request can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Another scheme, or none.
    #[error("Authorization header is not of the OAuth scheme")]
    NotOAuth,
    /// The header has more than 8 KiB.
    #[error("Authorization header is too long")]
    TooLong,
    /// There are more than 32 parameters.
    #[error("too many OAuth parameters")]
    TooMany,
    /// The header is not a list of `name="percent-encoded value"`.
    #[error("malformed Authorization header")]
    Malformed,
    /// A parameter of the query or the form body is not UTF-8.
    #[error("OAuth parameter is not UTF-8")]
    NotUtf8,
    /// A parameter is repeated in the same place or with different values.
    #[error("parameter given twice: {0}")]
    Duplicate(String),
    /// The URL has no base string.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckError {
    /// A required parameter is missing.
    #[error("parameter not found: {0}")]
    Missing(&'static str),
    /// `oauth_signature_method` is neither `HMAC-SHA1` nor `PLAINTEXT`.
    #[error("unsupported signature method")]
    UnsupportedMethod,
    /// `oauth_version` is present and is not `1.0`.
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
    /// Parses the value of an `Authorization` header.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn parse(header: &str) -> Result<Self, ReadError> {
        if header.len() > MAX_LENGTH {
            return Err(ReadError::TooLong);
        }
        let (scheme, mut rest) =
            header.trim_ascii().split_once([' ', '\t']).ok_or(ReadError::NotOAuth)?;
        if !scheme.eq_ignore_ascii_case("OAuth") {
            return Err(ReadError::NotOAuth);
        }
        let mut read = Self::default();
        while !rest.is_empty() {
            let (name, value, after) = next_parameter(rest).ok_or(ReadError::Malformed)?;
            read.add(name, value)?;
            rest = after;
        }
        read.in_header = read.parameters.len();
        Ok(read)
    }

    /// Collects the protocol parameters of a request from its header, query and form body.
    ///
    /// Section 3.5 requires all parameters in one place. Published clients ignore that: they send
    /// `oauth_verifier` in the query and the others in the header, or `oauth_callback` in both. So
    /// parameters may be spread, and the query or the form body may repeat one of the header's with
    /// the same value. A header of another scheme is ignored.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn of_request(header: Option<&str>, target: Target<'_>) -> Result<Self, ReadError> {
        let mut read = match header.map(Self::parse) {
            None | Some(Err(ReadError::NotOAuth)) => Self::default(),
            Some(parsed) => parsed?,
        };
        for (name, value) in target.protocol_parameters()? {
            let (name, value) = decode(&name).zip(decode(&value)).ok_or(ReadError::NotUtf8)?;
            read.remove_from_header(&name, &value);
            read.add(name, value)?;
        }
        Ok(read)
    }

    fn remove_from_header(&mut self, name: &str, value: &str) {
        let mut header = self.parameters.iter().take(self.in_header);
        if let Some(place) =
            header.position(|parameter| parameter.0 == name && parameter.1 == value)
        {
            self.parameters.remove(place);
            self.in_header -= 1;
        }
    }

    fn add(&mut self, name: String, value: String) -> Result<(), ReadError> {
        if self.parameter(&name).is_some() {
            return Err(ReadError::Duplicate(name));
        }
        if self.parameters.len() == MAX_PARAMETERS {
            return Err(ReadError::TooMany);
        }
        self.parameters.push((name, value));
        Ok(())
    }

    /// The decoded value of a parameter; `None` if it is missing.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters();
        all.find(|(seen, _)| *seen == name).map(|(_, value)| value)
    }

    /// Every parameter including `realm`, decoded, in the order of the request.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text that the client must have signed.
    ///
    /// # Errors
    ///
    /// If the URL has no base string, or the target has protocol parameters that were not
    /// collected; see [`UrlError`].
    pub fn signature_base_string(&self, target: Target<'_>) -> Result<String, UrlError> {
        let outside = self.parameters().skip(self.in_header);
        let outside = outside.map(|(name, value)| (encode(name), encode(value)));
        if !target.protocol_parameters()?.eq(outside) {
            return Err(UrlError::ProtocolParameter);
        }
        let header = self.parameters().take(self.in_header);
        target.base_string_with(
            header.filter(|(name, _)| !matches!(*name, "realm" | "oauth_signature")),
        )
    }

    /// Checks an HMAC-SHA1 or PLAINTEXT signature, in constant time.
    ///
    /// `token_secret` is the secret of `oauth_token`; `None` without a token.
    ///
    /// # Errors
    ///
    /// See [`CheckError`].
    pub fn verify(
        &self,
        target: Target<'_>,
        consumer_secret: &SecretString,
        token_secret: Option<&SecretString>,
    ) -> Result<(), CheckError> {
        let required = |name| self.parameter(name).ok_or(CheckError::Missing(name));
        let method = required("oauth_signature_method")?;
        if !matches!(method, "HMAC-SHA1" | "PLAINTEXT") {
            return Err(CheckError::UnsupportedMethod);
        }
        if self.parameter("oauth_version").is_some_and(|version| version != "1.0") {
            return Err(CheckError::UnsupportedVersion);
        }
        let signature = required("oauth_signature")?;
        let base_string = self.signature_base_string(target)?;
        let key = SigningKey::new(consumer_secret, token_secret);
        let accepted = match method {
            "PLAINTEXT" => key.accepts_plaintext(signature),
            _ => key.accepts(&base_string, signature),
        };
        if accepted { Ok(()) } else { Err(CheckError::WrongSignature) }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.parameters().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// Parses one `name="value"`, and the comma after it unless it is the last.
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

/// Parses up to the closing quote; a backslash escapes the next character.
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

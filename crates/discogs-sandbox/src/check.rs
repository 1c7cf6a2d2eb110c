//! What is checked of every API call: header, consumer, nonce, timestamp, signature.
//!
//! The words of the refusals matter, because clients look into them: only what is about the
//! consumer or the signature names these.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use oauth1::{Authorization, CheckError, HeaderError, Target};
use secrecy::SecretString;

use crate::answer::Answer;
use crate::desk::Desk;
use crate::options::Options;

/// The longest nonce that Discogs takes.
const MAX_NONCE_LENGTH: usize = 64;

/// A request that was read to its end.
pub(crate) struct Received {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

/// Why a call is refused before its step is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An OAuth parameter is not there.
    Missing(&'static str),
    /// The consumer key is not ours.
    UnknownConsumer,
    /// Made with other secrets, or over another request.
    WrongSignature,
    /// The nonce was seen before.
    UsedNonce,
    /// The timestamp is too far from the clock.
    Stale,
    /// Anything that can't be understood.
    Malformed(String),
}

/// A call whose consumer, nonce and timestamp are good; its signature is not yet checked.
pub(crate) struct Call {
    authorization: Authorization,
    nonce: String,
    timestamp: u64,
}

impl Received {
    /// A header as text; `None` when it is not there or not in visible ASCII.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn has_user_agent(&self) -> bool {
        let value = self.head.headers.get(USER_AGENT);
        value.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
    }

    pub(crate) fn authorization(&self) -> Result<Authorization, HeaderError> {
        let header = self.header(&AUTHORIZATION).ok_or(HeaderError::NotOAuth)?;
        Authorization::parse(header)
    }

    /// Scheme and host as the caller sees them.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.header(&HOST).unwrap_or_default())
    }

    /// The body, where it counts for the signature (RFC 5849 section 3.4.1.3.1).
    fn form(&self) -> Option<&str> {
        let content_type = self.header(&CONTENT_TYPE)?;
        let essence = content_type.split(';').next()?.trim();
        let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| str::from_utf8(&self.body).ok())?
    }
}

impl Call {
    /// Reads the header and checks everything but the signature.
    pub(crate) fn read(
        received: &Received,
        options: &Options,
        now: Duration,
    ) -> Result<Self, Refusal> {
        let authorization = received.authorization().map_err(|error| match error {
            HeaderError::NotOAuth => Refusal::Missing("oauth_consumer_key"),
            HeaderError::TooLong | HeaderError::Malformed | HeaderError::Duplicate(_) => {
                Refusal::Malformed(error.to_string())
            }
        })?;
        let required = |name| authorization.parameter(name).ok_or(Refusal::Missing(name));
        if required("oauth_consumer_key")? != options.consumer.key {
            return Err(Refusal::UnknownConsumer);
        }
        required("oauth_signature_method")?;
        required("oauth_signature")?;
        let nonce = required("oauth_nonce")?.to_owned();
        if nonce.is_empty() || nonce.len() > MAX_NONCE_LENGTH {
            let limits = format!("oauth_nonce must have 1 to {MAX_NONCE_LENGTH} characters");
            return Err(Refusal::Malformed(limits));
        }
        let timestamp = required("oauth_timestamp")?.parse().map_err(|_| {
            Refusal::Malformed("oauth_timestamp must be a number of seconds".to_owned())
        })?;
        if Duration::from_secs(timestamp).abs_diff(now) > options.timestamp_window {
            return Err(Refusal::Stale);
        }
        Ok(Self { authorization, nonce, timestamp })
    }

    /// A parameter of the step, which may be missing.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.authorization.parameter(name)
    }

    /// Checks the signature, and then uses the nonce up.
    pub(crate) fn verify(
        &self,
        received: &Received,
        token_secret: Option<&SecretString>,
        options: &Options,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        let url = format!("{}{}", received.base(), received.head.uri);
        let target =
            Target { method: received.head.method.as_str(), url: &url, form: received.form() };
        let secret = &options.consumer.secret;
        self.authorization.verify(target, secret, token_secret).map_err(|error| match error {
            CheckError::Missing(name) => Refusal::Missing(name),
            CheckError::WrongSignature => Refusal::WrongSignature,
            CheckError::UnsupportedMethod | CheckError::UnsupportedVersion | CheckError::Url(_) => {
                Refusal::Malformed(error.to_string())
            }
        })?;
        if desk.take_nonce(self.timestamp, &self.nonce) { Ok(()) } else { Err(Refusal::UsedNonce) }
    }
}

impl Refusal {
    pub(crate) fn answer(&self) -> Answer {
        let unauthorized = |text: &str| Answer::plain(StatusCode::UNAUTHORIZED, text);
        match self {
            Self::Missing(name) => unauthorized(&format!("Parameter not found: {name}")),
            Self::UnknownConsumer => unauthorized("Invalid consumer."),
            Self::WrongSignature => unauthorized("Invalid signature."),
            Self::UsedNonce => unauthorized("This oauth_nonce was used before."),
            Self::Stale => unauthorized("This oauth_timestamp is too far from the present."),
            Self::Malformed(why) => {
                let text = format!("The OAuth request could not be understood: {why}.");
                Answer::plain(StatusCode::BAD_REQUEST, text)
            }
        }
    }
}

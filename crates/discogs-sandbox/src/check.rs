//! The checks of every API call: OAuth parameters, consumer, nonce, timestamp, signature.
//!
//! Clients inspect the text of a refusal, so the words "consumer" and "signature" appear only in
//! refusals about those.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use oauth1::{Authorization, CheckError, ReadError, Target};
use secrecy::SecretString;

use crate::answer::Answer;
use crate::desk::Desk;
use crate::options::{Options, TokenSteps};
use crate::script::Step;

/// The longest nonce that Discogs accepts.
const MAX_NONCE_LENGTH: usize = 64;
/// The longest nonce that Discogs accepts where it issues tokens.
const MAX_NONCE_LENGTH_FOR_TOKENS: usize = 128;

/// A complete request.
pub(crate) struct Received {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

/// Why a call is refused before its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An OAuth parameter is missing.
    Missing(&'static str),
    /// The consumer key is unknown.
    UnknownConsumer,
    /// The signature was made with other secrets, or over another request.
    WrongSignature,
    /// The nonce was used before.
    UsedNonce,
    /// The timestamp is too far from the clock.
    Stale,
    /// The request is invalid otherwise.
    Malformed(String),
}

/// A call with a valid consumer, nonce and timestamp; its signature is not checked yet.
pub(crate) struct Call<'a> {
    received: &'a Received,
    url: String,
    authorization: Authorization,
    /// Timestamp and nonce, if the call has both.
    stamp: Option<(u64, String)>,
}

impl Received {
    /// A header as text; `None` if it is missing or not visible ASCII.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn has_user_agent(&self) -> bool {
        let value = self.head.headers.get(USER_AGENT);
        value.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
    }

    /// The `Authorization` header; two of them would be ambiguous.
    fn authorization_header(&self) -> Result<Option<&str>, Refusal> {
        if self.head.headers.get_all(AUTHORIZATION).iter().count() > 1 {
            return Err(Refusal::Malformed("more than one Authorization header".to_owned()));
        }
        Ok(self.header(&AUTHORIZATION))
    }

    /// What was signed, with the URL as the client sees it.
    fn target<'a>(&'a self, url: &'a str) -> Target<'a> {
        Target { method: self.head.method.as_str(), url, form: self.form() }
    }

    /// Scheme and host as the client sees them.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.header(&HOST).unwrap_or_default())
    }

    /// The body if it is part of the signature (RFC 5849 section 3.4.1.3.1).
    fn form(&self) -> Option<&str> {
        let content_type = self.header(&CONTENT_TYPE)?;
        let essence = content_type.split(';').next()?.trim();
        let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| str::from_utf8(&self.body).ok())?
    }
}

impl<'a> Call<'a> {
    /// Collects the OAuth parameters and checks everything but the signature.
    pub(crate) fn read(
        step: Step,
        received: &'a Received,
        options: &Options,
        now: Duration,
    ) -> Result<Self, Refusal> {
        let url = format!("{}{}", received.base(), received.head.uri);
        let header = received.authorization_header()?;
        let authorization = Authorization::of_request(header, received.target(&url))?;
        let required = |name| authorization.parameter(name).ok_or(Refusal::Missing(name));
        if required("oauth_consumer_key")? != options.consumer.key {
            return Err(Refusal::UnknownConsumer);
        }
        let method = required("oauth_signature_method")?;
        required("oauth_signature")?;
        // RFC 5849 section 3.1: PLAINTEXT needs neither a nonce nor a timestamp.
        if method != "PLAINTEXT" {
            required("oauth_nonce")?;
            required("oauth_timestamp")?;
        }
        let lenient = options.token_steps == TokenSteps::Lenient && step != Step::Identity;
        let nonce = authorization.parameter("oauth_nonce");
        let nonce = nonce.map(|nonce| checked_nonce(nonce, lenient)).transpose()?;
        let timestamp = authorization.parameter("oauth_timestamp");
        let timestamp = timestamp
            .map(|timestamp| checked_timestamp(timestamp, lenient, options, now))
            .transpose()?;
        let stamp = timestamp.zip(nonce);
        Ok(Self { received, url, authorization, stamp })
    }

    /// A parameter of the step; `None` if it is missing.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.authorization.parameter(name)
    }

    /// Checks the signature, then records the nonce.
    pub(crate) fn verify(
        &self,
        token_secret: Option<&SecretString>,
        options: &Options,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        let target = self.received.target(&self.url);
        self.authorization.verify(target, &options.consumer.secret, token_secret)?;
        match &self.stamp {
            Some((timestamp, nonce)) if !desk.take_nonce(*timestamp, nonce) => {
                Err(Refusal::UsedNonce)
            }
            _ => Ok(()),
        }
    }
}

fn checked_nonce(nonce: &str, lenient: bool) -> Result<String, Refusal> {
    let longest = if lenient { MAX_NONCE_LENGTH_FOR_TOKENS } else { MAX_NONCE_LENGTH };
    if nonce.is_empty() || nonce.len() > longest {
        let limits = format!("oauth_nonce must have 1 to {longest} characters");
        return Err(Refusal::Malformed(limits));
    }
    Ok(nonce.to_owned())
}

fn checked_timestamp(
    timestamp: &str,
    lenient: bool,
    options: &Options,
    now: Duration,
) -> Result<u64, Refusal> {
    let timestamp = timestamp.parse().map_err(|_| {
        Refusal::Malformed("oauth_timestamp must be a number of seconds".to_owned())
    })?;
    let is_near = |time: Duration| time.abs_diff(now) <= options.timestamp_window;
    let is_recent = is_near(Duration::from_secs(timestamp))
        || (lenient && is_near(Duration::from_millis(timestamp)));
    if is_recent { Ok(timestamp) } else { Err(Refusal::Stale) }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Missing(name) => Self::Missing(name),
            CheckError::WrongSignature => Self::WrongSignature,
            CheckError::UnsupportedMethod | CheckError::UnsupportedVersion | CheckError::Url(_) => {
                Self::Malformed(error.to_string())
            }
        }
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

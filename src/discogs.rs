//! Discogs as an OAuth 1.0a server, out of band (RFC 5849 section 2): the three calls and the page.
//!
//! Maps Discogs's answers to [`DiscogsError`]. Bodies are parsed and never shown or logged. Must not
//! know users or storage.

mod answer;
mod endpoint;
mod probe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth1::{Consumer, Request, Target, Token};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, header};
use secrecy::ExposeSecret as _;
use thiserror::Error;

use crate::clock::{self, Clock};
use crate::config::{DiscogsConfig, DiscogsProxy};
use crate::metrics::Metrics;
use crate::model::{DiscogsIdentity, DiscogsToken, Verifier};
use crate::random::Random;
use crate::tls;
use answer::Answer;

pub use endpoint::{CallOutcome, Endpoint};
pub use probe::Probe;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call may take, from the first byte sent to the last one received.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// A call is retried only if at least this much of the request's time is left.
const LEFT_FOR_RETRY: Duration = Duration::from_secs(9);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Shorter than intermediaries usually keep an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Every character but the unreserved ones (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Calls Discogs.
#[derive(Debug, Clone)]
pub struct Discogs {
    client: reqwest::Client,
    config: DiscogsConfig,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
}

/// Why a call to Discogs failed.
#[derive(Debug, Error)]
pub enum DiscogsError {
    /// The consumer key or secret is wrong.
    #[error("discogs refuses the app's credentials at {step} with status {status}")]
    CredentialsRejected {
        /// Which call.
        step: &'static str,
        /// The status of the answer.
        status: u16,
    },
    /// The PIN is wrong, or the request token is no longer valid.
    #[error("discogs refuses the verifier with status {status}")]
    VerifierRejected {
        /// The status of the answer.
        status: u16,
    },
    /// Too many calls.
    #[error("discogs asks to wait for {} s", .retry_after.as_secs())]
    RateLimited {
        /// 1 to 300 seconds.
        retry_after: Duration,
    },
    /// A page in front of Discogs blocks the service, by address or `User-Agent`.
    #[error("a block page in front of discogs answers {step} with status {status}")]
    Blocked {
        /// Which call.
        step: &'static str,
        /// The status of the answer.
        status: u16,
    },
    /// No answer, or an invalid one.
    #[error("discogs is unavailable at {step}: {what}")]
    Unavailable {
        /// Which call.
        step: &'static str,
        /// What happened instead.
        what: String,
        /// Why the connection failed; `None` if it did not.
        source: Option<reqwest::Error>,
    },
}

/// A call before it is signed.
struct UnsignedCall<'a> {
    method: Method,
    endpoint: Endpoint,
    consumer: &'a Consumer,
    token: Option<&'a Token>,
    callback: Option<&'a str>,
    verifier: Option<&'a str>,
}

/// Why a call got no answer.
enum CallFailure {
    /// Connecting failed, or the connection broke.
    Connection(reqwest::Error),
    TimedOut,
    /// The call could not be sent.
    Other(String),
}

impl Discogs {
    /// Prepares a pooled client without sending anything.
    ///
    /// # Errors
    ///
    /// If TLS can't be set up on this machine.
    pub fn new(
        config: DiscogsConfig,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> reqwest::Result<Self> {
        let mut tls = tls::client(tls::public_roots());
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(&config.user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        let client = match &config.proxy {
            Some(proxy) => client.proxy(through(proxy)?).build()?,
            None => client.build()?,
        };
        Ok(Self { client, config, clock, random, metrics })
    }

    /// Requests a request token, the "temporary credentials" of RFC 5849 section 2.1.
    ///
    /// # Errors
    ///
    /// See [`DiscogsError`], after a retry if the call failed on the way or on Discogs's side.
    pub async fn request_token(
        &self,
        consumer: &Consumer,
        until: Instant,
    ) -> Result<Token, DiscogsError> {
        let call = UnsignedCall {
            method: Method::GET,
            endpoint: Endpoint::RequestToken,
            consumer,
            token: None,
            callback: Some("oob"),
            verifier: None,
        };
        let step = call.endpoint.as_str();
        let answer = self.get(&call, until).await?;
        match answer.status {
            200..=299 => answer.token(step),
            status @ (400 | 401) => Err(DiscogsError::CredentialsRejected { step, status }),
            _ => Err(answer.refusal(step)),
        }
    }

    /// The URL of the page where the user approves (RFC 5849 section 2.2).
    #[must_use]
    pub fn authorize_url(&self, request_token: &str) -> String {
        let token = utf8_percent_encode(request_token, RESERVED);
        format!("{}/oauth/authorize?oauth_token={token}", self.config.web_url)
    }

    /// Exchanges an approved request token for the permanent one (RFC 5849 section 2.3).
    ///
    /// Never retried: a second exchange could invalidate the first.
    ///
    /// # Errors
    ///
    /// See [`DiscogsError`].
    pub async fn access_token(
        &self,
        consumer: &Consumer,
        request_token: &Token,
        verifier: &Verifier,
        until: Instant,
    ) -> Result<DiscogsToken, DiscogsError> {
        let call = UnsignedCall {
            method: Method::POST,
            endpoint: Endpoint::AccessToken,
            consumer,
            token: Some(request_token),
            callback: None,
            verifier: Some(verifier.as_str()),
        };
        let step = call.endpoint.as_str();
        let answer = self.send(&call, until).await.map_err(|failure| failure.at(step))?;
        match answer.status {
            200..=299 => answer.token(step).map(DiscogsToken),
            status @ (400 | 401) if answer.names_the_app(verifier.as_str()) => {
                Err(DiscogsError::CredentialsRejected { step, status })
            }
            status @ (400 | 401) => Err(DiscogsError::VerifierRejected { status }),
            _ => Err(answer.refusal(step)),
        }
    }

    /// Requests the identity of the user that a token belongs to.
    ///
    /// # Errors
    ///
    /// See [`DiscogsError`], after a retry if the call failed on the way or on Discogs's side.
    pub async fn identity(
        &self,
        consumer: &Consumer,
        token: &DiscogsToken,
        until: Instant,
    ) -> Result<DiscogsIdentity, DiscogsError> {
        let call = UnsignedCall {
            method: Method::GET,
            endpoint: Endpoint::Identity,
            consumer,
            token: Some(&token.0),
            callback: None,
            verifier: None,
        };
        let step = call.endpoint.as_str();
        let answer = self.get(&call, until).await?;
        match answer.status {
            200..=299 => answer.identity(step),
            _ => Err(answer.refusal(step)),
        }
    }

    /// Sends a GET, and retries it once if the connection or Discogs failed (5xx).
    async fn get(&self, call: &UnsignedCall<'_>, until: Instant) -> Result<Answer, DiscogsError> {
        let first = self.send(call, until).await;
        let has_failed = match &first {
            Ok(answer) => (500..=599).contains(&answer.status),
            Err(CallFailure::Connection(_)) => true,
            Err(CallFailure::TimedOut | CallFailure::Other(_)) => false,
        };
        let pause = self.random.between(SHORTEST_PAUSE, LONGEST_PAUSE);
        if !has_failed || until.saturating_duration_since(Instant::now()) < LEFT_FOR_RETRY + pause {
            return first.map_err(|failure| failure.at(call.endpoint.as_str()));
        }
        clock::pause(pause).await;
        self.send(call, until).await.map_err(|failure| failure.at(call.endpoint.as_str()))
    }

    /// Sends a call and counts its outcome.
    async fn send(&self, call: &UnsignedCall<'_>, until: Instant) -> Result<Answer, CallFailure> {
        let begun = Instant::now();
        let answer = self.ask(call, until).await;
        if let Err(CallFailure::Other(_)) = &answer {
            return answer; // Nothing was sent.
        }
        self.metrics.discogs_durations.get_or_create(&call.endpoint).observe(begun.elapsed());
        let outcome = answer.as_ref().map_or(CallOutcome::NoAnswer, Answer::outcome);
        self.metrics.discogs_requests.get_or_create(&(call.endpoint, outcome)).inc();
        if let Some(remaining) = answer.as_ref().ok().and_then(|answer| answer.rate_remaining) {
            self.metrics.discogs_rate_remaining.set(remaining);
        }
        answer
    }

    async fn ask(&self, call: &UnsignedCall<'_>, until: Instant) -> Result<Answer, CallFailure> {
        let url = format!("{}/oauth/{}", self.config.api_url, call.endpoint.as_str());
        let request = Request {
            target: Target::new(call.method.as_str(), &url),
            consumer: call.consumer,
            token: call.token,
            callback: call.callback,
            verifier: call.verifier,
            nonce: &self.random.hex(),
            timestamp: self.clock.now().as_seconds(),
        };
        let authorization =
            request.authorization().map_err(|error| CallFailure::Other(error.to_string()))?;
        let mut authorization = header::HeaderValue::try_from(authorization)
            .map_err(|_| CallFailure::Other("the app's credentials fit in no header".to_owned()))?;
        authorization.set_sensitive(true);
        let left = until.saturating_duration_since(Instant::now());
        let mut request = self
            .client
            .request(call.method.clone(), &url)
            .timeout(left.min(ANSWER_TIMEOUT))
            .header(header::AUTHORIZATION, authorization);
        if call.method == Method::POST {
            // Intermediaries may refuse a POST without a length (411).
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::CONTENT_LENGTH, 0);
        }
        let response = request.send().await.map_err(CallFailure::from)?;
        Answer::read(response, self.clock.now()).await.map_err(CallFailure::from)
    }
}

/// Uses the proxy only for HTTPS, so that it learns nothing but the host.
fn through(DiscogsProxy { url, except }: &DiscogsProxy) -> reqwest::Result<reqwest::Proxy> {
    let proxy = reqwest::Proxy::https(url.expose_secret())?;
    Ok(proxy.no_proxy(reqwest::NoProxy::from_string(except)))
}

impl CallFailure {
    fn at(self, step: &'static str) -> DiscogsError {
        let (what, source) = match self {
            Self::Connection(error) => ("the connection failed".to_owned(), Some(error)),
            Self::TimedOut => ("no answer in time".to_owned(), None),
            Self::Other(what) => (what, None),
        };
        DiscogsError::Unavailable { step, what, source }
    }
}

impl From<reqwest::Error> for CallFailure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let error = error.without_url();
        if error.is_builder() { Self::Other(error.to_string()) } else { Self::Connection(error) }
    }
}

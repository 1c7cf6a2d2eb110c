//! Discogs as an OAuth 1.0a server, out of band (RFC 5849 section 2): the three calls and the page.
//!
//! What Discogs answers is turned into [`DiscogsError`] here and nowhere else. Bodies are looked
//! at and never shown or logged. Must not know users or storage.

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
use crate::model::{DiscogsToken, Identity, Verifier};
use crate::random::Random;
use crate::tls;
use answer::Answer;

pub use endpoint::{CallOutcome, Endpoint};
pub use probe::Greeting;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One answer, from the first byte sent to the last one received.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// A call is made a second time only when at least this much of the request's time is left.
const LEFT_FOR_SECOND_TRY: Duration = Duration::from_secs(9);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Shorter than a server in between is likely to keep an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What RFC 3986 section 2.3 leaves as it is.
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

/// Why Discogs did not give what it was asked for.
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
    /// The PIN is wrong, or the request token is no longer good.
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
    /// A page in front of Discogs keeps us out, by address or `User-Agent`.
    #[error("a block page in front of discogs answers {step} with status {status}")]
    Blocked {
        /// Which call.
        step: &'static str,
        /// The status of the answer.
        status: u16,
    },
    /// No answer, or one that makes no sense.
    #[error("discogs is unavailable at {step}: {what}")]
    Unavailable {
        /// Which call.
        step: &'static str,
        /// What happened instead.
        what: String,
        /// Why the connection failed, where that is what happened.
        source: Option<reqwest::Error>,
    },
}

/// One call, before it is signed.
struct Call<'a> {
    method: Method,
    endpoint: Endpoint,
    consumer: &'a Consumer,
    token: Option<&'a Token>,
    callback: Option<&'a str>,
    verifier: Option<&'a str>,
}

/// Why a call has no answer.
enum Failure {
    /// The connection could not be made, or broke.
    Connection(reqwest::Error),
    TimedOut,
    /// The call itself is impossible.
    Other(String),
}

impl Discogs {
    /// Prepares one pooled client; nothing is sent.
    ///
    /// # Errors
    ///
    /// Where TLS can't be set up on this machine.
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

    /// Asks for a request token; "temporary credentials" in RFC 5849 section 2.1.
    ///
    /// # Errors
    ///
    /// See [`DiscogsError`]; a second try is made where that is harmless.
    pub async fn request_token(
        &self,
        consumer: &Consumer,
        until: Instant,
    ) -> Result<Token, DiscogsError> {
        let call = Call {
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

    /// The page on which a person approves; RFC 5849 section 2.2.
    #[must_use]
    pub fn authorize_url(&self, request_token: &str) -> String {
        let token = utf8_percent_encode(request_token, RESERVED);
        format!("{}/oauth/authorize?oauth_token={token}", self.config.web_url)
    }

    /// Exchanges an approved request token for the permanent one; RFC 5849 section 2.3.
    ///
    /// Sent once, whatever happens: a second time could spoil what the first one achieved.
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
        let call = Call {
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

    /// Asks whose token it is.
    ///
    /// # Errors
    ///
    /// See [`DiscogsError`]; a second try is made where that is harmless.
    pub async fn identity(
        &self,
        consumer: &Consumer,
        token: &DiscogsToken,
        until: Instant,
    ) -> Result<Identity, DiscogsError> {
        let call = Call {
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

    /// Sends a GET, and once more where the connection failed or Discogs did (5xx).
    async fn get(&self, call: &Call<'_>, until: Instant) -> Result<Answer, DiscogsError> {
        let first = self.send(call, until).await;
        let has_failed = match &first {
            Ok(answer) => (500..=599).contains(&answer.status),
            Err(Failure::Connection(_)) => true,
            Err(Failure::TimedOut | Failure::Other(_)) => false,
        };
        let pause = self.random.between(SHORTEST_PAUSE, LONGEST_PAUSE);
        if !has_failed
            || until.saturating_duration_since(Instant::now()) < LEFT_FOR_SECOND_TRY + pause
        {
            return first.map_err(|failure| failure.at(call.endpoint.as_str()));
        }
        clock::pause(pause).await;
        self.send(call, until).await.map_err(|failure| failure.at(call.endpoint.as_str()))
    }

    /// Sends a request, and counts what came of it.
    async fn send(&self, call: &Call<'_>, until: Instant) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let answer = self.ask(call, until).await;
        if let Err(Failure::Other(_)) = &answer {
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

    async fn ask(&self, call: &Call<'_>, until: Instant) -> Result<Answer, Failure> {
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
            request.authorization().map_err(|error| Failure::Other(error.to_string()))?;
        let mut authorization = header::HeaderValue::try_from(authorization)
            .map_err(|_| Failure::Other("the app's credentials fit in no header".to_owned()))?;
        authorization.set_sensitive(true);
        let left = until.saturating_duration_since(Instant::now());
        let mut request = self
            .client
            .request(call.method.clone(), &url)
            .timeout(left.min(ANSWER_TIMEOUT))
            .header(header::AUTHORIZATION, authorization);
        if call.method == Method::POST {
            // What stands in front of a server may refuse a POST without a length (411).
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::CONTENT_LENGTH, 0);
        }
        let response = request.send().await.map_err(Failure::from)?;
        Answer::read(response, self.clock.now()).await.map_err(Failure::from)
    }
}

/// Only what is encrypted to its end goes through the proxy, which then learns the host alone.
fn through(DiscogsProxy { url, except }: &DiscogsProxy) -> reqwest::Result<reqwest::Proxy> {
    let proxy = reqwest::Proxy::https(url.expose_secret())?;
    Ok(proxy.no_proxy(reqwest::NoProxy::from_string(except)))
}

impl Failure {
    fn at(self, step: &'static str) -> DiscogsError {
        let (what, source) = match self {
            Self::Connection(error) => ("the connection failed".to_owned(), Some(error)),
            Self::TimedOut => ("no answer in time".to_owned(), None),
            Self::Other(what) => (what, None),
        };
        DiscogsError::Unavailable { step, what, source }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let error = error.without_url();
        if error.is_builder() { Self::Other(error.to_string()) } else { Self::Connection(error) }
    }
}

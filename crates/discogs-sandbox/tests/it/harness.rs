//! A sandbox, a client that signs, and a clock that tests move.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use discogs_sandbox::{Options, Sandbox};
use oauth1::{Consumer, Request, Target, Token};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use tokio::net::TcpListener;

pub(crate) const USER_AGENT: &str = "SandboxTests/1.0 +https://example.com";

pub(crate) struct App {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) consumer: Consumer,
    seconds: Arc<AtomicU64>,
    nonces: AtomicU64,
}

/// What a call is signed with, apart from the consumer.
#[derive(Clone, Copy, Default)]
pub(crate) struct With<'a> {
    pub(crate) token: Option<&'a Token>,
    pub(crate) callback: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts without a rate limit, with options changed by `change`.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let seconds = Arc::new(AtomicU64::new(1_790_000_000));
        let clock = Arc::clone(&seconds);
        let clock = Arc::new(move || Duration::from_secs(clock.load(Ordering::SeqCst)));
        let mut options = Options::new(clock, 7);
        options.rate_limit = None;
        change(&mut options);
        let consumer = options.consumer.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            sandbox: Sandbox::start(listener, options).unwrap(),
            client: client(),
            consumer,
            seconds,
            nonces: AtomicU64::new(0),
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.seconds.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub(crate) fn nonce(&self) -> String {
        format!("{:032x}", self.nonces.fetch_add(1, Ordering::SeqCst))
    }

    /// The header of a call that is signed now, with a new nonce.
    pub(crate) fn header(&self, method: &Method, path: &str, with: With<'_>) -> String {
        self.header_by(&self.consumer, method, path, with)
    }

    pub(crate) fn header_by(
        &self,
        consumer: &Consumer,
        method: &Method,
        path: &str,
        with: With<'_>,
    ) -> String {
        Request {
            target: Target::new(method.as_str(), &self.url(path)),
            consumer,
            token: with.token,
            callback: with.callback,
            verifier: with.verifier,
            nonce: &self.nonce(),
            timestamp: self.now(),
        }
        .authorization()
        .unwrap()
    }

    pub(crate) fn call(&self, method: Method, path: &str, header: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .header("authorization", header)
            .header("user-agent", USER_AGENT)
    }

    pub(crate) fn start_call(&self) -> RequestBuilder {
        let path = "/oauth/request_token";
        let with = With { callback: Some("oob"), ..With::default() };
        self.call(Method::GET, path, &self.header(&Method::GET, path, with))
    }

    pub(crate) fn exchange_call(&self, token: &Token, verifier: &str) -> RequestBuilder {
        let path = "/oauth/access_token";
        let with = With { token: Some(token), verifier: Some(verifier), ..With::default() };
        self.call(Method::POST, path, &self.header(&Method::POST, path, with))
            .header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn identity_call(&self, token: &Token) -> RequestBuilder {
        let path = "/oauth/identity";
        let with = With { token: Some(token), ..With::default() };
        self.call(Method::GET, path, &self.header(&Method::GET, path, with))
    }

    pub(crate) async fn request_token(&self) -> Token {
        token_in(self.start_call().send().await.unwrap()).await
    }

    pub(crate) async fn access_token(&self) -> Token {
        let token = self.request_token().await;
        let verifier = self.sandbox.approve(&token.token).unwrap();
        let call = self.exchange_call(&token, &verifier);
        token_in(call.send().await.unwrap()).await
    }
}

fn client() -> Client {
    // The client needs one even for plain HTTP; in the second test it is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = reqwest::redirect::Policy::none();
    let builder = Client::builder().redirect(redirects).no_proxy();
    // A retry on an idle connection would take the fault of another call.
    builder.pool_max_idle_per_host(0).build().unwrap()
}

pub(crate) async fn pairs_in(response: Response) -> HashMap<String, String> {
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.bytes().await.unwrap();
    form_urlencoded::parse(&body).into_owned().collect()
}

pub(crate) async fn token_in(response: Response) -> Token {
    let pairs = pairs_in(response).await;
    Token {
        token: pairs["oauth_token"].clone(),
        secret: SecretString::from(pairs["oauth_token_secret"].clone()),
    }
}

/// Asserts a whole plain-text refusal.
pub(crate) async fn assert_plain(response: Response, status: u16, text: &str) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), text);
}

/// Asserts a whole `{"message": …}` refusal.
pub(crate) async fn assert_message(response: Response, status: u16, message: &str) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.text().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, serde_json::json!({ "message": message }));
}

//! How a call can fail on request.

use std::time::Duration;

use serde_json::json;

/// What happens to a call instead of its step, or in addition.
///
/// Unless a variant says otherwise, the step is not performed: no token is issued or used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A fixed answer.
    Answer(Canned),
    /// The step is performed after this time, unless the client has hung up.
    Delay(Duration),
    /// The call is accepted and never answered.
    Hang,
    /// The connection is reset: TCP RST.
    Reset,
    /// The connection is closed without an answer.
    Close,
    /// Bytes that are not HTTP, then the connection is closed.
    Garbage,
    /// A `Content-Length` longer than the body, then the connection is closed.
    HalfAnswer,
    /// Status 200 and a body that never ends.
    EndlessBody,
    /// The step is performed, its answer is discarded, and then this happens.
    AfterStep(Box<Fault>),
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canned {
    /// The status, 200 to 599.
    pub status: u16,
    /// The headers, including any `Content-Type`; `Content-Length` is added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Fault {
    /// Any status with any body.
    #[must_use]
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(Canned {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        })
    }

    /// Any status with plain text.
    #[must_use]
    pub fn plain(status: u16, text: &str) -> Self {
        Self::answer(status, "text/plain; charset=utf-8", text)
    }

    /// 500 with an HTML page.
    #[must_use]
    pub fn server_error() -> Self {
        Self::answer(500, "text/html", "<h1>Internal Server Error</h1>")
    }

    /// 302 to another address.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::plain(302, "Found").with_header("location", location)
    }

    /// A block page of the CDN, in HTML; its status is 403 or 503.
    #[must_use]
    pub fn block_page(status: u16) -> Self {
        let page = "<!DOCTYPE html><title>Access denied</title><h1>You have been blocked</h1>";
        Self::answer(status, "text/html; charset=UTF-8", page)
    }

    /// Status 429, with any `Retry-After` or none.
    #[must_use]
    pub fn rate_limited(retry_after: Option<&str>) -> Self {
        let body = json!({ "message": "You are making requests too quickly." });
        let answer = Self::answer(429, "application/json", body.to_string());
        match retry_after {
            Some(value) => answer.with_header("retry-after", value),
            None => answer,
        }
    }

    /// Status 200 with a body that is neither a form nor JSON.
    #[must_use]
    pub fn nonsense() -> Self {
        Self::plain(200, "It works!")
    }

    /// 200 with an empty token and an empty secret.
    #[must_use]
    pub fn empty_token() -> Self {
        let form = "application/x-www-form-urlencoded";
        let body = "oauth_token=&oauth_token_secret=&oauth_callback_confirmed=true";
        Self::answer(200, form, body)
    }

    /// 200 with a body of exactly this many bytes.
    #[must_use]
    pub fn huge_body(length: usize) -> Self {
        Self::answer(200, "text/plain; charset=utf-8", vec![b'a'; length])
    }

    /// 200 with this JSON as the identity, for instance one without `id` or `username`.
    #[must_use]
    pub fn identity(json: &serde_json::Value) -> Self {
        Self::answer(200, "application/json", json.to_string())
    }

    /// The step is performed, and the connection is closed without an answer.
    #[must_use]
    pub fn answer_lost() -> Self {
        Self::AfterStep(Box::new(Self::Close))
    }

    /// Adds a header to a fixed answer; other faults have none and stay the same.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer(canned) = &mut self {
            canned.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

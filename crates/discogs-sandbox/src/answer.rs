//! The sandbox's answers before they become HTTP.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// Content type of the form-encoded answers.
const FORM: &str = "application/x-www-form-urlencoded";
/// Content type of explanations.
const PLAIN: &str = "text/plain; charset=utf-8";
/// Content type of JSON.
const JSON: &str = "application/json";

/// A status, headers and a body.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))],
            body: Bytes::from(body),
        }
    }

    pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, PLAIN, text.into())
    }

    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::new(status, JSON, value.to_string())
    }

    /// `{"message": "…"}`, the shape of every JSON refusal.
    pub(crate) fn message(status: StatusCode, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": message }))
    }

    pub(crate) fn form(pairs: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(pairs);
        Self::new(StatusCode::OK, FORM, body.finish())
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

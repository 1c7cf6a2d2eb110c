//! An answer, with everything that tests inspect.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// The codes of a 503 that is not worth waiting for.
pub(super) const WITHOUT_RETRY_AFTER: [&str; 3] =
    ["discogs_not_configured", "second_factor_unavailable", "secret_unreadable"];

/// Returns the whole JSON of an active user, as `register` and `me` return it.
pub(crate) fn user_json(id: impl Into<Value>, email: &str, created_at: impl Into<Value>) -> Value {
    json!({
        "id": id.into(),
        "email": email,
        "is_active": true,
        "created_at": created_at.into(),
    })
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns one header; `None` if it is absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the status and the whole JSON body.
    #[track_caller]
    pub(crate) fn assert(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.json()), (status, body));
    }

    /// Asserts an error with its headers and the whole body.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str, detail: &str) {
        self.assert(status, &json!({ "detail": detail, "code": code }));
        assert_eq!(self.header("content-type"), Some("application/json"));
        let authenticate = if status == 401 { Some("Bearer") } else { None };
        assert_eq!(self.header("www-authenticate"), authenticate);
        let may_be_retried = status == 503 && !WITHOUT_RETRY_AFTER.contains(&code);
        assert_eq!(self.header("retry-after").is_some(), may_be_retried, "{self:?}");
    }

    /// Asserts that the body is refused for exactly one field.
    #[track_caller]
    pub(crate) fn assert_refused(&self, field: &str, kind: &str, msg: &str) {
        let error = json!({ "type": kind, "loc": ["body", field], "msg": msg });
        self.assert(422, &json!({ "detail": [error], "code": "invalid_input" }));
    }
}

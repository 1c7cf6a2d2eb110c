//! Invalid input at every route with a body: its errors, and that it has no effect.
//!
//! Here: bodies that are not a JSON object. [`fields`]: invalid fields of an object. [`size`]: the length
//! and the content type of a body. [`order`]: the order of checks.

mod fields;
mod order;
mod size;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, TestApp, on_both_compositions};

on_both_compositions!(
    malformed_json_is_located_by_its_byte,
    text_that_is_not_unicode_is_not_json,
    json_that_is_too_deep_or_has_an_invalid_number_is_refused,
    json_that_is_not_an_object_is_rejected,
    an_empty_body_and_null_are_missing,
);

/// A route with a body, and an actor who may call it.
pub(super) struct Form {
    pub(super) caller: Actor,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) fields: &'static [&'static str],
}

impl Form {
    pub(super) async fn send(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.caller.send_body(self.method.clone(), self.path, body).await
    }
}

/// Returns the four routes with a body.
pub(super) async fn forms(app: &TestApp) -> [Form; 4] {
    let (anonymous, alice, admin) = (app.anonymous(), app.user("alice").await, app.admin().await);
    let form = |caller: &Actor, method, path, fields| {
        let caller = caller.clone();
        Form { caller, method, path, fields }
    };
    [
        form(&anonymous, Method::POST, "/api/auth/register", &["email", "password"]),
        form(&anonymous, Method::POST, "/api/auth/login", &["email", "password"]),
        form(&alice, Method::POST, "/api/oauth/verify/discogs", &["state", "oauth_verifier"]),
        form(&admin, Method::PUT, "/api/admin/config/discogs_consumer_key", &["value"]),
    ]
}

/// Returns the answer to a body with exactly these errors.
pub(super) fn invalid(errors: &Value) -> Value {
    json!({ "detail": errors, "code": "invalid_input" })
}

/// Asserts the offset at which each body is malformed.
async fn assert_malformed(app: &TestApp, bodies: &[(&[u8], usize)]) {
    let expected = bodies.iter().map(|(body, offset)| {
        let loc = json!(["body", offset]);
        let error = json!({ "type": "json_invalid", "loc": loc, "msg": "JSON decode error" });
        (String::from_utf8_lossy(body), 422, invalid(&json!([error])))
    });
    let expected: Vec<_> = expected.collect();
    for form in forms(app).await {
        let mut told = Vec::new();
        for (body, _) in bodies {
            let answer = form.send(body.to_vec()).await;
            told.push((String::from_utf8_lossy(body), answer.status, answer.json()));
        }
        assert_eq!(told, expected, "{}", form.path);
    }
}

async fn malformed_json_is_located_by_its_byte(app: TestApp) {
    let bodies: [(&[u8], usize); 14] = [
        (b"{", 1),
        (b"nul", 3),
        (b"   ", 3),
        (b"password=secret", 0),
        (b"{'email': 1}", 1),
        (b"{\"email\": x}", 10),
        (b"{\"email\" 1}", 9),
        (b"{\"email\": \"a\" \"password\": 1}", 14),
        (b"{\"email\": 1,}", 12),
        (b"{\"email\": \"a\nb\"}", 12),
        (b"{} {}", 3),
        (b"\xef\xbb\xbf{}", 0),
        ("{\n \"ä\": 1,\n \"b\": ?}".as_bytes(), 18),
        (b"{\"email\": \"a\\x\"}", 13),
    ];
    assert_malformed(&app, &bodies).await;
}

async fn text_that_is_not_unicode_is_not_json(app: TestApp) {
    let bodies: [(&[u8], usize); 6] = [
        (b"{\"email\": \"a\xffb\"}", 12),
        (b"{\"email\": \"\xed\xa0\x80\"}", 11),
        (b"{\"email\": \"\xc3", 12),
        (b"{\"email\": \"\\ud800\"}", 17),
        (b"{\"email\": \"\\ud800\\u0041\"}", 22),
        (b"{\"email\": \"\\udc00\"}", 16),
    ];
    assert_malformed(&app, &bodies).await;
}

async fn json_that_is_too_deep_or_has_an_invalid_number_is_refused(app: TestApp) {
    let deep = format!("{{\"email\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let bodies: [(&[u8], usize); 5] = [
        (deep.as_bytes(), 136),
        (b"{\"email\": 1e400}", 14),
        (b"{\"email\": -1e400, \"password\": 1}", 15),
        (b"{\"email\": NaN}", 10),
        (b"{\"email\": 01}", 11),
    ];
    assert_malformed(&app, &bodies).await;
}

async fn json_that_is_not_an_object_is_rejected(app: TestApp) {
    let error = json!({
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
    });
    for form in forms(&app).await {
        for body in ["[]", "[{}]", "1", "-0.5", "true", "\"text\"", " \"\" "] {
            form.send(body).await.assert(422, &invalid(&json!([error])));
        }
    }
}

async fn an_empty_body_and_null_are_missing(app: TestApp) {
    let error = json!({ "type": "missing", "loc": ["body"], "msg": "Field required" });
    for form in forms(&app).await {
        for body in ["", "null", "\n null "] {
            form.send(body).await.assert(422, &invalid(&json!([error])));
        }
    }
}

//! The length of a body, however it is sent, and its content type.

use reqwest::Method;
use serde_json::json;

use super::forms;
use crate::harness::actor::send;
use crate::harness::wire::{chunked, exchange, head};
use crate::harness::{Answer, PASSWORD, TestApp, on_both_compositions};

on_both_compositions!(
    a_body_of_64_kib_is_read_and_one_byte_more_is_not,
    a_body_in_chunks_has_the_same_limit,
    a_client_that_sends_far_too_much_receives_the_answer,
    a_client_refused_for_another_reason_receives_the_answer,
    an_invalid_head_is_answered_before_the_body_arrives,
    only_json_is_accepted,
    every_json_content_type_is_accepted,
    a_web_page_must_declare_that_its_body_is_json,
);

const MOST: usize = 64 * 1024;

/// Returns a body that registers a user, padded with white space to this length.
fn padded(email: &str, length: usize) -> Vec<u8> {
    let mut body = json!({ "email": email, "password": PASSWORD }).to_string().into_bytes();
    body.resize(length, b' ');
    body
}

fn assert_too_large(answer: &Answer) {
    answer.assert_error(413, "body_too_large", "The request body is larger than 64 KiB.");
}

async fn a_body_of_64_kib_is_read_and_one_byte_more_is_not(app: TestApp) {
    let forms = forms(&app).await;
    for form in &forms {
        assert_too_large(&form.send(vec![b' '; MOST + 1]).await);
        assert_eq!(form.send(vec![b' '; MOST]).await.status, 422, "{}", form.path);
    }
    let [register, ..] = forms;
    assert_too_large(&register.send(padded("a@example.com", MOST + 1)).await);
    assert_eq!(register.send(padded("a@example.com", MOST)).await.status, 201);
}

async fn a_body_in_chunks_has_the_same_limit(app: TestApp) {
    let post = async |body: &[u8], length: usize| {
        let headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
        let mut request = head("POST", "/api/auth/register", &headers).into_bytes();
        request.extend(chunked(body, length));
        exchange(&app.url, &request).await
    };
    for (number, length) in [1000, MOST, MOST + 1].into_iter().enumerate() {
        let email = format!("{number}@example.com");
        assert_too_large(&post(&padded(&email, MOST + 1), length).await);
        assert_eq!(post(&padded(&email, MOST), length).await.status, 201);
    }
    assert_eq!(post(&padded("single@example.com", 100), 1).await.status, 201);
}

async fn a_client_that_sends_far_too_much_receives_the_answer(app: TestApp) {
    let body = padded("a@example.com", 1_000_000);
    let length = body.len().to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", &length)];
    let mut request = head("POST", "/api/auth/register", &headers).into_bytes();
    request.extend(&body);
    assert_too_large(&exchange(&app.url, &request).await);
    let headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
    let mut request = head("POST", "/api/auth/register", &headers).into_bytes();
    request.extend(chunked(&body, 4096));
    assert_too_large(&exchange(&app.url, &request).await);
    assert_eq!(app.anonymous().register("a@example.com", PASSWORD).await.status, 201);
}

/// Repeated, since closing a connection during an upload loses the answer only sometimes.
async fn a_client_refused_for_another_reason_receives_the_answer(app: TestApp) {
    let body = vec![b' '; 500_000];
    let length = body.len().to_string();
    let bearer = format!("Bearer {}", app.user("alice").await.token.unwrap());
    for (method, path, authorization, status) in [
        ("POST", "/api/nowhere", "", 404),
        ("PUT", "/api/auth/register", "", 405),
        ("PUT", "/api/admin/config/discogs_consumer_key", "", 401),
        ("PUT", "/api/admin/config/discogs_consumer_key", bearer.as_str(), 403),
        ("DELETE", "/api/oauth/revoke/discogs", bearer.as_str(), 200),
    ] {
        let mut headers = vec![("Content-Type", "text/plain"), ("Content-Length", &length)];
        headers.extend((!authorization.is_empty()).then_some(("Authorization", authorization)));
        let mut request = head(method, path, &headers).into_bytes();
        request.extend(&body);
        for _ in 0..20 {
            assert_eq!(exchange(&app.url, &request).await.status, status, "{method} {path}");
        }
    }
}

/// Sends only the head: an answer that waits for the body would be a different one.
async fn an_invalid_head_is_answered_before_the_body_arrives(app: TestApp) {
    let announce = async |content_type, length| {
        let headers = [("Content-Type", content_type), ("Content-Length", length)];
        let request = head("POST", "/api/auth/register", &headers);
        exchange(&app.url, request.as_bytes()).await
    };
    assert_too_large(&announce("application/json", "65537").await);
    assert_eq!(announce("text/plain", "65536").await.status, 415);
}

/// Registers a user with a body of this content type.
async fn register(app: &TestApp, email: &str, content_type: Option<&[u8]>) -> Answer {
    let request = app.anonymous().request(Method::POST, "/api/auth/register");
    let request = request.body(json!({ "email": email, "password": PASSWORD }).to_string());
    send(match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    })
    .await
}

async fn only_json_is_accepted(app: TestApp) {
    let refused: [&[u8]; 12] = [
        b"text/plain",
        b"text/json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/octet-stream",
        b"application/xml",
        b"application/jsonp",
        b"application/json-seq",
        b"image/svg+json",
        b"application",
        b"",
        b"application/json\xff",
    ];
    for content_type in refused {
        let answer = register(&app, "a@example.com", Some(content_type)).await;
        answer.assert_error(
            415,
            "not_json",
            "The request body must be JSON, sent with Content-Type: application/json.",
        );
    }
    for form in forms(&app).await {
        let request = form.caller.request(form.method.clone(), form.path);
        let answer = send(request.header("content-type", "text/plain").body("{}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (415, &json!("not_json")));
    }
    assert_eq!(app.anonymous().register("a@example.com", PASSWORD).await.status, 201);
}

async fn every_json_content_type_is_accepted(app: TestApp) {
    let taken: [Option<&[u8]>; 8] = [
        Some(b"application/json"),
        Some(b"application/json; charset=utf-8"),
        Some(b"application/json;charset=UTF-8"),
        Some(b"application/json ; x=y"),
        Some(b"APPLICATION/JSON"),
        Some(b"application/vnd.x+json"),
        Some(b"Application/Problem+JSON; charset=utf-8"),
        None,
    ];
    for (number, content_type) in taken.into_iter().enumerate() {
        let registered = register(&app, &format!("{number}@example.com"), content_type).await;
        assert_eq!(registered.status, 201, "{content_type:?}: {registered:?}");
    }
}

/// What `fetch` sends with `mode: "no-cors"`, without a preflight.
async fn a_web_page_must_declare_that_its_body_is_json(app: TestApp) {
    let body = padded("a@example.com", 100);
    let whole = chunked(&body, 10);
    let length = body.len().to_string();
    let framed =
        [(("Content-Length", length.as_str()), &body), (("Transfer-Encoding", "chunked"), &whole)];
    for origin in ["https://evil.example", "http://127.0.0.1:8004", "null", ""] {
        for (framing, body) in framed {
            let mut request =
                head("POST", "/api/auth/register", &[("Origin", origin), framing]).into_bytes();
            request.extend(body);
            let answer = exchange(&app.url, &request).await;
            assert_eq!((answer.status, &answer.json()["code"]), (415, &json!("not_json")));
        }
    }
    for form in forms(&app).await {
        let request = form.caller.request(form.method.clone(), form.path);
        let answer = send(request.header("origin", "https://a.example").body("{}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (415, &json!("not_json")));
        // What `fetch` sends without a body.
        let request = form.caller.request(form.method.clone(), form.path);
        let answer = send(request.header("origin", "https://a.example")).await;
        let missing = json!({ "type": "missing", "loc": ["body"], "msg": "Field required" });
        answer.assert(422, &json!({ "detail": [missing], "code": "invalid_input" }));
    }
    assert_eq!(app.anonymous().register("a@example.com", PASSWORD).await.status, 201);
}

//! Each fault, as a client sees it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use discogs_sandbox::{Canned, Fault, Step};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::App;

/// Sends a start that meets this fault.
async fn start_meets(app: &App, fault: Fault) -> reqwest::Result<reqwest::Response> {
    app.sandbox.order(Step::RequestToken, fault);
    app.start_call().send().await
}

/// The I/O error behind the client's error.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn fixed_answers_are_sent_as_requested() {
    let app = App::start().await;
    for (fault, status, content_type, body) in [
        (Fault::server_error(), 500, "text/html", "<h1>Internal Server Error</h1>"),
        (Fault::plain(404, "gone"), 404, "text/plain; charset=utf-8", "gone"),
        (Fault::plain(401, ""), 401, "text/plain; charset=utf-8", ""),
        (Fault::answer(418, "x/y", "tea"), 418, "x/y", "tea"),
        (Fault::nonsense(), 200, "text/plain; charset=utf-8", "It works!"),
        (
            Fault::identity(&json!({ "username": "x" })),
            200,
            "application/json",
            "{\"username\":\"x\"}",
        ),
        (
            Fault::empty_token(),
            200,
            "application/x-www-form-urlencoded",
            "oauth_token=&oauth_token_secret=&oauth_callback_confirmed=true",
        ),
    ] {
        let response = start_meets(&app, fault).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], content_type);
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn redirects_block_pages_and_rate_limits_have_their_headers() {
    let app = App::start().await;
    let response = start_meets(&app, Fault::redirect("https://example.com/")).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "https://example.com/");
    for status in [403, 503] {
        let response = start_meets(&app, Fault::block_page(status)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "text/html; charset=UTF-8");
    }
    let response = start_meets(&app, Fault::rate_limited(Some("17"))).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "17");
    let response = start_meets(&app, Fault::rate_limited(None)).await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn an_invalid_answer_is_reported() {
    let app = App::start().await;
    let canned =
        Canned { status: 200, headers: vec![("a b".to_owned(), "c".to_owned())], body: Vec::new() };
    let response = start_meets(&app, Fault::Answer(canned)).await.unwrap();
    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert!(text.starts_with("The requested answer is invalid HTTP: "), "{text}");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let app = App::start().await;
    let error = start_meets(&app, Fault::Reset).await.unwrap_err();
    assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn a_closed_connection_has_no_answer() {
    let app = App::start().await;
    let error = start_meets(&app, Fault::Close).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(io_kind(&error), None, "{error:?}");
}

#[tokio::test]
async fn garbage_is_not_http() {
    let app = App::start().await;
    let error = start_meets(&app, Fault::Garbage).await.unwrap_err();
    assert!(format!("{error:?}").contains("Parse"), "{error:?}");
}

#[tokio::test]
async fn half_an_answer_breaks_in_the_body() {
    let app = App::start().await;
    let response = start_meets(&app, Fault::HalfAnswer).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_huge_body_has_its_length() {
    let app = App::start().await;
    let response = start_meets(&app, Fault::huge_body(65 * 1024)).await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 65 * 1024);
}

#[tokio::test]
async fn an_endless_body_continues() {
    let app = App::start().await;
    let mut response = start_meets(&app, Fault::EndlessBody).await.unwrap();
    let mut length = 0;
    while length < 1_000_000 {
        length += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn a_delayed_call_is_answered_in_the_end() {
    let app = App::start().await;
    let delay = Duration::from_millis(30);
    let before = std::time::Instant::now();
    let response = start_meets(&app, Fault::Delay(delay)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(before.elapsed() >= delay);
}

#[tokio::test]
async fn a_hanging_call_is_never_answered() {
    let app = App::start().await;
    app.sandbox.order(Step::RequestToken, Fault::Hang);
    let call = app.start_call().timeout(Duration::from_millis(500));
    let call = tokio::spawn(call.send());
    app.sandbox.wait_for_calls(Step::RequestToken, 1).await;
    assert!(call.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_lost_answer_has_done_the_step() {
    let app = App::start().await;
    let token = app.request_token().await;
    let verifier = app.sandbox.approve(&token.token).unwrap();
    app.sandbox.order(Step::AccessToken, Fault::answer_lost());
    let lost = app.exchange_call(&token, &verifier).send().await;
    assert!(lost.is_err());
    let again = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_eq!(again.status(), 400);
}

#[tokio::test]
async fn every_other_fault_leaves_the_step_undone() {
    let app = App::start().await;
    let token = app.request_token().await;
    let verifier = app.sandbox.approve(&token.token).unwrap();
    for fault in [Fault::Reset, Fault::Close, Fault::HalfAnswer, Fault::server_error()] {
        app.sandbox.order(Step::AccessToken, fault);
        // Some are errors of the client, some are answers; none is a token.
        let _ = app.exchange_call(&token, &verifier).send().await;
    }
    let exchanged = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_eq!(exchanged.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_may_come_late_after_the_step() {
    let app = App::start().await;
    let fault = Fault::AfterStep(Box::new(Fault::Delay(Duration::from_millis(1))));
    assert_eq!(start_meets(&app, fault).await.unwrap().status(), 200);
    let fault = Fault::AfterStep(Box::new(Fault::server_error()));
    assert_eq!(start_meets(&app, fault).await.unwrap().status(), 500);
}

#[tokio::test]
async fn faults_apply_in_order_and_only_to_their_step() {
    let app = App::start().await;
    app.sandbox.order_always(Step::RequestToken, Fault::plain(404, ""));
    app.sandbox.order(Step::RequestToken, Fault::plain(501, ""));
    app.sandbox.order(Step::RequestToken, Fault::plain(502, ""));
    let page = app.client.get(app.url("/oauth/authorize")).send().await;
    assert_eq!(page.unwrap().status(), 400);
    for status in [501, 502, 404, 404] {
        let response = app.start_call().send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
    app.sandbox.order(Step::RequestToken, Fault::Reset);
    app.sandbox.clear(Step::RequestToken);
    assert_eq!(app.start_call().send().await.unwrap().status(), 200);
}

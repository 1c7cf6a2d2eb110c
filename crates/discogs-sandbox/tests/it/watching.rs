//! Inspecting and holding calls.

use std::collections::BTreeSet;
use std::time::Duration;

use discogs_sandbox::{Fault, RecordedCall, Step, Stopped};
use reqwest::StatusCode;

use crate::harness::{App, USER_AGENT};

#[tokio::test]
async fn calls_are_recorded_as_they_were_sent() {
    let app = App::start().await;
    let token = app.access_token().await;
    app.identity_call(&token).send().await.unwrap();
    let calls = app.sandbox.calls(Step::AccessToken);
    let [call] = calls.as_slice() else { panic!("one call expected: {calls:?}") };
    assert_eq!(call.method, "POST");
    assert_eq!(call.user_agent.as_deref(), Some(USER_AGENT));
    assert_eq!(call.query, None);
    let content_type = call.content_type.as_deref();
    assert_eq!(content_type, Some("application/x-www-form-urlencoded"));
    assert_eq!(call.body_length, 0);
    let names: BTreeSet<_> = call.oauth.keys().map(String::as_str).collect();
    let expected = BTreeSet::from([
        "oauth_consumer_key",
        "oauth_nonce",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_timestamp",
        "oauth_token",
        "oauth_verifier",
        "oauth_version",
    ]);
    assert_eq!(names, expected);
    assert_eq!(app.sandbox.calls(Step::RequestToken).len(), 1);
    assert_eq!(app.sandbox.calls(Step::Identity).len(), 1);
}

#[tokio::test]
async fn invalid_calls_are_recorded_too() {
    let app = App::start().await;
    let call = app.client.put(app.url("/oauth/identity?page=2"));
    let call = call.header("authorization", "Bearer x").body("12345");
    call.send().await.unwrap();
    let expected = RecordedCall {
        method: "PUT".to_owned(),
        user_agent: None,
        query: Some("page=2".to_owned()),
        oauth: std::collections::BTreeMap::new(),
        header_names: ["accept", "authorization", "content-length", "host"]
            .map(str::to_owned)
            .into(),
        content_type: None,
        body_length: 5,
    };
    assert_eq!(app.sandbox.calls(Step::Identity), [expected]);
}

#[tokio::test]
async fn an_answer_has_the_time_of_the_sandbox() {
    let app = App::start().await;
    let date = async |path: &str| {
        let answer = app.client.get(app.url(path)).send().await.unwrap();
        answer.headers()["date"].to_str().unwrap().to_owned()
    };
    assert_eq!(date("/").await, "Mon, 21 Sep 2026 14:13:20 GMT");
    app.pass(Duration::from_secs(45));
    assert_eq!(date("/oauth/identity").await, "Mon, 21 Sep 2026 14:14:05 GMT");
    let other = "Sun, 06 Nov 1994 08:49:37 GMT";
    app.sandbox.order(Step::Identity, Fault::plain(500, "").with_header("date", other));
    assert_eq!(date("/oauth/identity").await, other);
}

#[tokio::test]
async fn a_held_call_waits_for_its_release() {
    let app = App::start().await;
    let mut hold = app.sandbox.hold(Step::RequestToken);
    let call = tokio::spawn(app.start_call().send());
    hold.reached().await.unwrap();
    // The next call is not held, and does not wait for the one that is.
    let other = app.start_call().send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    assert!(!call.is_finished());
    hold.release();
    assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_held_call_then_meets_its_fault() {
    let app = App::start().await;
    let mut hold = app.sandbox.hold(Step::RequestToken);
    app.sandbox.order(Step::RequestToken, Fault::server_error());
    let call = tokio::spawn(app.start_call().send());
    hold.reached().await.unwrap();
    assert_eq!(app.start_call().send().await.unwrap().status(), 200);
    hold.release();
    assert_eq!(call.await.unwrap().unwrap().status(), 500);
}

#[tokio::test]
async fn a_dropped_hold_is_a_release() {
    let app = App::start().await;
    drop(app.sandbox.hold(Step::RequestToken));
    assert_eq!(app.start_call().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_hold_ends_with_its_sandbox() {
    let app = App::start().await;
    let mut hold = app.sandbox.hold(Step::Identity);
    app.sandbox.stop().await;
    assert_eq!(hold.reached().await, Err(Stopped));
}

#[tokio::test]
async fn calls_can_be_waited_for() {
    let app = App::start().await;
    app.sandbox.wait_for_calls(Step::RequestToken, 0).await;
    app.sandbox.order_always(Step::RequestToken, Fault::Hang);
    let calls = [tokio::spawn(app.start_call().send()), tokio::spawn(app.start_call().send())];
    app.sandbox.wait_for_calls(Step::RequestToken, 2).await;
    assert_eq!(app.sandbox.calls(Step::RequestToken).len(), 2);
    assert!(calls.iter().all(|call| !call.is_finished()));
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let app = App::start().await;
    app.sandbox.order(Step::RequestToken, Fault::Hang);
    let call = tokio::spawn(app.start_call().send());
    app.sandbox.wait_for_calls(Step::RequestToken, 1).await;
    let address = app.sandbox.url().replace("http://", "");
    app.sandbox.stop().await;
    assert!(call.await.unwrap().is_err());
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

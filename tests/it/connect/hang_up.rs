//! A `verify` request runs to completion, even if its client hangs up or the service is stopping.

use std::time::Duration;

use discogs_sandbox::{Fault, Hold, Step};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{STATE_UNKNOWN, approved, assert_connected, assert_refusal, begin_to_verify, calls};
use crate::harness::{Actor, TestApp, on_both_compositions};

on_both_compositions!(
    a_verify_continues_when_the_client_hangs_up_at_the_exchange,
    a_verify_continues_when_the_client_hangs_up_at_the_identity,
    a_verify_that_fails_without_a_client_keeps_the_token,
    a_running_verify_is_answered_before_the_service_stops,
    a_verify_without_a_client_ends_before_the_service_stops,
);

async fn a_verify_continues_when_the_client_hangs_up_at_the_exchange(app: TestApp) {
    hang_up_at(&app, Step::AccessToken).await;
}

async fn a_verify_continues_when_the_client_hangs_up_at_the_identity(app: TestApp) {
    hang_up_at(&app, Step::Identity).await;
}

async fn hang_up_at(app: &TestApp, step: Step) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(app, &alice).await;
    let mut hold = app.sandbox.hold(step);
    finish_and_hang_up(app, &alice, &state, &pin, &mut hold).await;
    hold.release();
    wait_until_connected(&alice).await;
    assert_eq!((calls(app, Step::AccessToken), calls(app, Step::Identity)), (1, 1));
}

async fn a_verify_that_fails_without_a_client_keeps_the_token(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut exchange = app.sandbox.hold(Step::AccessToken);
    let mut identity = app.sandbox.hold(Step::Identity);
    app.sandbox.order(Step::Identity, Fault::plain(404, ""));
    finish_and_hang_up(&app, &alice, &state, &pin, &mut exchange).await;
    exchange.release();
    identity.reached().await.unwrap();
    identity.release();
    wait_until_not_busy(&alice, &state, &pin).await;
    assert_eq!((calls(&app, Step::AccessToken), calls(&app, Step::Identity)), (1, 2));
}

async fn a_running_verify_is_answered_before_the_service_stops(mut app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::AccessToken);
    let finish = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    app.begin_to_stop();
    app.wait_for_health(503, "unhealthy").await;
    hold.release();
    assert_connected(&finish.await.unwrap());
    app.restart().await;
    let alice = alice.at(&app.url);
    assert_eq!(alice.status().await.json()["connected"], true);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
}

async fn a_verify_without_a_client_ends_before_the_service_stops(mut app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::AccessToken);
    finish_and_hang_up(&app, &alice, &state, &pin, &mut hold).await;
    app.begin_to_stop();
    app.wait_for_health(503, "unhealthy").await;
    hold.release();
    app.restart().await;
    let alice = alice.at(&app.url);
    assert_eq!(alice.status().await.json()["connected"], true);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
}

/// Sends a `verify` request, hangs up during the call to Discogs, and waits until the service
/// notices.
pub(super) async fn finish_and_hang_up(
    app: &TestApp,
    actor: &Actor,
    state: &str,
    pin: &str,
    hold: &mut Hold,
) {
    let token = actor.token.as_deref().unwrap();
    let body = json!({ "state": state, "oauth_verifier": pin }).to_string();
    let length = body.len();
    let request = format!(
        "POST /api/oauth/verify/discogs HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    hold.reached().await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer);
    let closed = tokio::time::timeout(Duration::from_secs(5), closed).await;
    assert!(closed.is_ok(), "the service has not noticed that the client is gone");
    assert_eq!(answer, b"");
}

/// Polls without a pause: the request itself takes long enough.
async fn wait_until_connected(actor: &Actor) {
    let wait = async { while actor.status().await.json()["connected"] == false {} };
    let waited = tokio::time::timeout(Duration::from_secs(7), wait).await;
    assert!(waited.is_ok(), "not connected after 7 s");
}

/// Retries until the previous `verify` has released its claim.
async fn wait_until_not_busy(actor: &Actor, state: &str, pin: &str) {
    let wait = async {
        loop {
            let finished = actor.verify(state, pin).await;
            if finished.json()["code"] != "state_busy" {
                return finished;
            }
        }
    };
    let finished = tokio::time::timeout(Duration::from_secs(7), wait).await;
    assert_connected(&finished.expect("the state is still busy after 7 s"));
}

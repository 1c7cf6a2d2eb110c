//! What is sent to Discogs (RFC 5849), as the sandbox received it.

use std::collections::{BTreeMap, BTreeSet};

use discogs_sandbox::{Fault, RecordedCall, Step};

use super::{approved, assert_connected, connect};
use crate::harness::{Setup, TestApp, on_both_compositions, on_both_setups};

/// The default `User-Agent`.
const USER_AGENT: &str = "Discogsography/1.0 +https://github.com/SimplicityGuy/discogsography";

on_both_compositions!(
    each_step_sends_exactly_what_it_must,
    nonces_are_never_sent_twice,
    timestamps_follow_the_clock,
);

on_both_setups!(the_user_agent_is_the_configured_one);

async fn each_step_sends_exactly_what_it_must(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    assert_connected(&alice.verify(&state, &pin).await);
    let access_token = super::column(&app, &alice, "access_token").await.unwrap();

    let timestamp = app.clock.now().as_seconds().to_string();
    let expected = |method: &str, content_type: Option<&str>, own: &[(&str, &str)]| {
        let common = [
            ("oauth_consumer_key", "sandbox-key"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &timestamp),
            ("oauth_version", "1.0"),
        ];
        let pairs = common.iter().chain(own);
        let of_a_body =
            ["content-length", "content-type"].iter().filter(|_| content_type.is_some());
        let names = ["accept", "authorization", "host", "user-agent"].iter().chain(of_a_body);
        RecordedCall {
            method: method.to_owned(),
            user_agent: Some(USER_AGENT.to_owned()),
            query: None,
            oauth: pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            header_names: names.map(|name| (*name).to_owned()).collect(),
            content_type: content_type.map(str::to_owned),
            body_length: 0,
        }
    };
    let form = Some("application/x-www-form-urlencoded");
    let steps = [
        (Step::RequestToken, expected("GET", None, &[("oauth_callback", "oob")])),
        (
            Step::AccessToken,
            expected("POST", form, &[("oauth_token", &state), ("oauth_verifier", &pin)]),
        ),
        (Step::Identity, expected("GET", None, &[("oauth_token", &access_token)])),
    ];
    for (step, expected) in steps {
        let mut calls = app.sandbox.calls(step);
        for call in &mut calls {
            assert_is_nonce(&call.oauth.remove("oauth_nonce").unwrap());
            assert_is_signature(&call.oauth.remove("oauth_signature").unwrap());
        }
        assert_eq!(calls, [expected], "{step:?}");
    }
    assert_eq!(app.sandbox.calls(Step::Authorize), []);
}

async fn nonces_are_never_sent_twice(app: TestApp) {
    let alice = app.user("alice").await;
    // A retry needs another nonce.
    app.sandbox.order(Step::RequestToken, Fault::server_error());
    app.sandbox.order(Step::Identity, Fault::Reset);
    for _ in 0..5 {
        connect(&app, &alice).await;
    }
    let steps = [Step::RequestToken, Step::AccessToken, Step::Identity];
    let calls = steps.into_iter().flat_map(|step| app.sandbox.calls(step)).collect::<Vec<_>>();
    let nonces = calls.iter().map(|call| &call.oauth["oauth_nonce"]).collect::<BTreeSet<_>>();
    assert_eq!((calls.len(), nonces.len()), (17, 17));
}

async fn timestamps_follow_the_clock(app: TestApp) {
    let alice = app.user("alice").await;
    let mut expected = Vec::new();
    for seconds in [0, 1, 59] {
        app.clock.advance(std::time::Duration::from_secs(seconds));
        expected.push(app.clock.now().as_seconds().to_string());
        alice.start().await;
    }
    let timestamp = |call: RecordedCall| call.oauth["oauth_timestamp"].clone();
    let calls = app.sandbox.calls(Step::RequestToken);
    assert_eq!(calls.into_iter().map(timestamp).collect::<Vec<_>>(), expected);
}

async fn the_user_agent_is_the_configured_one(setup: Setup) {
    let user_agent = "Collector/2.5 +https://example.com/about";
    let app = setup.with("DISCOGS_USER_AGENT", user_agent).start().await;
    connect(&app, &app.user("alice").await).await;
    let mut seen = BTreeMap::new();
    for step in [Step::RequestToken, Step::AccessToken, Step::Identity] {
        for call in app.sandbox.calls(step) {
            *seen.entry(call.user_agent).or_insert(0) += 1;
        }
    }
    assert_eq!(seen, BTreeMap::from([(Some(user_agent.to_owned()), 3)]));
}

#[track_caller]
fn assert_is_nonce(nonce: &str) {
    let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    assert!(nonce.len() == 32 && nonce.bytes().all(is_hex), "{nonce}");
}

/// Twenty bytes in base64; the sandbox checks that they are right.
#[track_caller]
fn assert_is_signature(signature: &str) {
    assert!(signature.len() == 28 && signature.ends_with('='), "{signature}");
}

//! What users see when a flow succeeds, and what sibling services find in the table afterwards.

use std::time::Duration;

use discogs_sandbox::{Fault, Identity, Step};
use oauth1::{Consumer, Request, Target, Token};
use serde_json::{Value, json};

use super::{approved, assert_connected, assert_refusal, calls, column, connect};
use crate::harness::actor::send;
use crate::harness::{Actor, TestApp, on_both_compositions};

on_both_compositions!(
    a_flow_connects_an_account,
    revoke_answers_the_same_without_a_connection,
    every_user_has_their_own_connection,
    connecting_again_replaces_the_tokens_in_place,
    two_flows_of_one_user_can_both_finish,
    the_row_holds_what_siblings_read,
    connecting_needs_an_access_token,
    head_at_authorize_starts_nothing,
    a_request_token_is_percent_encoded_in_the_url,
    the_client_does_not_choose_where_users_are_sent,
    names_and_ids_are_kept_as_discogs_sends_them,
);

async fn a_flow_connects_an_account(app: TestApp) {
    let alice = app.user("alice").await;
    let not_connected = json!({ "connected": false });
    alice.status().await.assert(200, &not_connected);

    let authorize = alice.authorize().await;
    let state = authorize.json()["state"].as_str().unwrap().to_owned();
    let authorize_url = format!("{}/oauth/authorize?oauth_token={state}", app.sandbox.url());
    authorize
        .assert(200, &json!({ "authorize_url": authorize_url, "state": state, "expires_in": 600 }));
    assert_eq!(authorize.header("cache-control"), Some("no-store"));
    alice.status().await.assert(200, &not_connected);

    let pin = app.sandbox.approve(&state).unwrap();
    let verify = alice.verify(&state, &pin).await;
    assert_connected(&verify);
    assert_eq!(verify.header("cache-control"), Some("no-store"));

    assert_status(&alice, "sandbox_digger", "1001").await;
    alice.revoke().await.assert(200, &json!({ "revoked": true }));
    alice.status().await.assert(200, &not_connected);
    assert_eq!(column(&app, &alice, "id").await, None);
}

async fn revoke_answers_the_same_without_a_connection(app: TestApp) {
    let alice = app.user("alice").await;
    for _ in 0..2 {
        alice.revoke().await.assert(200, &json!({ "revoked": true }));
        alice.status().await.assert(200, &json!({ "connected": false }));
    }
}

async fn every_user_has_their_own_connection(app: TestApp) {
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let state = alice.start().await;
    let identity = Identity { id: 7, username: "alice_digs".to_owned() };
    let pin = app.sandbox.approve_as(&state, identity).unwrap();
    assert_eq!(alice.verify(&state, &pin).await.status, 200);
    bob.status().await.assert(200, &json!({ "connected": false }));

    connect(&app, &bob).await;
    assert_status(&alice, "alice_digs", "7").await;
    assert_status(&bob, "sandbox_digger", "1001").await;

    bob.revoke().await.assert(200, &json!({ "revoked": true }));
    bob.status().await.assert(200, &json!({ "connected": false }));
    assert_status(&alice, "alice_digs", "7").await;
}

async fn connecting_again_replaces_the_tokens_in_place(app: TestApp) {
    let alice = app.user("alice").await;
    connect(&app, &alice).await;
    let before = row(&app, &alice).await;
    let connected_at = alice.status().await.json()["connected_at"].clone();

    app.clock.advance(Duration::from_secs(60));
    let state = alice.start().await;
    let identity = Identity { id: 8, username: "renamed".to_owned() };
    let pin = app.sandbox.approve_as(&state, identity).unwrap();
    assert_eq!(alice.verify(&state, &pin).await.status, 200);

    let after = row(&app, &alice).await;
    for kept in ["id", "provider", "created_at"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    for replaced in ["access_token", "access_secret", "updated_at"] {
        assert_ne!(after[replaced], before[replaced], "{replaced}");
    }
    assert_eq!(
        (&after["provider_username"], &after["provider_user_id"]),
        (&json!("renamed"), &json!("8"))
    );
    let moved = assert_status(&alice, "renamed", "8").await;
    assert!(moved.as_str() > connected_at.as_str(), "{moved} is not after {connected_at}");
    let count = app.sql_text("select cast(count(*) as text) from oauth_tokens").await;
    assert_eq!(count.as_deref(), Some("1"));
}

async fn two_flows_of_one_user_can_both_finish(app: TestApp) {
    let alice = app.user("alice").await;
    let (first, first_pin) = approved(&app, &alice).await;
    let (second, second_pin) = approved(&app, &alice).await;
    assert_ne!(first, second);
    assert_connected(&alice.verify(&second, &second_pin).await);
    assert_connected(&alice.verify(&first, &first_pin).await);
    let count = app.sql_text("select cast(count(*) as text) from oauth_tokens").await;
    assert_eq!(count.as_deref(), Some("1"));
}

async fn the_row_holds_what_siblings_read(app: TestApp) {
    let alice = app.user("alice").await;
    connect(&app, &alice).await;
    let row = row(&app, &alice).await;
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    assert_eq!(text("provider"), "discogs");
    assert_eq!(text("provider_username"), "sandbox_digger");
    assert_eq!(text("provider_user_id"), "1001");
    let token = Token { token: text("access_token"), secret: text("access_secret").into() };
    let identity = identity_with(&app, &token).await;
    assert_eq!((&identity["id"], &identity["username"]), (&json!(1001), &json!("sandbox_digger")));
}

async fn connecting_needs_an_access_token(app: TestApp) {
    let anonymous = app.anonymous();
    let answers = [
        anonymous.authorize().await,
        anonymous.verify("any state", "AbCdEfGhIj").await,
        anonymous.status().await,
        anonymous.revoke().await,
    ];
    for answer in answers {
        assert_refusal(&answer, (401, "not_authenticated", "Not authenticated"));
    }
    assert_eq!(calls(&app, Step::RequestToken), 0);
}

async fn head_at_authorize_starts_nothing(app: TestApp) {
    let alice = app.user("alice").await;
    let head = alice.request(reqwest::Method::HEAD, "/api/oauth/authorize/discogs");
    let answer = send(head).await;
    assert_eq!(
        (answer.status, answer.header("allow"), answer.body.as_str()),
        (405, Some("GET"), "")
    );
    assert_eq!(calls(&app, Step::RequestToken), 0);
}

async fn a_request_token_is_percent_encoded_in_the_url(app: TestApp) {
    let alice = app.user("alice").await;
    let form = "oauth_token=a%2Fb%26c%3Dd+%C3%A9~%23%22%25&oauth_token_secret=secret";
    app.sandbox.order(Step::RequestToken, Fault::plain(200, form));
    let encoded = "a%2Fb%26c%3Dd%20%C3%A9~%23%22%25";
    let authorize_url = format!("{}/oauth/authorize?oauth_token={encoded}", app.sandbox.url());
    alice.authorize().await.assert(
        200,
        &json!({ "authorize_url": authorize_url, "state": "a/b&c=d é~#\"%", "expires_in": 600 }),
    );
}

async fn the_client_does_not_choose_where_users_are_sent(app: TestApp) {
    let alice = app.user("alice").await;
    let request = alice
        .request(reqwest::Method::GET, "/api/oauth/authorize/discogs")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.example;proto=http");
    let answer = send(request).await;
    let authorize_url = answer.json()["authorize_url"].as_str().unwrap().to_owned();
    assert!(authorize_url.starts_with(&app.sandbox.url()), "{authorize_url}");
}

async fn names_and_ids_are_kept_as_discogs_sends_them(app: TestApp) {
    let alice = app.user("alice").await;
    let longest = "🎧".repeat(255);
    let identities = [
        (0, "0"),
        ((1 << 53) + 1, "Ünïcödé"),
        (u64::MAX, "ディガー"),
        (1, "مجموعة الأسطوانات"),
        (2, " blanks 'quotes' \"and\" \\ back\nslashes "),
        (3, "e\u{301}\u{200d}👩‍🚀"),
        (4, longest.as_str()),
    ];
    for (id, username) in identities {
        let state = alice.start().await;
        let identity = Identity { id, username: username.to_owned() };
        let pin = app.sandbox.approve_as(&state, identity).unwrap();
        alice.verify(&state, &pin).await.assert(
            200,
            &json!({
                "connected": true,
                "discogs_username": username,
                "discogs_user_id": id.to_string(),
            }),
        );
        assert_status(&alice, username, &id.to_string()).await;
        assert_eq!(column(&app, &alice, "provider_username").await.as_deref(), Some(username));
        assert_eq!(column(&app, &alice, "provider_user_id").await, Some(id.to_string()));
    }
}

/// Asserts the whole answer of `status`; returns `connected_at`.
async fn assert_status(actor: &Actor, username: &str, id: &str) -> Value {
    let status = actor.status().await;
    let connected_at = status.json()["connected_at"].clone();
    status.assert(
        200,
        &json!({
            "connected": true,
            "discogs_username": username,
            "discogs_user_id": id,
            "connected_at": connected_at,
        }),
    );
    let text = connected_at.as_str().unwrap();
    assert_eq!(text.len(), "2026-01-31T09:30:00.000000+00:00".len(), "{text}");
    assert!(text.ends_with("+00:00"), "{text}");
    connected_at
}

/// A user's whole connection, each column as text.
async fn row(app: &TestApp, actor: &Actor) -> Value {
    let mut row = json!({});
    for name in [
        "id",
        "provider",
        "access_token",
        "access_secret",
        "provider_username",
        "provider_user_id",
        "created_at",
        "updated_at",
    ] {
        row[name] = column(app, actor, name).await.unwrap().into();
    }
    row
}

/// Requests the identity from the sandbox, as a sibling service does with a stored token.
async fn identity_with(app: &TestApp, token: &Token) -> Value {
    let consumer = Consumer { key: "sandbox-key".to_owned(), secret: "sandbox-secret".into() };
    let url = format!("{}/oauth/identity", app.sandbox.url());
    let request = Request {
        target: Target::new("GET", &url),
        consumer: &consumer,
        token: Some(token),
        callback: None,
        verifier: None,
        nonce: "0123456789abcdef0123456789abcdef",
        timestamp: app.clock.now().as_seconds(),
    };
    let authorization = request.authorization().unwrap();
    let request = app.client.get(&url).header("authorization", authorization);
    let answer = send(request.header("user-agent", "Sibling/1.0")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

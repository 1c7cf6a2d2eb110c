//! Rows that another program wrote into the service's tables.
//!
//! They cause no internal error, and every access token that is issued is valid.

use serde_json::json;

use crate::connect::{STATE_UNKNOWN, assert_refusal, connect};
use crate::harness::{Composition, PASSWORD, Setup, TestApp, on_both_compositions};

const UPPER: &str = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF";

/// Two bytes that are not UTF-8.
const NO_TEXT: &str = "cast(x'fffe' as text)";

on_both_compositions!(foreign_config_rows_are_ignored, an_unreadable_hash_is_a_wrong_password);

async fn embedded() -> TestApp {
    Setup::new(Composition::Embedded).start().await
}

async fn foreign_config_rows_are_ignored(app: TestApp) {
    let admin = app.admin().await;
    let expected = admin.get("/api/admin/config").await.json();
    let now = if app.composition == Composition::Embedded { "0" } else { "now()" };
    let mut keys = vec!["''", "' discogs_consumer_key'", "'DISCOGS_CONSUMER_KEY'", "'ключ 🎧'"];
    if app.composition == Composition::Embedded {
        keys.push(NO_TEXT);
    } else {
        app.sql("alter table app_config drop constraint app_config_pkey").await;
        app.sql("alter table app_config alter column key drop not null").await;
        keys.push("null");
    }
    for key in keys {
        app.sql(&format!("insert into app_config values ({key}, 'theirs', {now})")).await;
    }
    admin.get("/api/admin/config").await.assert(200, &expected);
    connect(&app, &admin).await;
}

async fn an_unreadable_hash_is_a_wrong_password(app: TestApp) {
    let alice = app.user("alice").await;
    let mut hashes = vec!["''", "'!'", "':'", "'ключ:🎧'"];
    if app.composition == Composition::Embedded {
        hashes.push(NO_TEXT);
    } else {
        app.sql("alter table users alter column hashed_password drop not null").await;
        hashes.push("null");
    }
    for hash in hashes {
        app.sql(&format!("update users set hashed_password = {hash}")).await;
        for email in [&alice.email, "nobody@example.com"] {
            let login = app.anonymous().login(email, PASSWORD).await;
            login.assert_error(401, "invalid_credentials", "Incorrect email or password");
        }
        assert_eq!(alice.me().await.status, 200, "{hash}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_upper_case_works_everywhere() {
    let app = embedded().await;
    let registered = app.user("alice").await;
    app.sql(&format!("update users set id = '{UPPER}'")).await;
    assert_eq!(registered.me().await.status, 401, "the token is of another id");
    let alice = app.anonymous().sign_in("alice@example.com", PASSWORD).await;
    assert_eq!(alice.me().await.json()["id"], UPPER.to_lowercase());
    for _ in 0..2 {
        connect(&app, &alice).await;
        assert_eq!(alice.status().await.json()["discogs_username"], "sandbox_digger");
    }
    alice.revoke().await.assert(200, &json!({ "revoked": true }));
    alice.status().await.assert(200, &json!({ "connected": false }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_whose_id_no_token_can_name_does_not_sign_in() {
    let app = embedded().await;
    let alice = app.user("alice").await;
    let ids = ["''", "'7'", "'6f9619FF-8b86-4d01-b42d-00cf4fc964ff'", NO_TEXT];
    let simple = format!("'{}'", UPPER.replace('-', ""));
    for id in ids.into_iter().chain([simple.as_str()]) {
        app.sql(&format!("update users set id = {id}")).await;
        let login = app.anonymous().login(&alice.email, PASSWORD).await;
        login.assert_error(401, "invalid_credentials", "Incorrect email or password");
        alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
        let again = app.anonymous().register(&alice.email, PASSWORD).await;
        again.assert_error(409, "email_taken", "Email address already registered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_text_are_shown_with_replacement_characters() {
    let app = embedded().await;
    let alice = app.user("alice").await;
    connect(&app, &alice).await;
    app.sql(&format!("update oauth_tokens set provider_username = {NO_TEXT}")).await;
    assert_eq!(alice.status().await.json()["discogs_username"], "\u{fffd}\u{fffd}");
    app.sql(&format!("update users set email = {NO_TEXT}")).await;
    assert_eq!(alice.me().await.json()["email"], "\u{fffd}\u{fffd}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_no_text_is_unknown() {
    let app = embedded().await;
    let alice = app.user("alice").await;
    let state = alice.start().await;
    app.sql(&format!("update oauth_states set record = {NO_TEXT}")).await;
    assert_refusal(&alice.verify(&state, "any").await, STATE_UNKNOWN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_user_without_an_id_is_nobody() {
    let app = Setup::new(Composition::Servers).start().await;
    let alice = app.user("alice").await;
    app.sql(
        "alter table users drop constraint users_pkey cascade;
         alter table users alter column id drop not null;
         update users set id = null",
    )
    .await;
    let login = app.anonymous().login(&alice.email, PASSWORD).await;
    login.assert_error(401, "invalid_credentials", "Incorrect email or password");
    alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
}

//! The app's credentials: missing, changed, wrong, and written by another program.

use discogs_sandbox::Step;
use oauth1::Consumer;
use serde_json::json;

use super::{
    CREDENTIALS_REJECTED, NOT_CONFIGURED_AT_AUTHORIZE, NOT_CONFIGURED_AT_VERIFY, STATE_UNKNOWN,
    VERIFIER_REJECTED, approved, assert_connected, assert_refusal, calls, connect,
};
use crate::harness::{
    ACCEPT_PLAIN, Actor, Answer, Composition, Setup, TestApp, on_both_compositions, on_both_setups,
};

on_both_compositions!(
    a_change_applies_to_the_next_call,
    a_removed_value_is_not_set,
    an_empty_value_is_not_set,
    credentials_removed_during_a_flow_keep_the_state,
    a_key_too_long_for_discogs_is_rejected,
);

on_both_setups!(
    nothing_starts_or_finishes_without_credentials,
    a_mistake_of_the_client_is_reported_first,
    one_of_two_credentials_is_not_enough,
    credentials_of_another_program_are_used_unchanged,
);

#[track_caller]
fn assert_not_configured(authorize: &Answer, verify: &Answer) {
    assert_refusal(authorize, NOT_CONFIGURED_AT_AUTHORIZE);
    assert_refusal(verify, NOT_CONFIGURED_AT_VERIFY);
}

async fn nothing_starts_or_finishes_without_credentials(setup: Setup) {
    let app = setup.unconfigured().start().await;
    let alice = app.user("alice").await;
    assert_not_configured(&alice.authorize().await, &alice.verify("any", "AbCdEfGhIj").await);
    assert_eq!(calls(&app, Step::RequestToken), 0);
    alice.status().await.assert(200, &json!({ "connected": false }));
    alice.revoke().await.assert(200, &json!({ "revoked": true }));
    app.configure().await;
    connect(&app, &alice).await;
}

async fn a_mistake_of_the_client_is_reported_first(setup: Setup) {
    let app = setup.unconfigured().start().await;
    let not_authenticated = (401, "not_authenticated", "Not authenticated");
    assert_refusal(&app.anonymous().authorize().await, not_authenticated);
    assert_refusal(&app.anonymous().verify("any", "AbCdEfGhIj").await, not_authenticated);
    let answer = app.user("alice").await.verify("any", "").await;
    answer.assert_refused(
        "oauth_verifier",
        "value_error",
        "Value error, Code (PIN) must not be empty",
    );
}

async fn one_of_two_credentials_is_not_enough(setup: Setup) {
    let app = setup.unconfigured().start().await;
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
    assert_not_configured(&alice.authorize().await, &alice.verify("any", "AbCdEfGhIj").await);
    unset(&admin, "discogs_consumer_secret").await;
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    assert_not_configured(&alice.authorize().await, &alice.verify("any", "AbCdEfGhIj").await);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
    connect(&app, &alice).await;
}

async fn a_change_applies_to_the_next_call(app: TestApp) {
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    let (state, pin) = approved(&app, &alice).await;
    admin.put_config("discogs_consumer_secret", "another-secret").await;
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, CREDENTIALS_REJECTED);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
    admin.put_config("discogs_consumer_key", "another-key").await;
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, CREDENTIALS_REJECTED);
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    assert_connected(&alice.verify(&state, &pin).await);
    alice.start().await;
}

async fn a_removed_value_is_not_set(app: TestApp) {
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    unset(&admin, "discogs_consumer_key").await;
    assert_not_configured(&alice.authorize().await, &alice.verify("any", "AbCdEfGhIj").await);
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    connect(&app, &alice).await;
}

async fn an_empty_value_is_not_set(app: TestApp) {
    let alice = app.user("alice").await;
    for (key, value) in
        [("discogs_consumer_key", "sandbox-key"), ("discogs_consumer_secret", "sandbox-secret")]
    {
        take_over(&app, key, "").await;
        assert_not_configured(&alice.authorize().await, &alice.verify("any", "AbCdEfGhIj").await);
        take_over(&app, key, value).await;
    }
    assert_eq!(calls(&app, Step::RequestToken), 0);
    connect(&app, &alice).await;
}

async fn credentials_removed_during_a_flow_keep_the_state(app: TestApp) {
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    let (state, pin) = approved(&app, &alice).await;
    unset(&admin, "discogs_consumer_secret").await;
    for _ in 0..3 {
        assert_refusal(&alice.verify(&state, &pin).await, NOT_CONFIGURED_AT_VERIFY);
    }
    assert_refusal(&alice.verify("unknown", &pin).await, NOT_CONFIGURED_AT_VERIFY);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
    assert_connected(&alice.verify(&state, &pin).await);
    assert_refusal(&alice.verify("unknown", &pin).await, STATE_UNKNOWN);
}

/// Every character is percent-encoded, so the credentials are always valid in a header.
async fn credentials_of_another_program_are_used_unchanged(setup: Setup) {
    let composition = setup.composition;
    let credentials = [
        (" blanks around ", "\tand\nline\r\nbreaks "),
        ("schlüssel-ß", "geheim-ü"),
        ("🎧&=%+\"'\\,;", "“%26” & 'quotes' \u{202e}"),
        ("\u{1}\u{7f}", "\u{feff}"),
        ("k", "s"),
        (&"k".repeat(2_000), &"ß".repeat(100_000)),
    ];
    for (key, secret) in credentials {
        let consumer = Consumer { key: key.to_owned(), secret: secret.into() };
        let setup = Setup::new(composition).sandbox(|options| options.consumer = consumer);
        let app = setup.start().await;
        take_over(&app, "discogs_consumer_key", key).await;
        take_over(&app, "discogs_consumer_secret", secret).await;
        connect(&app, &app.user("alice").await).await;
        assert_eq!(app.sandbox.calls(Step::Identity)[0].oauth["oauth_consumer_key"], key);
    }
}

async fn a_key_too_long_for_discogs_is_rejected(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    take_over(&app, "discogs_consumer_key", &"k".repeat(20_000)).await;
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, VERIFIER_REJECTED);
    take_over(&app, "discogs_consumer_key", "sandbox-key").await;
    assert_connected(&alice.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_change_counts_at_once_on_every_replica() {
    let app = Setup::new(Composition::Servers).start().await;
    let replica = app.replica().await;
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    let at_replica = alice.at(&replica.url);
    at_replica.start().await;
    unset(&admin, "discogs_consumer_key").await;
    let verify = at_replica.verify("any", "AbCdEfGhIj").await;
    assert_not_configured(&at_replica.authorize().await, &verify);
    admin.put_config("discogs_consumer_key", "another-key").await;
    assert_refusal(&at_replica.authorize().await, CREDENTIALS_REJECTED);
    admin.at(&replica.url).put_config("discogs_consumer_key", "sandbox-key").await;
    alice.start().await;
}

async fn unset(admin: &Actor, key: &str) {
    let answer = admin.delete(&format!("/api/admin/config/{key}")).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
}

/// Writes a value as another program does.
async fn take_over(app: &TestApp, key: &str, value: &str) {
    app.sql(ACCEPT_PLAIN).await;
    let value = value.replace('\'', "''");
    app.sql(&format!("update app_config set value = '{value}' where key = '{key}'")).await;
}

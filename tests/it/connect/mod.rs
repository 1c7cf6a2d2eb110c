//! Connecting a Discogs account, from the first request to the row that sibling services read.
//!
//! The sandbox stands in for Discogs and fails on request. This file has the shared parts: the
//! promised sentences, and helpers that start a flow.

mod away;
mod credentials;
mod ended;
mod exchange_fails;
mod granted;
mod hang_up;
mod identity_fails;
mod lives;
mod pins;
mod python;
mod races;
mod rows;
mod sent;
mod start_fails;
mod states;
mod story;
mod timeouts;

use discogs_sandbox::{Fault, Step};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::{Actor, Answer, Composition, TestApp, redis_connection};

/// Status, `code` and `detail` of an error.
pub(crate) type Refusal = (u16, &'static str, &'static str);

pub(crate) const STATE_UNKNOWN: Refusal =
    (400, "state_unknown", "OAuth state not found or expired. Please restart the OAuth flow.");
pub(crate) const STATE_BUSY: Refusal =
    (400, "state_busy", "This code (PIN) is already being checked. Please wait a moment.");
pub(crate) const STATE_NOT_YOURS: Refusal =
    (403, "state_not_yours", "This connection was started by another user. Please start your own.");
pub(crate) const VERIFIER_REJECTED: Refusal =
    (400, "verifier_rejected", "Invalid verifier code or OAuth flow failed");
pub(crate) const CREDENTIALS_REJECTED: Refusal = (
    502,
    "discogs_credentials_rejected",
    "Discogs does not accept this app's credentials. Please ask an admin to check them.",
);
pub(crate) const BLOCKED: Refusal = (
    502,
    "discogs_blocked",
    "Discogs is blocking this service. Please try again later, and tell an admin if it continues.",
);
pub(crate) const UNAVAILABLE: Refusal =
    (502, "discogs_unavailable", "Discogs is unavailable. Please try again in a moment.");
pub(crate) const RATE_LIMITED: Refusal = (
    503,
    "discogs_rate_limited",
    "Discogs is getting too many requests from this service. Please wait a moment and try again.",
);
pub(crate) const NOT_CONFIGURED_AT_AUTHORIZE: Refusal = (
    503,
    "discogs_not_configured",
    "Discogs app credentials not configured. Ask an admin to run discogs-setup on the API container.",
);
pub(crate) const NOT_CONFIGURED_AT_VERIFY: Refusal =
    (503, "discogs_not_configured", "Discogs app credentials not configured");
pub(crate) const STATE_STORE_UNAVAILABLE: Refusal = (
    503,
    "state_store_unavailable",
    "Connecting to Discogs is not possible right now. Please try again in a moment.",
);

#[track_caller]
pub(crate) fn assert_refusal(answer: &Answer, (status, code, detail): Refusal) {
    answer.assert_error(status, code, detail);
}

/// Asserts that the account of the sandbox's default user is connected.
#[track_caller]
pub(crate) fn assert_connected(answer: &Answer) {
    answer.assert(
        200,
        &json!({
            "connected": true,
            "discogs_username": "sandbox_digger",
            "discogs_user_id": "1001",
        }),
    );
}

/// Starts a flow and approves it; returns the state and the PIN.
pub(crate) async fn approved(app: &TestApp, actor: &Actor) -> (String, String) {
    let state = actor.start().await;
    let pin = app.sandbox.approve(&state).unwrap();
    (state, pin)
}

/// Runs a whole flow.
pub(crate) async fn connect(app: &TestApp, actor: &Actor) {
    let (state, pin) = approved(app, actor).await;
    assert_connected(&actor.verify(&state, &pin).await);
}

/// Runs a flow whose exchange succeeds and whose identity fails; returns the state and the PIN.
pub(crate) async fn granted(app: &TestApp, actor: &Actor) -> (String, String) {
    let (state, pin) = approved(app, actor).await;
    app.sandbox.order(Step::Identity, Fault::plain(404, "gone"));
    assert_refusal(&actor.verify(&state, &pin).await, UNAVAILABLE);
    (state, pin)
}

/// Starts a `verify` request in a task.
pub(crate) fn begin_to_verify(actor: &Actor, state: &str, verifier: &str) -> JoinHandle<Answer> {
    let (actor, state, verifier) = (actor.clone(), state.to_owned(), verifier.to_owned());
    tokio::spawn(async move { actor.verify(&state, &verifier).await })
}

/// How many calls a step has received.
pub(crate) fn calls(app: &TestApp, step: Step) -> usize {
    app.sandbox.calls(step).len()
}

/// Returns one column of a user's connection, as text; a token is decrypted.
pub(crate) async fn column(app: &TestApp, actor: &Actor, name: &str) -> Option<String> {
    let user_id = &actor.id;
    let query = format!(
        "select cast({name} as text) from oauth_tokens where cast(user_id as text) = '{user_id}'"
    );
    let stored = app.sql_text(&query).await?;
    Some(if name.starts_with("access_") { app.opened("oauth-tokens", &stored) } else { stored })
}

/// Returns the key of a state in Redis.
pub(crate) fn redis_key(app: &TestApp, state: &str) -> String {
    format!("{}{state}", app.stores.key_prefix())
}

/// Ages a state by its store's clock.
pub(crate) async fn age(app: &TestApp, state: &str, by: std::time::Duration) {
    if app.composition == Composition::Embedded {
        app.clock.advance(by);
        return;
    }
    let (mut redis, key) = (redis_connection().await, redis_key(app, state));
    let mut left = redis::cmd("PTTL");
    let left: i64 = left.arg(&key).query_async(&mut redis).await.unwrap();
    let left = left - i64::try_from(by.as_millis()).unwrap();
    let mut expire = redis::cmd("PEXPIRE");
    let expire = expire.arg(&key).arg(left);
    let expired: bool = expire.query_async(&mut redis).await.unwrap();
    assert!(expired, "there is no such state");
}

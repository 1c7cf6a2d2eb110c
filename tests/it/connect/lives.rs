//! How long a state is valid: by the service's clock in SQLite, by the server's in Redis.

use std::time::Duration;

use discogs_sandbox::{Fault, Step};

use super::{
    STATE_UNKNOWN, UNAVAILABLE, age, approved, assert_connected, assert_refusal, calls, granted,
};
use crate::harness::{Actor, Composition, Setup, TestApp, on_both_compositions};

/// The value of `expires_in`.
const LIFE: Duration = Duration::from_secs(600);

/// A little less, since real time passes in Redis during the test.
const NEARLY: Duration = Duration::from_secs(570);
const REST: Duration = Duration::from_secs(30);

on_both_compositions!(
    a_state_is_valid_until_it_expires,
    an_expired_state_is_unknown,
    a_failed_finish_does_not_extend_the_life,
    a_granted_token_starts_another_life,
    a_granted_token_ends_with_the_second_life,
);

async fn a_state_is_valid_until_it_expires(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    age(&app, &state, NEARLY).await;
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn an_expired_state_is_unknown(app: TestApp) {
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (state, pin) = approved(&app, &alice).await;
    age(&app, &state, LIFE).await;
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_refusal(&mallory.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(calls(&app, Step::AccessToken), 0);
}

async fn a_failed_finish_does_not_extend_the_life(app: TestApp) {
    let alice = app.user("alice").await;
    let (kept, pin) = approved(&app, &alice).await;
    fail_half_way(&app, &alice, &kept, &pin).await;
    age(&app, &kept, Duration::from_secs(270)).await;
    assert_connected(&alice.verify(&kept, &pin).await);

    let (expired, pin) = approved(&app, &alice).await;
    fail_half_way(&app, &alice, &expired, &pin).await;
    age(&app, &expired, Duration::from_secs(300)).await;
    assert_refusal(&alice.verify(&expired, &pin).await, STATE_UNKNOWN);
}

async fn fail_half_way(app: &TestApp, actor: &Actor, state: &str, pin: &str) {
    age(app, state, Duration::from_secs(300)).await;
    app.sandbox.order(Step::AccessToken, Fault::server_error());
    assert_refusal(&actor.verify(state, pin).await, UNAVAILABLE);
}

async fn a_granted_token_starts_another_life(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    age(&app, &state, NEARLY).await;
    app.sandbox.order(Step::Identity, Fault::plain(404, ""));
    assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    age(&app, &state, NEARLY).await;
    assert_connected(&alice.verify(&state, &pin).await);
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

async fn a_granted_token_ends_with_the_second_life(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = granted(&app, &alice).await;
    age(&app, &state, NEARLY).await;
    // Nothing is granted again, so there is no third life.
    app.sandbox.order(Step::Identity, Fault::plain(404, ""));
    assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    age(&app, &state, REST).await;
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_microsecond_of_a_life_is_good() {
    let app = Setup::new(Composition::Embedded).start().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    app.clock.advance(Duration::from_micros(599_999_999));
    assert_connected(&alice.verify(&state, &pin).await);
}

//! Disconnecting ends pending flows, and so does deactivating or deleting their user.

use std::time::Duration;

use discogs_sandbox::Step;
use serde_json::json;

use super::hang_up::finish_and_hang_up;
use super::{
    STATE_UNKNOWN, approved, assert_connected, assert_refusal, begin_to_verify, calls, connect,
    granted, redis_key,
};
use crate::harness::{Actor, Answer, Composition, TestApp, on_both_compositions, redis_connection};

on_both_compositions!(
    a_verify_at_the_exchange_stores_nothing_after_a_revoke,
    a_verify_that_waits_for_the_identity_stores_nothing_after_a_revoke,
    a_verify_whose_client_hung_up_stores_nothing_after_a_revoke,
    a_verify_stores_nothing_for_a_user_who_is_deactivated_meanwhile,
    a_verify_stores_nothing_for_a_user_who_is_deleted_meanwhile,
    a_granted_token_is_useless_after_a_revoke,
    a_started_flow_ends_with_a_revoke,
    after_a_revoke_a_new_flow_connects_again,
    a_revoke_leaves_the_flows_of_others_alone,
    a_state_of_an_earlier_version_can_still_be_finished,
);

async fn a_verify_at_the_exchange_stores_nothing_after_a_revoke(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, finished) = interrupted(&app, &alice, Step::AccessToken, revoke(&alice)).await;
    assert_refusal(&finished, STATE_UNKNOWN);
    assert_nothing_is_left(&app, &alice, &state).await;
}

async fn a_verify_that_waits_for_the_identity_stores_nothing_after_a_revoke(app: TestApp) {
    let alice = app.user("alice").await;
    connect(&app, &alice).await;
    let (state, finished) = interrupted(&app, &alice, Step::Identity, revoke(&alice)).await;
    assert_refusal(&finished, STATE_UNKNOWN);
    assert_nothing_is_left(&app, &alice, &state).await;
}

async fn a_verify_whose_client_hung_up_stores_nothing_after_a_revoke(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::Identity);
    finish_and_hang_up(&app, &alice, &state, &pin, &mut hold).await;
    revoke(&alice).await;
    hold.release();
    let removed = async { while is_kept(&app, &state).await {} };
    let removed = tokio::time::timeout(Duration::from_secs(30), removed).await;
    assert!(removed.is_ok(), "the `verify` request has not removed its state");
    assert_nothing_is_left(&app, &alice, &state).await;
}

async fn a_verify_stores_nothing_for_a_user_who_is_deactivated_meanwhile(app: TestApp) {
    let alice = app.user("alice").await;
    let deactivate = app.sql("update users set is_active = false");
    let (state, finished) = interrupted(&app, &alice, Step::Identity, deactivate).await;
    finished.assert_error(401, "invalid_token", "Invalid or expired token");
    assert!(!is_kept(&app, &state).await);
    app.sql("update users set is_active = true").await;
    assert_nothing_is_left(&app, &alice, &state).await;
}

async fn a_verify_stores_nothing_for_a_user_who_is_deleted_meanwhile(app: TestApp) {
    let alice = app.user("alice").await;
    let delete = app.sql("delete from users");
    let (state, finished) = interrupted(&app, &alice, Step::Identity, delete).await;
    finished.assert_error(401, "invalid_token", "Invalid or expired token");
    assert!(!is_kept(&app, &state).await);
    assert_eq!(connections(&app).await, "0");
}

async fn a_granted_token_is_useless_after_a_revoke(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, _) = granted(&app, &alice).await;
    revoke(&alice).await;
    assert_refusal(&alice.verify(&state, "any").await, STATE_UNKNOWN);
    assert_nothing_is_left(&app, &alice, &state).await;
    assert_eq!((calls(&app, Step::AccessToken), calls(&app, Step::Identity)), (1, 1));
}

async fn a_started_flow_ends_with_a_revoke(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    revoke(&alice).await;
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_nothing_is_left(&app, &alice, &state).await;
    assert_eq!(calls(&app, Step::AccessToken), 0);
}

async fn after_a_revoke_a_new_flow_connects_again(app: TestApp) {
    let alice = app.user("alice").await;
    for _ in 0..3 {
        revoke(&alice).await;
        connect(&app, &alice).await;
        assert_eq!(alice.status().await.json()["connected"], true);
    }
}

async fn a_revoke_leaves_the_flows_of_others_alone(app: TestApp) {
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (state, pin) = approved(&app, &alice).await;
    revoke(&bob).await;
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn a_state_of_an_earlier_version_can_still_be_finished(app: TestApp) {
    let alice = app.user("alice").await;
    revoke(&alice).await;
    let (state, pin) = approved(&app, &alice).await;
    forget_the_epoch(&app, &state).await;
    assert_connected(&alice.verify(&state, &pin).await);
}

/// Finishes a flow and does something else during this call to Discogs; returns the state and the
/// finish's answer.
async fn interrupted(
    app: &TestApp,
    actor: &Actor,
    step: Step,
    meanwhile: impl Future<Output = ()>,
) -> (String, Answer) {
    let (state, pin) = approved(app, actor).await;
    let mut hold = app.sandbox.hold(step);
    let finish = begin_to_verify(actor, &state, &pin);
    hold.reached().await.unwrap();
    meanwhile.await;
    hold.release();
    (state, finish.await.unwrap())
}

async fn revoke(actor: &Actor) {
    actor.revoke().await.assert(200, &json!({ "revoked": true }));
}

async fn assert_nothing_is_left(app: &TestApp, actor: &Actor, state: &str) {
    assert!(!is_kept(app, state).await, "the state is still there");
    assert_refusal(&actor.verify(state, "any").await, STATE_UNKNOWN);
    actor.status().await.assert(200, &json!({ "connected": false }));
    assert_eq!(connections(app).await, "0");
}

async fn connections(app: &TestApp) -> String {
    app.sql_text("select cast(count(*) as text) from oauth_tokens").await.unwrap()
}

/// Whether the state store has a record of the state.
async fn is_kept(app: &TestApp, state: &str) -> bool {
    if app.composition == Composition::Embedded {
        let record = format!("select record from oauth_states where state = '{state}'");
        return app.sql_text(&record).await.is_some();
    }
    let mut exists = redis::cmd("EXISTS");
    let exists = exists.arg(redis_key(app, state));
    exists.query_async(&mut redis_connection().await).await.unwrap()
}

/// Turns a record into one of an earlier version, which has no epoch.
async fn forget_the_epoch(app: &TestApp, state: &str) {
    if app.composition == Composition::Embedded {
        let record = format!("select record from oauth_states where state = '{state}'");
        let record = app.opened("state", &app.sql_text(&record).await.unwrap());
        let earlier = format!("json_remove('{record}', '$.flow_epoch')");
        app.sql(&format!("update oauth_states set record = {earlier}")).await;
        return;
    }
    let (mut redis, key) = (redis_connection().await, redis_key(app, state));
    let record: String = redis::cmd("GET").arg(&key).query_async(&mut redis).await.unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert!(record.as_object_mut().unwrap().remove("flow_epoch").is_some());
    let mut set = redis::cmd("SET");
    let set = set.arg(&key).arg(record.to_string()).arg("KEEPTTL");
    set.query_async::<()>(&mut redis).await.unwrap();
}

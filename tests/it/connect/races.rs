//! Concurrent `verify` requests, on one replica and on several.

use discogs_sandbox::Step;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    STATE_BUSY, STATE_NOT_YOURS, STATE_UNKNOWN, VERIFIER_REJECTED, approved, assert_connected,
    assert_refusal, begin_to_verify, calls,
};
use crate::harness::{Actor, Answer, Composition, Setup, TestApp, on_both_compositions};

on_both_compositions!(
    fifty_concurrent_verifies_send_one_exchange,
    a_claimed_state_is_busy,
    a_busy_state_still_belongs_to_its_user,
    of_two_users_only_the_owner_finishes,
    busy_verifies_do_not_count_as_attempts,
);

/// Sends a `verify` request from each of these actors at the same time.
async fn verifies(
    actors: impl IntoIterator<Item = Actor>,
    state: &str,
    verifier: &str,
) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    for actor in actors {
        let (state, verifier) = (state.to_owned(), verifier.to_owned());
        requests.spawn(async move { actor.verify(&state, &verifier).await });
    }
    requests.join_all().await
}

/// Asserts that one request succeeded, and that the others were busy or too late.
fn assert_one_succeeded(answers: &[Answer]) {
    let (finished, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(finished.len(), 1, "{answers:?}");
    assert_connected(finished[0]);
    for answer in refused {
        let is_busy = answer.json()["code"] == "state_busy";
        assert_refusal(answer, if is_busy { STATE_BUSY } else { STATE_UNKNOWN });
    }
}

async fn fifty_concurrent_verifies_send_one_exchange(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let answers = verifies(vec![alice; 50], &state, &pin).await;
    assert_one_succeeded(&answers);
    assert_eq!((calls(&app, Step::AccessToken), calls(&app, Step::Identity)), (1, 1));
}

async fn a_claimed_state_is_busy(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::AccessToken);
    let first = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    for answer in verifies(vec![alice; 49], &state, &pin).await {
        assert_refusal(&answer, STATE_BUSY);
    }
    hold.release();
    assert_connected(&first.await.unwrap());
    assert_eq!((calls(&app, Step::AccessToken), calls(&app, Step::Identity)), (1, 1));
}

async fn a_busy_state_still_belongs_to_its_user(app: TestApp) {
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::Identity);
    let first = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    assert_refusal(&mallory.verify(&state, &pin).await, STATE_NOT_YOURS);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_BUSY);
    alice.status().await.assert(200, &json!({ "connected": false }));
    hold.release();
    assert_connected(&first.await.unwrap());
}

async fn of_two_users_only_the_owner_finishes(app: TestApp) {
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (state, pin) = approved(&app, &alice).await;
    let (of_alice, of_mallory) = tokio::join!(
        verifies(vec![alice; 25], &state, &pin),
        verifies(vec![mallory.clone(); 25], &state, &pin),
    );
    assert_one_succeeded(&of_alice);
    for answer in of_mallory {
        let is_gone = answer.json()["code"] == "state_unknown";
        assert_refusal(&answer, if is_gone { STATE_UNKNOWN } else { STATE_NOT_YOURS });
    }
    mallory.status().await.assert(200, &json!({ "connected": false }));
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

async fn busy_verifies_do_not_count_as_attempts(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    app.sandbox.order(Step::AccessToken, discogs_sandbox::Fault::plain(400, "wrong"));
    let mut hold = app.sandbox.hold(Step::AccessToken);
    let first = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    for answer in verifies(vec![alice.clone(); 10], &state, "wrong").await {
        assert_refusal(&answer, STATE_BUSY);
    }
    hold.release();
    assert_refusal(&first.await.unwrap(), VERIFIER_REJECTED);
    assert_connected(&alice.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn what_one_replica_starts_another_finishes() {
    let app = Setup::new(Composition::Servers).start().await;
    let replica = app.replica().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    assert_connected(&alice.at(&replica.url).verify(&state, &pin).await);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(alice.status().await.json(), alice.at(&replica.url).status().await.json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn two_replicas_send_one_exchange() {
    let app = Setup::new(Composition::Servers).start().await;
    let replica = app.replica().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let at_both = (0..50).map(|number| {
        let is_even = number % 2 == 0;
        alice.at(if is_even { &app.url } else { &replica.url })
    });
    assert_one_succeeded(&verifies(at_both, &state, &pin).await);
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_state_is_busy_at_every_replica() {
    let app = Setup::new(Composition::Servers).start().await;
    let replica = app.replica().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let mut hold = app.sandbox.hold(Step::AccessToken);
    let first = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    assert_refusal(&alice.at(&replica.url).verify(&state, &pin).await, STATE_BUSY);
    hold.release();
    assert_connected(&first.await.unwrap());
}

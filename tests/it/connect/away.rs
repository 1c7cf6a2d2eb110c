//! While the state store is unavailable, no flow starts or finishes, and everything else works.
//!
//! `outages` tests the whole service; this file tests a flow.

use discogs_sandbox::Step;
use serde_json::json;

use super::{STATE_STORE_UNAVAILABLE, approved, assert_connected, assert_refusal, calls, connect};
use crate::harness::{Answer, Composition, Setup, TestApp};

async fn service() -> TestApp {
    Setup::new(Composition::Servers).start().await
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_refusal(answer, STATE_STORE_UNAVAILABLE);
    let retry_after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&retry_after), "{retry_after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_flow_waits_for_the_state_store_and_a_connection_does_not() {
    let app = service().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    connect(&app, &bob).await;
    let (state, pin) = approved(&app, &alice).await;
    let before = (calls(&app, Step::RequestToken), calls(&app, Step::AccessToken));

    app.stores.redis().close();
    assert_unavailable(&alice.authorize().await);
    assert_unavailable(&alice.verify(&state, &pin).await);
    assert_eq!((calls(&app, Step::RequestToken), calls(&app, Step::AccessToken)), before);
    assert_eq!(bob.status().await.json()["connected"], true);
    bob.revoke().await.assert(200, &json!({ "revoked": true }));
    bob.status().await.assert(200, &json!({ "connected": false }));

    app.stores.redis().open();
    alice.start().await;
    assert_connected(&alice.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_lost_connection_to_the_state_store_is_made_again() {
    let app = service().await;
    let alice = app.user("alice").await;
    app.stores.redis().cut();
    let (state, pin) = approved(&app, &alice).await;
    app.stores.redis().cut();
    assert_connected(&alice.verify(&state, &pin).await);
}

//! A `verify` request that fails at `identity`: every row of the table, and that the token is kept.

use discogs_sandbox::{Fault, Identity, Step};
use serde_json::json;

use super::rows::{Row, rows_of_any_step, worth_a_second_try};
use super::{UNAVAILABLE, approved, assert_connected, assert_refusal, calls, granted};
use crate::harness::{TestApp, on_both_compositions};

on_both_compositions!(
    each_failure_has_its_answer_and_keeps_the_token,
    a_retry_may_succeed,
    a_username_that_is_too_long_is_refused,
    a_stopped_discogs_leaves_the_state,
);

/// The failures of `identity` alone.
fn identities() -> Vec<Row> {
    let longer = "é".repeat(256);
    let bodies = [
        ("no id", json!({ "username": "digger" })),
        ("a null id", json!({ "id": null, "username": "digger" })),
        ("a negative id", json!({ "id": -1, "username": "digger" })),
        ("half an id", json!({ "id": 1.5, "username": "digger" })),
        ("an id that is a list", json!({ "id": [1], "username": "digger" })),
        ("no username", json!({ "id": 1 })),
        ("a null username", json!({ "id": 1, "username": null })),
        ("an empty username", json!({ "id": 1, "username": "" })),
        ("a username that is a number", json!({ "id": 1, "username": 7 })),
        ("a username with NUL", json!({ "id": 1, "username": "a\0b" })),
        ("a username of 256 characters", json!({ "id": 1, "username": longer })),
        ("a list", json!([{ "id": 1, "username": "digger" }])),
        ("null", json!(null)),
    ];
    let rows = bodies.into_iter().map(|(name, body)| (name, Fault::identity(&body)));
    let broken = [
        ("half of JSON", r#"{"id":1,"username":"dig"#),
        ("a lone surrogate", r#"{"id":1,"username":"\ud800"}"#),
    ];
    let broken = broken.map(|(name, body)| (name, Fault::answer(200, "application/json", body)));
    let refused = [
        ("400", Fault::plain(400, "")),
        ("401", Fault::answer(401, "application/json", r#"{"message":"You must authenticate."}"#)),
        ("401 about the signature", Fault::plain(401, "Invalid signature.")),
        ("401 about the consumer", Fault::plain(401, "Invalid consumer.")),
    ];
    let rows = rows.chain(broken).chain(refused);
    rows.map(|(name, fault)| Row::once(name, fault, UNAVAILABLE)).collect()
}

async fn each_failure_has_its_answer_and_keeps_the_token(app: TestApp) {
    let alice = app.user("alice").await;
    let mut rows = rows_of_any_step(&app);
    rows.extend(identities());
    for row in rows {
        let (state, pin) = approved(&app, &alice).await;
        let exchanges = calls(&app, Step::AccessToken);
        let identities = calls(&app, Step::Identity);
        app.sandbox.order_always(Step::Identity, row.fault.clone());
        row.assert(&alice.verify(&state, &pin).await);
        let sent = calls(&app, Step::Identity) - identities;
        assert_eq!(sent, row.gets, "calls after {}", row.name);
        app.sandbox.clear(Step::Identity);
        assert_connected(&alice.verify(&state, &pin).await);
        let sent = calls(&app, Step::AccessToken) - exchanges;
        assert_eq!(sent, 1, "no second exchange: {}", row.name);
    }
    assert_eq!(app.sandbox.calls(Step::Authorize), [], "no redirect is followed");
}

async fn a_retry_may_succeed(app: TestApp) {
    let alice = app.user("alice").await;
    for (number, fault) in worth_a_second_try().into_iter().enumerate() {
        let (state, pin) = approved(&app, &alice).await;
        app.sandbox.order(Step::Identity, fault);
        assert_connected(&alice.verify(&state, &pin).await);
        assert_eq!(calls(&app, Step::AccessToken), number + 1);
        assert_eq!(calls(&app, Step::Identity), 2 * (number + 1));
    }
}

async fn a_username_that_is_too_long_is_refused(app: TestApp) {
    let alice = app.user("alice").await;
    let state = alice.start().await;
    let identity = Identity { id: 1, username: "é".repeat(256) };
    let pin = app.sandbox.approve_as(&state, identity).unwrap();
    for _ in 0..4 {
        assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    }
    alice.status().await.assert(200, &json!({ "connected": false }));
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

async fn a_stopped_discogs_leaves_the_state(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = granted(&app, &alice).await;
    app.sandbox.stop().await;
    for _ in 0..4 {
        assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    }
}

//! A newer Python service on the same Redis: each finishes the flows that the other has started.

use std::sync::Arc;

use discogsography_api::flows::{
    ClaimId, Claimed, Flows, PendingAuthorization, RecordForm, Release,
};
use discogsography_api::model::{DiscogsToken, FlowEpoch, FlowOwner};
use oauth1::Token;
use redis::AsyncCommands as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    STATE_NOT_YOURS, STATE_UNKNOWN, VERIFIER_REJECTED, approved, assert_connected, assert_refusal,
    redis_key,
};
use crate::harness::{
    Actor, Composition, Opened, Setup, TestApp, on_both_stores, redis_connection,
};

on_both_stores!(
    records_of_both_forms_are_read_by_both_replicas,
    a_record_of_the_python_form_keeps_what_a_finish_needs,
);

async fn beside_python() -> TestApp {
    Setup::new(Composition::Servers).with("PYTHON_COMPAT", "on").start().await
}

/// Reads a state as the Python service does when it finishes a flow: `GETDEL`, then JSON.
async fn read_as_python(app: &TestApp, state: &str) -> (String, Value) {
    let key = redis_key(app, state);
    let text: String = redis_connection().await.get_del(key).await.unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    (record["secret"].as_str().unwrap().to_owned(), record["user_id"].clone())
}

/// Writes a state as the Python service does when it starts a flow.
async fn write_as_python(app: &TestApp, state: &str, text: &str) {
    redis_connection().await.set_ex::<_, _, ()>(redis_key(app, state), text, 600).await.unwrap();
}

/// A flow that the Python service started; returns the secret, the state and the PIN.
async fn of_python(app: &TestApp, alice: &Actor) -> (String, String, String) {
    let (state, pin) = approved(app, alice).await;
    let (secret, user_id) = read_as_python(app, &state).await;
    assert_eq!(user_id, alice.id);
    (secret, state, pin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_flow_of_the_python_service_is_finished() {
    let app = beside_python().await;
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (secret, state, pin) = of_python(&app, &alice).await;
    // As Python's `json.dumps` writes it.
    let text = format!("{{\"secret\": \"{secret}\", \"user_id\": \"{}\"}}", alice.id);
    write_as_python(&app, &state, &text).await;
    assert_refusal(&mallory.verify(&state, &pin).await, STATE_NOT_YOURS);
    assert_connected(&alice.verify(&state, &pin).await);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_flow_without_a_user_belongs_to_the_first_user_who_tries_to_verify_it() {
    let app = beside_python().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (secret, state, pin) = of_python(&app, &alice).await;
    write_as_python(&app, &state, &secret).await;
    assert_refusal(&bob.verify(&state, "AbCdEfGhIj").await, VERIFIER_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_NOT_YOURS);
    assert_connected(&bob.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_python_service_reads_a_flow_that_it_did_not_start() {
    let app = beside_python().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    // It is still readable after a `verify` that failed.
    assert_refusal(&alice.verify(&state, "AbCdEfGhIj").await, VERIFIER_REJECTED);
    let (secret, user_id) = read_as_python(&app, &state).await;
    assert_eq!(user_id, alice.id);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    // If a `verify` succeeds with a record that has only this secret, the secret is correct.
    write_as_python(&app, &state, &json!({ "secret": secret, "user_id": user_id }).to_string())
        .await;
    assert_connected(&alice.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_record_of_no_known_form_is_unknown() {
    let app = beside_python().await;
    let alice = app.user("alice").await;
    let id = &alice.id;
    for text in [
        String::new(),
        "{}".to_owned(),
        "two words".to_owned(),
        r#"{"secret": "s"}"#.to_owned(),
        r#"{"secret": "s", "user_id": "alice"}"#.to_owned(),
        r#"{"secret": "s", "user_id": null}"#.to_owned(),
        format!(r#"{{"secret": 7, "user_id": "{id}"}}"#),
        format!(r#"{{"version": 2, "secret": "s", "user_id": "{id}"}}"#),
        r#"{"version":1,"request_token_secret":"s","refusals":0}"#.to_owned(),
    ] {
        let (state, pin) = approved(&app, &alice).await;
        write_as_python(&app, &state, &text).await;
        assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn records_of_the_python_service_are_unknown_with_python_compat_off() {
    let app = Setup::new(Composition::Servers).start().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    for text in
        [format!(r#"{{"secret": "s", "user_id": "{}"}}"#, alice.id), "aBareSecret".to_owned()]
    {
        write_as_python(&app, &state, &text).await;
        assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    }
}

const ALICE: FlowOwner = FlowOwner { user_id: Uuid::from_u128(1), epoch: FlowEpoch(7) };

fn pending() -> PendingAuthorization {
    let request_token = Token { token: "state".to_owned(), secret: "request secret".into() };
    PendingAuthorization { owner: ALICE, request_token, granted: None }
}

fn flows(opened: &Opened, form: RecordForm) -> Flows {
    Flows::new(Arc::clone(&opened.records), form)
}

async fn claimed(flows: &Flows, claim: &ClaimId) -> PendingAuthorization {
    match flows.claim("state", ALICE, claim).await.unwrap() {
        Claimed::Yours(found) => found,
        other => panic!("{other:?}"),
    }
}

/// While `PYTHON_COMPAT` is turned on or off, replicas have different settings.
async fn records_of_both_forms_are_read_by_both_replicas(opened: Opened) {
    let (one, other) = (ClaimId("one".to_owned()), ClaimId("other".to_owned()));
    for (writes, reads) in
        [(RecordForm::Own, RecordForm::Python), (RecordForm::Python, RecordForm::Own)]
    {
        let (writes, reads) = (flows(&opened, writes), flows(&opened, reads));
        writes.put(&pending()).await.unwrap();
        let found = claimed(&reads, &one).await;
        assert_eq!(found.request_token.secret.expose_secret(), "request secret");
        let busy = writes.claim("state", ALICE, &other).await.unwrap();
        assert!(matches!(busy, Claimed::Busy), "{busy:?}");
        reads.release("state", &one, Release::Failed).await.unwrap();
        claimed(&writes, &other).await;
        writes.remove("state", &other).await.unwrap();
    }
}

async fn a_record_of_the_python_form_keeps_what_a_finish_needs(opened: Opened) {
    let flows = flows(&opened, RecordForm::Python);
    let record = json!({ "secret": "request secret", "user_id": ALICE.user_id }).to_string();
    opened.records.put("state", &record, std::time::Duration::from_secs(600)).await.unwrap();
    let claim = ClaimId("claim".to_owned());
    let found = claimed(&flows, &claim).await;
    let token = Token { token: "access".to_owned(), secret: "access secret".into() };
    let granted = PendingAuthorization { granted: Some(DiscogsToken(token)), ..found };
    flows.granted(&claim, &granted).await.unwrap();
    flows.release("state", &claim, Release::Failed).await.unwrap();
    let found = claimed(&flows, &claim).await;
    assert_eq!(found.request_token.secret.expose_secret(), "request secret");
    assert_eq!(found.granted.unwrap().0.token, "access");
    // The epoch was set by the first claim, so ending the user's flows ends this one.
    flows.release("state", &claim, Release::Failed).await.unwrap();
    let later = FlowOwner { epoch: FlowEpoch(8), ..ALICE };
    let ended = flows.claim("state", later, &claim).await.unwrap();
    assert!(matches!(ended, Claimed::Unknown), "{ended:?}");
}

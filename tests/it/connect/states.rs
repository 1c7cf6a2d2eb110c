//! Which states are valid, and for which user.

use discogs_sandbox::{Fault, Step};
use serde_json::json;

use super::{
    STATE_NOT_YOURS, STATE_UNKNOWN, VERIFIER_REJECTED, approved, assert_connected, assert_refusal,
    calls, redis_key,
};
use crate::harness::{Composition, TestApp, on_both_compositions, redis_connection};

const PIN: &str = "AbCdEfGhIj";

on_both_compositions!(
    a_state_that_was_never_issued_is_unknown,
    a_state_works_once,
    another_users_state_is_not_used_up,
    a_state_may_have_512_characters_of_any_kind,
    a_ping_touches_no_state,
    a_state_is_required,
    a_foreign_record_is_unknown,
    a_flow_that_was_never_approved_can_not_finish,
);

async fn a_state_that_was_never_issued_is_unknown(app: TestApp) {
    let alice = app.user("alice").await;
    let state = alice.start().await;
    let states = [
        "unknown".to_owned(),
        state.to_lowercase(),
        format!("{state} "),
        format!(" {state}"),
        format!("{state}\0"),
        state[..39].to_owned(),
        "\0".to_owned(),
        " ".to_owned(),
        "\r\n\t".to_owned(),
        "*".to_owned(),
        ":ping".to_owned(),
        "ping".to_owned(),
        "'; drop table users; --".to_owned(),
        "ü \u{10ffff} \u{202e} \u{feff}".to_owned(),
        "🎧".repeat(512),
        "a".repeat(513),
        "🎧".repeat(513),
        "a".repeat(60_000),
    ];
    for state in states {
        assert_refusal(&alice.verify(&state, PIN).await, STATE_UNKNOWN);
    }
    assert_eq!(calls(&app, Step::AccessToken), 0);
}

async fn a_state_works_once(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    assert_connected(&alice.verify(&state, &pin).await);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    let mallory = app.user("mallory").await;
    assert_refusal(&mallory.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

async fn another_users_state_is_not_used_up(app: TestApp) {
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (state, pin) = approved(&app, &alice).await;
    for _ in 0..4 {
        assert_refusal(&mallory.verify(&state, &pin).await, STATE_NOT_YOURS);
    }
    assert_eq!(calls(&app, Step::AccessToken), 0);
    assert_connected(&alice.verify(&state, &pin).await);
    mallory.status().await.assert(200, &json!({ "connected": false }));
}

/// Discogs is called for such a state, which it does not know.
async fn a_state_may_have_512_characters_of_any_kind(app: TestApp) {
    let alice = app.user("alice").await;
    for state in ["🎧".repeat(512), " \n\t' \" % & = + : * ü".to_owned(), "a".repeat(512)] {
        let token = form_urlencoded::byte_serialize(state.as_bytes()).collect::<String>();
        let form = format!("oauth_token={token}&oauth_token_secret=secret");
        app.sandbox.order(Step::RequestToken, Fault::plain(200, &form));
        assert_eq!(alice.start().await, state);
        assert_refusal(&alice.verify(&state, PIN).await, VERIFIER_REJECTED);
        let calls = app.sandbox.calls(Step::AccessToken);
        assert_eq!(calls.last().unwrap().oauth["oauth_token"], state);
    }
}

/// Every start pings the state store with a write, which must not change a state.
async fn a_ping_touches_no_state(app: TestApp) {
    let alice = app.user("alice").await;
    for state in ["ping", ":ping", "check", ":"] {
        let form = format!("oauth_token={state}&oauth_token_secret=secret");
        app.sandbox.order(Step::RequestToken, Fault::plain(200, &form));
        alice.start().await;
        alice.start().await;
        assert_refusal(&alice.verify(state, PIN).await, VERIFIER_REJECTED);
    }
}

async fn a_state_is_required(app: TestApp) {
    let alice = app.user("alice").await;
    let too_short = "String should have at least 1 character";
    alice.verify("", PIN).await.assert_refused("state", "string_too_short", too_short);
    for (state, kind, msg) in [
        (json!({}), "missing", "Field required"),
        (json!({ "state": null }), "string_type", "Input should be a valid string"),
        (json!({ "state": 7 }), "string_type", "Input should be a valid string"),
    ] {
        let mut body = state;
        body["oauth_verifier"] = PIN.into();
        let answer = alice.post("/api/oauth/verify/discogs", &body).await;
        answer.assert_refused("state", kind, msg);
    }
}

async fn a_foreign_record_is_unknown(app: TestApp) {
    let alice = app.user("alice").await;
    let records = ["", "anything", "null", "{}", "[]", r#"{"version":2}"#, r#"{"version":1}"#];
    for record in records {
        let (state, pin) = approved(&app, &alice).await;
        replace_record(&app, &state, record).await;
        assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    }
    assert_eq!(calls(&app, Step::AccessToken), 0);
}

async fn replace_record(app: &TestApp, state: &str, record: &str) {
    if app.composition == Composition::Embedded {
        let update = "update oauth_states set record";
        app.sql(&format!("{update} = '{record}' where state = '{state}'")).await;
    } else {
        let key = redis_key(app, state);
        let mut set = redis::cmd("SET");
        let set = set.arg(key).arg(record).arg("KEEPTTL");
        set.query_async::<()>(&mut redis_connection().await).await.unwrap();
    }
}

async fn a_flow_that_was_never_approved_can_not_finish(app: TestApp) {
    let alice = app.user("alice").await;
    let state = alice.start().await;
    assert_refusal(&alice.verify(&state, PIN).await, VERIFIER_REJECTED);
    // The guess cost one attempt.
    let pin = app.sandbox.approve(&state).unwrap();
    assert_connected(&alice.verify(&state, &pin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_key_of_another_type_is_unknown_and_stays() {
    let app = crate::harness::Setup::new(Composition::Servers).start().await;
    let alice = app.user("alice").await;
    let mut redis = redis_connection().await;
    let commands: [(&str, &[&[u8]], &str); 5] = [
        ("LPUSH", &[b"a"], "list"),
        ("SADD", &[b"a"], "set"),
        ("HSET", &[b"a", b"b"], "hash"),
        ("ZADD", &[b"1", b"a"], "zset"),
        ("SET", &[b"\xff\xfe\x00"], "string"),
    ];
    for (command, arguments, kind) in commands {
        let key = redis_key(&app, command);
        let mut write = redis::cmd(command);
        write.arg(&key).arg(arguments).exec_async(&mut redis).await.unwrap();
        assert_refusal(&alice.verify(command, PIN).await, STATE_UNKNOWN);
        let mut kind_of = redis::cmd("TYPE");
        let found: String = kind_of.arg(&key).query_async(&mut redis).await.unwrap();
        assert_eq!(found, kind);
        redis::cmd("DEL").arg(&key).exec_async(&mut redis).await.unwrap();
    }
}

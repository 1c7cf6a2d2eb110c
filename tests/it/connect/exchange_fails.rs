//! A `verify` request that fails at `access_token`: every row of the table, and what is kept.

use discogs_sandbox::{Fault, Step};

use super::rows::{Row, rows_of_any_step};
use super::{
    CREDENTIALS_REJECTED, STATE_UNKNOWN, UNAVAILABLE, VERIFIER_REJECTED, approved,
    assert_connected, assert_refusal, calls,
};
use crate::harness::{TestApp, on_both_compositions};

on_both_compositions!(
    each_failure_has_its_answer_and_keeps_the_state,
    a_stopped_discogs_leaves_the_state,
    a_lost_answer_keeps_the_state,
    the_explanation_of_discogs_is_never_shown,
);

/// 400 and 401 concern the PIN, unless they name the app.
fn refusals() -> Vec<Row> {
    let pin = [
        ("400 about the PIN", Fault::plain(400, "The oauth_verifier is wrong.")),
        ("401 about the PIN", Fault::plain(401, "This PIN has expired.")),
        ("400 without a word", Fault::plain(400, "")),
        ("401 without a word", Fault::plain(401, "")),
        ("400 with HTML", Fault::answer(400, "text/html", "<html>no</html>")),
        ("400 with bytes", Fault::answer(400, "", vec![0xff, 0, 0xfe])),
    ];
    let app = [
        ("401 about the consumer", Fault::plain(401, "Invalid consumer.")),
        ("400 about the consumer", Fault::plain(400, "Invalid CONSUMER key")),
        ("401 about a parameter", Fault::plain(401, "Parameter not found: oauth_consumer_key")),
        ("401 about the signature", Fault::plain(401, "Invalid signature. Expected: abc")),
        ("400 about the signature", Fault::plain(400, "oauth_signature is wrong")),
        (
            "401 with JSON",
            Fault::answer(401, "application/json", r#"{"message":"Invalid Consumer"}"#),
        ),
    ];
    let row = |refusal| move |(name, fault)| Row::once(name, fault, refusal);
    let pin = pin.into_iter().map(row(VERIFIER_REJECTED));
    pin.chain(app.into_iter().map(row(CREDENTIALS_REJECTED))).collect()
}

async fn each_failure_has_its_answer_and_keeps_the_state(app: TestApp) {
    let alice = app.user("alice").await;
    let mut rows = rows_of_any_step(&app);
    rows.extend(refusals());
    for row in rows {
        let (state, pin) = approved(&app, &alice).await;
        let before = calls(&app, Step::AccessToken);
        app.sandbox.order(Step::AccessToken, row.fault.clone());
        row.assert(&alice.verify(&state, &pin).await);
        let sent = calls(&app, Step::AccessToken) - before;
        assert_eq!(sent, 1, "a POST is never sent twice: {}", row.name);
        assert_connected(&alice.verify(&state, &pin).await);
        assert_eq!(calls(&app, Step::AccessToken) - before, 2, "{}", row.name);
    }
    assert_eq!(app.sandbox.calls(Step::Authorize), [], "no redirect is followed");
}

async fn a_stopped_discogs_leaves_the_state(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    app.sandbox.stop().await;
    for _ in 0..4 {
        assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    }
}

/// Discogs has then used up the request token, so it refuses the next finish.
async fn a_lost_answer_keeps_the_state(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    app.sandbox.order(Step::AccessToken, Fault::answer_lost());
    assert_refusal(&alice.verify(&state, &pin).await, UNAVAILABLE);
    assert_eq!(calls(&app, Step::AccessToken), 1);
    for _ in 0..3 {
        assert_refusal(&alice.verify(&state, &pin).await, VERIFIER_REJECTED);
    }
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(calls(&app, Step::AccessToken), 4);
}

async fn the_explanation_of_discogs_is_never_shown(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    for status in [200, 302, 400, 401, 403, 404, 429, 500] {
        app.sandbox.order(Step::AccessToken, Fault::plain(status, "WORDS-OF-DISCOGS"));
        let answer = alice.verify(&state, &pin).await;
        assert!(answer.status >= 400, "{answer:?}");
        assert!(!format!("{answer:?}").contains("WORDS-OF-DISCOGS"), "{answer:?}");
    }
}

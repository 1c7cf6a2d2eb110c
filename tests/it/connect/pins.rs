//! The PIN as users paste it, and the number of attempts.
//!
//! Tested under both variants of what Discogs does not document.

use discogs_sandbox::{Fault, RefusedStatus, Step, VerifierAlphabet};

use super::{
    CREDENTIALS_REJECTED, RATE_LIMITED, STATE_NOT_YOURS, STATE_UNKNOWN, UNAVAILABLE,
    VERIFIER_REJECTED, approved, assert_connected, assert_refusal, calls,
};
use crate::harness::{Setup, TestApp, on_both_compositions, on_both_setups};

on_both_compositions!(
    white_space_around_a_pin_is_trimmed,
    an_invalid_pin_is_refused_before_discogs_is_called,
    any_visible_pin_is_sent_as_it_is,
);

on_both_setups!(
    a_repeated_pin_is_not_mistaken_for_the_apps_credentials,
    a_request_token_that_did_not_survive_ends_with_the_third_attempt,
    the_third_refused_pin_deletes_the_state,
    two_refused_pins_leave_a_third_attempt,
    only_a_refused_pin_counts,
    a_denied_authorisation_is_a_refused_pin,
    a_pin_may_have_digits,
);

/// A Discogs whose request tokens survive wrong verifiers.
async fn forgiving(setup: Setup) -> TestApp {
    setup.sandbox(|options| options.wrong_verifiers_survived = 10).start().await
}

async fn a_repeated_pin_is_not_mistaken_for_the_apps_credentials(setup: Setup) {
    let app = forgiving(setup).await;
    let alice = app.user("alice").await;
    let state = alice.start().await;
    for _ in 0..3 {
        let repeated = Fault::plain(401, "The PIN myconsumer1 is not right");
        app.sandbox.order(Step::AccessToken, repeated);
        assert_refusal(&alice.verify(&state, "MyConsumer1").await, VERIFIER_REJECTED);
    }
    assert_refusal(&alice.verify(&state, "MyConsumer1").await, STATE_UNKNOWN);
}

async fn white_space_around_a_pin_is_trimmed(app: TestApp) {
    let alice = app.user("alice").await;
    let pastes = [
        ("", ""),
        (" ", " "),
        ("\n", "\r\n"),
        ("\t\u{a0}", "\u{2003}"),
        ("\"", "\""),
        ("'", "'"),
        ("“", "”"),
        ("‘", "’"),
        ("« ", " »"),
        ("\r\n \" “«", "»’ '\n\n"),
    ];
    for (before, after) in pastes {
        let (state, pin) = approved(&app, &alice).await;
        assert_connected(&alice.verify(&state, &format!("{before}{pin}{after}")).await);
        let calls = app.sandbox.calls(Step::AccessToken);
        assert_eq!(calls.last().unwrap().oauth["oauth_verifier"], pin);
    }
}

async fn an_invalid_pin_is_refused_before_discogs_is_called(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    let empty = "Value error, Code (PIN) must not be empty";
    let too_long = "Value error, Code (PIN) must have at most 128 characters";
    let invisible = "Value error, Code (PIN) must not contain white space";
    let refused = [
        (String::new(), empty),
        (" \r\n\"“«»”' ".to_owned(), empty),
        ("a".repeat(129), too_long),
        ("🎧".repeat(129), too_long),
        (format!("{pin} {pin}"), invisible),
        (format!("{pin}\n{pin}"), invisible),
        (format!("{pin}\0{pin}"), invisible),
        (format!("{pin}\u{a0}{pin}"), invisible),
    ];
    for (verifier, msg) in refused {
        let answer = alice.verify(&state, &verifier).await;
        answer.assert_refused("oauth_verifier", "value_error", msg);
    }
    assert_eq!(calls(&app, Step::AccessToken), 0);
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn any_visible_pin_is_sent_as_it_is(app: TestApp) {
    let alice = app.user("alice").await;
    let pins = ["1", "a&b=c%20+d", "ü-ß", "🎧", "a\"b", "<script>", &"é".repeat(128)];
    for pin in pins {
        let state = alice.start().await;
        assert_refusal(&alice.verify(&state, pin).await, VERIFIER_REJECTED);
        let calls = app.sandbox.calls(Step::AccessToken);
        assert_eq!(calls.last().unwrap().oauth["oauth_verifier"], pin);
    }
}

async fn a_request_token_that_did_not_survive_ends_with_the_third_attempt(setup: Setup) {
    let app = setup.sandbox(|options| options.wrong_verifiers_survived = 0).start().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    assert_refusal(&alice.verify(&state, "wrong").await, VERIFIER_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, VERIFIER_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, VERIFIER_REJECTED);
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(calls(&app, Step::AccessToken), 3);
}

async fn the_third_refused_pin_deletes_the_state(setup: Setup) {
    let app = forgiving(setup).await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    for _ in 0..3 {
        assert_refusal(&alice.verify(&state, "wrong").await, VERIFIER_REJECTED);
    }
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(calls(&app, Step::AccessToken), 3);
}

async fn two_refused_pins_leave_a_third_attempt(setup: Setup) {
    let app = forgiving(setup).await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    for _ in 0..2 {
        assert_refusal(&alice.verify(&state, "wrong").await, VERIFIER_REJECTED);
    }
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn only_a_refused_pin_counts(setup: Setup) {
    let app = forgiving(setup).await;
    let (alice, mallory) = (app.user("alice").await, app.user("mallory").await);
    let (state, pin) = approved(&app, &alice).await;
    let failures = [
        (Fault::server_error(), UNAVAILABLE),
        (Fault::rate_limited(None), RATE_LIMITED),
        (Fault::plain(401, "Invalid consumer."), CREDENTIALS_REJECTED),
        (Fault::Reset, UNAVAILABLE),
    ];
    for _ in 0..2 {
        for (fault, refusal) in &failures {
            app.sandbox.order(Step::AccessToken, fault.clone());
            assert_refusal(&alice.verify(&state, &pin).await, *refusal);
        }
        assert_refusal(&mallory.verify(&state, "wrong").await, STATE_NOT_YOURS);
        assert_eq!(alice.verify(&state, "no PIN").await.status, 422);
        assert_refusal(&alice.verify(&state, "wrong").await, VERIFIER_REJECTED);
    }
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn a_denied_authorisation_is_a_refused_pin(setup: Setup) {
    let composition = setup.composition;
    for status in [RefusedStatus::BadRequest, RefusedStatus::Unauthorized] {
        let setup = Setup::new(composition).sandbox(move |options| options.refused_status = status);
        let app = setup.start().await;
        let alice = app.user("alice").await;
        let state = alice.start().await;
        app.sandbox.deny(&state).unwrap();
        for _ in 0..3 {
            assert_refusal(&alice.verify(&state, "AbCdEfGhIj").await, VERIFIER_REJECTED);
        }
        assert_refusal(&alice.verify(&state, "AbCdEfGhIj").await, STATE_UNKNOWN);
    }
}

async fn a_pin_may_have_digits(setup: Setup) {
    let alphabet = VerifierAlphabet::LettersAndDigits;
    let app = setup.sandbox(move |options| options.verifier_alphabet = alphabet).start().await;
    let alice = app.user("alice").await;
    let mut pins = String::new();
    while !pins.contains(|character: char| character.is_ascii_digit()) {
        let (state, pin) = approved(&app, &alice).await;
        assert_connected(&alice.verify(&state, &pin).await);
        pins.push_str(&pin);
    }
}

//! A Discogs that does not answer; these tests wait for real timeouts.

use std::time::{Duration, Instant};

use discogs_sandbox::{Fault, Step};

use super::{
    UNAVAILABLE, approved, assert_connected, assert_refusal, begin_to_verify, calls, granted,
};
use crate::harness::{Answer, Composition, Setup, TestApp, on_both_compositions};

/// How long one answer of Discogs may take.
const ANSWER: Duration = Duration::from_secs(8);

/// How long one request to the service may take.
const REQUEST: Duration = Duration::from_secs(18);

on_both_compositions!(a_hanging_discogs_is_given_up_after_eight_seconds);

async fn timed(request: impl Future<Output = Answer>) -> (Answer, Duration) {
    let begin = Instant::now();
    (request.await, begin.elapsed())
}

/// Runs all three steps at the same time, each for another user.
async fn a_hanging_discogs_is_given_up_after_eight_seconds(app: TestApp) {
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let carol = app.user("carol").await;
    let (of_bob, pin_of_bob) = approved(&app, &bob).await;
    let (of_carol, pin_of_carol) = granted(&app, &carol).await;
    let steps = [Step::RequestToken, Step::AccessToken, Step::Identity];
    let before = steps.map(|step| calls(&app, step));
    for step in steps {
        app.sandbox.order(step, Fault::Hang);
    }

    let (start, exchange, identity) = tokio::join!(
        timed(alice.authorize()),
        timed(bob.verify(&of_bob, &pin_of_bob)),
        timed(carol.verify(&of_carol, &pin_of_carol)),
    );
    for (answer, took) in [start, exchange, identity] {
        assert_refusal(&answer, UNAVAILABLE);
        assert!((ANSWER..REQUEST).contains(&took), "{took:?}");
    }
    assert_eq!(steps.map(|step| calls(&app, step)), before.map(|calls| calls + 1));

    alice.start().await;
    assert_connected(&bob.verify(&of_bob, &pin_of_bob).await);
    assert_connected(&carol.verify(&of_carol, &pin_of_carol).await);
    assert_eq!(calls(&app, Step::AccessToken), before[1] + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_exchange_and_a_hanging_identity_fit_into_one_request() {
    let app = Setup::new(Composition::Embedded).start().await;
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    app.sandbox.order(Step::AccessToken, Fault::Delay(Duration::from_secs(6)));
    // The first failure leaves enough time for a retry, which then hangs.
    app.sandbox.order(Step::Identity, Fault::Reset);
    app.sandbox.order(Step::Identity, Fault::Hang);
    let (answer, took) = timed(alice.verify(&state, &pin)).await;
    assert_refusal(&answer, UNAVAILABLE);
    assert!((Duration::from_secs(14)..REQUEST).contains(&took), "{took:?}");
    assert_eq!((calls(&app, Step::AccessToken), calls(&app, Step::Identity)), (1, 2));
    assert_connected(&alice.verify(&state, &pin).await);
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_second_try_with_less_than_nine_seconds_left() {
    let app = Setup::new(Composition::Embedded).start().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (state, pin) = approved(&app, &alice).await;
    app.sandbox.order(Step::AccessToken, Fault::Delay(Duration::from_secs(6)));
    app.sandbox.order(Step::Identity, Fault::Reset);
    let mut identity = app.sandbox.hold(Step::Identity);
    let finish = begin_to_verify(&alice, &state, &pin);
    identity.reached().await.unwrap();
    // Another user's slow start measures the time until the failure.
    app.sandbox.order(Step::RequestToken, Fault::Delay(Duration::from_secs(4)));
    bob.start().await;
    identity.release();
    assert_refusal(&finish.await.unwrap(), UNAVAILABLE);
    assert_eq!(calls(&app, Step::Identity), 1);
    assert_connected(&alice.verify(&state, &pin).await);
    assert_eq!(calls(&app, Step::AccessToken), 1);
}

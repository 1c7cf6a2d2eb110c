//! A start that fails: every row of the table at `request_token`.

use discogs_sandbox::{Fault, Step};

use super::rows::{Row, rows_of_any_step, worth_a_second_try};
use super::{CREDENTIALS_REJECTED, RATE_LIMITED, UNAVAILABLE, assert_refusal, calls};
use crate::harness::{Setup, TestApp, on_both_compositions, on_both_setups};

on_both_compositions!(
    each_failure_has_its_answer,
    a_retry_may_succeed,
    a_retry_is_answered_and_is_the_last,
    a_stopped_discogs_is_unavailable,
    a_consumer_unknown_to_discogs_is_rejected,
    only_the_beginning_of_a_long_answer_is_read,
    a_rate_limit_of_discogs_holds_no_later_start,
);

on_both_setups!(the_rate_limit_of_discogs_is_passed_on, an_unreachable_discogs_is_unavailable);

async fn each_failure_has_its_answer(app: TestApp) {
    let alice = app.user("alice").await;
    let mut rows = rows_of_any_step(&app);
    for (name, status, body) in [
        ("400", 400, "The request could not be understood."),
        ("400 without a word", 400, ""),
        ("401", 401, "Invalid consumer."),
        ("401 without a word", 401, ""),
    ] {
        rows.push(Row::once(name, Fault::plain(status, body), CREDENTIALS_REJECTED));
    }
    for row in rows {
        let before = calls(&app, Step::RequestToken);
        app.sandbox.order_always(Step::RequestToken, row.fault.clone());
        row.assert(&alice.authorize().await);
        let sent = calls(&app, Step::RequestToken) - before;
        assert_eq!(sent, row.gets, "calls after {}", row.name);
        app.sandbox.clear(Step::RequestToken);
        alice.start().await;
    }
    assert_eq!(app.sandbox.calls(Step::Authorize), [], "no redirect is followed");
}

async fn a_retry_may_succeed(app: TestApp) {
    let alice = app.user("alice").await;
    for (number, fault) in worth_a_second_try().into_iter().enumerate() {
        app.sandbox.order(Step::RequestToken, fault);
        alice.start().await;
        assert_eq!(calls(&app, Step::RequestToken), 2 * (number + 1));
    }
}

async fn a_retry_is_answered_and_is_the_last(app: TestApp) {
    let alice = app.user("alice").await;
    let order = |fault| app.sandbox.order(Step::RequestToken, fault);

    order(Fault::Reset);
    order(Fault::rate_limited(Some("17")));
    let answer = alice.authorize().await;
    assert_refusal(&answer, RATE_LIMITED);
    assert_eq!(answer.header("retry-after"), Some("17"));

    order(Fault::server_error());
    order(Fault::plain(401, "Invalid consumer."));
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);

    order(Fault::Close);
    order(Fault::server_error());
    assert_refusal(&alice.authorize().await, UNAVAILABLE);
    assert_eq!(calls(&app, Step::RequestToken), 6);
}

async fn a_stopped_discogs_is_unavailable(app: TestApp) {
    let alice = app.user("alice").await;
    app.sandbox.stop().await;
    assert_refusal(&alice.authorize().await, UNAVAILABLE);
}

async fn a_consumer_unknown_to_discogs_is_rejected(app: TestApp) {
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    admin.put_config("discogs_consumer_key", "another-key").await;
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    admin.put_config("discogs_consumer_secret", "another-secret").await;
    assert_refusal(&alice.authorize().await, CREDENTIALS_REJECTED);
    assert_eq!(calls(&app, Step::RequestToken), 2);
}

async fn only_the_beginning_of_a_long_answer_is_read(app: TestApp) {
    let alice = app.user("alice").await;
    let padding = "a".repeat(1 << 20);
    let form = format!("oauth_token=begin&oauth_token_secret=secret&x={padding}");
    app.sandbox.order(Step::RequestToken, Fault::plain(200, &form));
    assert_eq!(alice.start().await, "begin");
}

async fn a_rate_limit_of_discogs_holds_no_later_start(app: TestApp) {
    let alice = app.user("alice").await;
    app.sandbox.order(Step::RequestToken, Fault::rate_limited(Some("300")));
    assert_refusal(&alice.authorize().await, RATE_LIMITED);
    alice.start().await;
    assert_eq!(calls(&app, Step::RequestToken), 2);
}

async fn the_rate_limit_of_discogs_is_passed_on(setup: Setup) {
    let app = setup.sandbox(|options| options.rate_limit = Some(2)).start().await;
    let alice = app.user("alice").await;
    alice.start().await;
    alice.start().await;
    let answer = alice.authorize().await;
    assert_refusal(&answer, RATE_LIMITED);
    assert_eq!(answer.header("retry-after"), Some("60"));
    app.clock.advance(std::time::Duration::from_secs(61));
    alice.start().await;
}

/// Tries a server without TLS, and a name without an address.
async fn an_unreachable_discogs_is_unavailable(setup: Setup) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let composition = setup.composition;
    let without_tls = setup.with("DISCOGS_API_URL", &format!("https://{address}"));
    let without_address =
        Setup::new(composition).with("DISCOGS_API_URL", "https://discogs.invalid");
    for setup in [without_tls, without_address] {
        let app = setup.start().await;
        assert_refusal(&app.user("alice").await.authorize().await, UNAVAILABLE);
    }
}

//! Request limits: what is counted, how requests over a limit are answered, and who is exempt.

mod devices;
mod networks;
mod outages;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::actor::send;
use crate::harness::{Actor, Answer, Composition, PASSWORD, Setup, TestApp, on_both_setups};

const DETAIL: &str = "Too many requests. Please try again later.";

on_both_setups!(
    an_address_may_register_five_times_a_minute,
    an_address_may_sign_in_ten_times_a_minute,
    invalid_requests_do_not_count,
    after_ten_failures_an_account_waits_except_for_known_addresses,
    failures_from_a_known_address_hold_no_account,
    a_missing_account_waits_in_the_same_way,
    successful_sign_ins_are_not_failures,
    a_second_factor_is_not_a_failure_and_makes_no_address_known,
    a_user_may_start_and_finish_ten_times_a_minute,
    only_a_trusted_proxy_names_the_client,
    budgets_can_be_set,
    no_store_holds_an_address_or_an_email,
);

/// Starts a service with limits, behind a proxy that forwards client addresses.
async fn start(setup: Setup) -> TestApp {
    setup.with("RATE_LIMITS", "on").with("TRUSTED_PROXIES", "127.0.0.0/8").start().await
}

fn from(address: &str, request: RequestBuilder) -> RequestBuilder {
    request.header("x-forwarded-for", address).header("content-type", "application/json")
}

async fn register(actor: &Actor, address: &str, email: &str) -> Answer {
    let body = json!({ "email": email, "password": PASSWORD });
    send(from(address, actor.request(Method::POST, "/api/auth/register")).body(body.to_string()))
        .await
}

async fn login(actor: &Actor, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    send(from(address, actor.request(Method::POST, "/api/auth/login")).body(body.to_string())).await
}

#[track_caller]
fn assert_limited(answer: &Answer, longest: u64) {
    let body = json!({ "detail": DETAIL, "error": DETAIL, "code": "rate_limited" });
    answer.assert(429, &body);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&seconds), "{seconds}");
}

async fn an_address_may_register_five_times_a_minute(setup: Setup) {
    let app = start(setup).await;
    let anonymous = app.anonymous();
    for number in 0..5 {
        let registered = register(&anonymous, "192.0.2.1", &format!("{number}@example.com")).await;
        assert_eq!(registered.status, 201, "{registered:?}");
    }
    assert_limited(&register(&anonymous, "192.0.2.1", "5@example.com").await, 60);
    assert_eq!(register(&anonymous, "192.0.2.2", "5@example.com").await.status, 201);
    let network = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"];
    for address in network {
        register(&anonymous, address, "5@example.com").await.assert_error(
            409,
            "email_taken",
            "Email address already registered",
        );
    }
    assert_limited(&register(&anonymous, "2001:db8::6", "6@example.com").await, 60);
}

async fn an_address_may_sign_in_ten_times_a_minute(setup: Setup) {
    let app = start(setup).await;
    let anonymous = app.anonymous();
    for number in 0..10 {
        let email = format!("{number}@example.com");
        let refused = login(&anonymous, "192.0.2.1", &email, PASSWORD).await;
        assert_eq!(refused.status, 401, "{refused:?}");
    }
    assert_limited(&login(&anonymous, "192.0.2.1", "10@example.com", PASSWORD).await, 60);
    assert_eq!(login(&anonymous, "192.0.2.2", "10@example.com", PASSWORD).await.status, 401);
}

async fn invalid_requests_do_not_count(setup: Setup) {
    let app = start(setup).await;
    let anonymous = app.anonymous();
    for _ in 0..20 {
        let refused = register(&anonymous, "192.0.2.1", "no address").await;
        refused.assert_refused("email", "value_error", "Value error, Invalid email address");
    }
    assert_eq!(register(&anonymous, "192.0.2.1", "alice@example.com").await.status, 201);
}

async fn after_ten_failures_an_account_waits_except_for_known_addresses(setup: Setup) {
    let app = start(setup).await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    assert_eq!(login(&anonymous, "192.0.2.1", email, PASSWORD).await.status, 200);
    for number in 0..10 {
        let address = format!("198.51.100.{number}");
        let refused = login(&anonymous, &address, " ALICE@example.com", "wrong password").await;
        refused.assert_error(401, "invalid_credentials", "Incorrect email or password");
    }
    assert_limited(&login(&anonymous, "203.0.113.1", email, PASSWORD).await, 900);
    assert_eq!(login(&anonymous, "192.0.2.1", email, PASSWORD).await.status, 200);
    assert_limited(&login(&anonymous, "203.0.113.1", email, PASSWORD).await, 900);
}

/// Every address has a sign-in budget, too, which is raised here.
async fn failures_from_a_known_address_hold_no_account(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_SIGN_IN", "100/60")).await;
    let (anonymous, email, known) = (app.anonymous(), "alice@example.com", "192.0.2.1");
    assert_eq!(register(&anonymous, known, email).await.status, 201);
    assert_eq!(login(&anonymous, known, email, PASSWORD).await.status, 200);
    for _ in 0..20 {
        assert_eq!(login(&anonymous, known, email, "wrong password").await.status, 401);
    }
    assert_eq!(login(&anonymous, "198.51.100.1", email, PASSWORD).await.status, 200);
}

async fn a_missing_account_waits_in_the_same_way(setup: Setup) {
    let app = start(setup).await;
    let (anonymous, email) = (app.anonymous(), "nobody@example.com");
    for number in 0..10 {
        let refused = login(&anonymous, &format!("198.51.100.{number}"), email, PASSWORD).await;
        assert_eq!(refused.status, 401, "{refused:?}");
    }
    assert_limited(&login(&anonymous, "203.0.113.1", email, PASSWORD).await, 900);
}

async fn successful_sign_ins_are_not_failures(setup: Setup) {
    let app = start(setup).await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    for number in 0..15 {
        let signed_in = login(&anonymous, &format!("198.51.100.{number}"), email, PASSWORD).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
    }
}

async fn a_second_factor_is_not_a_failure_and_makes_no_address_known(setup: Setup) {
    let app = start(setup).await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    app.sql("update users set totp_enabled = true").await;
    for number in 0..15 {
        let right = login(&anonymous, &format!("198.51.100.{number}"), email, PASSWORD).await;
        assert_eq!(right.status, 503, "{right:?}");
    }
    for number in 0..10 {
        let wrong = login(&anonymous, &format!("203.0.113.{number}"), email, "wrong").await;
        assert_eq!(wrong.status, 401, "{wrong:?}");
    }
    assert_limited(&login(&anonymous, "198.51.100.1", email, PASSWORD).await, 900);
}

async fn a_user_may_start_and_finish_ten_times_a_minute(setup: Setup) {
    let app = start(setup).await;
    let alice = app.user("alice").await;
    let bob = app.user("bob").await;
    for _ in 0..10 {
        assert_eq!(alice.authorize().await.status, 200);
        assert_eq!(alice.verify("unknown", "pin").await.status, 400);
    }
    assert_limited(&alice.authorize().await, 60);
    assert_limited(&alice.verify("unknown", "pin").await, 60);
    assert_eq!(alice.status().await.status, 200);
    assert_eq!(bob.authorize().await.status, 200);
}

async fn only_a_trusted_proxy_names_the_client(setup: Setup) {
    let app = setup.with("RATE_LIMITS", "on").start().await;
    let anonymous = app.anonymous();
    for number in 0..5 {
        let address = format!("192.0.2.{number}");
        let email = format!("{number}@example.com");
        assert_eq!(register(&anonymous, &address, &email).await.status, 201);
    }
    assert_limited(&register(&anonymous, "192.0.2.9", "9@example.com").await, 60);
}

async fn budgets_can_be_set(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_REGISTER", "1/3600")).await;
    let anonymous = app.anonymous();
    assert_eq!(register(&anonymous, "192.0.2.1", "a@example.com").await.status, 201);
    assert_limited(&register(&anonymous, "192.0.2.1", "b@example.com").await, 3600);
}

async fn no_store_holds_an_address_or_an_email(setup: Setup) {
    let app = start(setup).await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.77", email).await.status, 201);
    assert_eq!(login(&anonymous, "192.0.2.77", email, PASSWORD).await.status, 200);
    assert_eq!(login(&anonymous, "198.51.100.77", email, "wrong password").await.status, 401);
    let known = "select cast(count(*) as text) from known_addresses
                 where length(account) = 16 and length(address) = 16";
    assert_eq!(app.sql_text(known).await.as_deref(), Some("1"));
    for (key, value) in app.stores.redis_strings().await {
        for secret in ["alice", "192.0.2", "198.51"] {
            assert!(!key.contains(secret) && !value.contains(secret), "{key} {value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn replicas_count_together() {
    let app = start(Setup::new(Composition::Servers)).await;
    let replica = app.replica().await;
    let (here, there) = (app.anonymous(), replica.anonymous());
    for number in 0..3 {
        let email = format!("{number}@example.com");
        assert_eq!(register(&here, "192.0.2.1", &email).await.status, 201);
    }
    for number in 3..5 {
        let email = format!("{number}@example.com");
        assert_eq!(register(&there, "192.0.2.1", &email).await.status, 201);
    }
    assert_limited(&register(&here, "192.0.2.1", "5@example.com").await, 60);
    assert_limited(&register(&there, "192.0.2.1", "5@example.com").await, 60);
    let strings = app.stores.redis_strings().await;
    let counts = strings.iter().filter(|(key, _)| key.contains("discogs:limits:register:"));
    assert_eq!(counts.count(), 1, "{strings:?}");
}

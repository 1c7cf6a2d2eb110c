//! Each metric changes when its event happens, and by no more than it should.

use std::time::Duration;

use discogs_sandbox::{Fault, Step};
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::scrape::{Scrape, scrape};
use crate::harness::actor::send;
use crate::harness::wire::{connect, exchange, head};
use crate::harness::{Composition, PASSWORD, Setup, TestApp, on_both_compositions};

/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

on_both_compositions!(
    requests_count_by_method_route_and_status,
    a_client_that_went_away_counts_without_a_status,
    sign_ins_count_by_their_end,
    passwords_that_wait_are_seen,
    requests_to_discogs_count_by_what_came_of_them,
    an_error_of_the_database_counts,
    an_error_of_the_state_store_counts,
    open_connections_are_seen,
    the_process_and_the_stores_are_told_about,
);

/// Asserts how much a metric changed between two scrapes.
#[track_caller]
fn assert_moved(scrapes: (&Scrape, &Scrape), name: &str, labels: &[(&str, &str)], by: f64) {
    let name = format!("discogsography_{name}");
    let moved = scrapes.1.value(&name, labels) - scrapes.0.value(&name, labels);
    assert!((moved - by).abs() < 0.5, "{name} {labels:?} moved by {moved}");
}

/// Scrapes until `says` returns true.
async fn until(app: &TestApp, says: impl Fn(&Scrape) -> bool) -> Scrape {
    let wait = async {
        loop {
            let scraped = scrape(app).await;
            if says(&scraped) {
                return scraped;
            }
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("the metrics say so in time")
}

async fn requests_count_by_method_route_and_status(app: TestApp) {
    let admin = app.admin().await;
    let before = scrape(&app).await;
    for _ in 0..3 {
        assert_eq!(admin.me().await.status, 200);
    }
    assert_eq!(app.anonymous().me().await.status, 401);
    admin.put_config("discogs_consumer_key", "key").await;
    assert_eq!(admin.get("/nowhere").await.status, 404);
    let without_host =
        exchange(&app.url, b"GET /api/auth/me HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(without_host.await.status, 400);
    let preflight = admin.request(Method::OPTIONS, "/api/auth/login");
    let preflight = preflight.header("origin", "https://a.example");
    let preflight = send(preflight.header("access-control-request-method", "POST")).await;
    assert_eq!((preflight.status, preflight.header("allow")), (204, None));
    let after = scrape(&app).await;
    let moved = |method, route, status, by| {
        let labels = [("method", method), ("route", route), ("status", status)];
        assert_moved((&before, &after), "http_requests_total", &labels, by);
    };
    moved("GET", "/api/auth/me", "200", 3.0);
    moved("GET", "/api/auth/me", "401", 1.0);
    moved("PUT", "/api/admin/config/{key}", "200", 1.0);
    moved("GET", "none", "404", 1.0);
    moved("GET", "/api/auth/me", "400", 1.0);
    moved("OPTIONS", "/api/auth/login", "204", 1.0);
    moved("GET", "/metrics", "200", 1.0);
    let (count, me) = ("http_request_duration_seconds_count", [("route", "/api/auth/me")]);
    assert_moved((&before, &after), count, &me, 5.0);
}

async fn a_client_that_went_away_counts_without_a_status(app: TestApp) {
    let alice = app.user("alice").await;
    let mut held = app.sandbox.hold(Step::RequestToken);
    let bearer = format!("Bearer {}", alice.token.unwrap());
    let mut client = connect(&app.url).await;
    let request = head("GET", "/api/oauth/authorize/discogs", &[("Authorization", &bearer)]);
    client.write_all(request.as_bytes()).await.unwrap();
    held.reached().await.unwrap();
    drop(client);
    let gone = [("route", "/api/oauth/authorize/discogs"), ("status", "none")];
    until(&app, |it| it.value("discogsography_http_requests_total", &gone) > 0.5).await;
    held.release();
}

async fn sign_ins_count_by_their_end(app: TestApp) {
    let alice = app.user("alice").await;
    let before = scrape(&app).await;
    alice.sign_in(&alice.email, PASSWORD).await;
    for (email, password) in [(alice.email.as_str(), "wrong"), ("nobody@example.com", PASSWORD)] {
        assert_eq!(alice.login(email, password).await.status, 401);
    }
    assert_eq!(alice.post("/api/auth/login", &serde_json::json!({})).await.status, 422);
    let after = scrape(&app).await;
    for (outcome, by) in [("good", 1.0), ("refused", 2.0), ("limited", 0.0), ("unavailable", 0.0)] {
        assert_moved((&before, &after), "sign_ins_total", &[("outcome", outcome)], by);
    }
    let second_factor = [("outcome", "second_factor")];
    assert_moved((&before, &after), "sign_ins_total", &second_factor, 0.0);
    assert_moved((&before, &after), "password_wait_seconds_count", &[], 3.0);
    assert_moved((&before, &after), "password_hash_seconds_count", &[], 3.0);
    let hashed = after.value("discogsography_password_hash_seconds_sum", &[]);
    assert!(hashed > before.value("discogsography_password_hash_seconds_sum", &[]));
    app.sql("update users set totp_enabled = true").await;
    assert_eq!(alice.login(&alice.email, PASSWORD).await.status, 503);
    assert_moved((&after, &scrape(&app).await), "sign_ins_total", &second_factor, 1.0);
    app.sql("alter table users rename to nobody").await;
    assert_eq!(alice.login(&alice.email, PASSWORD).await.status, 500);
    let last = scrape(&app).await;
    assert_moved((&after, &last), "sign_ins_total", &[("outcome", "unavailable")], 1.0);
}

async fn passwords_that_wait_are_seen(app: TestApp) {
    let flood = async {
        loop {
            let mut all = JoinSet::new();
            for number in 0..30 {
                let anonymous = app.anonymous();
                let email = format!("{number}@example.com");
                all.spawn(async move { anonymous.login(&email, PASSWORD).await });
            }
            all.join_all().await;
        }
    };
    let queue = "discogsography_password_queue_length";
    tokio::select! {
        () = flood => {}
        _ = until(&app, |it| it.value(queue, &[]) > 0.5) => {}
    }
    until(&app, |it| it.value(queue, &[]) < 0.5).await;
}

async fn requests_to_discogs_count_by_what_came_of_them(app: TestApp) {
    let alice = app.user("alice").await;
    let faults = [
        ("refused", Fault::plain(401, "Invalid consumer."), 1.0),
        ("blocked", Fault::block_page(403), 1.0),
        ("failed", Fault::server_error(), 2.0),
        ("no_answer", Fault::Close, 2.0),
        (
            "rate_limited",
            Fault::rate_limited(None).with_header("x-discogs-ratelimit-remaining", "7"),
            1.0,
        ),
    ];
    let remaining = "discogsography_discogs_rate_remaining";
    assert!(!scrape(&app).await.samples.iter().any(|it| it.name == remaining));
    for (outcome, fault, times) in faults {
        let before = scrape(&app).await;
        app.sandbox.order_always(Step::RequestToken, fault);
        assert!(alice.authorize().await.status >= 500);
        app.sandbox.clear(Step::RequestToken);
        let scrapes = (&before, &scrape(&app).await);
        let labels = [("step", "request_token"), ("outcome", outcome)];
        assert_moved(scrapes, "discogs_requests_total", &labels, times);
        assert_moved(scrapes, "discogs_requests_total", &[], times);
        assert_moved(scrapes, "discogs_request_duration_seconds_count", &labels[..1], times);
    }
    let before = scrape(&app).await;
    assert!((before.value(remaining, &[]) - 7.0).abs() < 0.5);
    let state = alice.start().await;
    let pin = app.sandbox.approve(&state).unwrap();
    assert_eq!(alice.verify(&state, &pin).await.status, 200);
    let after = scrape(&app).await;
    for step in ["request_token", "access_token", "identity"] {
        let labels = [("step", step), ("outcome", "good")];
        assert_moved((&before, &after), "discogs_requests_total", &labels, 1.0);
    }
}

async fn an_error_of_the_database_counts(app: TestApp) {
    let alice = app.user("alice").await;
    let before = scrape(&app).await;
    assert_eq!(alice.register(&alice.email, PASSWORD).await.status, 409);
    let taken = scrape(&app).await;
    assert_moved((&before, &taken), "storage_errors_total", &[], 0.0);
    app.sql("drop table oauth_tokens").await;
    assert_eq!(alice.status().await.status, 500);
    let after = scrape(&app).await;
    assert_moved((&taken, &after), "storage_errors_total", &[], 1.0);
    assert_moved((&before, &after), "state_store_errors_total", &[], 0.0);
}

async fn an_error_of_the_state_store_counts(app: TestApp) {
    let alice = app.user("alice").await;
    let before = scrape(&app).await;
    match app.composition {
        Composition::Embedded => app.sql("drop table oauth_states").await,
        Composition::Servers => app.stores.redis().close(),
    }
    assert_eq!(alice.authorize().await.status, 503);
    let after = scrape(&app).await;
    let errors = |it: &Scrape| it.value("discogsography_state_store_errors_total", &[]);
    assert!(errors(&after) > errors(&before), "{after:?}");
    assert_moved((&before, &after), "storage_errors_total", &[], 0.0);
}

async fn open_connections_are_seen(app: TestApp) {
    let open = |it: &Scrape| it.value("discogsography_http_connections", &[("port", "api")]);
    let before = open(&scrape(&app).await);
    let mut held = [connect(&app.url).await, connect(&app.url).await];
    held[1].write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    until(&app, |it| (open(it) - before - 2.0).abs() < 0.5).await;
    drop(held);
    until(&app, |it| (open(it) - before).abs() < 0.5).await;
}

async fn the_process_and_the_stores_are_told_about(app: TestApp) {
    let scraped = scrape(&app).await;
    let one = |name: &str, labels: &[(&str, &str)]| {
        assert!((scraped.value(name, labels) - 1.0).abs() < 0.1, "{name} {labels:?}");
    };
    one("discogsography_build_info", &[("version", env!("CARGO_PKG_VERSION"))]);
    one("discogsography_store_up", &[("store", "database")]);
    one("discogsography_store_up", &[("store", "state_store")]);
    let least = [("start_time_seconds", 1.7e9), ("resident_memory_bytes", 1e6), ("open_fds", 10.0)];
    for (name, least) in least {
        let value = scraped.value(&format!("process_{name}"), &[]);
        assert!(value > least, "{name} is {value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_turns_a_request_away_counts() {
    let setup = Setup::new(Composition::Embedded).with("RATE_LIMITS", "on");
    let setup = setup.with("RATE_LIMIT_SIGN_IN", "2/60").with("RATE_LIMIT_REGISTER", "1/60");
    let app = setup.start().await;
    let alice = app.user("alice").await;
    assert_eq!(alice.login(&alice.email, PASSWORD).await.status, 200);
    let before = scrape(&app).await;
    assert_eq!(alice.login(&alice.email, PASSWORD).await.status, 429);
    assert_eq!(alice.register("bob@example.com", PASSWORD).await.status, 429);
    let after = scrape(&app).await;
    for (limit, by) in [("sign_in", 1.0), ("register", 1.0), ("failed_sign_in", 0.0)] {
        assert_moved((&before, &after), "rate_limited_total", &[("limit", limit)], by);
    }
    assert_moved((&before, &after), "sign_ins_total", &[("outcome", "limited")], 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn connections_to_postgresql_are_seen_to_come_and_go() {
    let app = Setup::new(Composition::Servers).start().await;
    let connections = |it: &Scrape, purpose| {
        it.value("discogsography_postgres_connections", &[("purpose", purpose)])
    };
    let are_up = |it: &Scrape| {
        let up = [("reads", 2.0), ("writes", 2.0), ("health", 1.0)];
        up.iter().all(|(purpose, most)| connections(it, purpose) >= *most)
    };
    let before = until(&app, are_up).await;
    app.stores.postgres().close();
    let away = until(&app, |it| {
        it.value("discogsography_store_up", &[("store", "database")]) < 0.5
            && it.value("discogsography_postgres_connections", &[]) < 0.5
    })
    .await;
    for (purpose, by) in [("reads", 2.0), ("writes", 2.0), ("health", 1.0)] {
        let labels = [("purpose", purpose)];
        assert_moved((&before, &away), "postgres_lost_connections_total", &labels, by);
    }
    app.stores.postgres().open();
    until(&app, are_up).await;
    assert_eq!(app.anonymous().request(Method::GET, "/health").send().await.unwrap().status(), 200);
}

//! What happens while PostgreSQL is unavailable, hangs, or closes connections.
//!
//! [`redis`]: the same for Redis.

mod redis;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Composition, PASSWORD, Setup, TestApp, TestStores};

/// The longest time until a request fails with 503.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time until the service recovers, on a loaded machine.
const RECOVERY: Duration = Duration::from_secs(20);

/// The shortest time that requests wait for a lock.
const BLOCKED_FOR: Duration = Duration::from_secs(2);

/// How often a condition in the database is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The usual number of a service's connections: for reads, for writes, and for health.
const USUAL: i64 = 5;

/// Closes every connection to the test's database except the one that runs it.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid()";

pub(crate) const NO_DATABASE: &str =
    "The service can't reach its database. Please try again in a moment.";

async fn started() -> TestApp {
    Setup::new(Composition::Servers).start().await
}

/// Waits for a recovery, which must happen in time.
async fn recovered(steps: impl Future<Output = ()>) {
    tokio::time::timeout(RECOVERY, steps).await.expect("the service recovers in time");
}

/// Waits for an answer, which must arrive in time.
async fn in_time(answer: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer within 5 s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn without_the_database_requests_fail_until_it_returns() {
    let app = started().await;
    let alice = app.user("alice").await;
    app.stores.postgres().close();
    let answers = [
        in_time(alice.me()).await,
        in_time(alice.anonymous().login(&alice.email, PASSWORD)).await,
        in_time(alice.anonymous().register("new@example.com", PASSWORD)).await,
    ];
    for answer in answers {
        answer.assert_error(503, "database_unavailable", NO_DATABASE);
    }
    app.wait_for_health(503, "unhealthy").await;
    let checks = app.health().await.json()["checks"].clone();
    assert_eq!(checks, json!({ "service": "ready", "database": "down", "state_store": "up" }));
    app.stores.postgres().open();
    recovered(app.wait_until_healthy()).await;
    assert_eq!(alice.me().await.status, 200);
    assert_eq!(app.anonymous().register("new@example.com", PASSWORD).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_hanging_database_fails_requests_in_time() {
    let app = started().await;
    let alice = app.user("alice").await;
    app.stores.postgres().hang();
    let anonymous = app.anonymous();
    let (me, register, ()) = tokio::join!(
        in_time(alice.me()),
        in_time(anonymous.register("new@example.com", PASSWORD)),
        app.wait_for_health(503, "unhealthy"),
    );
    me.assert_error(503, "database_unavailable", NO_DATABASE);
    register.assert_error(503, "database_unavailable", NO_DATABASE);
    app.stores.postgres().open();
    recovered(async { assert_eq!(alice.me().await.status, 200) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn killing_idle_connections_fails_no_request() {
    let app = started().await;
    let alice = app.user("alice").await;
    let operator = app.stores.database().client().await;
    for round in 0..20 {
        operator.batch_execute(TERMINATE).await.unwrap();
        assert_eq!(alice.me().await.status, 200, "round {round}");
        assert_eq!(alice.revoke().await.status, 200, "round {round}");
    }
    let email = "after@example.com";
    assert_eq!(app.anonymous().register(email, PASSWORD).await.status, 201);
    assert_eq!(app.health().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn altering_a_table_fails_no_request() {
    let app = started().await;
    let alice = app.user("alice").await;
    let operator = app.stores.database().client().await;
    for kind in ["text", "varchar(300)"] {
        let alter = format!("alter table users alter column email type {kind}");
        operator.batch_execute(&alter).await.unwrap();
        for _ in 0..5 {
            assert_eq!(in_time(alice.me()).await.status, 200, "{kind}");
        }
        let email = format!("{}@example.com", kind.len());
        let registered = in_time(app.anonymous().register(&email, PASSWORD)).await;
        assert_eq!(registered.status, 201, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn cutting_idle_connections_fails_no_request() {
    let app = started().await;
    let alice = app.user("alice").await;
    for round in 0..20 {
        app.stores.postgres().cut();
        app.stores.redis().cut();
        assert_eq!(alice.me().await.status, 200, "round {round}");
        assert_eq!(alice.revoke().await.status, 200, "round {round}");
        assert_eq!(alice.authorize().await.status, 200, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_locked_table_delays_only_requests_that_need_it() {
    let app = started().await;
    let alice = app.user("alice").await;
    let mut operator = app.stores.database().client().await;
    let lock = operator.transaction().await.unwrap();
    lock.batch_execute("lock table oauth_tokens in access exclusive mode").await.unwrap();
    let blocked = async {
        let begun = Instant::now();
        let (status, revoke) = tokio::join!(in_time(alice.status()), in_time(alice.revoke()));
        status.assert_error(503, "database_unavailable", NO_DATABASE);
        revoke.assert_error(503, "database_unavailable", NO_DATABASE);
        begun.elapsed()
    };
    let others = async {
        assert_eq!(app.health().await.status, 200);
        let begun = Instant::now();
        while begun.elapsed() < BLOCKED_FOR {
            assert_eq!(alice.me().await.status, 200);
            assert_eq!(app.health().await.status, 200);
        }
    };
    let (blocked_for, ()) = tokio::join!(blocked, others);
    assert!(blocked_for > BLOCKED_FOR, "nothing waited for the lock: {blocked_for:?}");
    lock.rollback().await.unwrap();
    assert_eq!(alice.status().await.status, 200);
    // The connections that were opened because others were blocked are closed again.
    let connections = "select count(*) from pg_stat_activity
                       where datname = current_database() and application_name = 'discogsography-api'";
    recovered(async {
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        while operator.query_one(connections, &[]).await.unwrap().get::<_, i64>(0) != USUAL {
            polls.tick().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_read_only_server_is_retried_with_back_off() {
    let app = started().await;
    let alice = app.user("alice").await;
    let operator = app.stores.database().client().await;
    let set_read_only = async |on_or_off: &str| {
        let statements = format!(
            "do $$ begin execute format('alter database %I set default_transaction_read_only = \
             {on_or_off}', current_database()); end $$"
        );
        // A database's settings apply only to new connections.
        operator.batch_execute("set default_transaction_read_only = off").await.unwrap();
        operator.batch_execute(&statements).await.unwrap();
        operator.batch_execute(TERMINATE).await.unwrap();
    };
    set_read_only("on").await;
    let (before, begun) = (app.stores.postgres().taken(), Instant::now());
    let revoke_repeatedly = async || {
        while begun.elapsed() < Duration::from_secs(3) {
            in_time(alice.revoke()).await.assert_error(503, "database_unavailable", NO_DATABASE);
        }
    };
    tokio::join!(revoke_repeatedly(), revoke_repeatedly(), revoke_repeatedly());
    let connections = app.stores.postgres().taken() - before;
    assert!(connections < 60, "{connections} connections");
    assert_eq!(alice.me().await.status, 200);
    set_read_only("off").await;
    recovered(async { assert_eq!(alice.revoke().await.status, 200) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_start_without_the_database_waits_for_it() {
    let stores = TestStores::new(Composition::Servers).await;
    stores.postgres().close();
    let app = Setup::new(Composition::Servers).launch_on(stores).await;
    app.wait_for_health(503, "unhealthy").await;
    let checks = app.health().await.json()["checks"].clone();
    assert_eq!(checks, json!({ "service": "starting", "database": "down", "state_store": "up" }));
    let anonymous = app.anonymous();
    anonymous.me().await.assert_error(401, "not_authenticated", "Not authenticated");
    let register = in_time(anonymous.register("a@example.com", PASSWORD)).await;
    register.assert_error(503, "database_unavailable", NO_DATABASE);
    for path in ["/health/live", "/health/ready"] {
        let expected = if path == "/health/live" { 200 } else { 503 };
        assert_eq!(anonymous.get(path).await.status, expected, "{path}");
    }
    app.stores.postgres().open();
    recovered(app.wait_until_healthy()).await;
    assert_eq!(anonymous.register("a@example.com", PASSWORD).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_outdated_schema_is_unhealthy_until_it_is_migrated() {
    let setup = Setup::new(Composition::Servers).with("AUTO_MIGRATE", "off");
    let app = setup.launch_on(TestStores::new(Composition::Servers).await).await;
    app.wait_for_health(503, "unhealthy").await;
    let register = app.anonymous().register("a@example.com", PASSWORD).await;
    register.assert_error(503, "database_unavailable", NO_DATABASE);
    let tables = app
        .sql_text("select string_agg(tablename, ',') from pg_tables where schemaname = 'public'")
        .await;
    assert_eq!(tables, None);
    app.storage().await;
    app.wait_until_healthy().await;
    assert_eq!(app.anonymous().register("a@example.com", PASSWORD).await.status, 201);
}

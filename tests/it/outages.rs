//! What happens when PostgreSQL or Redis are unavailable, hang, or close connections.

use std::time::{Duration, Instant};

use discogs_sandbox::Step;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{Actor, Answer, Composition, PASSWORD, Proxy, Setup, TestApp, TestStores};

/// The longest time until a 503.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time until a recovery, on a loaded machine.
const RECOVERY: Duration = Duration::from_secs(20);

/// The shortest time for which requests wait for a lock.
const BLOCKED_FOR: Duration = Duration::from_secs(2);

/// How often a condition in the database is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The connections of a service: for reads, for writes, and for health.
const USUAL: i64 = 5;

/// Ends every session of the test's database except this one.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid()";

pub(crate) const NO_DATABASE: &str =
    "The service can't reach its database. Please try again in a moment.";
const NO_STATE_STORE: &str =
    "Connecting to Discogs is not possible right now. Please try again in a moment.";

async fn started() -> TestApp {
    Setup::new(Composition::Servers).start().await
}

/// Runs steps that fail until the recovery, which must happen in time.
async fn recovered(steps: impl Future<Output = ()>) {
    tokio::time::timeout(RECOVERY, steps).await.expect("a recovery in time");
}

/// Waits for an answer, which must arrive in time.
async fn in_time(answer: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer within 5 s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn without_the_database_it_says_so_and_recovers_by_itself() {
    let app = started().await;
    let alice = app.user("alice").await;
    app.stores.postgres().close();
    let away = [
        in_time(alice.me()).await,
        in_time(alice.anonymous().login(&alice.email, PASSWORD)).await,
        in_time(alice.anonymous().register("new@example.com", PASSWORD)).await,
    ];
    for answer in away {
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
async fn a_database_that_hangs_is_given_up_in_time() {
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
async fn sessions_killed_while_nothing_is_under_way_are_not_noticed() {
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
async fn a_table_that_somebody_changes_is_not_noticed() {
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
async fn connections_cut_on_the_way_are_not_noticed() {
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
async fn a_locked_table_holds_up_only_those_who_need_it() {
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
    assert!(blocked_for > BLOCKED_FOR, "the lock was not met: {blocked_for:?}");
    lock.rollback().await.unwrap();
    assert_eq!(alice.status().await.status, 200);
    // The connections that were opened beside the stuck ones are closed again.
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
async fn a_server_that_takes_no_writes_is_asked_again_ever_more_slowly() {
    let app = started().await;
    let alice = app.user("alice").await;
    let operator = app.stores.database().client().await;
    let turn = async |read_only: &str| {
        let statements = format!(
            "do $$ begin execute format('alter database %I set default_transaction_read_only = \
             {read_only}', current_database()); end $$"
        );
        // A database's settings apply only to later connections.
        operator.batch_execute("set default_transaction_read_only = off").await.unwrap();
        operator.batch_execute(&statements).await.unwrap();
        operator.batch_execute(TERMINATE).await.unwrap();
    };
    turn("on").await;
    let (before, begun) = (app.stores.postgres().taken(), Instant::now());
    let try_again_and_again = async || {
        while begun.elapsed() < Duration::from_secs(3) {
            in_time(alice.revoke()).await.assert_error(503, "database_unavailable", NO_DATABASE);
        }
    };
    tokio::join!(try_again_and_again(), try_again_and_again(), try_again_and_again());
    let connections = app.stores.postgres().taken() - before;
    assert!(connections < 60, "{connections} connections");
    assert_eq!(alice.me().await.status, 200);
    turn("off").await;
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
async fn a_schema_that_is_behind_is_unhealthy_until_somebody_migrates() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn without_redis_everything_but_connecting_works() {
    let app = started().await;
    let (alice, state) = flow_under_way(&app).await;
    app.stores.redis().close();
    everything_but_connecting_works(&app, &alice, &state).await;
    app.stores.redis().open();
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_redis_that_hangs_everything_but_connecting_works() {
    let app = started().await;
    let (alice, state) = flow_under_way(&app).await;
    app.stores.redis().hang();
    everything_but_connecting_works(&app, &alice, &state).await;
    app.stores.redis().open();
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_redis_that_is_full_everything_but_connecting_works() {
    let redis = crate::harness::PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = flow_under_way(&app).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_redis_that_allows_no_scripts_everything_but_connecting_works() {
    let redis = crate::harness::PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = flow_under_way(&app).await;
    let mut operator = redis.operator().await;
    operator.command(&["ACL", "SETUSER", "default", "-@scripting"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    operator.command(&["ACL", "SETUSER", "default", "+@scripting"]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_redis_with_shards_the_state_store_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let redis = crate::harness::PrivateRedis::start_as_cluster(folder.path()).await;
    let setup = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url());
    let app = setup.launch_on(TestStores::new(Composition::Servers).await).await;
    app.wait_for_health(200, "degraded").await;
    let checks = app.health().await.json()["checks"].clone();
    assert_eq!(checks, json!({ "service": "ready", "database": "up", "state_store": "down" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_redis_that_changes_its_password_for_a_while_is_used_again() {
    let redis = crate::harness::PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = flow_under_way(&app).await;
    let mut operator = redis.operator().await;
    operator.command(&["CONFIG", "SET", "requirepass", "another"]).await;
    operator.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    operator.command(&["CONFIG", "SET", "requirepass", ""]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_redis_that_was_failed_over_is_found_again_at_its_address() {
    let (old, new) =
        (crate::harness::PrivateRedis::start().await, crate::harness::PrivateRedis::start().await);
    let address = Proxy::before(&old.address()).await;
    let url = format!("redis://{}/0", address.address);
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &url).start().await;
    let (alice, state) = flow_under_way(&app).await;
    // Existing connections stay with the old server.
    old.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    address.lead_to(&new.address());
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_redis_that_is_slow_to_connect_to_is_used() {
    let redis = crate::harness::PrivateRedis::start().await;
    let url = format!("redis://{}/0", answering_late(redis.address()).await);
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &url).start().await;
    flow_under_way(&app).await;
}

/// Returns the address of a server whose connections get a late first answer.
///
/// A connection is answered only after three more were tried: later than a step waits.
async fn answering_late(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (count, counted) = watch::channel(0);
        while let Ok((mut client, _)) = listener.accept().await {
            count.send_modify(|count| *count += 1);
            let (number, mut counted, server) =
                (*counted.borrow(), counted.clone(), server.clone());
            tokio::spawn(async move {
                counted.wait_for(|count| *count >= number + 3).await.unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                // Either side may end the connection.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

async fn flow_under_way(app: &TestApp) -> (Actor, String) {
    let alice = app.user("alice").await;
    let state = alice.start().await;
    (alice, state)
}

async fn everything_but_connecting_works(app: &TestApp, alice: &Actor, state: &str) {
    app.wait_for_health(200, "degraded").await;
    let checks = app.health().await.json()["checks"].clone();
    assert_eq!(checks, json!({ "service": "ready", "database": "up", "state_store": "down" }));
    let alice = app.anonymous().sign_in(&alice.email, PASSWORD).await;
    assert_eq!(alice.me().await.status, 200);
    assert_eq!(alice.status().await.status, 200);
    let verifier = app.sandbox.approve(state).unwrap();
    let (authorize, verify) =
        tokio::join!(in_time(alice.authorize()), in_time(alice.verify(state, &verifier)));
    authorize.assert_error(503, "state_store_unavailable", NO_STATE_STORE);
    verify.assert_error(503, "state_store_unavailable", NO_STATE_STORE);
    assert_eq!(app.sandbox.calls(Step::RequestToken).len(), 1);
    assert_eq!(app.sandbox.calls(Step::AccessToken), []);
    // Last, since it ends pending flows.
    assert_eq!(alice.revoke().await.status, 200);
}

async fn connecting_works_again(app: &TestApp) {
    recovered(app.wait_until_healthy()).await;
    let bob = app.user("bob").await;
    let state = bob.start().await;
    let verifier = app.sandbox.approve(&state).unwrap();
    assert_eq!(bob.verify(&state, &verifier).await.status, 200);
}

//! What happens while Redis is unavailable, hangs, is full, or refuses the service.

use discogs_sandbox::Step;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{in_time, recovered, started};
use crate::harness::{
    Actor, Composition, PASSWORD, PrivateRedis, Proxy, Setup, TestApp, TestStores,
};

const NO_STATE_STORE: &str =
    "Connecting to Discogs is not possible right now. Please try again in a moment.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn without_redis_everything_but_connecting_works() {
    let app = started().await;
    let (alice, state) = pending_flow(&app).await;
    app.stores.redis().close();
    everything_but_connecting_works(&app, &alice, &state).await;
    app.stores.redis().open();
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_hanging_redis_everything_but_connecting_works() {
    let app = started().await;
    let (alice, state) = pending_flow(&app).await;
    app.stores.redis().hang();
    everything_but_connecting_works(&app, &alice, &state).await;
    app.stores.redis().open();
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_full_redis_everything_but_connecting_works() {
    let redis = PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = pending_flow(&app).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_redis_without_scripts_everything_but_connecting_works() {
    let redis = PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = pending_flow(&app).await;
    let mut operator = redis.operator().await;
    operator.command(&["ACL", "SETUSER", "default", "-@scripting"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    operator.command(&["ACL", "SETUSER", "default", "+@scripting"]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_a_sharded_redis_the_state_store_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let redis = PrivateRedis::start_as_cluster(folder.path()).await;
    let setup = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url());
    let app = setup.launch_on(TestStores::new(Composition::Servers).await).await;
    app.wait_for_health(200, "degraded").await;
    let checks = app.health().await.json()["checks"].clone();
    assert_eq!(checks, json!({ "service": "ready", "database": "up", "state_store": "down" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn redis_is_used_again_after_a_password_change() {
    let redis = PrivateRedis::start().await;
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &redis.url()).start().await;
    let (alice, state) = pending_flow(&app).await;
    let mut operator = redis.operator().await;
    operator.command(&["CONFIG", "SET", "requirepass", "another"]).await;
    operator.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    operator.command(&["CONFIG", "SET", "requirepass", ""]).await;
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn redis_is_used_again_after_a_failover() {
    let (old, new) = (PrivateRedis::start().await, PrivateRedis::start().await);
    let proxy = Proxy::before(&old.address()).await;
    let url = format!("redis://{}/0", proxy.address);
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &url).start().await;
    let (alice, state) = pending_flow(&app).await;
    // Existing connections stay with the old server, which now is a replica.
    old.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    everything_but_connecting_works(&app, &alice, &state).await;
    proxy.lead_to(&new.address());
    connecting_works_again(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_redis_that_is_slow_to_connect_is_used() {
    let redis = PrivateRedis::start().await;
    let url = format!("redis://{}/0", slow_proxy(redis.address()).await);
    let app = Setup::new(Composition::Servers).with("REDIS_URL", &url).start().await;
    pending_flow(&app).await;
}

/// Starts a proxy that forwards a connection only after three more were opened, and returns its
/// address. That is later than the first connection's timeout.
async fn slow_proxy(server: String) -> String {
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
                // Either side may close the connection.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

async fn pending_flow(app: &TestApp) -> (Actor, String) {
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
    // Last, since it ends the pending flow.
    assert_eq!(alice.revoke().await.status, 200);
}

async fn connecting_works_again(app: &TestApp) {
    recovered(app.wait_until_healthy()).await;
    let bob = app.user("bob").await;
    let state = bob.start().await;
    let verifier = app.sandbox.approve(&state).unwrap();
    assert_eq!(bob.verify(&state, &verifier).await.status, 200);
}

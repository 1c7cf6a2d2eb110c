//! Tokens that a newer Python service alongside this one has revoked: marks in the Redis that both
//! use.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::program::POLL_INTERVAL;
use crate::harness::{
    Actor, Answer, Composition, PASSWORD, PrivateRedis, Setup, TestApp, TestStores,
    redis_connection,
};
use crate::metrics::scrape::{Scrape, scrape};

/// Longer than anything takes that a test waits for.
const LONG: Duration = Duration::from_secs(30);

/// The life of a mark, in seconds.
const LIFE: u64 = 3_600;

fn beside_python() -> Setup {
    Setup::new(Composition::Servers).with("PYTHON_COMPAT", "on")
}

async fn started() -> TestApp {
    beside_python().start().await
}

async fn until(what: &str, mut is_reached: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        while !is_reached().await {
            polls.tick().await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what}: not in time");
}

/// Waits until a value of `/metrics` is reached.
async fn until_metric(app: &TestApp, name: &str, is_reached: impl Fn(f64) -> bool) {
    let name = format!("discogsography_revocation_{name}");
    until(&name, async || {
        let scraped: Scrape = scrape(app).await;
        is_reached(scraped.value(&name, &[]))
    })
    .await;
}

async fn until_revoked(actor: &Actor) {
    until("the token is refused", async || actor.me().await.status != 200).await;
    assert_revoked(&actor.me().await);
}

#[track_caller]
fn assert_revoked(answer: &Answer) {
    answer.assert_error(401, "invalid_token", "Invalid or expired token");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

async fn assert_accepted(actor: &Actor) {
    assert_eq!(actor.me().await.status, 200);
}

fn claims(actor: &Actor) -> Value {
    let payload = actor.token.as_deref().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Returns the same user with a token of other claims.
fn with_claims(actor: &Actor, claims: &Value) -> Actor {
    let key = EncodingKey::from_secret(JWT_SECRET_KEY.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key);
    actor.with_token(&token.unwrap())
}

/// The key of a mark of one token, as the Python service writes it.
fn token_key(stores: &TestStores, actor: &Actor) -> String {
    format!("{}revoked:jti:{}", stores.namespace(), claims(actor)["jti"].as_str().unwrap())
}

fn user_key(stores: &TestStores, actor: &Actor) -> String {
    format!("{}password_changed:{}", stores.namespace(), actor.id)
}

async fn mark(key: &str, value: &str) {
    mark_at(&crate::harness::test_servers().redis_url, key, value).await;
}

async fn mark_at(url: &str, key: &str, value: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    redis.set_ex::<_, _, ()>(key, value, LIFE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_token_is_refused_after_signing_out_at_the_python_service() {
    let app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let again = alice.sign_in(&alice.email, PASSWORD).await;
    mark(&token_key(&app.stores, &alice), "1").await;
    until_revoked(&alice).await;
    assert_revoked(&alice.status().await);
    assert_accepted(&again).await;
    assert_accepted(&bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn tokens_issued_until_a_change_of_the_password_are_refused() {
    let app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let now = app.clock.now().as_seconds();
    let issued = |iat: Value| {
        let mut claims = claims(&alice);
        claims["iat"] = iat;
        claims.as_object_mut().unwrap().remove("jti");
        with_claims(&alice, &claims)
    };
    mark(&user_key(&app.stores, &alice), &now.to_string()).await;
    until_revoked(&alice).await;
    for iat in [json!(now - 1), json!(now), json!(0), json!("soon"), Value::Null] {
        assert_revoked(&issued(iat).me().await);
    }
    for iat in [json!(now + 1), json!(u64::MAX)] {
        assert_accepted(&issued(iat)).await;
    }
    assert_accepted(&bob).await;
    app.clock.advance(Duration::from_secs(1));
    assert_accepted(&alice.sign_in(&alice.email, PASSWORD).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_mark_that_can_not_be_read_is_ignored() {
    let app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    mark(&user_key(&app.stores, &alice), "yesterday").await;
    mark(&format!("{}password_changed:alice", app.stores.namespace()), "99999999999").await;
    let mut redis = redis_connection().await;
    let list = format!("{}revoked:jti:{}", app.stores.namespace(), claims(&alice)["jti"]);
    redis.lpush::<_, _, ()>(list.replace('"', ""), "1").await.unwrap();
    mark(&token_key(&app.stores, &bob), "1").await;
    until_revoked(&bob).await;
    assert_accepted(&alice).await;
    until_metric(&app, "marks", |marks| (marks - 1.0).abs() < 0.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn marks_from_before_the_start_are_known_to_the_first_request() {
    let mut app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.stop().await.unwrap();
    mark(&token_key(&app.stores, &alice), "1").await;
    mark(&user_key(&app.stores, &bob), &app.clock.now().as_seconds().to_string()).await;
    let mut redis = redis_connection().await;
    for number in 0..3_000 {
        let key = format!("{}revoked:jti:{number}", app.stores.namespace());
        redis.set_ex::<_, _, ()>(key, "1", LIFE).await.unwrap();
    }
    app.run();
    app.wait_until_healthy().await;
    for revoked in [&alice, &bob] {
        assert_revoked(&revoked.at(&app.url).me().await);
    }
    until_metric(&app, "marks", |marks| (marks - 3_002.0).abs() < 0.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_mark_written_during_an_outage_is_known_after_it() {
    let app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let carol = app.user("carol").await;
    mark(&token_key(&app.stores, &alice), "1").await;
    until_revoked(&alice).await;
    app.stores.redis().close();
    until_metric(&app, "tracking_up", |up| up < 0.5).await;
    mark(&token_key(&app.stores, &bob), "1").await;
    // What was known before still counts.
    assert_revoked(&alice.me().await);
    assert_accepted(&carol).await;
    app.stores.redis().open();
    until_revoked(&bob).await;
    assert_accepted(&carol).await;
    until_metric(&app, "reads_total", |reads| reads > 1.5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_silent_connection_counts_as_lost() {
    let app = started().await;
    let alice = app.user("alice").await;
    app.stores.redis().hang();
    until_metric(&app, "tracking_up", |up| up < 0.5).await;
    mark(&token_key(&app.stores, &alice), "1").await;
    app.stores.redis().open();
    until_revoked(&alice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_mark_outlives_a_redis_that_forgets_it() {
    let (redis, restarted) = (PrivateRedis::start().await, PrivateRedis::start().await);
    let stores = TestStores::new(Composition::Servers).await;
    stores.redis().lead_to(&redis.address());
    let app = beside_python().start_on(stores).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (carol, dave) = (app.user("carol").await, app.user("dave").await);
    mark_at(&redis.url(), &token_key(&app.stores, &alice), "1").await;
    until_revoked(&alice).await;
    redis.command(&["DEL", &token_key(&app.stores, &alice)]).await;
    redis.command(&["FLUSHALL"]).await;
    mark_at(&redis.url(), &token_key(&app.stores, &bob), "1").await;
    until_revoked(&bob).await;
    assert_revoked(&alice.me().await);
    // An empty server at the same address is what a restart leaves.
    app.stores.redis().lead_to(&restarted.address());
    mark_at(&restarted.url(), &token_key(&app.stores, &carol), "1").await;
    app.stores.redis().cut();
    until_revoked(&carol).await;
    for revoked in [&alice, &bob] {
        assert_revoked(&revoked.me().await);
    }
    assert_accepted(&dave).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_start_without_redis_continues_without_the_marks() {
    let mut app = started().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.stop().await.unwrap();
    mark(&token_key(&app.stores, &alice), "1").await;
    app.stores.redis().close();
    app.run();
    app.wait_for_health(200, "degraded").await;
    let (alice, bob) = (alice.at(&app.url), bob.at(&app.url));
    assert_accepted(&alice).await;
    app.stores.redis().open();
    until_revoked(&alice).await;
    assert_accepted(&bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn marks_are_ignored_unless_a_python_service_is_expected() {
    let mut app = Setup::new(Composition::Servers).start().await;
    let alice = app.user("alice").await;
    mark(&token_key(&app.stores, &alice), "1").await;
    mark(&user_key(&app.stores, &alice), "99999999999").await;
    assert_accepted(&alice).await;
    app.restart().await;
    assert_accepted(&alice.at(&app.url)).await;
    let up = "discogsography_revocation_tracking_up";
    assert!(!scrape(&app).await.samples.iter().any(|sample| sample.name == up));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn every_replica_knows_the_marks() {
    let app = started().await;
    let replica = app.replica().await;
    let alice = app.user("alice").await;
    mark(&token_key(&app.stores, &alice), "1").await;
    until_revoked(&alice).await;
    until_revoked(&alice.at(&replica.url)).await;
}

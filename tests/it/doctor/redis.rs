//! Redis evicts keys, is full, is a replica, refuses the sign-in, or is unavailable.

use std::time::Duration;

use crate::harness::{Composition, PrivateRedis, TestStores, certificate, free_port};

use super::scene::{self, Scene};

/// Returns a scene with this Redis, which no other test uses.
async fn with_private_redis(redis: &PrivateRedis) -> Scene {
    let stores = TestStores::new(Composition::Servers).await;
    Scene::on(stores, Duration::ZERO, &[("REDIS_URL", &redis.url())]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_redis_that_may_lose_flows_is_found() {
    let redis = PrivateRedis::start().await;
    let scene = with_private_redis(&redis).await;
    scene.finding("redis_memory", "ok");
    redis.command(&["config", "set", "maxmemory-policy", "allkeys-lru"]).await;
    let finding = scene.finding("redis_memory", "warning");
    assert!(finding["what"].as_str().unwrap().starts_with("maxmemory-policy is allkeys-lru: "));
    assert!(
        finding["fix"]
            .as_str()
            .unwrap()
            .contains("`redis-cli config set maxmemory-policy noeviction`")
    );
    redis.command(&["config", "set", "maxmemory", "200mb"]).await;
    let what = scene.finding("redis_memory", "warning")["what"].to_string();
    assert!(what.contains("when its limit of 209715200 bytes is reached"), "{what}");
    redis.command(&["config", "set", "maxmemory-policy", "noeviction"]).await;
    redis.command(&["config", "set", "maxmemory", "1kb"]).await;
    scene.finding("redis_memory", "error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_read_only_redis_is_found() {
    let redis = PrivateRedis::start().await;
    let scene = with_private_redis(&redis).await;
    redis.command(&["replicaof", "127.0.0.1", &free_port().to_string()]).await;
    let finding = scene.finding("redis", "error");
    assert!(finding["what"].as_str().unwrap().starts_with("Redis is a replica"), "{finding:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_refused_sign_in_to_redis_says_what_to_correct() {
    let redis = PrivateRedis::start().await;
    let scene = with_private_redis(&redis).await;
    redis.command(&["config", "set", "requirepass", "canary-right-password"]).await;
    let url = format!("redis://:canary-wrong-password@{}/0", redis.address());
    for scene in [
        scene.with("REDIS_URL", &redis.url()),
        with_private_redis(&redis).await.with("REDIS_URL", &url),
    ] {
        let finding = scene.finding("redis", "error");
        let fix = "Correct the user and password in REDIS_URL, or REDIS_PASSWORD: \
                    `redis://USER:PASSWORD@HOST:6379/0`";
        assert_eq!(finding["fix"], fix, "{finding:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_unavailable_redis_does_not_prevent_other_checks() {
    let scene = Scene::new(Composition::Servers).await;
    for disable in [crate::harness::Proxy::close, crate::harness::Proxy::hang] {
        disable(scene.stores.redis());
        let (code, report) = scene.doctor();
        assert_eq!(code, Some(1));
        scene::finding(&report, "redis", "error");
        for other in ["database", "schema", "discogs", "app_credentials"] {
            scene::finding(&report, other, "ok");
        }
        scene.stores.redis().open();
    }
    let nowhere = format!("redis://127.0.0.1:{}/0", free_port());
    let what = scene.with("REDIS_URL", &nowhere).finding("redis", "error")["what"].to_string();
    assert!(what.contains("the connection to Redis is refused"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_untrusted_redis_is_reported_with_the_variable_to_set() {
    let (_redis, port) = PrivateRedis::start_with_tls().await;
    let stores = TestStores::new(Composition::Servers).await;
    let scene = Scene::on(stores, Duration::ZERO, &[]).await;
    let scene = scene.with("REDIS_URL", &format!("rediss://localhost:{port}/0"));
    let finding = scene.finding("redis", "error");
    let fix = "Set REDIS_SSLROOTCERT to the path of a PEM file with the root certificate that signed \
                the server's certificate";
    assert_eq!(finding["fix"], fix, "{finding:#}");
    scene.with("REDIS_SSLROOTCERT", &certificate("ca.pem")).finding("redis", "ok");
}

/// Creates a Redis user with these permissions, and returns its URL.
async fn user(redis: &PrivateRedis, rights: &[&str]) -> String {
    let words = [&["acl", "setuser", "limited", "reset", "on", ">a-password"], rights].concat();
    redis.command(&words).await;
    format!("redis://limited:a-password@{}/0", redis.address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn missing_redis_permissions_are_found() {
    let redis = PrivateRedis::start().await;
    let scene = with_private_redis(&redis).await;
    for rights in [
        &["~*", "+@all", "-@scripting"][..],
        &["~*", "+@all", "-set"],
        &["~*", "+@all", "-del"],
        &["~*", "+@all", "-time"],
        &["~other:*", "+@all"],
        &["%R~discogs:*", "+@all"],
    ] {
        let url = user(&redis, rights).await;
        let scene = with_private_redis(&redis).await.with("REDIS_URL", &url);
        let finding = scene.finding("redis", "error");
        let what = "Redis can't be used, so users can't connect Discogs: Redis says NOPERM";
        assert_eq!(finding["what"], what, "{rights:?}");
        assert!(finding["fix"].as_str().unwrap().contains("EVALSHA"), "{finding:#}");
    }
    scene.finding("redis", "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_suggested_redis_permissions_are_enough() {
    let redis = PrivateRedis::start().await;
    let rights = ["~discogs:*", "+@read", "+@write", "+@scripting", "+time"];
    let scene = with_private_redis(&redis).await.with("REDIS_URL", &user(&redis, &rights).await);
    let (code, report) = scene.doctor();
    assert_eq!((code, &report["severity"]), (Some(0), &"note".into()), "{report:#}");
    let finding = scene::finding(&report, "redis", "ok");
    assert!(finding["what"].as_str().unwrap().contains(" works ("), "{finding:#}");
    scene::finding(&report, "redis_memory", "note");
    let rights = ["~discogs:oauth:*", "+@all"];
    let scene = with_private_redis(&redis).await.with("REDIS_URL", &user(&redis, &rights).await);
    let what = "Request limits can't be shared by all replicas: Redis says NOPERM";
    assert_eq!(scene.finding("redis", "warning")["what"], what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_sharded_redis_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let redis = PrivateRedis::start_as_cluster(folder.path()).await;
    let finding = with_private_redis(&redis).await.finding("redis", "error");
    let what = "Redis can't be used, so users can't connect Discogs: Redis says CROSSSLOT";
    assert_eq!(finding["what"], what);
    let fix = "Use a single Redis server: Redis Cluster and sharded Redis are not supported";
    assert_eq!(finding["fix"], fix);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_missing_redis_database_is_reported() {
    let redis = PrivateRedis::start().await;
    let url = format!("redis://{}/99", redis.address());
    let finding =
        with_private_redis(&redis).await.with("REDIS_URL", &url).finding("redis", "error");
    let what = "Redis can't be used, so users can't connect Discogs: Redis refuses the database \
                number in REDIS_URL";
    assert_eq!(finding["what"], what);
    let fix = finding["fix"].as_str().unwrap();
    assert!(fix.starts_with("Correct the number at the end of REDIS_URL"), "{fix}");
}

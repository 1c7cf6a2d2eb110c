//! The health routes on both ports, and that the health port serves nothing else.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{at_health, routes, started};
use crate::harness::actor::send;
use crate::harness::{Answer, Composition, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_the_same_on_both_ports() {
    let app = started().await;
    let timestamp = "2026-09-21T14:13:20.000000+00:00";
    let short = json!({ "service": "api", "status": "healthy", "timestamp": timestamp });
    let mut whole = short.clone();
    whole["checks"] = json!({ "service": "ready", "database": "up", "state_store": "up" });
    for actor in [app.anonymous(), at_health(&app), app.anonymous().with_token("bad")] {
        actor.get("/health").await.assert(200, &whole);
        actor.get("/health?verbose=1").await.assert(200, &whole);
        actor.get("/health/live").await.assert(200, &short);
        actor.get("/health/ready").await.assert(200, &short);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timestamp_is_the_time_of_the_answer() {
    let app = started().await;
    let timestamps = async |path| {
        let (api, health) = (app.anonymous().get(path).await, at_health(&app).get(path).await);
        [api.json()["timestamp"].clone(), health.json()["timestamp"].clone()]
    };
    for (path, expected) in [
        ("/health", "2026-09-21T14:13:20.000042+00:00"),
        ("/health/live", "2026-09-21T14:13:20.000084+00:00"),
        ("/health/ready", "2026-09-21T14:13:20.000126+00:00"),
    ] {
        // The checks are cached for a moment; the time is not.
        assert_eq!(app.health().await.status, 200);
        app.clock.advance(Duration::from_micros(42));
        assert_eq!(timestamps(path).await, [expected, expected], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_port_serves_nothing_of_the_api() {
    let app = started().await;
    let admin = app.admin().await.at(&app.health_url);
    let of_the_api = routes().into_iter().filter(|(path, _)| path.starts_with("/api/"));
    for (path, methods) in of_the_api {
        for method in methods.iter().filter(|method| *method != "HEAD") {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            // Not checked against the OpenAPI document, which describes the API's port.
            let answer = Answer::of(admin.request(method, &path).send().await.unwrap()).await;
            answer.assert_error(404, "not_found", "Not Found");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_ignored() {
    let app = started().await;
    for actor in [app.anonymous(), at_health(&app)] {
        let request = actor.request(Method::GET, "/health").header("content-type", "a/b");
        assert_eq!(send(request.body("{")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_starting_is_unhealthy_and_alive() {
    let setup = Setup::new(Composition::Embedded).with("AUTO_MIGRATE", "off");
    let stores = crate::harness::TestStores::new(Composition::Embedded).await;
    let app = setup.launch_on(stores).await;
    app.wait_for_health(503, "unhealthy").await;
    let timestamp = "2026-09-21T14:13:20.000000+00:00";
    let short = |status| json!({ "service": "api", "status": status, "timestamp": timestamp });
    let mut whole = short("unhealthy");
    whole["checks"] = app.health().await.json()["checks"].clone();
    assert_eq!(whole["checks"]["service"], "starting");
    for actor in [app.anonymous(), at_health(&app)] {
        let health = actor.get("/health").await;
        health.assert(503, &whole);
        assert_eq!(health.header("retry-after"), Some("1"));
        actor.get("/health/live").await.assert(200, &short("healthy"));
        let ready = actor.get("/health/ready").await;
        ready.assert(503, &short("unhealthy"));
        assert_eq!(ready.header("retry-after"), Some("1"));
    }
    app.storage().await;
    app.wait_until_healthy().await;
    assert_eq!(at_health(&app).get("/health/ready").await.status, 200);
}

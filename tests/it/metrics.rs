//! `GET /metrics`: its port, that Prometheus can read it, and that labels are limited.
//!
//! [`document`]: docs/metrics.md. [`moves`]: each family counts what it should. [`names`]: names
//! that must not change. [`operators`]: alerts and dashboard.

mod document;
mod moves;
mod names;
mod operators;
pub(crate) mod scrape;

use std::collections::BTreeSet;

use reqwest::Method;
use tokio::io::AsyncWriteExt as _;

use crate::harness::actor::send;
use crate::harness::wire::{connect, exchange, head};
use crate::harness::{Composition, Setup, TestApp};
use scrape::{Scrape, scrape};

async fn started() -> TestApp {
    Setup::new(Composition::Embedded).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_on_the_health_port_alone() {
    let app = started().await;
    let (api, health) = (app.anonymous(), app.anonymous().at(&app.health_url));
    for method in ["GET", "POST"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let elsewhere = send(api.request(method, "/metrics")).await;
        elsewhere.assert_error(404, "not_found", "Not Found");
    }
    let here = health.get("/metrics").await;
    assert_eq!(here.status, 200, "{here:?}");
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(here.header("content-type"), Some(content_type));
    let head = send(health.request(Method::HEAD, "/metrics")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let posted = send(health.request(Method::POST, "/metrics")).await;
    posted.assert_error(405, "method_not_allowed", "Method Not Allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_is_what_prometheus_reads() {
    let app = started().await;
    app.user("alice").await.start().await;
    let scraped = scrape(&app).await;
    let names: BTreeSet<_> = scraped.families.iter().map(|family| &family.name).collect();
    assert_eq!(names.len(), scraped.families.len(), "no family comes twice");
    for family in &scraped.families {
        assert!(family.help.ends_with('.'), "{family:?}");
        assert_eq!(family.kind == "counter", family.name.ends_with("_total"), "{family:?}");
        if family.kind == "histogram" {
            assert_histogram(&scraped, &family.name);
        }
    }
    let series: BTreeSet<_> = scraped.samples.iter().map(|it| (&it.name, &it.labels)).collect();
    assert_eq!(series.len(), scraped.samples.len(), "no series comes twice");
}

/// Asserts that buckets are cumulative and the last one equals the count.
fn assert_histogram(scraped: &Scrape, name: &str) {
    let bucket = format!("{name}_bucket");
    let mut last = (f64::INFINITY, 0.0);
    for sample in scraped.samples.iter().filter(|sample| sample.name == bucket) {
        let bound: f64 = sample.labels["le"].parse().unwrap();
        let goes_on = bound > last.0 && sample.value >= last.1;
        assert!(goes_on || last.0.is_infinite(), "{sample:?} after {last:?}");
        last = (bound, sample.value);
    }
    assert!(last.0.is_infinite(), "{name} ends at {last:?}");
    let total = scraped.value(&bucket, &[("le", "+Inf")]);
    assert!((total - scraped.value(&format!("{name}_count"), &[])).abs() < 0.5, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_make_labels_grow() {
    let app = started().await;
    let hostile = async |round: usize| {
        for url in [&app.url, &app.health_url] {
            for path in [
                format!("/nowhere-{round}"),
                format!("/api/admin/config/key-{round}"),
                format!("/web/file-{round}"),
                format!("/health/live/{round}?x={round}"),
                format!("/%22%7d%0a-{round}"),
                format!("/api/auth/me?route={round}"),
                format!("//{}", "x".repeat(round)),
            ] {
                for method in ["GET", "PATCH", "TRACE", "get", "BREW", &format!("M{round}")] {
                    exchange(url, head(method, &path, &[]).as_bytes()).await;
                }
            }
        }
        scrape(&app).await
    };
    hostile(1).await;
    let before = hostile(2).await;
    for round in 3..10 {
        assert_eq!(hostile(round).await.samples.len(), before.samples.len());
    }
    assert_eq!(before.values("method"), BTreeSet::from(["GET", "other"]));
    let routes =
        ["/api/admin/config/{key}", "/api/auth/me", "/health", "/metrics", "/web/{file}", "none"];
    assert_eq!(before.values("route"), BTreeSet::from(routes));
    let mut statuses = before.values("status");
    statuses.remove("503"); // Of `/health`, while the service was starting.
    assert_eq!(statuses, BTreeSet::from(["200", "401", "404", "405"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_port_closes_the_longest_idle_connection_and_counts_it() {
    let app = started().await;
    let mut held = Vec::new();
    for _ in 0..128 {
        let mut stream = connect(&app.health_url).await;
        stream.write_all(b"GET").await.unwrap();
        held.push(stream);
    }
    // Uses a new connection, since an existing one may be the one that is closed.
    let answer = exchange(&app.health_url, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.header("connection"), Some("close"), "as long as the port is full");
    let scraped = Scrape::of(&answer);
    let closed = "discogsography_connections_closed_for_room_total";
    assert!(scraped.value(closed, &[("port", "health")]) >= 1.0);
    assert!(scraped.value(closed, &[("port", "api")]) < 0.5);
    let open = scraped.value("discogsography_http_connections", &[("port", "health")]);
    assert!((100.0..=129.0).contains(&open), "{open}");
}

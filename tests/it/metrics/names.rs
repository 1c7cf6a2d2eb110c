//! Names, types, labels and buckets of metrics never change by accident.
//!
//! Alerts and dashboards rely on them. `tests/it/metrics/names.txt` lists them: the content type,
//! then one line per family.

use std::collections::BTreeMap;

use super::scrape::{Family, Scrape};
use super::started;
use crate::harness::actor::send;

/// Labels whose values depend on what was requested, or on the release.
const OPEN_LABELS: [&str; 4] = ["method", "route", "status", "version"];

/// Returns a family with the labels of its samples, in their order of appearance.
fn line(scrape: &Scrape, family: &Family) -> String {
    let names = family.names();
    let mut labels = BTreeMap::<&str, Vec<&str>>::new();
    for sample in scrape.samples.iter().filter(|sample| names.contains(&sample.name)) {
        for (label, value) in &sample.labels {
            let values = labels.entry(label).or_default();
            if !OPEN_LABELS.contains(&label.as_str()) && !values.contains(&value.as_str()) {
                values.push(value);
            }
        }
    }
    let mut words = vec![family.name.clone(), family.kind.clone()];
    for (label, mut values) in labels {
        if label != "le" {
            values.sort_unstable();
        }
        words.push(format!("{label}={}", values.join(",")));
    }
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_types_labels_and_buckets_are_as_promised() {
    let app = started().await;
    app.user("alice").await.start().await;
    let answer = send(app.client.get(format!("{}/metrics", app.health_url))).await;
    let scrape = Scrape::of(&answer);
    let mut families: Vec<_> = scrape.families.iter().map(|it| line(&scrape, it)).collect();
    families.sort_unstable();
    let content_type = answer.header("content-type").unwrap();
    let live = format!("content-type: {content_type}\n{}\n", families.join("\n"));
    assert_eq!(live, include_str!("names.txt"), "live first, then as promised");
}

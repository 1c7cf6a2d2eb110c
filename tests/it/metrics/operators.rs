//! The alerts and the dashboard use only existing metrics.
//!
//! Also, docs/operations/alerts.md explains each alert.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::scrape::scrape;
use super::started;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("discogsography_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_use_asks_only_for_metrics_that_are_there() {
    let app = started().await;
    let scraped = scrape(&app).await;
    let mut live = scraped.names();
    for path in ["ops/prometheus/alerts.yaml", "ops/grafana/dashboard.json"] {
        assert_asks_only_for(&live, path);
    }
    // The texts may also name a family.
    live.extend(scraped.families.iter().map(|family| family.name.clone()));
    for path in ["docs/operations/alerts.md", "docs/operations/capacity.md", "docs/scaling.md"] {
        assert_asks_only_for(&live, path);
    }
}

fn assert_asks_only_for(live: &BTreeSet<String>, path: &str) {
    let named = names_in(&text(path));
    let unknown: Vec<_> = named.difference(live).collect();
    assert!(unknown.is_empty(), "{path} names {unknown:?}");
    assert!(named.len() > 1, "{path} names only {named:?}");
}

#[test]
fn every_alert_says_in_words_what_is_wrong_and_where_to_read_on() {
    let (alerts, operations) =
        (text("ops/prometheus/alerts.yaml"), text("docs/operations/alerts.md"));
    let anchors: BTreeSet<_> = operations
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let alerts: Vec<_> = alerts.split("- alert: ").skip(1).collect();
    for alert in &alerts {
        assert!(alert.contains("summary: "), "{alert}");
        let link = alert.split("runbook: docs/operations/alerts.md#").nth(1).unwrap_or_default();
        let anchor = link.lines().next().unwrap_or_default();
        assert!(anchors.contains(anchor), "docs/operations/alerts.md has no heading for {alert}");
    }
    assert!(alerts.len() >= 8, "there are {}", alerts.len());
}

#[test]
fn the_dashboard_is_json() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&text("ops/grafana/dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 8);
}

//! docs/metrics.md names every metric, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::scrape::scrape;
use super::started;

/// Returns every metric of the document with its type and labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let document = include_str!("../../../docs/metrics.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| label != "–").collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_every_metric_and_no_other() {
    let app = started().await;
    app.user("alice").await.start().await;
    let (scraped, rows) = (scrape(&app).await, documented());
    let live = scraped.families.iter().map(|family| (&family.name, &family.kind));
    let written = rows.iter().map(|(name, (kind, _))| (name, kind));
    assert_eq!(live.collect::<BTreeSet<_>>(), written.collect::<BTreeSet<_>>());
    for family in &scraped.families {
        let own = family.names();
        for sample in scraped.samples.iter().filter(|sample| own.contains(&sample.name)) {
            let labels = sample.labels.keys().filter(|label| *label != "le").cloned();
            assert_eq!(labels.collect::<BTreeSet<_>>(), rows[&family.name].1, "{sample:?}");
        }
    }
}

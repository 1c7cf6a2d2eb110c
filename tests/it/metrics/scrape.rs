//! The text of `/metrics`, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::actor::send;
use crate::harness::{Answer, TestApp};

/// The result of one scrape.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) families: Vec<Family>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Scrapes the health port.
pub(crate) async fn scrape(app: &TestApp) -> Scrape {
    Scrape::of(&send(app.client.get(format!("{}/metrics", app.health_url))).await)
}

impl Scrape {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = &answer.body;
        assert!(text.ends_with('\n'), "the last line ends, too");
        let mut scrape = Self { families: Vec::new(), samples: Vec::new() };
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                let (name, help) = (name.to_owned(), help.to_owned());
                scrape.families.push(Family { name, kind: String::new(), help });
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let family = scrape.families.last_mut().unwrap();
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family.name);
                kind.clone_into(&mut family.kind);
            } else {
                let sample = Sample::read(line);
                let family = scrape.families.last().unwrap();
                assert!(family.names().contains(&sample.name), "{line} in {family:?}");
                scrape.samples.push(sample);
            }
        }
        scrape
    }

    /// Returns the sum of the samples with these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(name, value)| sample.labels.get(*name).is_some_and(|it| it == value))
        };
        self.samples.iter().filter(|it| it.name == name).filter(has).map(|it| it.value).sum()
    }

    /// Returns every value of a label.
    pub(crate) fn values(&self, label: &str) -> BTreeSet<&str> {
        self.samples.iter().filter_map(|it| it.labels.get(label)).map(String::as_str).collect()
    }

    /// Returns the names that a query may use.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.families.iter().flat_map(Family::names).collect()
    }
}

impl Family {
    /// The names of its samples.
    pub(crate) fn names(&self) -> Vec<String> {
        let suffixes: &[&str] =
            if self.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        let pairs = labels.split_terminator("\",").map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: pairs.collect(), value: value.parse().unwrap() }
    }
}

//! Prometheus's text format, version 0.0.4: a `HELP` and a `TYPE` line for each family, then its
//! samples.
//!
//! No value of a label needs an escape: all of them are ours.

use std::fmt::{Display, Write as _};

use super::kinds::{Counter, Family, Gauge, Histogram, LastSeen};
use super::labels::Label;

/// A text that grows family by family.
#[derive(Default)]
pub(super) struct Text {
    text: String,
    name: &'static str,
}

/// What has samples to show.
pub(super) trait Samples {
    /// The type of its family.
    const KIND: &'static str;

    /// Adds its samples, with these labels before its own.
    fn write(&self, text: &mut Text, labels: &[(&str, &str)]);
}

/// Something that never changes, told by a label.
pub(super) struct Info(pub(super) &'static str, pub(super) &'static str);

/// A number that was read for this text; nothing where it can't be had.
pub(super) struct Reading<T>(pub(super) Option<T>);

/// A counter that is kept elsewhere.
pub(super) struct Total(pub(super) u64);

impl Text {
    /// Adds a family.
    pub(super) fn family<S: Samples>(&mut self, name: &'static str, help: &str, samples: &S) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", S::KIND));
        self.name = name;
        samples.write(self, &[]);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let name = self.name;
        self.put(format_args!("{name}{suffix}"));
        for (number, (label, of)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            self.put(format_args!("{before}{label}=\"{of}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{end} {value}\n"));
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // A text in memory takes everything.
        let _ = self.text.write_fmt(what);
    }
}

impl Samples for Counter {
    const KIND: &'static str = "counter";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        text.sample("", labels, self.value());
    }
}

impl Samples for Gauge {
    const KIND: &'static str = "gauge";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        text.sample("", labels, self.value());
    }
}

impl Samples for LastSeen {
    const KIND: &'static str = "gauge";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        Reading(self.value()).write(text, labels);
    }
}

impl Samples for Histogram {
    const KIND: &'static str = "histogram";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        let mut count = 0;
        for (bound, so_far) in self.cumulative() {
            text.sample("_bucket", &with(labels, "le", bound), so_far);
            count = so_far;
        }
        text.sample("_sum", labels, self.sum().as_secs_f64());
        text.sample("_count", labels, count);
    }
}

impl<L: Label, M: Samples> Samples for Family<L, M> {
    const KIND: &'static str = M::KIND;

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        for (value, metric) in self.iter() {
            metric.write(text, &with(labels, L::NAME, value));
        }
    }
}

impl Samples for Info {
    const KIND: &'static str = "gauge";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        text.sample("", &with(labels, self.0, self.1), 1);
    }
}

impl<T: Display> Samples for Reading<T> {
    const KIND: &'static str = "gauge";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        if let Some(value) = &self.0 {
            text.sample("", labels, value);
        }
    }
}

impl Samples for Total {
    const KIND: &'static str = "counter";

    fn write(&self, text: &mut Text, labels: &[(&str, &str)]) {
        text.sample("", labels, self.0);
    }
}

fn with<'a>(
    labels: &[(&'a str, &'a str)],
    name: &'a str,
    value: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let mut all = labels.to_vec();
    all.push((name, value));
    all
}

#[cfg(test)]
mod tests {
    use super::{Counter, Family, Reading, Text};
    use crate::metrics::Port;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let connections = Family::<Port, Counter>::default();
        connections.of(Port::Health).add_one();
        let mut text = Text::default();
        text.family("connections_total", "So many.", &connections);
        text.family("unknown", "Nobody knows.", &Reading(None::<u64>));
        text.family("memory_bytes", "Taken.", &Reading(Some(1.5)));
        let expected = "# HELP connections_total So many.
# TYPE connections_total counter
connections_total{port=\"api\"} 0
connections_total{port=\"health\"} 1
# HELP unknown Nobody knows.
# TYPE unknown gauge
# HELP memory_bytes Taken.
# TYPE memory_bytes gauge
memory_bytes 1.5
";
        assert_eq!(text.finish(), expected);
    }
}

//! The kinds of metrics, and families of them by label.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::labels::Label;

/// The upper bounds of a histogram's buckets, in nanoseconds and as they are shown in seconds.
pub(super) const BOUNDS: [(u64, &str); 14] = [
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (20_000_000_000, "20"),
];

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// What was seen last; nothing is shown before something was seen.
#[derive(Debug)]
pub struct LastSeen(AtomicI64);

/// Durations, by how long they were.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many are within each bound and above the one before.
    within: [AtomicU64; BOUNDS.len()],
    above: AtomicU64,
    nanoseconds: AtomicU64,
}

/// One metric for each value of a label.
#[derive(Debug)]
pub struct Family<L, M> {
    /// Apart from the rest, so that there is always one to give.
    first: M,
    rest: Box<[M]>,
    label: PhantomData<fn(L)>,
}

impl Counter {
    /// Counts one more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many.
    pub fn set(&self, value: usize) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl LastSeen {
    const NOTHING: i64 = i64::MIN;

    /// So much was seen.
    pub fn see(&self, value: u32) {
        self.0.store(value.into(), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|value| *value != Self::NOTHING)
    }
}

impl Default for LastSeen {
    fn default() -> Self {
        Self(AtomicI64::new(Self::NOTHING))
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|(bound, _)| nanoseconds <= *bound);
        let bucket = at.and_then(|at| self.within.get(at)).unwrap_or(&self.above);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How many are within each bound, all of the lower ones with them.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut total = 0;
        let buckets = self.within.iter().chain([&self.above]);
        let bounds = BOUNDS.iter().map(|(_, shown)| *shown).chain(["+Inf"]);
        bounds.zip(buckets).map(move |(bound, bucket)| {
            total += bucket.load(Ordering::Relaxed);
            (bound, total)
        })
    }

    /// Their sum.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

impl<L: Label, M> Family<L, M> {
    /// The metric of a value.
    pub fn of(&self, value: L) -> &M {
        // Before the first there is none, so that one is what is left.
        let at = value.index().wrapping_sub(1);
        self.rest.get(at).unwrap_or(&self.first)
    }

    /// Every value with its metric.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &M)> {
        L::VALUES.iter().copied().zip(std::iter::once(&self.first).chain(&self.rest))
    }
}

impl<L: Label, M: Default> Default for Family<L, M> {
    fn default() -> Self {
        let rest = L::VALUES.iter().skip(1).map(|_| M::default()).collect();
        Self { first: M::default(), rest, label: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Counter, Family, Histogram, LastSeen};
    use crate::metrics::{Label as _, Port};
    use crate::rate_limits::Limit;

    #[test]
    fn every_value_of_a_label_has_a_metric_of_its_own() {
        let family = Family::<Limit, Counter>::default();
        family.of(Limit::Register).add_one();
        family.of(Limit::Verify).add_one();
        family.of(Limit::Verify).add_one();
        let values: Vec<_> = family.iter().map(|(name, counter)| (name, counter.value())).collect();
        let expected = [
            ("register", 1),
            ("sign_in", 0),
            ("failed_sign_in", 0),
            ("authorize", 0),
            ("authorize_address", 0),
            ("verify", 2),
            ("verify_address", 0),
        ];
        assert_eq!(values, expected);
        assert_eq!(Port::Health.as_str(), "health");
    }

    #[test]
    fn the_shown_bounds_are_the_ones_that_count() {
        for (nanoseconds, shown) in BOUNDS {
            let seconds: f64 = shown.parse().unwrap();
            assert_eq!(Duration::from_nanos(nanoseconds), Duration::from_secs_f64(seconds));
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_duration_counts_for_its_bucket_and_all_above() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 20_000, 20_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts[..3], [("0.001", 2), ("0.0025", 3), ("0.005", 3)]);
        assert_eq!(counts[counts.len() - 2..], [("20", 4), ("+Inf", 5)]);
        assert_eq!(histogram.sum(), Duration::from_millis(40_004));
    }

    #[test]
    fn nothing_is_shown_before_something_was_seen() {
        let remaining = LastSeen::default();
        assert_eq!(remaining.value(), None);
        remaining.see(0);
        assert_eq!(remaining.value(), Some(0));
    }
}

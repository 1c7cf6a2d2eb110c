//! The time of day as a value: the system's, or one that tests move.
//!
//! Durations are measured with a monotonic clock (`std::time::Instant`) and never with this one,
//! which may jump.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// `0001-01-01T00:00:00Z`
const YEAR_1: i64 = -62_135_596_800 * MICROSECONDS_PER_SECOND;

/// A moment in UTC, in microseconds since the Unix epoch: as precise as PostgreSQL keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Tells the present moment.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it; its copies move along.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(microseconds) => Timestamp(microseconds.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's own is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(microseconds) = &self.0 {
            microseconds.fetch_add(saturating_micros(by), Ordering::SeqCst);
        }
    }
}

impl Timestamp {
    /// Takes microseconds since the Unix epoch.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn as_microseconds(self) -> i64 {
        self.0
    }

    /// Time since the Unix epoch; a moment before it counts as the epoch itself.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// The moment that comes `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(saturating_micros(by)))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-01-31T09:30:00.000000+00:00`.
///
/// A moment outside the years 1 to 9999, which RFC 3339 can't write, is shown as the nearest one
/// inside; PostgreSQL's `infinity` is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < YEAR_1 {
            return f.write_str("0001-01-01T00:00:00.000000+00:00");
        }
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")),
            // The library leaves out the last hours of 9999 for the sake of time zones.
            Err(_) => f.write_str("9999-12-31T23:59:59.999999+00:00"),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Lets time pass where there is no event to wait for: between two tries of something.
#[expect(clippy::disallowed_methods, reason = "every other place must wait for what it needs")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
fn system_now() -> Timestamp {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since_epoch) => Timestamp(saturating_micros(since_epoch)),
        Err(before_epoch) => Timestamp(-saturating_micros(before_epoch.duration())),
    }
}

fn saturating_micros(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds
        .saturating_mul(MICROSECONDS_PER_SECOND)
        .saturating_add(i64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::{Clock, Duration, Timestamp};

    #[test]
    fn a_timestamp_always_shows_its_microseconds() {
        let whole = Timestamp::from_microseconds(1_767_225_600_000_000);
        assert_eq!(whole.to_string(), "2026-01-01T00:00:00.000000+00:00");
        let fraction = whole.plus(Duration::from_micros(42));
        assert_eq!(fraction.to_string(), "2026-01-01T00:00:00.000042+00:00");
    }

    #[test]
    fn a_timestamp_out_of_range_is_shown_as_the_nearest_one() {
        let shown = |microseconds| Timestamp::from_microseconds(microseconds).to_string();
        assert_eq!(shown(i64::MAX), "9999-12-31T23:59:59.999999+00:00");
        assert_eq!(shown(i64::MIN), "0001-01-01T00:00:00.000000+00:00");
        assert_eq!(shown(super::YEAR_1), "0001-01-01T00:00:00.000000+00:00");
        assert_eq!(shown(super::YEAR_1 - 1), "0001-01-01T00:00:00.000000+00:00");
        assert_eq!(shown(super::YEAR_1 + 1), "0001-01-01T00:00:00.000001+00:00");
    }

    #[test]
    fn copies_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_microseconds(0));
        let copy = clock.clone();
        clock.advance(Duration::from_secs(600));
        assert_eq!(copy.now().as_seconds(), 600);
    }
}

//! The current time as a value: the system clock, or one that tests move.
//!
//! Durations are measured with `std::time::Instant`, which is monotonic; this clock may jump.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// `0001-01-01T00:00:00Z`
const YEAR_1: i64 = -62_135_596_800 * SECOND;

/// `10000-01-01T00:00:00Z`
const YEAR_10000: i64 = 253_402_300_800 * SECOND;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// A point in time, in microseconds since the Unix epoch: the precision of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The source of the current time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the system clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that only [`Clock::advance`] moves; clones share its time.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(microseconds) => Timestamp(microseconds.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; has no effect on the system clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(microseconds) = &self.0 {
            microseconds.fetch_add(saturating_micros(by), Ordering::SeqCst);
        }
    }
}

impl Timestamp {
    /// The timestamp this many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_microseconds(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn as_microseconds(self) -> i64 {
        self.0
    }

    /// Time since the Unix epoch, zero for earlier timestamps.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// The timestamp `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(saturating_micros(by)))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-01-31T09:30:00.000000+00:00`.
///
/// RFC 3339 can't express timestamps outside the years 1 to 9999, such as PostgreSQL's `infinity`.
/// They are shown as the nearest one that it can express.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = SignedDuration::from_micros(self.0.clamp(YEAR_1, YEAR_10000 - 1));
        let date_time = EPOCH.saturating_add(shown);
        PRINTER.print_datetime(&date_time, StdFmtWrite(&mut *f)).map_err(|_| fmt::Error)?;
        f.write_str("+00:00")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Sleeps between two attempts, when there is no event to wait for.
#[expect(clippy::disallowed_methods, reason = "every other place waits for an event")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
fn system_now() -> Timestamp {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since_epoch) => Timestamp(saturating_micros(since_epoch)),
        Err(before_epoch) => Timestamp(-saturating_micros(before_epoch.duration())),
    }
}

fn saturating_micros(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(SECOND).saturating_add(i64::from(duration.subsec_micros()))
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

    /// The values are those that `date --utc` prints.
    #[test]
    fn leap_days_and_the_ends_of_years_and_centuries_are_right() {
        for (seconds, date_time) in [
            (-1, "1969-12-31T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_164_799, "2024-02-28T23:59:59"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (4_102_444_799, "2099-12-31T23:59:59"),
            (-2_203_891_200, "1900-03-01T00:00:00"),
            (-62_135_596_800, "0001-01-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            let shown = Timestamp::from_microseconds(seconds * super::SECOND).to_string();
            assert_eq!(shown, format!("{date_time}.000000+00:00"));
        }
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_microseconds(0));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(600));
        assert_eq!(clone.now().as_seconds(), 600);
    }
}

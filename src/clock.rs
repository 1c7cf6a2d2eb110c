//! The time of day as a value: the system's, or one that tests move.
//!
//! Durations are measured with a monotonic clock (`std::time::Instant`) and never with this one,
//! which may jump.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// In microseconds.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

/// `0001-01-01T00:00:00Z`
const YEAR_1: i64 = -62_135_596_800 * SECOND;

/// `10000-01-01T00:00:00Z`
const YEAR_10000: i64 = 253_402_300_800 * SECOND;

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
    pub const fn from_microseconds(microseconds: i64) -> Self {
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

    /// The characters of its text; by hand, since every answer and every log line has one.
    fn text(self) -> [u8; 32] {
        let shown = self.0.clamp(YEAR_1, YEAR_10000 - 1);
        let (days, of_day) = (shown.div_euclid(DAY), shown.rem_euclid(DAY));
        let (year, month, day) = civil_date(days);
        let (seconds, fraction) = (of_day / SECOND, of_day % SECOND);
        let ([y1, y2], [y3, y4]) = (two(year / 100), two(year % 100));
        let ([m1, m2], [d1, d2]) = (two(month), two(day));
        let ([h1, h2], [n1, n2]) = (two(seconds / 3600), two(seconds / 60 % 60));
        let ([s1, s2], [f1, f2]) = (two(seconds % 60), two(fraction / 10_000));
        let ([f3, f4], [f5, f6]) = (two(fraction / 100 % 100), two(fraction % 100));
        [
            y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2,
            b'.', f1, f2, f3, f4, f5, f6, b'+', b'0', b'0', b':', b'0', b'0',
        ]
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
        f.write_str(ascii(&self.text()))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(ascii(&self.text()))
    }
}

/// The date so many days after 1970-01-01 in the Gregorian calendar.
///
/// Counted from a 1 March, so that a leap day is the last one of its year: 400 years have 146,097
/// days, and from March on five months have 153.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0.div_euclid(146_097);
    let day_of_era = since_march_of_year_0.rem_euclid(146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Two decimal digits of a number below 100.
fn two(number: i64) -> [u8; 2] {
    let number = u8::try_from(number).unwrap_or_default();
    [b'0' + number / 10, b'0' + number % 10]
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
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

    /// Against the library that knows calendars, a week and a bit apart through all years.
    #[test]
    fn every_date_is_what_the_calendar_says() {
        let step = 7 * super::DAY + 12_345_678_901;
        let mut checked = 0;
        for microseconds in (super::YEAR_1..super::YEAR_10000 - super::DAY * 2)
            .step_by(usize::try_from(step).unwrap())
        {
            let moment = jiff::Timestamp::from_microsecond(microseconds).unwrap();
            let expected = moment.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
            assert_eq!(Timestamp::from_microseconds(microseconds).to_string(), expected);
            checked += 1;
        }
        assert!(checked > 500_000);
    }

    #[test]
    fn copies_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_microseconds(0));
        let copy = clock.clone();
        clock.advance(Duration::from_secs(600));
        assert_eq!(copy.now().as_seconds(), 600);
    }
}

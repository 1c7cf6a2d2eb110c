//! The times in a token, for people.

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Later times, in seconds, can't be expressed.
const LATEST: f64 = 253_402_300_800.0;

const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

/// Returns the time in a claim; `None` if it is not a time that can be expressed.
pub(super) fn time_of(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let seconds = claims.get(name)?.as_f64().filter(|seconds| seconds.abs() < LATEST)?;
    #[expect(clippy::cast_possible_truncation, reason = "the time is in range")]
    let microseconds = (seconds * 1e6) as i64;
    Some(Timestamp::from_microseconds(microseconds))
}

/// Describes a time with its distance from now: "2026-…, 3 hours ago".
pub(super) fn described(time: Timestamp, now: Timestamp) -> String {
    let difference = time.as_microseconds().saturating_sub(now.as_microseconds());
    let seconds = difference.unsigned_abs() / 1_000_000;
    let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds >= *size).unwrap_or(UNITS[3]);
    let count = seconds / size;
    let ending = if count == 1 { "" } else { "s" };
    if difference < 0 {
        format!("{time}, {count} {unit}{ending} ago")
    } else {
        format!("{time}, in {count} {unit}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{described, time_of};
    use crate::clock::Timestamp;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_microseconds(seconds * 1_000_000)
    }

    #[test]
    fn a_time_is_described_by_its_distance() {
        for (seconds, distance) in [
            (0, "in 0 seconds"),
            (1, "in 1 second"),
            (-59, "59 seconds ago"),
            (60, "in 1 minute"),
            (-7_199, "1 hour ago"),
            (86_400, "in 1 day"),
            (-200_000, "2 days ago"),
        ] {
            let time = at(1_790_000_000 + seconds);
            let expected = format!("{time}, {distance}");
            assert_eq!(described(time, at(1_790_000_000)), expected);
        }
    }

    #[test]
    fn only_a_number_in_range_is_a_time() {
        let claims = json!({ "a": 1.5, "b": "1", "c": 1e300, "d": null, "e": -1 });
        let time = |name| time_of(claims.as_object().unwrap(), name);
        assert_eq!(time("a"), Some(Timestamp::from_microseconds(1_500_000)));
        assert_eq!(time("e"), Some(at(-1)));
        for name in ["b", "c", "d", "missing"] {
            assert_eq!(time(name), None, "{name}");
        }
    }
}

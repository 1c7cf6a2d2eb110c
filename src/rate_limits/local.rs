//! The counts of this process.
//!
//! The embedded store has only these; with Redis they are the fallback during an outage.

use super::grants::Grants;
use super::rule::{Bucket, Operation, Verdict, apply};
use crate::expiring::{Change, MemoryRecords};

/// The maximum number of buckets that are kept.
pub(super) const CAPACITY: usize = 100_000;

/// Applies an operation to the local counts; a refused request uses no memory.
pub(super) fn charge(records: &MemoryRecords, buckets: &[Bucket], operation: Operation) -> Verdict {
    let keys: Vec<_> = buckets.iter().map(|bucket| bucket.key.clone()).collect();
    records.update_now(&keys, |stored, now| {
        let mut all: Vec<_> =
            stored.iter().map(|stored| Grants::parse(stored.as_deref())).collect();
        let verdict = apply(buckets.iter().zip(&mut all), now, operation);
        let write = |(bucket, grants): (&Bucket, &Grants)| match verdict {
            Verdict::Granted(_) => bucket.rule.change(grants),
            Verdict::Refused(..) => Change::Nothing,
        };
        (buckets.iter().zip(&all).map(write).collect(), verdict)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bucket, MemoryRecords, Operation, Verdict, charge};
    use crate::clock::{Clock, Timestamp};
    use crate::config::Budget;
    use crate::rate_limits::Limit;
    use crate::rate_limits::rule::{Policy, Rule};

    const MINUTE: Duration = Duration::from_secs(60);
    const ONCE: Rule = Rule { budget: Budget { most: 1, window: MINUTE }, policy: Policy::Sliding };

    fn records() -> (MemoryRecords, Clock) {
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        (MemoryRecords::new(clock.clone(), 100), clock)
    }

    fn bucket(key: &str) -> Bucket {
        Bucket { key: key.to_owned(), limit: Limit::SignIn, rule: ONCE }
    }

    fn is_granted(records: &MemoryRecords, key: &str) -> bool {
        matches!(charge(records, &[bucket(key)], Operation::Take), Verdict::Granted(_))
    }

    #[test]
    fn each_key_is_counted_by_itself() {
        let (records, clock) = records();
        assert!(is_granted(&records, "a") && is_granted(&records, "b"));
        assert!(!is_granted(&records, "a") && !is_granted(&records, "b"));
        clock.advance(MINUTE);
        assert!(is_granted(&records, "a"));
    }

    #[test]
    fn a_refused_request_is_counted_nowhere() {
        let (records, _) = records();
        assert!(is_granted(&records, "network"));
        for number in 0..10 {
            let both = [bucket(&number.to_string()), bucket("network")];
            let refused = charge(&records, &both, Operation::Take);
            assert_eq!(refused, Verdict::Refused(Limit::SignIn, MINUTE));
        }
        assert_eq!(records.len(), 1);
        assert!(is_granted(&records, "0"));
    }
}

//! Operations that are applied together: the records of all their buckets are read, decided on and
//! written at once, so that requests from one network don't compete for its record.

use std::collections::HashMap;

use super::grants::Grants;
use super::rule::{Bucket, Operation, Verdict, apply};
use crate::clock::Timestamp;
use crate::expiring::{Change, Stored};

/// One request's operation on its buckets.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) buckets: Vec<Bucket>,
    pub(super) operation: Operation,
}

/// Charges in the order of their arrival.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) charges: Vec<Charge>,
    /// Each bucket once.
    pub(super) buckets: Vec<Bucket>,
    /// The key of each bucket.
    pub(super) keys: Vec<String>,
    /// For each bucket, the grants that its shared record lacks.
    pub(super) unshared: Vec<Vec<i64>>,
    /// For each charge, the indices of its buckets.
    places: Vec<Vec<usize>>,
}

/// The outcome of a batch.
#[derive(Debug)]
pub(super) struct Decided {
    /// One for each charge.
    pub(super) verdicts: Vec<Verdict>,
    /// The resulting record of each bucket, changed or not.
    pub(super) records: Vec<Change>,
}

impl Batch {
    pub(super) fn new(charges: Vec<Charge>, unshared: &HashMap<String, Vec<i64>>) -> Self {
        let (mut buckets, mut by_key) = (Vec::new(), HashMap::new());
        let mut place = |bucket: &Bucket| {
            *by_key.entry(bucket.key.clone()).or_insert_with(|| {
                buckets.push(bucket.clone());
                buckets.len() - 1
            })
        };
        let places =
            charges.iter().map(|charge| charge.buckets.iter().map(&mut place).collect()).collect();
        let of_bucket = |bucket: &Bucket| unshared.get(&bucket.key).cloned().unwrap_or_default();
        let unshared = buckets.iter().map(of_bucket).collect();
        let keys = buckets.iter().map(|bucket| bucket.key.clone()).collect();
        Self { charges, buckets, keys, unshared, places }
    }

    /// Applies the charges to the stored records, in the order of [`Batch::keys`].
    pub(super) fn decide(&self, stored: &[Stored], now: Timestamp) -> (Vec<Change>, Decided) {
        let mut all: Vec<_> =
            stored.iter().map(|stored| Grants::parse(stored.as_deref())).collect();
        let mut is_changed: Vec<_> =
            self.unshared.iter().map(|unshared| !unshared.is_empty()).collect();
        for ((bucket, unshared), grants) in self.buckets.iter().zip(&self.unshared).zip(&mut all) {
            bucket.rule.merge(grants, unshared, now.as_microseconds());
        }
        let mut verdicts = Vec::with_capacity(self.charges.len());
        for (charge, places) in self.charges.iter().zip(&self.places) {
            let mut taken: Vec<_> = places
                .iter()
                .map(|place| all.get_mut(*place).map(std::mem::take).unwrap_or_default())
                .collect();
            let verdict = apply(charge.buckets.iter().zip(&mut taken), now, charge.operation);
            for (place, grants) in places.iter().zip(taken) {
                if let (Some(kept), Some(is_changed)) =
                    (all.get_mut(*place), is_changed.get_mut(*place))
                {
                    *kept = grants;
                    *is_changed |= matches!(verdict, Verdict::Granted(_));
                }
            }
            verdicts.push(verdict);
        }
        let records: Vec<_> = self
            .buckets
            .iter()
            .zip(&all)
            .map(|(bucket, grants)| bucket.rule.change(grants))
            .collect();
        let changes = records
            .iter()
            .zip(is_changed)
            .map(|(record, is_changed)| if is_changed { record.clone() } else { Change::Nothing });
        (changes.collect(), Decided { verdicts, records })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::{Batch, Bucket, Charge, Operation, Verdict};
    use crate::clock::Timestamp;
    use crate::config::Budget;
    use crate::expiring::Change;
    use crate::rate_limits::Limit;
    use crate::rate_limits::rule::{Policy, Rule};

    const NOW: Timestamp = Timestamp::from_microseconds(1_790_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn take(names: &[(&str, u32)]) -> Charge {
        let buckets = names.iter().map(|(name, most)| Bucket {
            key: (*name).to_owned(),
            limit: Limit::SignIn,
            rule: Rule { budget: Budget { most: *most, window: MINUTE }, policy: Policy::Sliding },
        });
        Charge { buckets: buckets.collect(), operation: Operation::Take }
    }

    fn text(change: &Change) -> &str {
        match change {
            Change::Nothing => "nothing",
            Change::Replace(text) | Change::Renew(text, _) => text,
            Change::Delete => "delete",
        }
    }

    #[test]
    fn charges_to_one_bucket_see_each_other() {
        let charges = vec![
            take(&[("a", 1), ("all", 2)]),
            take(&[("a", 1), ("all", 2)]),
            take(&[("b", 1), ("all", 2)]),
            take(&[("c", 1), ("all", 2)]),
        ];
        let batch = Batch::new(charges, &HashMap::new());
        assert_eq!(batch.keys, ["a", "all", "b", "c"]);
        let (written, decided) = batch.decide(&[None, None, None, None], NOW);
        let refused = Verdict::Refused(Limit::SignIn, MINUTE);
        let granted = Verdict::Granted(NOW);
        assert_eq!(decided.verdicts, [granted, refused, granted, refused]);
        let once = r#"{"granted":[1790000000000000],"holds":0}"#;
        let twice = r#"{"granted":[1790000000000000,1790000000000000],"holds":0}"#;
        let texts: Vec<_> = written.iter().map(text).collect();
        assert_eq!(texts, [once, twice, once, "nothing"]);
    }

    #[test]
    fn unshared_grants_are_added() {
        let at = NOW.as_microseconds();
        let unshared = HashMap::from([("a".to_owned(), vec![at - 1, at - 2])]);
        let batch = Batch::new(vec![take(&[("a", 3)]), take(&[("a", 3)])], &unshared);
        let (written, decided) = batch.decide(&[None], NOW);
        let wait = Duration::from_micros(59_999_998);
        let refused = Verdict::Refused(Limit::SignIn, wait);
        assert_eq!(decided.verdicts, [Verdict::Granted(NOW), refused]);
        let all = r#"{"granted":[1789999999999998,1789999999999999,1790000000000000],"holds":0}"#;
        assert_eq!(text(&written[0]), all);
    }

    /// Converts minutes after `NOW` to a timestamp in microseconds.
    fn minute(minute: i64) -> i64 {
        NOW.as_microseconds() + minute * 60_000_000
    }

    /// Counts a failed sign-in against a budget of 10 per 15 minutes.
    ///
    /// If refused, returns the remaining hold in minutes.
    fn fail(stored: &[i64], unshared: &[i64], now: i64) -> Result<(), u64> {
        let budget = Budget { most: 10, window: MINUTE * 15 };
        let mut charge = take(&[("a", 10)]);
        charge.buckets[0].rule = Rule { budget, policy: Policy::Growing };
        let moments = |minutes: &[i64]| minutes.iter().copied().map(minute).collect::<Vec<_>>();
        let stored = format!(r#"{{"granted":{:?},"holds":0}}"#, moments(stored));
        let unshared = HashMap::from([("a".to_owned(), moments(unshared))]);
        let now = Timestamp::from_microseconds(minute(now));
        let (_, decided) =
            Batch::new(vec![charge], &unshared).decide(&[Some(stored.into_bytes())], now);
        match decided.verdicts[0] {
            Verdict::Granted(_) => Ok(()),
            Verdict::Refused(_, hold) => Err(hold.as_secs() / 60),
        }
    }

    #[test]
    fn grants_that_expired_before_an_unshared_failure_do_not_count() {
        let nine = [0, 0, 1, 1, 2, 2, 3, 4, 5];
        assert_eq!(fail(&nine, &[16], 16), Ok(()));
        // A long outage.
        assert_eq!(fail(&[], &[0, 1, 2, 15, 16, 17, 30, 31, 32, 45, 46, 47], 48), Ok(()));
        // Other replicas counted meanwhile.
        assert_eq!(fail(&[16, 16, 17, 17, 18, 18, 19, 19, 20], &[0], 21), Ok(()));
        assert_eq!(fail(&[0, 14, 15, 16, 17, 18, 19, 20, 20], &[7], 21), Ok(()));
        // A hold that had ended before the unshared failure.
        assert_eq!(fail(&[nine.as_slice(), &[5]].concat(), &[25], 26), Ok(()));
    }

    #[test]
    fn an_unshared_failure_may_start_a_hold() {
        assert_eq!(fail(&[0, 0, 1, 1, 2, 2, 3, 4, 5], &[6], 17), Err(4));
        assert_eq!(fail(&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4], 5), Err(14));
        // During a hold.
        assert_eq!(fail(&[0, 0, 1, 1, 2, 2, 3, 4, 5, 5], &[3], 19), Err(1));
    }

    #[test]
    fn a_record_without_grants_is_removed() {
        let back = Charge { operation: Operation::GiveBack(NOW), ..take(&[("a", 1)]) };
        let batch = Batch::new(vec![take(&[("a", 1)]), back], &HashMap::new());
        let (written, _) = batch.decide(&[None], NOW);
        assert_eq!(text(&written[0]), "delete");
    }
}

//! Steps that one process takes together: the counts of all of them are read, decided on and written at
//! once, so that requests of one network don't compete for its count.

use std::collections::HashMap;

use super::budget::{Counted, Outcome, Step, step};
use super::record::Record;
use crate::clock::Timestamp;
use crate::expiring::{Stored, Write};

/// One step and the counts that it concerns.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) counted: Vec<Counted>,
    pub(super) step: Step,
}

/// Steps in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) asks: Vec<Ask>,
    /// Each count once.
    pub(super) counts: Vec<Counted>,
    /// What each of them was granted that is not in its record yet.
    pub(super) unshared: Vec<Vec<i64>>,
    /// Which of the counts each step concerns.
    places: Vec<Vec<usize>>,
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Decided {
    /// Of each step.
    pub(super) outcomes: Vec<Outcome>,
    /// Of each count.
    pub(super) records: Vec<Record>,
}

impl Batch {
    pub(super) fn new(asks: Vec<Ask>, unshared: &HashMap<String, Vec<i64>>) -> Self {
        let (mut counts, mut by_name) = (Vec::new(), HashMap::new());
        let mut place = |counted: &Counted| {
            *by_name.entry(counted.name.clone()).or_insert_with(|| {
                counts.push(counted.clone());
                counts.len() - 1
            })
        };
        let places = asks.iter().map(|ask| ask.counted.iter().map(&mut place).collect()).collect();
        let of_count = |counted: &Counted| unshared.get(&counted.name).cloned().unwrap_or_default();
        let unshared = counts.iter().map(of_count).collect();
        Self { asks, counts, unshared, places }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.counts.iter().map(|counted| counted.name.clone()).collect()
    }

    /// Takes the steps with what is stored.
    pub(super) fn decide(&self, stored: &[Stored], now: Timestamp) -> (Vec<Write>, Decided) {
        let mut records: Vec<_> =
            stored.iter().map(|stored| Record::parse(stored.as_deref())).collect();
        let mut is_changed: Vec<_> =
            self.unshared.iter().map(|unshared| !unshared.is_empty()).collect();
        for ((counted, unshared), record) in
            self.counts.iter().zip(&self.unshared).zip(&mut records)
        {
            counted.rule.merge(record, unshared, now.as_microseconds());
        }
        let mut outcomes = Vec::with_capacity(self.asks.len());
        for (ask, places) in self.asks.iter().zip(&self.places) {
            let mut taken: Vec<_> = places
                .iter()
                .map(|place| records.get_mut(*place).map(std::mem::take).unwrap_or_default())
                .collect();
            let outcome = step(ask.counted.iter().zip(&mut taken), now, ask.step);
            for (place, record) in places.iter().zip(taken) {
                if let (Some(kept), Some(is_changed)) =
                    (records.get_mut(*place), is_changed.get_mut(*place))
                {
                    *kept = record;
                    *is_changed |= matches!(outcome, Outcome::Granted(_));
                }
            }
            outcomes.push(outcome);
        }
        let writes = self.counts.iter().zip(&records).zip(is_changed);
        let writes =
            writes.map(
                |((counted, record), is_changed)| {
                    if is_changed { counted.rule.write(record) } else { Write::Nothing }
                },
            );
        (writes.collect(), Decided { outcomes, records })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::{Ask, Batch, Counted, Outcome, Step};
    use crate::clock::Timestamp;
    use crate::config::Budget;
    use crate::expiring::Write;
    use crate::rate_limits::Limit;
    use crate::rate_limits::budget::{Kind, Rule};

    const NOW: Timestamp = Timestamp::from_microseconds(1_790_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn take(names: &[(&str, u32)]) -> Ask {
        let counted = names.iter().map(|(name, most)| Counted {
            name: (*name).to_owned(),
            limit: Limit::SignIn,
            rule: Rule { budget: Budget { most: *most, window: MINUTE }, kind: Kind::Sliding },
        });
        Ask { counted: counted.collect(), step: Step::Take }
    }

    fn text(write: &Write) -> &str {
        match write {
            Write::Nothing => "nothing",
            Write::Replace(text) | Write::Renew(text, _) => text,
            Write::Delete => "delete",
        }
    }

    #[test]
    fn steps_with_one_count_see_each_other() {
        let asks = vec![
            take(&[("a", 1), ("all", 2)]),
            take(&[("a", 1), ("all", 2)]),
            take(&[("b", 1), ("all", 2)]),
            take(&[("c", 1), ("all", 2)]),
        ];
        let batch = Batch::new(asks, &HashMap::new());
        assert_eq!(batch.names(), ["a", "all", "b", "c"]);
        let (writes, decided) = batch.decide(&[None, None, None, None], NOW);
        let refused = Outcome::Refused(Limit::SignIn, MINUTE);
        let granted = Outcome::Granted(NOW);
        assert_eq!(decided.outcomes, [granted, refused, granted, refused]);
        let once = r#"{"granted":[1790000000000000],"holds":0}"#;
        let twice = r#"{"granted":[1790000000000000,1790000000000000],"holds":0}"#;
        let texts: Vec<_> = writes.iter().map(text).collect();
        assert_eq!(texts, [once, twice, once, "nothing"]);
    }

    #[test]
    fn what_was_granted_apart_is_added() {
        let at = NOW.as_microseconds();
        let unshared = HashMap::from([("a".to_owned(), vec![at - 1, at - 2])]);
        let batch = Batch::new(vec![take(&[("a", 3)]), take(&[("a", 3)])], &unshared);
        let (writes, decided) = batch.decide(&[None], NOW);
        let wait = Duration::from_micros(59_999_998);
        let refused = Outcome::Refused(Limit::SignIn, wait);
        assert_eq!(decided.outcomes, [Outcome::Granted(NOW), refused]);
        let all = r#"{"granted":[1789999999999998,1789999999999999,1790000000000000],"holds":0}"#;
        assert_eq!(text(&writes[0]), all);
    }

    /// The minute as a moment.
    fn minute(minute: i64) -> i64 {
        NOW.as_microseconds() + minute * 60_000_000
    }

    /// Asks for one more failed sign-in, of 10 in 15 minutes, and gives the hold in minutes if it is refused.
    fn fail(stored: &[i64], unshared: &[i64], now: i64) -> Result<(), u64> {
        let budget = Budget { most: 10, window: MINUTE * 15 };
        let mut ask = take(&[("a", 10)]);
        ask.counted[0].rule = Rule { budget, kind: Kind::Growing };
        let moments = |minutes: &[i64]| minutes.iter().copied().map(minute).collect::<Vec<_>>();
        let stored = format!(r#"{{"granted":{:?},"holds":0}}"#, moments(stored));
        let unshared = HashMap::from([("a".to_owned(), moments(unshared))]);
        let now = Timestamp::from_microseconds(minute(now));
        let (_, decided) =
            Batch::new(vec![ask], &unshared).decide(&[Some(stored.into_bytes())], now);
        match decided.outcomes[0] {
            Outcome::Granted(_) => Ok(()),
            Outcome::Refused(_, hold) => Err(hold.as_secs() / 60),
        }
    }

    #[test]
    fn what_had_ended_by_the_time_of_an_unshared_failure_does_not_count() {
        let nine = [0, 0, 1, 1, 2, 2, 3, 4, 5];
        assert_eq!(fail(&nine, &[16], 16), Ok(()));
        // A long outage.
        assert_eq!(fail(&[], &[0, 1, 2, 15, 16, 17, 30, 31, 32, 45, 46, 47], 48), Ok(()));
        // Other replicas counted meanwhile.
        assert_eq!(fail(&[16, 16, 17, 17, 18, 18, 19, 19, 20], &[0], 21), Ok(()));
        assert_eq!(fail(&[0, 14, 15, 16, 17, 18, 19, 20, 20], &[7], 21), Ok(()));
        // A hold that was over before.
        assert_eq!(fail(&[nine.as_slice(), &[5]].concat(), &[25], 26), Ok(()));
    }

    #[test]
    fn an_unshared_failure_may_be_the_one_that_begins_a_hold() {
        assert_eq!(fail(&[0, 0, 1, 1, 2, 2, 3, 4, 5], &[6], 17), Err(4));
        assert_eq!(fail(&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4], 5), Err(14));
        // A hold under way.
        assert_eq!(fail(&[0, 0, 1, 1, 2, 2, 3, 4, 5, 5], &[3], 19), Err(1));
    }

    #[test]
    fn a_count_that_is_given_back_whole_is_removed() {
        let back = Ask { step: Step::GiveBack(NOW), ..take(&[("a", 1)]) };
        let batch = Batch::new(vec![take(&[("a", 1)]), back], &HashMap::new());
        let (writes, _) = batch.decide(&[None], NOW);
        assert_eq!(text(&writes[0]), "delete");
    }
}

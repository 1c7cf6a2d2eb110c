//! What is counted under one name, and what asking for one more makes of it: pure functions, the
//! same for every store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Budget;
use crate::records::Write;

/// A hold grows no longer than this.
const LONGEST_HOLD: Duration = Duration::from_secs(4 * 60 * 60);

/// Holds are forgotten after this long without a try.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How a budget is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) budget: Budget,
    pub(super) kind: Kind,
}

/// What happens once a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The next one waits until the window has room.
    Sliding,
    /// Nobody gets through for a window, the next time for two, then four.
    Growing,
}

/// Something that happens to a count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// One more is asked for.
    Take,
    /// What was taken at this moment is given back.
    GiveBack(Timestamp),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is granted, as of this moment.
    Granted(Timestamp),
    /// It is not, for so long.
    Wait(Duration),
}

/// What is kept under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When each one was granted, in microseconds since the epoch, oldest first.
    granted: Vec<i64>,
    /// How often the budget was used up of late.
    holds: u32,
}

impl Rule {
    /// Does one step with what is kept; something that is not ours counts as nothing.
    pub(super) fn apply(
        &self,
        stored: Option<&[u8]>,
        now: Timestamp,
        step: Step,
    ) -> (Write, Outcome) {
        let record = stored.and_then(|stored| serde_json::from_slice(stored).ok());
        let mut record: Record = record.unwrap_or_default();
        let outcome = self.step(&mut record, now, step);
        let write = match outcome {
            // Two kinds of numbers can always be written.
            Outcome::Granted(_) => {
                Write::Renew(serde_json::to_string(&record).unwrap_or_default(), self.life())
            }
            Outcome::Wait(_) => Write::Nothing,
        };
        (write, outcome)
    }

    /// How long a record is of use.
    pub(super) fn life(&self) -> Duration {
        match self.kind {
            Kind::Sliding => self.budget.window,
            Kind::Growing => self.budget.window.max(FORGOTTEN_AFTER),
        }
    }

    pub(super) fn step(&self, record: &mut Record, now: Timestamp, step: Step) -> Outcome {
        let now = now.as_microseconds();
        // A clock that was set back must not make anybody wait for what lies in its future.
        record.granted.iter_mut().for_each(|at| *at = (*at).min(now));
        if let Step::GiveBack(at) = step {
            let found = record.granted.iter().position(|granted| *granted == at.as_microseconds());
            found.map(|found| record.granted.remove(found));
            return Outcome::Granted(at);
        }
        let wait = match self.kind {
            Kind::Sliding => self.wait_for_room(record, now),
            Kind::Growing => self.wait_for_end_of_hold(record, now),
        };
        if let Some(wait) = wait {
            return Outcome::Wait(wait);
        }
        record.granted.push(now);
        Outcome::Granted(Timestamp::from_microseconds(now))
    }

    fn wait_for_room(&self, record: &mut Record, now: i64) -> Option<Duration> {
        let window = microseconds(self.budget.window);
        record.granted.retain(|at| now - at < window);
        if !self.is_used_up(record) {
            return None;
        }
        record.granted.first().map(|oldest| duration(oldest + window - now))
    }

    fn wait_for_end_of_hold(&self, record: &mut Record, now: i64) -> Option<Duration> {
        let last = record.granted.last().copied().unwrap_or(now);
        if now - last >= microseconds(FORGOTTEN_AFTER) {
            *record = Record::default();
        }
        if !self.is_used_up(record) {
            return self.wait_for_room(record, now);
        }
        let end = last + microseconds(self.hold(record.holds));
        if end > now {
            return Some(duration(end - now));
        }
        record.granted.clear();
        record.holds = record.holds.saturating_add(1);
        None
    }

    fn is_used_up(&self, record: &Record) -> bool {
        record.granted.len() >= self.budget.most as usize
    }

    fn hold(&self, holds: u32) -> Duration {
        let longest = LONGEST_HOLD.max(self.budget.window);
        self.budget.window.saturating_mul(2_u32.saturating_pow(holds)).min(longest)
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration(microseconds: i64) -> Duration {
    Duration::from_micros(microseconds.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Kind, Outcome, Record, Rule, Step};
    use crate::clock::Timestamp;
    use crate::config::Budget;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rule(kind: Kind, most: u32) -> Rule {
        Rule { budget: Budget { most, window: MINUTE }, kind }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_microseconds(1_790_000_000_000_000 + seconds * 1_000_000)
    }

    fn take(rule: Rule, record: &mut Record, seconds: i64) -> Result<(), u64> {
        match rule.step(record, at(seconds), Step::Take) {
            Outcome::Granted(_) => Ok(()),
            Outcome::Wait(wait) => Err(wait.as_secs()),
        }
    }

    #[test]
    fn a_sliding_budget_waits_for_the_oldest() {
        let (rule, mut record) = (rule(Kind::Sliding, 2), Record::default());
        let answers = [0, 10, 20, 59, 60, 61, 70].map(|now| take(rule, &mut record, now));
        assert_eq!(answers, [Ok(()), Ok(()), Err(40), Err(1), Ok(()), Err(9), Ok(())]);
    }

    #[test]
    fn a_growing_budget_holds_for_longer_each_time() {
        let (rule, mut record) = (rule(Kind::Growing, 2), Record::default());
        let answers = [0, 10, 20, 69, 70, 71, 72, 191].map(|now| take(rule, &mut record, now));
        let expected = [Ok(()), Ok(()), Err(50), Err(1), Ok(()), Ok(()), Err(119), Ok(())];
        assert_eq!(answers, expected);
        assert_eq!(take(rule, &mut record, 191), Ok(()));
        assert_eq!(take(rule, &mut record, 191), Err(240));
    }

    #[test]
    fn a_hold_has_an_end_and_is_forgotten() {
        let (rule, mut record) = (rule(Kind::Growing, 1), Record::default());
        let mut now = 0;
        for _ in 0..40 {
            assert_eq!(take(rule, &mut record, now), Ok(()));
            let wait = take(rule, &mut record, now).unwrap_err();
            assert!(wait <= 4 * 60 * 60, "{wait}");
            now += i64::try_from(wait).unwrap();
        }
        now += 24 * 60 * 60;
        assert_eq!(take(rule, &mut record, now), Ok(()));
        assert_eq!(take(rule, &mut record, now), Err(60));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        for kind in [Kind::Sliding, Kind::Growing] {
            let (rule, mut record) = (rule(kind, 1), Record::default());
            let Outcome::Granted(taken) = rule.step(&mut record, at(0), Step::Take) else {
                panic!("nothing was taken yet");
            };
            assert_eq!(take(rule, &mut record, 1), Err(59));
            rule.step(&mut record, at(2), Step::GiveBack(taken));
            assert_eq!(take(rule, &mut record, 3), Ok(()));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_longer_than_a_window() {
        let (rule, mut record) = (rule(Kind::Sliding, 1), Record::default());
        assert_eq!(take(rule, &mut record, 3_600), Ok(()));
        assert_eq!(take(rule, &mut record, 0), Err(60));
        assert_eq!(take(rule, &mut record, 60), Ok(()));
    }

    #[test]
    fn a_record_that_is_not_ours_counts_as_none() {
        let rule = rule(Kind::Sliding, 1);
        for stored in [&b""[..], b"[]", b"{\"granted\":\"x\"}", b"\xff"] {
            let (_, outcome) = rule.apply(Some(stored), at(0), Step::Take);
            assert_eq!(outcome, Outcome::Granted(at(0)), "{stored:?}");
        }
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_budget(
            most in 1_u32..8,
            is_growing: bool,
            pauses in vec(0_i64..30, 1..200),
        ) {
            let kind = if is_growing { Kind::Growing } else { Kind::Sliding };
            let (rule, mut record) = (rule(kind, most), Record::default());
            let (mut now, mut granted) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                if take(rule, &mut record, now).is_ok() {
                    granted.push(now);
                }
            }
            for (index, end) in granted.iter().enumerate() {
                let in_window = granted[..=index].iter().filter(|begin| end - **begin < 60).count();
                prop_assert!(in_window <= most as usize, "{in_window} before {end}: {granted:?}");
            }
        }

        #[test]
        fn who_waits_as_told_gets_through(most in 1_u32..8, is_growing: bool, takes in 1..50) {
            let kind = if is_growing { Kind::Growing } else { Kind::Sliding };
            let (rule, mut record) = (rule(kind, most), Record::default());
            let mut now = 0;
            for _ in 0..takes {
                if let Err(wait) = take(rule, &mut record, now) {
                    now += i64::try_from(wait).unwrap();
                    prop_assert_eq!(take(rule, &mut record, now), Ok(()));
                }
            }
        }
    }
}

//! What asking for one more makes of the counts that it is counted in: pure functions, the same for
//! every store.

use std::time::Duration;

use super::Limit;
use super::record::Record;
use crate::clock::Timestamp;
use crate::config::Budget;
use crate::expiring::Write;

/// A hold grows no longer than this.
const LONGEST_HOLD: Duration = Duration::from_secs(4 * 60 * 60);

/// Holds are forgotten after this long without a try.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How many moments a count of a wide network tells apart in its window.
const MOMENTS: i64 = 64;

/// One of the counts that a request is counted in.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) limit: Limit,
    pub(super) rule: Rule,
}

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
    /// The same with moments rounded down to a part of the window, so that a large budget takes little
    /// room.
    Coarse,
    /// Nobody gets through for a window, the next time for two, then four.
    Growing,
}

/// Something that happens to counts.
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
    /// It is not: this limit lets the next one through after so long.
    Refused(Limit, Duration),
}

/// Does one step with the records of all its counts.
///
/// It is granted only if every count has room; else the longest wait decides, and nothing is counted.
pub(super) fn step<'a>(
    counts: impl Iterator<Item = (&'a Counted, &'a mut Record)>,
    now: Timestamp,
    step: Step,
) -> Outcome {
    let microseconds = now.as_microseconds();
    let mut counts: Vec<_> = counts.collect();
    for (_, record) in &mut counts {
        record.settle(microseconds);
    }
    if let Step::GiveBack(at) = step {
        for (counted, record) in counts {
            record.remove(counted.rule.moment(at.as_microseconds()));
        }
        return Outcome::Granted(at);
    }
    let waits = counts.iter_mut().filter_map(|(counted, record)| {
        Some((counted.limit, counted.rule.wait(record, microseconds)?))
    });
    if let Some((limit, wait)) =
        waits.reduce(|one, other| if other.1 > one.1 { other } else { one })
    {
        return Outcome::Refused(limit, wait);
    }
    for (counted, record) in counts {
        counted.rule.add(record, microseconds);
    }
    Outcome::Granted(now)
}

impl Rule {
    /// What is to be written once this record has changed.
    pub(super) fn write(&self, record: &Record) -> Write {
        if record.is_empty() {
            return Write::Delete;
        }
        Write::Renew(record.to_text(), self.life(record))
    }

    /// How long a record is of use.
    pub(super) fn life(&self, record: &Record) -> Duration {
        let window = self.budget.window;
        match self.kind {
            Kind::Growing if record.holds() > 0 || self.is_used_up(record) => {
                window.max(FORGOTTEN_AFTER)
            }
            Kind::Sliding | Kind::Coarse | Kind::Growing => window,
        }
    }

    /// How long one more would have to wait, if it has to.
    fn wait(&self, record: &mut Record, now: i64) -> Option<Duration> {
        match self.kind {
            Kind::Sliding | Kind::Coarse => self.wait_for_room(record, now),
            Kind::Growing => self.wait_for_end_of_hold(record, now),
        }
    }

    /// Adds one that was granted at this moment.
    pub(super) fn add(&self, record: &mut Record, at: i64) {
        match self.kind {
            Kind::Coarse => record.add_to_moment(self.moment(at)),
            Kind::Sliding | Kind::Growing => record.add(at),
        }
    }

    /// Adds what was granted elsewhere at these moments. A growing budget is counted again from the start,
    /// each moment at its own time: added to what had ended by then, it would begin a false hold.
    pub(super) fn merge(&self, record: &mut Record, moments: &[i64], now: i64) {
        for at in moments {
            self.add(record, *at);
        }
        if self.kind == Kind::Growing && !moments.is_empty() {
            record.settle(now);
            record.replay(|record, at| {
                self.wait_for_end_of_hold(record, at);
            });
        }
    }

    /// Keeps the moments within the window before `now`, at most as many as the budget has.
    pub(super) fn keep_newest(&self, moments: &mut Vec<i64>, now: i64) {
        let window = microseconds(self.budget.window);
        moments.retain(|at| now.saturating_sub(*at) < window);
        let most = usize::try_from(self.budget.most).unwrap_or(usize::MAX);
        moments.drain(..moments.len().saturating_sub(most));
    }

    fn moment(&self, at: i64) -> i64 {
        match self.kind {
            Kind::Coarse => at - at.rem_euclid((microseconds(self.budget.window) / MOMENTS).max(1)),
            Kind::Sliding | Kind::Growing => at,
        }
    }

    fn wait_for_room(&self, record: &mut Record, now: i64) -> Option<Duration> {
        let window = microseconds(self.budget.window);
        record.forget_before(now, window);
        if !self.is_used_up(record) {
            return None;
        }
        record.oldest().map(|oldest| duration(oldest + window - now))
    }

    fn wait_for_end_of_hold(&self, record: &mut Record, now: i64) -> Option<Duration> {
        let last = record.newest().unwrap_or(now);
        if now.saturating_sub(last) >= microseconds(FORGOTTEN_AFTER) {
            *record = Record::default();
        }
        if !self.is_used_up(record) {
            return self.wait_for_room(record, now);
        }
        let end = last + microseconds(self.hold(record.holds()));
        if end > now {
            return Some(duration(end - now));
        }
        record.end_hold();
        None
    }

    fn is_used_up(&self, record: &Record) -> bool {
        record.number() >= u64::from(self.budget.most)
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

    use super::{Counted, Kind, Outcome, Record, Rule, Step};
    use crate::clock::Timestamp;
    use crate::config::Budget;
    use crate::rate_limits::Limit;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rule(kind: Kind, most: u32) -> Rule {
        Rule { budget: Budget { most, window: MINUTE }, kind }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_microseconds(1_790_000_000_000_000 + seconds * 1_000_000)
    }

    fn step(rule: Rule, record: &mut Record, seconds: i64, step: Step) -> Outcome {
        let counted = Counted { name: String::new(), limit: Limit::SignIn, rule };
        super::step([(&counted, record)].into_iter(), at(seconds), step)
    }

    fn take(rule: Rule, record: &mut Record, seconds: i64) -> Result<(), u64> {
        match step(rule, record, seconds, Step::Take) {
            Outcome::Granted(_) => Ok(()),
            Outcome::Refused(_, wait) => Err(wait.as_secs()),
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
        for kind in [Kind::Sliding, Kind::Coarse, Kind::Growing] {
            let (rule, mut record) = (rule(kind, 1), Record::default());
            let taken = step(rule, &mut record, 0, Step::Take);
            assert_eq!(taken, Outcome::Granted(at(0)));
            assert!(take(rule, &mut record, 1).is_err());
            step(rule, &mut record, 2, Step::GiveBack(at(0)));
            assert!(record.is_empty());
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
    fn a_coarse_budget_is_as_large_and_takes_little_room() {
        let (rule, mut record) = (rule(Kind::Coarse, 16_000), Record::default());
        for number in 0..16_000 {
            assert_eq!(take(rule, &mut record, number / 300), Ok(()));
        }
        assert!(take(rule, &mut record, 54).is_err_and(|wait| wait <= 60));
        assert_eq!(take(rule, &mut record, 60), Ok(()));
        assert!(record.to_text().len() < 2_000, "{}", record.to_text());
    }

    #[test]
    fn of_several_counts_all_have_to_have_room() {
        let counted =
            |limit, most| Counted { name: String::new(), limit, rule: rule(Kind::Sliding, most) };
        let counts = [counted(Limit::Verify, 1), counted(Limit::VerifyAddress, 2)];
        let (mut alice, mut bob, mut carol) = Default::default();
        let mut address = Record::default();
        let mut take = |user: &mut Record, seconds| {
            let records = [user, &mut address];
            super::step(counts.iter().zip(records), at(seconds), Step::Take)
        };
        let seconds = Duration::from_secs;
        assert_eq!(take(&mut alice, 0), Outcome::Granted(at(0)));
        assert_eq!(take(&mut alice, 10), Outcome::Refused(Limit::Verify, seconds(50)));
        assert_eq!(take(&mut bob, 20), Outcome::Granted(at(20)));
        assert_eq!(take(&mut carol, 30), Outcome::Refused(Limit::VerifyAddress, seconds(30)));
        // The longest wait counts.
        assert_eq!(take(&mut bob, 30), Outcome::Refused(Limit::Verify, seconds(50)));
        assert!(carol.is_empty());
    }

    #[test]
    fn a_record_made_by_hand_makes_nobody_wait_for_longer_than_a_hold() {
        let now = at(0).as_microseconds();
        let numbers = ["-9223372036854775808", "9223372036854775807", "0", &now.to_string()]
            .map(str::to_owned);
        let runs = numbers.iter().map(|number| format!("[{number},4294967295]"));
        let all: Vec<_> = numbers.iter().cloned().chain(runs).collect();
        for kind in [Kind::Sliding, Kind::Coarse, Kind::Growing] {
            for granted in all
                .iter()
                .flat_map(|one| all.iter().map(move |other| format!("{one},{one},{other}")))
            {
                for holds in [0, 40, u32::MAX] {
                    let text = format!(r#"{{"granted":[{granted}],"holds":{holds}}}"#);
                    let mut record = Record::parse(Some(text.as_bytes()));
                    assert!(!record.is_empty(), "{text}");
                    let longest = if kind == Kind::Growing { 4 * 60 * 60 } else { 60 };
                    if let Err(wait) = take(rule(kind, 2), &mut record, 0) {
                        assert!(wait <= longest, "{wait} {text}");
                    }
                }
            }
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

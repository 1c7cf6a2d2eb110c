//! How a request changes its buckets: pure functions, the same for every record store.

use std::time::Duration;

use super::Limit;
use super::grants::Grants;
use crate::clock::Timestamp;
use crate::config::Budget;
use crate::expiring::Change;

/// The longest hold.
const LONGEST_HOLD: Duration = Duration::from_secs(4 * 60 * 60);

/// Earlier holds are forgotten after this long without a request.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How many moments a coarse bucket distinguishes in its window.
const MOMENTS_PER_WINDOW: i64 = 64;

/// Where requests are counted, for one client, user or account.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) key: String,
    pub(super) limit: Limit,
    pub(super) rule: Rule,
}

/// How a bucket's budget is enforced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) budget: Budget,
    pub(super) policy: Policy,
}

/// What happens when a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// The next request waits until the window has room.
    Sliding,
    /// Like `Sliding`, with moments rounded down so that a large budget uses little memory.
    Coarse,
    /// All requests are refused for one window, the next time for two, then four.
    Growing,
}

/// An operation on buckets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    /// Count one more request, if the budgets allow it.
    Take,
    /// Undo what was counted at this moment.
    GiveBack(Timestamp),
}

/// The result of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Counted at this moment.
    Granted(Timestamp),
    /// Not counted; this limit allows the next request after this time.
    Refused(Limit, Duration),
}

/// Applies an operation to all of a request's buckets.
///
/// A request is granted only if every bucket has room; otherwise the longest wait is returned and
/// nothing is counted.
pub(super) fn apply<'a>(
    buckets: impl Iterator<Item = (&'a Bucket, &'a mut Grants)>,
    now: Timestamp,
    operation: Operation,
) -> Verdict {
    let microseconds = now.as_microseconds();
    let mut buckets: Vec<_> = buckets.collect();
    for (_, grants) in &mut buckets {
        grants.settle(microseconds);
    }
    if let Operation::GiveBack(at) = operation {
        for (bucket, grants) in buckets {
            grants.remove(bucket.rule.moment(at.as_microseconds()));
        }
        return Verdict::Granted(at);
    }
    let waits = buckets.iter_mut().filter_map(|(bucket, grants)| {
        Some((bucket.limit, bucket.rule.wait(grants, microseconds)?))
    });
    if let Some((limit, wait)) =
        waits.reduce(|one, other| if other.1 > one.1 { other } else { one })
    {
        return Verdict::Refused(limit, wait);
    }
    for (bucket, grants) in buckets {
        bucket.rule.add(grants, microseconds);
    }
    Verdict::Granted(now)
}

impl Rule {
    /// How a changed record is written.
    pub(super) fn change(&self, grants: &Grants) -> Change {
        if grants.is_empty() {
            return Change::Delete;
        }
        Change::Renew(grants.to_text(), self.life(grants))
    }

    /// How long a record is kept.
    fn life(&self, grants: &Grants) -> Duration {
        let window = self.budget.window;
        match self.policy {
            Policy::Growing if grants.holds() > 0 || self.is_used_up(grants) => {
                window.max(FORGOTTEN_AFTER)
            }
            Policy::Sliding | Policy::Coarse | Policy::Growing => window,
        }
    }

    /// How long the next request must wait; `None` if there is room.
    fn wait(&self, grants: &mut Grants, now: i64) -> Option<Duration> {
        match self.policy {
            Policy::Sliding | Policy::Coarse => self.wait_for_room(grants, now),
            Policy::Growing => self.wait_for_end_of_hold(grants, now),
        }
    }

    /// Adds a grant at this moment.
    fn add(&self, grants: &mut Grants, at: i64) {
        match self.policy {
            Policy::Coarse => grants.add_to_moment(self.moment(at)),
            Policy::Sliding | Policy::Growing => grants.add(at),
        }
    }

    /// Adds grants that were made elsewhere at these moments.
    ///
    /// A growing bucket is replayed from the start: a moment added to grants that had expired by
    /// then would start a false hold.
    pub(super) fn merge(&self, grants: &mut Grants, moments: &[i64], now: i64) {
        for at in moments {
            self.add(grants, *at);
        }
        if self.policy == Policy::Growing && !moments.is_empty() {
            grants.settle(now);
            grants.replay(|grants, at| {
                self.wait_for_end_of_hold(grants, at);
            });
        }
    }

    /// Keeps the newest moments within the window before `now`, at most the budget.
    pub(super) fn keep_newest(&self, moments: &mut Vec<i64>, now: i64) {
        let window = microseconds(self.budget.window);
        moments.retain(|at| now.saturating_sub(*at) < window);
        let most = usize::try_from(self.budget.most).unwrap_or(usize::MAX);
        moments.drain(..moments.len().saturating_sub(most));
    }

    fn moment(&self, at: i64) -> i64 {
        match self.policy {
            Policy::Coarse => {
                at - at.rem_euclid((microseconds(self.budget.window) / MOMENTS_PER_WINDOW).max(1))
            }
            Policy::Sliding | Policy::Growing => at,
        }
    }

    fn wait_for_room(&self, grants: &mut Grants, now: i64) -> Option<Duration> {
        let window = microseconds(self.budget.window);
        grants.forget_before(now, window);
        if !self.is_used_up(grants) {
            return None;
        }
        grants.oldest().map(|oldest| duration(oldest + window - now))
    }

    fn wait_for_end_of_hold(&self, grants: &mut Grants, now: i64) -> Option<Duration> {
        let last = grants.newest().unwrap_or(now);
        if now.saturating_sub(last) >= microseconds(FORGOTTEN_AFTER) {
            *grants = Grants::default();
        }
        if !self.is_used_up(grants) {
            return self.wait_for_room(grants, now);
        }
        let end = last + microseconds(self.hold(grants.holds()));
        if end > now {
            return Some(duration(end - now));
        }
        grants.end_hold();
        None
    }

    fn is_used_up(&self, grants: &Grants) -> bool {
        grants.number() >= u64::from(self.budget.most)
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

    use super::{Bucket, Grants, Operation, Policy, Rule, Verdict};
    use crate::clock::Timestamp;
    use crate::config::Budget;
    use crate::rate_limits::Limit;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rule(policy: Policy, most: u32) -> Rule {
        Rule { budget: Budget { most, window: MINUTE }, policy }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_microseconds(1_790_000_000_000_000 + seconds * 1_000_000)
    }

    fn operate(rule: Rule, grants: &mut Grants, seconds: i64, operation: Operation) -> Verdict {
        let bucket = Bucket { key: String::new(), limit: Limit::SignIn, rule };
        super::apply([(&bucket, grants)].into_iter(), at(seconds), operation)
    }

    fn take(rule: Rule, grants: &mut Grants, seconds: i64) -> Result<(), u64> {
        match operate(rule, grants, seconds, Operation::Take) {
            Verdict::Granted(_) => Ok(()),
            Verdict::Refused(_, wait) => Err(wait.as_secs()),
        }
    }

    #[test]
    fn a_sliding_bucket_waits_for_its_oldest_grant() {
        let (rule, mut grants) = (rule(Policy::Sliding, 2), Grants::default());
        let answers = [0, 10, 20, 59, 60, 61, 70].map(|now| take(rule, &mut grants, now));
        assert_eq!(answers, [Ok(()), Ok(()), Err(40), Err(1), Ok(()), Err(9), Ok(())]);
    }

    #[test]
    fn a_growing_bucket_holds_longer_each_time() {
        let (rule, mut grants) = (rule(Policy::Growing, 2), Grants::default());
        let answers = [0, 10, 20, 69, 70, 71, 72, 191].map(|now| take(rule, &mut grants, now));
        let expected = [Ok(()), Ok(()), Err(50), Err(1), Ok(()), Ok(()), Err(119), Ok(())];
        assert_eq!(answers, expected);
        assert_eq!(take(rule, &mut grants, 191), Ok(()));
        assert_eq!(take(rule, &mut grants, 191), Err(240));
    }

    #[test]
    fn a_hold_ends_and_is_forgotten() {
        let (rule, mut grants) = (rule(Policy::Growing, 1), Grants::default());
        let mut now = 0;
        for _ in 0..40 {
            assert_eq!(take(rule, &mut grants, now), Ok(()));
            let wait = take(rule, &mut grants, now).unwrap_err();
            assert!(wait <= 4 * 60 * 60, "{wait}");
            now += i64::try_from(wait).unwrap();
        }
        now += 24 * 60 * 60;
        assert_eq!(take(rule, &mut grants, now), Ok(()));
        assert_eq!(take(rule, &mut grants, now), Err(60));
    }

    #[test]
    fn a_request_given_back_can_be_taken_again() {
        for policy in [Policy::Sliding, Policy::Coarse, Policy::Growing] {
            let (rule, mut grants) = (rule(policy, 1), Grants::default());
            let taken = operate(rule, &mut grants, 0, Operation::Take);
            assert_eq!(taken, Verdict::Granted(at(0)));
            assert!(take(rule, &mut grants, 1).is_err());
            operate(rule, &mut grants, 2, Operation::GiveBack(at(0)));
            assert!(grants.is_empty());
            assert_eq!(take(rule, &mut grants, 3), Ok(()));
        }
    }

    #[test]
    fn after_a_clock_is_set_back_no_wait_exceeds_a_window() {
        let (rule, mut grants) = (rule(Policy::Sliding, 1), Grants::default());
        assert_eq!(take(rule, &mut grants, 3_600), Ok(()));
        assert_eq!(take(rule, &mut grants, 0), Err(60));
        assert_eq!(take(rule, &mut grants, 60), Ok(()));
    }

    #[test]
    fn a_coarse_bucket_has_the_same_budget_in_little_memory() {
        let (rule, mut grants) = (rule(Policy::Coarse, 16_000), Grants::default());
        for number in 0..16_000 {
            assert_eq!(take(rule, &mut grants, number / 300), Ok(()));
        }
        assert!(take(rule, &mut grants, 54).is_err_and(|wait| wait <= 60));
        assert_eq!(take(rule, &mut grants, 60), Ok(()));
        assert!(grants.to_text().len() < 2_000, "{}", grants.to_text());
    }

    #[test]
    fn every_bucket_must_have_room() {
        let bucket =
            |limit, most| Bucket { key: String::new(), limit, rule: rule(Policy::Sliding, most) };
        let buckets = [bucket(Limit::Verify, 1), bucket(Limit::VerifyAddress, 2)];
        let (mut alice, mut bob, mut carol) = Default::default();
        let mut address = Grants::default();
        let mut take = |user: &mut Grants, seconds| {
            let records = [user, &mut address];
            super::apply(buckets.iter().zip(records), at(seconds), Operation::Take)
        };
        let seconds = Duration::from_secs;
        assert_eq!(take(&mut alice, 0), Verdict::Granted(at(0)));
        assert_eq!(take(&mut alice, 10), Verdict::Refused(Limit::Verify, seconds(50)));
        assert_eq!(take(&mut bob, 20), Verdict::Granted(at(20)));
        assert_eq!(take(&mut carol, 30), Verdict::Refused(Limit::VerifyAddress, seconds(30)));
        // The longest wait is returned.
        assert_eq!(take(&mut bob, 30), Verdict::Refused(Limit::Verify, seconds(50)));
        assert!(carol.is_empty());
    }

    #[test]
    fn no_record_causes_a_wait_longer_than_a_hold() {
        let now = at(0).as_microseconds();
        let numbers = ["-9223372036854775808", "9223372036854775807", "0", &now.to_string()]
            .map(str::to_owned);
        let runs = numbers.iter().map(|number| format!("[{number},4294967295]"));
        let all: Vec<_> = numbers.iter().cloned().chain(runs).collect();
        for policy in [Policy::Sliding, Policy::Coarse, Policy::Growing] {
            for granted in all
                .iter()
                .flat_map(|one| all.iter().map(move |other| format!("{one},{one},{other}")))
            {
                for holds in [0, 40, u32::MAX] {
                    let text = format!(r#"{{"granted":[{granted}],"holds":{holds}}}"#);
                    let mut grants = Grants::parse(Some(text.as_bytes()));
                    assert!(!grants.is_empty(), "{text}");
                    let longest = if policy == Policy::Growing { 4 * 60 * 60 } else { 60 };
                    if let Err(wait) = take(rule(policy, 2), &mut grants, 0) {
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
            let policy = if is_growing { Policy::Growing } else { Policy::Sliding };
            let (rule, mut grants) = (rule(policy, most), Grants::default());
            let (mut now, mut granted) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                if take(rule, &mut grants, now).is_ok() {
                    granted.push(now);
                }
            }
            for (index, end) in granted.iter().enumerate() {
                let in_window = granted[..=index].iter().filter(|begin| end - **begin < 60).count();
                prop_assert!(in_window <= most as usize, "{in_window} before {end}: {granted:?}");
            }
        }

        #[test]
        fn a_request_after_the_wait_is_granted(most in 1_u32..8, is_growing: bool, takes in 1..50) {
            let policy = if is_growing { Policy::Growing } else { Policy::Sliding };
            let (rule, mut grants) = (rule(policy, most), Grants::default());
            let mut now = 0;
            for _ in 0..takes {
                if let Err(wait) = take(rule, &mut grants, now) {
                    now += i64::try_from(wait).unwrap();
                    prop_assert_eq!(take(rule, &mut grants, now), Ok(()));
                }
            }
        }
    }
}

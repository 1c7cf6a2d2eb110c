//! The counts of this process: all there are on the embedded store, and what is left while the
//! shared ones are away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::budget::{Outcome, Record, Rule, Step};
use crate::clock::{Clock, Timestamp};

/// The most counts; then any one goes for the next.
const MOST: usize = 100_000;

/// So often counts that have ended are removed.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(60);

/// Counts by name.
#[derive(Debug)]
pub(super) struct Local {
    clock: Clock,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    by_name: HashMap<String, Count>,
    next_sweep: Timestamp,
}

#[derive(Debug)]
struct Count {
    record: Record,
    ends_at: Timestamp,
}

impl Local {
    pub(super) fn new(clock: Clock) -> Self {
        let counts = Counts { by_name: HashMap::new(), next_sweep: clock.now() };
        Self { clock, counts: Mutex::new(counts) }
    }

    pub(super) fn step(&self, name: &str, rule: Rule, step: Step) -> Outcome {
        let now = self.clock.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.count(name, now);
        if count.ends_at <= now {
            count.record = Record::default();
        }
        let outcome = rule.step(&mut count.record, now, step);
        if matches!(outcome, Outcome::Granted(_)) {
            count.ends_at = now.plus(rule.life());
        }
        outcome
    }
}

impl Counts {
    /// The count of this name, which may have ended; a new one, if there is none.
    fn count(&mut self, name: &str, now: Timestamp) -> &mut Count {
        if !self.by_name.contains_key(name) {
            self.make_room(now);
        }
        let new = || Count { record: Record::default(), ends_at: now };
        self.by_name.entry(name.to_owned()).or_insert_with(new)
    }

    fn make_room(&mut self, now: Timestamp) {
        if now >= self.next_sweep {
            self.by_name.retain(|_, count| count.ends_at > now);
            self.next_sweep = now.plus(BETWEEN_SWEEPS);
        }
        if self.by_name.len() >= MOST
            && let Some(name) = self.by_name.keys().next().cloned()
        {
            self.by_name.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Local, MOST};
    use crate::clock::{Clock, Timestamp};
    use crate::config::Budget;
    use crate::limits::budget::{Kind, Outcome, Rule, Step};

    const MINUTE: Duration = Duration::from_secs(60);
    const ONCE: Rule = Rule { budget: Budget { most: 1, window: MINUTE }, kind: Kind::Sliding };

    fn local() -> (Local, Clock) {
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        (Local::new(clock.clone()), clock)
    }

    fn is_granted(local: &Local, name: &str) -> bool {
        matches!(local.step(name, ONCE, Step::Take), Outcome::Granted(_))
    }

    #[test]
    fn each_name_has_a_count_of_its_own() {
        let (local, clock) = local();
        assert!(is_granted(&local, "a") && is_granted(&local, "b"));
        assert!(!is_granted(&local, "a") && !is_granted(&local, "b"));
        clock.advance(MINUTE);
        assert!(is_granted(&local, "a"));
    }

    #[test]
    fn what_has_ended_is_removed() {
        let (local, clock) = local();
        (0..100).for_each(|number| assert!(is_granted(&local, &number.to_string())));
        clock.advance(MINUTE);
        assert!(is_granted(&local, "one more"));
        assert_eq!(local.counts.lock().unwrap().by_name.len(), 1);
    }

    #[test]
    fn there_are_never_more_counts_than_may_be() {
        let (local, _) = local();
        (0..MOST + 10).for_each(|number| assert!(is_granted(&local, &number.to_string())));
        assert_eq!(local.counts.lock().unwrap().by_name.len(), MOST);
    }
}

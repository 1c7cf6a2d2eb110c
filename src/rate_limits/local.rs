//! The counts of this process: all there are on the embedded store, and a copy of the shared ones for
//! while those are unavailable.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::budget::{Counted, Outcome, Step, step};
use super::record::Record;
use crate::clock::{Clock, Timestamp};

/// The most counts; beyond it any one is dropped for the next.
const MOST: usize = 100_000;

/// How often counts that have ended are removed.
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

    /// Does a step with all of these counts. One that is refused takes no memory.
    pub(super) fn step(&self, counted: &[Counted], what: Step) -> Outcome {
        let now = self.clock.now();
        let mut counts = self.lock();
        let mut records: Vec<_> =
            counted.iter().map(|counted| counts.record(&counted.name, now)).collect();
        let outcome = step(counted.iter().zip(&mut records), now, what);
        if matches!(outcome, Outcome::Granted(_)) {
            for (counted, record) in counted.iter().zip(records) {
                counts.put(counted, record, now);
            }
        }
        outcome
    }

    /// Replaces a count by what is known of it.
    pub(super) fn put(&self, counted: &Counted, record: Record) {
        let now = self.clock.now();
        self.lock().put(counted, record, now);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn record(&self, name: &str, now: Timestamp) -> Record {
        let count = self.by_name.get(name).filter(|count| count.ends_at > now);
        count.map(|count| count.record.clone()).unwrap_or_default()
    }

    fn put(&mut self, counted: &Counted, record: Record, now: Timestamp) {
        if record.is_empty() {
            self.by_name.remove(&counted.name);
            return;
        }
        if !self.by_name.contains_key(&counted.name) {
            self.make_room(now);
        }
        let ends_at = now.plus(counted.rule.life(&record));
        self.by_name.insert(counted.name.clone(), Count { record, ends_at });
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
    use crate::rate_limits::Limit;
    use crate::rate_limits::budget::{Counted, Kind, Outcome, Rule, Step};

    const MINUTE: Duration = Duration::from_secs(60);
    const ONCE: Rule = Rule { budget: Budget { most: 1, window: MINUTE }, kind: Kind::Sliding };

    fn local() -> (Local, Clock) {
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        (Local::new(clock.clone()), clock)
    }

    fn counted(name: &str) -> Counted {
        Counted { name: name.to_owned(), limit: Limit::SignIn, rule: ONCE }
    }

    fn is_granted(local: &Local, name: &str) -> bool {
        matches!(local.step(&[counted(name)], Step::Take), Outcome::Granted(_))
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
    fn what_is_refused_is_counted_nowhere() {
        let (local, _) = local();
        assert!(is_granted(&local, "network"));
        for number in 0..10 {
            let both = [counted(&number.to_string()), counted("network")];
            let refused = local.step(&both, Step::Take);
            assert_eq!(refused, Outcome::Refused(Limit::SignIn, MINUTE));
        }
        assert_eq!(local.counts.lock().unwrap().by_name.len(), 1);
        assert!(is_granted(&local, "0"));
    }

    #[test]
    fn there_are_never_more_counts_than_may_be() {
        let (local, _) = local();
        (0..MOST + 10).for_each(|number| assert!(is_granted(&local, &number.to_string())));
        assert_eq!(local.counts.lock().unwrap().by_name.len(), MOST);
    }
}

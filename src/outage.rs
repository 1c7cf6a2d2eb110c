//! Retries operations that fail during a server outage, and reports the outage once.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;
use crate::telemetry::chain;

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether something is failing, so that its start and end are each reported once.
#[derive(Debug, Default)]
pub struct Outage(AtomicBool);

impl Outage {
    /// Records a failure, and returns whether it is the first one since a success.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Records a success, and returns whether it is the first one since a failure.
    pub fn ends(&self) -> bool {
        // Only loads if there is no outage, since every request may run this.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Repeats `attempt` until it succeeds, with growing pauses.
///
/// Calls `report` with each failure whose text differs from the one before it.
pub async fn retry<T, E, F>(mut attempt: impl FnMut() -> F, report: impl Fn(&E, &str)) -> T
where
    F: Future<Output = Result<T, E>>,
    E: Error + 'static,
{
    let mut pause = SHORTEST_PAUSE;
    let mut reported = String::new();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                let problem = chain(&error);
                if problem != reported {
                    report(&error, &problem);
                    reported = problem;
                }
            }
        }
        clock::pause(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use super::{Outage, retry};

    #[test]
    fn an_outage_begins_and_ends_once() {
        let outage = Outage::default();
        assert!(!outage.ends());
        assert!(outage.begins());
        assert!(!outage.begins());
        assert!(outage.ends());
        assert!(!outage.ends());
        assert!(outage.begins());
    }

    #[tokio::test]
    async fn a_failure_is_reported_when_it_changes() {
        let mut failures = ["a", "a", "b", "b", "a"].into_iter();
        let reported = RefCell::new(Vec::new());
        let attempt = || ready(failures.next().map_or(Ok(7), |it| Err(std::io::Error::other(it))));
        let done = retry(attempt, |_, problem| reported.borrow_mut().push(problem.to_owned()));
        assert_eq!(done.await, 7);
        assert_eq!(reported.into_inner(), ["a", "b", "a"]);
    }
}

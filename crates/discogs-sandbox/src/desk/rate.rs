//! The rate limit: a number of calls in any sixty seconds.

use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_mins(1);

/// The calls of the last minute, at most the limit.
pub(crate) struct Rate {
    limit: Option<usize>,
    calls: VecDeque<Duration>,
}

/// The values of the rate headers after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateState {
    pub(crate) limit: usize,
    pub(crate) used: usize,
    /// Whether this call was within the limit.
    pub(crate) admitted: bool,
}

impl Rate {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, calls: VecDeque::new() }
    }

    /// Counts a call; `None` if there is no limit.
    pub(crate) fn count(&mut self, now: Duration) -> Option<RateState> {
        let limit = self.limit?;
        self.calls.retain(|at| now.saturating_sub(*at) < WINDOW);
        let admitted = self.calls.len() < limit;
        if admitted {
            self.calls.push_back(now);
        }
        Some(RateState { limit, used: self.calls.len(), admitted })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rate;

    #[test]
    fn the_window_moves() {
        let mut rate = Rate::new(Some(2));
        let mut admitted = |seconds| rate.count(Duration::from_secs(seconds)).unwrap().admitted;
        assert!(admitted(100));
        assert!(admitted(130));
        assert!(!admitted(159));
        assert!(admitted(160));
        assert!(!admitted(189));
        assert!(admitted(190));
    }
}

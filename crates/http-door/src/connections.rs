//! The open connections of a port, and which of them is evicted when the limit is reached.
//!
//! The connection that has been idle for longest goes first, then the one whose client has kept its
//! request waiting for longest; one that is being answered stays. So peers that connect and send
//! nothing keep no one out, and a client whose idle connection was closed opens another. A new
//! connection has a moment to send its first byte, or else a crowd of newcomers would evict it.
//!
//! At the limit, an answer ends its connection and says so: otherwise the connection might be evicted
//! just when its client sends the next request.
//!
//! This module chooses which connection goes, but only asks it to close. The connection checks
//! what has arrived meanwhile, so no request that has already been received is cut off.

mod activity;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use activity::EvictionRank;
pub(crate) use activity::{Activity, CloseWhen};

/// How many connections may exceed the limit while they close.
const MAX_CLOSING: usize = 32;

/// How long an idle connection has to close after it was asked to.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The connections of a port, in the order in which they were accepted.
pub(crate) struct Connections {
    limit: usize,
    /// Includes closed ones, until the next eviction or sweep.
    open: Vec<Connection>,
    epoch: Instant,
    /// Whether the limit is reached, or was until the last sweep.
    is_full: Arc<AtomicBool>,
}

struct Connection {
    activity: Activity,
    /// Asks it to close; `None` once it was asked.
    close: Option<oneshot::Sender<CloseWhen>>,
    asked: Option<(CloseWhen, Instant)>,
    task: AbortHandle,
}

/// Whether one more connection can be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes: the limit is not reached.
    Free,
    /// Yes: another connection was asked to close.
    Evicted,
    /// In a moment: too many connections are new or closing.
    Soon,
    /// No: all are busy, or most are and the others are new.
    Busy,
}

impl Admission {
    pub(crate) fn is_granted(self) -> bool {
        matches!(self, Self::Free | Self::Evicted)
    }
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, open: Vec::new(), epoch: Instant::now(), is_full: Arc::default() }
    }

    /// Adds a connection, which `start` serves on a task.
    pub(crate) fn add(
        &mut self,
        start: impl FnOnce(Activity, oneshot::Receiver<CloseWhen>) -> AbortHandle,
    ) {
        let (close, asked_to_close) = oneshot::channel();
        let activity = Activity::new(self.epoch, Arc::clone(&self.is_full));
        let task = start(activity.clone(), asked_to_close);
        self.open.push(Connection { activity, close: Some(close), asked: None, task });
    }

    /// Checks whether one more can be admitted, and evicts another one if that is necessary.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.make_room(now);
        if admission != Admission::Free {
            self.is_full.store(true, Ordering::Relaxed);
        }
        admission
    }

    fn make_room(&mut self, now: Instant) -> Admission {
        if self.open.len() >= self.limit {
            self.forget_closed();
        }
        if self.open.len() < self.limit {
            return Admission::Free;
        }
        if self.open.len() >= self.limit + MAX_CLOSING {
            let closes = self.open.iter().any(|open| open.is_closing(now));
            return if closes { Admission::Soon } else { Admission::Busy };
        }
        if self.staying().count() < self.limit {
            return Admission::Free;
        }
        match self.first_to_go(now) {
            None => Admission::Busy,
            Some((EvictionRank::New, _)) if self.new_ones(now) < self.limit / 2 => Admission::Busy,
            Some((EvictionRank::New, _)) => Admission::Soon,
            Some((_, chosen)) => {
                if let Some(chosen) = self.open.get_mut(chosen) {
                    chosen.ask_to_close(CloseWhen::NotAnswering, now);
                }
                Admission::Evicted
            }
        }
    }

    /// Returns the index of the connection to evict; `None` if all are busy.
    fn first_to_go(&self, now: Instant) -> Option<(EvictionRank, usize)> {
        let staying = self.open.iter().enumerate().filter(|(_, open)| open.close.is_some());
        let ranked =
            staying.filter_map(|(index, open)| Some((open.activity.eviction_rank(now)?, index)));
        ranked.min().map(|((rank, _), index)| (rank, index))
    }

    fn new_ones(&self, now: Instant) -> usize {
        let ranks = self.staying().filter_map(|open| open.activity.eviction_rank(now));
        ranks.filter(|(rank, _)| *rank == EvictionRank::New).count()
    }

    /// Closes connections whose client makes no progress.
    ///
    /// A head or an answer may take `time`; the next request may take `keep_alive` to begin.
    pub(crate) fn close_overdue(&mut self, now: Instant, time: Duration, keep_alive: Duration) {
        for open in &mut self.open {
            open.activity.time_head(now);
            let Some(quiet_for) = open.activity.quiet_for(now) else { continue };
            let time = if open.activity.awaits_next_request() { keep_alive } else { time };
            if open.ignores_request_to_close(now, quiet_for, time) {
                open.task.abort();
            } else if quiet_for >= time {
                open.ask_to_close(CloseWhen::Idle, now);
            }
        }
        self.forget_closed();
        if self.open.len() < self.limit {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// Has each connection close after the request in progress, or at once if there is none.
    pub(crate) fn close_all(&mut self, now: Instant) {
        self.open.iter_mut().for_each(|open| open.ask_to_close(CloseWhen::Answered, now));
    }

    fn staying(&self) -> impl Iterator<Item = &Connection> {
        self.open.iter().filter(|open| open.close.is_some())
    }

    fn forget_closed(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
    }
}

impl Connection {
    /// Whether it was asked to close and did not in time; sending an answer has its usual time.
    fn ignores_request_to_close(&self, now: Instant, quiet_for: Duration, time: Duration) -> bool {
        let time = if self.activity.is_idle() { CLOSE_GRACE } else { time };
        let asked_for = self.asked.map(|(_, then)| now.saturating_duration_since(then));
        asked_for.is_some_and(|asked_for| asked_for.min(quiet_for) >= time)
    }

    /// Whether it was asked to close, and may do so as soon as its task runs.
    fn is_closing(&self, now: Instant) -> bool {
        self.asked.is_some_and(|(when, _)| self.activity.may_close(when, now))
    }

    fn ask_to_close(&mut self, when: CloseWhen, now: Instant) {
        if let Some(close) = self.close.take() {
            self.asked = Some((when, now));
            // The connection may just have closed.
            let _ = close.send(when);
        }
    }
}

#[cfg(test)]
mod tests;

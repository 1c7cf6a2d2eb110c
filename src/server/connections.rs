//! The connections of a port: when there are as many as may be, the one that has been idle for
//! longest makes room for the next; where none is idle, the one whose client has kept its request
//! waiting for longest. Whoever is at work makes no room.
//!
//! So peers that connect and say nothing keep nobody out, and a client whose idle connection was
//! closed makes a new one. Who has just come has a moment to say what it wants: else a crowd that
//! comes at once, or again and again, would close it. A limit on the process's file descriptors
//! keeps some for the stores.
//!
//! While there are as many as may be, an answer ends its connection and says so: else the connection
//! would be closed for the next one while its client may just send something.
//!
//! Who goes is chosen here, but a connection is asked to end, and looks itself at what has arrived
//! meanwhile: so no request is cut off that the service has already been sent.

mod activity;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use activity::Rank;
pub(super) use activity::{Activity, End};

/// Each may hold the largest head or body there is: more would take more memory than a small machine
/// has.
const MOST: usize = 2048;

/// So many are taken even with few file descriptors.
const FEWEST: usize = 128;

/// File descriptors that are kept for the stores, the files, the health port, and for those that are
/// turned away or about to end on either port.
const RESERVED: usize = 768;

/// So many more than may be are open for a moment: they were asked to make room, and have not yet.
const LEAVING: usize = 32;

/// Who was asked to end so long ago, and has had nothing under way since, is cut off.
const GRACE: Duration = Duration::from_secs(1);

/// Those of a port, in the order in which they came.
pub(super) struct Connections {
    most: usize,
    /// With those that have ended since room was needed last, or one was overdue.
    open: Vec<Connection>,
    begun: Instant,
    /// Whether there are as many as may be, or were until a moment ago.
    is_full: Arc<AtomicBool>,
}

struct Connection {
    doing: Activity,
    /// Asks it to end; `None` once it was asked.
    end: Option<oneshot::Sender<End>>,
    asked: Option<(End, Instant)>,
    task: AbortHandle,
}

/// Whether there is room for one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Free,
    /// Now there is: an idle one was asked to end.
    Made,
    /// There will be in a moment: many have just come and may still say what they want.
    Soon,
    /// All are at work, or most of them and the others have just come.
    None,
}

impl Room {
    pub(super) fn is_there(self) -> bool {
        matches!(self, Self::Free | Self::Made)
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        let (open, is_full) = Default::default();
        Self { most, open, begun: Instant::now(), is_full }
    }

    /// Adds one, as the task that serves it.
    pub(super) fn add(
        &mut self,
        start: impl FnOnce(Activity, oneshot::Receiver<End>) -> AbortHandle,
    ) {
        let (end, asked_to_end) = oneshot::channel();
        let doing = Activity::nothing(self.begun, Arc::clone(&self.is_full));
        let task = start(doing.clone(), asked_to_end);
        self.open.push(Connection { doing, end: Some(end), asked: None, task });
    }

    /// Makes room for one more, where that is needed.
    pub(super) fn make_room(&mut self, now: Instant) -> Room {
        let room = self.room(now);
        if room != Room::Free {
            self.is_full.store(true, Ordering::Relaxed);
        }
        room
    }

    fn room(&mut self, now: Instant) -> Room {
        if self.open.len() >= self.most {
            self.forget_ended();
        }
        if self.open.len() < self.most {
            return Room::Free;
        }
        if self.open.len() >= self.most + LEAVING {
            let leaves = self.open.iter().any(|open| open.is_about_to_end(now));
            return if leaves { Room::Soon } else { Room::None };
        }
        if self.staying().count() < self.most {
            return Room::Free;
        }
        match self.first_to_go(now) {
            None => Room::None,
            Some((Rank::Welcome, _)) if self.newcomers(now) < self.most / 2 => Room::None,
            Some((Rank::Welcome, _)) => Room::Soon,
            Some((_, chosen)) => {
                if let Some(chosen) = self.open.get_mut(chosen) {
                    chosen.ask_to(End::ForRoom, now);
                }
                Room::Made
            }
        }
    }

    /// Who has to make room first, as its place; `None` where all are at work.
    fn first_to_go(&self, now: Instant) -> Option<(Rank, usize)> {
        let staying = self.open.iter().enumerate().filter(|(_, open)| open.end.is_some());
        let ranked = staying.filter_map(|(at, open)| Some((open.doing.rank(now)?, at)));
        ranked.min().map(|((rank, _), at)| (rank, at))
    }

    fn newcomers(&self, now: Instant) -> usize {
        let ranks = self.staying().filter_map(|open| open.doing.rank(now));
        ranks.filter(|(rank, _)| *rank == Rank::Welcome).count()
    }

    /// Has those end whose client has taken longer than `time` for a head or an answer, and those
    /// that have waited for a next request for longer than `keep_alive`.
    pub(super) fn close_overdue(&mut self, now: Instant, time: Duration, keep_alive: Duration) {
        for open in &mut self.open {
            open.doing.date_head(now);
            let Some(quiet_for) = open.doing.quiet_for(now) else { continue };
            let time = if open.doing.waits_for_a_request() { keep_alive } else { time };
            if open.has_had_its_time(now, quiet_for, time) {
                open.task.abort();
            } else if quiet_for >= time {
                open.ask_to(End::IfIdle, now);
            }
        }
        self.forget_ended();
        if self.open.len() < self.most {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// Has each end after the request under way, or at once where there is none.
    pub(super) fn end(&mut self, now: Instant) {
        self.open.iter_mut().for_each(|open| open.ask_to(End::Gently, now));
    }

    fn staying(&self) -> impl Iterator<Item = &Connection> {
        self.open.iter().filter(|open| open.end.is_some())
    }

    fn forget_ended(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
    }
}

impl Connection {
    /// Whether it was asked to end and does not: an answer has as long as anybody's.
    fn has_had_its_time(&self, now: Instant, quiet_for: Duration, time: Duration) -> bool {
        let time = if self.doing.is_idle() { GRACE } else { time };
        let asked_for = self.asked.map(|(_, then)| now.saturating_duration_since(then));
        asked_for.is_some_and(|asked_for| asked_for.min(quiet_for) >= time)
    }

    /// Whether it was asked to end, and may as soon as it looks.
    fn is_about_to_end(&self, now: Instant) -> bool {
        self.asked.is_some_and(|(end, _)| self.doing.lets(end, now))
    }

    fn ask_to(&mut self, end: End, now: Instant) {
        if let Some(asks) = self.end.take() {
            self.asked = Some((end, now));
            // It may just have ended.
            let _ = asks.send(end);
        }
    }
}

/// Has the system give this process as many file descriptors as it may have, and says how many
/// connections the API's port may serve.
pub(super) fn most() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (MOST + RESERVED) as u64;
    let possible = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let current = limit.current.unwrap_or(wanted);
    let raised = current < possible
        && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit }).is_ok();
    let descriptors = usize::try_from(if raised { possible } else { current }).unwrap_or(MOST);
    descriptors.saturating_sub(RESERVED).clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests;

//! The connections of a port: when there are as many as may be, the one that has been idle for
//! longest makes room for the next; where none is idle, the one whose client has kept its request
//! waiting for longest. Whoever is at work makes no room.
//!
//! So peers that connect and say nothing keep nobody out, and a client whose idle connection was
//! closed makes a new one. Who has just come has a moment to say what it wants: else a crowd that
//! comes at once, or again and again, would close it. A limit on the process's file descriptors
//! keeps some for the stores.

mod doing;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use doing::Rank;
pub(super) use doing::{Doing, Ended};

/// Each may hold the largest head or body there is: more would take more memory than a small machine
/// has.
const MOST: usize = 2048;

/// So many are taken even with few file descriptors.
const FEWEST: usize = 128;

/// File descriptors for everything that is no connection of the API's port, or only one that is
/// turned away.
const RESERVED: usize = 768;

/// Those of a port, in the order in which they came.
pub(super) struct Connections {
    most: usize,
    /// With those that have ended since room was needed last, or one was overdue.
    open: Vec<Connection>,
    begun: Instant,
}

struct Connection {
    doing: Doing,
    /// Asks it to end after the request under way; `None` once it was asked.
    end: Option<oneshot::Sender<()>>,
    task: AbortHandle,
}

/// Whether there is room for one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Free,
    /// Now there is: an idle one was closed.
    Made,
    /// There will be in a moment: who has just come may still say what it wants.
    Soon,
    /// All are at work.
    None,
}

impl Room {
    pub(super) fn is_there(self) -> bool {
        matches!(self, Self::Free | Self::Made)
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Vec::new(), begun: Instant::now() }
    }

    /// Adds one, as the task that serves it.
    pub(super) fn add(&mut self, start: impl FnOnce(Doing, oneshot::Receiver<()>) -> AbortHandle) {
        let (end, asked_to_end) = oneshot::channel();
        let doing = Doing::nothing(self.begun);
        let task = start(doing.clone(), asked_to_end);
        self.open.push(Connection { doing, end: Some(end), task });
    }

    /// Makes room for one more, where that is needed.
    pub(super) fn make_room(&mut self) -> Room {
        if self.open.len() >= self.most {
            self.forget_ended();
        }
        if self.open.len() < self.most {
            return Room::Free;
        }
        while let Some((rank, chosen)) = self.first_to_go() {
            if rank == Rank::Welcome {
                return Room::Soon;
            }
            // It may have gone to work since it was chosen, and then another is.
            if self.open.get(chosen).is_some_and(|open| open.doing.make_room()) {
                self.open.remove(chosen).task.abort();
                return Room::Made;
            }
        }
        Room::None
    }

    /// Who has to make room first; `None` where all are at work.
    fn first_to_go(&self) -> Option<(Rank, usize)> {
        let now = Instant::now();
        let ranked = self.open.iter().enumerate();
        let ranked = ranked.filter_map(|(at, open)| open.doing.rank(now).map(|rank| (rank, at)));
        ranked.min().map(|((rank, _), at)| (rank, at))
    }

    /// Closes those on which nothing has been under way for this long.
    pub(super) fn close_overdue(&mut self, time: Duration) {
        let now = Instant::now();
        let is_overdue = |(_, since)| now.saturating_duration_since(since) >= time;
        self.open.retain(|Connection { doing, task, .. }| {
            let ends = doing.rank(now).is_some_and(is_overdue) && doing.end_if_idle();
            if ends {
                task.abort();
            }
            !ends && !task.is_finished()
        });
    }

    /// Has each end after the request under way, or at once where it has not sent any of one.
    pub(super) fn end(&mut self) {
        for end in self.open.iter_mut().filter_map(|open| open.end.take()) {
            // It may just have ended.
            let _ = end.send(());
        }
    }

    fn forget_ended(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
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
mod tests {
    use std::time::Duration;

    use super::doing::WELCOME;
    use super::{Connections, Doing, Room};

    const SECOND: Duration = Duration::from_secs(1);

    /// Opens these, each on a task that goes on until it is closed.
    fn opened<const COUNT: usize>(connections: &mut Connections) -> [Doing; COUNT] {
        // So that what they do can be told to have been long ago.
        connections.begun = connections.begun.checked_sub(10 * SECOND).unwrap();
        for _ in 0..COUNT {
            connections.add(|_, _| tokio::spawn(std::future::pending::<()>()).abort_handle());
        }
        std::array::from_fn(|at| connections.open[at].doing.clone())
    }

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let mut connections = Connections::new(4);
        let doing = opened::<4>(&mut connections);
        let _busy = doing[0].begin().unwrap();
        for (at, idle_for) in [(0, 5), (1, 2), (2, 3), (3, 1)] {
            doing[at].age(idle_for * SECOND);
        }
        assert_eq!(connections.make_room(), Room::Made);
        assert!(doing[2].begin().is_err(), "no request may begin on it");
        assert_eq!(connections.make_room(), Room::Free);
        assert_eq!(connections.open.len(), 3);
    }

    #[tokio::test]
    async fn one_that_makes_room_is_closed() {
        let mut connections = Connections::new(1);
        let [doing] = opened(&mut connections);
        doing.age(SECOND);
        let task = connections.open[0].task.clone();
        assert_eq!(connections.make_room(), Room::Made);
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_keeps_a_request_waiting_makes_room_before_who_is_served() {
        let mut connections = Connections::new(2);
        let [served, slow] = opened(&mut connections);
        let _requests = [served.begin().unwrap(), slow.begin().unwrap()];
        assert_eq!(connections.make_room(), Room::None);
        slow.waits().set(true);
        let task = connections.open[0].task.id();
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!(connections.open[0].task.id(), task);
    }

    #[tokio::test]
    async fn who_has_just_come_has_a_moment_to_say_what_it_wants() {
        let mut connections = Connections::new(2);
        let [first, second] = opened(&mut connections);
        assert_eq!(connections.make_room(), Room::Soon);
        second.age(WELCOME);
        assert_eq!(connections.make_room(), Room::Made);
        assert!(first.begin().is_ok() && second.begin().is_err());
    }

    #[tokio::test]
    async fn who_has_been_slow_for_long_makes_room_before_who_has_just_come() {
        let mut connections = Connections::new(2);
        let [slow, new] = opened(&mut connections);
        let _request = slow.begin().unwrap();
        slow.waits().set(true);
        new.age(2 * WELCOME);
        slow.age(2 * SECOND);
        assert_eq!(connections.make_room(), Room::Made);
        assert!(new.begin().is_ok());
    }

    #[tokio::test]
    async fn connections_that_have_ended_count_no_more() {
        let mut connections = Connections::new(2);
        let [_, second] = opened(&mut connections);
        let task = connections.open[0].task.clone();
        task.abort();
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(connections.make_room(), Room::Free);
        assert!(second.begin().is_ok());
    }

    #[tokio::test]
    async fn who_has_said_nothing_for_too_long_is_closed() {
        let mut connections = Connections::new(4);
        let [silent, idle, recent, busy] = opened(&mut connections);
        drop(idle.begin().unwrap());
        let _request = busy.begin().unwrap();
        for doing in [&silent, &idle, &busy] {
            doing.age(3 * SECOND);
        }
        recent.age(SECOND);
        connections.close_overdue(2 * SECOND);
        assert!(silent.begin().is_err() && idle.begin().is_err());
        assert!(recent.begin().is_ok());
        assert!(!busy.end_if_idle(), "the request under way goes on");
    }

    #[tokio::test]
    async fn who_is_closed_already_leaves_room_at_once() {
        let mut connections = Connections::new(2);
        let [silent, closed] = opened(&mut connections);
        silent.age(3 * SECOND);
        connections.close_overdue(2 * SECOND);
        assert_eq!(connections.make_room(), Room::Free);
        assert!(closed.end_if_idle());
        connections.most = 1;
        assert_eq!(connections.make_room(), Room::None);
    }

    #[tokio::test]
    async fn a_request_under_way_is_never_cut() {
        let mut connections = Connections::new(1);
        let [doing] = opened(&mut connections);
        let busy = doing.begin().unwrap();
        assert_eq!(connections.make_room(), Room::None);
        drop(busy);
        assert_eq!(connections.make_room(), Room::Made);
    }
}

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

mod doing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use doing::Rank;
pub(super) use doing::{Doing, End};

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

/// Who was asked to end, and has nothing under way for so long, ends at once.
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
    doing: Doing,
    /// Asks it to end; `None` once it was asked.
    end: Option<oneshot::Sender<End>>,
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
    pub(super) fn add(&mut self, start: impl FnOnce(Doing, oneshot::Receiver<End>) -> AbortHandle) {
        let (end, asked_to_end) = oneshot::channel();
        let doing = Doing::nothing(self.begun, Arc::clone(&self.is_full));
        let task = start(doing.clone(), asked_to_end);
        self.open.push(Connection { doing, end: Some(end), task });
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
            return Room::Soon;
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
                    chosen.ask_to(End::ForRoom);
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

    /// Has those end on which nothing has been under way for this long.
    pub(super) fn close_overdue(&mut self, now: Instant, time: Duration) {
        for open in &mut self.open {
            match open.doing.idle_for(now) {
                Some(idle_for) if open.end.is_none() && idle_for >= GRACE => open.task.abort(),
                Some(idle_for) if idle_for >= time => open.ask_to(End::IfIdle),
                _ => {}
            }
        }
        self.forget_ended();
        self.is_full.store(self.open.len() >= self.most, Ordering::Relaxed);
    }

    /// Has each end after the request under way, or at once where it has not sent any of one.
    pub(super) fn end(&mut self) {
        self.open.iter_mut().for_each(|open| open.ask_to(End::Gently));
    }

    fn staying(&self) -> impl Iterator<Item = &Connection> {
        self.open.iter().filter(|open| open.end.is_some())
    }

    fn forget_ended(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
    }
}

impl Connection {
    fn ask_to(&mut self, end: End) {
        if let Some(asks) = self.end.take() {
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
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::doing::WELCOME;
    use super::{Connections, Doing, End, GRACE, LEAVING, Room};

    const SECOND: Duration = Duration::from_secs(1);

    /// A port's connections, each on a task that says how it was asked to end, and ends then where
    /// `ends`.
    struct Opened {
        connections: Connections,
        doing: Vec<Doing>,
        asked: Vec<oneshot::Receiver<End>>,
        ends: bool,
        now: Instant,
    }

    impl Opened {
        fn new(most: usize, count: usize) -> Self {
            let connections = Connections::new(most);
            let now = connections.begun + 10 * SECOND;
            let (doing, asked) = Default::default();
            let mut opened = Self { connections, doing, asked, ends: true, now };
            (0..count).for_each(|_| opened.open());
            opened
        }

        fn open(&mut self) {
            let ends = self.ends;
            self.connections.add(|doing, end| {
                let (says, asked) = oneshot::channel();
                self.doing.push(doing);
                self.asked.push(asked);
                let task = tokio::spawn(async move {
                    says.send(end.await.unwrap()).unwrap();
                    if !ends {
                        std::future::pending::<()>().await;
                    }
                });
                task.abort_handle()
            });
            self.quiet_for(self.doing.len() - 1, Duration::ZERO);
        }

        /// As if it had done what it did last so long ago.
        fn quiet_for(&self, at: usize, time: Duration) {
            self.doing[at].note_move_at(self.now.checked_sub(time).unwrap());
        }

        fn make_room(&mut self) -> Room {
            self.connections.make_room(self.now)
        }

        /// Those that were asked to end until now, and how.
        async fn asked(&mut self) -> Vec<(usize, End)> {
            // Everything that can go on by itself has done so after this, on one thread.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let asked = self.asked.iter_mut().enumerate();
            asked.filter_map(|(at, asked)| Some((at, asked.try_recv().ok()?))).collect()
        }
    }

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let mut opened = Opened::new(4, 4);
        let _busy = opened.doing[0].begin(opened.now);
        for (at, idle_for) in [(0, 5), (1, 2), (2, 3), (3, 1)] {
            opened.quiet_for(at, idle_for * SECOND);
        }
        assert_eq!(opened.make_room(), Room::Made);
        assert_eq!(opened.asked().await, [(2, End::ForRoom)]);
        assert_eq!(opened.make_room(), Room::Free);
    }

    #[tokio::test]
    async fn who_keeps_a_request_waiting_makes_room_before_who_is_served() {
        let mut opened = Opened::new(2, 2);
        let _requests = [opened.doing[0].begin(opened.now), opened.doing[1].begin(opened.now)];
        assert_eq!(opened.make_room(), Room::None);
        opened.doing[1].waits().set(true);
        assert_eq!(opened.make_room(), Room::Made);
        assert_eq!(opened.asked().await, [(1, End::ForRoom)]);
    }

    #[tokio::test]
    async fn who_has_just_come_has_a_moment_to_say_what_it_wants() {
        let mut opened = Opened::new(2, 2);
        assert_eq!(opened.make_room(), Room::Soon);
        opened.quiet_for(1, WELCOME);
        assert_eq!(opened.make_room(), Room::Made);
        assert_eq!(opened.asked().await, [(1, End::ForRoom)]);
    }

    #[tokio::test]
    async fn while_most_are_at_work_nobody_waits_for_the_few_who_have_just_come() {
        let mut opened = Opened::new(4, 4);
        let _requests: Vec<_> =
            opened.doing[..3].iter().map(|doing| doing.begin(opened.now)).collect();
        assert_eq!(opened.make_room(), Room::None);
    }

    #[tokio::test]
    async fn who_has_been_slow_for_long_makes_room_before_who_has_just_come() {
        let mut opened = Opened::new(2, 2);
        let _request = opened.doing[0].begin(opened.now);
        opened.doing[0].waits().set(true);
        opened.quiet_for(0, 2 * SECOND);
        opened.quiet_for(1, 2 * WELCOME);
        assert_eq!(opened.make_room(), Room::Made);
        assert_eq!(opened.asked().await, [(0, End::ForRoom)]);
    }

    #[tokio::test]
    async fn those_about_to_end_are_few() {
        let mut opened = Opened::new(100, 0);
        opened.ends = false;
        for _ in 0..100 {
            opened.open();
        }
        for at in 0..LEAVING {
            opened.quiet_for(at, SECOND);
            assert_eq!(opened.make_room(), Room::Made);
            opened.open();
        }
        opened.quiet_for(LEAVING, SECOND);
        assert_eq!(opened.make_room(), Room::Soon);
        assert_eq!(opened.asked().await.len(), LEAVING);
    }

    #[tokio::test]
    async fn connections_that_have_ended_count_no_more() {
        let mut opened = Opened::new(2, 2);
        opened.connections.open[0].task.abort();
        assert_eq!(opened.asked().await, []);
        assert_eq!(opened.make_room(), Room::Free);
    }

    #[tokio::test]
    async fn who_has_said_nothing_for_too_long_is_closed() {
        let mut opened = Opened::new(5, 5);
        drop(opened.doing[1].begin(opened.now));
        let _under_way = [opened.doing[3].begin(opened.now), opened.doing[4].begin(opened.now)];
        opened.doing[4].waits().set(true);
        for at in [0, 1, 3, 4] {
            opened.quiet_for(at, 3 * SECOND);
        }
        opened.connections.close_overdue(opened.now, 2 * SECOND);
        assert_eq!(opened.asked().await, [(0, End::IfIdle), (1, End::IfIdle)]);
    }

    #[tokio::test]
    async fn who_was_asked_to_end_and_does_not_is_cut_off_after_its_requests() {
        let mut opened = Opened::new(3, 0);
        opened.ends = false;
        for _ in 0..3 {
            opened.open();
        }
        let _request = opened.doing[0].begin(opened.now);
        opened.quiet_for(0, 9 * SECOND);
        opened.quiet_for(1, GRACE);
        opened.connections.end();
        assert_eq!(opened.asked().await, [0, 1, 2].map(|at| (at, End::Gently)));
        opened.connections.close_overdue(opened.now, 30 * SECOND);
        assert_eq!(opened.asked().await, []);
        let ended = opened.connections.open.iter().map(|open| open.task.is_finished());
        assert_eq!(ended.collect::<Vec<_>>(), [false, true, false]);
    }

    #[tokio::test]
    async fn while_there_is_no_more_room_a_request_is_the_last_on_its_connection() {
        let mut opened = Opened::new(2, 1);
        let request = opened.doing[0].begin(opened.now);
        assert_eq!((opened.make_room(), request.is_last()), (Room::Free, false));
        opened.open();
        assert_eq!((opened.make_room(), request.is_last()), (Room::Soon, true));
        opened.connections.open[1].task.abort();
        opened.asked().await;
        opened.connections.close_overdue(opened.now, 30 * SECOND);
        assert!(!request.is_last());
    }

    #[tokio::test]
    async fn a_request_under_way_is_never_cut() {
        let mut opened = Opened::new(1, 1);
        let busy = opened.doing[0].begin(opened.now);
        assert_eq!(opened.make_room(), Room::None);
        assert!(!opened.doing[0].lets(End::ForRoom) && !opened.doing[0].lets(End::IfIdle));
        opened.doing[0].waits().set(true);
        assert!(opened.doing[0].lets(End::ForRoom) && !opened.doing[0].lets(End::IfIdle));
        drop(busy);
        assert!(opened.doing[0].lets(End::IfIdle) && !opened.doing[0].lets(End::Gently));
    }
}

//! The connections of a port: when there are as many as may be, the one that has been idle for
//! longest makes room for the next; where none is idle, the one whose client has kept its request
//! waiting for longest. Whoever is at work makes no room.
//!
//! So peers that connect and say nothing keep nobody out, and a client whose idle connection was
//! closed makes a new one. Who has just come has a moment to say what it wants: else a crowd that
//! comes at once, or again and again, would close it. A limit on the process's file descriptors keeps some for
//! the stores.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::http::WaitsForClient;

/// Each may hold the largest head or body there is: more would take more memory than a small machine
/// has.
const MOST: usize = 2048;

/// So many are taken even with few file descriptors.
const FEWEST: usize = 128;

/// Who keeps us waiting for less goes after all who do so for longer.
const PATIENCE_MICROSECONDS: u64 = 250_000;

/// File descriptors for everything that is no connection of the API's port, or only one that is
/// turned away.
const RESERVED: usize = 768;

/// Who has come has so long to say what it wants. In a crowd others wait to be let in for that.
const WELCOME_MICROSECONDS: u64 = 50_000;

/// What a connection does. It has just come, and nothing began on it yet.
const NEW: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
/// It had to make room while nothing was under way: no request begins on it any more.
const CLOSED: u8 = 3;

/// Those of a port, oldest first.
pub(super) struct Connections {
    most: usize,
    open: VecDeque<Connection>,
    begun: Instant,
}

/// Little enough that the ones that have ended may stay until room is needed.
struct Connection {
    doing: Doing,
    close: oneshot::Sender<()>,
}

/// Whether a request is under way on one connection, which takes one after another.
#[derive(Clone)]
pub(super) struct Doing(Arc<Requests>);

struct Requests {
    state: AtomicU8,
    /// When the last one began or ended, in microseconds since `begun`.
    changed_at: AtomicU64,
    waits: WaitsForClient,
    begun: Instant,
}

/// A request under way, until it is dropped.
pub(super) struct Busy(Doing);

/// Tells a connection that it has to make room.
pub(super) struct Closing(oneshot::Receiver<()>);

/// A request came on a connection in the moment in which it had to make room.
#[derive(Debug, Error)]
#[error("the connection has to make room")]
pub(super) struct MadeRoom;

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

/// How soon a connection makes room; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Idle,
    /// Its client keeps a request waiting.
    Slow,
    /// One of these, and not for long.
    Shortly,
    /// It has just come, and stays for a moment.
    Welcome,
}

impl Room {
    pub(super) fn is_there(self) -> bool {
        matches!(self, Self::Free | Self::Made)
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: VecDeque::new(), begun: Instant::now() }
    }

    /// Makes room for one more, where that is needed.
    pub(super) fn make_room(&mut self) -> Room {
        if self.open.len() >= self.most {
            self.open.retain(|connection| !connection.close.is_closed());
        }
        if self.open.len() < self.most {
            return Room::Free;
        }
        while let Some((rank, chosen)) = self.first_to_go() {
            if rank == Rank::Welcome {
                return Room::Soon;
            }
            // It may have gone to work since it was chosen, and then another is.
            if self.open.get(chosen).is_some_and(|open| open.doing.close()) {
                self.tell_to_close(chosen);
                return Room::Made;
            }
        }
        Room::None
    }

    /// Who has to make room first; `None` where all are at work.
    fn first_to_go(&self) -> Option<(Rank, usize)> {
        let now = microseconds_since(self.begun);
        let ranked = self.open.iter().enumerate().filter_map(|(at, open)| {
            let rank = open.doing.rank(now)?;
            Some((rank, open.doing.changed_at(), at))
        });
        ranked.min().map(|(rank, _, at)| (rank, at))
    }

    fn tell_to_close(&mut self, at: usize) {
        if let Some(connection) = self.open.remove(at) {
            // It may just have ended.
            let _ = connection.close.send(());
        }
    }

    /// Closes those without a request under way.
    pub(super) fn close_idle(&mut self) {
        for connection in self.open.drain(..).filter(|connection| connection.doing.close_idle()) {
            // It may just have ended.
            let _ = connection.close.send(());
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self) -> (Doing, Closing) {
        let (close, closing) = oneshot::channel();
        let doing = Doing::nothing(self.begun);
        self.open.push_back(Connection { doing: doing.clone(), close });
        (doing, Closing(closing))
    }
}

impl Closing {
    /// Waits until the connection has to make room; for ever, if it never has to.
    pub(super) async fn told(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Doing {
    fn nothing(begun: Instant) -> Self {
        let doing = Self(Arc::new(Requests {
            state: NEW.into(),
            changed_at: 0.into(),
            waits: WaitsForClient::default(),
            begun,
        }));
        doing.note_change();
        doing
    }

    /// Begins a request.
    pub(super) fn begin(&self) -> Result<Busy, MadeRoom> {
        self.note_change();
        let begins = self.go(IDLE, BUSY) || self.go(NEW, BUSY);
        if begins { Ok(Busy(self.clone())) } else { Err(MadeRoom) }
    }

    /// `None` where a request is under way that does not wait for its client.
    fn rank(&self, now: u64) -> Option<Rank> {
        let since = now.saturating_sub(self.changed_at());
        match self.state() {
            BUSY if !self.0.waits.now() => None,
            NEW if since < WELCOME_MICROSECONDS => Some(Rank::Welcome),
            _ if since < PATIENCE_MICROSECONDS => Some(Rank::Shortly),
            BUSY => Some(Rank::Slow),
            _ => Some(Rank::Idle),
        }
    }

    fn state(&self) -> u8 {
        self.0.state.load(Ordering::Acquire)
    }

    /// Whether it makes room: it is idle, and no request begins any more, or it waits for its
    /// client.
    fn close(&self) -> bool {
        self.close_idle() || self.state() == BUSY && self.0.waits.now()
    }

    fn close_idle(&self) -> bool {
        self.go(IDLE, CLOSED) || self.go(NEW, CLOSED)
    }

    fn go(&self, from: u8, to: u8) -> bool {
        let gone = self.0.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        gone.is_ok()
    }

    /// What the request says itself about it.
    pub(super) fn waits(&self) -> WaitsForClient {
        self.0.waits.clone()
    }

    fn changed_at(&self) -> u64 {
        self.0.changed_at.load(Ordering::Relaxed)
    }

    fn note_change(&self) {
        self.0.changed_at.store(microseconds_since(self.0.begun), Ordering::Relaxed);
    }
}

fn microseconds_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.note_change();
        self.0.go(BUSY, IDLE);
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
    use std::array;
    use std::sync::atomic::Ordering;

    use super::{Closing, Connections, Doing, Room, WELCOME_MICROSECONDS};

    fn is_told(closing: &mut Closing) -> bool {
        closing.0.try_recv().is_ok()
    }

    fn opened<const COUNT: usize>(connections: &mut Connections) -> [(Doing, Closing); COUNT] {
        array::from_fn(|_| connections.add())
    }

    /// As if what the connection did last had been earlier by this, and the port older.
    fn age(connections: &mut Connections, doing: &Doing, microseconds: u64) {
        let earlier = std::time::Duration::from_micros(microseconds);
        connections.begun = connections.begun.checked_sub(earlier).unwrap();
        for other in &connections.open {
            other.doing.0.changed_at.fetch_add(microseconds, Ordering::Relaxed);
        }
        doing.0.changed_at.fetch_sub(microseconds, Ordering::Relaxed);
    }

    #[test]
    fn the_longest_idle_connection_makes_room() {
        let mut connections = Connections::new(4);
        let mut opened = opened::<4>(&mut connections);
        let _busy = opened[0].0.begin().unwrap();
        for (at, idle_for) in [(1, 2_000_000), (2, 3_000_000), (3, 1_000_000)] {
            age(&mut connections, &opened[at].0, idle_for);
        }
        assert_eq!(connections.make_room(), Room::Made);
        let told = opened.each_mut().map(|(_, closing)| is_told(closing));
        assert_eq!(told, [false, false, true, false]);
        assert_eq!(connections.open.len(), 3);
    }

    #[test]
    fn who_keeps_a_request_waiting_makes_room_before_who_is_served() {
        let mut connections = Connections::new(2);
        let [mut served, mut slow] = opened(&mut connections);
        let _requests = [served.0.begin().unwrap(), slow.0.begin().unwrap()];
        assert_eq!(connections.make_room(), Room::None);
        slow.0.waits().set(true);
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!([&mut served.1, &mut slow.1].map(is_told), [false, true]);
    }

    #[test]
    fn who_has_just_come_has_a_moment_to_say_what_it_wants() {
        let mut connections = Connections::new(2);
        let [mut first, mut second] = opened(&mut connections);
        assert_eq!(connections.make_room(), Room::Soon);
        age(&mut connections, &second.0, WELCOME_MICROSECONDS);
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!([&mut first.1, &mut second.1].map(is_told), [false, true]);
    }

    #[test]
    fn who_has_been_slow_for_long_makes_room_before_who_has_just_come() {
        let mut connections = Connections::new(2);
        let [mut slow, mut new] = opened(&mut connections);
        let _request = slow.0.begin().unwrap();
        slow.0.waits().set(true);
        age(&mut connections, &new.0, 2 * WELCOME_MICROSECONDS);
        age(&mut connections, &slow.0, 2_000_000);
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!([&mut slow.1, &mut new.1].map(is_told), [true, false]);
    }

    #[test]
    fn connections_that_have_ended_count_no_more() {
        let mut connections = Connections::new(2);
        let [first, mut second] = opened(&mut connections);
        drop(first);
        assert_eq!(connections.make_room(), Room::Free);
        assert!(!is_told(&mut second.1));
    }

    #[test]
    fn a_request_under_way_is_never_cut() {
        let mut connections = Connections::new(1);
        let (doing, mut closing) = connections.add();
        let busy = doing.begin().unwrap();
        assert_eq!(connections.make_room(), Room::None);
        assert!(!is_told(&mut closing));
        drop(busy);
        assert_eq!(connections.make_room(), Room::Made);
        assert!(is_told(&mut closing));
    }

    #[test]
    fn no_request_begins_on_a_connection_that_has_to_make_room() {
        let mut connections = Connections::new(1);
        let (doing, _closing) = connections.add();
        drop(doing.begin().unwrap());
        assert_eq!(connections.make_room(), Room::Made);
        assert!(doing.begin().is_err());
    }
}

//! The connections of a port: when there are as many as may be, the one that has been idle for
//! longest makes room for the next; where none is idle, the one whose client has kept its request
//! waiting for longest.
//!
//! So peers that connect and say nothing keep nobody out, and a client whose idle connection was
//! closed makes a new one. Who has just come has a moment to say what it wants: else a crowd that
//! comes again and again would close it. A limit on the process's file descriptors keeps some for
//! the stores.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;

use crate::http::WaitsForClient;

/// Each may hold the largest head or body there is: more would take more memory than a small machine
/// has.
const MOST: usize = 2048;

/// Who keeps us waiting for less goes after all who do so for longer.
const PATIENCE_MICROSECONDS: u64 = 250_000;

/// File descriptors for everything that is no connection of the API's port.
const RESERVED: usize = 512;

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

/// Counts the requests under way on one connection.
#[derive(Clone)]
pub(super) struct Doing(Arc<Requests>);

struct Requests {
    under_way: AtomicUsize,
    /// When the last one began or ended, in microseconds since `begun`.
    changed_at: AtomicU64,
    waits: WaitsForClient,
    begun: Instant,
}

/// A request under way, until it is dropped.
pub(super) struct Busy(Doing);

/// Tells a connection that it has to make room.
pub(super) struct Closing(oneshot::Receiver<()>);

/// Whether there is room for one more connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Free,
    /// Now there is: an idle one was closed.
    Made,
    /// All are busy.
    None,
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
        let patient_since = self.now().saturating_sub(PATIENCE_MICROSECONDS);
        let rank = |doing: &Doing| {
            let since = doing.changed_at();
            let class = match (since < patient_since, doing.is_busy()) {
                _ if doing.is_at_work() => return None,
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2,
            };
            Some((class, since))
        };
        let ranked = self.open.iter().enumerate();
        let ranked = ranked.filter_map(|(at, open)| rank(&open.doing).map(|rank| (rank, at)));
        let idle = ranked.min().and_then(|(_, at)| self.open.remove(at));
        idle.map_or(Room::None, |idle| {
            // It may just have ended, which makes room as well.
            let _ = idle.close.send(());
            Room::Made
        })
    }

    fn now(&self) -> u64 {
        microseconds_since(self.begun)
    }

    /// Closes those without a request under way.
    pub(super) fn close_idle(&mut self) {
        for connection in self.open.drain(..).filter(|connection| !connection.doing.is_busy()) {
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
            under_way: 0.into(),
            changed_at: 0.into(),
            waits: WaitsForClient::default(),
            begun,
        }));
        doing.note_change();
        doing
    }

    pub(super) fn begin(&self) -> Busy {
        self.note_change();
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.under_way.load(Ordering::Relaxed) > 0
    }

    /// Whether a request is under way that does not wait for its client.
    pub(super) fn is_at_work(&self) -> bool {
        self.is_busy() && !self.0.waits.now()
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
        self.0.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has the system give this process as many file descriptors as it may have, and says how many
/// connections the API's port may take.
pub(super) fn most() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (MOST + RESERVED) as u64;
    let possible = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let current = limit.current.unwrap_or(wanted);
    let raised = current < possible
        && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit }).is_ok();
    let descriptors = usize::try_from(if raised { possible } else { current }).unwrap_or(MOST);
    // Even with few descriptors some connections are taken.
    descriptors.saturating_sub(RESERVED).clamp(RESERVED / 4, MOST)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Closing, Connections, Room};

    fn is_told(closing: &mut Closing) -> bool {
        closing.0.try_recv().is_ok()
    }

    #[test]
    fn the_longest_idle_connection_makes_room() {
        let mut connections = Connections::new(4);
        let mut opened = [(); 4].map(|()| {
            wait_for_a_tick();
            connections.add()
        });
        let _busy = opened[0].0.begin();
        wait_for_a_tick();
        drop(opened[1].0.begin());
        assert_eq!(connections.make_room(), Room::Made);
        let told = opened.each_mut().map(|(_, closing)| is_told(closing));
        assert_eq!(told, [false, false, true, false]);
        assert_eq!(connections.open.len(), 3);
    }

    /// Idle times are told apart by the microsecond.
    fn wait_for_a_tick() {
        let now = Instant::now();
        while now.elapsed() < Duration::from_micros(2) {}
    }

    #[test]
    fn who_keeps_a_request_waiting_makes_room_before_who_is_served() {
        let mut connections = Connections::new(2);
        let [mut served, mut slow] = std::array::from_fn(|_| connections.add());
        let _requests = [served.0.begin(), slow.0.begin()];
        assert_eq!(connections.make_room(), Room::None);
        slow.0.waits().set(true);
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!([&mut served.1, &mut slow.1].map(is_told), [false, true]);
    }

    #[test]
    fn who_has_just_come_has_a_moment_to_say_what_it_wants() {
        let mut connections = Connections::new(2);
        let [mut slow, mut new] = std::array::from_fn(|_| connections.add());
        let _request = slow.0.begin();
        slow.0.waits().set(true);
        connections.begun -= Duration::from_secs(2);
        new.0.note_change();
        new.0.0.changed_at.fetch_add(2_000_000, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(connections.make_room(), Room::Made);
        assert_eq!([&mut slow.1, &mut new.1].map(is_told), [true, false]);
    }

    #[test]
    fn connections_that_have_ended_count_no_more() {
        let mut connections = Connections::new(2);
        let [first, mut second] = std::array::from_fn(|_| connections.add());
        drop(first);
        assert_eq!(connections.make_room(), Room::Free);
        assert!(!is_told(&mut second.1));
    }

    #[test]
    fn a_request_under_way_is_never_cut() {
        let mut connections = Connections::new(1);
        let (doing, mut closing) = connections.add();
        let busy = doing.begin();
        assert_eq!(connections.make_room(), Room::None);
        assert!(!is_told(&mut closing));
        drop(busy);
        assert_eq!(connections.make_room(), Room::Made);
        assert!(is_told(&mut closing));
    }
}

//! The connections of a port: when there are as many as may be, the one that has been open longest
//! without a request under way makes room for the next.
//!
//! So peers that connect and say nothing keep nobody out, and a client whose idle connection was
//! closed makes a new one. A limit on the process's file descriptors keeps some for the stores.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::AbortHandle;

/// More would take more memory than a small machine has.
const MOST: usize = 8192;

/// File descriptors for everything that is no connection of the API's port.
const RESERVED: usize = 512;

/// Those of a port, oldest first.
pub(super) struct Connections {
    most: usize,
    open: VecDeque<Connection>,
}

struct Connection {
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

/// Counts the requests under way on one connection.
#[derive(Clone)]
pub(super) struct Doing(Arc<AtomicUsize>);

/// A request under way, until it is dropped.
pub(super) struct Busy(Arc<AtomicUsize>);

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
        Self { most, open: VecDeque::new() }
    }

    /// Makes room for one more, where that is needed.
    pub(super) fn make_room(&mut self) -> Room {
        if self.open.len() >= self.most {
            self.open.retain(|connection| !connection.task.is_finished());
        }
        if self.open.len() < self.most {
            return Room::Free;
        }
        let is_idle = |connection: &Connection| connection.requests.load(Ordering::Relaxed) == 0;
        let idle = self.open.iter().position(is_idle).and_then(|at| self.open.remove(at));
        idle.map_or(Room::None, |idle| {
            idle.task.abort();
            Room::Made
        })
    }

    /// Adds the one that `serve` begins to serve.
    pub(super) fn add(&mut self, serve: impl FnOnce(Doing) -> AbortHandle) {
        let requests = Arc::new(AtomicUsize::new(0));
        let task = serve(Doing(Arc::clone(&requests)));
        self.open.push_back(Connection { requests, task });
    }
}

impl Doing {
    pub(super) fn begin(&self) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    use tokio::task::AbortHandle;

    use super::{Connections, Doing, Room};

    /// Adds a connection that lasts until it is closed.
    fn add(connections: &mut Connections) -> (Doing, AbortHandle) {
        let mut added = None;
        connections.add(|doing| {
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            added = Some((doing, task.clone()));
            task
        });
        added.unwrap()
    }

    /// Lets what was closed come to its end.
    async fn is_closed(task: &AbortHandle) -> bool {
        tokio::task::yield_now().await;
        task.is_finished()
    }

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let mut connections = Connections::new(3);
        let [(first, busy_task), (_, idle_task), (_, newest_task)] =
            std::array::from_fn(|_| add(&mut connections));
        let _busy = first.begin();
        assert_eq!(connections.make_room(), Room::Made);
        assert!(is_closed(&idle_task).await);
        assert!(!is_closed(&busy_task).await && !is_closed(&newest_task).await);
        assert_eq!(connections.open.len(), 2);
    }

    #[tokio::test]
    async fn connections_that_have_ended_count_no_more() {
        let mut connections = Connections::new(2);
        let [(_, first), (_, second)] = std::array::from_fn(|_| add(&mut connections));
        first.abort();
        assert!(is_closed(&first).await);
        assert_eq!(connections.make_room(), Room::Free);
        assert!(!is_closed(&second).await);
    }

    #[tokio::test]
    async fn a_request_under_way_is_never_cut() {
        let mut connections = Connections::new(1);
        let (doing, task) = add(&mut connections);
        let busy = doing.begin();
        assert_eq!(connections.make_room(), Room::None);
        assert!(!is_closed(&task).await);
        drop(busy);
        assert_eq!(connections.make_room(), Room::Made);
        assert!(is_closed(&task).await);
    }
}

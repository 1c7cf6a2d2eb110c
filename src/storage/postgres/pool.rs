//! A few long-lived connections that many requests share, each with many statements under way.
//!
//! Each place in the group has a task that keeps a connection up: after one that was good is lost,
//! the first try comes at once, the next ones after longer and longer pauses. Where every
//! connection is stuck behind slow statements another is opened, up to a limit, and closed once it
//! has had nothing to do for a while.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_util::task::TaskTracker;

use super::connection::{Call, Room, Session, Ticket};
use super::error::PostgresError;
use super::server::Server;
use crate::clock;
use crate::metrics::{Metrics, Purpose};
use crate::panics;
use crate::random::Random;
use crate::storage::detach_on_drop::DetachOnDrop;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A connection that lasts for less was no good: to a server that is stopping, or that may not be
/// written to.
const GOOD: Duration = Duration::from_secs(1);

/// A statement with less time than this is not sent: no answer in time would be no fault of the
/// connection, which is closed then with everybody else's statements on it.
const FAIR_TIME: Duration = Duration::from_millis(500);

/// A connection beyond the usual number is closed after so long with nothing to do.
const SPARE_TIME: Duration = Duration::from_secs(5);

/// How often it is looked whether that is so.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How often a request that waits looks again whether a stuck connection has come free.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The most requests that may wait for a connection at once.
const MOST_WAITING: usize = 4096;

/// How many connections a group has, and how long a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) most_connections: usize,
    /// A connection is filled up to so many statements before the next one gets any; 0 spreads them.
    pub(super) fill_to: usize,
    pub(super) call: Duration,
}

/// A group of connections; clones share them.
#[derive(Clone)]
pub(super) struct Group(Arc<Shared>);

struct Shared {
    purpose: Purpose,
    server: Server,
    limits: Limits,
    random: Random,
    reach: Arc<Reach>,
    metrics: Arc<Metrics>,
    places: Mutex<Places>,
    waiting: AtomicUsize,
    changed: Notify,
    /// Statements that go on though nobody waits for them any more.
    left_alone: TaskTracker,
}

/// What became of a connection.
enum Held {
    NotOpened(PostgresError),
    /// The server, or something on the way, ended it.
    Broke(PostgresError),
    /// We did: it was of no use, or not needed.
    Ended,
}

/// Whether the server can be reached, shared by all groups, so that a change is said once.
#[derive(Debug, Default)]
pub(super) struct Reach {
    is_lost: AtomicBool,
}

#[derive(Default)]
struct Places {
    sessions: Vec<Option<Arc<Session>>>,
    is_closed: bool,
}

enum Picked {
    Ticket(Ticket),
    Full,
    None,
}

impl Group {
    pub(super) fn new(
        purpose: Purpose,
        server: Server,
        limits: Limits,
        random: Random,
        reach: Arc<Reach>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Shared {
            purpose,
            server,
            limits,
            random,
            reach,
            metrics,
            places: Mutex::default(),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
            left_alone: TaskTracker::new(),
        }))
    }

    /// Begins to connect, if that has not begun.
    pub(super) fn start(&self) {
        let mut places = self.0.lock();
        while places.sessions.len() < self.0.limits.connections {
            self.add_place(&mut places);
        }
    }

    /// Waits until a connection is up, but no longer than `limit`.
    pub(super) async fn wait_until_up(&self, limit: Duration) {
        let until = Instant::now() + limit;
        // Whoever comes before it is up says so.
        let _ = self.wait_for_ticket(until).await;
    }

    /// Waits for the statements under way that nobody waits for, then closes every connection for
    /// good.
    pub(super) async fn close(&self) {
        self.0.left_alone.close();
        self.0.left_alone.wait().await;
        let mut places = self.0.lock();
        places.is_closed = true;
        places.sessions.iter().flatten().for_each(|session| session.end());
        drop(places);
        self.0.changed.notify_waiters();
    }

    /// Sends a statement; it runs to its end even when the caller goes away.
    ///
    /// Sent again where the connection dies under it, since every statement of ours is safe to
    /// repeat (docs/decisions/0004-writes-are-sent-again.md); as often as there are connections,
    /// since whatever killed one may have killed them all, and that is noticed one by one.
    pub(super) async fn call(&self, call: Call) -> Result<Vec<Row>, PostgresError> {
        let group = self.clone();
        let run = async move {
            let until = Instant::now() + group.0.limits.call;
            for _ in 0..group.0.limits.most_connections {
                match group.attempt(&call, until).await {
                    Err(error) if error.is_end_of_connection() => {}
                    done => return done,
                }
            }
            group.attempt(&call, until).await
        };
        let answer = DetachOnDrop::new(run, &self.0.left_alone).await;
        if answer.as_ref().is_err_and(PostgresError::is_of_the_store) {
            self.0.metrics.storage_errors.inc();
        }
        answer
    }

    async fn attempt(&self, call: &Call, until: Instant) -> Result<Vec<Row>, PostgresError> {
        let ticket = self.ticket(until).await?;
        let left = until.saturating_duration_since(Instant::now());
        if left < FAIR_TIME {
            return Err(PostgresError::NoConnection(self.0.limits.call));
        }
        let answer = ticket.send(call, left).await;
        drop(ticket);
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.0.changed.notify_waiters();
        }
        answer
    }

    /// Takes a place on the first connection that welcomes it, else on the one with the fewest
    /// statements under way.
    async fn ticket(&self, until: Instant) -> Result<Ticket, PostgresError> {
        match self.pick()? {
            Picked::Ticket(ticket) => Ok(ticket),
            Picked::Full => Err(PostgresError::TooMany),
            Picked::None => {
                if self.0.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
                    self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Err(PostgresError::TooMany);
                }
                let waited = self.wait_for_ticket(until).await;
                self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                waited
            }
        }
    }

    async fn wait_for_ticket(&self, until: Instant) -> Result<Ticket, PostgresError> {
        loop {
            let changed = self.0.changed.notified();
            match self.pick()? {
                Picked::Ticket(ticket) => return Ok(ticket),
                Picked::Full => return Err(PostgresError::TooMany),
                Picked::None => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left < FAIR_TIME {
                return Err(PostgresError::NoConnection(self.0.limits.call));
            }
            // Either something changed, or time has passed: in both cases it is looked at again.
            let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
        }
    }

    fn pick(&self) -> Result<Picked, PostgresError> {
        let mut places = self.0.lock();
        if places.is_closed {
            return Err(PostgresError::Closed);
        }
        let sessions = places.sessions.iter().flatten();
        let rooms = sessions.map(|session| (session.room(self.0.limits.fill_to), session));
        match rooms.min_by_key(|(room, _)| *room) {
            Some((Room::Welcome | Room::Free(_), session)) => {
                return Ok(Picked::Ticket(session.ticket()));
            }
            Some((Room::Full, _)) => return Ok(Picked::Full),
            Some((Room::Stuck, _)) | None => {}
        }
        let are_all_up = places
            .sessions
            .iter()
            .all(|place| place.as_ref().is_some_and(|session| !session.is_ended()));
        if are_all_up && places.sessions.len() < self.0.limits.most_connections {
            self.add_place(&mut places);
        }
        Ok(Picked::None)
    }

    fn add_place(&self, places: &mut Places) {
        let place = places.sessions.len();
        places.sessions.push(None);
        tokio::spawn(Arc::clone(&self.0).keep_up(place));
    }
}

impl Reach {
    /// Notes what came of connecting.
    fn note(&self, error: Option<&PostgresError>) {
        let was_lost = self.is_lost.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_lost => {
                tracing::warn!(%error, "⚠️ PostgreSQL can't be used; trying again until it can");
            }
            None if was_lost => tracing::info!("💾 PostgreSQL can be used again"),
            Some(_) | None => {}
        }
    }
}

impl Shared {
    /// Keeps a connection up in one place until the group is closed.
    async fn keep_up(self: Arc<Self>, place: usize) {
        let mut pause = Duration::ZERO;
        while !self.lock().is_closed {
            clock::pause(pause).await;
            let begun = Instant::now();
            let ended = panics::catch_in(self.hold_connection(place)).await;
            let ended = ended.unwrap_or_else(|_| {
                self.put(place, None);
                Held::Ended
            });
            let is_young = begun.elapsed() < GOOD;
            pause = match &ended {
                Held::NotOpened(_) => self.longer(pause),
                Held::Ended if is_young => self.longer(pause),
                // Whoever ends sessions may do so again.
                Held::Broke(_) if is_young => FIRST_PAUSE,
                Held::Broke(_) | Held::Ended => Duration::ZERO,
            };
            if let Held::NotOpened(error) | Held::Broke(error) = ended {
                let purpose = self.purpose.as_str();
                tracing::debug!(%error, purpose, "💾 A database connection was lost");
            }
            if self.gives_up(place) {
                return;
            }
        }
    }

    fn longer(&self, pause: Duration) -> Duration {
        let longest = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.random.between(longest / 2, longest)
    }

    /// Whether a place beyond the usual number goes; the last one goes first.
    fn gives_up(&self, place: usize) -> bool {
        let mut places = self.lock();
        let goes = place >= self.limits.connections && place + 1 == places.sessions.len();
        if goes {
            places.sessions.pop();
        }
        goes
    }

    /// Opens a connection, offers it in its place, and takes it back when it has ended.
    async fn hold_connection(&self, place: usize) -> Held {
        let opened = Session::open(&self.server).await;
        self.reach.note(opened.as_ref().err());
        let (session, driver) = match opened {
            Ok(opened) => opened,
            Err(error) => return Held::NotOpened(error),
        };
        let session = Arc::new(session);
        self.put(place, Some(Arc::clone(&session)));
        let up = self.metrics.postgres_connections.get_or_create_owned(&self.purpose);
        up.inc();
        let (ended, is_lost) = tokio::select! {
            ended = session.drive(driver) => (ended, true),
            () = self.until_spare(place, &session) => (Ok(()), false),
        };
        up.dec();
        self.put(place, None);
        if is_lost && !self.lock().is_closed {
            self.metrics.postgres_lost_connections.get_or_create(&self.purpose).inc();
        }
        ended.map_or_else(Held::Broke, |()| Held::Ended)
    }

    /// Waits until a connection beyond the usual number has had nothing to do for a while, and
    /// takes it out of its place; for ever, if it is one of the usual ones.
    async fn until_spare(&self, place: usize, session: &Session) {
        if place < self.limits.connections {
            std::future::pending::<()>().await;
        }
        let mut idle_since = Instant::now();
        loop {
            clock::pause(BETWEEN_LOOKS).await;
            // Whoever picks a connection holds this, too.
            let mut places = self.lock();
            if !session.is_idle() {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= SPARE_TIME {
                if let Some(slot) = places.sessions.get_mut(place) {
                    *slot = None;
                }
                session.end();
                return;
            }
        }
    }

    fn put(&self, place: usize, session: Option<Arc<Session>>) {
        let mut places = self.lock();
        if let Some(session) = session.as_ref().filter(|_| places.is_closed) {
            session.end();
        }
        if let Some(slot) = places.sessions.get_mut(place) {
            *slot = session;
        }
        drop(places);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("purpose", &self.0.purpose.as_str()).finish_non_exhaustive()
    }
}

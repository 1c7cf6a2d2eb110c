//! A few connections that many callers share, each with many statements in flight.
//!
//! Each place in the pool has a task that keeps a connection up: it reconnects at once after a good
//! connection was lost, then after growing pauses. If every connection is stuck behind a slow
//! statement, another is opened, up to a limit, and closed once it has been idle for a while.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Load, Ticket};
use crate::{DetachOnDrop, Error, Observer, Query, Server, Sql, pause};

const MIN_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// A shorter-lived connection was useless: the server is stopping or read-only.
const MIN_LIFE: Duration = Duration::from_secs(1);

/// The least time that a statement needs to be sent.
///
/// With less, a missing answer would close a connection that is not at fault.
const MIN_TIME_TO_SEND: Duration = Duration::from_millis(500);

/// A connection beyond the usual number is closed after being idle for this long.
const SPARE_IDLE: Duration = Duration::from_secs(5);

/// How often a spare connection is checked for being idle.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often a waiting caller checks whether a stuck connection is usable again.
const STUCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The maximum number of callers that may wait for a connection at once.
const MAX_WAITING: usize = 4096;

/// How many connections a pool has, and how long a query may take.
#[derive(Debug, Clone, Copy)]
pub struct PoolSize {
    /// The usual number.
    pub connections: usize,
    /// The largest number, while others are stuck.
    pub max_connections: usize,
    /// A connection gets this many statements before the next one gets any; 0 spreads them evenly.
    pub fill_to: usize,
    /// How long a query may take in total: waiting, retries and the answer.
    pub timeout: Duration,
}

/// A pool of shared connections; clones share them.
pub struct Pool<O>(Arc<Inner<O>>);

struct Inner<O> {
    server: Server,
    statements: &'static [&'static Sql],
    size: PoolSize,
    observer: O,
    places: Mutex<Places>,
    waiting: AtomicUsize,
    changed: Notify,
    /// Queries that still run although their caller dropped them.
    detached: TaskTracker,
}

#[derive(Default)]
struct Places {
    connections: Vec<Option<Arc<Connection>>>,
    is_closed: bool,
}

/// Why a place no longer has a connection.
enum Ended {
    NotOpened,
    /// The server or the network ended it.
    Broken,
    /// The pool ended it, because it was useless or not needed.
    Dropped,
}

enum Choice {
    Ticket(Ticket),
    Full,
    NoneFree,
}

impl<O: Observer> Pool<O> {
    /// Creates a pool without connections.
    ///
    /// Each connection prepares the `statements`; others are parsed each time.
    #[must_use]
    pub fn new(
        server: Server,
        statements: &'static [&'static Sql],
        size: PoolSize,
        observer: O,
    ) -> Self {
        Self(Arc::new(Inner {
            server,
            statements,
            size,
            observer,
            places: Mutex::default(),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
            detached: TaskTracker::new(),
        }))
    }

    /// Starts to connect in the background; does nothing if it was called before.
    pub fn start(&self) {
        let mut places = self.0.lock();
        while places.connections.len() < self.0.size.connections {
            self.add_place(&mut places);
        }
    }

    /// Waits until a connection is up, but at most this long.
    pub async fn wait_until_connected(&self, limit: Duration) {
        // If there is no connection by then, the next query fails and reports it.
        let _ = self.wait_for_ticket(Instant::now() + limit).await;
    }

    /// Waits for the queries whose callers dropped them, then closes every connection for good.
    pub async fn close(&self) {
        self.0.detached.close();
        self.0.detached.wait().await;
        let mut places = self.0.lock();
        places.is_closed = true;
        places.connections.iter().flatten().for_each(|connection| connection.end());
        drop(places);
        self.0.changed.notify_waiters();
    }

    /// Executes a query, to completion even if the caller drops this future.
    ///
    /// If the connection fails meanwhile, the query is sent again, so every statement must be safe
    /// to repeat. It is sent at most once more than there are connections: all of them may have
    /// failed together, which is noticed one by one.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn query(&self, query: Query) -> Result<Vec<Row>, Error> {
        let pool = self.clone();
        let run = async move {
            let until = Instant::now() + pool.0.size.timeout;
            for _ in 0..pool.0.size.max_connections {
                match pool.attempt(&query, until).await {
                    Err(error) if error.ends_connection() => {}
                    done => return done,
                }
            }
            pool.attempt(&query, until).await
        };
        let answer = DetachOnDrop::new(run, &self.0.detached).await;
        if let Err(error) = &answer {
            self.0.observer.failed(error);
        }
        answer
    }

    /// Executes a query and returns its first row, `None` if it has none.
    ///
    /// # Errors
    ///
    /// As [`Pool::query`].
    pub async fn query_first(&self, query: Query) -> Result<Option<Row>, Error> {
        Ok(self.query(query).await?.into_iter().next())
    }

    /// Executes a query that must return a row, and returns the first.
    ///
    /// # Errors
    ///
    /// As [`Pool::query`], and [`Error::NoRow`].
    pub async fn query_one(&self, query: Query) -> Result<Row, Error> {
        self.query_first(query).await?.ok_or(Error::NoRow)
    }

    async fn attempt(&self, query: &Query, until: Instant) -> Result<Vec<Row>, Error> {
        let ticket = self.ticket(until).await?;
        let left = until.saturating_duration_since(Instant::now());
        if left < MIN_TIME_TO_SEND {
            return Err(Error::NoConnection(self.0.size.timeout));
        }
        let answer = ticket.send(query, left).await;
        drop(ticket);
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.0.changed.notify_waiters();
        }
        answer
    }

    /// Reserves a statement on the least loaded connection, and waits for one if all are stuck.
    async fn ticket(&self, until: Instant) -> Result<Ticket, Error> {
        match self.choose()? {
            Choice::Ticket(ticket) => Ok(ticket),
            Choice::Full => Err(Error::TooMany),
            Choice::NoneFree => {
                if self.0.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
                    self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Err(Error::TooMany);
                }
                let ticket = self.wait_for_ticket(until).await;
                self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                ticket
            }
        }
    }

    async fn wait_for_ticket(&self, until: Instant) -> Result<Ticket, Error> {
        loop {
            let changed = self.0.changed.notified();
            match self.choose()? {
                Choice::Ticket(ticket) => return Ok(ticket),
                Choice::Full => return Err(Error::TooMany),
                Choice::NoneFree => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left < MIN_TIME_TO_SEND {
                return Err(Error::NoConnection(self.0.size.timeout));
            }
            // A stuck connection becomes usable without a notification, hence the time limit.
            let _ = tokio::time::timeout(STUCK_POLL_INTERVAL, changed).await;
        }
    }

    fn choose(&self) -> Result<Choice, Error> {
        let mut places = self.0.lock();
        if places.is_closed {
            return Err(Error::Closed);
        }
        let connections = places.connections.iter().flatten();
        let loads = connections.map(|it| (it.load(self.0.size.fill_to), it));
        match loads.min_by_key(|(load, _)| *load) {
            Some((Load::BelowTarget | Load::Busy(_), connection)) => {
                return Ok(Choice::Ticket(connection.ticket()));
            }
            Some((Load::Full, _)) => return Ok(Choice::Full),
            Some((Load::Stuck, _)) | None => {}
        }
        if places.are_all_up() && places.connections.len() < self.0.size.max_connections {
            self.add_place(&mut places);
        }
        Ok(Choice::NoneFree)
    }

    fn add_place(&self, places: &mut Places) {
        let place = places.connections.len();
        places.connections.push(None);
        tokio::spawn(Arc::clone(&self.0).keep_up(place));
    }
}

impl Places {
    fn are_all_up(&self) -> bool {
        let is_up = |it: &Option<Arc<Connection>>| it.as_ref().is_some_and(|it| !it.is_ended());
        self.connections.iter().all(is_up)
    }
}

impl<O: Observer> Inner<O> {
    /// Keeps a connection up in one place until the pool is closed.
    async fn keep_up(self: Arc<Self>, place: usize) {
        let mut delay = Duration::ZERO;
        while !self.lock().is_closed {
            pause(delay).await;
            let started = Instant::now();
            // A separate task, so that a panic ends only this connection.
            let held = tokio::spawn(Arc::clone(&self).hold_connection(place)).await;
            let ended = held.unwrap_or_else(|_| {
                self.put(place, None);
                Ended::Dropped
            });
            let was_short = started.elapsed() < MIN_LIFE;
            delay = match ended {
                Ended::NotOpened => longer(delay),
                Ended::Dropped if was_short => longer(delay),
                // What ended this connection may end the next one.
                Ended::Broken if was_short => MIN_PAUSE,
                Ended::Broken | Ended::Dropped => Duration::ZERO,
            };
            if self.removes(place) {
                return;
            }
        }
    }

    /// Removes `place` if it is the last and beyond the usual number; returns whether it did.
    fn removes(&self, place: usize) -> bool {
        let mut places = self.lock();
        let is_spare = place >= self.size.connections && place + 1 == places.connections.len();
        if is_spare {
            places.connections.pop();
        }
        is_spare
    }

    /// Opens a connection, offers it in its place, and withdraws it when it has ended.
    async fn hold_connection(self: Arc<Self>, place: usize) -> Ended {
        let (connection, driver) = match Connection::open(&self.server, self.statements).await {
            Ok(opened) => opened,
            Err(error) => {
                self.observer.not_opened(&error);
                return Ended::NotOpened;
            }
        };
        let connection = Arc::new(connection);
        self.put(place, Some(Arc::clone(&connection)));
        self.observer.opened();
        let (ended, is_lost) = tokio::select! {
            ended = connection.drive(driver) => (ended, true),
            () = self.until_spare(place, &connection) => (Ok(()), false),
        };
        self.observer.closed();
        self.put(place, None);
        if is_lost && !self.lock().is_closed {
            self.observer.lost(ended.as_ref().err());
        }
        if ended.is_ok() { Ended::Dropped } else { Ended::Broken }
    }

    /// Waits until a connection beyond the usual number has been idle, and withdraws it.
    ///
    /// Never returns for a usual connection.
    async fn until_spare(&self, place: usize, connection: &Connection) {
        if place < self.size.connections {
            std::future::pending::<()>().await;
        }
        let mut idle_since = Instant::now();
        loop {
            pause(IDLE_POLL_INTERVAL).await;
            // While this lock is held, no caller can choose the connection.
            let mut places = self.lock();
            if !connection.is_idle() {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= SPARE_IDLE {
                if let Some(slot) = places.connections.get_mut(place) {
                    *slot = None;
                }
                connection.end();
                return;
            }
        }
    }
}

impl<O> Inner<O> {
    fn put(&self, place: usize, connection: Option<Arc<Connection>>) {
        let mut places = self.lock();
        if let Some(connection) = connection.as_ref().filter(|_| places.is_closed) {
            connection.end();
        }
        if let Some(slot) = places.connections.get_mut(place) {
            *slot = connection;
        }
        drop(places);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubles a pause up to a limit, less a random part so that places do not synchronize.
fn longer(pause: Duration) -> Duration {
    let longest = (pause * 2).clamp(MIN_PAUSE, MAX_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl<O> Clone for Pool<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O> fmt::Debug for Pool<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("size", &self.0.size).finish_non_exhaustive()
    }
}

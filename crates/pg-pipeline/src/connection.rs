//! One connection: its prepared statements, and the statements in flight.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::{Client, Row};

use crate::attempts::{Phase, Progress, race};
use crate::{Driver, Error, NewConnection, Prepared, Query, Server, Sql, StatementNames};

/// A connection whose oldest statement has waited longer gets no new statements.
const STUCK_AFTER: Duration = Duration::from_millis(250);

/// The timeout of a request to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum number of statements in flight on one connection.
///
/// The library's own queue has no limit.
const MAX_UNDER_WAY: usize = 1024;

/// An open connection.
pub(crate) struct Connection {
    client: Client,
    prepared: Prepared,
    /// For cancelling, which needs another connection to the same address.
    server: Server,
    address: SocketAddr,
    /// When each statement in flight was sent, oldest first.
    under_way: Mutex<VecDeque<(u64, Instant)>>,
    /// Whether several callers waited when the last statement was sent.
    is_shared: AtomicBool,
    is_ended: AtomicBool,
    end: Notify,
}

/// A statement in flight, until this is dropped.
pub(crate) struct Ticket {
    connection: Arc<Connection>,
    number: u64,
}

/// How busy a connection is; the least loaded one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// It has fewer statements than its target.
    BelowTarget,
    /// It has this many statements, and accepts more.
    Busy(usize),
    /// It has as many statements as it may have.
    Full,
    /// Its oldest statement has waited too long, or it has ended.
    Stuck,
}

impl Connection {
    /// Connects and prepares the statements; [`Connection::drive`] must run for it to work.
    pub(crate) async fn open(
        server: &Server,
        statements: &'static [&'static Sql],
    ) -> Result<(Self, Driver), Error> {
        race(|progress| {
            let server = server.clone();
            async move { Self::attempt(server, statements, &progress).await }
        })
        .await
    }

    async fn attempt(
        server: Server,
        statements: &[&'static Sql],
        progress: &Progress,
    ) -> Result<(Self, Driver), Error> {
        let NewConnection { client, mut driver, address } = server.connect_once(progress).await?;
        progress.begin(Phase::Preparing);
        let prepared = match server.statement_names {
            StatementNames::Named => tokio::select! {
                prepared = Prepared::new(&client, statements) => prepared?,
                ended = &mut driver => return Err(ended.err().map_or(Error::Closed, Error::from)),
            },
            StatementNames::Unnamed => Prepared::default(),
        };
        let connection = Self {
            client,
            prepared,
            server,
            address,
            under_way: Mutex::default(),
            is_shared: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            end: Notify::new(),
        };
        Ok((connection, driver))
    }

    /// Transfers the connection's bytes until it breaks or is ended.
    pub(crate) async fn drive(&self, driver: Driver) -> Result<(), Error> {
        let batching = Batching { driver, connection: self, has_yielded: false };
        let ended = tokio::select! {
            ended = batching => ended.map_err(Error::from),
            () = self.end.notified() => Ok(()),
        };
        self.is_ended.store(true, Ordering::Release);
        ended
    }

    /// Closes the connection; its statements in flight fail.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.end.notify_one();
    }

    /// Returns how busy it is; `fill_to` is its target number of statements.
    pub(crate) fn load(&self, fill_to: usize) -> Load {
        if self.is_ended() {
            return Load::Stuck;
        }
        let under_way = self.lock();
        match under_way.front() {
            Some((_, sent)) if sent.elapsed() > STUCK_AFTER => Load::Stuck,
            _ if under_way.len() >= MAX_UNDER_WAY => Load::Full,
            _ if under_way.len() < fill_to => Load::BelowTarget,
            _ => Load::Busy(under_way.len()),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire) || self.client.is_closed()
    }

    /// Counts a statement that is about to be sent.
    pub(crate) fn ticket(self: &Arc<Self>) -> Ticket {
        let mut under_way = self.lock();
        let number = under_way.back().map_or(0, |(number, _)| number + 1);
        under_way.push_back((number, Instant::now()));
        drop(under_way);
        Ticket { connection: Arc::clone(self), number }
    }

    /// Cancels the running statement in the background, and closes the connection.
    fn abandon(&self) {
        let (token, server, address) =
            (self.client.cancel_token(), self.server.clone(), self.address);
        tokio::spawn(tokio::time::timeout(CANCEL_TIMEOUT, async move {
            server.cancel(&token, address).await
        }));
        self.end();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A driver that, while several callers wait, lets other ready tasks run before each poll.
///
/// Their statements are then sent together: a write to the socket for each one would cost more than
/// the rest of a request. A single caller would only wait for another thread to wake up.
struct Batching<'a> {
    driver: Driver,
    connection: &'a Connection,
    has_yielded: bool,
}

impl Future for Batching<'_> {
    type Output = Result<(), tokio_postgres::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.has_yielded = !self.has_yielded && self.connection.is_shared.load(Ordering::Relaxed);
        if self.has_yielded {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.driver).poll(context)
    }
}

impl Ticket {
    /// Sends the statement and waits for its rows.
    ///
    /// Without an answer within `limit` the statement is cancelled and the connection closed.
    pub(crate) async fn send(&self, query: &Query, limit: Duration) -> Result<Vec<Row>, Error> {
        let connection = &self.connection;
        let is_shared = query.callers > 1 || connection.lock().len() > 1;
        connection.is_shared.store(is_shared, Ordering::Relaxed);
        let answer = query.send(&connection.client, &connection.prepared);
        let Ok(answer) = tokio::time::timeout(limit, answer).await else {
            connection.abandon();
            return Err(Error::NoAnswer(limit));
        };
        let answer = answer.map_err(Error::from);
        if answer.as_ref().is_err_and(Error::ends_connection) {
            connection.end();
        }
        answer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut under_way = self.connection.lock();
        if let Some(at) = under_way.iter().position(|(number, _)| *number == self.number) {
            under_way.remove(at);
        }
    }
}

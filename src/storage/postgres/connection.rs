//! One connection to PostgreSQL, with its settings, its statements and what is under way on it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::error::PostgresError;
use super::making::{Progress, Step, make};
use super::server::{Driver, Made, Server};
use super::statements::{Prepared, Sql, Statements};
use crate::config::StatementNames;

/// A connection whose oldest statement waits for longer than this gets no new ones.
const SLOW: Duration = Duration::from_millis(250);

/// How long asking for a statement to be cancelled may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The most statements under way on one connection: the library's own queue has no limit.
const MOST_UNDER_WAY: usize = 1024;

pub(super) type Parameter = Box<dyn ToSql + Send + Sync>;

/// A statement with its parameters, ready to be sent, and sent again.
pub(super) struct Call {
    statement: Source,
    parameters: Vec<Parameter>,
    /// How many wait for its rows.
    requests: usize,
}

/// Where a call takes its statement from.
enum Source {
    /// Prepared on each connection.
    Prepared(fn(&Statements) -> &Prepared),
    /// Parsed each time.
    Once(&'static Sql),
}

impl Call {
    /// A statement that one request waits for.
    pub(super) fn new(statement: fn(&Statements) -> &Prepared, parameters: Vec<Parameter>) -> Self {
        Self { statement: Source::Prepared(statement), parameters, requests: 1 }
    }

    /// A statement that is too rare to be prepared.
    pub(super) fn once(sql: &'static Sql, parameters: Vec<Parameter>) -> Self {
        Self { statement: Source::Once(sql), parameters, requests: 1 }
    }

    /// The same, for so many requests at once.
    pub(super) fn of(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    async fn query(
        &self,
        Session { client, statements, .. }: &Session,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let (sql, statement) = match self.statement {
            Source::Prepared(of) => (of(statements).sql, of(statements).statement.as_ref()),
            Source::Once(sql) => (sql, None),
        };
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|parameter| &**parameter as &(dyn ToSql + Sync));
        if let Some(statement) = statement {
            return client.query(statement, &parameters.collect::<Vec<_>>()).await;
        }
        let typed = parameters.zip(sql.types.iter().cloned()).collect::<Vec<_>>();
        client.query_typed(sql.text, &typed).await
    }
}

/// A connection that is up.
pub(super) struct Session {
    client: Client,
    statements: Statements,
    /// For cancelling, which takes a connection of its own.
    server: Server,
    address: SocketAddr,
    /// When each statement under way was sent, oldest first.
    under_way: Mutex<VecDeque<(u64, Instant)>>,
    /// Whether several requests waited for what was under way when a statement was sent last.
    is_shared: AtomicBool,
    is_ended: AtomicBool,
    end: Notify,
}

/// A statement under way; it counts until this is dropped.
pub(super) struct Ticket {
    session: Arc<Session>,
    number: u64,
}

/// Whether a connection can take another statement; the least is the one to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Gladly: it is not filled up yet.
    Welcome,
    /// Yes; so many are under way.
    Free(usize),
    /// As many are under way as may be.
    Full,
    /// The oldest has waited for long, or the connection has ended.
    Stuck,
}

impl Session {
    /// Connects and prepares every statement; the driver is to be run with [`Session::drive`].
    pub(super) async fn open(server: &Server) -> Result<(Self, Driver), PostgresError> {
        make(|progress| {
            let server = server.clone();
            async move { Self::open_and_prepare(server, &progress).await }
        })
        .await
    }

    async fn open_and_prepare(
        server: Server,
        progress: &Progress,
    ) -> Result<(Self, Driver), PostgresError> {
        let Made { client, mut driver, address } = server.connect_once(progress).await?;
        progress.begin(Step::Preparing);
        let is_named = server.statements == StatementNames::Named;
        // Boxed, since preparing so many statements at once takes much room.
        let statements = Box::pin(Statements::prepare(is_named.then_some(&client)));
        let statements = tokio::select! {
            statements = statements => statements?,
            ended = &mut driver => {
                return Err(ended.err().map_or(PostgresError::Closed, PostgresError::from));
            }
        };
        let session = Self {
            client,
            statements,
            server,
            address,
            under_way: Mutex::default(),
            is_shared: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            end: Notify::new(),
        };
        Ok((session, driver))
    }

    /// Moves the connection's bytes until it breaks or is ended.
    pub(super) async fn drive(&self, driver: Driver) -> Result<(), PostgresError> {
        let gathering = Gathering { driver, session: self, has_waited: false };
        let ended = tokio::select! {
            ended = gathering => ended.map_err(PostgresError::from),
            () = self.end.notified() => Ok(()),
        };
        self.is_ended.store(true, Ordering::Release);
        ended
    }

    /// Has the connection closed; what is under way on it fails.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.end.notify_one();
    }

    /// Below `fill_to` statements it is filled before others.
    pub(super) fn room(&self, fill_to: usize) -> Room {
        if self.is_ended() {
            return Room::Stuck;
        }
        let under_way = self.lock();
        match under_way.front() {
            Some((_, sent)) if sent.elapsed() > SLOW => Room::Stuck,
            _ if under_way.len() >= MOST_UNDER_WAY => Room::Full,
            _ if under_way.len() < fill_to => Room::Welcome,
            _ => Room::Free(under_way.len()),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire) || self.client.is_closed()
    }

    /// Counts a statement that is about to be sent.
    pub(super) fn ticket(self: &Arc<Self>) -> Ticket {
        let mut under_way = self.lock();
        let number = under_way.back().map_or(0, |(number, _)| number + 1);
        under_way.push_back((number, Instant::now()));
        drop(under_way);
        Ticket { session: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where several requests wait, lets everybody else who is ready go first, so that their statements
/// are sent together: a write to the server for each would cost more than the rest of a request. One
/// that is alone would only wait for another thread to wake up.
struct Gathering<'a> {
    driver: Driver,
    session: &'a Session,
    has_waited: bool,
}

impl Future for Gathering<'_> {
    type Output = Result<(), tokio_postgres::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.has_waited = !self.has_waited && self.session.is_shared.load(Ordering::Relaxed);
        if self.has_waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.driver).poll(context)
    }
}

impl Ticket {
    /// Sends the statement and waits for its rows.
    ///
    /// A statement that gets no answer in time is cancelled, and its connection closed.
    pub(super) async fn send(
        &self,
        call: &Call,
        limit: Duration,
    ) -> Result<Vec<Row>, PostgresError> {
        let session = &self.session;
        let is_shared = call.requests > 1 || session.lock().len() > 1;
        session.is_shared.store(is_shared, Ordering::Relaxed);
        let answer = call.query(session);
        let Ok(answer) = tokio::time::timeout(limit, answer).await else {
            let cancel = session.client.cancel_token();
            let (server, address) = (session.server.clone(), session.address);
            tokio::spawn(tokio::time::timeout(CANCEL_TIMEOUT, async move {
                server.cancel(&cancel, address).await
            }));
            session.end();
            return Err(PostgresError::NoAnswer(limit));
        };
        let answer = answer.map_err(PostgresError::from);
        if answer.as_ref().is_err_and(PostgresError::is_end_of_connection) {
            session.end();
        }
        answer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut under_way = self.session.lock();
        if let Some(at) = under_way.iter().position(|(number, _)| *number == self.number) {
            under_way.remove(at);
        }
    }
}

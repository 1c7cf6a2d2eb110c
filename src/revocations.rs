//! Tokens that a newer Python service alongside this one has revoked: by signing out, or by a new
//! password.
//!
//! That service leaves marks in Redis. This module keeps them in memory, so that checking a token takes
//! no round trip: Redis reports each mark that it gets, and all marks are read at startup and after
//! a lost connection. During an outage, the marks that are known count. This module must not depend
//! on HTTP, nor on how tokens are signed.

mod marks;
mod source;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::interval;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clock;
use crate::config::RedisConfig;
use crate::expiring::ExpiringError;
use crate::metrics::{Metrics, RevokedBy};
use crate::outage::{self, Outage};
use crate::panics;
use crate::telemetry::chain;
use marks::{Marks, TokenId};
use source::{Source, SourceError, Tracked};

pub(crate) use source::{TOKEN_PREFIX, USER_PREFIX};

/// The maximum number of marks in memory, which take at most about 70 MB.
const MOST_MARKS: usize = 1_000_000;

/// How often the connection is checked: a cut connection may otherwise seem idle.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How often expired marks are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long a start waits for Redis before it continues without the marks.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before connecting again, so that a server that closes each connection is not flooded.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// The marks of the Python service.
pub struct Revocations {
    marks: Marks,
    source: Source,
    progress: watch::Sender<Progress>,
    outage: Outage,
    unreadable_is_logged: AtomicBool,
    excess_is_logged: AtomicBool,
    metrics: Arc<Metrics>,
}

/// How far the first complete read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Redis is unavailable, or no connection was attempted yet.
    Unavailable,
    Reading,
    /// All marks have been read once; this is final.
    Read,
}

impl Revocations {
    /// Stores the server's address; [`Self::watch`] connects.
    ///
    /// # Errors
    ///
    /// If the library can't use the URL.
    pub fn new(config: &RedisConfig, metrics: Arc<Metrics>) -> Result<Self, ExpiringError> {
        metrics.revocation_tracking_up.set(0);
        Ok(Self {
            marks: Marks::new(MOST_MARKS, Instant::now()),
            source: Source::new(config)?,
            progress: watch::Sender::new(Progress::Unavailable),
            outage: Outage::default(),
            unreadable_is_logged: AtomicBool::new(false),
            excess_is_logged: AtomicBool::new(false),
            metrics,
        })
    }

    /// Whether the token with these claims is revoked.
    ///
    /// `issued_at` is its `iat` in whole seconds, and `jti` its id. A token without `iat` is older than
    /// any change of a password.
    #[must_use]
    pub fn is_revoked(&self, user_id: Uuid, issued_at: Option<i64>, jti: Option<&str>) -> bool {
        let token = jti.map(|jti| TokenId::of(jti.as_bytes()));
        self.marks.is_revoked(user_id, issued_at, token)
    }

    /// Waits until the marks have been read once.
    ///
    /// Logs a warning and returns if Redis is unavailable for 5 s.
    pub async fn until_read(&self) {
        let (mut read, mut unavailable) = (self.progress.subscribe(), self.progress.subscribe());
        let is_unavailable = async {
            clock::pause(PATIENCE).await;
            unavailable.wait_for(|progress| *progress == Progress::Unavailable).await.is_ok()
        };
        tokio::select! {
            _ = read.wait_for(|progress| *progress == Progress::Read) => {}
            _ = is_unavailable => {
                warn!("⚠️ Starting without the list of tokens that the Python service revoked: Redis is unavailable");
            }
        }
    }

    /// Reads all marks once.
    ///
    /// # Errors
    ///
    /// If Redis can't be used.
    pub(crate) async fn read_once(&self) -> Result<(), SourceError> {
        self.read_all().await.map(drop)
    }

    /// Keeps the marks up to date; never returns.
    pub async fn watch(&self) {
        loop {
            // The panic has been logged. Everything is read again, as after a lost connection.
            let _ = panics::catch_in(self.follow_connections()).await;
            self.metrics.revocation_tracking_up.set(0);
            clock::pause(RECONNECT_PAUSE).await;
        }
    }

    async fn follow_connections(&self) {
        loop {
            let tracked =
                outage::retry(|| self.read_all(), |_, problem| self.report(problem)).await;
            self.outage.ends();
            self.metrics.revocation_tracking_up.set(1);
            info!(
                marks = self.marks.len(),
                "🔴 Loaded the list of tokens that the Python service revoked"
            );
            let Err(lost) = self.follow(tracked).await;
            self.metrics.revocation_tracking_up.set(0);
            self.report(&chain(&lost));
            clock::pause(RECONNECT_PAUSE).await;
        }
    }

    /// Logs the first problem of an outage.
    fn report(&self, error: &str) {
        if self.outage.begins() {
            warn!(
                error,
                "⚠️ Redis is unavailable: newly revoked tokens of the Python service are still accepted"
            );
        }
    }

    /// Connects and reads all marks.
    async fn read_all(&self) -> Result<Tracked, SourceError> {
        let mut tracked = self.source.track().await?;
        self.advance(Progress::Reading);
        let read = self.scan(&mut tracked).await;
        self.advance(if read.is_ok() { Progress::Read } else { Progress::Unavailable });
        read.map(|()| tracked)
    }

    /// Reads all marks, page by page, and those that change meanwhile.
    async fn scan(&self, tracked: &mut Tracked) -> Result<(), SourceError> {
        let mut cursor = 0;
        loop {
            let (next, mut keys) = self.source.scan(tracked, cursor).await?;
            keys.extend(tracked.changed_meanwhile()?);
            self.read(tracked, &keys).await?;
            cursor = next;
            if cursor == 0 {
                self.metrics.revocation_reads.inc();
                return Ok(());
            }
        }
    }

    fn advance(&self, to: Progress) {
        self.progress.send_if_modified(|progress| {
            let is_final = *progress == Progress::Read;
            if !is_final {
                *progress = to;
            }
            !is_final
        });
    }

    /// Reads each mark that changes, until the connection is lost.
    async fn follow(&self, mut tracked: Tracked) -> Result<Infallible, SourceError> {
        let (mut pings, mut sweeps) = (interval(PING_INTERVAL), interval(SWEEP_INTERVAL));
        loop {
            tokio::select! {
                changed = tracked.changed() => self.read(&tracked, &changed?).await?,
                _ = pings.tick() => tracked.ping().await?,
                _ = sweeps.tick() => {
                    self.marks.sweep(Instant::now());
                    self.count();
                }
            }
        }
    }

    async fn read(&self, tracked: &Tracked, keys: &[Vec<u8>]) -> Result<(), SourceError> {
        for keys in keys.chunks(source::PAGE) {
            let found = self.source.read(tracked, keys).await?;
            if found.unreadable > 0 && !self.unreadable_is_logged.swap(true, Ordering::Relaxed) {
                warn!("⚠️ Redis has a password_changed mark that can't be read: it is ignored");
            }
            let excess = self.marks.keep(&found.marks, Instant::now());
            if excess && !self.excess_is_logged.swap(true, Ordering::Relaxed) {
                let limit = MOST_MARKS;
                warn!(
                    limit,
                    "⚠️ Too many revoked tokens: keeping those that expire last, and accepting the others"
                );
            }
        }
        self.count();
        Ok(())
    }

    fn count(&self) {
        let (tokens, users) = self.marks.count();
        for (by, marks) in [(RevokedBy::Token, tokens), (RevokedBy::User, users)] {
            let marks = i64::try_from(marks).unwrap_or(i64::MAX);
            self.metrics.revocation_marks.get_or_create(&by).set(marks);
        }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("marks", &self.marks.len()).finish_non_exhaustive()
    }
}

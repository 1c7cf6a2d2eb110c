//! What one connection does: nothing yet, a request, its answer, or nothing any more.
//!
//! The connection's own task says so, and whoever counts connections looks: without a lock, since
//! it is on the way of every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::http::WaitsForClient;

/// Who keeps us waiting for less goes after all who do so for longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who has come has so long to say what it wants. In a crowd others wait to be let in for that.
pub(super) const WELCOME: Duration = Duration::from_millis(50);

/// It has just come, and nothing began on it yet.
const NEW: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
/// Its answer is there, and the client has not been sent all of it.
const ANSWERED: u8 = 3;
/// A piece of its answer is being sent, and the next piece waits for that.
const PIECE: u8 = 4;
/// Something of its next request has come, as nobody has noted the time of yet.
const HEAD: u8 = 5;
/// The same, and the time was noted.
const DATED_HEAD: u8 = 6;

/// What one connection does, which takes one request after another; clones share it.
#[derive(Clone)]
pub(in crate::server) struct Activity(Arc<Shared>);

struct Shared {
    state: AtomicU8,
    /// When something last came of it, in microseconds since `begun`.
    moved_at: AtomicU64,
    waits: WaitsForClient,
    begun: Instant,
    /// Whether it has to end as soon as nothing is under way.
    has_to_end: AtomicBool,
    is_full: Arc<AtomicBool>,
}

/// A request under way, until it is dropped.
pub(in crate::server) struct Busy(Activity);

/// When a connection that is asked to end does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum End {
    /// After the request under way, or the first one where its head has begun.
    Gently,
    /// At once, unless a request or its answer is under way.
    IfIdle,
    /// At once, unless one is under way that does not wait for its client.
    ForRoom,
}

/// How soon a connection makes room; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Idle,
    /// Its client keeps a request or an answer waiting.
    Slow,
    /// It is idle or slow, but has been so for less than [`PATIENCE`].
    Shortly,
    /// It came less than [`WELCOME`] ago and has not asked for anything yet: it stays.
    Welcome,
}

impl Activity {
    /// Nothing yet; `begun` is any moment before, `is_full` whether connections have to go.
    pub(in crate::server) fn nothing(begun: Instant, is_full: Arc<AtomicBool>) -> Self {
        let (moved_at, waits, has_to_end) = Default::default();
        let shared = Shared { state: NEW.into(), moved_at, waits, begun, has_to_end, is_full };
        let doing = Self(Arc::new(shared));
        doing.note_move();
        doing
    }

    /// Begins a request.
    pub(in crate::server) fn begin(&self, now: Instant) -> Busy {
        self.note_move_at(now);
        self.set(BUSY);
        Busy(self.clone())
    }

    /// Something has come from the client. Without a time, since this is on the way of every
    /// request: [`Self::date_head`] notes it.
    pub(in crate::server) fn has_read(&self) {
        if self.state() == IDLE {
            self.set(HEAD);
        }
    }

    /// Notes the time of a head that has begun since this was called last.
    pub(super) fn date_head(&self, now: Instant) {
        let ordering = (Ordering::AcqRel, Ordering::Relaxed);
        let dated = self.0.state.compare_exchange(HEAD, DATED_HEAD, ordering.0, ordering.1);
        if dated.is_ok() {
            self.note_move_at(now);
        }
    }

    /// Whether it has had a request, and nothing of the next one has come.
    pub(super) fn waits_for_a_request(&self) -> bool {
        self.state() == IDLE
    }

    /// Everything that was handed over has been sent; whether the next piece may follow.
    pub(in crate::server) fn flushed(&self) -> bool {
        match self.state() {
            ANSWERED => self.set(IDLE),
            PIECE => {
                self.set(ANSWERED);
                return true;
            }
            _ => {}
        }
        false
    }

    /// A piece of an answer is handed over.
    pub(in crate::server) fn begin_a_piece(&self) {
        self.set(PIECE);
    }

    /// Whether such a piece has not been sent yet.
    pub(in crate::server) fn sends_a_piece(&self) -> bool {
        self.state() == PIECE
    }

    /// The client has taken some of an answer.
    pub(in crate::server) fn note_move(&self) {
        self.note_move_at(Instant::now());
    }

    pub(super) fn note_move_at(&self, now: Instant) {
        let since_begun = now.saturating_duration_since(self.0.begun).as_micros();
        let since_begun = u64::try_from(since_begun).unwrap_or(u64::MAX);
        self.0.moved_at.store(since_begun, Ordering::Relaxed);
    }

    /// What the request says itself about it.
    pub(in crate::server) fn waits(&self) -> WaitsForClient {
        self.0.waits.clone()
    }

    /// How soon it makes room, and since when nothing came of it; `None` where a request is under
    /// way that does not wait for its client.
    pub(super) fn rank(&self, now: Instant) -> Option<(Rank, Instant)> {
        let moved_at = self.moved_at();
        let quiet_for = now.saturating_duration_since(moved_at);
        let rank = match self.state() {
            BUSY if !self.0.waits.now() => return None,
            NEW if quiet_for < WELCOME => Rank::Welcome,
            _ if quiet_for < PATIENCE => Rank::Shortly,
            BUSY | ANSWERED | PIECE => Rank::Slow,
            _ => Rank::Idle,
        };
        Some((rank, moved_at))
    }

    /// For how long nothing came of it; `None` where a request is under way.
    pub(super) fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let is_quiet = self.state() != BUSY;
        is_quiet.then(|| now.saturating_duration_since(self.moved_at()))
    }

    /// Whether neither a request nor its answer is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state(), NEW | IDLE | HEAD | DATED_HEAD)
    }

    /// It has to end as soon as nothing is under way.
    pub(in crate::server) fn has_to_end(&self) {
        self.0.has_to_end.store(true, Ordering::Relaxed);
    }

    /// Whether it has to end, and nothing is under way.
    pub(in crate::server) fn ends(&self) -> bool {
        self.0.has_to_end.load(Ordering::Relaxed) && self.is_idle()
    }

    /// Whether what is under way lets it end at once.
    pub(in crate::server) fn lets(&self, end: End, now: Instant) -> bool {
        match end {
            End::Gently => false,
            End::IfIdle => self.is_idle(),
            End::ForRoom => match self.state() {
                BUSY => self.0.waits.now(),
                ANSWERED | PIECE => self.quiet_for(now).is_some_and(|time| time >= PATIENCE),
                _ => true,
            },
        }
    }

    fn moved_at(&self) -> Instant {
        self.0.begun + Duration::from_micros(self.0.moved_at.load(Ordering::Relaxed))
    }

    fn state(&self) -> u8 {
        self.0.state.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.0.state.store(state, Ordering::Release);
    }
}

impl Busy {
    /// The connection that the request came on.
    pub(in crate::server) fn doing(&self) -> &Activity {
        &self.0
    }

    /// Whether the connection ends after this request.
    pub(in crate::server) fn is_last(&self) -> bool {
        let shared = &*self.0.0;
        shared.has_to_end.load(Ordering::Relaxed) || shared.is_full.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(ANSWERED);
    }
}

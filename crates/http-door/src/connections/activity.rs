//! What one connection is doing: nothing yet, reading a request, answering it, or idling.
//!
//! The connection's own task records it and the door's task reads it, without a lock, since every
//! request passes through here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After how long without progress a client counts as slow.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// Grace period for a new connection to send its first byte before it can be evicted.
pub(super) const NEW_GRACE: Duration = Duration::from_millis(50);

/// It was just accepted, and nothing has been read.
const NEW: u8 = 0;
/// Every request was answered.
const IDLE: u8 = 1;
/// A request is being answered.
const ANSWERING: u8 = 2;
/// The answer is complete, and not yet sent.
const SENDING: u8 = 3;
/// A piece of an answer is being sent, and the next piece waits for that.
const SENDING_PIECE: u8 = 4;
/// The head of the next request has begun to arrive, at a time that is not noted yet.
const HEAD_BEGUN: u8 = 5;
/// The same, with its time noted.
const HEAD_TIMED: u8 = 6;

/// What one connection is doing; clones share it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    /// When the client last made progress, in microseconds since `epoch`.
    progress_at: AtomicU64,
    epoch: Instant,
    /// Whether the request waits for its client to send more of the body.
    is_awaiting_client: AtomicBool,
    /// Whether the connection has to close as soon as no request is in progress.
    closes_when_idle: AtomicBool,
    /// Whether the port has reached its limit.
    is_full: Arc<AtomicBool>,
}

/// A request in progress, until it is dropped.
pub(crate) struct RequestGuard(Activity);

/// When a connection that is asked to close does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseWhen {
    /// After the request in progress, or the first request if its head has begun to arrive.
    Answered,
    /// At once, unless a request or its answer is in progress.
    Idle,
    /// At once, unless a request is in progress that does not wait for its client.
    NotAnswering,
}

/// How soon a connection is evicted: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionRank {
    Idle,
    /// Its client is slow to send a request or to read an answer.
    Slow,
    /// It is idle or slow, but for less than [`SLOW_AFTER`].
    Recent,
    /// It is younger than [`NEW_GRACE`] and has sent nothing: it stays.
    New,
}

impl Activity {
    /// Creates that of a new connection; `epoch` is any moment before now.
    pub(crate) fn new(epoch: Instant, is_full: Arc<AtomicBool>) -> Self {
        let activity = Self(Arc::new(Inner {
            state: NEW.into(),
            progress_at: AtomicU64::default(),
            epoch,
            is_awaiting_client: AtomicBool::default(),
            closes_when_idle: AtomicBool::default(),
            is_full,
        }));
        activity.note_progress();
        activity
    }

    /// Begins a request.
    pub(crate) fn begin_request(&self, now: Instant) -> RequestGuard {
        self.note_progress_at(now);
        self.set(ANSWERING);
        RequestGuard(self.clone())
    }

    /// Notes that the client has sent something.
    ///
    /// Reads no clock, since every request passes here: [`Self::time_head`] does.
    pub(crate) fn note_read(&self) {
        if self.state() == IDLE {
            self.set(HEAD_BEGUN);
        }
    }

    /// Notes the time for a head that has begun to arrive since the last call.
    pub(super) fn time_head(&self, now: Instant) {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let timed = self.0.state.compare_exchange(HEAD_BEGUN, HEAD_TIMED, success, failure);
        if timed.is_ok() {
            self.note_progress_at(now);
        }
    }

    /// Whether it had a request, and nothing of the next one has arrived.
    pub(super) fn awaits_next_request(&self) -> bool {
        self.state() == IDLE
    }

    /// Notes that all output has been sent, and returns whether the next piece may follow.
    pub(crate) fn note_flushed(&self) -> bool {
        match self.state() {
            SENDING => self.set(IDLE),
            SENDING_PIECE => {
                self.set(SENDING);
                return true;
            }
            _ => {}
        }
        false
    }

    /// Notes that a piece of an answer is passed on.
    pub(crate) fn begin_piece(&self) {
        self.set(SENDING_PIECE);
    }

    /// Whether the last piece has not been sent yet.
    pub(crate) fn is_sending_piece(&self) -> bool {
        self.state() == SENDING_PIECE
    }

    /// Notes that the client has read some of an answer.
    pub(crate) fn note_progress(&self) {
        self.note_progress_at(Instant::now());
    }

    pub(super) fn note_progress_at(&self, now: Instant) {
        let since_epoch = now.saturating_duration_since(self.0.epoch).as_micros();
        let since_epoch = u64::try_from(since_epoch).unwrap_or(u64::MAX);
        self.0.progress_at.store(since_epoch, Ordering::Relaxed);
    }

    /// Notes whether the request in progress waits for its client.
    pub(crate) fn set_awaiting_client(&self, is_awaiting: bool) {
        self.0.is_awaiting_client.store(is_awaiting, Ordering::Relaxed);
    }

    /// Returns how soon it is evicted, and when it last made progress.
    ///
    /// `None` if a request is in progress that does not wait for its client.
    pub(super) fn eviction_rank(&self, now: Instant) -> Option<(EvictionRank, Instant)> {
        let progress_at = self.progress_at();
        let quiet_for = now.saturating_duration_since(progress_at);
        let rank = match self.state() {
            ANSWERING if !self.is_awaiting_client() => return None,
            NEW if quiet_for < NEW_GRACE => EvictionRank::New,
            _ if quiet_for < SLOW_AFTER => EvictionRank::Recent,
            ANSWERING | SENDING | SENDING_PIECE => EvictionRank::Slow,
            _ => EvictionRank::Idle,
        };
        Some((rank, progress_at))
    }

    /// Returns for how long it made no progress; `None` while a request is being answered.
    pub(super) fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let is_quiet = self.state() != ANSWERING;
        is_quiet.then(|| now.saturating_duration_since(self.progress_at()))
    }

    /// Whether neither a request nor its answer is in progress.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state(), NEW | IDLE | HEAD_BEGUN | HEAD_TIMED)
    }

    /// Has the connection close as soon as it is idle.
    pub(crate) fn close_when_idle(&self) {
        self.0.closes_when_idle.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has to close, and is idle.
    pub(crate) fn should_close_now(&self) -> bool {
        self.0.closes_when_idle.load(Ordering::Relaxed) && self.is_idle()
    }

    /// Whether the connection may close now.
    pub(crate) fn may_close(&self, when: CloseWhen, now: Instant) -> bool {
        match when {
            CloseWhen::Answered => false,
            CloseWhen::Idle => self.is_idle(),
            CloseWhen::NotAnswering => match self.state() {
                ANSWERING => self.is_awaiting_client(),
                SENDING | SENDING_PIECE => {
                    self.quiet_for(now).is_some_and(|time| time >= SLOW_AFTER)
                }
                _ => true,
            },
        }
    }

    fn is_awaiting_client(&self) -> bool {
        self.0.is_awaiting_client.load(Ordering::Relaxed)
    }

    fn progress_at(&self) -> Instant {
        self.0.epoch + Duration::from_micros(self.0.progress_at.load(Ordering::Relaxed))
    }

    fn state(&self) -> u8 {
        self.0.state.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.0.state.store(state, Ordering::Release);
    }
}

impl RequestGuard {
    /// The connection of the request.
    pub(crate) fn activity(&self) -> &Activity {
        &self.0
    }

    /// Whether the connection closes after this request.
    pub(crate) fn is_last(&self) -> bool {
        let inner = &*self.0.0;
        inner.closes_when_idle.load(Ordering::Relaxed) || inner.is_full.load(Ordering::Relaxed)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.set(SENDING);
    }
}

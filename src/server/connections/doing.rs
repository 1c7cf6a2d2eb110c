//! What one connection does: nothing yet, nothing any more, or a request.
//!
//! The connection's own task says so, and whoever counts connections looks: without a lock, since
//! it is on the way of every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::http::WaitsForClient;

/// Who keeps us waiting for less goes after all who do so for longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who has come has so long to say what it wants. In a crowd others wait to be let in for that.
pub(super) const WELCOME: Duration = Duration::from_millis(50);

/// It has just come, and nothing began on it yet.
const NEW: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
/// It had to end while nothing was under way: no request begins on it any more.
const CLOSED: u8 = 3;

/// What one connection does, which takes one request after another; clones share it.
#[derive(Clone)]
pub(in crate::server) struct Doing(Arc<Shared>);

struct Shared {
    state: AtomicU8,
    /// When something last came of it, in microseconds since `begun`.
    moved_at: AtomicU64,
    waits: WaitsForClient,
    begun: Instant,
}

/// A request under way, until it is dropped.
pub(in crate::server) struct Busy(Doing);

/// A request came on a connection in the moment in which it had to end.
#[derive(Debug, Error)]
#[error("the connection has to end")]
pub(in crate::server) struct Ended;

/// How soon a connection makes room; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Idle,
    /// Its client keeps a request waiting.
    Slow,
    /// One of these, and not for long.
    Shortly,
    /// It has just come, and stays for a moment.
    Welcome,
}

impl Doing {
    /// Nothing yet; `begun` is any moment before.
    pub(super) fn nothing(begun: Instant) -> Self {
        let (state, waits) = (NEW.into(), WaitsForClient::default());
        let doing = Self(Arc::new(Shared { state, moved_at: 0.into(), waits, begun }));
        doing.note_move();
        doing
    }

    /// Begins a request.
    pub(in crate::server) fn begin(&self) -> Result<Busy, Ended> {
        self.note_move();
        let begins = self.go(IDLE, BUSY) || self.go(NEW, BUSY);
        if begins { Ok(Busy(self.clone())) } else { Err(Ended) }
    }

    /// The client has taken some of an answer.
    pub(in crate::server) fn note_move(&self) {
        self.0.moved_at.store(microseconds_since(self.0.begun), Ordering::Relaxed);
    }

    /// What the request says itself about it.
    pub(in crate::server) fn waits(&self) -> WaitsForClient {
        self.0.waits.clone()
    }

    /// How soon it makes room, and since when nothing came of it; `None` where a request is under
    /// way that does not wait for its client, or where it ends already.
    pub(super) fn rank(&self, now: Instant) -> Option<(Rank, Instant)> {
        let moved_at =
            self.0.begun + Duration::from_micros(self.0.moved_at.load(Ordering::Relaxed));
        let quiet_for = now.saturating_duration_since(moved_at);
        let rank = match self.state() {
            BUSY if !self.0.waits.now() => return None,
            CLOSED => return None,
            NEW if quiet_for < WELCOME => Rank::Welcome,
            _ if quiet_for < PATIENCE => Rank::Shortly,
            BUSY => Rank::Slow,
            _ => Rank::Idle,
        };
        Some((rank, moved_at))
    }

    /// Whether it ends: nothing is under way, and no request begins any more, or one waits for its
    /// client.
    pub(super) fn make_room(&self) -> bool {
        self.end_if_idle() || self.state() == BUSY && self.0.waits.now()
    }

    /// Whether nothing is under way; no request begins any more then.
    pub(super) fn end_if_idle(&self) -> bool {
        self.go(IDLE, CLOSED) || self.go(NEW, CLOSED)
    }

    fn state(&self) -> u8 {
        self.0.state.load(Ordering::Acquire)
    }

    fn go(&self, from: u8, to: u8) -> bool {
        let gone = self.0.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        gone.is_ok()
    }

    /// As if it had done what it did last so much earlier.
    #[cfg(test)]
    pub(super) fn age(&self, by: Duration) {
        let earlier = u64::try_from(by.as_micros()).unwrap();
        self.0.moved_at.fetch_sub(earlier, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.note_move();
        self.0.go(BUSY, IDLE);
    }
}

fn microseconds_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

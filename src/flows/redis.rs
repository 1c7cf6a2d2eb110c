//! The OAuth state in Redis, for replicas that share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::record;
use super::{OAuthStates, Outcome, PendingAuthorization, STATE_LIFE, StateError, Step};
use crate::config::RedisConfig;
use crate::expiring::{RecordsError, RedisRecords};
use crate::metrics::Metrics;
use crate::telemetry::chain;

/// Before each state; other services know it, too.
pub const PREFIX: &str = "discogs:oauth:state:";

/// [`OAuthStates`] in Redis.
#[derive(Debug)]
pub struct RedisStates {
    records: RedisRecords,
    is_away: AtomicBool,
    metrics: Arc<Metrics>,
}

impl RedisStates {
    /// Names the server; the first step connects.
    ///
    /// # Errors
    ///
    /// When the URL is one that the library can't use.
    pub fn new(config: &RedisConfig, metrics: Arc<Metrics>) -> Result<Self, StateError> {
        let records = RedisRecords::new(config, PREFIX)?;
        Ok(Self { records, is_away: AtomicBool::new(false), metrics })
    }

    /// Counts what failed, and says once when Redis goes away.
    fn note<T>(&self, step: Result<T, RecordsError>) -> Result<T, StateError> {
        if let Err(error) = &step {
            self.metrics.state_store_errors.inc();
            if !self.is_away.swap(true, Ordering::Relaxed) {
                let error = chain(error);
                tracing::warn!(error, "⚠️ Redis can't be used: nobody can connect Discogs");
            }
        }
        Ok(step?)
    }

    /// Says once when it is back, which only a write tells: one that is full answers reads.
    fn note_write(&self, written: Result<(), RecordsError>) -> Result<(), StateError> {
        if written.is_ok() && self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("🔴 Redis can be used again");
        }
        self.note(written)
    }
}

#[async_trait]
impl OAuthStates for RedisStates {
    async fn ping(&self) -> Result<(), StateError> {
        self.note_write(self.records.ping().await)
    }

    async fn put(&self, pending: &PendingAuthorization) -> Result<(), StateError> {
        let state = &pending.request_token.token;
        self.note_write(self.records.put(state, &record::encode(pending), STATE_LIFE).await)
    }

    async fn step(&self, state: &str, step: Step) -> Result<Outcome, StateError> {
        let decide = |stored: Option<&[u8]>, now| record::apply(state, stored, now, &step);
        self.note(self.records.update(state, decide).await)
    }
}

impl From<RecordsError> for StateError {
    fn from(error: RecordsError) -> Self {
        Self::Unavailable(error.0)
    }
}

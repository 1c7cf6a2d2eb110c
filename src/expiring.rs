//! Keeps short-lived records: pending flows and request counts.
//!
//! A record store reads a record together with its own clock's time, asks a pure function for the
//! change, and writes that only if nothing changed meanwhile. This module must not depend on what
//! the records mean.
//!
//! To add a kind of record, add a module like `flows`: pure functions over a record, and a prefix
//! for its keys. `server/stores.rs` picks its record store.

mod error;
mod memory;
mod redis;
mod sqlite;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;

pub use self::error::ExpiringError;
pub(crate) use self::error::RedisFailure;
pub use self::memory::MemoryRecords;
pub use self::redis::RedisRecords;
pub(crate) use self::redis::client as redis_client;
pub use self::sqlite::SqliteRecords;

/// A record as it is stored; `None` if there is none.
pub type Stored = Option<Vec<u8>>;

/// The change to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing is written.
    Nothing,
    /// The record is replaced and expires when it would have.
    Replace(String),
    /// The record is replaced and expires after this long.
    Renew(String, Duration),
    /// The record is removed.
    Delete,
}

/// Decides the changes to records, in the order of their keys; may be called repeatedly.
pub type Decide = Arc<dyn Fn(&[Stored], Timestamp) -> Vec<Change> + Send + Sync>;

/// Keeps records that expire, by key.
#[async_trait]
pub trait Expiring: Debug + Send + Sync {
    /// Succeeds if records can be read and written now.
    async fn ping(&self) -> Result<(), ExpiringError>;

    /// Writes a record that expires after `life`, replacing any other.
    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError>;

    /// Writes what `decide` returns for the records under `keys`, atomically.
    ///
    /// After an error, either all or nothing may have been written.
    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError>;
}

impl dyn Expiring {
    /// Writes what `decide` returns for one record, and returns its outcome.
    ///
    /// # Errors
    ///
    /// See [`Expiring::replace`].
    pub async fn update<T: Send + 'static>(
        &self,
        key: &str,
        decide: impl Fn(Option<&[u8]>, Timestamp) -> (Change, T) + Send + Sync + 'static,
    ) -> Result<T, ExpiringError> {
        let decide = move |stored: &[Stored], now| {
            let (write, outcome) = decide(stored.first().and_then(Option::as_deref), now);
            (vec![write], outcome)
        };
        self.update_all(&[key.to_owned()], decide).await
    }

    /// Writes what `decide` returns for several records, all or none.
    ///
    /// # Errors
    ///
    /// See [`Expiring::replace`].
    pub async fn update_all<T: Send + 'static>(
        &self,
        keys: &[String],
        decide: impl Fn(&[Stored], Timestamp) -> (Vec<Change>, T) + Send + Sync + 'static,
    ) -> Result<T, ExpiringError> {
        let latest = Arc::new(Mutex::new(None));
        let outcome = Arc::clone(&latest);
        let decide = move |stored: &[Stored], now| {
            let (writes, outcome) = decide(stored, now);
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            writes
        };
        self.replace(keys, Arc::new(decide)).await?;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.ok_or_else(|| ExpiringError::Unavailable("nothing was decided".into()))
    }
}

//! The file as one of its stores sees it: what fails is counted as that store's.

use std::sync::{Arc, Weak};

use rusqlite::{Connection, Transaction};

use super::{Database, SqliteError};
use crate::config::Migrations;
use crate::metrics::{Counter, Metrics};
use crate::migrations::Migration;

/// A [`Database`] whose errors are counted.
#[derive(Debug)]
pub struct Counted {
    database: Arc<Database>,
    metrics: Arc<Metrics>,
    errors: fn(&Metrics) -> &Counter,
}

impl Counted {
    /// Names what the errors count for.
    #[must_use]
    pub fn new(
        database: Arc<Database>,
        metrics: Arc<Metrics>,
        errors: fn(&Metrics) -> &Counter,
    ) -> Self {
        Self { database, metrics, errors }
    }

    /// See [`Database::open`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn open(&self, migrations: Migrations) -> Result<Vec<Migration>, SqliteError> {
        self.count(self.database.open(migrations).await)
    }

    /// See [`Database::ping`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ping(&self) -> Result<(), SqliteError> {
        self.count(self.database.ping().await)
    }

    /// See [`Database::read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        self.count(self.database.read(read).await)
    }

    /// See [`Database::write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        self.count(self.database.write(write).await)
    }

    /// See [`Database::close`].
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// The file, for who only looks while somebody else uses it.
    #[must_use]
    pub fn downgrade(&self) -> Weak<Database> {
        Arc::downgrade(&self.database)
    }

    /// A row that breaks a constraint is the store's answer, and no error of it.
    fn count<T>(&self, done: Result<T, SqliteError>) -> Result<T, SqliteError> {
        if done.as_ref().is_err_and(|error| !error.is_broken_constraint()) {
            (self.errors)(&self.metrics).inc();
        }
        done
    }
}

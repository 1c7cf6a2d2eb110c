//! The embedded store's database file: its settings, log messages and error counts.
//!
//! `crates/sqlite-file` does the work. Two stores share the file; this module must know neither.

use std::sync::{Arc, Weak};

use rusqlite::{Connection, Transaction};
use sqlite_file::{Application, Event, Loss, Settings, WhenBehind};
use tracing::{error, info, warn};

use crate::config::{EmbeddedStores, Migrations};
use crate::metrics::{Counter, Metrics};
use crate::migrations::{Migration, SQLITE};

pub use sqlite_file::{Database, Error as SqliteError};

/// This service as the owner of a database.
pub const APPLICATION: Application = Application {
    // `DGRY`
    id: 0x4447_5259,
    migrations_table: "api_migrations",
    migrations: SQLITE,
    count: "select count(*) from users",
};

/// The files of the embedded stores.
#[must_use]
pub fn settings(stores: &EmbeddedStores) -> Settings {
    Settings {
        database: stores.database(),
        lock: stores.lock(),
        first_start: stores.first_start(),
        others: vec![stores.jwt_secret(), stores.master_key()],
        application: APPLICATION,
        on_event: log,
    }
}

impl From<Migrations> for WhenBehind {
    fn from(migrations: Migrations) -> Self {
        match migrations {
            Migrations::Automatic => Self::Migrate,
            Migrations::Manual => Self::Fail,
        }
    }
}

/// Logs what happened to a file.
pub fn log(event: Event<'_>) {
    match event {
        Event::ClosedToOthers(path) => {
            info!(file = %path.display(), "🔧 Other users could read a file; now only its owner can");
        }
        Event::OpenToOthers(path, error) => {
            warn!(file = %path.display(), %error, "⚠️ Other users may be able to read a file");
        }
        Event::Damaged(damage) => {
            error!(
                damage,
                "❌ The database file is damaged: stop the service, then restore it from a backup"
            );
        }
        Event::WritesFail(error) if error.is_full_disk() => {
            error!(%error, "❌ The disk is full: nothing can be saved until there is room on it");
        }
        Event::WritesFail(error) => {
            warn!(%error, "⚠️ The database file can't be written to");
        }
        Event::WritesSucceed => info!("💾 The database file can be written to again"),
    }
}

/// How a database was lost, and what the operator can do about it.
#[must_use]
pub fn advice(loss: &Loss) -> String {
    match loss {
        Loss::Missing(_) => format!(
            "{loss}: put it back, or a backup of it (`discogsography-api restore FILE`), or start with \
             an empty one: `serve --new-database`"
        ),
        Loss::Empty(_) => format!(
            "{loss}: restore a backup (`discogsography-api restore FILE`), or start with a new one: \
             `serve --new-database`"
        ),
    }
}

/// A [`Database`] that counts the errors of one of its stores.
#[derive(Debug)]
pub struct CountedDatabase {
    database: Arc<Database>,
    metrics: Arc<Metrics>,
    errors: fn(&Metrics) -> &Counter,
}

impl CountedDatabase {
    /// Wraps a database; `errors` selects the counter of its errors.
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
        self.count(self.database.open(migrations.into()).await)
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

    /// See [`Database::erase_replaced`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn erase_replaced(&self) -> Result<(), SqliteError> {
        self.count(self.database.erase_replaced().await)
    }

    /// See [`Database::close`].
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Returns the file for a task that ends when the file is no longer used.
    #[must_use]
    pub fn downgrade(&self) -> Weak<Database> {
        Arc::downgrade(&self.database)
    }

    /// Counts an error; a violated constraint is an answer of the store, not an error.
    fn count<T>(&self, done: Result<T, SqliteError>) -> Result<T, SqliteError> {
        if done.as_ref().is_err_and(|error| !error.is_constraint_violation()) {
            (self.errors)(&self.metrics).inc();
        }
        done
    }
}

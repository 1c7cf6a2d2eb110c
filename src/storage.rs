//! Stores users, their connections and the app's configuration, in PostgreSQL or one SQLite file.
//!
//! Both implementations return the same results; `tests/it/storage_contract.rs` checks this.
//! This module must not depend on HTTP or flows.

mod administration;
pub(crate) mod postgres;
mod sealed_rows;
pub(crate) mod sqlite;
mod user_loader;

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::Migrations;
use crate::keyring::{Keyring, PlainText, SealedTable, Unreadable};
use crate::migrations::Migration;
use crate::model::{
    ConfigEntry, ConfigKey, ConfigValue, Connection, DiscogsIdentity, DiscogsToken, FlowOwner,
    KnownAddress, NewUser, User, UserWithHash,
};

pub use administration::{Administration, UserChange};
pub use postgres::PostgresStorage;
pub(crate) use sealed_rows::PAGE;
pub use sealed_rows::{Encryption, Reseal, SealedRow, SealedRows};
pub use sqlite::SqliteStorage;

/// How many known addresses are kept for each user.
pub const MOST_KNOWN_ADDRESSES: i64 = 50;

/// Users, their connections, and the app's configuration.
#[async_trait]
pub trait Storage: Administration + SealedRows + Debug + Send + Sync {
    /// Opens the store and brings its schema up to date, or only checks it.
    ///
    /// Must succeed before any other method is called; may be called again. Returns the applied
    /// migrations.
    async fn prepare(&self, migrations: Migrations) -> Result<Vec<Migration>, StorageError>;

    /// Succeeds if the store answers; does not wait for other work.
    async fn ping(&self) -> Result<(), StorageError>;

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// [`StorageError::EmailTaken`] if another user has the address, and
    /// [`StorageError::Untranslatable`] if the database can't store it.
    async fn create_user(&self, user: &NewUser) -> Result<User, StorageError>;

    /// The user with this id.
    async fn user_by_id(&self, id: Uuid) -> Result<Option<User>, StorageError>;

    /// The user with exactly this address, which may be any text.
    async fn user_by_email(&self, email: &str) -> Result<Option<UserWithHash>, StorageError>;

    /// Makes a user an admin or an ordinary user; `None` if no user has the address.
    async fn put_admin(&self, email: &str, admin: Admin) -> Result<Option<Written>, StorageError>;

    /// The addresses of all admins, sorted.
    async fn admins(&self) -> Result<Vec<String>, StorageError>;

    /// A user's connection.
    async fn connection(&self, user_id: Uuid) -> Result<Option<Connection>, StorageError>;

    /// Stores the result of a flow, encrypted: creates a connection, or replaces the tokens of the existing one.
    ///
    /// # Errors
    ///
    /// [`StorageError::FlowEnded`] if the user's flows were ended after this one started,
    /// [`StorageError::NoSuchUser`] if the user is deactivated or deleted. The database decides, so
    /// concurrent changes can't interfere.
    async fn put_connection(
        &self,
        owner: FlowOwner,
        token: &DiscogsToken,
        identity: &DiscogsIdentity,
    ) -> Result<(), StorageError>;

    /// Deletes the user's connection, if any, and ends the user's flows.
    async fn delete_connection(&self, user_id: Uuid) -> Result<(), StorageError>;

    /// The known rows of `app_config`, decrypted; an empty value counts as not set.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unreadable`] if a value can't be decrypted.
    async fn config(&self) -> Result<Vec<ConfigEntry>, StorageError>;

    /// Writes all values, encrypted, or none, and returns the time of the write.
    async fn put_config(
        &self,
        values: &[(ConfigKey, ConfigValue)],
    ) -> Result<Timestamp, StorageError>;

    /// Deletes the config values that are set.
    async fn delete_config(&self, keys: &[ConfigKey]) -> Result<Written, StorageError>;

    /// When the account last signed in successfully from this address; `None` if never.
    async fn known_address(
        &self,
        address: &KnownAddress,
    ) -> Result<Option<Timestamp>, StorageError>;

    /// Records that the account has just signed in successfully from this address.
    ///
    /// Deletes some of the rows older than `kept_for`, and all but the newest
    /// [`MOST_KNOWN_ADDRESSES`] of this account.
    async fn put_known_address(
        &self,
        address: &KnownAddress,
        kept_for: Duration,
    ) -> Result<(), StorageError>;

    /// Completes the operations in progress, then closes the store.
    async fn close(&self);
}

/// Whether a user may use `/api/admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// The user may.
    Granted,
    /// The user may not.
    Revoked,
}

/// Whether a write changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Changed,
    /// It did not: the stored value was already the same.
    Unchanged,
}

impl Written {
    fn of(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Unchanged }
    }
}

/// Returns the entry with its value decrypted.
fn decrypted(
    keyring: &Keyring,
    mut entry: ConfigEntry,
    plain: PlainText,
) -> Result<ConfigEntry, StorageError> {
    let (table, row) = (SealedTable::AppConfig, entry.key.as_str());
    let opened = keyring.open_in((table, row), &entry.value, plain);
    let unreadable = |source| StorageError::Unreadable { table, row: row.to_owned(), source };
    entry.value = opened.map_err(unreadable)?;
    Ok(entry)
}

/// Returns why a flow's result was not stored, judging by the current state of the flow's user.
fn not_stored(user: Option<&User>) -> StorageError {
    if user.is_some_and(|user| user.is_active) {
        StorageError::FlowEnded
    } else {
        StorageError::NoSuchUser
    }
}

/// The error of a store's library, kept for the log.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why an operation of a store failed.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// Another user has the address.
    #[error("email address is taken")]
    EmailTaken,
    /// The user is deactivated or deleted.
    #[error("no such user")]
    NoSuchUser,
    /// The user's flows were ended, including this one.
    #[error("the flow was ended")]
    FlowEnded,
    /// The store can't be reached, does not answer in time, or refuses writes.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// Too many operations are waiting, so this one was not started.
    #[error("too many operations are waiting for the database")]
    Overloaded,
    /// The database's disk is full.
    #[error("the database's disk is full")]
    DiskFull(#[source] Cause),
    /// The service has run here before, but its database is missing or empty.
    #[error("the database is lost")]
    Lost(#[source] Cause),
    /// The schema lacks migrations.
    #[error("the schema is behind, missing {}: run `discogsography-api migrate`", .missing.join(", "))]
    SchemaBehind {
        /// The missing migrations, such as `0002_admins`.
        missing: Vec<String>,
    },
    /// The database's encoding can't represent a character of a value.
    #[error("the database's encoding can't represent a character of the value")]
    Untranslatable(#[source] Cause),
    /// The tables or the file belong to another application, or a new database's encoding can't
    /// represent every character. Nothing was changed.
    #[error("{0}")]
    Incompatible(String),
    /// A stored secret can't be decrypted.
    #[error("{}, row {row}, can't be read", .table.name())]
    Unreadable {
        /// The secret's table.
        table: SealedTable,
        /// The primary key of its row.
        row: String,
        /// Why.
        source: Unreadable,
    },
    /// The store rejected a statement, because of a bug or an unexpected schema.
    #[error("the database rejected a statement")]
    Refused(#[source] Cause),
}

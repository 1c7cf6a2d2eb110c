//! What is kept about users: one trait, on PostgreSQL or in one SQLite file.
//!
//! Both implementations answer the same, byte for byte; `tests/it/storage_contract.rs` holds them
//! to it. Must not know HTTP, nor the OAuth state.

mod administration;
pub(crate) mod postgres;
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
use crate::migrations::Migration;
use crate::model::{
    ConfigEntry, ConfigKey, ConfigValue, Connection, DiscogsToken, FlowOwner, Identity,
    KnownAddress, NewUser, User, UserWithHash,
};

pub use administration::{Administration, UserChange};
pub use postgres::PostgresStorage;
pub use sqlite::SqliteStorage;

/// The most addresses that are known to one account.
pub const MOST_KNOWN_ADDRESSES: i64 = 50;

/// Users, their connections, and the app's configuration.
#[async_trait]
pub trait Storage: Administration + Debug + Send + Sync {
    /// Opens the store and brings its schema up to date, or only checks it.
    ///
    /// Everything else is for afterwards. Gives the migrations that were applied; may be called
    /// again, after a failure as after a success.
    async fn prepare(&self, migrations: Migrations) -> Result<Vec<Migration>, StorageError>;

    /// Succeeds while the store answers; never waits behind other work.
    async fn ping(&self) -> Result<(), StorageError>;

    /// Adds a user; [`StorageError::EmailTaken`] where the address has one, and
    /// [`StorageError::Untranslatable`] where the database can't store the address.
    async fn create_user(&self, user: &NewUser) -> Result<User, StorageError>;

    /// The user with this id.
    async fn user_by_id(&self, id: Uuid) -> Result<Option<User>, StorageError>;

    /// The user with exactly this address, which may be any text.
    async fn user_by_email(&self, email: &str) -> Result<Option<UserWithHash>, StorageError>;

    /// Makes a user an admin or takes it back; `None` if no user has the address.
    async fn put_admin(&self, email: &str, admin: Admin) -> Result<Option<Written>, StorageError>;

    /// The addresses of all admins, sorted.
    async fn admins(&self) -> Result<Vec<String>, StorageError>;

    /// A user's connection.
    async fn connection(&self, user_id: Uuid) -> Result<Option<Connection>, StorageError>;

    /// Stores what a flow ended with: makes a connection, or replaces the tokens of the one there is.
    ///
    /// [`StorageError::FlowEnded`] if the user's flows were ended since it was started,
    /// [`StorageError::NoSuchUser`] if the user is deactivated or gone. The database decides,
    /// whatever happens at the same time.
    async fn put_connection(
        &self,
        owner: FlowOwner,
        token: &DiscogsToken,
        identity: &Identity,
    ) -> Result<(), StorageError>;

    /// Removes a connection, if there is one, and ends the user's flows under way.
    async fn delete_connection(&self, user_id: Uuid) -> Result<(), StorageError>;

    /// The rows of `app_config` that we know; an empty value counts as not set.
    async fn config(&self) -> Result<Vec<ConfigEntry>, StorageError>;

    /// Writes config values, all or none; gives the moment of it.
    async fn put_config(
        &self,
        values: &[(ConfigKey, ConfigValue)],
    ) -> Result<Timestamp, StorageError>;

    /// Removes config values, those that are set.
    async fn delete_config(&self, keys: &[ConfigKey]) -> Result<Written, StorageError>;

    /// When an account was last signed in to well from an address; `None` if it never was.
    async fn known_address(
        &self,
        address: &KnownAddress,
    ) -> Result<Option<Timestamp>, StorageError>;

    /// Records that an account was signed in to successfully from an address, now. Removes some of
    /// the rows that are older than `kept_for`, and all but the newest
    /// [`MOST_KNOWN_ADDRESSES`] of this account.
    async fn put_known_address(
        &self,
        address: &KnownAddress,
        kept_for: Duration,
    ) -> Result<(), StorageError>;

    /// Ends the work and closes the store.
    async fn close(&self);
}

/// Whether a user may use `/api/admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// May.
    Granted,
    /// May not.
    Revoked,
}

/// Whether a write changed what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Changed,
    /// It was so already.
    Unchanged,
}

impl Written {
    fn of(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Unchanged }
    }
}

/// Why a flow's end was not stored, by what became of its user.
fn not_stored(user: Option<&User>) -> StorageError {
    if user.is_some_and(|user| user.is_active) {
        StorageError::FlowEnded
    } else {
        StorageError::NoSuchUser
    }
}

/// What a store's own library says, kept for the log.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// Another user has the address.
    #[error("email address is taken")]
    EmailTaken,
    /// The user is deactivated or gone.
    #[error("no such user")]
    NoSuchUser,
    /// The user's flows under way were ended, this one among them.
    #[error("the flow was ended")]
    FlowEnded,
    /// The store can't be reached, does not answer in time, or can't be written to.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// So much is under way that this was not even tried.
    #[error("the database has too much to do")]
    Overloaded,
    /// The disk of the database is full, so nothing can be written.
    #[error("the database's disk is full")]
    DiskFull(#[source] Cause),
    /// A service has run here, and its database is missing or empty.
    #[error("the database is lost")]
    Lost(#[source] Cause),
    /// The schema lacks something that `migrate` would add.
    #[error("the schema is behind, missing {}: run `discogsography-api migrate`", .missing.join(", "))]
    SchemaBehind {
        /// What is missing, each a migration such as `0002_admins`.
        missing: Vec<String>,
    },
    /// The encoding of the database lacks a character of what was to be stored.
    #[error("the encoding of the database lacks a character")]
    Untranslatable(#[source] Cause),
    /// The tables or the file are another application's, or the encoding lacks characters.
    /// Nothing was changed.
    #[error("{0}")]
    NotOurs(String),
    /// The store refused the statement: a mistake of ours, or a schema that is not as it should be.
    #[error("the database refused a statement")]
    Refused(#[source] Cause),
}

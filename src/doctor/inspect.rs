//! What `doctor` reads from the stores; every inspection leaves them unchanged.

mod postgres;
mod privileges;
mod python_keys;
mod redis;
mod secrets;
mod sqlite;
mod takeover;

use std::time::Duration;

use pg_pipeline::dial::DialError;
use thiserror::Error;

use crate::migrations::Schema;
use crate::model::ConfigEntry;
use crate::storage::postgres::MissingUnique;
use crate::storage::{Cause, StorageError};

pub(super) use self::redis::ServerInfo;
pub(super) use postgres::postgres;
pub(super) use python_keys::{PythonKeys, python_keys};
pub(super) use secrets::StoredSecrets;
pub(super) use sqlite::sqlite;
pub(super) use takeover::{Named, PythonDatabase, Users, python_database};

/// The state of a database.
#[derive(Debug)]
pub(super) struct Inspection {
    /// The version that it reports: `17.4`.
    pub(super) version: String,
    /// How long one small read took.
    pub(super) latency: Duration,
    /// How its schema compares with this version's schema.
    pub(super) schema: Schema,
    /// The privileges that the role lacks to apply the missing migrations.
    pub(super) missing_to_migrate: Vec<MissingPrivilege>,
    /// Whether the server accepts writes; always [`Writes::Accepted`] for a file.
    pub(super) writes: Writes,
    /// The unique constraints that the service depends on and a table lacks.
    pub(super) missing_unique: Vec<MissingUnique>,
    /// The database's encoding, if it can't store every character.
    pub(super) limited_encoding: Option<String>,
    /// The server settings that put data or availability at risk.
    pub(super) risky_settings: Vec<RiskySetting>,
    /// The rows of `app_config`; empty if there is no such table.
    pub(super) config: Vec<ConfigEntry>,
    /// How the first 1,000 secrets of each table are stored.
    pub(super) secrets: StoredSecrets,
    /// The tables and columns that only newer releases of the Python service create.
    pub(super) later_python: Vec<String>,
}

/// A server setting that breaks a promise of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RiskySetting {
    /// `fsync` is off.
    FsyncOff,
    /// `synchronous_commit` is off.
    SynchronousCommitOff,
    /// Behind a pooler, neither the role nor the connection limits statements.
    NoStatementTimeout,
}

/// A privilege that the role does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MissingPrivilege {
    /// `insert, update on users`
    pub(super) privilege: String,
    /// How the operator can grant it.
    pub(super) remedy: Remedy,
}

/// How an operator can make up for a missing privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Run this statement.
    Grant(String),
    /// Migrate as this role, which owns the table.
    ///
    /// Giving the table to another role would break programs that rely on owning it.
    Owner(String),
}

/// Whether a server accepts writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    Accepted,
    /// It is a standby, or set to read-only.
    Refused,
}

/// Why a database could not be inspected.
#[derive(Debug, Error)]
pub(super) enum InspectionError {
    /// The user name or password is wrong, or not allowed from this address.
    #[error("the sign-in is refused")]
    SignInRefused(#[source] Cause),
    /// The server has no database of that name.
    #[error("there is no such database")]
    NoDatabase(#[source] Cause),
    /// The role lacks privileges on the tables that the service needs.
    #[error("the role lacks {}", privileges_in_words(.0))]
    MissingPrivileges(Vec<MissingPrivilege>),
    /// The role may not connect to the database.
    #[error("a permission is missing")]
    PermissionDenied(#[source] Cause),
    /// The server has reached its connection limit.
    #[error("the server accepts no more connections")]
    TooManyConnections(#[source] Cause),
    /// The file is damaged, or not a SQLite database.
    #[error("the file is damaged")]
    Damaged(#[source] Cause),
    /// The file can't be read without applying the log file beside it.
    #[error("the file waits for the next start of the service")]
    Unfinished(#[source] Cause),
    /// The tables or the file belong to another application, or it has a bad encoding.
    #[error("{0}")]
    Incompatible(String),
    /// No address of the server accepts a connection.
    #[error(transparent)]
    Unreached(DialError),
    /// Connecting took too long.
    #[error(transparent)]
    ConnectTimeout(Cause),
    /// A statement waited for a lock or ran for too long.
    #[error("a statement took too long")]
    StatementTimeout(#[source] Cause),
    /// A pooler in front of the server refuses the connection's settings.
    #[error("a pooler refuses the connection")]
    RefusedByPooler(#[source] Cause),
    /// Any other failure.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Joins privileges for a sentence: `insert on users; delete on app_config`.
pub(super) fn privileges_in_words(missing: &[MissingPrivilege]) -> String {
    missing.iter().map(|it| it.privilege.as_str()).collect::<Vec<_>>().join("; ")
}

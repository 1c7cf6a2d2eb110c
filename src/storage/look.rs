//! What a look at a database tells that changes nothing in it: for `doctor`.

use std::time::Duration;

use thiserror::Error;

use super::{Cause, StorageError};
use crate::dial::Unreached;
use crate::migrations::Schema;
use crate::model::ConfigEntry;

/// A database as it was found.
#[derive(Debug)]
pub struct Look {
    /// What it says of itself: `17.4`.
    pub version: String,
    /// How long one small read took.
    pub latency: Duration,
    /// Whether its schema is ours.
    pub schema: Schema,
    /// What the role would have to be given before a schema that is behind can be mended.
    pub lacks_to_migrate: Vec<Lack>,
    /// Whether the server takes writes; a file is another question.
    pub writes: Writes,
    /// What a table lacks that a statement of ours depends on.
    pub missing_unique: Vec<MissingUnique>,
    /// The encoding of the database, if it lacks characters.
    pub lacking_encoding: Option<String>,
    /// Settings of the server under which a promise of ours does not hold.
    pub doubts: Vec<Doubt>,
    /// The rows of `app_config`; none where there is no such table.
    pub config: Vec<ConfigEntry>,
}

/// Columns that no unique constraint covers, though two equal rows must be impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingUnique {
    /// The table.
    pub table: String,
    /// As in `unique (…)`.
    pub columns: String,
}

/// A setting of the server under which a promise of ours does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// `fsync` is off.
    Fsync,
    /// `synchronous_commit` is off.
    SynchronousCommit,
    /// Behind a pooler the role limits no statement, and neither can we.
    NoStatementTimeout,
}

/// A right that the role does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// `insert, update on users`
    pub right: String,
    /// What helps.
    pub remedy: Remedy,
}

/// What helps where the role lacks a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// This statement.
    Grant(String),
    /// That the role of this name, which owns the table, does it: were the table given away, whoever
    /// used it as its owner could not use it any more.
    Owner(String),
}

/// Whether a database may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// As it should be.
    Taken,
    /// It is a standby, or was made read-only.
    Refused,
}

/// Why there was nothing to see.
#[derive(Debug, Error)]
pub enum LookError {
    /// User name and password are not right together, or may not come from here.
    #[error("the sign-in is refused")]
    SignIn(#[source] Cause),
    /// The server knows no database of that name.
    #[error("there is no such database")]
    NoDatabase(#[source] Cause),
    /// The role may not do with the tables what the service does.
    #[error("the role lacks {}", rights(.0))]
    Lacks(Vec<Lack>),
    /// The role may not connect to the database, or not read what it has to for another reason.
    #[error("a permission is missing")]
    NotPermitted(#[source] Cause),
    /// The server has as many connections as it takes.
    #[error("the server takes no more connections")]
    Crowded(#[source] Cause),
    /// The file is no database, or a damaged one.
    #[error("the file is damaged")]
    Damaged(#[source] Cause),
    /// The file can't be read without writing what waits beside it.
    #[error("the file waits for the next start of the service")]
    Unfinished(#[source] Cause),
    /// The tables or the file are another application's, or the encoding lacks characters.
    #[error("{0}")]
    NotOurs(String),
    /// No address of the server takes a connection.
    #[error(transparent)]
    Unreached(Unreached),
    /// A connection could not be made in time.
    #[error(transparent)]
    NotMade(Cause),
    /// A statement waited for a lock or ran for too long.
    #[error("a statement was not done in time")]
    Blocked(#[source] Cause),
    /// What stands before the server refuses the settings of our connections.
    #[error("a pooler refuses the connection")]
    Pooler(#[source] Cause),
    /// Anything else.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The rights in one line: `insert on users; delete on app_config`.
#[must_use]
pub fn rights(lacks: &[Lack]) -> String {
    lacks.iter().map(|lack| lack.right.as_str()).collect::<Vec<_>>().join("; ")
}

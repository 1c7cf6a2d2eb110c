//! What PostgreSQL's errors mean for us, by SQLSTATE, and what of them may be logged.
//!
//! The detail and hint of a server's message may hold a row's values, an email address among
//! them, so they are left out.

use std::sync::Arc;
use std::time::Duration;

use printable::SERVER_MESSAGE;
use thiserror::Error;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::making::Step;
use crate::dial::Unreached;
use crate::storage::StorageError;
use crate::tls::fault::{self, TlsFault};

/// Why a call did not get its answer.
#[derive(Debug, Error)]
pub(crate) enum PostgresError {
    /// No connection was there in time.
    #[error("no connection to PostgreSQL within {} ms", .0.as_millis())]
    NoConnection(Duration),
    /// A connection could not be made in the time for it.
    #[error("no connection to PostgreSQL within {} s: {step} took too long", .limit.as_secs())]
    NotMade {
        /// Where the time ran out.
        step: Step,
        /// How long it was.
        limit: Duration,
    },
    /// No address of the server takes a connection.
    #[error("the connection to PostgreSQL failed: {0}")]
    Unreached(#[from] Unreached),
    /// A connection was there, the answer was not.
    #[error("no answer from PostgreSQL within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    /// Every connection has as much under way as it may.
    #[error("too many statements are under way")]
    TooMany,
    /// The service is closing.
    #[error("the connections are closed")]
    Closed,
    /// The server says no.
    #[error("PostgreSQL says {code}: {message}")]
    Server {
        /// SQLSTATE.
        code: String,
        /// The primary message.
        message: String,
        /// The constraint that would be broken.
        constraint: Option<String>,
        /// The table that it belongs to.
        table: Option<String>,
    },
    /// The connection broke, or what came over it makes no sense.
    #[error("the connection to PostgreSQL failed: {0}")]
    Connection(String),
    /// The server does not prove who it is, or speaks no TLS.
    #[error("the connection to PostgreSQL failed: {0}")]
    Tls(#[source] TlsFault),
    /// A row is not of the shape that the schema promises.
    #[error("a row has another shape than its table: {0}")]
    Row(String),
}

impl PostgresError {
    /// Whether the connection is of no use any more: closed, to a server that is stopping or may
    /// not be written to, or with statements that were prepared for tables as they were before
    /// somebody changed them.
    pub(super) fn is_end_of_connection(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Tls(_) => true,
            Self::Server { code, .. } => {
                matches!(code.as_str(), "57P01" | "57P02" | "57P03" | "25006" | "0A000" | "26000")
            }
            Self::NoConnection(_)
            | Self::NotMade { .. }
            | Self::Unreached(_)
            | Self::NoAnswer(_)
            | Self::TooMany
            | Self::Closed
            | Self::Row(_) => false,
        }
    }

    /// Whether the store did not do its part; that a row breaks a constraint is its answer, and so is
    /// that its encoding lacks a character.
    pub(super) fn is_of_the_store(&self) -> bool {
        !matches!(self, Self::Server { constraint: Some(_), .. }) && !self.is_untranslatable()
    }

    /// Whether the encoding of the database lacks a character that was sent.
    pub(super) fn is_untranslatable(&self) -> bool {
        let codes = [SqlState::UNTRANSLATABLE_CHARACTER, SqlState::CHARACTER_NOT_IN_REPERTOIRE];
        matches!(self, Self::Server { code, .. } if codes.iter().any(|it| it.code() == code))
    }

    /// Whether connecting again at once ends the same way: TLS or the sign-in fails, or there is no such
    /// database or right.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Server { code, .. } => {
                ["28", "3D", "42"].iter().any(|class| code.starts_with(class))
            }
            _ => false,
        }
    }

    /// Whether it may succeed later with nothing mended in the service: connection (08), resources
    /// (53), an operator's hand or a time limit (57), locks (40, 55), a read-only server (25006).
    fn is_passing(&self) -> bool {
        match self {
            Self::NoConnection(_)
            | Self::NotMade { .. }
            | Self::Unreached(_)
            | Self::NoAnswer(_)
            | Self::TooMany
            | Self::Closed
            | Self::Connection(_)
            | Self::Tls(_) => true,
            Self::Row(_) => false,
            Self::Server { code, .. } => {
                code == "25006"
                    || ["08", "28", "3D", "40", "53", "55", "57", "58"]
                        .iter()
                        .any(|class| code.starts_with(class))
            }
        }
    }

    /// The table one of whose constraints would be broken.
    pub(super) fn broken(&self, expected: &SqlState) -> Option<&str> {
        match self {
            Self::Server { code, table, .. } if code == expected.code() => table.as_deref(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error() {
            return Self::Server {
                code: printable::line(server.code().code(), 5),
                message: with_hint(
                    server.code().code(),
                    &printable::line(server.message(), SERVER_MESSAGE),
                ),
                constraint: server.constraint().map(str::to_owned),
                table: server.table().map(str::to_owned),
            };
        }
        match fault::behind(&error) {
            Some(fault) => Self::Tls(fault),
            None => Self::Connection(with_source(&error)),
        }
    }
}

impl From<PostgresError> for StorageError {
    fn from(error: PostgresError) -> Self {
        if error.broken(&SqlState::UNIQUE_VIOLATION) == Some("users") {
            Self::EmailTaken
        } else if error.broken(&SqlState::FOREIGN_KEY_VIOLATION).is_some() {
            Self::NoSuchUser
        } else if error.is_untranslatable() {
            Self::Untranslatable(Arc::new(error))
        } else if matches!(error, PostgresError::TooMany) {
            Self::Overloaded
        } else if error.is_passing() {
            Self::Unavailable(Arc::new(error))
        } else {
            Self::Refused(Arc::new(error))
        }
    }
}

/// The rows that match a text: none, if the database's encoding lacks a character of it.
pub(super) fn matching(answer: Result<Vec<Row>, PostgresError>) -> Result<Vec<Row>, PostgresError> {
    match answer {
        Err(error) if error.is_untranslatable() => Ok(Vec::new()),
        answer => answer,
    }
}

/// A server does not say which of our settings is behind its message, or what it waited for.
fn with_hint(code: &str, message: &str) -> String {
    let hint = match code {
        "57014" => " (it waited for a lock, or the server is too busy)",
        "55P03" => " (another session keeps the table locked)",
        _ if message.ends_with("no encryption") => " (POSTGRES_SSLMODE=require would encrypt)",
        _ if refuses_settings(message) => {
            " (with POSTGRES_STATEMENTS=unnamed connections have no settings)"
        }
        _ => "",
    };
    format!("{message}{hint}")
}

/// What poolers say to a connection that brings settings: PgBouncer, Neon's, and RDS Proxy.
pub(crate) fn refuses_settings(message: &str) -> bool {
    message.contains("unsupported startup parameter")
        || message.contains("doesn't support command-line options")
}

fn with_source(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PostgresError, StorageError, matching, with_hint};

    #[test]
    fn a_character_that_the_encoding_lacks_is_no_failure_of_the_store() {
        for code in ["22P05", "22021"] {
            let error = || PostgresError::Server {
                code: code.to_owned(),
                message: String::new(),
                constraint: None,
                table: None,
            };
            assert!(!error().is_of_the_store());
            assert!(matching(Err(error())).unwrap().is_empty());
            assert!(matches!(error().into(), StorageError::Untranslatable(_)));
        }
    }

    #[test]
    fn a_pooler_that_refuses_settings_is_known_by_what_it_says() {
        for (code, message) in [
            ("08P01", "unsupported startup parameter: options"),
            ("08P01", "unsupported startup parameter in options: plan_cache_mode"),
            ("0A000", "RDS Proxy currently doesn't support command-line options."),
        ] {
            let said = with_hint(code, message);
            assert!(
                said.ends_with("(with POSTGRES_STATEMENTS=unnamed connections have no settings)")
            );
        }
        assert_eq!(with_hint("08P01", "no such database"), "no such database");
    }
}

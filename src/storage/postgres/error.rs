//! PostgreSQL's errors in words that are safe to log, and what they mean to the storage, by SQLSTATE.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use pg_pipeline::Error;
use printable::SERVER_MESSAGE;
use tokio_postgres::error::SqlState;

use crate::storage::StorageError;
use crate::tls::fault::{self, TlsFault};

/// SQLSTATE classes of errors that may go away without a change to the service: connection (08),
/// sign-in (28, 3D), locks (40, 55), resources (53), operator intervention and timeouts (57), system
/// errors (58).
const TRANSIENT: [&str; 8] = ["08", "28", "3D", "40", "53", "55", "57", "58"];

/// A server that refuses writes.
const READ_ONLY: &str = "25006";

/// Why PostgreSQL did not answer a query; its text is safe to log.
#[derive(Debug)]
pub(crate) struct PostgresError {
    pub(crate) error: Error,
    /// If TLS is the reason.
    tls: Option<Box<TlsFault>>,
}

impl PostgresError {
    /// The text of an error for the log.
    pub(super) fn describe(error: &Error) -> String {
        match error {
            Error::Server { code, message, .. } => {
                let hint = hint(code, message);
                let (code, message) = (printable::line(code, 5), message);
                let message = printable::line(message, SERVER_MESSAGE);
                format!("PostgreSQL says {code}: {message}{hint}")
            }
            Error::Tls(tls) => match fault::behind(tls) {
                Some(fault) => format!("the connection to PostgreSQL failed: {fault}"),
                None => error.to_string(),
            },
            error => error.to_string(),
        }
    }

    /// Whether the store failed.
    ///
    /// A violated constraint, or a character that the encoding can't represent, is an answer.
    pub(super) fn is_failure_of_the_store(error: &Error) -> bool {
        !matches!(error, Error::Server { constraint: Some(_), .. }) && !is_untranslatable(error)
    }

    /// Whether the query may succeed later without a change to the service.
    fn is_transient(&self) -> bool {
        match &self.error {
            Error::NoConnection(_)
            | Error::ConnectTimeout { .. }
            | Error::Unreachable(_)
            | Error::NoAnswer(_)
            | Error::TooMany
            | Error::Closed
            | Error::Connection(_)
            | Error::Tls(_) => true,
            Error::NoRow => false,
            Error::Server { code, .. } => {
                code == READ_ONLY || TRANSIENT.iter().any(|class| code.starts_with(class))
            }
        }
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::describe(&self.error))
    }
}

impl StdError for PostgresError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.tls.as_deref().map(|fault| fault as _)
    }
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        let tls = match &error {
            Error::Tls(tls) => fault::behind(tls).map(Box::new),
            _ => None,
        };
        Self { error, tls }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<PostgresError> for StorageError {
    fn from(error: PostgresError) -> Self {
        if violated_table(&error.error, &SqlState::UNIQUE_VIOLATION) == Some("users") {
            Self::EmailTaken
        } else if violated_table(&error.error, &SqlState::FOREIGN_KEY_VIOLATION).is_some() {
            Self::NoSuchUser
        } else if is_untranslatable(&error.error) {
            Self::Untranslatable(Arc::new(error))
        } else if matches!(error.error, Error::TooMany) {
            Self::Overloaded
        } else if error.is_transient() {
            Self::Unavailable(Arc::new(error))
        } else {
            Self::Refused(Arc::new(error))
        }
    }
}

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        PostgresError::from(error).into()
    }
}

impl From<tokio_postgres::Error> for StorageError {
    fn from(error: tokio_postgres::Error) -> Self {
        PostgresError::from(error).into()
    }
}

/// The table with the violated constraint, if the error is this one.
pub(super) fn violated_table<'a>(error: &'a Error, expected: &SqlState) -> Option<&'a str> {
    match error {
        Error::Server { code, table, .. } if code == expected.code() => table.as_deref(),
        _ => None,
    }
}

/// Replaces the error for text that the database's encoding can't hold: no row can match it.
pub(super) fn or_no_match<T: Default>(answer: Result<T, Error>) -> Result<T, Error> {
    match answer {
        Err(error) if is_untranslatable(&error) => Ok(T::default()),
        answer => answer,
    }
}

/// Whether the database's encoding can't represent a character that was sent.
fn is_untranslatable(error: &Error) -> bool {
    let codes = [SqlState::UNTRANSLATABLE_CHARACTER, SqlState::CHARACTER_NOT_IN_REPERTOIRE];
    matches!(error, Error::Server { code, .. } if codes.iter().any(|it| it.code() == code))
}

/// Names the variable behind a server's message, or what the statement waited for.
fn hint(code: &str, message: &str) -> &'static str {
    match code {
        "57014" => " (it waited for a lock, or the server is too busy)",
        "55P03" => " (another session keeps the table locked)",
        _ if message.ends_with("no encryption") => " (POSTGRES_SSLMODE=require would encrypt)",
        _ if refuses_settings(message) => {
            " (set POSTGRES_STATEMENTS=unnamed: the service then sends no settings when it connects)"
        }
        _ => "",
    }
}

/// Whether a pooler (PgBouncer, Neon's, RDS Proxy) refuses a connection for its settings.
pub(crate) fn refuses_settings(message: &str) -> bool {
    message.contains("unsupported startup parameter")
        || message.contains("doesn't support command-line options")
}

#[cfg(test)]
mod tests {
    use super::{Error, PostgresError, StorageError, hint, or_no_match};

    #[test]
    fn a_character_that_the_encoding_lacks_is_no_failure_of_the_store() {
        for code in ["22P05", "22021"] {
            let error = || Error::Server {
                code: code.to_owned(),
                message: String::new(),
                constraint: None,
                table: None,
            };
            assert!(!PostgresError::is_failure_of_the_store(&error()));
            assert!(or_no_match::<Vec<()>>(Err(error())).unwrap().is_empty());
            assert!(matches!(error().into(), StorageError::Untranslatable(_)));
        }
    }

    #[test]
    fn a_pooler_that_refuses_settings_is_recognised_by_its_message() {
        for (code, message) in [
            ("08P01", "unsupported startup parameter: options"),
            ("08P01", "unsupported startup parameter in options: plan_cache_mode"),
            ("0A000", "RDS Proxy currently doesn't support command-line options."),
        ] {
            let expected = " (set POSTGRES_STATEMENTS=unnamed: the service then sends no settings when it connects)";
            assert_eq!(hint(code, message), expected);
        }
        assert_eq!(hint("08P01", "no such database"), "");
    }
}

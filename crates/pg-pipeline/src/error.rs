//! Why a query did not get its answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::Phase;
use crate::dial::DialError;

/// SQLSTATEs after which a connection is useless.
///
/// The server stops (57P01 to 57P03) or refuses writes (25006), or prepared statements no longer
/// match their tables (0A000) or no longer exist (26000).
const UNUSABLE: [&str; 6] = ["57P01", "57P02", "57P03", "25006", "0A000", "26000"];

/// SQLSTATE classes that reconnecting does not fix: sign-in, database name, permission.
const LASTING: [&str; 3] = ["28", "3D", "42"];

/// Why a query did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection was available in time.
    #[error("no connection to PostgreSQL within {} ms", .0.as_millis())]
    NoConnection(Duration),
    /// Connecting took too long.
    #[error("no connection to PostgreSQL within {} s: {phase} took too long", .limit.as_secs())]
    ConnectTimeout {
        /// The phase of the oldest attempt.
        phase: Phase,
        /// The time limit for all attempts together.
        limit: Duration,
    },
    /// No address of the server accepts a connection.
    #[error("the connection to PostgreSQL failed: {0}")]
    Unreachable(#[from] DialError),
    /// The server did not answer in time.
    #[error("no answer from PostgreSQL within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    /// Every connection has its maximum number of statements in flight.
    #[error("too many statements are under way")]
    TooMany,
    /// The pool was closed.
    #[error("the connections are closed")]
    Closed,
    /// The server returned an error. Its detail and hint are left out: they may hold a row's values.
    #[error("PostgreSQL says {code}: {message}")]
    Server {
        /// SQLSTATE.
        code: String,
        /// The primary message, as the server sent it.
        message: String,
        /// The constraint that was violated.
        constraint: Option<String>,
        /// The table of that constraint.
        table: Option<String>,
    },
    /// The connection broke, or the server sent an invalid response.
    #[error("the connection to PostgreSQL failed: {0}")]
    Connection(String),
    /// The TLS handshake failed.
    #[error("the connection to PostgreSQL failed: {0}")]
    Tls(#[source] rustls::Error),
    /// A statement that must return a row returned none.
    #[error("the statement returned no row")]
    NoRow,
}

impl Error {
    /// Whether the connection is useless from now on.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Tls(_) => true,
            Self::Server { code, .. } => UNUSABLE.contains(&code.as_str()),
            Self::NoConnection(_)
            | Self::ConnectTimeout { .. }
            | Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::TooMany
            | Self::Closed
            | Self::NoRow => false,
        }
    }

    /// Whether connecting again at once would fail the same way.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Server { code, .. } => LASTING.iter().any(|class| code.starts_with(class)),
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error() {
            return Self::Server {
                code: server.code().code().to_owned(),
                message: server.message().to_owned(),
                constraint: server.constraint().map(str::to_owned),
                table: server.table().map(str::to_owned),
            };
        }
        match tls_error(&error) {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Connection(with_source(&error)),
        }
    }
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // An I/O error's source skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped as &'a (dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

fn with_source(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

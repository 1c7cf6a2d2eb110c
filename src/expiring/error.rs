//! Why records could not be read or written, without showing their contents.

use std::time::Duration;

use redis::RedisError;
use thiserror::Error;

use crate::tls::fault::{self, TlsFault};

/// How long one operation may take, including all round trips and retries.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// The maximum length, in characters, of an error code of Redis that is shown.
const MAX_CODE_LENGTH: usize = 40;

/// How Redis 6 and 7 report that a script lacks a permission.
const ACL_IN_SCRIPT: [&str; 2] = ["The user executing the script can't", "ACL failure in script"];

/// Why a record could not be read or written.
#[derive(Debug, Error)]
pub enum ExpiringError {
    /// The record store (Redis, SQLite or memory) can't be reached, does not answer in time, or
    /// refuses writes.
    #[error(transparent)]
    Unavailable(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// Too many operations are waiting, so this one was not attempted.
    #[error("the state store has too many operations waiting")]
    Overloaded,
}

/// Why Redis failed.
///
/// Shows only the code of a server's message, since the rest may repeat a record.
#[derive(Debug, Error)]
pub(crate) enum RedisFailure {
    #[error("Redis says {0}")]
    Server(String),
    #[error("Redis refuses the database number in REDIS_URL")]
    DatabaseNumber,
    #[error("the connection to Redis failed: {}", without_values(.0))]
    Connection(RedisError),
    #[error("the connection to Redis failed: {0}")]
    Tls(#[source] TlsFault),
    #[error("no answer from Redis within {} ms", OPERATION_TIMEOUT.as_millis())]
    TimedOut,
    #[error("too many concurrent updates of one record")]
    Contended,
}

impl From<RedisFailure> for ExpiringError {
    fn from(failure: RedisFailure) -> Self {
        Self::Unavailable(Box::new(failure))
    }
}

impl From<RedisError> for RedisFailure {
    fn from(error: RedisError) -> Self {
        let message = error.to_string();
        match error.code() {
            // The library returns this before it connects.
            Some(_) if message.contains("refused to switch database") => Self::DatabaseNumber,
            // In a script, a missing permission has the code ERR.
            Some(_) if ACL_IN_SCRIPT.iter().any(|words| message.contains(words)) => {
                Self::Server("NOPERM".to_owned())
            }
            Some(code) => Self::Server(printable::line(code, MAX_CODE_LENGTH)),
            None => match fault::behind(&error) {
                Some(fault) => Self::Tls(fault),
                None => Self::Connection(error),
            },
        }
    }
}

impl RedisFailure {
    /// Whether the connection is open, but Redis does not answer.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Connection(error) => error.is_timeout(),
            Self::Server(_) | Self::DatabaseNumber | Self::Tls(_) | Self::Contended => false,
        }
    }
}

/// Returns the library's message, unless it may repeat received data: records hold secrets.
fn without_values(error: &RedisError) -> String {
    if error.is_io_error() { error.to_string() } else { format!("{:?}", error.kind()) }
}

#[cfg(test)]
mod tests {
    use redis::{RedisError, Value, from_redis_value};

    use super::RedisFailure;

    #[test]
    fn an_unexpected_value_is_not_shown() {
        let value = Value::Array(vec![Value::BulkString(b"s3cret".to_vec())]);
        let error: RedisError = from_redis_value::<i64>(value).unwrap_err().into();
        assert!(error.to_string().contains("s3cret") || format!("{error:?}").contains("115"));
        let shown = RedisFailure::from(error).to_string();
        assert_eq!(shown, "the connection to Redis failed: Parse");
    }
}

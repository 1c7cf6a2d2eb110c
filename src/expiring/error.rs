//! Why Redis did not do what it was asked, and what of it may be shown.

use std::time::Duration;

use redis::RedisError;
use thiserror::Error;

use super::RecordsError;
use crate::printable;
use crate::tls::fault::{self, TlsFault};

/// One step with all its round trips and second tries may take this long.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// The most characters of the code at the start of a server's error.
const LONGEST_CODE: usize = 40;

/// What Redis 6 and 7 say where a script does what its user may not.
const ACL_IN_SCRIPT: [&str; 2] = ["The user executing the script can't", "ACL failure in script"];

/// What Redis or the way to it says; of a server's message only the code, since the rest may
/// repeat what was sent.
#[derive(Debug, Error)]
pub(super) enum Cause {
    #[error("Redis says {0}")]
    Server(String),
    #[error("Redis refuses the database number in REDIS_URL")]
    DatabaseNumber,
    #[error("the connection to Redis failed: {}", without_values(.0))]
    Connection(RedisError),
    #[error("the connection to Redis failed: {0}")]
    Tls(#[source] TlsFault),
    #[error("no answer from Redis within {} ms", STEP_TIMEOUT.as_millis())]
    TimedOut,
    #[error("too many steps with one record at once")]
    Contended,
}

impl From<Cause> for RecordsError {
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl From<RedisError> for Cause {
    fn from(error: RedisError) -> Self {
        let said = error.to_string();
        match error.code() {
            // The library says so before it connects.
            Some(_) if said.contains("refused to switch database") => Self::DatabaseNumber,
            // Within a script, a missing permission has the code ERR.
            Some(_) if ACL_IN_SCRIPT.iter().any(|words| said.contains(words)) => {
                Self::Server("NOPERM".to_owned())
            }
            Some(code) => Self::Server(printable::line(code, LONGEST_CODE)),
            None => match fault::behind(&error) {
                Some(fault) => Self::Tls(fault),
                None => Self::Connection(error),
            },
        }
    }
}

impl Cause {
    /// Whether the connection is up and nothing comes over it.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Connection(error) => error.is_timeout(),
            Self::Server(_) | Self::DatabaseNumber | Self::Tls(_) | Self::Contended => false,
        }
    }
}

/// What the library says, unless it may repeat what came over the connection: a record holds
/// secrets.
fn without_values(error: &RedisError) -> String {
    if error.is_io_error() { error.to_string() } else { format!("{:?}", error.kind()) }
}

#[cfg(test)]
mod tests {
    use redis::{RedisError, Value, from_redis_value};

    use super::Cause;

    #[test]
    fn a_value_that_is_not_understood_is_not_told() {
        let value = Value::Array(vec![Value::BulkString(b"s3cret".to_vec())]);
        let error: RedisError = from_redis_value::<i64>(value).unwrap_err().into();
        assert!(error.to_string().contains("s3cret") || format!("{error:?}").contains("115"));
        let said = Cause::from(error).to_string();
        assert_eq!(said, "the connection to Redis failed: Parse");
    }
}

//! The marks in Redis: which keys they have, and the connection that reports changes.
//!
//! The connection uses client tracking in broadcast mode, with RESP3 push messages:
//! <https://redis.io/docs/latest/develop/reference/client-side-caching/>.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value};
use thiserror::Error;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use uuid::Uuid;

use super::marks::{Mark, Revoked, TokenId};
use crate::config::RedisConfig;
use crate::expiring::{ExpiringError, RedisFailure, redis_client};

/// How many keys are read at once.
pub(super) const PAGE: usize = 1_000;

/// The mark of a token: any value.
pub(crate) const TOKEN_PREFIX: &str = "revoked:jti:";

/// The mark of a user: when the password was changed, in seconds since the Unix epoch.
pub(crate) const USER_PREFIX: &str = "password_changed:";

/// Matches both prefixes and few other keys, so that one pass over all keys is enough.
const PATTERN: &str = "[rp][ea][vs][os][kw][eo][dr]*";

/// The timeout of connecting, and that of one reply.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many push messages may wait; each has the keys of one turn of Redis's event loop.
const MOST_PUSHES: usize = 4_096;

/// Where the marks are.
pub(super) struct Source {
    client: Client,
    namespace: String,
}

/// A connection on which Redis reports changed marks.
pub(super) struct Tracked {
    connection: MultiplexedConnection,
    pushes: broadcast::Receiver<PushInfo>,
}

/// The marks that were read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) marks: Vec<Mark>,
    /// How many can't be parsed.
    pub(super) unreadable: usize,
}

/// Why the marks can't be followed.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Redis(#[from] RedisFailure),
    #[error("the connection to Redis was closed")]
    Closed,
    #[error("Redis reported more changes than could be read")]
    Behind,
}

type Keys = Vec<Vec<u8>>;

impl Source {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, ExpiringError> {
        let client = redis_client(config).map_err(RedisFailure::from)?;
        Ok(Self { client, namespace: config.namespace.clone() })
    }

    /// Connects, and lets Redis report each mark that changes from now on.
    pub(super) async fn track(&self) -> Result<Tracked, SourceError> {
        let (sender, pushes) = broadcast::channel(MOST_PUSHES);
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_push_sender(sender);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
        let mut connection = connecting.await.map_err(RedisFailure::from)?;
        let mut track = redis::cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in [TOKEN_PREFIX, USER_PREFIX] {
            track.arg("PREFIX").arg(format!("{}{prefix}", self.namespace));
        }
        track.exec_async(&mut connection).await.map_err(RedisFailure::from)?;
        Ok(Tracked { connection, pushes })
    }

    /// Returns a page of keys, and the cursor of the next one; 0 after the last.
    pub(super) async fn scan(
        &self,
        tracked: &Tracked,
        cursor: u64,
    ) -> Result<(u64, Keys), SourceError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}{PATTERN}", self.namespace));
        scan.arg("COUNT").arg(PAGE);
        let page = scan.query_async(&mut tracked.connection.clone()).await;
        Ok(page.map_err(RedisFailure::from)?)
    }

    /// Reads the marks with these keys; keys of other records and missing ones are left out.
    pub(super) async fn read(
        &self,
        tracked: &Tracked,
        keys: &[Vec<u8>],
    ) -> Result<Found, SourceError> {
        let keys: Vec<_> = keys.iter().filter_map(|key| Some((key, self.name(key)?))).collect();
        if keys.is_empty() {
            return Ok(Found::default());
        }
        let (mut values, mut lives) = (redis::cmd("MGET"), redis::pipe());
        for (key, _) in &keys {
            values.arg(key);
            lives.cmd("PTTL").arg(key);
        }
        let (mut first, mut second) = (tracked.connection.clone(), tracked.connection.clone());
        // Both are sent before the first reply arrives.
        let (values, lives): (Vec<Option<Vec<u8>>>, Vec<i64>) =
            tokio::try_join!(values.query_async(&mut first), lives.query_async(&mut second))
                .map_err(RedisFailure::from)?;
        let mut found = Found::default();
        for (((_, name), value), life) in keys.into_iter().zip(values).zip(lives) {
            let (Some(value), Some(life)) = (value, Life::of(life)) else { continue };
            match revoked(name, &value) {
                Some(revoked) => found.marks.push(Mark { revoked, life: life.0 }),
                None => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    /// Returns the key without its prefix; `None` if it has neither.
    fn name<'a>(&self, key: &'a [u8]) -> Option<Name<'a>> {
        let key = key.strip_prefix(self.namespace.as_bytes())?;
        let token = key.strip_prefix(TOKEN_PREFIX.as_bytes()).map(Name::Token);
        token.or_else(|| key.strip_prefix(USER_PREFIX.as_bytes()).map(Name::User))
    }
}

/// A key after its prefix.
#[derive(Clone, Copy)]
enum Name<'a> {
    Token(&'a [u8]),
    User(&'a [u8]),
}

/// The remaining life of a key; `None` if it never expires.
struct Life(Option<Duration>);

impl Life {
    /// Reads the answer of `PTTL`: milliseconds, -1 without expiry. Returns `None` if there is no such key.
    fn of(milliseconds: i64) -> Option<Self> {
        match milliseconds {
            -1 => Some(Self(None)),
            _ => Some(Self(Some(Duration::from_millis(u64::try_from(milliseconds).ok()?)))),
        }
    }
}

/// Parses a mark; `None` if the user's id or the time can't be read.
fn revoked(name: Name<'_>, value: &[u8]) -> Option<Revoked> {
    match name {
        Name::Token(jti) => Some(Revoked::Token(TokenId::of(jti))),
        Name::User(id) => Some(Revoked::Until(Uuid::try_parse_ascii(id).ok()?, seconds(value)?)),
    }
}

/// Parses a number of seconds, with a fraction or without, and rounds it down.
#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn seconds(value: &[u8]) -> Option<i64> {
    let seconds: f64 = str::from_utf8(value).ok()?.trim().parse().ok()?;
    seconds.is_finite().then_some(seconds.floor() as i64)
}

impl Tracked {
    /// Checks that the connection still works.
    pub(super) async fn ping(&self) -> Result<(), SourceError> {
        let ping = redis::cmd("PING");
        let pinged: Result<(), RedisError> = ping.exec_async(&mut self.connection.clone()).await;
        Ok(pinged.map_err(RedisFailure::from)?)
    }

    /// Waits for changes, and returns the keys of all that were reported.
    pub(super) async fn changed(&mut self) -> Result<Keys, SourceError> {
        let mut keys = match self.pushes.recv().await {
            Ok(push) => changed_keys(push)?,
            Err(RecvError::Lagged(_)) => return Err(SourceError::Behind),
            Err(RecvError::Closed) => return Err(SourceError::Closed),
        };
        keys.extend(self.changed_meanwhile()?);
        Ok(keys)
    }

    /// Returns the keys of the changes that were reported, without waiting.
    pub(super) fn changed_meanwhile(&mut self) -> Result<Keys, SourceError> {
        let mut keys = Vec::new();
        loop {
            match self.pushes.try_recv() {
                Ok(push) => keys.extend(changed_keys(push)?),
                Err(TryRecvError::Empty) => return Ok(keys),
                Err(TryRecvError::Lagged(_)) => return Err(SourceError::Behind),
                Err(TryRecvError::Closed) => return Err(SourceError::Closed),
            }
        }
    }
}

/// Returns the keys in a push message.
///
/// There are none if all keys were removed: marks in memory stay until they expire.
fn changed_keys(push: PushInfo) -> Result<Keys, SourceError> {
    let keys = match (push.kind, push.data.into_iter().next()) {
        (PushKind::Disconnection, _) => return Err(SourceError::Closed),
        (PushKind::Invalidate, Some(Value::Array(keys))) => keys,
        _ => return Ok(Vec::new()),
    };
    let text = |key| if let Value::BulkString(key) = key { Some(key) } else { None };
    Ok(keys.into_iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::{Name, revoked, seconds};

    #[test]
    fn a_time_is_a_number_of_seconds() {
        for (text, read) in [
            ("1790000000", Some(1_790_000_000)),
            (" 1790000000\n", Some(1_790_000_000)),
            ("1790000000.9", Some(1_790_000_000)),
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("1e99", Some(i64::MAX)),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("2026-11-23", None),
            ("1790000000 s", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), read, "{text}");
        }
        assert_eq!(seconds(b"\xff"), None);
    }

    #[test]
    fn a_mark_of_no_user_is_unreadable() {
        assert_eq!(revoked(Name::User(b"alice"), b"1790000000"), None);
        assert!(revoked(Name::Token(b"any \xff"), b"").is_some());
    }
}

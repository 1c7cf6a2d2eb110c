//! Counts the keys that a Python service keeps in Redis.

use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;

use crate::config::RedisConfig;
use crate::expiring::{ExpiringError, RedisFailure, redis_client};
use crate::flows;
use crate::revocations::{TOKEN_PREFIX, USER_PREFIX};

/// How long the keys are read.
const LIMIT: Duration = Duration::from_secs(2);

/// The timeout of connecting, and that of one reply.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many keys are requested at once.
const PAGE: usize = 1_000;

/// The keys of a Python service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::doctor) struct PythonKeys {
    /// Access tokens that it revoked, and users whose password it changed.
    pub(in crate::doctor) marks: u64,
    /// Pending flows, of this service too.
    pub(in crate::doctor) flows: u64,
    /// Whether there are more keys than could be read in time.
    pub(in crate::doctor) is_partial: bool,
}

/// Counts the keys; changes nothing.
pub(in crate::doctor) async fn python_keys(
    config: &RedisConfig,
) -> Result<PythonKeys, ExpiringError> {
    let client = redis_client(config).map_err(RedisFailure::from)?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT));
    let connecting = client.get_multiplexed_async_connection_with_config(&settings);
    let mut connection = connecting.await.map_err(RedisFailure::from)?;
    let mut found = PythonKeys::default();
    let began = Instant::now();
    let mut cursor = 0;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}*", config.namespace));
        scan.arg("COUNT").arg(PAGE);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(&mut connection).await.map_err(RedisFailure::from)?;
        for key in keys {
            found.add(&key, &config.namespace);
        }
        cursor = next;
        if cursor == 0 || began.elapsed() > LIMIT {
            found.is_partial = cursor != 0;
            return Ok(found);
        }
    }
}

impl PythonKeys {
    fn add(&mut self, key: &[u8], namespace: &str) {
        let Some(name) = key.strip_prefix(namespace.as_bytes()) else { return };
        if [TOKEN_PREFIX, USER_PREFIX].iter().any(|prefix| name.starts_with(prefix.as_bytes())) {
            self.marks += 1;
        } else if name.starts_with(flows::REDIS_PREFIX.as_bytes()) {
            self.flows += 1;
        }
    }
}

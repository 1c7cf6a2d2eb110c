//! Records in Redis, which replicas share: each is a string with a time to live.
//!
//! An update is two short scripts: one reads the records and the server's time, the other
//! replaces them if none has changed. Only the server's clock counts, so replicas' may differ.

mod scripts;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisError, Script,
    TlsCertificates,
};
use secrecy::ExposeSecret as _;

use super::error::{OPERATION_TIMEOUT, RedisFailure};
use super::{Change, Decide, Expiring, ExpiringError, Stored};
use crate::clock::Timestamp;
use crate::config::RedisConfig;
use crate::tls;

/// The timeout of one reply from Redis, or of connecting during an operation.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The timeout of connecting in the background, long enough for slow networks.
const PATIENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection is kept before it may be replaced.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(200);

/// How often an update is retried if another one came first.
///
/// The other one has then succeeded, so this is far more than ever needed.
const MAX_ATTEMPTS: usize = 200;

/// [`Expiring`] in Redis, under one prefix.
pub struct RedisRecords {
    client: Client,
    prefix: String,
    connection: Arc<Mutex<(ConnectionManager, Instant)>>,
    /// Whether a connection is being opened in the background.
    is_connecting: Arc<AtomicBool>,
    read: Script,
    replace: Script,
    ping: Script,
}

impl RedisRecords {
    /// Stores the server's address; the first operation connects.
    ///
    /// # Errors
    ///
    /// If the library can't use the URL.
    pub fn new(config: &RedisConfig, prefix: &str) -> Result<Self, ExpiringError> {
        let client = client(config).map_err(RedisFailure::from)?;
        let manager = manager(&client).map_err(RedisFailure::from)?;
        Ok(Self {
            connection: Arc::new(Mutex::new((manager, Instant::now()))),
            is_connecting: Arc::default(),
            client,
            prefix: format!("{}{prefix}", config.namespace),
            read: Script::new(scripts::READ),
            replace: Script::new(scripts::REPLACE),
            ping: Script::new(scripts::PING),
        })
    }

    /// Returns the server's answer to the command `INFO`.
    ///
    /// # Errors
    ///
    /// If it does not answer, or the user may not run the command.
    pub async fn info(&self) -> Result<String, ExpiringError> {
        let info =
            async |mut connection| redis::cmd("INFO").query_async::<String>(&mut connection).await;
        self.in_time(self.ask(info)).await
    }

    fn prefixed(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Runs an operation, with all its round trips, within [`OPERATION_TIMEOUT`].
    async fn in_time<T>(
        &self,
        operation: impl Future<Output = Result<T, RedisFailure>>,
    ) -> Result<T, ExpiringError> {
        let ended = tokio::time::timeout(OPERATION_TIMEOUT, operation).await;
        let ended = ended.unwrap_or(Err(RedisFailure::TimedOut));
        if ended.as_ref().is_err_and(RedisFailure::is_silence) {
            self.reconnect();
            self.connect_patiently();
        }
        Ok(ended?)
    }

    /// Runs a command or script, and retries it once on a lost or useless connection.
    ///
    /// The library reconnects, but fails the command that found the connection closed.
    async fn ask<T, F>(&self, ask: impl Fn(ConnectionManager) -> F) -> Result<T, RedisFailure>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let answer = match ask(self.connection()).await {
            Err(error) if is_lost_connection(&error) => ask(self.connection()).await,
            Err(error) if is_refused_here(&error) => {
                self.reconnect();
                ask(self.connection()).await
            }
            answer => answer,
        };
        Ok(answer?)
    }

    async fn read(&self, keys: &[String]) -> Result<(Timestamp, Vec<Stored>), RedisFailure> {
        let mut read = self.read.prepare_invoke();
        for key in keys {
            read.key(self.prefixed(key));
        }
        let (seconds, microseconds, stored): (i64, i64, Vec<Stored>) =
            self.ask(async |mut connection| read.invoke_async(&mut connection).await).await?;
        Ok((Timestamp::from_microseconds(seconds * 1_000_000 + microseconds), stored))
    }

    /// Replaces records unless one has changed; returns whether it replaced them.
    async fn compare_and_set(
        &self,
        keys: &[String],
        stored: &[Stored],
        changes: &[Change],
    ) -> Result<bool, RedisFailure> {
        if changes.iter().all(|change| matches!(change, Change::Nothing)) {
            return Ok(true);
        }
        let mut invocation = self.replace.prepare_invoke();
        for ((key, stored), change) in keys.iter().zip(stored).zip(changes) {
            let (record, life) = match change {
                Change::Nothing => ("", String::new()),
                Change::Replace(record) => (record.as_str(), "0".to_owned()),
                Change::Renew(record, life) => (record.as_str(), milliseconds(*life).to_string()),
                Change::Delete => ("", "0".to_owned()),
            };
            let stored = stored.as_deref().unwrap_or_default();
            invocation.key(self.prefixed(key)).arg(stored).arg(record).arg(life);
        }
        self.ask(async |mut connection| invocation.invoke_async(&mut connection).await).await
    }

    async fn read_and_replace(&self, keys: &[String], decide: Decide) -> Result<(), RedisFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let (now, stored) = self.read(keys).await?;
            if self.compare_and_set(keys, &stored, &decide(&stored, now)).await? {
                return Ok(());
            }
        }
        Err(RedisFailure::Contended)
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Replaces a connection that the library would keep.
    ///
    /// It is silent, or its server became a replica or has a new password. Many operations notice
    /// this at the same time, so it happens at most once in [`RECONNECT_INTERVAL`].
    fn reconnect(&self) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.1.elapsed() > RECONNECT_INTERVAL
            && let Ok(manager) = manager(&self.client)
        {
            *connection = (manager, Instant::now());
        }
    }

    /// Connects in the background, without an operation's deadline, and uses the result.
    ///
    /// Only one such attempt runs at a time.
    fn connect_patiently(&self) {
        if self.is_connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (connection, is_connecting) =
            (Arc::clone(&self.connection), Arc::clone(&self.is_connecting));
        let settings = settings()
            .set_connection_timeout(Some(PATIENT_CONNECT_TIMEOUT))
            .set_number_of_retries(0);
        let making = ConnectionManager::new_with_config(self.client.clone(), settings);
        tokio::spawn(async move {
            if let Ok(made) = making.await {
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                *connection = (made, Instant::now());
            }
            is_connecting.store(false, Ordering::Release);
        });
    }
}

#[async_trait]
impl Expiring for RedisRecords {
    /// Does everything that an update does, in one round trip.
    ///
    /// A server that answers PING may still be full, a replica, without scripts, or sharded.
    async fn ping(&self) -> Result<(), ExpiringError> {
        let mut ping = self.ping.prepare_invoke();
        for key in scripts::PINGED {
            ping.key(self.prefixed(key));
        }
        ping.arg("").arg(milliseconds(Duration::from_secs(1)));
        let pinged =
            self.ask(async |mut connection| ping.invoke_async::<i64>(&mut connection).await);
        self.in_time(pinged).await.map(drop)
    }

    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError> {
        let mut put = redis::cmd("SET");
        put.arg(self.prefixed(key)).arg(record).arg("PX").arg(milliseconds(life));
        self.in_time(self.ask(async |mut connection| put.query_async(&mut connection).await)).await
    }

    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError> {
        self.in_time(self.read_and_replace(keys, decide)).await
    }
}

impl fmt::Debug for RedisRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRecords").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Prepares connections to this server.
pub(crate) fn client(config: &RedisConfig) -> Result<Client, RedisError> {
    let info = config.url.expose_secret().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings);
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Client::open(info);
    }
    let roots = config.roots.as_ref().map(|roots| roots.pem.clone());
    let root_cert = roots.or_else(tls::system_roots_as_pem);
    Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
}

fn manager(client: &Client) -> Result<ConnectionManager, RedisError> {
    ConnectionManager::new_lazy_with_config(client.clone(), settings())
}

fn settings() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(ANSWER_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(100))
}

fn is_lost_connection(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_io_error() || error.is_unrecoverable_error())
}

/// Whether a new connection may help: the server may have become a replica, or its password changed.
fn is_refused_here(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// Returns whole milliseconds, at least one, since Redis rejects an expiry of zero.
fn milliseconds(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

//! Records in Redis: each is one string with a time to live.
//!
//! A step reads it together with the server's time, decides, and replaces it only if it is still
//! the same: two short scripts. The server's clock counts, so replicas need not agree on theirs.

mod scripts;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisError, Script,
    TlsCertificates,
};
use secrecy::ExposeSecret as _;

use super::error::{Cause, STEP_TIMEOUT};
use super::{RecordsError, Stored, Write};
use crate::clock::Timestamp;
use crate::config::RedisConfig;
use crate::tls;

/// One answer may take this long, and a connection that a step waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A connection that no step waits for may take this long, for slow name servers and networks.
const MAKING: Duration = Duration::from_secs(15);

/// A connection is given up no sooner after the one before.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(200);

/// How often a step starts over because another one came between: each time, another one got
/// further, so this many are never needed.
const MOST_ATTEMPTS: usize = 200;

/// The records below one prefix; each names a record by what follows it.
pub struct RedisRecords {
    client: Client,
    prefix: String,
    connection: Arc<Mutex<(ConnectionManager, Instant)>>,
    /// Whether a connection is being made that no step waits for.
    is_making: Arc<AtomicBool>,
    read: Script,
    replace: Script,
    ping: Script,
}

impl RedisRecords {
    /// Names the server; the first step connects.
    ///
    /// # Errors
    ///
    /// When the URL is one that the library can't use.
    pub fn new(config: &RedisConfig, prefix: &str) -> Result<Self, RecordsError> {
        let client = client(config).map_err(Cause::from)?;
        let manager = manager(&client).map_err(Cause::from)?;
        Ok(Self {
            connection: Arc::new(Mutex::new((manager, Instant::now()))),
            is_making: Arc::default(),
            client,
            prefix: format!("{}{prefix}", config.namespace),
            read: Script::new(scripts::READ),
            replace: Script::new(scripts::REPLACE),
            ping: Script::new(scripts::PING),
        })
    }

    /// Succeeds while the server does everything that a step needs. A server that answers PING may still
    /// be full, a replica, or without scripts, or keep its keys on several shards.
    ///
    /// In one round trip, on two records that nothing else uses.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ping(&self) -> Result<(), RecordsError> {
        let mut ping = self.ping.prepare_invoke();
        for name in scripts::PINGED {
            ping.key(self.key(name));
        }
        ping.arg("").arg(milliseconds(Duration::from_secs(1)));
        let pinged =
            self.ask(async |mut connection| ping.invoke_async::<i64>(&mut connection).await);
        self.in_time(pinged).await.map(drop)
    }

    /// Returns the server's answer to the command `INFO`.
    ///
    /// # Errors
    ///
    /// If it does not answer, or the user may not run the command.
    pub async fn info(&self) -> Result<String, RecordsError> {
        let info =
            async |mut connection| redis::cmd("INFO").query_async::<String>(&mut connection).await;
        self.in_time(self.ask(info)).await
    }

    /// Writes a record, whatever was there.
    ///
    /// # Errors
    ///
    /// When the server did not say that it is written.
    pub async fn put(&self, name: &str, record: &str, life: Duration) -> Result<(), RecordsError> {
        let mut write = redis::cmd("SET");
        write.arg(self.key(name)).arg(record).arg("PX").arg(milliseconds(life));
        self.in_time(self.ask(async |mut connection| write.query_async(&mut connection).await))
            .await
    }

    /// Decides what becomes of a record, atomically; `decide` is asked again when another one came
    /// between.
    ///
    /// # Errors
    ///
    /// When the server did not say what became of it.
    pub async fn update<T>(
        &self,
        name: &str,
        decide: impl Fn(Option<&[u8]>, Timestamp) -> (Write, T),
    ) -> Result<T, RecordsError> {
        let decide = |stored: &[Stored], now| {
            let (write, outcome) = decide(stored.first().and_then(Option::as_deref), now);
            (vec![write], outcome)
        };
        self.update_all(&[name.to_owned()], decide).await
    }

    /// Decides what becomes of several records, atomically: all of them are written, or none.
    /// `decide` gets them in the order of their names and gives a write for each.
    ///
    /// # Errors
    ///
    /// When the server did not say what became of them.
    pub async fn update_all<T>(
        &self,
        names: &[String],
        decide: impl Fn(&[Stored], Timestamp) -> (Vec<Write>, T),
    ) -> Result<T, RecordsError> {
        self.in_time(self.read_and_replace(names, decide)).await
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs a whole step, all its round trips, in bounded time.
    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, RecordsError> {
        let ended = tokio::time::timeout(STEP_TIMEOUT, step).await.unwrap_or(Err(Cause::TimedOut));
        if ended.as_ref().is_err_and(Cause::is_silence) {
            self.reconnect();
            self.connect_patiently();
        }
        Ok(ended?)
    }

    /// Runs a command or script, once more if the connection was lost or is of no use any more:
    /// the library reconnects after the first, but fails what found the connection dead.
    async fn ask<T, F>(&self, ask: impl Fn(ConnectionManager) -> F) -> Result<T, Cause>
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

    async fn replace(
        &self,
        names: &[String],
        stored: &[Stored],
        writes: &[Write],
    ) -> Result<bool, Cause> {
        if writes.iter().all(|write| matches!(write, Write::Nothing)) {
            return Ok(true);
        }
        let mut invocation = self.replace.prepare_invoke();
        for ((name, stored), write) in names.iter().zip(stored).zip(writes) {
            let (record, life) = match write {
                Write::Nothing => ("", String::new()),
                Write::Replace(record) => (record.as_str(), "0".to_owned()),
                Write::Renew(record, life) => (record.as_str(), milliseconds(*life).to_string()),
                Write::Delete => ("", "0".to_owned()),
            };
            let stored = stored.as_deref().unwrap_or_default();
            invocation.key(self.key(name)).arg(stored).arg(record).arg(life);
        }
        self.ask(async |mut connection| invocation.invoke_async(&mut connection).await).await
    }

    async fn read_and_replace<T>(
        &self,
        names: &[String],
        decide: impl Fn(&[Stored], Timestamp) -> (Vec<Write>, T),
    ) -> Result<T, Cause> {
        let mut read = self.read.prepare_invoke();
        for name in names {
            read.key(self.key(name));
        }
        for _ in 0..MOST_ATTEMPTS {
            let (seconds, microseconds, stored): (i64, i64, Vec<Stored>) =
                self.ask(async |mut connection| read.invoke_async(&mut connection).await).await?;
            let now = Timestamp::from_microseconds(seconds * 1_000_000 + microseconds);
            let (writes, outcome) = decide(&stored, now);
            if self.replace(names, &stored, &writes).await? {
                return Ok(outcome);
            }
        }
        Err(Cause::Contended)
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Gives up a connection that the library would keep: one that does not answer, to a server
    /// that became a replica, or signed in to with what is no longer right. Not more often than
    /// [`BETWEEN_CONNECTIONS`], since many find out at once.
    fn reconnect(&self) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.1.elapsed() > BETWEEN_CONNECTIONS
            && let Ok(manager) = manager(&self.client)
        {
            *connection = (manager, Instant::now());
        }
    }
}

impl RedisRecords {
    /// Makes a connection beside those that are given up for the next step's sake, and puts it in
    /// their place; one at a time.
    fn connect_patiently(&self) {
        if self.is_making.swap(true, Ordering::AcqRel) {
            return;
        }
        let (connection, is_making) = (Arc::clone(&self.connection), Arc::clone(&self.is_making));
        let settings = settings().set_connection_timeout(Some(MAKING)).set_number_of_retries(0);
        let making = ConnectionManager::new_with_config(self.client.clone(), settings);
        tokio::spawn(async move {
            if let Ok(made) = making.await {
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                *connection = (made, Instant::now());
            }
            is_making.store(false, Ordering::Release);
        });
    }
}

impl fmt::Debug for RedisRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRecords").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn client(config: &RedisConfig) -> Result<Client, RedisError> {
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

/// Whether another connection may fare better: the server may have become a replica, or have
/// another password than when this one signed in.
fn is_refused_here(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// Milliseconds, as Redis counts lives; none is shorter than one.
fn milliseconds(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

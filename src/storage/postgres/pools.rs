//! The connections of the storage: how many, with which settings, and what is counted and logged.
//!
//! Reads and writes have connections of their own, and so has the health check: a slow write delays
//! no read, and nothing delays health (docs/decisions/0002-postgresql-pipelined.md).

use std::sync::Arc;
use std::time::Duration;

use pg_pipeline::{Error, Observer, PoolSize, Server, Settings, Tls};

use super::PREPARED;
use super::error::PostgresError;
use crate::config::{ChannelBinding, PostgresConfig, PostgresTls, StatementNames};
use crate::metrics::{Counter, Gauge, Metrics, Purpose};
use crate::outage::Outage;
use crate::tls;

/// Most requests make at most two queries, which fit into the five seconds a request may take.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_millis(2_400);

/// Reads are short: sent over one connection, they share a write to it and wake one process.
const READS: PoolSize =
    PoolSize { connections: 2, max_connections: 4, fill_to: 128, timeout: QUERY_TIMEOUT };

/// Each write waits for the disk; the server writes what arrives over several connections at once.
const WRITES: PoolSize =
    PoolSize { connections: 2, max_connections: 4, fill_to: 0, timeout: QUERY_TIMEOUT };

const HEALTH: PoolSize = PoolSize {
    connections: 1,
    max_connections: 1,
    fill_to: 0,
    timeout: Duration::from_millis(900),
};

/// Settings of every connection.
///
/// A statement's time limit starts when it runs, not while it waits behind others. Each statement is
/// planned once: otherwise the server would plan again for each read of fewer than ten users, because
/// it takes a list of unknown length for one of ten. The plan must use an index even if it is made
/// while a table is empty, hence no sequential scans; what has no index is not worth compiling.
const OPTIONS: &str = "-c statement_timeout=2s -c plan_cache_mode=force_generic_plan \
                       -c enable_seqscan=off -c jit=off";

pub(super) type Pool = pg_pipeline::Pool<Monitor>;

/// The three pools of the storage.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) reads: Pool,
    pub(super) writes: Pool,
    pub(super) health: Pool,
}

/// Counts and logs what happens to the connections of one pool.
pub(super) struct Monitor {
    purpose: Purpose,
    open: Gauge,
    lost: Counter,
    failures: Counter,
    /// Shared by all pools, so that an outage is logged once.
    outage: Arc<Outage>,
}

impl Pools {
    pub(super) fn new(server: &Server, metrics: &Metrics) -> Self {
        let outage = Arc::new(Outage::default());
        let pool = |purpose, size| {
            let monitor = Monitor {
                purpose,
                open: metrics.postgres_connections.get_or_create_owned(&purpose),
                lost: metrics.postgres_lost_connections.get_or_create_owned(&purpose),
                failures: metrics.storage_errors.clone(),
                outage: Arc::clone(&outage),
            };
            Pool::new(server.clone(), &PREPARED, size, monitor)
        };
        Self {
            reads: pool(Purpose::Reads, READS),
            writes: pool(Purpose::Writes, WRITES),
            health: pool(Purpose::Health, HEALTH),
        }
    }

    /// Starts to connect, and waits a while for each pool's first connection.
    pub(super) async fn start(&self) {
        let Self { reads, writes, health } = self;
        for pool in [reads, writes, health] {
            pool.start();
        }
        tokio::join!(
            reads.wait_until_connected(QUERY_TIMEOUT),
            writes.wait_until_connected(QUERY_TIMEOUT),
            health.wait_until_connected(QUERY_TIMEOUT),
        );
    }

    pub(super) async fn close(&self) {
        tokio::join!(self.reads.close(), self.writes.close(), self.health.close());
    }
}

impl Observer for Monitor {
    fn opened(&self) {
        self.open.inc();
        if self.outage.ends() {
            tracing::info!("💾 PostgreSQL can be used again");
        }
    }

    fn not_opened(&self, error: &Error) {
        let problem = PostgresError::describe(error);
        if self.outage.begins() {
            tracing::warn!(error = %problem, "⚠️ PostgreSQL can't be used; retrying");
        }
        self.log_lost(&problem);
    }

    fn closed(&self) {
        self.open.dec();
    }

    fn lost(&self, error: Option<&Error>) {
        self.lost.inc();
        if let Some(error) = error {
            self.log_lost(&PostgresError::describe(error));
        }
    }

    fn failed(&self, error: &Error) {
        if PostgresError::is_failure_of_the_store(error) {
            self.failures.inc();
        }
    }
}

impl Monitor {
    fn log_lost(&self, problem: &str) {
        let purpose = self.purpose.as_str();
        tracing::debug!(error = problem, purpose, "💾 A database connection was lost");
    }
}

/// The server of the configuration, with the settings of every connection.
pub(crate) fn server(config: &PostgresConfig) -> Server {
    let is_named = config.statements == StatementNames::Named;
    Server::new(&Settings {
        host: config.host.clone(),
        port: config.port,
        username: config.username.clone(),
        password: config.password.clone(),
        database: config.database.clone(),
        application_name: config.application_name.to_string(),
        tls: match &config.tls {
            PostgresTls::Disable => Tls::Disable,
            PostgresTls::Prefer => Tls::Prefer,
            PostgresTls::Require => Tls::Require,
            PostgresTls::VerifyCa(roots) => Tls::VerifyCa(Arc::clone(&roots.store)),
            PostgresTls::VerifyFull(Some(roots)) => Tls::VerifyFull(Arc::clone(&roots.store)),
            PostgresTls::VerifyFull(None) => Tls::VerifyFull(tls::public_roots()),
        },
        channel_binding: match config.channel_binding {
            ChannelBinding::Disable => pg_pipeline::ChannelBinding::Disable,
            ChannelBinding::Prefer => pg_pipeline::ChannelBinding::Prefer,
            ChannelBinding::Require => pg_pipeline::ChannelBinding::Require,
        },
        // A pooler in transaction mode can't keep the settings of a connection.
        options: is_named.then(|| OPTIONS.to_owned()),
        statement_names: match config.statements {
            StatementNames::Named => pg_pipeline::StatementNames::Named,
            StatementNames::Unnamed => pg_pipeline::StatementNames::Unnamed,
        },
    })
}

//! What the service counts and measures, for `GET /metrics` on the health port.
//!
//! The registry, with every family's name and help, is here; docs/metrics.md describes each. Labels
//! have fixed sets of values, so clients can't inflate the `/metrics` output. This module must not
//! depend on which code updates a metric.

mod durations;
mod labels;
mod last_seen;
mod process;
mod routes;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::discogs::{CallOutcome, Endpoint};
use crate::rate_limits::Limit;
use process::Process;
use routes::Requests;

pub use durations::Durations;
pub use labels::{Method, Port, Purpose, RevokedBy, SignIn, Store};
pub use last_seen::LastSeen;
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use routes::Route;

/// Every family of the service, and the registry that writes them.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    /// Sign-ins, by how they ended.
    pub sign_ins: Family<SignIn, Counter>,
    /// Passwords waiting for a worker.
    pub password_queue_length: Gauge<u64, AtomicU64>,
    /// How long passwords waited for a worker.
    pub password_waits: Durations,
    /// How long passwords were hashed.
    pub password_hashes: Durations,
    /// Requests refused by a limit.
    pub rate_limited: Family<Limit, Counter>,
    /// Requests to Discogs, by how they ended.
    pub discogs_requests: Family<(Endpoint, CallOutcome), Counter>,
    /// How long requests to Discogs took.
    pub discogs_durations: Family<Endpoint, Durations>,
    /// How many requests Discogs last said are left.
    pub discogs_rate_remaining: LastSeen,
    /// Whether each store answered the last check: 1 or 0.
    pub stores_up: Family<Store, LastSeen>,
    /// Open connections to PostgreSQL.
    pub postgres_connections: Family<Purpose, Gauge>,
    /// Connections to PostgreSQL that ended before the service did.
    pub postgres_lost_connections: Family<Purpose, Counter>,
    /// Failed calls to the storage.
    pub storage_errors: Counter,
    /// Failed calls to the state store.
    pub state_store_errors: Counter,
    /// Stored secrets that could not be decrypted.
    pub unreadable_secrets: Counter,
    /// The Python service's marks of revoked tokens in memory.
    pub revocation_marks: Family<RevokedBy, Gauge>,
    /// How often all these marks were read from Redis.
    pub revocation_reads: Counter,
    /// Whether Redis reports new marks: 1 or 0; unset if marks are ignored.
    pub revocation_tracking_up: LastSeen,
    /// Open connections of HTTP clients.
    pub http_connections: Family<Port, Gauge>,
    /// Connections of HTTP clients closed to make room for others.
    pub connections_closed_for_room: Family<Port, Counter>,
    /// Connections of HTTP clients answered 503 because all others were busy.
    pub connections_turned_away: Family<Port, Counter>,
}

impl Metrics {
    /// Registers every family, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut metrics = Self::default();
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("discogsography");
        metrics.register_http(ours);
        metrics.register_sign_ins(ours);
        metrics.register_discogs(ours);
        metrics.register_stores(ours);
        metrics.register_revocations(ours);
        ours.register("build", "Always 1", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register_collector(Box::new(Process));
        metrics.registry = registry;
        Arc::new(metrics)
    }

    /// All metrics in Prometheus's text format, version 0.0.4; see [`CONTENT_TYPE`].
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }

    /// The counts of a route, empty for paths without one; to be kept by the caller.
    #[must_use]
    pub fn route(&self, template: &str) -> Arc<Route> {
        Arc::new(self.requests.route(template))
    }

    fn register_http(&self, registry: &mut Registry) {
        let Requests { answered, durations } = &self.requests;
        register(registry, "http_requests", "Requests", answered);
        register(
            registry,
            "http_request_duration_seconds",
            "From the head of a request to its answer",
            durations,
        );
        register_each(
            registry,
            "http_connections",
            "Open connections of clients",
            &self.http_connections,
            Port::ALL,
        );
        register_each(
            registry,
            "connections_closed_for_room",
            "Connections of clients closed because the limit was reached",
            &self.connections_closed_for_room,
            Port::ALL,
        );
        register_each(
            registry,
            "connections_turned_away",
            "Connections of clients answered 503 because all others were busy",
            &self.connections_turned_away,
            Port::ALL,
        );
    }

    fn register_sign_ins(&self, registry: &mut Registry) {
        let Self { sign_ins, rate_limited, .. } = self;
        register_each(registry, "sign_ins", "Sign-ins by how they ended", sign_ins, SignIn::ALL);
        register(
            registry,
            "password_queue_length",
            "Passwords waiting for a worker",
            &self.password_queue_length,
        );
        register(
            registry,
            "password_wait_seconds",
            "How long passwords waited for a worker",
            &self.password_waits,
        );
        register(
            registry,
            "password_hash_seconds",
            "How long passwords were hashed, several at once",
            &self.password_hashes,
        );
        let help = "Requests refused by a limit";
        register_each(registry, "rate_limited", help, rate_limited, Limit::ALL);
    }

    fn register_discogs(&self, registry: &mut Registry) {
        let pairs =
            Endpoint::ALL.map(|endpoint| CallOutcome::ALL.map(|outcome| (endpoint, outcome)));
        register_each(
            registry,
            "discogs_requests",
            "Requests to Discogs by how they ended",
            &self.discogs_requests,
            pairs.into_iter().flatten(),
        );
        register_each(
            registry,
            "discogs_request_duration_seconds",
            "How long requests to Discogs took",
            &self.discogs_durations,
            Endpoint::ALL,
        );
        register(
            registry,
            "discogs_rate_remaining",
            "How many requests Discogs last said are left",
            &self.discogs_rate_remaining,
        );
    }

    fn register_stores(&self, registry: &mut Registry) {
        register_each(
            registry,
            "store_up",
            "Whether a store answered the last check: 1 or 0",
            &self.stores_up,
            Store::ALL,
        );
        register(registry, "storage_errors", "Failed calls to the database", &self.storage_errors);
        register(
            registry,
            "unreadable_secrets",
            "Stored secrets that could not be decrypted",
            &self.unreadable_secrets,
        );
        register(
            registry,
            "state_store_errors",
            "Failed calls to the state store",
            &self.state_store_errors,
        );
        register_each(
            registry,
            "postgres_connections",
            "Open connections to PostgreSQL",
            &self.postgres_connections,
            Purpose::ALL,
        );
        register_each(
            registry,
            "postgres_lost_connections",
            "Connections to PostgreSQL that were lost",
            &self.postgres_lost_connections,
            Purpose::ALL,
        );
    }

    fn register_revocations(&self, registry: &mut Registry) {
        register_each(
            registry,
            "revocation_marks",
            "The Python service's marks of revoked tokens in memory",
            &self.revocation_marks,
            RevokedBy::ALL,
        );
        register(
            registry,
            "revocation_reads",
            "Complete reads of these marks from Redis",
            &self.revocation_reads,
        );
        register(
            registry,
            "revocation_tracking_up",
            "Whether Redis reports new marks: 1 or 0",
            &self.revocation_tracking_up,
        );
    }
}

fn register(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, help, AlwaysDescribed(metric.clone()));
}

/// Registers a family with a metric for each of these labels.
fn register_each<L, M: Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    family: &Family<L, M>,
    labels: impl IntoIterator<Item = L>,
) where
    L: Clone + Eq + Hash,
    Family<L, M>: Metric,
{
    for labels in labels {
        family.get_or_create_owned(&labels);
    }
    register(registry, name, help, family);
}

/// A metric whose help and type are written even while it has no samples.
#[derive(Debug)]
struct AlwaysDescribed<M>(M);

impl<M: EncodeMetric> EncodeMetric for AlwaysDescribed<M> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

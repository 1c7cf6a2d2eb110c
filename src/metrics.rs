//! What the service counts and measures, for `GET /metrics` on the health port.
//!
//! Passed on as a value. Counting is one or two additions to atomics: no lock, no allocation.
//! Every label has a fixed set of values, so nobody outside can make the text grow. Must not know
//! who counts what. The format is Prometheus's text format, version 0.0.4.

mod families;
mod kinds;
mod labels;
mod process;
mod routes;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use crate::discogs::{CallOutcome, Endpoint};
use crate::rate_limits::Limit;

pub use kinds::{Counter, Family, Gauge, Histogram, LastSeen};
pub use labels::{Label, Method, Port, Purpose, SignIn, Store};
pub use routes::Route;

/// Everything that is counted; what a family means is said in `families` and docs/metrics.md.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: Mutex<Vec<Arc<Route>>>,
    /// Sign-ins, by how they ended.
    pub sign_ins: Family<SignIn, Counter>,
    /// Passwords that wait for a worker.
    pub password_queue_length: Gauge,
    /// How long passwords waited for a worker.
    pub password_waits: Histogram,
    /// How long passwords were hashed for.
    pub password_hashes: Histogram,
    /// Requests that a limit turned away.
    pub rate_limited: Family<Limit, Counter>,
    /// Requests to Discogs, by what came of them.
    pub discogs_requests: Family<Endpoint, Family<CallOutcome, Counter>>,
    /// How long they took.
    pub discogs_durations: Family<Endpoint, Histogram>,
    /// How many requests Discogs said are left.
    pub discogs_rate_remaining: LastSeen,
    /// Whether the stores answered the last check.
    pub stores_up: Family<Store, LastSeen>,
    /// Connections to PostgreSQL that are up.
    pub postgres_connections: Family<Purpose, Gauge>,
    /// Connections to PostgreSQL that were up and ended before the service did.
    pub postgres_lost_connections: Family<Purpose, Counter>,
    /// What the storage was asked for and did not do.
    pub storage_errors: Counter,
    /// What the state store was asked for and did not do.
    pub state_store_errors: Counter,
    /// Connections of HTTP clients.
    pub http_connections: Family<Port, Gauge>,
    /// Connections of HTTP clients that were closed because there were as many as may be.
    pub connections_closed_for_room: Family<Port, Counter>,
    /// Connections of HTTP clients that were told to come again, since all others were at work.
    pub connections_turned_away: Family<Port, Counter>,
}

impl Metrics {
    /// Begins to count, from nothing.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The counts of a route, the same ones however often they are asked for.
    ///
    /// Locks: for when the routes are set up.
    pub fn route(&self, template: &'static str) -> Arc<Route> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.iter().find(|route| route.template() == template) {
            return Arc::clone(route);
        }
        let route = Arc::new(Route::new(template));
        routes.push(Arc::clone(&route));
        route
    }

    fn routes(&self) -> Vec<Arc<Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

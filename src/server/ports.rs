//! The two ports: the limits of each, and what is counted and logged about its connections.

use std::net::TcpListener;
use std::time::Duration;

use http_door::{Observer, Settings, Warning};
use tracing::{error, warn};

use super::DRAIN_TIME;
use crate::http::{self, AppState};
use crate::metrics::{Counter, Gauge, Metrics, Port};

/// The maximum number of connections that the API serves at once.
///
/// Each may hold the largest head or body that is accepted: more would not fit into the memory of a
/// small machine.
const MAX_API_CONNECTIONS: usize = 2048;

/// How many the API serves at least, even if there are few file descriptors.
const MIN_API_CONNECTIONS: usize = 128;

/// The health port has few clients.
const MAX_HEALTH_CONNECTIONS: usize = 128;

/// File descriptors that are kept for the stores, for files, for the health port, and for the extra
/// and closing connections of both ports.
const RESERVED_DESCRIPTORS: usize = 768;

/// A port that is bound and not yet served.
pub(super) struct BoundPort {
    listener: TcpListener,
    routes: http::Port,
    settings: Settings,
    observer: PortObserver,
}

/// Counts and logs what happens at a port.
struct PortObserver {
    address: String,
    /// The limit on its connections.
    limit: usize,
    open: Gauge,
    evicted: Counter,
    turned_away: Counter,
}

impl BoundPort {
    pub(super) fn api(listener: TcpListener, app: &AppState, keep_alive: Duration) -> Self {
        let limit =
            http_door::connections_within_file_limit(MAX_API_CONNECTIONS, RESERVED_DESCRIPTORS);
        let max_connections = limit.max(MIN_API_CONNECTIONS);
        let settings = Settings { max_connections, keep_alive, drain_time: DRAIN_TIME };
        let observer = PortObserver::new(&listener, Port::Api, &settings, &app.metrics);
        Self { listener, routes: http::api(app.clone()), settings, observer }
    }

    pub(super) fn health(listener: TcpListener, app: &AppState, keep_alive: Duration) -> Self {
        let (max_connections, drain_time) = (MAX_HEALTH_CONNECTIONS, Duration::ZERO);
        let settings = Settings { max_connections, keep_alive, drain_time };
        let observer = PortObserver::new(&listener, Port::Health, &settings, &app.metrics);
        Self { listener, routes: http::health_only(app.clone()), settings, observer }
    }

    /// Serves it until `stopped` completes, then finishes the requests in progress.
    pub(super) async fn serve(self, stopped: impl Future) {
        let Self { listener, routes, settings, observer } = self;
        if let Err(error) = http_door::serve(listener, routes, settings, observer, stopped).await {
            error!(%error, "❌ The listener of a port failed");
        }
    }
}

impl PortObserver {
    fn new(listener: &TcpListener, port: Port, settings: &Settings, metrics: &Metrics) -> Self {
        Self {
            address: listener.local_addr().map(|it| it.to_string()).unwrap_or_default(),
            limit: settings.max_connections,
            open: metrics.http_connections.get_or_create_owned(&port),
            evicted: metrics.connections_closed_for_room.get_or_create_owned(&port),
            turned_away: metrics.connections_turned_away.get_or_create_owned(&port),
        }
    }
}

impl Observer for PortObserver {
    fn opened(&self) {
        self.open.inc();
    }

    fn closed(&self) {
        self.open.dec();
    }

    fn evicted(&self) {
        self.evicted.inc();
    }

    fn turned_away(&self) {
        self.turned_away.inc();
    }

    fn warn(&self, warning: Warning<'_>) {
        let Self { address, limit, .. } = self;
        match warning {
            Warning::AllBusy => warn!(
                limit,
                address,
                "⚠️ Connection limit reached and every connection is busy: answering new ones with 503"
            ),
            Warning::Evicting => {
                warn!(
                    limit,
                    address,
                    "⚠️ Connection limit reached: closing idle ones to make room for new ones"
                );
            }
            Warning::AcceptFailed(error) => {
                warn!(%error, address, "⚠️ A connection could not be accepted");
            }
            Warning::CutOff => warn!("⚠️ Requests that took too long were cut off"),
        }
    }
}

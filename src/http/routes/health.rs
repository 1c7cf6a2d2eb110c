//! The health of the service, for load balancers, containers and people.
//!
//! A check has a time limit and its result is kept for a moment, so that probes cost little and
//! never wait behind other work. Each port has checks of its own: neither waits for the other's
//! runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::clock::{Clock, Timestamp};
use crate::flows::Flows;
use crate::http::json::Json;
use crate::metrics::{Metrics, Store};
use crate::storage::{Storage, StorageError};

/// A check that takes longer has failed.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// How long the result of the checks is kept.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The `Retry-After` of an unhealthy service.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The lifecycle stage of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ServiceStage)]
pub enum Stage {
    /// The storage has not been prepared yet.
    Starting,
    /// The service answers every request.
    Ready,
    /// The service is stopping and finishes the requests in progress.
    Draining,
}

/// The stage of the service; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<AtomicU8>);

/// Checks the parts of the service.
#[derive(Debug)]
pub struct Health {
    storage: Arc<dyn Storage>,
    flows: Flows,
    lifecycle: Lifecycle,
    clock: Clock,
    metrics: Arc<Metrics>,
    last: Mutex<Option<Checked>>,
}

/// The result of the checks; outdated once the stage changes.
#[derive(Debug, Clone, Copy)]
struct Checked {
    at: Instant,
    result: Checks,
}

/// Whether a store is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StoreStatus {
    Up,
    Down,
    /// It answers but has no room to write.
    DiskFull,
}

/// The state of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HealthStatus)]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

/// The health of the service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthAnswer {
    /// Always `api`.
    #[schema(example = "api")]
    service: &'static str,
    status: Status,
    /// The time of the response.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:15:30.123456+00:00")]
    timestamp: Timestamp,
    /// In the response of `/health` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    checks: Option<Checks>,
}

/// The parts of the service.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = HealthChecks)]
struct Checks {
    service: Stage,
    database: StoreStatus,
    state_store: StoreStatus,
}

impl Lifecycle {
    /// Returns the current stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Draining,
        }
    }

    /// Records that the storage has been prepared; a draining service remains so.
    pub fn ready(&self) {
        self.0.fetch_max(1, Ordering::AcqRel);
    }

    /// Records that the service is stopping.
    pub fn drain(&self) {
        self.0.fetch_max(2, Ordering::AcqRel);
    }
}

impl Health {
    /// Creates health checks for these components.
    #[must_use]
    pub fn new(
        storage: Arc<dyn Storage>,
        flows: Flows,
        lifecycle: Lifecycle,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { storage, flows, lifecycle, clock, metrics, last: Mutex::default() }
    }

    /// Returns a copy with its own cached result, for use on one port.
    pub(crate) fn for_a_port(&self) -> Arc<Self> {
        let Self { storage, flows, lifecycle, clock, metrics, last: _ } = self;
        let (storage, flows) = (Arc::clone(storage), flows.clone());
        let (clock, metrics) = (clock.clone(), Arc::clone(metrics));
        Arc::new(Self::new(storage, flows, lifecycle.clone(), clock, metrics))
    }

    /// Returns the handle that holds the service's stage.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Checks the stores, unless that was done a moment ago, and updates their metrics.
    pub(crate) async fn check(&self) {
        self.checks().await;
    }

    async fn checks(&self) -> Checks {
        let mut last = self.last.lock().await;
        let service = self.lifecycle.stage();
        let is_kept =
            |last: &Checked| last.result.service == service && last.at.elapsed() < KEPT_FOR;
        if let Some(last) = last.filter(is_kept) {
            return last.result;
        }
        let (database, flows) = tokio::join!(
            tokio::time::timeout(CHECK_TIME, self.storage.ping()),
            tokio::time::timeout(CHECK_TIME, self.flows.ping()),
        );
        let database = match database {
            Ok(Err(StorageError::DiskFull(_))) => StoreStatus::DiskFull,
            checked => up(&checked),
        };
        let result = Checks { service, database, state_store: up(&flows) };
        for (store, status) in
            [(Store::Database, result.database), (Store::StateStore, result.state_store)]
        {
            self.metrics.stores_up.get_or_create(&store).set((status == StoreStatus::Up).into());
        }
        *last = Some(Checked { at: Instant::now(), result });
        result
    }

    fn answer(&self, status: Status, checks: Option<Checks>) -> HealthAnswer {
        HealthAnswer { service: "api", status, timestamp: self.clock.now(), checks }
    }
}

/// Health
///
/// `degraded`: the state store is unavailable, so Discogs can't be connected; everything else
/// works. `unhealthy`: the database is unavailable, or the service is starting or draining.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "getHealth",
    tag = "Health",
    responses(
        (status = 200, description = "`healthy` or `degraded`.", body = HealthAnswer),
        (status = 503, description = "`unhealthy`.", body = HealthAnswer,
         headers(("Retry-After" = u32, description = "Seconds to wait.")))
    )
)]
pub(crate) async fn health(State(health): State<Arc<Health>>) -> HealthResponse {
    let checks = health.checks().await;
    let status = match (checks.service, checks.database, checks.state_store) {
        (Stage::Ready, StoreStatus::Up, StoreStatus::Up) => Status::Healthy,
        (Stage::Ready, StoreStatus::Up, StoreStatus::Down | StoreStatus::DiskFull) => {
            Status::Degraded
        }
        _ => Status::Unhealthy,
    };
    HealthResponse(health.answer(status, Some(checks)))
}

/// Liveness
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "getLiveness",
    tag = "Health",
    responses((status = 200, description = "The process is alive.", body = HealthAnswer))
)]
pub(crate) async fn live(State(health): State<Arc<Health>>) -> HealthResponse {
    HealthResponse(health.answer(Status::Healthy, None))
}

/// Readiness
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReadiness",
    tag = "Health",
    responses(
        (status = 200, description = "Ready for requests.", body = HealthAnswer),
        (status = 503, description = "Starting or draining.", body = HealthAnswer,
         headers(("Retry-After" = u32, description = "Seconds to wait.")))
    )
)]
pub(crate) async fn ready(State(health): State<Arc<Health>>) -> HealthResponse {
    let is_ready = health.lifecycle.stage() == Stage::Ready;
    let status = if is_ready { Status::Healthy } else { Status::Unhealthy };
    HealthResponse(health.answer(status, None))
}

/// A health answer with its status code.
pub(crate) struct HealthResponse(HealthAnswer);

impl IntoResponse for HealthResponse {
    fn into_response(self) -> Response {
        match self.0.status {
            Status::Healthy | Status::Degraded => Json(self.0).into_response(),
            Status::Unhealthy => {
                let retry_after = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string())];
                (StatusCode::SERVICE_UNAVAILABLE, retry_after, Json(self.0)).into_response()
            }
        }
    }
}

fn up<E, T>(checked: &Result<Result<(), E>, T>) -> StoreStatus {
    if matches!(checked, Ok(Ok(()))) { StoreStatus::Up } else { StoreStatus::Down }
}

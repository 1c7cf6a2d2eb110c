//! `GET /metrics` in Prometheus's text format, on the health port only.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::routes::health::Health;
use crate::http::state::AppState;
use crate::metrics::CONTENT_TYPE;

/// Returns all metrics, after a check of the stores like that of `/health`.
pub(crate) async fn metrics(State(app): State<AppState>, health: Arc<Health>) -> Response {
    health.check().await;
    let text = app.metrics.to_text();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

//! `GET /metrics`, on the health port alone: for Prometheus and whoever reads its text format.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::routes::health::Health;
use crate::http::state::AppState;
use crate::metrics::CONTENT_TYPE;

/// What was counted, with the stores as they are: they are checked as `/health` checks them.
pub(crate) async fn metrics(State(app): State<AppState>, health: Arc<Health>) -> Response {
    health.check().await;
    let text = app.metrics.to_text();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

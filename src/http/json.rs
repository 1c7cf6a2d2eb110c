//! Answers in JSON.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use crate::telemetry::chain;

/// Most answers are shorter, in bytes.
const USUAL_LENGTH: usize = 256;

/// An answer with this as its body. axum's own writes into a buffer that takes longer to write to.
pub(crate) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL_LENGTH);
        if let Err(error) = serde_json::to_writer(&mut body, &self.0) {
            return ApiError::Internal(chain(&error)).into_response();
        }
        let content_type = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

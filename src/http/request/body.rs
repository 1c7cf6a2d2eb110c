//! Reads the body of a request, with limits on length and time.

use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody as _};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::http::error::ApiError;
use crate::http::request::input;

/// The largest body that is read, in bytes.
const LENGTH: usize = 64 * 1024;

/// How long reading a body may take.
const TIME: Duration = Duration::from_secs(10);

/// Whether a body declares in its head that it is too large.
pub(crate) fn is_too_large(body: &Body) -> bool {
    body.size_hint().lower() > LENGTH as u64
}

/// Reads a whole body.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut body = Limited::new(body, LENGTH);
    let mut read = Vec::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            if let Some(chunk) = frame?.data_ref() {
                read.extend_from_slice(chunk);
            }
        }
        Ok::<_, BoxError>(())
    };
    match tokio::time::timeout(TIME, all).await {
        Ok(Ok(())) => Ok(read),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge),
        // Cut off, by the client or by the time limit.
        Ok(Err(_)) | Err(_) => Err(ApiError::InvalidInput(input::json_invalid(read.len()))),
    }
}

//! Reads the body of a request, bounded in length and time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use http_body_util::BodyExt as _;

use crate::http::error::ApiError;
use crate::http::request::input;

/// The largest body that is read.
const LENGTH: usize = 64 * 1024;

/// A body that takes longer is cut off.
const TIME: Duration = Duration::from_secs(10);

/// Whether a body says in its head that it is too large.
pub(crate) fn is_too_large(body: &Body) -> bool {
    body.size_hint().lower() > LENGTH as u64
}

/// Reads a whole body.
pub(crate) async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut read = Vec::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            if let Some(chunk) = frame.map_err(|_| Cut::Off)?.data_ref() {
                if read.len() + chunk.len() > LENGTH {
                    return Err(Cut::TooLarge);
                }
                read.extend_from_slice(chunk);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(TIME, all).await.unwrap_or(Err(Cut::Off)) {
        Ok(()) => Ok(read),
        Err(Cut::TooLarge) => Err(ApiError::BodyTooLarge),
        Err(Cut::Off) => Err(ApiError::InvalidInput(input::json_invalid(read.len()))),
    }
}

/// Why a body was not read to its end.
enum Cut {
    TooLarge,
    /// By the client, or by us after a time.
    Off,
}

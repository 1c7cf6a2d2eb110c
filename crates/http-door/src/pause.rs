//! Waiting for time to pass.

use std::time::Duration;

/// Waits for `duration`.
#[expect(clippy::disallowed_methods, reason = "callers wait for time and for nothing else")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

//! A route with nothing behind it: the upper bound of the HTTP library on this machine.

use std::net::Ipv4Addr;

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// Has the length of the answer of `/health/live`.
const ANSWER: &str =
    r#"{"service":"api","status":"healthy","timestamp":"2026-01-01T00:00:00.000000+00:00"}"#;

/// Serves every path that the cases request from the service.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let answer = async || ([(header::CONTENT_TYPE, "application/json")], ANSWER);
        let routes =
            Router::new().route("/health/live", get(answer)).route("/api/auth/me", get(answer));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        axum::serve(listener, routes).await?;
        Ok(())
    })
}

//! Taking connections on one port, and ending them gently.

use std::net::TcpListener;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::warn;

use crate::clock;
use crate::http::Port;

/// A client has so long to send the head of a request, also of the next one on its connection.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// When the machine has no more file descriptors to give, wait for some to come free.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(50);

/// Serves until `stopped` closes, then ends what is under way within `drain_time`.
pub(super) async fn serve(
    listener: TcpListener,
    port: Port,
    mut stopped: watch::Receiver<()>,
    drain_time: Duration,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "❌ A port can't be served");
            return;
        }
    };
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => serve_connection(stream, port.clone(), &connections),
            Err(error) => {
                warn!(%error, "⚠️ A connection could not be taken");
                clock::pause(PAUSE_WHEN_FULL).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain_time, connections.shutdown()).await.is_err()
        && !drain_time.is_zero()
    {
        warn!("⚠️ Requests that took too long were cut off");
    }
}

fn serve_connection(stream: TcpStream, port: Port, connections: &GracefulShutdown) {
    // Without it, small answers wait for the client's acknowledgement of the ones before.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| port.clone().answer(request)),
        );
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A client that breaks its connection harms nobody but itself.
        let _ = connection.await;
    });
}

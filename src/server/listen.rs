//! Taking connections on one port, bounding them, and ending them gently.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::warn;

use super::DRAIN_TIME;
use super::connections::{self, Closing, Connections, Doing, Room};
use crate::clock;
use crate::http::Port;
use crate::metrics::{self, Metrics};

/// A client has so long to send the head of a request, also of the next one on its connection.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long a service that stops waits for the rest of a head.
const HALF_HEAD_TIME: Duration = Duration::from_secs(1);

/// A client has so long to take what it was sent.
#[cfg(target_os = "linux")]
const WRITE_TIME: Duration = Duration::from_secs(30);

/// What the system keeps of an answer for a client that takes it slowly, in bytes; Linux doubles it.
const SEND_BUFFER_LENGTH: usize = 64 * 1024;

/// The longest head of a request, and the most of an answer that waits to be written, in bytes.
const BUFFER_LENGTH: usize = 80 * 1024;

/// When the machine has no more file descriptors to give, wait for some to come free.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(50);

/// The health port has few clients.
const HEALTH_CONNECTIONS: usize = 128;

/// The same warning comes at most this often.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// How a port is served.
pub(super) struct Limits {
    /// The most connections at once.
    connections: usize,
    /// How long what is under way may go on after the end was asked for.
    drain_time: Duration,
    /// What its connections count for.
    port: metrics::Port,
    metrics: Arc<Metrics>,
}

/// An open connection, which counts until this is dropped.
struct Open(Arc<Metrics>, metrics::Port);

/// A client that has connected.
struct Client {
    stream: TcpStream,
    peer: IpAddr,
    open: Open,
}

/// When the last warning was.
#[derive(Default)]
struct Warnings(Option<Instant>);

/// Serves until `stopped` closes, then ends what is under way.
pub(super) async fn serve(
    listener: TcpListener,
    port: Port,
    mut stopped: watch::Receiver<()>,
    limits: Limits,
) {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "❌ A port can't be served"),
    };
    let graceful = GracefulShutdown::new();
    let mut connections = Connections::new(limits.connections);
    let mut warnings = Warnings::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let room = connections.make_room();
                if room != Room::Free {
                    report_no_room(&room, &limits, &mut warnings, &address);
                }
                if room != Room::None {
                    let client = Client { stream, peer: peer.ip(), open: Open::new(&limits) };
                    serve_connection(client, &port, &graceful, connections.add());
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if warnings.may_come() {
                    warn!(%error, address, "⚠️ A connection could not be taken");
                }
                clock::pause(PAUSE_WHEN_FULL).await;
            }
        }
    }
    drop(listener);
    drain(graceful, connections, limits.drain_time).await;
}

/// Lets what is under way end. Who has begun a request and not gone on for a moment is idle, too.
async fn drain(graceful: GracefulShutdown, mut connections: Connections, time: Duration) {
    let mut ended = std::pin::pin!(tokio::time::timeout(time, graceful.shutdown()));
    let ended = tokio::select! {
        ended = &mut ended => ended,
        () = clock::pause(HALF_HEAD_TIME) => {
            connections.close_idle();
            ended.await
        }
    };
    if ended.is_err() && !time.is_zero() {
        warn!("⚠️ Requests that took too long were cut off");
    }
}

fn report_no_room(room: &Room, limits: &Limits, warnings: &mut Warnings, address: &str) {
    limits.metrics.connections_closed_for_room.of(limits.port).add_one();
    if !warnings.may_come() {
        return;
    }
    let most = limits.connections;
    if *room == Room::None {
        warn!(most, address, "⚠️ As many connections as may be, all busy: new ones are closed");
    } else {
        warn!(most, address, "⚠️ As many connections as may be: idle ones make room");
    }
}

/// Whether a client gave up before its connection was taken, which harms no other.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

impl Warnings {
    /// Whether another warning may come; it is taken to come then.
    fn may_come(&mut self) -> bool {
        let may = self.0.is_none_or(|last| last.elapsed() > BETWEEN_WARNINGS);
        if may {
            self.0 = Some(Instant::now());
        }
        may
    }
}

impl Limits {
    pub(super) fn of_api(metrics: Arc<Metrics>) -> Self {
        let (connections, drain_time) = (connections::most(), DRAIN_TIME);
        Self { connections, drain_time, port: metrics::Port::Api, metrics }
    }

    pub(super) fn of_health(metrics: Arc<Metrics>) -> Self {
        let (connections, drain_time) = (HEALTH_CONNECTIONS, Duration::ZERO);
        Self { connections, drain_time, port: metrics::Port::Health, metrics }
    }
}

impl Open {
    fn new(limits: &Limits) -> Self {
        limits.metrics.http_connections.of(limits.port).up();
        Self(Arc::clone(&limits.metrics), limits.port)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.http_connections.of(self.1).down();
    }
}

fn serve_connection(
    Client { stream, peer, open }: Client,
    port: &Port,
    graceful: &GracefulShutdown,
    (doing, closing): (Doing, Closing),
) {
    set_up(&stream);
    let (port, idle) = (port.clone(), doing.clone());
    let answer = move |request| {
        let (port, busy, waits) = (port.clone(), doing.begin(), doing.waits());
        async move {
            let answer = port.answer(peer, waits, request).await;
            drop(busy);
            answer
        }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER_LENGTH)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _open = open;
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            // A client that breaks its connection harms nobody but itself.
            _ = &mut connection => return,
            () = closing.told() => {}
        }
        // A request may have begun, or gone on, since this one was chosen.
        if idle.is_at_work() {
            let _ = connection.await;
        }
    });
}

/// Where the system refuses one of these, the connection works all the same.
fn set_up(stream: &TcpStream) {
    // Without it, small answers wait for the client's acknowledgement of the ones before.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_LENGTH);
    // A client that takes nothing would keep its connection for ever (RFC 5482).
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(WRITE_TIME));
}

//! Taking connections on one port, bounding them, and ending them gently.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::DRAIN_TIME;
use super::connections::{self, Connections, Doing, Ended, Room};
use super::stream::Stream;
use crate::clock;
use crate::http::Port;
use crate::metrics::{self, Metrics};

/// A client has so long to send the head of a request, also of the next one on its connection.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// So often it is looked who has taken longer. One look at all instead of a timer for each request.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How long a service that stops waits for the rest of a head.
const HALF_HEAD_TIME: Duration = Duration::from_secs(1);

/// A client has so long to take what it was sent.
#[cfg(target_os = "linux")]
const WRITE_TIME: Duration = Duration::from_secs(30);

/// What the system keeps of an answer for a client that takes it slowly, in bytes; Linux doubles it.
const SEND_BUFFER_LENGTH: usize = 64 * 1024;

/// The longest head of a request, and the most of an answer that waits to be written, in bytes.
const BUFFER_LENGTH: usize = 80 * 1024;

/// In a crowd, so long until it is looked again whether there is room.
const PAUSE_IN_A_CROWD: Duration = Duration::from_millis(5);

/// When the machine has no more file descriptors to give, wait for some to come free.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(50);

/// The health port has few clients.
const HEALTH_CONNECTIONS: usize = 128;

/// While all connections are at work, so many more are told to come again, on each port.
const TURNED_AWAY: usize = 128;

/// They have so long to send the head of their request.
const TURNED_AWAY_HEAD_TIME: Duration = Duration::from_secs(2);

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

/// What lets clients in on a port.
struct Door {
    served: Served,
    /// How those are served who come while all connections are at work.
    turned_away: Served,
    connections: Connections,
    /// Those that are turned away.
    crowd: Connections,
    tasks: TaskTracker,
    warnings: Warnings,
    limits: Limits,
    address: String,
}

/// How a connection is served.
struct Served {
    port: Port,
    /// Whether its client may send more than one request.
    keeps_alive: bool,
}

/// An open connection, which counts until this is dropped.
struct Open(Arc<Metrics>, metrics::Port);

/// A client that has connected.
struct Client {
    stream: TcpStream,
    peer: IpAddr,
    open: Open,
}

/// What is warned of, again and again, with when that was last.
#[derive(Default)]
struct Warnings {
    all_at_work: Warning,
    room_made: Warning,
    not_taken: Warning,
}

#[derive(Default)]
struct Warning(Option<Instant>);

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
    let mut door = Door::new(port, limits, address);
    let mut looks = tokio::time::interval(BETWEEN_LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = looks.tick() => {
                door.close_overdue();
                continue;
            }
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => door.let_in(stream, peer.ip()).await,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                door.report_not_taken(&error);
                clock::pause(PAUSE_WHEN_FULL).await;
            }
        }
    }
    drop(listener);
    door.drain().await;
}

impl Door {
    fn new(port: Port, limits: Limits, address: String) -> Self {
        let full = port.when_full();
        Self {
            served: Served { port, keeps_alive: true },
            turned_away: Served { port: full, keeps_alive: false },
            connections: Connections::new(limits.connections),
            crowd: Connections::new(TURNED_AWAY),
            tasks: TaskTracker::new(),
            warnings: Warnings::default(),
            limits,
            address,
        }
    }

    /// Serves a client, or tells it to come again, as soon as there is room for either.
    async fn let_in(&mut self, stream: TcpStream, peer: IpAddr) {
        let client = Client { stream, peer, open: Open::new(&self.limits) };
        let (served, connections) = loop {
            let room = self.connections.make_room();
            self.report(room);
            if room.is_there() {
                break (&self.served, &mut self.connections);
            }
            if room == Room::None {
                let room = self.crowd.make_room();
                self.report(room);
                if room.is_there() {
                    break (&self.turned_away, &mut self.crowd);
                }
            }
            clock::pause(PAUSE_IN_A_CROWD).await;
        };
        connections.add(|doing, asked_to_end| {
            let serving = serve_connection(client, served, doing, asked_to_end);
            self.tasks.spawn(serving).abort_handle()
        });
    }

    fn close_overdue(&mut self) {
        self.connections.close_overdue(HEAD_TIME);
        self.crowd.close_overdue(TURNED_AWAY_HEAD_TIME);
    }

    fn report(&mut self, room: Room) {
        let Limits { connections: most, port, metrics, .. } = &self.limits;
        if room == Room::Made {
            metrics.connections_closed_for_room.of(*port).add_one();
        }
        let (address, warnings) = (&self.address, &mut self.warnings);
        if room == Room::None && warnings.all_at_work.may_come() {
            warn!(most, address, "⚠️ As many connections as may be, all at work: others must wait");
        } else if room == Room::Made && warnings.room_made.may_come() {
            warn!(most, address, "⚠️ As many connections as may be: idle ones make room");
        }
    }

    fn report_not_taken(&mut self, error: &std::io::Error) {
        if self.warnings.not_taken.may_come() {
            let address = &self.address;
            warn!(%error, address, "⚠️ A connection could not be taken");
        }
    }

    /// Lets what is under way end. Who has begun a request and not gone on for a moment is idle, too.
    async fn drain(mut self) {
        let time = self.limits.drain_time;
        self.connections.end();
        self.crowd.end();
        self.tasks.close();
        let mut ended = std::pin::pin!(tokio::time::timeout(time, self.tasks.wait()));
        let ended = tokio::select! {
            ended = &mut ended => ended,
            () = clock::pause(HALF_HEAD_TIME) => {
                self.connections.close_overdue(Duration::ZERO);
                self.crowd.close_overdue(Duration::ZERO);
                ended.await
            }
        };
        if ended.is_err() && !time.is_zero() {
            warn!("⚠️ Requests that took too long were cut off");
        }
    }
}

/// Whether a client gave up before its connection was taken, which harms no other.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

impl Warning {
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

/// Serves a connection until it ends, or after the request under way where it is asked to end.
fn serve_connection(
    Client { stream, peer, open }: Client,
    served: &Served,
    doing: Doing,
    asked_to_end: oneshot::Receiver<()>,
) -> impl Future<Output = ()> + use<> {
    set_up(&stream);
    let (port, stream) = (served.port.clone(), Stream::new(stream, doing.clone()));
    let answer = move |request| {
        let (port, busy, waits) = (port.clone(), doing.begin(), doing.waits());
        async move {
            let _busy = busy?;
            Ok::<_, Ended>(port.answer(peer, waits, request).await)
        }
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .keep_alive(served.keeps_alive)
        .max_buf_size(BUFFER_LENGTH)
        .serve_connection(stream, service_fn(answer));
    async move {
        let _open = open;
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            // A client that breaks its connection harms nobody but itself.
            _ = &mut connection => return,
            // Whoever could ask has gone, and with it the service.
            _ = asked_to_end => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
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

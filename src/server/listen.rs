//! Taking connections on one port, bounding them, and ending them gently.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connections::{self, Connections, Room};
use super::serving::{Client, Served};
use super::{CONNECTIONS_TO_COME, DRAIN_TIME};
use crate::clock;
use crate::http::Port;
use crate::metrics::{self, Metrics};

/// How long a client may take to send the head of a request, from its first byte on.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// So often it is looked who has taken longer. One look at all instead of a timer for each request.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// In a crowd, so long until it is looked again whether there is room.
const PAUSE_IN_A_CROWD: Duration = Duration::from_millis(5);

/// When the machine has no more file descriptors to give, wait for some to come free.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(50);

/// The health port has few clients.
const HEALTH_CONNECTIONS: usize = 128;

/// While all connections are at work, so many more are told to come again, on each port.
const TURNED_AWAY: usize = 128;

/// On a port that has few connections, one for so many of them.
const CONNECTIONS_PER_TURNED_AWAY: usize = 8;

/// They have so long to send the head of their request.
const TURNED_AWAY_HEAD_TIME: Duration = Duration::from_secs(2);

/// The same warning comes at most this often.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// How a port is served.
pub(super) struct Limits {
    /// The most connections at once.
    connections: usize,
    /// How long a connection is kept that waits for its next request.
    keep_alive: Duration,
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
    /// Who is let in next, as soon as there is room.
    waiting: Option<Client>,
    tasks: TaskTracker,
    warnings: Warnings,
    limits: Limits,
    address: String,
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
        tokio::select! {
            accepted = listener.accept(), if door.waiting.is_none() => match accepted {
                Ok((stream, peer)) => door.has_come(stream, peer.ip()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    door.report_not_taken(&error);
                    clock::pause(PAUSE_WHEN_FULL).await;
                }
            },
            () = clock::pause(PAUSE_IN_A_CROWD), if door.waiting.is_some() => {}
            _ = looks.tick() => door.close_overdue(),
            _ = stopped.changed() => break,
        }
        door.let_in();
    }
    door.let_in_the_last(listener);
    door.drain().await;
}

impl Door {
    fn new(port: Port, limits: Limits, address: String) -> Self {
        let full = port.when_full();
        let turned_away = TURNED_AWAY.min(limits.connections / CONNECTIONS_PER_TURNED_AWAY);
        Self {
            served: Served { port, keeps_alive: true },
            turned_away: Served { port: full, keeps_alive: false },
            connections: Connections::new(limits.connections),
            crowd: Connections::new(turned_away),
            waiting: None,
            tasks: TaskTracker::new(),
            warnings: Warnings::default(),
            limits,
            address,
        }
    }

    fn has_come(&mut self, stream: TcpStream, peer: IpAddr) {
        self.waiting = Some(Client::new(stream, peer, &self.limits.metrics, self.limits.port));
    }

    /// Serves the client that waits, or tells it to come again, if there is room for either.
    fn let_in(&mut self) {
        let Some(client) = self.waiting.take() else { return };
        let now = Instant::now();
        let room = self.connections.make_room(now);
        self.report(room);
        let (served, connections) = if room.is_there() {
            (&self.served, &mut self.connections)
        } else if room == Room::None && self.crowd.make_room(now).is_there() {
            self.limits.metrics.connections_turned_away.get_or_create(&self.limits.port).inc();
            (&self.turned_away, &mut self.crowd)
        } else {
            self.waiting = Some(client);
            return;
        };
        connections.add(|doing, asked_to_end| {
            let serving = served.serve(client, doing, asked_to_end);
            self.tasks.spawn(serving).abort_handle()
        });
    }

    /// Lets in whom the system has taken for this port already, as long as there is room, and closes
    /// the port. The system is asked itself, since the runtime may not have been told of them.
    fn let_in_the_last(&mut self, listener: tokio::net::TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..CONNECTIONS_TO_COME {
            if self.waiting.is_some() {
                return;
            }
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Ok(stream) = stream else { continue };
            self.has_come(stream, peer.ip());
            self.let_in();
        }
    }

    fn close_overdue(&mut self) {
        let now = Instant::now();
        self.connections.close_overdue(now, HEAD_TIME, self.limits.keep_alive);
        self.crowd.close_overdue(now, TURNED_AWAY_HEAD_TIME, TURNED_AWAY_HEAD_TIME);
    }

    fn report(&mut self, room: Room) {
        let Limits { connections: most, port, metrics, .. } = &self.limits;
        if room == Room::Made {
            metrics.connections_closed_for_room.get_or_create(port).inc();
        }
        let (address, warnings) = (&self.address, &mut self.warnings);
        if room == Room::None && warnings.all_at_work.may_come() {
            warn!(most, address, "⚠️ As many connections as may be, all at work: more get 503");
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

    /// Lets what is under way end. Who has begun a request and does not go on is soon overdue.
    async fn drain(mut self) {
        let time = self.limits.drain_time;
        let now = Instant::now();
        self.connections.end(now);
        self.crowd.end(now);
        self.waiting = None;
        self.tasks.close();
        let ended = tokio::time::timeout(time, async {
            loop {
                tokio::select! {
                    () = self.tasks.wait() => break,
                    () = clock::pause(BETWEEN_LOOKS) => self.close_overdue(),
                }
            }
        });
        if ended.await.is_err() && !time.is_zero() {
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
    pub(super) fn of_api(metrics: Arc<Metrics>, keep_alive: Duration) -> Self {
        let (connections, drain_time) = (connections::most(), DRAIN_TIME);
        Self { connections, keep_alive, drain_time, port: metrics::Port::Api, metrics }
    }

    pub(super) fn of_health(metrics: Arc<Metrics>, keep_alive: Duration) -> Self {
        let (connections, drain_time) = (HEALTH_CONNECTIONS, Duration::ZERO);
        Self { connections, keep_alive, drain_time, port: metrics::Port::Health, metrics }
    }
}

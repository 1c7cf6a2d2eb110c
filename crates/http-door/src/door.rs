//! Accepting the connections of one port, and closing them all at the end.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::connections::{Admission, Connections};
use crate::listen::BACKLOG;
use crate::observer::{Observer, Warning};
use crate::pause::pause;
use crate::serving::{Client, Serving};

/// How long a client may take to send the head of a request, from its first byte on.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How often overdue connections are swept: one timer for all instead of one for each request.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often a waiting connection is reconsidered while the limit is reached.
const ADMISSION_INTERVAL: Duration = Duration::from_millis(5);

/// The pause after the operating system refused to hand over a connection.
///
/// Usually the process has no file descriptors left.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Extra connections that are accepted only to be turned away when all others are busy.
const MAX_SURPLUS: usize = 128;

/// On a small port, one surplus connection is allowed per this many regular ones.
const CONNECTIONS_PER_SURPLUS: usize = 8;

/// How long a client that is turned away may take to send the head of its request.
const SURPLUS_HEAD_TIME: Duration = Duration::from_secs(2);

/// How often the same warning is repeated, at most.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The limits of a port.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The limit on open connections.
    ///
    /// A few more may be open for a moment, to be turned away or closed.
    pub max_connections: usize,
    /// How long an idle connection is kept open for its next request.
    pub keep_alive: Duration,
    /// How long requests in progress may take after shutdown begins.
    pub drain_time: Duration,
}

struct Door<A, O: Observer> {
    serving: Serving<A>,
    connections: Connections,
    /// How extra connections are served.
    turning_away: Serving<A>,
    surplus: Connections,
    /// Accepted, and not yet admitted.
    waiting: Option<Client<O>>,
    tasks: TaskTracker,
    settings: Settings,
    observer: Arc<O>,
    warnings: Warnings,
}

/// When each warning was last given.
#[derive(Default)]
struct Warnings {
    all_busy: Option<Instant>,
    evicting: Option<Instant>,
    accept_failed: Option<Instant>,
}

/// Serves `listener` until `shutdown` completes, then finishes the requests in progress.
///
/// # Errors
///
/// If `listener` can't be registered with the runtime. It must be non-blocking, as [`bind`] makes it.
///
/// [`bind`]: crate::bind
pub async fn serve(
    listener: TcpListener,
    answer: impl Answer,
    settings: Settings,
    observer: impl Observer,
    shutdown: impl Future,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut door = Door::new(answer, settings, observer);
    let mut shutdown = std::pin::pin!(shutdown);
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept(), if door.waiting.is_none() => match accepted {
                Ok((stream, peer)) => door.accept(stream, peer.ip()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    door.warn_accept_failed(&error);
                    pause(ACCEPT_RETRY_PAUSE).await;
                }
            },
            () = pause(ADMISSION_INTERVAL), if door.waiting.is_some() => {}
            _ = sweeps.tick() => door.close_overdue(),
            _ = &mut shutdown => break,
        }
        door.admit();
    }
    door.admit_backlog(listener);
    door.drain().await;
    Ok(())
}

impl<A: Answer, O: Observer> Door<A, O> {
    fn new(answer: A, settings: Settings, observer: O) -> Self {
        let limit = settings.max_connections;
        Self {
            serving: Serving { answer: answer.clone(), is_surplus: false },
            connections: Connections::new(limit),
            turning_away: Serving { answer, is_surplus: true },
            surplus: Connections::new(MAX_SURPLUS.min(limit / CONNECTIONS_PER_SURPLUS)),
            waiting: None,
            tasks: TaskTracker::new(),
            settings,
            observer: Arc::new(observer),
            warnings: Warnings::default(),
        }
    }

    fn accept(&mut self, stream: TcpStream, peer: IpAddr) {
        self.waiting = Some(Client::new(stream, peer, &self.observer));
    }

    /// Serves the waiting client or turns it away, if there is room for either.
    fn admit(&mut self) {
        let Some(client) = self.waiting.take() else { return };
        let now = Instant::now();
        let admission = self.connections.admit(now);
        self.report(admission);
        let (serving, connections) = if admission.is_granted() {
            (&self.serving, &mut self.connections)
        } else if admission == Admission::Busy && self.surplus.admit(now).is_granted() {
            self.observer.turned_away();
            (&self.turning_away, &mut self.surplus)
        } else {
            self.waiting = Some(client);
            return;
        };
        connections.add(|activity, asked_to_close| {
            let serving = serving.serve(client, activity, asked_to_close);
            self.tasks.spawn(serving).abort_handle()
        });
    }

    /// Closes the port, and admits the clients in its backlog while there is room.
    ///
    /// Asks the operating system directly: the runtime may not know of them yet.
    fn admit_backlog(&mut self, listener: tokio::net::TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..BACKLOG {
            if self.waiting.is_some() {
                return;
            }
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Ok(stream) = stream else { continue };
            self.accept(stream, peer.ip());
            self.admit();
        }
    }

    fn close_overdue(&mut self) {
        let now = Instant::now();
        self.connections.close_overdue(now, HEAD_TIME, self.settings.keep_alive);
        self.surplus.close_overdue(now, SURPLUS_HEAD_TIME, SURPLUS_HEAD_TIME);
    }

    fn report(&mut self, admission: Admission) {
        match admission {
            Admission::Free | Admission::Soon => {}
            Admission::Evicted => {
                self.observer.evicted();
                if is_due(&mut self.warnings.evicting) {
                    self.observer.warn(Warning::Evicting);
                }
            }
            Admission::Busy => {
                if is_due(&mut self.warnings.all_busy) {
                    self.observer.warn(Warning::AllBusy);
                }
            }
        }
    }

    fn warn_accept_failed(&mut self, error: &io::Error) {
        if is_due(&mut self.warnings.accept_failed) {
            self.observer.warn(Warning::AcceptFailed(error));
        }
    }

    /// Finishes the requests in progress.
    ///
    /// A client that stalls in the middle of its request is closed by the sweep.
    async fn drain(mut self) {
        let now = Instant::now();
        self.connections.close_all(now);
        self.surplus.close_all(now);
        self.waiting = None;
        self.tasks.close();
        let time = self.settings.drain_time;
        let finished = tokio::time::timeout(time, async {
            loop {
                tokio::select! {
                    () = self.tasks.wait() => break,
                    () = pause(SWEEP_INTERVAL) => self.close_overdue(),
                }
            }
        });
        if finished.await.is_err() && !time.is_zero() {
            self.observer.warn(Warning::CutOff);
        }
    }
}

/// Whether the error concerns a client that disconnected before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Whether a warning may be repeated; if so, notes that it was.
fn is_due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() > WARNING_INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

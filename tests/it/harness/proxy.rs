//! A TCP proxy in front of a real server, with which a test makes the server unavailable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The state of the path to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Open; the number changes each time the proxy is opened.
    Open(u64),
    /// New connections are closed at once.
    Closed,
    /// Connections are accepted, and never answered.
    Hanging,
}

/// A proxy; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    way: Arc<watch::Sender<Way>>,
    taken: Arc<AtomicUsize>,
    upstream: Arc<Mutex<String>>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `upstream`, open.
    pub(crate) async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (way, watched) = watch::channel(Way::Open(0));
        let upstream = Arc::new(Mutex::new(upstream.to_owned()));
        let leads_to = Arc::clone(&upstream);
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut ended = watched.clone();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (client, _) = accepted.unwrap();
                        count.fetch_add(1, Ordering::Relaxed);
                        let upstream = leads_to.lock().unwrap().clone();
                        tokio::spawn(serve(client, upstream, watched.clone()));
                    }
                    closed = until_dropped(&mut ended) => return closed,
                }
            }
        });
        Self { address, way: Arc::new(way), taken, upstream }
    }

    /// Forwards new connections to another server; existing connections stay.
    pub(crate) fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.upstream.lock().unwrap());
    }

    /// Returns how many connections were accepted.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Cuts every connection; new connections work.
    pub(crate) fn cut(&self) {
        self.way.send_modify(|way| {
            *way = match *way {
                Way::Open(number) => Way::Open(number + 1),
                Way::Closed | Way::Hanging => Way::Open(u64::MAX),
            };
        });
    }

    /// Makes the server unavailable: cuts connections, and closes new ones at once.
    pub(crate) fn close(&self) {
        self.way.send_replace(Way::Closed);
    }

    /// Makes the server hang: requests are not answered.
    pub(crate) fn hang(&self) {
        self.way.send_replace(Way::Hanging);
    }

    /// Makes the server available again.
    pub(crate) fn open(&self) {
        self.way.send_replace(Way::Open(1 << 32));
    }
}

async fn until_dropped(way: &mut watch::Receiver<Way>) {
    while way.changed().await.is_ok() {}
}

async fn serve(mut client: TcpStream, upstream: String, mut way: watch::Receiver<Way>) {
    let begun = *way.borrow_and_update();
    match begun {
        Way::Open(_) => {
            let Ok(mut server) = TcpStream::connect(upstream).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
                changed = way.changed() => if changed.is_err() { return },
            }
        }
        Way::Hanging => {
            if way.changed().await.is_err() {
                return;
            }
        }
        Way::Closed => return,
    }
    // A hanging connection is kept until the state changes again.
    if *way.borrow_and_update() == Way::Hanging {
        let _ = way.changed().await;
    }
}

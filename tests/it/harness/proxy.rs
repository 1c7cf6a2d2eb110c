//! A TCP proxy before a real server, by which a test takes the server away and gives it back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the way to the server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Open; the number tells the connections of one opening from those of the next.
    Open(u64),
    /// New connections are closed at once.
    Closed,
    /// Connections are taken, and nothing ever comes back.
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
    /// Starts one before the server at `upstream`, open.
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

    /// Leads new connections to another server; those that there are stay where they are.
    pub(crate) fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.upstream.lock().unwrap());
    }

    /// How many connections were made so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Cuts every connection; new ones are fine.
    pub(crate) fn cut(&self) {
        self.way.send_modify(|way| {
            *way = match *way {
                Way::Open(number) => Way::Open(number + 1),
                Way::Closed | Way::Hanging => Way::Open(u64::MAX),
            };
        });
    }

    /// Takes the server away: connections are cut, and new ones closed at once.
    pub(crate) fn close(&self) {
        self.way.send_replace(Way::Closed);
    }

    /// Lets the server hang: what is sent is not answered.
    pub(crate) fn hang(&self) {
        self.way.send_replace(Way::Hanging);
    }

    /// Gives the server back.
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
    // A connection that is to hang is kept, and dropped when the way changes again.
    if *way.borrow_and_update() == Way::Hanging {
        let _ = way.changed().await;
    }
}

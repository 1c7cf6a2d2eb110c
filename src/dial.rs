//! Opens TCP connections to a server by name: look-up, then its addresses in a staggered race
//! (RFC 8305), so that one address which doesn't answer never hides another.
//!
//! Bounded by the caller. Must not know what is spoken over the connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock;

/// How long one address has before the next is tried beside it (RFC 8305 section 5).
const BETWEEN_ADDRESSES: Duration = Duration::from_millis(250);

/// The most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreached {
    /// The name has no address, or the name server did not say.
    #[error("the name does not resolve: {0}")]
    Name(String),
    /// Nothing listens there.
    #[error("the connection is refused")]
    Refused,
    /// What the operating system says otherwise.
    #[error("{0}")]
    Other(String),
}

/// The addresses of a host, in the order in which they are to be tried.
///
/// # Errors
///
/// [`Unreached::Name`].
pub async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreached> {
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses = found.map_err(|error| Unreached::Name(without_prefix(&error)))?;
    Ok(alternating(addresses.collect()))
}

/// Connects to the first of the addresses that answers.
///
/// # Errors
///
/// What the last of them said.
pub async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, Unreached> {
    let mut waiting = addresses.into_iter().take(MOST_ADDRESSES);
    let mut attempts = JoinSet::new();
    let mut unreached = Unreached::Name("it has no address".to_owned());
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(unreached);
        }
        tokio::select! {
            Some(tried) = attempts.join_next() => match tried {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => unreached = error.into(),
                Err(error) => unreached = Unreached::Other(error.to_string()),
            },
            () = clock::pause(BETWEEN_ADDRESSES), if waiting.len() > 0 => {}
        }
    }
}

/// Takes turns between the two versions of IP, beginning with that of the first address.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_ipv6);
    let mut second = second.into_iter();
    let mut mixed: Vec<_> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    mixed.extend(second);
    mixed
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The standard library says twice what it was doing.
fn without_prefix(error: &io::Error) -> String {
    let text = error.to_string();
    let why = text.strip_prefix("failed to lookup address information: ");
    why.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    use super::{Unreached, alternating, connect};

    /// An address that takes no connection and refuses none: its queue is full.
    struct BlackHole {
        listener: Socket,
        /// Fills the queue as long as it is there.
        #[expect(dead_code, reason = "what it holds stays open")]
        waiting: Vec<Socket>,
    }

    impl BlackHole {
        fn new() -> Self {
            let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let waiting = (0..8).map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                // It is under way, or for ever.
                let _ = socket.connect(&address);
                socket
            });
            let waiting = waiting.collect();
            Self { listener, waiting }
        }

        fn address(&self) -> SocketAddr {
            self.listener.local_addr().unwrap().as_socket().unwrap()
        }
    }

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn refusing() -> SocketAddr {
        listening().1
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_hides_no_other() {
        let hole = BlackHole::new();
        let (_listener, good) = listening();
        let addresses = vec![hole.address(), hole.address(), refusing(), good];
        let stream = connect(addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn where_all_refuse_the_caller_is_told() {
        assert_eq!(connect(vec![refusing(), refusing()]).await.unwrap_err(), Unreached::Refused);
        let no_address = Unreached::Name("it has no address".to_owned());
        assert_eq!(connect(Vec::new()).await.unwrap_err(), no_address);
    }

    #[test]
    fn a_full_queue_takes_no_connection() {
        let hole = BlackHole::new();
        let patience = std::time::Duration::from_millis(50);
        let error = TcpStream::connect_timeout(&hole.address(), patience).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[test]
    fn both_versions_of_ip_take_turns() {
        let parsed = |addresses: [&str; 5]| addresses.map(|it| it.parse().unwrap()).to_vec();
        let found = parsed(["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let mixed = parsed(["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(alternating(found), mixed);
    }
}

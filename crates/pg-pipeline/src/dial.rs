//! Opens TCP connections to a host by name.
//!
//! Races its addresses, each with a head start (RFC 8305), so an address that does not answer never
//! hides another.
//!
//! The caller sets the time limit. Knows nothing of the protocol on top.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::pause;

/// How long an address is tried before the next one joins (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The maximum number of addresses of one name to connect to.
const MAX_ADDRESSES: usize = 16;

/// Why no connection was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialError {
    /// The name has no address, or the name server did not answer.
    #[error("the name does not resolve: {0}")]
    Name(String),
    /// Nothing listens there.
    #[error("the connection is refused")]
    Refused,
    /// Another error of the operating system.
    #[error("{0}")]
    Other(String),
}

/// Returns the addresses of a host, in the order to connect to them.
///
/// # Errors
///
/// [`DialError::Name`].
pub async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses = found.map_err(|error| DialError::Name(without_prefix(&error)))?;
    Ok(alternating(addresses.collect()))
}

/// Connects to the first address that answers.
///
/// # Errors
///
/// The error of the last address that failed.
pub async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut waiting = addresses.into_iter().take(MAX_ADDRESSES);
    let mut attempts = JoinSet::new();
    let mut failure = DialError::Name("it has no address".to_owned());
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error.into(),
                Err(error) => failure = DialError::Other(error.to_string()),
            },
            () = pause(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// Alternates between IPv4 and IPv6, starting with the first address's version.
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

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Returns the error without the standard library's description of the operation.
fn without_prefix(error: &io::Error) -> String {
    let text = error.to_string();
    let reason = text.strip_prefix("failed to lookup address information: ");
    reason.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    use super::{DialError, alternating, connect};

    /// An address that neither accepts nor refuses connections: its queue is full.
    struct BlackHole {
        listener: Socket,
        /// The connections that fill the queue.
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
                // It is in progress, possibly forever.
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
    async fn the_last_refusal_is_returned() {
        assert_eq!(connect(vec![refusing(), refusing()]).await.unwrap_err(), DialError::Refused);
        let no_address = DialError::Name("it has no address".to_owned());
        assert_eq!(connect(Vec::new()).await.unwrap_err(), no_address);
    }

    #[test]
    fn a_full_queue_accepts_no_connection() {
        let hole = BlackHole::new();
        let patience = std::time::Duration::from_millis(50);
        let error = TcpStream::connect_timeout(&hole.address(), patience).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[test]
    fn both_versions_of_ip_alternate() {
        let parsed = |addresses: [&str; 5]| addresses.map(|it| it.parse().unwrap()).to_vec();
        let found = parsed(["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let mixed = parsed(["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(alternating(found), mixed);
    }
}

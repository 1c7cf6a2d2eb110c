//! The way to a server: does its name resolve, does somebody listen there.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::bounded::blocking;
use super::report::{Check, Finding};

/// Name and connection together; what follows has its own time.
const LIMIT: Duration = Duration::from_millis(2_500);

/// A server and where its address comes from.
pub(super) struct Server<'a> {
    /// `host:port`
    pub(super) address: &'a str,
    /// As people call it.
    pub(super) name: &'a str,
    /// The variable that names the address.
    pub(super) variable: &'a str,
    /// What it is part of.
    pub(super) check: Check,
}

impl Server<'_> {
    /// Connects and closes again; the finding says why it could not.
    pub(super) async fn reach(&self) -> Result<(), Finding> {
        let Self { address, name, variable, check } = *self;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let reached = tokio::time::timeout(LIMIT, self.connect()).await;
        let (what, mend) = match reached {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Unreached::Name(why))) => (
                format!("The name `{host}` of {name} does not resolve: {why}"),
                format!("Correct {variable}, or the DNS of this machine: `getent hosts {host}`"),
            ),
            Ok(Err(Unreached::Refused)) => (
                format!("Nobody listens at {address}: the connection to {name} is refused"),
                match check {
                    Check::Discogs => format!("Correct {variable}, or look for a firewall"),
                    _ => format!("Start {name}, or correct {variable}"),
                },
            ),
            Ok(Err(Unreached::Other(why))) => (
                format!("No connection to {name} at {address}: {why}"),
                format!("Correct {variable}, or mend the network between here and there"),
            ),
            Err(_) => (
                format!("{name} at {address} did not take a connection within 2.5 s"),
                format!("Correct {variable}, or look for a firewall, or a machine that is down"),
            ),
        };
        Err(Finding::error(check, what, mend))
    }

    async fn connect(&self) -> Result<(), Unreached> {
        let address = self.address.to_owned();
        let resolved = blocking(move || address.to_socket_addrs().map(Vec::from_iter)).await;
        let addresses: Vec<SocketAddr> = match resolved {
            Some(Ok(addresses)) => addresses,
            Some(Err(error)) => return Err(Unreached::Name(without_prefix(&error))),
            None => return Err(Unreached::Other("this machine gives no thread".to_owned())),
        };
        // All at once: one of them that is silent must not take the time of the others.
        let mut tries: JoinSet<_> = addresses.into_iter().map(TcpStream::connect).collect();
        let mut unreached = Unreached::Other("the name has no address".to_owned());
        while let Some(Ok(tried)) = tries.join_next().await {
            match tried {
                Ok(_) => return Ok(()),
                Err(error) => unreached = error.into(),
            }
        }
        Err(unreached)
    }
}

enum Unreached {
    Name(String),
    Refused,
    Other(String),
}

impl From<std::io::Error> for Unreached {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The standard library says twice what it was doing.
fn without_prefix(error: &std::io::Error) -> String {
    let text = error.to_string();
    let why = text.strip_prefix("failed to lookup address information: ");
    why.unwrap_or(&text).to_owned()
}

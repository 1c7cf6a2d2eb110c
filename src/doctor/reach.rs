//! Checks whether a server's name resolves, and whether it accepts a connection.

use std::time::Duration;

use super::report::{Check, Finding};
use pg_pipeline::dial::{self, DialError};

/// The limit for resolving the name and connecting.
const LIMIT: Duration = Duration::from_secs(5);

/// A server, and the variable that sets its address.
#[derive(Clone, Copy)]
pub(super) struct Server<'a> {
    /// `host:port`
    pub(super) address: &'a str,
    /// Its name in findings.
    pub(super) name: &'a str,
    /// The variable that sets the address.
    pub(super) variable: &'a str,
    /// The check that the finding belongs to.
    pub(super) check: Check,
}

impl Server<'_> {
    /// Connects and closes the connection; a failure is returned as a finding.
    pub(super) async fn reach(self) -> Result<(), Finding> {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((self.address, ""));
        let reached = tokio::time::timeout(LIMIT, async {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let addresses = dial::look_up(host, port.parse().unwrap_or_default()).await?;
            dial::connect(addresses).await
        });
        match reached.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(unreached)) => Err(self.unreached(&unreached)),
            Err(_) => {
                let Self { address, name, variable, check } = self;
                let seconds = LIMIT.as_secs();
                Err(Finding::error(
                    check,
                    format!("{name} at {address} did not accept a connection within {seconds} s"),
                    format!(
                        "Correct {variable}, or check for a firewall or a machine that is down"
                    ),
                ))
            }
        }
    }

    /// Reports why it could not be reached.
    pub(super) fn unreached(self, unreached: &DialError) -> Finding {
        let Self { address, name, variable, check } = self;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let (what, fix) = match unreached {
            DialError::Name(why) => (
                format!("The name `{host}` of {name} does not resolve: {why}"),
                format!("Correct {variable}, or the name server of this machine or container"),
            ),
            DialError::Refused => (
                format!("Nothing listens at {address}: the connection to {name} is refused"),
                match check {
                    Check::Discogs => format!("Correct {variable}, or check for a firewall"),
                    _ => format!("Start {name}, or correct {variable}"),
                },
            ),
            DialError::Other(why) => (
                format!("No connection to {name} at {address}: {why}"),
                format!("Correct {variable}, or fix the network between here and there"),
            ),
        };
        Finding::error(check, what, fix)
    }
}

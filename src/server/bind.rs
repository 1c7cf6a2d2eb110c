//! Taking both ports, before anything else is opened.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use thiserror::Error;

use super::CONNECTIONS_TO_COME;
use crate::config::Config;

/// Both ports, bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// For health.
    pub health: TcpListener,
}

/// A port is taken, or not ours to bind.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {}", cure(error, *address, variable))]
pub struct BindError {
    /// What was to be bound.
    address: SocketAddr,
    /// The variable that names the port.
    variable: &'static str,
    /// What the operating system says.
    error: Error,
}

/// Binds both ports.
///
/// # Errors
///
/// Where one of them can't be bound.
pub fn bind(config: &Config) -> Result<Listeners, BindError> {
    let listen = |address, variable| {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            // The standard library asks for 128: in a crowd, others would try again a second later.
            socket2::SockRef::from(&listener).listen(CONNECTIONS_TO_COME)?;
            Ok(listener)
        });
        listener.map_err(|error| BindError { address, variable, error })
    };
    Ok(Listeners {
        api: listen(config.api_address, "API_PORT")?,
        health: listen(config.health_address, "API_HEALTH_PORT")?,
    })
}

/// What to do about a port that can't be bound.
fn cure(error: &Error, address: SocketAddr, variable: &str) -> String {
    let cure = match error.kind() {
        ErrorKind::AddrInUse => {
            format!("another program uses this port; stop it, or set {variable} to another port")
        }
        ErrorKind::AddrNotAvailable => format!(
            "{} is not an address of this machine; set API_HOST to one of its addresses, or to \
             0.0.0.0 for all of them",
            address.ip()
        ),
        ErrorKind::PermissionDenied => {
            format!("this user may not use this port; set {variable} to 1024 or higher")
        }
        _ => format!("set API_HOST or {variable} to another one"),
    };
    format!("{cure} ({error})")
}

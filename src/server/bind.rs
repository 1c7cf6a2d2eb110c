//! Binding both ports, before anything else is opened.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use thiserror::Error;

use crate::config::Config;

/// Both ports, bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// For health and metrics.
    pub health: TcpListener,
}

/// A port can't be bound.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {}", advice(error, *address, variable))]
pub struct BindError {
    /// The address with the port.
    address: SocketAddr,
    /// The variable that sets the port.
    variable: &'static str,
    /// The operating system's error.
    error: Error,
}

/// Binds both ports.
///
/// # Errors
///
/// If one of them can't be bound.
pub fn bind(config: &Config) -> Result<Listeners, BindError> {
    let listen = |address, variable| {
        http_door::bind(address).map_err(|error| BindError { address, variable, error })
    };
    Ok(Listeners {
        api: listen(config.api_address, "API_PORT")?,
        health: listen(config.health_address, "API_HEALTH_PORT")?,
    })
}

/// Returns what to do about a port that can't be bound.
fn advice(error: &Error, address: SocketAddr, variable: &str) -> String {
    let advice = match error.kind() {
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
        _ => format!("set API_HOST or {variable} to another value"),
    };
    format!("{advice} ({error})")
}

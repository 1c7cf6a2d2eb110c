//! Listening on a port, and what the limit on open files allows.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections may wait to be accepted; the operating system may allow fewer.
pub(crate) const BACKLOG: i32 = 4096;

/// Listens on `address` with a long backlog.
///
/// # Errors
///
/// If the port can't be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    // The standard library sets 128: in a crowd, other clients would retry a second later.
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Raises this process's limit on open files as needed for `wanted` connections and `reserved` files.
///
/// Returns how many connections the limit allows then: at most `wanted`, and 0 if all descriptors
/// are reserved.
#[must_use]
pub fn connections_within_file_limit(wanted: usize, reserved: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = (wanted + reserved) as u64;
    let possible = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let current = limit.current.unwrap_or(needed);
    let raised = current < possible
        && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit }).is_ok();
    let descriptors = if raised { possible } else { current };
    let connections = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(reserved);
    connections.min(wanted)
}

//! Parses the hosts and ports of `…_ADDRESS`, `…_HOST` and `…_PORT`.

use std::net::Ipv6Addr;

/// Why a path is refused as a host.
pub(super) const NO_SOCKETS: &str =
    "names a Unix socket, which can't be used: give a host and port";

/// Where a server is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Address {
    /// A name in lower case, or an IP address without brackets.
    pub(super) host: String,
    /// `None` if it was left out.
    pub(super) port: Option<u16>,
}

/// Parses like [`parse_address`], or an IPv6 address without brackets and port.
pub(in crate::config) fn parse_store_host(value: &str) -> Result<Address, String> {
    match value.parse::<Ipv6Addr>() {
        Ok(address) => Ok(Address { host: address.to_string(), port: None }),
        Err(_) => parse_address(value),
    }
}

/// Parses `host:port`, `host`, `[IPv6]:port` or `[IPv6]`.
pub(in crate::config) fn parse_address(value: &str) -> Result<Address, String> {
    if is_socket(value) {
        return Err(NO_SOCKETS.to_owned());
    }
    let (host, port) = match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or("has no `:` after `]`")?)),
        None => match value.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("needs brackets around an IPv6 address".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (value, None),
        },
    };
    let port =
        port.map(|port| number(port).ok_or("has a port that is not a number from 1 to 65535"));
    let port = port.transpose()?;
    if !is_host(host) {
        return Err("has no valid host".to_owned());
    }
    Ok(Address { host: canonical(host), port })
}

pub(in crate::config) fn parse_server_port(value: &str) -> Result<u16, String> {
    number(value).ok_or_else(|| "is not a port number from 1 to 65535".to_owned())
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|port| *port > 0)
}

/// Returns a host in its canonical form: lower case, the shortest IPv6 form.
pub(super) fn canonical(host: &str) -> String {
    let address = host.parse::<Ipv6Addr>();
    address.map_or_else(|_| host.to_ascii_lowercase(), |address| address.to_string())
}

/// Whether a host is the path of a Unix socket, which other programs accept.
pub(super) fn is_socket(host: &str) -> bool {
    host.starts_with(['/', '@'])
}

/// Returns a host as in a URL, with brackets around an IPv6 address.
pub(super) fn in_url(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether a text could be a host name or an address; IPv6 without brackets.
pub(super) fn is_host(host: &str) -> bool {
    let is_of_a_name = |character: char| character.is_alphanumeric() || "-._".contains(character);
    host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.chars().all(is_of_a_name))
}

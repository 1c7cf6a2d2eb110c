//! Hosts and ports, as `…_ADDRESS`, `…_HOST` and `…_PORT` give them.

use std::net::Ipv6Addr;

/// Where a server is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name in lower case, or an IP address without brackets.
    pub(super) host: String,
    /// `None` where it was left out.
    pub(super) port: Option<u16>,
}

/// Reads `host:port`, `host`, `[IPv6]:port` or `[IPv6]`.
pub(super) fn parse(value: &str) -> Result<Address, String> {
    let (host, port) = match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or("has no `:` after `]`")?)),
        None => match value.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (value, None),
        },
    };
    let port = port.map(parse_port).transpose()?;
    if !is_host(host) {
        return Err("host is missing or malformed".to_owned());
    }
    Ok(Address { host: host.to_ascii_lowercase(), port })
}

pub(super) fn parse_port(value: &str) -> Result<u16, String> {
    match value.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("port is not a number from 1 to 65535".to_owned()),
    }
}

/// A host as a URL has it: an address of IPv6 in brackets.
pub(super) fn in_url(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether it could be a name or an address; one of IPv6 comes without its brackets.
pub(super) fn is_host(host: &str) -> bool {
    let is_of_a_name = |character: char| character.is_alphanumeric() || "-._".contains(character);
    host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.chars().all(is_of_a_name))
}

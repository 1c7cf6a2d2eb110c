//! Where a request comes from, and the networks for which requests are counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The address of the client itself, so an account can know it.
    Device(IpAddr),
    /// The address of a proxy that does not clearly name its client. Requests are counted for the
    /// proxy, and no account ever knows its address.
    Proxy(IpAddr),
}

impl Client {
    /// Returns the address for which its requests are counted.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Self::Device(address) | Self::Proxy(address) => address,
        }
    }
}

/// Whether a user recently signed in from where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The user did.
    Known,
    /// The user did not, or it is unknown.
    Stranger,
}

/// A network of clients: all addresses in it are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Returns the network of an address, with the prefix length of its protocol.
    ///
    /// An IPv4 address inside an IPv6 one counts as an IPv4 address.
    #[must_use]
    pub fn around(address: IpAddr, v4_prefix: u8, v6_prefix: u8) -> Self {
        let address = match address {
            IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        let prefix = if address.is_ipv4() { v4_prefix } else { v6_prefix };
        let network = IpNet::new(address, prefix).map_or(address.into(), |network| network.trunc());
        Self(network)
    }

    /// Returns its first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// Returns the number of bits that its addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.0.prefix_len()
    }
}

/// Returns the IPv4 address in an IPv6 one: mapped (RFC 4291 section 2.5.5.2), or translated by NAT64
/// (RFC 6052 section 2.1) or SIIT (RFC 2765 section 2.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    fn around(address: &str) -> String {
        Network::around(address.parse().unwrap(), 24, 48).0.to_string()
    }

    #[test]
    fn a_network_is_the_common_prefix_of_its_addresses() {
        assert_eq!(around("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(around("2001:db8:1:2::3"), "2001:db8:1::/48");
        let whole = Network::around("192.0.2.77".parse().unwrap(), 32, 64);
        assert_eq!((whole.address().to_string(), whole.prefix()), ("192.0.2.77".to_owned(), 32));
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_counts_as_itself() {
        for address in ["::ffff:192.0.2.77", "64:ff9b::192.0.2.77", "::ffff:0:192.0.2.77"] {
            assert_eq!(around(address), "192.0.2.0/24", "{address}");
        }
        for other in ["64:ff9b:1::192.0.2.77", "64:ff9b::1:192.0.2.77", "::192.0.2.77"] {
            assert!(around(other).ends_with("/48"), "{other}");
        }
    }
}

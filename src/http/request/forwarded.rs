//! The client that a proxy names: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers with a client's address that are not read: nothing shows whether a proxy or the client
/// itself wrote the address.
const UNREAD: [HeaderName; 9] = [
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("fly-client-ip"),
    HeaderName::from_static("x-azure-clientip"),
    HeaderName::from_static("x-envoy-external-address"),
];

/// Why a request counts for its peer although the peer seems to forward it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A forwarding header from a peer that is not trusted.
    Untrusted,
    /// Only a header that is not read.
    Unread(HeaderName),
    /// No header from a trusted proxy.
    Missing,
    /// A malformed header, or two that contradict each other.
    Unusable,
}

pub(crate) fn is_one_of(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Returns the client's address: the right-most hop that is not a trusted proxy, or the peer if nothing
/// was forwarded.
///
/// A proxy writes one of the two headers and may pass its client's other one through: if both are
/// present, they must agree.
pub(crate) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> Result<IpAddr, Doubt> {
    let hop = |name: HeaderName, parse: fn(&str) -> Option<IpAddr>| {
        headers.contains_key(&name).then(|| right_most(headers, &name, trusted, parse))
    };
    let hops = (hop(FORWARDED, forwarded_hop), hop(X_FORWARDED_FOR, parse_hop));
    let unread = || UNREAD.into_iter().find(|name| headers.contains_key(name)).map(Doubt::Unread);
    match (is_one_of(trusted, peer), hops) {
        (false, (None, None)) => unread().map_or(Ok(peer), Err),
        (false, _) => Err(Doubt::Untrusted),
        (true, (None, None)) => Err(unread().unwrap_or(Doubt::Missing)),
        (true, (Some(Some(one)), Some(Some(other)))) if one == other => Ok(one),
        (true, (Some(Some(one)), None) | (None, Some(Some(one)))) => Ok(one),
        (true, _) => Err(Doubt::Unusable),
    }
}

/// Returns the right-most untrusted hop, or the left-most one if all are trusted.
///
/// `None` if a hop on the way to it is malformed.
fn right_most(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &[IpNet],
    parse: fn(&str) -> Option<IpAddr>,
) -> Option<IpAddr> {
    let mut last = None;
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    for line in lines.into_iter().rev() {
        // Bytes, since what a client wrote left of its proxy's hop may not be text.
        for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
            let address = parse(trimmed(std::str::from_utf8(hop).ok()?))?;
            if !is_one_of(trusted, address) {
                return Some(address);
            }
            last = Some(address);
        }
    }
    last
}

/// Returns the `for` of one element of `Forwarded` (RFC 7239 section 4).
///
/// A quoted value such as `host` may come from the client: an element in which it could be read as
/// another parameter is malformed.
fn forwarded_hop(element: &str) -> Option<IpAddr> {
    let pieces: Vec<_> = element.split('"').collect();
    let is_whole = pieces.len() % 2 == 1;
    if !is_whole || pieces.iter().skip(1).step_by(2).any(|quoted| quoted.contains([';', '\\'])) {
        return None;
    }
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut hops = pairs.filter(|(name, _)| trimmed(name).eq_ignore_ascii_case("for"));
    let (Some((_, value)), None) = (hops.next(), hops.next()) else {
        return None;
    };
    let value = trimmed(value);
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    parse_hop(quoted.unwrap_or(value))
}

/// Trims the white space of headers (RFC 9110 section 5.6.3).
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Parses an address, with or without a port; an IPv6 address in brackets or bare.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = match hop.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (port.is_empty() || port.starts_with(':')).then_some(address)?
        }
        None if hop.matches(':').count() == 1 => hop.split_once(':')?.0,
        None => hop,
    };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
#[path = "../../../fuzz/properties/forwarded.rs"]
mod fuzzed;

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use ipnet::IpNet;

    use super::{Doubt, client};

    const PROXY: &str = "10.0.0.1";

    fn found(peer: &str, headers: &[(&'static str, &'static str)]) -> Result<String, Doubt> {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8:1::/48"].map(|n| n.parse().unwrap()).into();
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        client(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
    }

    fn assert_client(headers: &[(&'static str, &'static str)], client: &str) {
        assert_eq!(found(PROXY, headers), Ok(client.to_owned()), "{headers:?}");
    }

    fn assert_unusable(headers: &[(&'static str, &'static str)]) {
        assert_eq!(found(PROXY, headers), Err(Doubt::Unusable), "{headers:?}");
    }

    #[test]
    fn an_untrusted_peer_is_the_client() {
        assert_eq!(found("198.51.100.7", &[]), Ok("198.51.100.7".to_owned()));
        for headers in [
            &[("x-forwarded-for", "192.0.2.9")][..],
            &[("forwarded", "for=192.0.2.9")],
            &[("x-forwarded-for", "nonsense")],
            &[("x-forwarded-for", "192.0.2.9"), ("x-real-ip", "192.0.2.9")],
        ] {
            assert_eq!(found("198.51.100.7", headers), Err(Doubt::Untrusted), "{headers:?}");
        }
    }

    #[test]
    fn headers_with_one_address_are_not_read() {
        for name in super::UNREAD {
            let mut headers = HeaderMap::new();
            headers.insert(&name, HeaderValue::from_static("192.0.2.9"));
            for (peer, trusted) in [(PROXY, &["10.0.0.0/8".parse().unwrap()][..]), (PROXY, &[])] {
                let found = client(peer.parse().unwrap(), &headers, trusted);
                assert_eq!(found, Err(Doubt::Unread(name.clone())));
            }
        }
        let both = [("x-real-ip", "203.0.113.5"), ("x-forwarded-for", "192.0.2.9")];
        assert_client(&both, "192.0.2.9");
    }

    #[test]
    fn a_trusted_proxy_must_name_its_client() {
        assert_eq!(found(PROXY, &[]), Err(Doubt::Missing));
        assert_eq!(found(PROXY, &[("x-forwarded-proto", "https")]), Err(Doubt::Missing));
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        for (hops, client) in [
            ("192.0.2.9", "192.0.2.9"),
            ("203.0.113.5, 192.0.2.9", "192.0.2.9"),
            ("203.0.113.5, 192.0.2.9, 10.1.2.3", "192.0.2.9"),
            ("nonsense, 192.0.2.9, 10.1.2.3", "192.0.2.9"),
            ("192.0.2.9:4711", "192.0.2.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443, 2001:db8:1::7", "2001:db8::1"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ] {
            assert_client(&[("x-forwarded-for", hops)], client);
        }
        assert_client(
            &[("x-forwarded-for", "192.0.2.9"), ("x-forwarded-for", "10.2.2.2")],
            "192.0.2.9",
        );
    }

    #[test]
    fn forwarded_is_read_by_its_rfc() {
        for (hops, client) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("For=\"192.0.2.9:80\";proto=https;by=10.0.0.1", "192.0.2.9"),
            ("for=203.0.113.5, for=\"[2001:db8::1]:4711\", for=10.1.1.1", "2001:db8::1"),
            ("for=192.0.2.9;host=\"shop.example:80\"", "192.0.2.9"),
        ] {
            assert_client(&[("forwarded", hops)], client);
        }
        for hops in [
            "for=_hidden",
            "for=unknown",
            "proto=https",
            "for=203.0.113.5;for=192.0.2.9",
            "proto=http;host=\"x,for=203.0.113.5;y\";for=192.0.2.9",
            "proto=http;host=\"x;for=203.0.113.5;y\"",
            "host=\"x\\\";for=203.0.113.5\";for=192.0.2.9",
        ] {
            assert_unusable(&[("forwarded", hops)]);
        }
    }

    #[test]
    fn malformed_or_contradictory_headers_are_unusable() {
        for headers in [
            &[("x-forwarded-for", "")][..],
            &[("x-forwarded-for", "192.0.2.9, nonsense")],
            &[("x-forwarded-for", "192.0.2.9,")],
            &[("x-forwarded-for", "[2001:db8::1")],
            &[("x-forwarded-for", "[2001:db8::1]443")],
            &[("forwarded", "for=203.0.113.5"), ("x-forwarded-for", "192.0.2.9")],
            &[("forwarded", "nonsense"), ("x-forwarded-for", "192.0.2.9")],
            &[("x-forwarded-for", "nonsense"), ("x-real-ip", "192.0.2.9")],
        ] {
            assert_unusable(headers);
        }
        let both = [("forwarded", "for=192.0.2.9"), ("x-forwarded-for", "192.0.2.9")];
        assert_client(&both, "192.0.2.9");
    }
}

//! Forwarding headers: only what the proxy appends decides, whatever a client sends.
//!
//! The result is an address from there.
//!
//! The input is lines, each the value of a header: `Forwarded` if it begins with `f`, otherwise
//! `X-Forwarded-For`.

use std::net::IpAddr;

use axum::http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{Doubt, client};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What trusted proxies append.
const ADDED: [(&str, &str); 3] = [
    ("192.0.2.9", "192.0.2.9"),
    ("2001:db8::1", "[2001:db8::1]:4711"),
    ("198.51.100.7", "198.51.100.7:80"),
];

pub(crate) fn holds(input: &[u8]) {
    let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|network| network.parse().unwrap());
    let peer = IpAddr::from([10, 0, 0, 1]);
    let headers = headers(input);
    let stranger = IpAddr::from([203, 0, 113, 5]);
    let unread = if headers.is_empty() { Ok(stranger) } else { Err(Doubt::Untrusted) };
    assert_eq!(client(stranger, &headers, &trusted), unread);
    match client(peer, &headers, &trusted) {
        Ok(found) => {
            assert!(addresses(&headers).any(|address| address == found), "{found} {headers:?}");
        }
        Err(doubt) => {
            let expected = if headers.is_empty() { Doubt::Missing } else { Doubt::Unusable };
            assert_eq!(doubt, expected, "{headers:?}");
        }
    }
    what_is_added_decides(&headers, peer, &trusted);
}

fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let name = if line.starts_with(b"f") { FORWARDED } else { X_FORWARDED_FOR };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

/// The proxy appends to the same line, adds a line, or drops what it received.
fn what_is_added_decides(got: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) {
    for (address, text) in ADDED {
        let address: IpAddr = address.parse().unwrap();
        for (name, element) in
            [(X_FORWARDED_FOR, text.to_owned()), (FORWARDED, format!("for=\"{text}\""))]
        {
            let mut headers = HeaderMap::new();
            got.get_all(&name).iter().for_each(|value| {
                headers.append(&name, value.clone());
            });
            headers.append(&name, HeaderValue::from_str(&element).unwrap());
            assert_eq!(client(peer, &headers, trusted), Ok(address), "{headers:?}");
            let Some(last) = got.get_all(&name).iter().next_back() else {
                continue;
            };
            let joined = [last.as_bytes(), b", ", element.as_bytes()].concat();
            headers.insert(&name, HeaderValue::from_bytes(&joined).unwrap());
            assert_eq!(client(peer, &headers, trusted), Ok(address), "{headers:?}");
        }
    }
}

/// Every address in the headers.
fn addresses(headers: &HeaderMap) -> impl Iterator<Item = IpAddr> {
    let texts =
        headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts.flat_map(|text| {
        let pieces = text.split([',', ';', '=', '"', '[', ']', ' ', '\t']);
        pieces.filter_map(address).collect::<Vec<_>>()
    })
}

fn address(piece: &str) -> Option<IpAddr> {
    let without_port = piece.split_once(':').filter(|(_, port)| !port.contains(':'));
    let address = without_port.map_or(piece, |(address, _)| address);
    address.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("forwarded", holds);
}

//! Whether a request names exactly one host (RFC 9112 section 3.2).
//!
//! The service does not depend on the host, but a proxy in front of it may: the two must not read
//! different hosts from one request.

use axum::http::{HeaderValue, Request, Version, header};

/// Whether it has exactly one valid `Host` header; HTTP/1.0 may have none.
pub(crate) fn is_clear<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match hosts.next() {
        Some(host) => hosts.next().is_none() && is_valid(host),
        None => request.version() == Version::HTTP_10,
    }
}

/// Whether it consists of characters of a host and port (RFC 3986 section 3.2.2); it may be empty.
fn is_valid(host: &HeaderValue) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-_~%!$&'()*+,;=[]".contains(byte);
    host.as_bytes().iter().all(is_one)
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, Version};

    use super::is_clear;

    fn is_clear_with(version: Version, hosts: &[&str]) -> bool {
        let request = Request::builder().version(version);
        let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
        is_clear(&request.body(()).unwrap())
    }

    #[test]
    fn one_host_is_clear() {
        for host in ["", "a", "api.example.com:8004", "127.0.0.1:8004", "[::1]:8004", "my_api"] {
            assert!(is_clear_with(Version::HTTP_11, &[host]), "{host}");
            assert!(is_clear_with(Version::HTTP_10, &[host]), "{host}");
        }
        assert!(is_clear_with(Version::HTTP_10, &[]));
    }

    #[test]
    fn no_host_two_hosts_or_a_malformed_host_is_unclear() {
        assert!(!is_clear_with(Version::HTTP_11, &[]));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!is_clear_with(version, &["a", "a"]));
            for host in ["a, b", "a b", "user@a", "a/b", "http://a", "a?b", "a#b", "\"a\""] {
                assert!(!is_clear_with(version, &[host]), "{host}");
            }
        }
    }
}

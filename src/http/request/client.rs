//! Where a request comes from: its peer, or the client that a trusted proxy names.

use std::net::IpAddr;
use std::sync::Once;

use axum::http::HeaderMap;
use ipnet::IpNet;
use tracing::warn;

use super::forwarded::{self, Doubt};
use crate::model::Client;

/// Ensures that each warning about forwarding headers is logged only once.
#[derive(Debug)]
pub struct ForwardingWarnings {
    untrusted: Once,
    unread: Once,
    missing: Once,
    unusable: Once,
}

/// Returns the client of a request, and logs the first header of each kind that is not believed.
pub(crate) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    warnings: &ForwardingWarnings,
) -> Client {
    match forwarded::client(peer, headers, trusted) {
        Ok(address) => Client::Device(address),
        Err(doubt) => {
            warnings.warn(&doubt, peer);
            Client::Proxy(peer)
        }
    }
}

impl Default for ForwardingWarnings {
    fn default() -> Self {
        let [untrusted, unread, missing, unusable] = std::array::from_fn(|_| Once::new());
        Self { untrusted, unread, missing, unusable }
    }
}

impl ForwardingWarnings {
    fn warn(&self, doubt: &Doubt, peer: IpAddr) {
        match doubt {
            Doubt::Untrusted => self.untrusted.call_once(|| {
                warn!(
                    %peer,
                    "⚠️ A forwarding header from a peer that is not in TRUSTED_PROXIES is ignored"
                );
            }),
            Doubt::Unread(header) => self.unread.call_once(|| {
                warn!(
                    %header, %peer,
                    "⚠️ A header that names the client is ignored: only Forwarded and \
                     X-Forwarded-For are read"
                );
            }),
            Doubt::Missing => self.missing.call_once(|| {
                warn!(
                    %peer,
                    "⚠️ A trusted proxy sends no forwarding header: all its clients share one request limit"
                );
            }),
            Doubt::Unusable => self.unusable.call_once(|| {
                warn!(
                    %peer,
                    "⚠️ A trusted proxy sent a forwarding header that can't be used: the request \
                     counts for the proxy"
                );
            }),
        }
    }
}

//! Where a request comes from: the peer, or the client that trusted proxies name.

use std::net::IpAddr;
use std::sync::Once;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tracing::warn;

use crate::http::error::ApiError;
use crate::http::request::extract::Caller;
use crate::http::request::forwarded::{Doubt, client};
use crate::http::state::AppState;
use crate::model::Client;

/// The client, for counting its requests.
pub(crate) struct RequestClient(pub(crate) Client);

/// Ensures that each warning about forwarding headers is logged only once.
#[derive(Debug)]
pub struct ForwardingWarnings {
    untrusted: Once,
    unread: Once,
    missing: Once,
    unusable: Once,
}

impl FromRequestParts<AppState> for RequestClient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>();
        let peer = caller
            .map(Caller::peer)
            .ok_or_else(|| ApiError::Internal("a request without its peer".to_owned()))?;
        Ok(Self(match client(peer, &parts.headers, &app.trusted_proxies) {
            Ok(address) => Client::Device(address),
            Err(doubt) => {
                app.forwarding_warnings.warn(&doubt, peer);
                Client::Proxy(peer)
            }
        }))
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
                    "⚠️ A trusted proxy sends no forwarding header: all its clients share one budget"
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

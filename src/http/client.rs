//! Where a request comes from: the peer, or whom trusted proxies say they ask for.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::AppState;
use super::error::ApiError;
use super::extract::Caller;
use super::forwarded::{client, is_forwarded, is_one_of};

/// The client's address, for counting its requests.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>();
        let peer = caller
            .map(Caller::peer)
            .ok_or_else(|| ApiError::Internal("a request without its peer".to_owned()))?;
        let is_trusted = is_one_of(&app.trusted_proxies, peer);
        if !is_trusted && is_forwarded(&parts.headers) {
            app.untrusted_forwarding.call_once(|| {
                tracing::warn!(
                    peer = %peer,
                    "⚠️ A forwarding header from a peer that is not in TRUSTED_PROXIES is ignored"
                );
            });
        }
        Ok(Self(client(peer, &parts.headers, &app.trusted_proxies)))
    }
}

//! What is known about a request besides its head and body.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http_door::Arrival;
use uuid::Uuid;

/// How a request arrived and whose it is: travels with it, and is shared with its log line.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext(Arc<(Arrival, OnceLock<Uuid>)>);

impl RequestContext {
    pub(crate) fn new(arrival: Arrival) -> Self {
        Self(Arc::new((arrival, OnceLock::new())))
    }

    pub(crate) fn arrival(&self) -> &Arrival {
        &self.0.0
    }

    /// The other end of the connection.
    pub(crate) fn peer(&self) -> IpAddr {
        self.arrival().peer.to_canonical()
    }

    /// The user, once an access token has been verified.
    pub(crate) fn user_id(&self) -> Option<Uuid> {
        self.0.1.get().copied()
    }

    pub(crate) fn set_user(&self, id: Uuid) {
        // Set once: a request has one user.
        let _ = self.0.1.set(id);
    }
}

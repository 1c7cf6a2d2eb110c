//! The trait that a door uses to answer requests.

use std::error::Error;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, Response};

use crate::RequestBody;

/// Where and when a request arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The address of the client, or of the proxy in front of it.
    pub peer: IpAddr,
    /// When the head of the request had been read.
    pub read_at: Instant,
    /// Whether the request came while all other connections were busy.
    ///
    /// Only a few connections are kept for this, so it should be answered at once with 503.
    pub is_surplus: bool,
}

/// Answers requests; implemented by every async function of this signature.
///
/// A clone of it answers each request.
pub trait Answer: Clone + Send + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers a request.
    ///
    /// The future is dropped if the client closes the connection, or takes too long to send the
    /// body.
    fn answer(
        self,
        arrival: Arrival,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl<F, Fut, B> Answer for F
where
    F: FnOnce(Arrival, Request<RequestBody>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    type Body = B;

    fn answer(
        self,
        arrival: Arrival,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<B>> + Send {
        self(arrival, request)
    }
}

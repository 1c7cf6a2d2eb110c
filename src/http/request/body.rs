//! The body of a request: bounded in length and time, and taken off the wire before the answer.
//!
//! A server that answers and closes while its client still sends resets the connection, and the
//! client may lose the answer. So what no handler has read is read and dropped first, up to a
//! bound beyond which nobody sends by mistake.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use crate::http::error::ApiError;
use crate::http::request::input;

/// The largest body that is read.
const LENGTH: usize = 64 * 1024;

/// A body that takes longer is cut off.
const TIME: Duration = Duration::from_secs(10);

/// Of what nobody reads so much is dropped, within this time.
const DROPPED_LENGTH: u64 = 1024 * 1024;
const DROPPED_TIME: Duration = Duration::from_secs(2);

/// Whether a request waits for its client to send more; clones share it.
#[derive(Debug, Clone, Default)]
pub struct WaitsForClient(Arc<AtomicBool>);

/// A body that comes back with what was not read of it.
struct Lent {
    /// `None` once it has ended, or gone back.
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
    waits: WaitsForClient,
}

/// What comes back of a body once its handler is done with it.
pub(crate) struct Rest {
    body: oneshot::Receiver<Incoming>,
    waits: WaitsForClient,
}

impl WaitsForClient {
    /// Whether it does.
    #[must_use]
    pub fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, waits: bool) {
        self.0.store(waits, Ordering::Relaxed);
    }
}

/// Lends the request's body to its handler; `None` where there is nothing to come back.
pub(crate) fn lend(
    request: hyper::Request<Incoming>,
    waits: WaitsForClient,
) -> (Request, Option<Rest>) {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(head, Body::empty()), None);
    }
    let is_hopeless = body.size_hint().lower() > DROPPED_LENGTH;
    // Such a client sends its body only when it is asked to (RFC 9110 section 10.1.1).
    let is_waiting = head.headers.contains_key(header::EXPECT);
    if is_hopeless || is_waiting {
        let lent = Lent { body: Some(body), back: None, waits };
        return (Request::from_parts(head, Body::new(lent)), None);
    }
    let (back, rest) = oneshot::channel();
    let lent = Lent { body: Some(body), back: Some(back), waits: waits.clone() };
    (Request::from_parts(head, Body::new(lent)), Some(Rest { body: rest, waits }))
}

impl Rest {
    /// Reads and drops what was not read.
    pub(crate) async fn drop_it(mut self) {
        let Ok(mut body) = self.body.try_recv() else {
            return;
        };
        self.waits.set(true);
        let all = async {
            let mut length = 0;
            while let Some(Ok(frame)) = body.frame().await {
                length += frame.data_ref().map_or(0, |chunk| chunk.len() as u64);
                if length > DROPPED_LENGTH {
                    return;
                }
            }
        };
        // A client that sends this slowly has to do without the answer.
        let _ = tokio::time::timeout(DROPPED_TIME, all).await;
        self.waits.set(false);
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        self.waits.set(frame.is_pending());
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.waits.set(false);
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Nobody waits for it when the client has gone.
            let _ = back.send(body);
        }
    }
}

/// Whether a body says in its head that it is too large.
pub(crate) fn is_too_large(body: &Body) -> bool {
    body.size_hint().lower() > LENGTH as u64
}

/// Reads a whole body.
pub(crate) async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut read = Vec::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            if let Some(chunk) = frame.map_err(|_| Cut::Off)?.data_ref() {
                if read.len() + chunk.len() > LENGTH {
                    return Err(Cut::TooLarge);
                }
                read.extend_from_slice(chunk);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(TIME, all).await.unwrap_or(Err(Cut::Off)) {
        Ok(()) => Ok(read),
        Err(Cut::TooLarge) => Err(ApiError::BodyTooLarge),
        Err(Cut::Off) => Err(ApiError::InvalidInput(input::json_invalid(read.len()))),
    }
}

/// Why a body was not read to its end.
enum Cut {
    TooLarge,
    /// By the client, or by us after a time.
    Off,
}

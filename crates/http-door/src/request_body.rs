//! The body of a request, drained before the answer is sent.
//!
//! A server that answers and closes the connection while its client still sends resets the
//! connection, and the client may lose the answer. So what the service has not read is read and
//! dropped, up to a limit that no client exceeds by mistake.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;
use tokio::sync::oneshot;

use crate::connections::Activity;

/// How much of an unread body is drained, in bytes.
const DRAINED_LENGTH: u64 = 1024 * 1024;

/// How long an unread body is drained.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The body of a request, read from its connection.
pub struct RequestBody {
    /// `None` if it is empty, or has been read.
    body: Option<Incoming>,
    /// Returns the unread rest when this is dropped.
    rest: Option<oneshot::Sender<Incoming>>,
    /// `None` if the body is empty.
    activity: Option<Activity>,
}

/// Receives what the service has not read of a body.
pub(crate) struct Unread {
    rest: oneshot::Receiver<Incoming>,
    activity: Activity,
}

/// Wraps the body of a request; returns `None` if there is nothing to drain.
pub(crate) fn wrap(
    request: Request<Incoming>,
    activity: &Activity,
) -> (Request<RequestBody>, Option<Unread>) {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        let body = RequestBody { body: None, rest: None, activity: None };
        return (Request::from_parts(head, body), None);
    }
    let is_too_long = body.size_hint().lower() > DRAINED_LENGTH;
    // Such a client sends its body only when asked to (RFC 9110 section 10.1.1).
    let awaits_continue = head.headers.contains_key(EXPECT);
    let (rest, unread) = if is_too_long || awaits_continue {
        (None, None)
    } else {
        let (sender, rest) = oneshot::channel();
        (Some(sender), Some(Unread { rest, activity: activity.clone() }))
    };
    let body = RequestBody { body: Some(body), rest, activity: Some(activity.clone()) };
    (Request::from_parts(head, body), unread)
}

impl Unread {
    /// Reads and drops what the service has not read.
    pub(crate) async fn drain(mut self) {
        let Ok(mut body) = self.rest.try_recv() else {
            return;
        };
        self.activity.set_awaiting_client(true);
        let drain = async {
            let mut length = 0;
            while let Some(Ok(frame)) = body.frame().await {
                length += frame.data_ref().map_or(0, |data| data.len() as u64);
                if length > DRAINED_LENGTH {
                    return;
                }
            }
        };
        // A client that sends more slowly may lose the answer.
        let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
        self.activity.set_awaiting_client(false);
    }
}

impl RequestBody {
    fn set_awaiting_client(&self, is_awaiting: bool) {
        if let Some(activity) = &self.activity {
            activity.set_awaiting_client(is_awaiting);
        }
    }
}

impl Body for RequestBody {
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
        self.set_awaiting_client(frame.is_pending());
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.set_awaiting_client(false);
        if let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) {
            // The receiver is gone if the client has disconnected.
            let _ = rest.send(body);
        }
    }
}

//! The body of an answer, handed over piece by piece.
//!
//! hyper copies what it is given into a buffer of the connection. Given a whole file at once, each
//! client that reads slowly would hold a copy of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use super::connections::Activity;

/// The most of a body that waits in a connection's buffer, in bytes.
const LENGTH: usize = 16 * 1024;

/// A body whose next piece is given only after the one before has been sent.
struct Pieces {
    body: Body,
    /// What is left of the data that `body` gave last.
    rest: Bytes,
    doing: Activity,
}

/// Splits the body of an answer into pieces, unless it is short.
pub(super) fn split(answer: Response, doing: &Activity) -> Response {
    let is_short = |upper| upper <= LENGTH as u64;
    if answer.body().size_hint().upper().is_some_and(is_short) {
        return answer;
    }
    answer.map(|body| Body::new(Pieces { body, rest: Bytes::new(), doing: doing.clone() }))
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.doing.sends_a_piece() {
            // The stream wakes this task once the piece has been sent.
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).map(read_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(other)),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(LENGTH);
        let piece = self.rest.split_to(length);
        self.doing.begin_a_piece();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest + body.lower());
        if let Some(upper) = body.upper() {
            hint.set_upper(rest + upper);
        }
        hint
    }
}

/// A frame's data; `Err` with the frame where it has none, and with what went wrong.
fn read_data(frame: Result<Frame<Bytes>, Error>) -> Result<Bytes, Result<Frame<Bytes>, Error>> {
    frame.map_err(Err)?.into_data().map_err(Ok)
}

//! The body of an answer, passed to hyper in pieces.
//!
//! hyper copies each frame into a buffer of the connection. If it got a whole file at once, each
//! client that reads slowly would hold a copy of that file.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::connections::Activity;

/// The size of a piece, and of the longest body that is not split, in bytes.
const PIECE_LENGTH: usize = 16 * 1024;

/// A body whose next piece is passed on only after the previous one has been sent.
pub(crate) struct ResponseBody<B> {
    body: B,
    /// What is left of the last frame of `body`.
    rest: Bytes,
    /// `None` if the body is short and need not be split.
    activity: Option<Activity>,
}

impl<B: Body> ResponseBody<B> {
    pub(crate) fn new(body: B, activity: &Activity) -> Self {
        let is_short = |upper| upper <= PIECE_LENGTH as u64;
        let splits = !body.size_hint().upper().is_some_and(is_short);
        Self { body, rest: Bytes::new(), activity: splits.then(|| activity.clone()) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(activity) = &this.activity else {
            return Pin::new(&mut this.body).poll_frame(context);
        };
        if activity.is_sending_piece() {
            // The stream wakes this task once the piece has been sent.
            return Poll::Pending;
        }
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)).map(into_data) {
                Some(Ok(data)) => this.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(other)),
                None => return Poll::Ready(None),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE_LENGTH));
        activity.begin_piece();
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

/// Returns a frame's data, or `Err` with what is passed on as it is: an error or trailers.
fn into_data<E>(frame: Result<Frame<Bytes>, E>) -> Result<Bytes, Result<Frame<Bytes>, E>> {
    frame.map_err(Err)?.into_data().map_err(Ok)
}

//! The byte stream of a connection.
//!
//! It notes when the client reads an answer. Once the connection has to close, it ends the stream
//! at the first moment when no unread data is pending.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connections::Activity;

/// A client's stream.
pub(crate) struct Stream {
    inner: TokioIo<TcpStream>,
    activity: Activity,
}

impl Stream {
    pub(crate) fn new(stream: TcpStream, activity: Activity) -> Self {
        Self { inner: TokioIo::new(stream), activity }
    }

    /// Whether the operating system holds unread data; the runtime may not know of it yet.
    fn has_unread_data(&self) -> bool {
        socket2::SockRef::from(self.inner.inner()).peek(&mut [MaybeUninit::uninit()]).is_ok()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.note_read();
            return read;
        }
        if !self.activity.should_close_now() {
            return read;
        }
        if self.has_unread_data() {
            // The runtime learns of it when it is polled again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Nothing was read: the end of the stream.
        Poll::Ready(Ok(()))
    }
}

/// Answers are short: hyper joins head and body into one write, so vectored writes are not needed.
impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.activity.note_progress();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed
            && self.activity.note_flushed()
        {
            context.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

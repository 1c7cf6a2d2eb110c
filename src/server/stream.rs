//! The stream of a connection, which notes when the client takes an answer, and ends where the
//! connection has to end and nothing has arrived.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::connections::Activity;

/// A client's stream.
pub(super) struct Stream {
    inner: TokioIo<TcpStream>,
    doing: Activity,
}

impl Stream {
    pub(super) fn new(stream: TcpStream, doing: Activity) -> Self {
        Self { inner: TokioIo::new(stream), doing }
    }

    /// Whether the system has something of the client's: what the runtime knows of may be older.
    fn has_arrived(&self) -> bool {
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
            self.doing.has_read();
            return read;
        }
        if !self.doing.ends() {
            return read;
        }
        if self.has_arrived() {
            // The runtime has not been told yet, and is asked again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Nothing was read: the end of the stream.
        Poll::Ready(Ok(()))
    }
}

/// Answers are short: this takes one piece at a time, and hyper puts head and body together for it.
impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.doing.note_move();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed
            && self.doing.flushed()
        {
            context.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

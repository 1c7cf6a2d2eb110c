//! A connection's stream and TLS handshake, tracked to know when signing in begins.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::attempts::{Phase, Progress};

/// The answer of a server without TLS to `SSLRequest`.
///
/// See PostgreSQL's documentation, "SSL Session Encryption".
const NO_TLS: u8 = b'N';

/// What a connection reads from and writes to.
pub(crate) type TrackedTlsStream = <MakeRustlsConnect as MakeTlsConnect<TrackedStream>>::Stream;

/// A TCP stream whose first byte may refuse TLS.
#[derive(Debug)]
pub struct TrackedStream {
    stream: TcpStream,
    /// `None` after the server has answered the request for TLS, or without such a request.
    tls_requested: Option<Progress>,
}

/// Performs the TLS handshake, and records when it is complete.
pub(crate) struct TrackedTls {
    connect: <MakeRustlsConnect as MakeTlsConnect<TrackedStream>>::TlsConnect,
    progress: Progress,
}

impl TrackedStream {
    /// Wraps a stream; `tls_requested` is set if the connection starts by requesting TLS.
    pub(crate) fn new(stream: TcpStream, tls_requested: Option<Progress>) -> Self {
        Self { stream, tls_requested }
    }
}

impl TrackedTls {
    pub(crate) fn new(mut tls: MakeRustlsConnect, host: &str, progress: Progress) -> Self {
        let Ok(connect) = MakeTlsConnect::<TrackedStream>::make_tls_connect(&mut tls, host);
        Self { connect, progress }
    }
}

impl TlsConnect<TrackedStream> for TrackedTls {
    type Stream = TrackedTlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: TrackedStream) -> Self::Future {
        Box::pin(async move {
            let encrypted = self.connect.connect(stream).await?;
            self.progress.begin(Phase::SignIn);
            Ok(encrypted)
        })
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready()
            && let Some(progress) = self.tls_requested.take()
            && buffer.filled().get(before) == Some(&NO_TLS)
        {
            progress.begin(Phase::SignIn);
        }
        polled
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

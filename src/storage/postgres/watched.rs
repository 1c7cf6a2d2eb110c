//! A connection's stream and its TLS, watched for where signing in begins.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::making::{Progress, Step};

/// What a server answers that speaks no TLS, when it is asked whether it does (PostgreSQL's
/// documentation, "SSL Session Encryption").
const NO_TLS: u8 = b'N';

pub(crate) type WatchedTlsStream = <MakeRustlsConnect as MakeTlsConnect<Watched>>::Stream;

/// A stream whose first byte may say that no TLS comes.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    /// Until the server has answered whether it speaks TLS.
    asked: Option<Progress>,
}

/// Takes up TLS, and notes when that is done.
pub(super) struct WatchedTls {
    connect: <MakeRustlsConnect as MakeTlsConnect<Watched>>::TlsConnect,
    progress: Progress,
}

impl Watched {
    /// `asked` where the server is asked first whether it speaks TLS.
    pub(super) fn new(stream: TcpStream, asked: Option<Progress>) -> Self {
        Self { stream, asked }
    }
}

impl WatchedTls {
    pub(super) fn new(mut tls: MakeRustlsConnect, host: &str, progress: Progress) -> Self {
        let Ok(connect) = MakeTlsConnect::<Watched>::make_tls_connect(&mut tls, host);
        Self { connect, progress }
    }
}

impl TlsConnect<Watched> for WatchedTls {
    type Stream = WatchedTlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: Watched) -> Self::Future {
        Box::pin(async move {
            let encrypted = self.connect.connect(stream).await?;
            self.progress.begin(Step::SignIn);
            Ok(encrypted)
        })
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready()
            && let Some(progress) = self.asked.take()
            && buffer.filled().get(before) == Some(&NO_TLS)
        {
            progress.begin(Step::SignIn);
        }
        polled
    }
}

impl AsyncWrite for Watched {
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

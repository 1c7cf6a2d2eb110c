//! Serving one connection, from its first request until it ends.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::connections::{Activity, End};
use super::pieces;
use super::stream::Stream;
use crate::clock;
use crate::http::Port;
use crate::metrics::{self, Metrics};

/// A client has so long to take what it was sent.
#[cfg(target_os = "linux")]
const WRITE_TIME: Duration = Duration::from_secs(30);

/// What the system keeps of an answer for a client that takes it slowly, in bytes; Linux doubles it.
const SEND_BUFFER_LENGTH: usize = 64 * 1024;

/// The longest head of a request, and the most of an answer that waits to be written, in bytes.
const BUFFER_LENGTH: usize = 80 * 1024;

/// Before a connection ends that was asked to. Time passes by the same look at the system that tells
/// what has arrived: afterwards, all of it has been told.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// So often one that could not end looks again whether it may.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A client that has connected.
pub(super) struct Client {
    stream: TcpStream,
    peer: IpAddr,
    open: Open,
}

/// An open connection, which counts until this is dropped.
struct Open(Arc<Metrics>, metrics::Port);

/// How a connection is served.
pub(super) struct Served {
    pub port: Port,
    /// Whether its client may send more than one request.
    pub keeps_alive: bool,
}

impl Client {
    /// Counts it as open.
    pub(super) fn new(
        stream: TcpStream,
        peer: IpAddr,
        metrics: &Arc<Metrics>,
        port: metrics::Port,
    ) -> Self {
        metrics.http_connections.get_or_create(&port).inc();
        Self { stream, peer, open: Open(Arc::clone(metrics), port) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.http_connections.get_or_create(&self.1).dec();
    }
}

impl Served {
    /// Serves a client until it goes, or until it is asked to end and may.
    pub(super) fn serve(
        &self,
        Client { stream, peer, open }: Client,
        doing: Activity,
        asked_to_end: oneshot::Receiver<End>,
    ) -> impl Future<Output = ()> + use<> {
        set_up(&stream);
        let (port, stream) = (self.port.clone(), Stream::new(stream, doing.clone()));
        let does = doing.clone();
        let answer = move |request| {
            let begun = Instant::now();
            let (port, busy, waits) = (port.clone(), does.begin(begun), does.waits());
            async move {
                let mut answer = port.answer(peer, begun, waits, request).await;
                if busy.is_last() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(pieces::split(answer, busy.doing()))
            }
        };
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .keep_alive(self.keeps_alive)
            .max_buf_size(BUFFER_LENGTH)
            .serve_connection(stream, service_fn(answer));
        async move {
            let _open = open;
            until_it_ends(connection, doing, asked_to_end).await;
        }
    }
}

/// Goes on with a connection until its client goes, or until it is asked to end and may.
async fn until_it_ends<Answer>(
    connection: http1::Connection<Stream, Answer>,
    doing: Activity,
    asked_to_end: oneshot::Receiver<End>,
) where
    Answer: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    let mut connection = std::pin::pin!(connection);
    // A client that breaks its connection harms nobody but itself.
    let end = tokio::select! {
        biased;
        _ = &mut connection => return,
        // Whoever could ask has gone, and with it the service.
        asked = asked_to_end => asked.unwrap_or(End::Gently),
    };
    if end != End::Gently {
        doing.has_to_end();
    }
    let mut pause = LAST_LOOK;
    loop {
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = clock::pause(pause) => {}
        }
        if doing.lets(end, Instant::now()) {
            return;
        }
        connection.as_mut().graceful_shutdown();
        pause = BETWEEN_LOOKS;
    }
}

/// Where the system refuses one of these, the connection works all the same.
fn set_up(stream: &TcpStream) {
    // Without it, small answers wait for the client's acknowledgement of the ones before.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_LENGTH);
    // A client that takes nothing would keep its connection for ever (RFC 5482).
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(WRITE_TIME));
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Instant;

    use axum::body::Body;
    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::super::connections::{Activity, End};
    use super::super::stream::Stream;
    use super::until_it_ends;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const ANSWER: &str = "answered";

    /// A connection whose client has got an answer to its first request.
    struct Idle {
        client: TcpStream,
        asks: oneshot::Sender<End>,
        serving: JoinHandle<()>,
    }

    impl Idle {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let (asks, asked_to_end) = oneshot::channel();
            let doing = Activity::nothing(Instant::now(), Arc::default());
            let does = doing.clone();
            let answer = service_fn(move |_| {
                let _busy = does.begin(Instant::now());
                async { Ok::<_, Infallible>(Response::new(Body::from(ANSWER))) }
            });
            let stream = Stream::new(stream, doing.clone());
            let connection = http1::Builder::new().serve_connection(stream, answer);
            let serving = tokio::spawn(until_it_ends(connection, doing, asked_to_end));
            client.write_all(REQUEST).await.unwrap();
            let mut got = Vec::new();
            while !got.ends_with(ANSWER.as_bytes()) {
                assert_ne!(client.read_buf(&mut got).await.unwrap(), 0);
            }
            Self { client, asks, serving }
        }

        /// What the client gets after this.
        async fn asked_to(mut self, end: End) -> String {
            self.asks.send(end).unwrap();
            self.serving.await.unwrap();
            let mut got = String::new();
            self.client.read_to_string(&mut got).await.unwrap();
            got
        }
    }

    #[tokio::test]
    async fn a_request_that_has_just_arrived_is_answered_before_the_end() {
        for end in [End::Gently, End::IfIdle, End::ForRoom] {
            let idle = Idle::new().await;
            // Without waiting: so nobody asks the system what has arrived until it is asked to end.
            assert_eq!(idle.client.try_write(REQUEST).unwrap(), REQUEST.len());
            let got = idle.asked_to(end).await;
            assert!(got.starts_with("HTTP/1.1 200") && got.ends_with(ANSWER), "{end:?}: {got}");
        }
    }

    #[tokio::test]
    async fn who_has_sent_nothing_more_makes_room_at_once() {
        for end in [End::Gently, End::IfIdle, End::ForRoom] {
            assert_eq!(Idle::new().await.asked_to(end).await, "");
        }
    }
}

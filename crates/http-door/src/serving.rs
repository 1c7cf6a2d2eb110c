//! Serving one connection, from its first request until it closes.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::answer::{Answer, Arrival};
use crate::connections::{Activity, CloseWhen};
use crate::observer::Observer;
use crate::pause::pause;
use crate::request_body;
use crate::response_body::ResponseBody;
use crate::stream::Stream;

/// How long a client may take to acknowledge what it was sent.
#[cfg(target_os = "linux")]
const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(30);

/// How much of an answer the operating system buffers, in bytes; Linux doubles it.
const SEND_BUFFER_LENGTH: usize = 64 * 1024;

/// The longest head of a request, and the most output that hyper buffers, in bytes.
const BUFFER_LENGTH: usize = 80 * 1024;

/// The pause before a connection closes after it was asked to.
///
/// The runtime polls the network before it fires a timer, so it has then reported all that arrived
/// before.
const FIRST_CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// How often a connection that could not close yet checks whether it may.
const CLOSE_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// An accepted connection.
pub(crate) struct Client<O: Observer> {
    stream: TcpStream,
    peer: IpAddr,
    open: Open<O>,
}

/// Reports that a connection is open, and when dropped that it is closed.
struct Open<O: Observer>(Arc<O>);

/// How the connections of a port are served.
pub(crate) struct Serving<A> {
    pub answer: A,
    /// Whether the connections are extra ones, on which all requests are turned away.
    pub is_surplus: bool,
}

impl<O: Observer> Client<O> {
    pub(crate) fn new(stream: TcpStream, peer: IpAddr, observer: &Arc<O>) -> Self {
        observer.opened();
        Self { stream, peer, open: Open(Arc::clone(observer)) }
    }
}

impl<O: Observer> Drop for Open<O> {
    fn drop(&mut self) {
        self.0.closed();
    }
}

impl<A: Answer> Serving<A> {
    /// Serves a client until it disconnects, or until it is asked to close and may.
    pub(crate) fn serve<O: Observer>(
        &self,
        Client { stream, peer, open }: Client<O>,
        activity: Activity,
        asked_to_close: oneshot::Receiver<CloseWhen>,
    ) -> impl Future<Output = ()> + Send + use<A, O> {
        set_options(&stream);
        let (answer, is_surplus) = (self.answer.clone(), self.is_surplus);
        let stream = Stream::new(stream, activity.clone());
        let service_activity = activity.clone();
        let service = service_fn(move |request| {
            let arrival = Arrival { peer, read_at: Instant::now(), is_surplus };
            let in_progress = service_activity.begin_request(arrival.read_at);
            let (request, unread) = request_body::wrap(request, &service_activity);
            let answer = answer.clone();
            async move {
                let mut response = answer.answer(arrival, request).await;
                if let Some(unread) = unread {
                    // Rarely needed, and large: without the box, every request would have room for it.
                    Box::pin(unread.drain()).await;
                }
                if in_progress.is_last() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                let activity = in_progress.activity();
                Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, activity)))
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .keep_alive(!is_surplus)
            .max_buf_size(BUFFER_LENGTH)
            .serve_connection(stream, service);
        async move {
            let _open = open;
            drive(connection, activity, asked_to_close).await;
        }
    }
}

/// Drives a connection until its client disconnects, or until it is asked to close and may.
async fn drive<S, B>(
    connection: http1::Connection<Stream, S>,
    activity: Activity,
    asked_to_close: oneshot::Receiver<CloseWhen>,
) where
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = std::pin::pin!(connection);
    // How the connection ended concerns its client alone.
    let when = tokio::select! {
        biased;
        _ = &mut connection => return,
        // The sender is dropped only together with the door.
        asked = asked_to_close => asked.unwrap_or(CloseWhen::Answered),
    };
    if when != CloseWhen::Answered {
        activity.close_when_idle();
    }
    let mut next_pause = FIRST_CLOSE_PAUSE;
    loop {
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = pause(next_pause) => {}
        }
        if activity.may_close(when, Instant::now()) {
            return;
        }
        connection.as_mut().graceful_shutdown();
        next_pause = CLOSE_POLL_INTERVAL;
    }
}

/// Sets socket options; the connection works without any of them.
fn set_options(stream: &TcpStream) {
    // Without it, a short answer waits until the client has acknowledged the previous one.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_LENGTH);
    // Without it, a client that reads nothing would keep its connection forever (RFC 5482).
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(ACKNOWLEDGE_TIME));
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Instant;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::drive;
    use crate::connections::{Activity, CloseWhen};
    use crate::stream::Stream;

    const ALL: [CloseWhen; 3] = [CloseWhen::Answered, CloseWhen::Idle, CloseWhen::NotAnswering];

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const ANSWER: &str = "answered";

    /// A connection whose client has received the answer to its first request.
    struct IdleConnection {
        client: TcpStream,
        close: oneshot::Sender<CloseWhen>,
        serving: JoinHandle<()>,
    }

    impl IdleConnection {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let (close, asked_to_close) = oneshot::channel();
            let activity = Activity::new(Instant::now(), Arc::default());
            let service_activity = activity.clone();
            let answer = service_fn(move |_| {
                let _in_progress = service_activity.begin_request(Instant::now());
                async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(ANSWER))) }
            });
            let stream = Stream::new(stream, activity.clone());
            let connection = http1::Builder::new().serve_connection(stream, answer);
            let serving = tokio::spawn(drive(connection, activity, asked_to_close));
            client.write_all(REQUEST).await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(ANSWER.as_bytes()) {
                assert_ne!(client.read_buf(&mut received).await.unwrap(), 0);
            }
            Self { client, close, serving }
        }

        /// Asks it to close, and returns what the client receives from then on.
        async fn close(mut self, when: CloseWhen) -> String {
            self.close.send(when).unwrap();
            self.serving.await.unwrap();
            let mut received = String::new();
            self.client.read_to_string(&mut received).await.unwrap();
            received
        }
    }

    #[tokio::test]
    async fn a_request_that_has_just_arrived_is_answered_before_the_connection_closes() {
        for when in ALL {
            let idle = IdleConnection::new().await;
            // Without an `await`, so that the runtime has not polled the network when it is asked.
            assert_eq!(idle.client.try_write(REQUEST).unwrap(), REQUEST.len());
            let received = idle.close(when).await;
            let is_answered = received.starts_with("HTTP/1.1 200") && received.ends_with(ANSWER);
            assert!(is_answered, "{when:?}: {received}");
        }
    }

    #[tokio::test]
    async fn a_connection_without_a_request_closes_at_once() {
        for when in ALL {
            assert_eq!(IdleConnection::new().await.close(when).await, "");
        }
    }
}

//! Accepts connections, answers them over HTTP/1.1, and breaks them on request.
//!
//! A fault below the HTTP layer needs the raw stream: the service then passes the fault to the
//! connection's task and never answers, and the task takes the stream back from the HTTP library.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth1::Authorization;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::check::Received;
use crate::fault::{Canned, Fault};
use crate::routes;
use crate::sandbox::Shared;
use crate::script::{RecordedCall, Step};

const MAX_CONNECTIONS: usize = 1_024;
const MAX_BODY: usize = 64 * 1024;
/// How long accepting pauses after an error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How a connection is broken.
#[derive(Debug)]
enum Wreck {
    Reset,
    Close,
    Garbage,
    HalfAnswer,
    EndlessBody,
}

/// How a call ends.
enum Outcome {
    Answer(Response<Full<Bytes>>),
    Wreck(Wreck),
}

/// Serves until the task is aborted, which ends every connection with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                } else {
                    pause(ACCEPT_PAUSE).await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a requested delay, and a pause after an error")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Only improves speed.
    let _ = stream.set_nodelay(true);
    let (sender, mut wrecks) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (shared, sender) = (Arc::clone(&shared), sender.clone());
        Box::pin(async move {
            match meet(&shared, request).await {
                Outcome::Answer(response) => Ok::<_, Infallible>(dated(response, shared.now())),
                Outcome::Wreck(wreck) => {
                    // The receiver lives as long as this connection.
                    let _ = sender.send(wreck).await;
                    pending().await
                }
            }
        })
    });
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let wreck = tokio::select! {
        // A client may break off.
        _ = &mut http => return,
        Some(wreck) = wrecks.recv() => wreck,
    };
    let stream = http.into_parts().io.into_inner();
    // An error while breaking a connection leaves it broken, too.
    let _ = wreck.happen(stream).await;
}

/// Reads a request, records it, and answers it or applies its fault.
async fn meet(shared: &Shared, request: Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        let answer = Answer::plain(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.");
        return Outcome::Answer(answer.into_response());
    };
    let received = Received { head, body: body.to_bytes() };
    let Some(step) = routes::step_at(received.head.uri.path()) else {
        let answer = routes::elsewhere(&received.head.method, received.head.uri.path());
        return Outcome::Answer(answer.into_response());
    };
    let (barrier, fault) = shared.arrived(step, recorded(&received));
    if let Some(barrier) = barrier {
        barrier.pass().await;
    }
    outcome(shared, step, &received, fault).await
}

fn recorded(received: &Received) -> RecordedCall {
    let text = |name: &HeaderName| received.header(name).map(str::to_owned);
    let oauth =
        received.header(&AUTHORIZATION).and_then(|header| Authorization::parse(header).ok());
    let parameters = oauth.iter().flat_map(Authorization::parameters);
    RecordedCall {
        method: received.head.method.to_string(),
        user_agent: text(&USER_AGENT),
        query: received.head.uri.query().map(str::to_owned),
        oauth: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        header_names: received.head.headers.keys().map(ToString::to_string).collect(),
        content_type: text(&CONTENT_TYPE),
        body_length: received.body.len(),
    }
}

async fn outcome(
    shared: &Shared,
    step: Step,
    received: &Received,
    mut fault: Option<Fault>,
) -> Outcome {
    let mut done = None;
    while let Some(Fault::AfterStep(then)) = fault {
        done.get_or_insert_with(|| shared.answer(step, received));
        fault = Some(*then);
    }
    let wreck = match fault {
        None | Some(Fault::AfterStep(_)) => None,
        Some(Fault::Answer(canned)) => return Outcome::Answer(response(canned)),
        Some(Fault::Delay(duration)) => {
            pause(duration).await;
            None
        }
        Some(Fault::Hang) => pending().await,
        Some(Fault::Reset) => Some(Wreck::Reset),
        Some(Fault::Close) => Some(Wreck::Close),
        Some(Fault::Garbage) => Some(Wreck::Garbage),
        Some(Fault::HalfAnswer) => Some(Wreck::HalfAnswer),
        Some(Fault::EndlessBody) => Some(Wreck::EndlessBody),
    };
    wreck.map_or_else(
        || {
            let answer = done.unwrap_or_else(|| shared.answer(step, received));
            Outcome::Answer(answer.into_response())
        },
        Outcome::Wreck,
    )
}

/// Sets the answer's `Date` to the sandbox's time unless it has one.
fn dated(mut response: Response<Full<Bytes>>, now: Duration) -> Response<Full<Bytes>> {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + now);
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

/// A fixed answer; one that is invalid HTTP becomes a 500 with the reason.
fn response(canned: Canned) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(canned.status);
    for (name, value) in canned.headers {
        builder = builder.header(name, value.as_bytes());
    }
    let response = builder.body(Full::new(Bytes::from(canned.body)));
    response.unwrap_or_else(|error| {
        let text = format!("The requested answer is invalid HTTP: {error}");
        Answer::plain(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    })
}

impl Wreck {
    async fn happen(self, mut stream: TcpStream) -> std::io::Result<()> {
        match self {
            Self::Reset => return stream.set_zero_linger(),
            Self::Close => {}
            Self::Garbage => {
                let garbage = b"\x00\xff\xfe this is no HTTP\r\n\r\n";
                stream.write_all(garbage).await?;
            }
            Self::HalfAnswer => {
                let half = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\noauth_token=";
                stream.write_all(half).await?;
            }
            Self::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b'a'; 16 * 1024]).await?;
                }
            }
        }
        stream.shutdown().await
    }
}

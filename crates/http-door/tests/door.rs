//! A door on a real port, with clients that write bytes.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use http_door::{Arrival, Observer, RequestBody, Settings, Warning};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The fewest connections for which there is an extra one.
const MAX_CONNECTIONS: usize = 8;

/// Answers a request once the test permits it.
#[derive(Clone)]
struct Gate {
    entered: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

/// A door that is being served.
struct Opened {
    address: String,
    gate: Gate,
    reports: Arc<Reports>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

#[derive(Default)]
struct Reports(Mutex<Vec<String>>);

#[derive(Clone)]
struct Recorder(Arc<Reports>);

impl Reports {
    fn add(&self, report: &str) {
        self.0.lock().unwrap().push(report.to_owned());
    }

    fn count(&self, report: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|it| *it == report).count()
    }
}

impl Observer for Recorder {
    fn opened(&self) {
        self.0.add("opened");
    }

    fn closed(&self) {
        self.0.add("closed");
    }

    fn evicted(&self) {
        self.0.add("evicted");
    }

    fn turned_away(&self) {
        self.0.add("turned away");
    }

    fn warn(&self, warning: Warning<'_>) {
        self.0.add(&format!("{warning:?}"));
    }
}

impl Gate {
    async fn answer(self, arrival: Arrival) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from("done"));
        if arrival.is_surplus {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        } else {
            self.entered.add_permits(1);
            self.permits.acquire().await.unwrap().forget();
        }
        response
    }
}

impl Opened {
    fn new() -> Self {
        let listener = http_door::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let none = || Arc::new(Semaphore::new(0));
        let gate = Gate { entered: none(), permits: none() };
        let settings = Settings {
            max_connections: MAX_CONNECTIONS,
            keep_alive: Duration::from_secs(75),
            drain_time: Duration::from_secs(30),
        };
        let reports = Arc::<Reports>::default();
        let (stop, stopped) = oneshot::channel();
        let (answers, recorder) = (gate.clone(), Recorder(Arc::clone(&reports)));
        let answer = move |arrival, _: Request<RequestBody>| answers.answer(arrival);
        let serving = tokio::spawn(http_door::serve(listener, answer, settings, recorder, stopped));
        Self { address, gate, reports, stop, serving }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(&self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// Sends requests, and waits until each is being answered.
    async fn send_all(&self, count: u32) -> Vec<TcpStream> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.send(REQUEST).await);
        }
        self.gate.entered.acquire_many(count).await.unwrap().forget();
        clients
    }
}

/// Returns what arrives until the connection closes.
async fn received(mut client: TcpStream) -> String {
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    received
}

#[tokio::test]
async fn while_every_connection_is_busy_another_one_is_turned_away() {
    let opened = Opened::new();
    let busy = opened.send_all(8).await;
    let refused = received(opened.send(REQUEST).await).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("connection: close"));
    let reported = |report| opened.reports.count(report);
    assert_eq!((reported("opened"), reported("evicted")), (9, 0));
    assert_eq!((reported("turned away"), reported("AllBusy")), (1, 1));
    opened.gate.permits.add_permits(busy.len());
    for client in busy {
        let answer = received(client).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_in_progress() {
    let opened = Opened::new();
    let busy = opened.send_all(2).await;
    opened.stop.send(()).unwrap();
    // Whatever the door does without the answers, it has done after this, on one thread.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    opened.gate.permits.add_permits(busy.len());
    for client in busy {
        assert!(received(client).await.starts_with("HTTP/1.1 200"));
    }
    opened.serving.await.unwrap().unwrap();
    assert_eq!((opened.reports.count("closed"), opened.reports.count("CutOff")), (2, 0));
}

#[tokio::test]
async fn a_body_that_no_one_reads_is_drained_before_the_answer() {
    let opened = Opened::new();
    opened.gate.permits.add_permits(1);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n";
    let mut client = opened.send(head).await;
    opened.gate.entered.acquire().await.unwrap().forget();
    client.write_all(&vec![b'x'; 200_000]).await.unwrap();
    assert!(received(client).await.ends_with("done"));
}

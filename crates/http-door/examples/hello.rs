//! Serves a greeting on port 8080 until Ctrl-C, and prints what an operator should know.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use http_door::{Arrival, Observer, RequestBody, Settings, Warning};
use hyper::{Request, Response, StatusCode};

struct Printer;

impl Observer for Printer {
    #[expect(clippy::print_stderr, reason = "an example")]
    fn warn(&self, warning: Warning<'_>) {
        eprintln!("{warning:?}");
    }
}

async fn answer(arrival: Arrival, request: Request<RequestBody>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let mut response = Response::new(Full::from(format!("Hello {}: {path}\n", arrival.peer)));
    if arrival.is_surplus {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = http_door::bind(([127, 0, 0, 1], 8080).into())?;
    let settings = Settings {
        max_connections: http_door::connections_within_file_limit(1024, 64),
        keep_alive: Duration::from_secs(75),
        drain_time: Duration::from_secs(30),
    };
    http_door::serve(listener, answer, settings, Printer, tokio::signal::ctrl_c()).await
}

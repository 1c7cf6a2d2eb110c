//! A client that sends requests at a steady rate, however long the answers take.
//!
//! A request that is due while another is in progress is timed from when it was due, so a service that
//! stalls gets no fewer requests, and its stall is visible.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// An answer that takes this long fails the run.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of a GET request.
pub(crate) fn request(path: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{token}\r\n")
}

/// How long each answer took.
pub(crate) fn ask(
    address: SocketAddr,
    request: &str,
    rate: u32,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let pause = Duration::from_secs(1) / rate;
    let begun = Instant::now();
    let mut due = begun;
    let mut times = Vec::new();
    while due < begun + time {
        #[expect(clippy::disallowed_methods, reason = "a steady pace is what this is for")]
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream)?;
        times.push(due.elapsed());
        due += pause;
    }
    Ok(times)
}

/// Reads one answer, which has to be a success with a `Content-Length`.
fn read_answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0, "the connection was closed");
        read.extend(chunk.iter().take(count));
        let text = std::str::from_utf8(&read)?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            ensure!(head.starts_with("HTTP/1.1 200 "), "an answer that is no success: {head}");
            let mut lines = head.lines().map(str::to_ascii_lowercase);
            let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let length: usize = length.context("an answer of no stated length")?;
            if body.len() >= length {
                return Ok(());
            }
        }
    }
}

/// Returns the time that `part` of the sorted `times` stay under, in milliseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into some thousands of times"
)]
pub(crate) fn percentile(times: &[Duration], part: f64) -> f64 {
    let at = (times.len() as f64 * part).ceil() as usize;
    let time = times.get(at.saturating_sub(1)).copied().unwrap_or_default();
    time.as_secs_f64() * 1_000.0
}

//! Requests written byte by byte, which an HTTP client would not send.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Answer;

/// Returns the head of a request after which the service closes the connection.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head = head + name + ": " + value + "\r\n";
    }
    head + "\r\n"
}

/// Returns a body in chunks of this many bytes (RFC 9112 section 7.1).
pub(crate) fn chunked(body: &[u8], length: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in body.chunks(length) {
        wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

/// Connects to the service at this URL.
pub(crate) async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).await.unwrap()
}

/// Sends a whole request, all of which the service must read, and reads the whole answer.
pub(crate) async fn exchange(url: &str, request: &[u8]) -> Answer {
    let mut stream = connect(url).await;
    stream.write_all(request).await.unwrap();
    answer(stream).await
}

/// Reads an answer until the service closes the connection.
pub(crate) async fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Answer { status, headers, body: body.to_owned() }
}

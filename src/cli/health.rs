//! `health`: checks a running service, as the container's HEALTHCHECK does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::say;
use crate::config::{Config, Environment};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of bytes of a response that are read.
const ANSWER_LENGTH: u64 = 64 * 1024;

pub(super) async fn health(environment: &Environment) -> anyhow::Result<()> {
    let address = reachable(Config::load(environment)?.health_address);
    let answer = tokio::time::timeout(TIMEOUT, ask(address)).await;
    let answer = answer.context("no answer in time").flatten();
    let answer =
        answer.with_context(|| format!("no service answers at http://{address}/health"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.") {
        anyhow::bail!("what answers at http://{address}/health is not this service");
    }
    say(body)?;
    if head.split(' ').nth(1) != Some("200") {
        anyhow::bail!("the service at http://{address}/health is not healthy");
    }
    Ok(())
}

/// Returns an address to connect to; the service may listen on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Sends one request by hand: a whole HTTP client would be more than this needs.
async fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_LENGTH).read_to_string(&mut answer).await?;
    Ok(answer)
}

//! Clients that request large files and read none of the response.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::Program;
use crate::harness::wire::connect;

/// One less than the limit of the service, so that others can still be answered.
const CLIENTS: usize = 2047;

/// File descriptors that this process and the service's each need.
const DESCRIPTORS: u64 = 4096;

/// The memory that the service may use, in KiB.
const LIMIT: u64 = 300 * 1024;

/// The largest files, plain and compressed, and the largest generated answer.
const REQUESTS: [(&str, &str); 4] = [
    ("/docs/swagger-ui-bundle.js", "gzip"),
    ("/docs/swagger-ui-bundle.js", "identity"),
    ("/docs/redoc.standalone.js", "identity"),
    ("/openapi.json", "identity"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_do_not_fill_the_memory() {
    allow_descriptors();
    let service = Program::new().serve(&["serve"]);
    let mut clients = Vec::new();
    for (path, encoding) in REQUESTS.into_iter().cycle().take(CLIENTS) {
        let mut client = connect(&service.url).await;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {encoding}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        clients.push(client);
    }
    for client in &clients {
        wait_for_an_answer(client).await;
    }
    let peak = peak_memory(service.id());
    assert!(peak < LIMIT, "{peak} KiB");
    assert_eq!(service.anonymous().get("/health/live").await.status, 200);
}

/// Waits until the service has begun to answer, and reads nothing.
async fn wait_for_an_answer(client: &TcpStream) {
    assert_eq!(client.peek(&mut [0]).await.unwrap(), 1);
}

/// The peak memory of a process, in KiB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    assert_eq!(current, DESCRIPTORS, "this test needs `ulimit -Hn` to be {DESCRIPTORS} or more");
    if limit.current.is_some_and(|now| now < current) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).unwrap();
    }
}

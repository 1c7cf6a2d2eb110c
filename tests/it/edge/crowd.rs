//! With every connection busy, other clients get a 503.

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::wire::{answer, connect, exchange, head};
use crate::harness::{Answer, PASSWORD, Program};
use crate::metrics::scrape::Scrape;

/// So few that the service uses its lowest connection limit.
const DESCRIPTORS: u32 = 512;

/// The lowest connection limit.
const LIMIT: usize = 128;

/// More clients than can be turned away at the same time.
const CROWD: usize = 200;

const COUNTER: &str = "discogsography_connections_turned_away_total";

#[track_caller]
fn assert_turned_away(answer: &Answer) {
    let said = "The service is very busy. Please try again in a moment.";
    answer.assert_error(503, "overloaded", said);
    assert_eq!(
        (answer.header("retry-after"), answer.header("connection")),
        (Some("2"), Some("close"))
    );
    for name in ["x-request-id", "content-security-policy", "access-control-allow-origin"] {
        assert!(answer.header(name).is_some(), "{name}: {answer:?}");
    }
}

/// Accepts `count` connections and never responds on them.
async fn accept(discogs: &TcpListener, count: usize) -> Vec<TcpStream> {
    let mut accepted = Vec::new();
    while accepted.len() < count {
        accepted.push(discogs.accept().await.unwrap().0);
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_every_connection_is_busy_others_get_503() {
    let discogs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", discogs.local_addr().unwrap());
    let program = Program::new()
        .with_descriptors(DESCRIPTORS)
        .with("RATE_LIMITS", "off")
        .with("DISCOGS_API_URL", &url);
    program.run(&["discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret"]);
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;

    let bearer = format!("Bearer {}", alice.token.as_ref().unwrap());
    let authorize = head("GET", "/api/oauth/authorize/discogs", &[("Authorization", &bearer)]);
    let mut busy = JoinSet::new();
    for _ in 0..LIMIT {
        let mut stream = connect(&service.url).await;
        stream.write_all(authorize.as_bytes()).await.unwrap();
        busy.spawn(answer(stream));
    }
    let unanswered = accept(&discogs, LIMIT).await;

    let me = head("GET", "/api/auth/me", &[("Authorization", &bearer)]);
    assert_turned_away(&exchange(&service.url, me.as_bytes()).await);
    let sign_in = alice.anonymous().login("alice@example.com", PASSWORD).await;
    assert_turned_away(&sign_in);
    let mut silent = Vec::new();
    for _ in 0..CROWD {
        silent.push(connect(&service.url).await);
    }
    assert_turned_away(&exchange(&service.url, me.as_bytes()).await);
    assert_eq!(service.health().await.status, 200);
    let metrics = exchange(&service.health_url, head("GET", "/metrics", &[]).as_bytes()).await;
    let turned_away = Scrape::of(&metrics).value(COUNTER, &[("port", "api")]);
    // Some clients of the crowd may still wait to be admitted.
    assert!(turned_away >= 3.0, "{turned_away}");

    drop((discogs, unanswered));
    while let Some(answer) = busy.join_next().await {
        assert_eq!(answer.unwrap().status, 502);
    }
    assert_eq!(alice.me().await.status, 200);
}

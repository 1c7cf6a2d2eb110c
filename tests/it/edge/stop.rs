//! The service stops while clients connect.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use discogsography_api::clock::{Clock, Timestamp};
use discogsography_api::config::{Config, Environment};
use discogsography_api::random::Random;
use discogsography_api::server::{self, Listeners};
use discogsography_api::surroundings::Surroundings;

use crate::harness::wire::{answer, exchange, head};
use crate::harness::{Composition, Setup};

/// Too many to be accepted by chance before the service stops.
const CLIENTS: usize = 20;

#[tokio::test]
async fn clients_that_were_not_accepted_yet_are_answered() {
    let mut app = Setup::new(Composition::Embedded).start().await;
    let address = app.url.trim_start_matches("http://");
    let request = head("GET", "/health/live", &[]);
    // The service shares this thread, so it runs only at the first `await` below.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.set_nonblocking(true).unwrap();
            tokio::net::TcpStream::from_std(client).unwrap()
        })
        .collect();
    app.begin_to_stop();
    for client in clients {
        assert_eq!(answer(client).await.status, 200);
    }
}

#[tokio::test]
async fn while_it_drains_the_service_reports_so_and_still_accepts_requests() {
    let setup = Setup::new(Composition::Embedded).with("DRAIN_SECONDS", "600");
    let mut app = setup.start().await;
    let alice = app.user("alice").await;
    app.begin_to_stop();
    app.wait_for_health(503, "unhealthy").await;
    assert_eq!(app.health().await.json()["checks"]["service"], "draining");
    for url in [&app.url, &app.health_url] {
        let ready = exchange(url, head("GET", "/health/ready", &[]).as_bytes()).await;
        assert_eq!(ready.status, 503);
    }
    assert_eq!(alice.me().await.status, 200);
    // On a new connection.
    let registered = app.user("bob").await.me().await;
    assert_eq!(registered.status, 200);
}

#[tokio::test]
async fn a_clock_before_1970_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", folder.path().to_str().unwrap()), ("API_PORT", "0")];
    let config = Config::load(&Environment::of(variables)).unwrap();
    let bind = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    };
    let listeners = Listeners { api: bind(), health: bind() };
    let surroundings = Surroundings {
        clock: Clock::manual(Timestamp::from_microseconds(-1)),
        random: Random::from_system().unwrap(),
        sandbox_consumer: None,
    };
    let ended = server::run(config, listeners, surroundings, std::future::pending()).await;
    assert_eq!(
        ended.unwrap_err().to_string(),
        "the clock of this machine says 1969-12-31T23:59:59.999999+00:00: set it, then start the \
         service again"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

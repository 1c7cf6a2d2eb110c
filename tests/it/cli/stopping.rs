//! How `serve` stops: on any signal, after completing the requests in progress.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use discogs_sandbox::{Hold, Options, Sandbox, Step};
use discogsography_api::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::connect::{assert_connected, begin_to_verify};
use crate::harness::program::PATIENCE;
use crate::harness::{Actor, Answer, Program, Service};

/// The signals that terminate a program by default.
const SIGNALS: [&str; 7] = ["TERM", "INT", "HUP", "QUIT", "ALRM", "USR1", "USR2"];

const SECOND_SIGNAL: &str = "Told to stop a second time";

/// A service that is finishing a connection, and waits for Discogs until the test releases `hold`.
struct Finishing {
    program: Program,
    service: Service,
    alice: Actor,
    finish: JoinHandle<Answer>,
    hold: Hold,
    _sandbox: Sandbox,
}

impl Finishing {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Arc::new(|| Clock::system().now().since_epoch());
        let sandbox = Sandbox::start(listener, Options::new(clock, 7)).unwrap();
        let program = stoppable().with("DISCOGS_API_URL", &sandbox.url());
        let keys = ["--consumer-key", "sandbox-key", "--consumer-secret", "sandbox-secret"];
        program.run(&[&["discogs-setup"], &keys[..]].concat());
        let service = program.serve(&["serve"]);
        let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
        let state = alice.start().await;
        let pin = sandbox.approve(&state).unwrap();
        let mut hold = sandbox.hold(Step::AccessToken);
        let finish = begin_to_verify(&alice, &state, &pin);
        hold.reached().await.unwrap();
        Self { program, service, alice, finish, hold, _sandbox: sandbox }
    }
}

/// Returns a program that handles SIGHUP even if the tests run under `nohup`.
fn stoppable() -> Program {
    Program::new().prepared_by("exec env --default-signal=HUP")
}

/// Waits until the service reports that it is stopping.
async fn wait_until_stopping(service: &Service) {
    let stopping = async {
        while service.health().await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stopping).await.expect("the service stops in time");
}

#[test]
fn any_signal_stops_the_service_cleanly() {
    for signal in SIGNALS {
        let ended = stoppable().serve(&["serve"]).end(signal);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{signal}");
        assert!(ended.stderr.contains("🔧 Stopped"), "{signal}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_in_progress_is_stored_before_the_exit() {
    for signal in ["HUP", "QUIT"] {
        let Finishing { program, service, alice, finish, hold, _sandbox } = Finishing::new().await;
        service.send(signal);
        wait_until_stopping(&service).await;
        hold.release();
        assert_connected(&finish.await.unwrap());
        assert_eq!(service.ended().code, Some(0), "{signal}");
        let service = program.serve(&["serve"]);
        let status = alice.at(&service.url).status().await;
        assert_eq!(status.json()["connected"], true, "{signal}");
    }
}

#[test]
fn signals_that_arrive_together_count_as_one() {
    let service = stoppable().serve(&["serve"]);
    for signal in ["STOP", "TERM", "INT", "HUP", "CONT"] {
        service.send(signal);
    }
    let ended = service.ended();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains(SECOND_SIGNAL), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_the_service_at_once() {
    let mut service = Program::new().with("DRAIN_SECONDS", "600").serve(&["serve"]);
    service.send("TERM");
    wait_until_stopping(&service).await;
    // Sent repeatedly, since signals that arrive together with the first one count as one.
    while service.is_running() {
        service.send("TERM");
    }
    let ended = service.ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(SECOND_SIGNAL), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_ignored_by_nohup_stays_ignored() {
    let program = Program::new().prepared_by("trap '' HUP && exec");
    let service = program.serve(&["serve"]);
    service.send("HUP");
    assert_eq!(service.health().await.status, 200);
    let ended = service.end("TERM");
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("🔧 Stopping").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_service_stops_after_its_time() {
    let program = Program::new().with("DRAIN_SECONDS", "1");
    let ended = program.serve(&["serve"]).end("TERM");
    assert_eq!(ended.code, Some(0));
    let at = |text: &str| ended.stderr.find(text).unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(at("🔧 Draining") < at("🔧 Stopping"));
}

#[test]
fn half_a_request_does_not_delay_the_exit() {
    let service = Program::new().serve(&["serve"]);
    let mut peer = TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
    peer.write_all(b"GET /api/auth/me HTTP/1.1\r\nHost: te").unwrap();
    let ended = service.end("TERM");
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("took too long"), "{}", ended.stderr);
}

/// Linux sends SIGXFSZ for a write beyond the limit, which kills a program by default.
#[test]
fn a_file_size_limit_does_not_kill_the_service() {
    let program = Program::new().prepared_by("ulimit -f 1 && exec");
    let service = program.start(&["serve"], "The database is not ready");
    assert_eq!(service.end("TERM").code, Some(0));
}

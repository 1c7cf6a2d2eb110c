//! Replicas as separate processes: one is killed during a `verify` request, another resumes it.

use std::sync::Arc;

use discogs_sandbox::{Options, Sandbox, Step};
use discogsography_api::clock::Clock;
use discogsography_api::random::Random;
use redis::AsyncCommands as _;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::connect::begin_to_verify;
use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::{Composition, Program, TestStores, redis_connection};

const CONFIGURE: [&str; 5] =
    ["discogs-setup", "--consumer-key", "sandbox-key", "--consumer-secret", "sandbox-secret"];

/// What two replicas share.
struct World {
    stores: TestStores,
    sandbox: Sandbox,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::system();
        // Different states in each test, since programs share the server's keys.
        let seed = u64::from_le_bytes(Random::from_system().unwrap().bytes());
        let mut options = Options::new(Arc::new(move || clock.now().since_epoch()), seed);
        options.rate_limit = None;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, options).unwrap();
        let world = Self { stores: TestStores::new(Composition::Servers).await, sandbox };
        assert_eq!(world.program().run(&["migrate"]).code, Some(0));
        assert_eq!(world.program().run(&CONFIGURE).code, Some(0));
        world
    }

    fn program(&self) -> Program {
        let program = Program::new()
            .with("JWT_SECRET_KEY", JWT_SECRET_KEY)
            .with("DISCOGS_API_URL", &self.sandbox.url())
            .with("DISCOGS_WEB_URL", &self.sandbox.url());
        let variables = self.stores.variables();
        variables.iter().fold(program, |program, (name, value)| program.with(name, value))
    }
}

/// Ends a lease without waiting 25 seconds.
async fn end_lease(state: &str) {
    let key = format!("discogs:oauth:state:{state}");
    let mut redis = redis_connection().await;
    let stored: String = redis.get(&key).await.unwrap();
    let mut record: Value = serde_json::from_str(&stored).unwrap();
    assert!(record["claim"]["until"].is_i64(), "{record}");
    record["claim"]["until"] = 0.into();
    let mut write = redis::cmd("SET");
    write.arg(&key).arg(record.to_string()).arg("KEEPTTL");
    write.exec_async(&mut redis).await.unwrap();
}

/// Kills one replica during this call to Discogs, and finishes on another.
///
/// Returns the number of exchanges.
async fn killed_at(step: Step) -> usize {
    let world = World::new().await;
    let (first, second) = (world.program(), world.program());
    let (first, second) = (first.serve(&["serve"]), second.serve(&["serve"]));
    let alice = first.anonymous().register_and_sign_in("alice@example.com").await;
    let state = alice.start().await;
    let pin = world.sandbox.approve(&state).unwrap();
    let mut hold = world.sandbox.hold(step);
    let finish = begin_to_verify(&alice, &state, &pin);
    hold.reached().await.unwrap();
    first.end("KILL");
    assert!(finish.await.unwrap_err().is_panic(), "there was an answer");

    let alice = alice.at(&second.url);
    let busy = alice.verify(&state, &pin).await;
    assert_eq!(busy.json()["code"], "state_busy", "{busy:?}");
    end_lease(&state).await;
    let connected = alice.verify(&state, &pin).await;
    assert_eq!(connected.status, 200, "{connected:?}");
    assert_eq!(alice.status().await.json()["connected"], true);
    drop(hold);
    world.sandbox.calls(Step::AccessToken).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_replica_killed_before_the_exchange_leaves_the_flow_to_another() {
    assert_eq!(killed_at(Step::AccessToken).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_replica_killed_before_the_identity_leaves_its_token_to_another() {
    assert_eq!(killed_at(Step::Identity).await, 1);
}

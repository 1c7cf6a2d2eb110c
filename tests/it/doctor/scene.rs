//! A setup for `doctor` to check: stores with the app's credentials, and a sandbox for Discogs.

use std::sync::Arc;
use std::time::Duration;

use discogs_sandbox::{Options, Sandbox};
use discogsography_api::clock::Clock;
use discogsography_api::random::Random;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::{Composition, Outcome, Program, TestStores};

pub(crate) const JWT_SECRET: &str = "canary-jwt-0123456789abcdef0123456789abcdef";
pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const CONSUMER_SECRET: &str = "canary-consumer-secret";
pub(crate) const CONSUMER_KEY: &str = "canary-consumer-key";

pub(crate) struct Scene {
    pub(crate) stores: TestStores,
    pub(crate) sandbox: Sandbox,
    pub(crate) program: Program,
}

impl Scene {
    pub(crate) async fn new(composition: Composition) -> Self {
        Self::on(TestStores::new(composition).await, Duration::ZERO, &[]).await
    }

    /// Creates a scene in which the clock of Discogs is ahead of this machine's.
    pub(crate) async fn with_discogs_ahead(by: Duration) -> Self {
        Self::on(TestStores::new(Composition::Embedded).await, by, &[]).await
    }

    /// Creates a scene on these stores, with additional variables.
    pub(crate) async fn on(
        stores: TestStores,
        ahead: Duration,
        variables: &[(&str, &str)],
    ) -> Self {
        let sandbox = sandbox(ahead).await;
        let mut program = Program::new();
        for (name, value) in stores.variables() {
            program = program.with(&name, &value);
        }
        program = program
            .with("JWT_SECRET_KEY", JWT_SECRET)
            .with("ENCRYPTION_MASTER_KEY", MASTER_KEY)
            .with("DISCOGS_API_URL", &sandbox.url())
            .with("DISCOGS_WEB_URL", &sandbox.url());
        for (name, value) in variables {
            program = program.with(name, value);
        }
        let scene = Self { stores, sandbox, program };
        scene.set_credentials(CONSUMER_SECRET);
        scene
    }

    /// Sets the app's credentials, which also migrates the database.
    pub(crate) fn set_credentials(&self, secret: &str) {
        let arguments =
            ["discogs-setup", "--consumer-key", CONSUMER_KEY, "--consumer-secret", secret];
        let set = self.program.run(&arguments);
        assert_eq!(set.code, Some(0), "{set:?}");
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.with(name, value);
        self
    }

    /// Returns the exit code and the report of `doctor --json`.
    pub(crate) fn doctor(&self) -> (Option<i32>, Value) {
        let outcome = self.program.run(&["doctor", "--json"]);
        (outcome.code, report(&outcome))
    }

    /// Returns the only finding of a check, which must have this severity.
    #[track_caller]
    pub(crate) fn finding(&self, check: &str, severity: &str) -> Value {
        let (code, report) = self.doctor();
        let expected = i32::from(report["severity"] == "error");
        assert_eq!(code, Some(expected), "{report:#}");
        finding(&report, check, severity)
    }

    pub(crate) async fn sql(&self, statement: &str) {
        if let Some((database, ..)) = &self.stores.servers {
            database.client().await.batch_execute(statement).await.unwrap();
        } else {
            let path = self.stores.folder.path().join("discogsography.db");
            rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
        }
    }
}

/// Returns the report without findings that come from the tests' own PostgreSQL.
///
/// It runs without fsync, since its data is discarded, and may be slow on a busy machine.
pub(crate) fn report(outcome: &Outcome) -> Value {
    let mut report = whole_report(outcome);
    let findings = report["findings"].as_array_mut().unwrap();
    findings.retain(|finding| {
        let what = finding["what"].as_str().unwrap();
        !what.starts_with("fsync is off")
    });
    for finding in findings.iter_mut() {
        if finding["severity"] == "warning" && !finding["measured"]["milliseconds"].is_null() {
            finding["severity"] = "ok".into();
            finding["fix"].take();
        }
    }
    let has = |severity: &&str| findings.iter().any(|finding| finding["severity"] == *severity);
    let worst = ["error", "warning", "note"].into_iter().find(has).unwrap_or("ok");
    report["severity"] = worst.into();
    report
}

pub(crate) fn whole_report(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"))
}

/// Returns a check's only finding of this severity, and checks that it has a fix unless it is ok.
#[track_caller]
pub(crate) fn finding(report: &Value, check: &str, severity: &str) -> Value {
    let findings = report["findings"].as_array().unwrap().iter();
    let of_check: Vec<_> = findings
        .filter(|finding| finding["check"] == check && finding["severity"] == severity)
        .collect();
    let [finding] = *of_check else {
        panic!("not exactly one {severity} of {check} in {report:#}")
    };
    assert_eq!(finding["fix"].is_null(), severity == "ok", "{finding:#}");
    finding.clone()
}

pub(crate) async fn sandbox(ahead: Duration) -> Sandbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let seed = u64::from_le_bytes(Random::from_system().unwrap().bytes());
    let clock = Clock::system();
    let mut options = Options::new(Arc::new(move || clock.now().since_epoch() + ahead), seed);
    options.rate_limit = None;
    CONSUMER_KEY.clone_into(&mut options.consumer.key);
    options.consumer.secret = CONSUMER_SECRET.into();
    Sandbox::start(listener, options).unwrap()
}

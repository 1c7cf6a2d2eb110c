//! Starts a service as `main` does, with a sandbox for Discogs.

use std::sync::Arc;
use std::time::Duration;

use discogs_sandbox::{Options, Sandbox, TokenSteps};
use discogsography_api::clock::{Clock, Timestamp};
use discogsography_api::config::{Config, Environment, Migrations, Stores};
use discogsography_api::metrics::Metrics;
use discogsography_api::model::{ConfigKey, ConfigValue};
use discogsography_api::random::Random;
use discogsography_api::server::{self, Listeners, ServerError};
use discogsography_api::storage::Storage;
use discogsography_api::surroundings::Surroundings;
use fernet_seal::MasterKey;
use rusqlite::OptionalExtension as _;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::actor::send;
use super::program::POLL_INTERVAL;
use super::{Actor, Answer, Composition, TestStores};

/// The secret with which the service under test signs access tokens.
pub(crate) const JWT_SECRET_KEY: &str = "0123456789abcdef0123456789abcdef-shared-secret";

/// The time at which tests start: 2026-09-21, well before the year 2100.
const START: i64 = 1_790_000_000_000_000;

/// Makes the service accept credentials that another program stores as plain text.
pub(crate) const ACCEPT_PLAIN: &str = "delete from api_encryption where name = 'app_config'";

/// How long a service may take to become healthy.
const START_TIME: Duration = Duration::from_secs(30);

/// How to start a service under test.
pub(crate) struct Setup {
    pub(crate) composition: Composition,
    /// Additional variables.
    pub(crate) variables: Vec<(String, String)>,
    /// How the sandbox behaves.
    pub(crate) sandbox: Box<dyn FnOnce(&mut Options) + Send>,
    /// Whether the app's credentials are set before the start.
    pub(crate) is_configured: bool,
}

/// A service under test, which stops when this is dropped.
pub(crate) struct TestApp {
    pub(crate) composition: Composition,
    pub(crate) url: String,
    pub(crate) health_url: String,
    pub(crate) clock: Clock,
    pub(crate) sandbox: Sandbox,
    pub(crate) client: reqwest::Client,
    pub(crate) stores: TestStores,
    config: Config,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Setup {
    pub(crate) fn new(composition: Composition) -> Self {
        let sandbox = Box::new(|options: &mut Options| options.rate_limit = None);
        Self { composition, variables: Vec::new(), sandbox, is_configured: true }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves the app's credentials unset.
    pub(crate) fn unconfigured(mut self) -> Self {
        self.is_configured = false;
        self
    }

    /// Changes how the sandbox behaves.
    pub(crate) fn sandbox(mut self, change: impl FnOnce(&mut Options) + Send + 'static) -> Self {
        self.sandbox = Box::new(|options| {
            options.rate_limit = None;
            change(options);
        });
        self
    }

    /// Starts the service on new stores and waits until it is ready.
    pub(crate) async fn start(self) -> TestApp {
        let stores = TestStores::new(self.composition).await;
        self.start_on(stores).await
    }

    pub(crate) async fn start_on(self, stores: TestStores) -> TestApp {
        let is_configured = self.is_configured;
        let app = self.launch_on(stores).await;
        app.wait_until_healthy().await;
        if is_configured {
            app.configure().await;
        }
        app
    }

    /// Starts the service on these stores without waiting for anything.
    pub(crate) async fn launch_on(self, stores: TestStores) -> TestApp {
        let clock = Clock::manual(Timestamp::from_microseconds(START));
        let sandbox = start_sandbox(&clock, self.sandbox).await;
        let mut variables = stores.variables();
        variables.push(("JWT_SECRET_KEY".to_owned(), JWT_SECRET_KEY.to_owned()));
        variables.push(("RATE_LIMITS".to_owned(), "off".to_owned()));
        variables.push(("DISCOGS_API_URL".to_owned(), sandbox.url()));
        variables.push(("DISCOGS_WEB_URL".to_owned(), sandbox.url()));
        variables.extend(self.variables);
        let mut config = Config::load(&Environment::of(variables)).unwrap();
        if let Stores::Servers { redis, .. } = &mut config.stores {
            redis.namespace = stores.namespace();
        }
        let client = http_client();
        let mut app = TestApp {
            composition: self.composition,
            url: String::new(),
            health_url: String::new(),
            clock,
            sandbox,
            client,
            stores,
            config,
            stop: None,
            running: None,
        };
        app.run();
        app
    }
}

impl TestApp {
    /// Starts the service with its current configuration, without waiting for anything.
    pub(crate) fn run(&mut self) {
        let bind = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let listeners = Listeners { api: bind(), health: bind() };
        self.url = format!("http://{}", listeners.api.local_addr().unwrap());
        self.health_url = format!("http://{}", listeners.health.local_addr().unwrap());
        let surroundings = Surroundings {
            clock: self.clock.clone(),
            random: Random::from_system().unwrap(),
            sandbox_consumer: None,
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        self.stop = Some(stop);
        self.running =
            Some(tokio::spawn(server::run(self.config.clone(), listeners, surroundings, shutdown)));
    }

    /// Stops the service, as a signal does, and waits until it has stopped.
    pub(crate) async fn stop(&mut self) -> Result<(), ServerError> {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap()
    }

    /// Asks the service to stop, without waiting for it.
    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops the service and starts it again on the same stores.
    pub(crate) async fn restart(&mut self) {
        self.stop().await.unwrap();
        self.run();
        self.wait_until_healthy().await;
    }

    /// Starts a second service on the same stores: another replica.
    pub(crate) async fn replica(&self) -> TestApp {
        let mut config = self.config.clone();
        let sandbox = start_sandbox(&self.clock, Box::new(|_| {})).await;
        config.discogs.api_url = self.sandbox.url();
        let mut replica = TestApp {
            composition: self.composition,
            url: String::new(),
            health_url: String::new(),
            clock: self.clock.clone(),
            sandbox,
            client: self.client.clone(),
            stores: TestStores { folder: tempfile::tempdir().unwrap(), servers: None },
            config,
            stop: None,
            running: None,
        };
        replica.run();
        replica.wait_until_healthy().await;
        replica
    }

    /// Waits until `/health` reports that the service is healthy.
    pub(crate) async fn wait_until_healthy(&self) {
        self.wait_for_health(200, "healthy").await;
    }

    pub(crate) async fn wait_for_health(&self, status: u16, word: &str) {
        let wait = async {
            let mut polls = tokio::time::interval(POLL_INTERVAL);
            let is_reached = |health: Answer| {
                (health.status, &health.json()["status"]) == (status, &word.into())
            };
            while !is_reached(self.health().await) {
                polls.tick().await;
            }
        };
        let waited = tokio::time::timeout(START_TIME, wait).await;
        assert!(waited.is_ok(), "the service is not {word} in time");
    }

    /// Requests `/health` from the health port.
    pub(crate) async fn health(&self) -> Answer {
        send(self.client.get(format!("{}/health", self.health_url))).await
    }

    /// Sets the sandbox's credentials as the app's.
    pub(crate) async fn configure(&self) {
        let values = ["sandbox-key", "sandbox-secret"].map(|it| ConfigValue::parse(it).unwrap());
        let values: Vec<_> = ConfigKey::ALL.into_iter().zip(values).collect();
        let storage = self.storage().await;
        storage.put_config(&values).await.unwrap();
        storage.close().await;
    }

    /// Opens the service's storage as a command does.
    pub(crate) async fn storage(&self) -> Arc<dyn Storage> {
        let (clock, random) = (self.clock.clone(), Random::from_system().unwrap());
        let surroundings = Surroundings { clock, random, sandbox_consumer: None };
        let stores = server::open_stores(&self.config, &surroundings, &Metrics::new());
        let storage = stores.unwrap().storage;
        storage.prepare(Migrations::Automatic).await.unwrap();
        storage
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Actor {
        Actor::new(self.client.clone(), self.url.clone(), None)
    }

    /// A user who has registered and signed in.
    pub(crate) async fn user(&self, name: &str) -> Actor {
        self.anonymous().register_and_sign_in(&format!("{name}@example.com")).await
    }

    /// A user who has signed in and is an admin.
    pub(crate) async fn admin(&self) -> Actor {
        let name = format!("admin-{}", Random::from_system().unwrap().hex());
        let admin = self.user(&name).await;
        self.sql(&format!("update users set is_admin = true where email = '{name}@example.com'"))
            .await;
        admin
    }

    /// Executes statements in the service's database.
    pub(crate) async fn sql(&self, statement: &str) {
        match &self.stores.servers {
            Some((database, ..)) => database.client().await.batch_execute(statement).await.unwrap(),
            None => self.sqlite().execute_batch(statement).unwrap(),
        }
    }

    /// Decrypts a value as a program with the service's key does; a plain one stays as it is.
    pub(crate) fn opened(&self, purpose: &str, stored: &str) -> String {
        let Ok(key) = std::fs::read_to_string(self.stores.folder.path().join("master-key")) else {
            return stored.to_owned();
        };
        let key = MasterKey::parse(key.trim()).unwrap().fernet_key(purpose);
        key.open(stored).unwrap().expose_secret().to_owned()
    }

    /// Queries one text from the service's database.
    pub(crate) async fn sql_text(&self, query: &str) -> Option<String> {
        if let Some((database, ..)) = &self.stores.servers {
            let row = database.client().await.query_opt(query, &[]).await.unwrap();
            return row.and_then(|row| row.get(0));
        }
        let text = self.sqlite().query_row(query, [], |row| row.get(0)).optional();
        text.unwrap().flatten()
    }

    fn sqlite(&self) -> rusqlite::Connection {
        let connection =
            rusqlite::Connection::open(self.stores.folder.path().join("discogsography.db"))
                .unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }
}

/// Returns the tests' HTTP client, which needs a crypto provider even without TLS.
pub(crate) fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn start_sandbox(clock: &Clock, change: Box<dyn FnOnce(&mut Options) + Send>) -> Sandbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = clock.clone();
    let seed = u64::from_le_bytes(Random::from_system().unwrap().bytes());
    let mut options = Options::new(Arc::new(move || clock.now().since_epoch()), seed);
    options.token_steps = TokenSteps::Strict;
    change(&mut options);
    Sandbox::start(listener, options).unwrap()
}

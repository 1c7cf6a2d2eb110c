//! The running service: opens the stores, binds both ports, runs until told to stop, drains.
//!
//! `main` and the tests start it the same way: [`bind`], then [`run`]. Must not know the routes.

mod connections;
mod first_admin;
mod first_steps;
mod listen;
mod pieces;
mod secret;
mod serving;
mod stores;
mod stream;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use discogsography_token::Key;
use oauth1::Consumer;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::clock::{self, Clock};
use crate::config::{Config, Migrations, Stores, WebPage};
use crate::connect::Connect;
use crate::discogs::Discogs;
use crate::http::{self, App, AppState, Health, Phase};
use crate::metrics::Metrics;
use crate::password::Passwords;
use crate::random::Random;
use crate::storage::{Storage, StorageError};
use crate::telemetry::chain;

use listen::Limits;

pub use crate::http::openapi_document;
pub use secret::SecretError;
pub use stores::{LockError, OpenedStores, open_stores};

/// So many clients may wait to be let in; the system may allow fewer.
const CONNECTIONS_TO_COME: i32 = 4096;

/// How long requests and finishes under way may go on after the service was told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Between two tries to prepare the storage.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Both ports, bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// For health.
    pub health: TcpListener,
}

/// What a service gets from outside besides its configuration.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Tells the time.
    pub clock: Clock,
    /// Draws ids, salts, nonces.
    pub random: Random,
    /// The sandbox's credentials, where the service was started with one.
    pub sandbox_consumer: Option<Consumer>,
}

/// Why the service did not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A port is taken, or not ours to bind.
    #[error(
        "can't listen on {address} ({variable}): is it in use? Stop what uses it, or set {variable}"
    )]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// The variable that says so.
        variable: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The secret for access tokens can't be read or made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Another service uses the SQLite file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The machine gives no threads, or no TLS.
    #[error("can't set up {what}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Binds both ports.
///
/// # Errors
///
/// Where one of them can't be bound.
pub fn bind(config: &Config) -> Result<Listeners, ServerError> {
    let listen = |address, variable| {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            // The standard library asks for 128: in a crowd, others would try again a second later.
            socket2::SockRef::from(&listener).listen(CONNECTIONS_TO_COME)?;
            Ok(listener)
        });
        listener.map_err(|source| ServerError::Bind { address, variable, source })
    };
    Ok(Listeners {
        api: listen(config.api_address, "API_PORT")?,
        health: listen(config.health_address, "API_HEALTH_PORT")?,
    })
}

/// Runs the service until `shutdown` comes, then until what is under way has ended.
///
/// # Errors
///
/// Where it can't start. A store that is away is no reason: the service waits for it.
pub async fn run(
    config: Config,
    listeners: Listeners,
    surroundings: Surroundings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    announce(&config, &listeners);
    let secret = secret::read_or_make(&config, &surroundings.random)?;
    let _lock = stores::lock(&config.stores)?;
    let metrics = Metrics::new();
    let stores = open_stores(&config.stores, &surroundings, &metrics)?;
    let has_sandbox = surroundings.sandbox_consumer.is_some();
    let app = assemble(&config, &stores, surroundings, &secret, &metrics)?;
    let phase = app.health.phase().clone();

    let (stop_health, health_stopped) = watch::channel(());
    let health = serve_health(listeners.health, app.clone(), health_stopped)?;
    let (stop_api, api_stopped) = watch::channel(());
    let limits = Limits::of_api(metrics);
    let api =
        tokio::spawn(listen::serve(listeners.api, http::api(app.clone()), api_stopped, limits));
    let get_ready = tokio::spawn(get_ready(config, app.clone(), phase, has_sandbox));

    shutdown.await;
    info!("🔧 Stopping: requests under way may end, new ones are not taken");
    let until = Instant::now() + DRAIN_TIME;
    app.health.phase().drain();
    get_ready.abort();
    drop(stop_api);
    let _ = api.await;
    drain_finishes(&app.connect.finishes, until).await;
    stores.storage.close().await;
    drop(stop_health);
    let _ = tokio::task::spawn_blocking(move || health.join()).await;
    info!("🔧 Stopped");
    Ok(())
}

fn assemble(
    config: &Config,
    stores: &OpenedStores,
    surroundings: Surroundings,
    secret: &SecretString,
    metrics: &Arc<Metrics>,
) -> Result<AppState, ServerError> {
    let Surroundings { clock, random, sandbox_consumer } = surroundings;
    let shared = || Arc::clone(metrics);
    let discogs = Discogs::new(config.discogs.clone(), clock.clone(), random.clone(), shared());
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let passwords = Passwords::start(cores, random.clone(), shared());
    let OpenedStores { storage, states } = stores.clone();
    let checked = (Arc::clone(&storage), Arc::clone(&states));
    let secret = secret.expose_secret().as_bytes();
    let limits = stores::limits(config, secret, &storage, &clock, metrics)?;
    Ok(AppState::new(App {
        health: Health::new(checked.0, checked.1, Phase::default(), clock.clone(), shared()),
        metrics: shared(),
        connect: Connect {
            storage: Arc::clone(&storage),
            states,
            discogs: discogs.map_err(setup("the client for Discogs"))?,
            random: random.clone(),
            sandbox_consumer,
            finishes: TaskTracker::new(),
        },
        storage,
        passwords: passwords.map_err(setup("the password workers"))?,
        key: Key::new(secret),
        access_token_life: config.access_token_life,
        clock,
        random,
        cors_origins: config.cors_origins.clone(),
        web_page: config.web_page,
        limits,
        trusted_proxies: config.trusted_proxies.clone(),
        untrusted_forwarding: Once::new(),
    }))
}

/// Says which part can't be set up.
fn setup<E>(what: &'static str) -> impl Fn(E) -> ServerError + Copy
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| ServerError::Setup { what, source: error.into() }
}

/// Says which stores are used, where the service listens, and what should worry the operator.
fn announce(config: &Config, listeners: &Listeners) {
    match &config.stores {
        Stores::Embedded(embedded) => {
            let file = embedded.database().display().to_string();
            info!(file, "🚀 Starting on the embedded store, one SQLite file");
        }
        Stores::Servers { postgres, redis } => {
            let postgres = format!("{}/{}", postgres.address(), postgres.database);
            info!(postgres, redis = redis.address(), "🚀 Starting on PostgreSQL and Redis");
        }
    }
    let address = |listener: &TcpListener| {
        listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
    };
    let (api, health) = (address(&listeners.api), address(&listeners.health));
    info!(api, health, "🚀 Listening");
    if config.web_page == WebPage::On {
        info!(page = format!("{api}/"), "🚀 The account page can be opened in a browser");
    }
    info!(page = format!("{api}/docs"), "🚀 The API can be read about and tried in a browser");
    for warning in &config.warnings {
        warning.log();
    }
}

/// Serves the health port on a thread with a runtime of its own, so that it never waits behind
/// API work.
fn serve_health(
    listener: TcpListener,
    app: AppState,
    stopped: watch::Receiver<()>,
) -> Result<thread::JoinHandle<()>, ServerError> {
    let setup = setup("the thread of the health port");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(setup)?;
    let limits = Limits::of_health(Arc::clone(&app.metrics));
    let port = http::health_only(app);
    let serve = move || runtime.block_on(listen::serve(listener, port, stopped, limits));
    thread::Builder::new().name("health".to_owned()).spawn(serve).map_err(setup)
}

async fn get_ready(config: Config, app: AppState, phase: Phase, has_sandbox: bool) {
    prepare(&*app.storage, config.migrations).await;
    if let Some(admin) = &config.first_admin {
        first_admin::make_sure(admin, &app).await;
    }
    phase.ready();
    info!("🚀 Ready");
    first_steps::tell(&*app.storage, has_sandbox).await;
}

/// Prepares the storage, trying again until it succeeds; says what changes, once each.
async fn prepare(storage: &dyn Storage, migrations: Migrations) {
    let mut pause = SHORTEST_PAUSE;
    let mut last_problem = String::new();
    loop {
        match storage.prepare(migrations).await {
            Ok(applied) => {
                for migration in applied {
                    info!(migration = %migration, "💾 Applied a migration");
                }
                return;
            }
            Err(error) => {
                let problem = chain(&error);
                if problem != last_problem {
                    report_not_prepared(&error, &problem);
                    last_problem = problem;
                }
            }
        }
        clock::pause(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn report_not_prepared(error: &StorageError, problem: &str) {
    match error {
        StorageError::SchemaBehind { .. } => {
            error!(problem, "❌ The schema is behind and AUTO_MIGRATE is off");
        }
        StorageError::NotOurs(_) => {
            error!(problem, "❌ This database can't be used, and was left as it is");
        }
        _ => warn!(problem, "⚠️ The database is not ready; trying again until it is"),
    }
}

async fn drain_finishes(finishes: &TaskTracker, until: Instant) {
    finishes.close();
    if tokio::time::timeout_at(until.into(), finishes.wait()).await.is_err() {
        warn!("⚠️ A Discogs connection that was being finished was cut off");
    }
}

//! The running service: binds both ports, opens the stores, serves, and drains at the end.
//!
//! `cli` and the tests start it the same way: [`bind`], then [`run`]. This module must not depend
//! on the routes.

mod announce;
mod bind;
mod ports;
mod secret;
mod stores;
mod unlock;

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sqlite_file::LockError;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{error, info, warn};

use crate::accounts::first_admin::{self, Accounts};
use crate::accounts::password::Passwords;
use crate::clock::{self, Timestamp};
use crate::config::{Config, Migrations};
use crate::connect::Connect;
use crate::discogs::Discogs;
use crate::flows::Flows;
use crate::http::{App, AppState, ForwardingWarnings, Health, Lifecycle, Stage};
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::outage;
use crate::rate_limits::RateLimiter;
use crate::revocations::Revocations;
use crate::storage::{Storage, StorageError};
use crate::surroundings::Surroundings;
use crate::threads::{NoThreads, processors};

use announce::Addresses;
use ports::BoundPort;

pub use bind::{BindError, Listeners, bind};
pub use secret::{SecretError, existing_token_keys};
pub use stores::{OpenedStores, is_revoked, open_stores};

/// How long requests and Discogs connections in progress may take after the signal to stop.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Why the service did not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A port can't be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The clock is before 1970, which an HTTP date can't express.
    #[error("the clock of this machine says {0}: set it, then start the service again")]
    Clock(Timestamp),
    /// The secret for access tokens can't be read or created.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Another service uses the SQLite file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A part can't be set up, for want of threads or TLS.
    #[error("can't set up {what}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part that should run until the service stops has ended.
    #[error("{0} has ended unexpectedly; the log says why")]
    Ended(&'static str),
}

/// Runs the service until `shutdown` completes, then finishes the requests in progress.
///
/// # Errors
///
/// If it can't start, or a part of it ends. An unavailable store is no error: the service waits.
pub async fn run(
    config: Config,
    listeners: Listeners,
    surroundings: Surroundings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let addresses = Addresses::of(&listeners, config.web_page);
    announce::log_configuration(&config);
    let now = surroundings.clock.now();
    if now < Timestamp::from_microseconds(0) {
        return Err(ServerError::Clock(now));
    }
    let _lock = stores::lock(&config.stores)?;
    let secret = secret::read_or_create(&config, &surroundings.random)?;
    let metrics = Metrics::new();
    let stores = open_stores(&config, &surroundings, &metrics)?;
    let has_sandbox = surroundings.sandbox_consumer.is_some();
    let app = assemble(&config, &stores, surroundings, &secret, &metrics)?;
    let _watch = app.revocations.clone().map(watch);
    let (keep_alive, drain_time) = (config.keep_alive, config.drain_time);

    let (stop_health, health_stopped) = oneshot::channel();
    let mut health =
        serve_health(BoundPort::health(listeners.health, &app, keep_alive), health_stopped)?;
    let (stop_api, api_stopped) = oneshot::channel::<Infallible>();
    let api = build_api(listeners.api, app.clone(), keep_alive).await?;
    let mut api = tokio::spawn(api.serve(api_stopped));
    let keyring = Arc::clone(&stores.keyring);
    let get_ready = get_ready(config, app.clone(), keyring, has_sandbox, addresses);
    let mut get_ready = tokio::spawn(get_ready);

    let ended = first_to_end(shutdown, &mut api, &mut health, &mut get_ready).await;
    get_ready.abort();
    if ended.is_none() {
        drain(app.health.lifecycle(), drain_time).await;
    }
    app.health.lifecycle().drain();
    info!("🔧 Stopping: finishing requests in progress, accepting no new ones");
    let until = Instant::now() + DRAIN_TIME;
    drop(stop_api);
    if !api.is_finished() {
        let _ = api.await;
    }
    drain_finishes(&app.connect.finishes, until).await;
    stores.storage.close().await;
    drop(stop_health);
    if !health.is_terminated() {
        let _ = health.await;
    }
    info!("🔧 Stopped");
    ended.map_or(Ok(()), |what| Err(ServerError::Ended(what)))
}

/// Waits for the shutdown; returns the name of a part that ended before, if one did.
async fn first_to_end(
    shutdown: impl Future<Output = ()>,
    api: &mut JoinHandle<()>,
    health: &mut oneshot::Receiver<Infallible>,
    get_ready: &mut JoinHandle<()>,
) -> Option<&'static str> {
    tokio::select! {
        () = shutdown => None,
        _ = api => Some("serving the API"),
        _ = health => Some("serving the health port"),
        Err(_) = get_ready => Some("preparing the database"),
    }
}

/// Reports the service as not ready, and keeps accepting requests for `time`.
///
/// A load balancer that polls readiness needs time to notice.
async fn drain(lifecycle: &Lifecycle, time: Duration) {
    let was_ready = lifecycle.stage() == Stage::Ready;
    lifecycle.drain();
    if was_ready && !time.is_zero() {
        info!(seconds = time.as_secs(), "🔧 Draining: still accepting requests");
        clock::pause(time).await;
    }
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
    let passwords = Passwords::start(processors(), random.clone(), shared());
    let passwords = passwords.map_err(NoThreads::from);
    let OpenedStores { storage, flows, counts, .. } = stores.clone();
    let flows = Flows::new(flows, stores::record_form(config));
    let checked = (Arc::clone(&storage), flows.clone());
    let keys = secret::token_keys(secret, config);
    let secret = secret.expose_secret().as_bytes();
    let revocations = stores::revocations(config, metrics)?;
    let (limits, known) = (config.rate_limits, Arc::clone(&storage));
    let limits = RateLimiter::new(limits, secret, counts, known, clock.clone(), shared());
    Ok(AppState::new(App {
        health: Health::new(checked.0, checked.1, Lifecycle::default(), clock.clone(), shared()),
        metrics: shared(),
        connect: Connect {
            storage: Arc::clone(&storage),
            flows,
            discogs: discogs.map_err(setup("the client for Discogs"))?,
            random: random.clone(),
            sandbox_consumer,
            finishes: TaskTracker::new(),
        },
        storage,
        passwords: passwords.map_err(setup("the password workers"))?,
        keys,
        revocations,
        access_token_life: config.access_token_life,
        clock,
        random,
        cors_origins: config.cors_origins.clone(),
        web_page: config.web_page,
        app_base_url: config.app_base_url.clone(),
        limits,
        trusted_proxies: config.trusted_proxies.clone(),
        forwarding_warnings: ForwardingWarnings::default(),
    }))
}

/// Keeps the marks of revoked tokens up to date until the returned handle is dropped.
fn watch(revocations: Arc<Revocations>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move { revocations.watch().await }))
}

/// Names the part that can't be set up.
fn setup<E>(what: &'static str) -> impl Fn(E) -> ServerError + Copy
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| ServerError::Setup { what, source: error.into() }
}

/// Builds the API's port.
///
/// The routes are built together with their descriptions, which are dropped at once. On a thread that
/// ends, the allocator returns that memory to the system.
async fn build_api(
    listener: TcpListener,
    app: AppState,
    keep_alive: Duration,
) -> Result<BoundPort, ServerError> {
    let build = tokio::task::spawn_blocking(move || BoundPort::api(listener, &app, keep_alive));
    build.await.map_err(|_| ServerError::Ended("building the API"))
}

/// Serves the health port on a thread with its own runtime, so that it never waits behind API work.
///
/// The returned receiver completes when the thread has ended.
fn serve_health(
    port: BoundPort,
    stopped: oneshot::Receiver<Infallible>,
) -> Result<oneshot::Receiver<Infallible>, ServerError> {
    let (ends, ended) = oneshot::channel();
    let serve = move || {
        let _ends: oneshot::Sender<Infallible> = ends;
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(port.serve(stopped)),
            Err(error) => error!(%error, "❌ The listener of a port failed"),
        }
    };
    let started = thread::Builder::new().name("health".to_owned()).spawn(serve);
    started.map_err(NoThreads::from).map_err(setup("the thread of the health port"))?;
    Ok(ended)
}

async fn get_ready(
    config: Config,
    app: AppState,
    keyring: Arc<Keyring>,
    has_sandbox: bool,
    addresses: Addresses,
) {
    prepare(&*app.storage, config.migrations).await;
    unlock::unlock(&config, &app, &keyring).await;
    if let Some(admin) = &config.first_admin {
        let App { storage, passwords, random, .. } = &*app;
        first_admin::ensure(admin, Accounts { storage: &**storage, passwords, random }).await;
    }
    if let Some(revocations) = &app.revocations {
        revocations.until_read().await;
    }
    announce::log_next_steps(&*app.storage, has_sandbox).await;
    app.health.lifecycle().ready();
    addresses.log();
}

/// Prepares the storage, and retries until that succeeds.
async fn prepare(storage: &dyn Storage, migrations: Migrations) {
    for migration in outage::retry(|| storage.prepare(migrations), report_not_prepared).await {
        info!(migration = %migration, "💾 Applied a migration");
    }
}

pub(super) fn report_not_prepared(error: &StorageError, problem: &str) {
    match error {
        StorageError::SchemaBehind { .. } => {
            error!(problem, "❌ The schema is behind and AUTO_MIGRATE is off");
        }
        StorageError::Incompatible(_) => {
            error!(problem, "❌ This database can't be used, and was not changed");
        }
        StorageError::Lost(_) => {
            error!(problem, "❌ The database is missing or empty; not creating a new one");
        }
        StorageError::EmailTaken
        | StorageError::NoSuchUser
        | StorageError::FlowEnded
        | StorageError::Unavailable(_)
        | StorageError::DiskFull(_)
        | StorageError::Overloaded
        | StorageError::Untranslatable(_)
        | StorageError::Unreadable { .. }
        | StorageError::Refused(_) => {
            warn!(problem, "⚠️ The database is not ready; retrying until it is");
        }
    }
}

async fn drain_finishes(finishes: &TaskTracker, until: Instant) {
    finishes.close();
    if tokio::time::timeout_at(until.into(), finishes.wait()).await.is_err() {
        warn!("⚠️ A Discogs connection was cut off before it was saved");
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::first_to_end;

    fn runs() -> JoinHandle<()> {
        tokio::spawn(pending())
    }

    fn panics() -> JoinHandle<()> {
        tokio::spawn(async { panic!("intended") })
    }

    #[tokio::test]
    async fn a_service_ends_when_it_is_shut_down() {
        let (_ends, mut health) = oneshot::channel();
        let shutdown = async {
            tokio::task::yield_now().await;
        };
        let ended =
            first_to_end(shutdown, &mut runs(), &mut health, &mut tokio::spawn(ready(()))).await;
        assert_eq!(ended, None);
    }

    #[tokio::test]
    async fn a_service_ends_when_a_part_of_it_has_ended() {
        let (ends, mut health) = oneshot::channel();
        let ended = first_to_end(pending(), &mut panics(), &mut health, &mut runs()).await;
        assert_eq!(ended, Some("serving the API"));
        let ended = first_to_end(pending(), &mut runs(), &mut health, &mut panics()).await;
        assert_eq!(ended, Some("preparing the database"));
        drop(ends);
        let ended = first_to_end(pending(), &mut runs(), &mut health, &mut runs()).await;
        assert_eq!(ended, Some("serving the health port"));
    }
}

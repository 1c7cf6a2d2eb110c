//! Choosing the stores: the only place that knows which ones there are.

use std::fs::File;
use std::sync::Arc;

use discogsography_token::VerifiedClaims;
use sqlite_file::LockError;
use tracing::warn;

use super::{ServerError, secret};
use crate::config::{Config, EmbeddedStores, IfLost, PythonCompat, RedisConfig, Stores};
use crate::expiring::{Expiring, ExpiringError, RedisRecords, SqliteRecords};
use crate::flows::{self, RecordForm, ReportedRecords, Sealed};
use crate::keyring::Keyring;
use crate::metrics::{Counter, Metrics};
use crate::rate_limits;
use crate::revocations::Revocations;
use crate::sqlite::{self, CountedDatabase, Database};
use crate::storage::{PostgresStorage, SqliteStorage, Storage};
use crate::surroundings::Surroundings;
use crate::tls;

/// The stores of a service.
#[derive(Debug, Clone)]
pub struct OpenedStores {
    /// The keys of stored secrets.
    pub keyring: Arc<Keyring>,
    /// Users and their connections.
    pub storage: Arc<dyn Storage>,
    /// The records of pending flows.
    pub flows: Arc<dyn Expiring>,
    /// The counts of request limits, if replicas share them; otherwise each process keeps its own.
    pub counts: Option<Arc<dyn Expiring>>,
}

/// Creates the stores; nothing is connected or opened before they are used.
///
/// # Errors
///
/// If a library can't use the address of a server, or if the key beside the embedded store can't be read.
pub fn open_stores(
    config: &Config,
    surroundings: &Surroundings,
    metrics: &Arc<Metrics>,
) -> Result<OpenedStores, ServerError> {
    tls::install_provider();
    let Surroundings { clock, random, .. } = surroundings;
    let keyring = Arc::new(open_keyring(config, surroundings, metrics)?);
    match &config.stores {
        Stores::Embedded(embedded) => {
            let database = Database::new(sqlite::settings(embedded));
            let counted = |errors: fn(&Metrics) -> &Counter| {
                CountedDatabase::new(Arc::clone(&database), Arc::clone(metrics), errors)
            };
            let flows = SqliteRecords::new(counted(|it| &it.state_store_errors), clock.clone());
            let file = counted(|it| &it.storage_errors);
            let for_storage = Arc::clone(&keyring);
            let storage = SqliteStorage::new(file, for_storage, clock.clone(), random.clone());
            let flows =
                Arc::new(Sealed::new(Arc::new(flows), Arc::clone(&keyring), record_form(config)));
            Ok(OpenedStores { keyring, storage: Arc::new(storage), flows, counts: None })
        }
        Stores::Servers { postgres, redis } => {
            let flows =
                ReportedRecords::new(records(redis, flows::REDIS_PREFIX)?, Arc::clone(metrics));
            let counts: Arc<dyn Expiring> = Arc::new(records(redis, rate_limits::REDIS_PREFIX)?);
            let flows =
                Arc::new(Sealed::new(Arc::new(flows), Arc::clone(&keyring), record_form(config)));
            let for_storage = Arc::clone(&keyring);
            let storage = Arc::new(PostgresStorage::new(postgres, for_storage, random, metrics));
            Ok(OpenedStores { keyring, storage, flows, counts: Some(counts) })
        }
    }
}

/// Derives the keys: those of the configuration, or the one beside the embedded store.
fn open_keyring(
    config: &Config,
    surroundings: &Surroundings,
    metrics: &Metrics,
) -> Result<Keyring, ServerError> {
    let Surroundings { clock, random, .. } = surroundings;
    let previous = config.encryption.previous.iter().cloned();
    let unreadable = metrics.unreadable_secrets.clone();
    let configured = config.encryption.current.as_deref();
    let keyring = Keyring::new(configured, previous, clock.clone(), random.clone(), unreadable);
    if let Some(embedded) = own_master_key(config)
        && let Some(key) = secret::read_master_key(&embedded.master_key())?
    {
        keyring.set_current(&key);
    }
    Ok(keyring)
}

/// Returns the embedded stores if their key is in a file beside them.
pub(super) fn own_master_key(config: &Config) -> Option<&EmbeddedStores> {
    match &config.stores {
        Stores::Embedded(embedded) if config.encryption.current.is_none() => Some(embedded),
        Stores::Embedded(_) | Stores::Servers { .. } => None,
    }
}

fn records(config: &RedisConfig, prefix: &str) -> Result<RedisRecords, ServerError> {
    RedisRecords::new(config, prefix).map_err(redis_setup)
}

/// Prepares what is known of revoked tokens; `None` unless `PYTHON_COMPAT` is on.
pub(super) fn revocations(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Revocations>>, ServerError> {
    match (config.python_compat, &config.stores) {
        (PythonCompat::On, Stores::Servers { redis, .. }) => {
            let revocations = Revocations::new(redis, Arc::clone(metrics)).map_err(redis_setup)?;
            Ok(Some(Arc::new(revocations)))
        }
        (PythonCompat::Off, _) | (_, Stores::Embedded(_)) => Ok(None),
    }
}

/// Whether a Python service has revoked a token; `false` without `PYTHON_COMPAT`.
///
/// # Errors
///
/// If Redis can't be used.
pub async fn is_revoked(config: &Config, claims: &VerifiedClaims) -> Result<bool, ServerError> {
    let Some(revocations) = revocations(config, &Metrics::new())? else {
        return Ok(false);
    };
    revocations.read_once().await.map_err(|source| ServerError::Setup {
        what: "the list of revoked tokens",
        source: source.into(),
    })?;
    Ok(revocations.is_revoked(claims.sub, claims.iat, claims.jti.as_deref()))
}

/// Returns the form of the records of flows.
pub(super) fn record_form(config: &Config) -> RecordForm {
    match config.python_compat {
        PythonCompat::On => RecordForm::Python,
        PythonCompat::Off => RecordForm::Own,
    }
}

fn redis_setup(error: ExpiringError) -> ServerError {
    ServerError::Setup { what: "the connection to Redis (REDIS_URL)", source: error.into() }
}

/// Locks the SQLite file against a second service, and prepares a first start.
///
/// `None` if the stores are servers. The lock is released when the file is dropped.
pub(super) fn lock(stores: &Stores) -> Result<Option<File>, LockError> {
    let Stores::Embedded(embedded) = stores else {
        return Ok(None);
    };
    let folder = &embedded.data_dir;
    let failed = |source| LockError::Failed { path: folder.clone(), source };
    let settings = sqlite::settings(embedded);
    sqlite_file::begin(&settings).map_err(failed)?;
    let lock = sqlite_file::lock(&settings)?;
    if embedded.if_lost == IfLost::StartAfresh
        && !sqlite_file::start_afresh(&settings).map_err(failed)?
    {
        let file = settings.database.display();
        warn!(%file, "⚠️ --new-database has no effect, because a database exists: remove the option");
    }
    if let Ok(Some(mode)) = private_files::mode_if_writable_by_others(folder) {
        let (folder, mode) = (folder.display().to_string(), format!("{mode:04o}"));
        warn!(folder, mode, "⚠️ Others can make and remove files in DATA_DIR");
    }
    Ok(Some(lock))
}

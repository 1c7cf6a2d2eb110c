//! Choosing the stores: the only place that knows which ones there are.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::{ServerError, Surroundings};
use crate::clock::Clock;
use crate::config::{Config, Stores};
use crate::limits::Limits;
use crate::metrics::{Counter, Metrics};
use crate::private_files;
use crate::sqlite::{Counted, Database};
use crate::state::{OAuthStates, RedisStates, SqliteStates};
use crate::storage::{PostgresStorage, SqliteStorage, Storage};
use crate::tls;

/// The two stores of a service.
#[derive(Debug, Clone)]
pub struct OpenedStores {
    /// Users and their connections.
    pub storage: Arc<dyn Storage>,
    /// Flows under way.
    pub states: Arc<dyn OAuthStates>,
}

/// The SQLite file is not free.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another service runs on it.
    #[error("another discogsography-api serves from {}: stop it, or set DATA_DIR to another folder", .0.display())]
    Taken(PathBuf),
    /// Nobody knows.
    #[error("can't lock {}", .path.display())]
    Unusable {
        /// The lock's file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// Names the stores; nothing is connected or opened before they are prepared or asked.
///
/// # Errors
///
/// Where a library can't use the address.
pub fn open_stores(
    stores: &Stores,
    surroundings: &Surroundings,
    metrics: &Arc<Metrics>,
) -> Result<OpenedStores, ServerError> {
    tls::install_provider();
    let Surroundings { clock, random, .. } = surroundings;
    match stores {
        Stores::Embedded(embedded) => {
            let database = Database::new(embedded.database());
            let counted = |errors: fn(&Metrics) -> &Counter| {
                Counted::new(Arc::clone(&database), Arc::clone(metrics), errors)
            };
            let states = SqliteStates::new(counted(|it| &it.state_store_errors), clock.clone());
            let file = counted(|it| &it.storage_errors);
            let storage = SqliteStorage::new(file, clock.clone(), random.clone());
            Ok(OpenedStores { storage: Arc::new(storage), states: Arc::new(states) })
        }
        Stores::Servers { postgres, redis } => {
            let states = RedisStates::new(redis, Arc::clone(metrics));
            let states = states.map_err(|error| ServerError::Setup {
                what: "the connection to Redis (REDIS_URL)",
                source: error.into(),
            })?;
            let storage = PostgresStorage::new(postgres, random, metrics);
            Ok(OpenedStores { storage: Arc::new(storage), states: Arc::new(states) })
        }
    }
}

/// Sets up the request limits: shared where the stores are.
pub(super) fn limits(
    config: &Config,
    secret: &[u8],
    storage: &Arc<dyn Storage>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Limits, ServerError> {
    let redis = match &config.stores {
        Stores::Servers { redis, .. } => Some(redis),
        Stores::Embedded(_) => None,
    };
    let (storage, clock, metrics) = (Arc::clone(storage), clock.clone(), Arc::clone(metrics));
    Limits::new(config.rate_limits, secret, redis, storage, clock, metrics).map_err(|error| {
        ServerError::Setup { what: "the connection to Redis (REDIS_URL)", source: error.into() }
    })
}

/// Keeps a second service off the SQLite file for as long as the lock is held.
///
/// A file of its own: SQLite's locks on the database would be lost when another handle on it is
/// closed.
pub(super) fn lock(stores: &Stores) -> Result<Option<File>, LockError> {
    let Stores::Embedded(embedded) = stores else {
        return Ok(None);
    };
    let path = embedded.lock();
    let unusable = |source| LockError::Unusable { path: path.clone(), source };
    private_files::make_folder(&embedded.data_dir).map_err(unusable)?;
    let file = private_files::options().create(true).truncate(false).open(&path);
    // A disk that is read-only for now is no reason to end: health says it, and it may pass.
    let file = file.or_else(|error| File::open(&path).map_err(|_| error)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LockError::Taken(embedded.database())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

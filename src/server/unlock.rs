//! Makes sure at startup that the stored secrets can be decrypted, and encrypts those of the
//! embedded store.

use thiserror::Error;
use tracing::{error, info, warn};

use super::secret::{self, SecretError};
use super::stores::own_master_key;
use crate::config::{Config, EmbeddedStores};
use crate::http::App;
use crate::keyring::{Keyring, SealedTable};
use crate::keys::{self, Direction, Misfit};
use crate::outage;
use crate::storage::{Storage, StorageError};

/// Why the stored secrets can't be used yet.
#[derive(Debug, Error)]
enum Locked {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    File(#[from] SecretError),
}

/// Retries until the keys fit the database.
pub(super) async fn unlock(config: &Config, app: &App, keyring: &Keyring) {
    let embedded = own_master_key(config);
    outage::retry(|| try_to_unlock(embedded, app, keyring), report).await;
}

async fn try_to_unlock(
    embedded: Option<&EmbeddedStores>,
    app: &App,
    keyring: &Keyring,
) -> Result<(), Locked> {
    let storage = &*app.storage;
    if let Some(embedded) = embedded.filter(|_| !keyring.seals())
        && keys::can_start_afresh(storage).await?
    {
        storage.forget_encryption().await?;
        keyring.set_current(&secret::create_master_key(&embedded.master_key(), &app.random)?);
    }
    let encryption = keys::fit(storage, keyring).await?;
    if embedded.is_some() && encryption.tables.len() < SealedTable::ALL.len() {
        encrypt(storage, keyring).await?;
    }
    Ok(())
}

/// Encrypts what an earlier version stored; a start that is killed here continues with the next one.
async fn encrypt(storage: &dyn Storage, keyring: &Keyring) -> Result<(), StorageError> {
    let encrypted = keys::reseal(storage, keyring, Direction::Encrypt, &|_, _, _| {}).await?;
    if encrypted.written > 0 {
        info!(rows = encrypted.written, "🔐 Encrypted the stored secrets");
    }
    Ok(())
}

impl From<StorageError> for Locked {
    fn from(error: StorageError) -> Self {
        Misfit::from(error).into()
    }
}

fn report(locked: &Locked, problem: &str) {
    match locked {
        Locked::Misfit(Misfit::Storage(_)) => {
            warn!(problem, "⚠️ The database is not ready; retrying until it is");
        }
        Locked::Misfit(
            Misfit::NoKey(_) | Misfit::NoKeyFits(_) | Misfit::OtherKey | Misfit::KeyMissing,
        )
        | Locked::File(_) => {
            error!(
                problem,
                "❌ Stored secrets can't be decrypted; the service is not ready until this is fixed"
            );
        }
    }
}

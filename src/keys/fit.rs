//! Checks whether a keyring fits a database, before anything is read or written with it.

use thiserror::Error;

use super::reseal::sealing;
use crate::keyring::{Keyring, Purpose, SealedTable, Sealing};
use crate::storage::{Encryption, Storage, StorageError, Written};

/// The text of the check value.
const CHECK: &str = "discogsography";

/// Why a database and the configured keys don't fit.
#[derive(Debug, Clone, Error)]
pub enum Misfit {
    /// Values are encrypted, and no key is configured.
    #[error(
        "{} contains encrypted values, and there is no key: set ENCRYPTION_MASTER_KEY to the key with \
         which they were encrypted", names(.0)
    )]
    NoKey(Vec<SealedTable>),
    /// No configured key decrypts the values of these tables.
    #[error(
        "no configured key decrypts the encrypted values of {}: set ENCRYPTION_MASTER_KEY to the key with \
         which they were encrypted, or add that key to ENCRYPTION_MASTER_KEY_PREVIOUS", names(.0)
    )]
    NoKeyFits(Vec<SealedTable>),
    /// Nothing is encrypted yet, but the database was set up with another key.
    #[error(
        "the database was set up with another ENCRYPTION_MASTER_KEY: set that one, or add it to \
         ENCRYPTION_MASTER_KEY_PREVIOUS; if it is lost, run `discogsography-api keys clear-unreadable`"
    )]
    OtherKey,
    /// The database was set up with a key, and none is configured.
    #[error(
        "the database was set up with an encryption key, and there is none: set ENCRYPTION_MASTER_KEY \
         to it; if it is lost, run `discogsography-api keys clear-unreadable`"
    )]
    KeyMissing,
    /// The database could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Checks the keyring against the check value and a few encrypted rows of each table.
///
/// With a key and a database that has no check value, it writes that. Returns what is recorded.
///
/// # Errors
///
/// See [`Misfit`].
pub async fn fit(storage: &dyn Storage, keyring: &Keyring) -> Result<Encryption, Misfit> {
    let encryption = storage.encryption().await?;
    check_samples(storage, keyring).await?;
    if let Some(check) = &encryption.check {
        return check_fits(keyring, check).map(|()| encryption);
    }
    if !keyring.seals() {
        return Ok(encryption);
    }
    let check = keyring.seal(Purpose::Check, CHECK);
    match storage.put_check(&check, None).await? {
        Written::Changed => Ok(Encryption { check: Some(check), ..encryption }),
        // Another replica was first; its key may be another one.
        Written::Unchanged => Box::pin(fit(storage, keyring)).await,
    }
}

/// Checks the keyring against a stored check value.
///
/// # Errors
///
/// [`Misfit::OtherKey`] or [`Misfit::KeyMissing`].
pub fn check_fits(keyring: &Keyring, check: &str) -> Result<(), Misfit> {
    match keyring.sealing(Purpose::Check, check) {
        Sealing::Current | Sealing::Previous(_) => Ok(()),
        _ if keyring.has_keys() => Err(Misfit::OtherKey),
        _ => Err(Misfit::KeyMissing),
    }
}

/// Whether no value is encrypted, so that a new key loses nothing.
///
/// # Errors
///
/// If the database can't be read.
pub async fn can_start_afresh(storage: &dyn Storage) -> Result<bool, StorageError> {
    for table in SealedTable::ALL {
        if !storage.encrypted_sample(table).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the check value of the current key.
pub(super) fn new_check(keyring: &Keyring) -> String {
    keyring.seal(Purpose::Check, CHECK)
}

async fn check_samples(storage: &dyn Storage, keyring: &Keyring) -> Result<(), Misfit> {
    let mut unreadable = Vec::new();
    for table in SealedTable::ALL {
        let sample = storage.encrypted_sample(table).await?;
        // One damaged value does not make the key wrong.
        let mut sealings = sample.iter().map(|row| sealing(keyring, table, row));
        if !sample.is_empty() && sealings.all(|sealing| sealing == Some(Sealing::Unreadable)) {
            unreadable.push(table);
        }
    }
    if unreadable.is_empty() {
        Ok(())
    } else if keyring.has_keys() {
        Err(Misfit::NoKeyFits(unreadable))
    } else {
        Err(Misfit::NoKey(unreadable))
    }
}

fn names(tables: &[SealedTable]) -> String {
    tables.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ")
}

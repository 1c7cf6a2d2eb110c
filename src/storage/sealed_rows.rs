//! The stored secrets as they are, encrypted or not, for what encrypts, decrypts and counts them.
//!
//! A separate trait, because no request needs it.

use async_trait::async_trait;
use secrecy::SecretString;

use super::{StorageError, Written};
use crate::keyring::SealedTable;

/// The name of the row with the check value.
const CHECK: &str = "check";

/// The most rows that [`SealedRows::sealed_rows`] returns, as its statements say.
pub(crate) const PAGE: usize = 1_000;

/// What is recorded about the encryption of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encryption {
    /// A text encrypted with the key; `None` while there is no key.
    pub check: Option<String>,
    /// The tables in which every secret is encrypted.
    pub tables: Vec<SealedTable>,
}

impl Encryption {
    /// Adds a row of `api_encryption`.
    pub(super) fn add(&mut self, name: &str, value: String) {
        if name == CHECK {
            self.check = Some(value);
        }
        self.tables.extend(SealedTable::ALL.into_iter().filter(|table| table.name() == name));
    }
}

/// The secrets of a row.
#[derive(Debug)]
pub struct SealedRow {
    /// The primary key.
    pub key: String,
    /// The values of the encrypted columns, in the order of [`SealedTable`]'s description.
    pub values: Vec<SecretString>,
}

/// New values for a row.
#[derive(Debug)]
pub struct Reseal {
    /// The row as it was read. Only a row that still is so is written.
    pub row: SealedRow,
    /// The values to write, as many as the row has.
    pub values: Vec<SecretString>,
}

/// The stored secrets as they are.
#[async_trait]
pub trait SealedRows {
    /// What is recorded about the encryption.
    async fn encryption(&self) -> Result<Encryption, StorageError>;

    /// Writes the check value if the stored one is `replaces`; `None` means that none is stored.
    async fn put_check(&self, check: &str, replaces: Option<&str>)
    -> Result<Written, StorageError>;

    /// Records tables as encrypted, in addition to those that are.
    async fn record_encrypted(&self, tables: &[SealedTable]) -> Result<(), StorageError>;

    /// Removes the check value and the records of all tables.
    async fn forget_encryption(&self) -> Result<(), StorageError>;

    /// Up to 1,000 rows, by primary key, starting with the row `from`. Their values may be empty.
    async fn sealed_rows(
        &self,
        table: SealedTable,
        from: Option<&str>,
    ) -> Result<Vec<SealedRow>, StorageError>;

    /// A few rows whose secrets begin like encrypted ones.
    async fn encrypted_sample(&self, table: SealedTable) -> Result<Vec<SealedRow>, StorageError>;

    /// Replaces secrets and returns how many rows it wrote: not those that have changed since they
    /// were read.
    async fn reseal(&self, table: SealedTable, rows: Vec<Reseal>) -> Result<usize, StorageError>;

    /// Deletes the row of a secret that can't be read, unless it has changed since it was read.
    ///
    /// Of a user, only the secret is deleted.
    async fn delete_secret(&self, table: SealedTable, row: SealedRow) -> Result<(), StorageError>;

    /// Overwrites what the file still contains of replaced values; does nothing in PostgreSQL.
    async fn erase_replaced(&self) -> Result<(), StorageError>;
}

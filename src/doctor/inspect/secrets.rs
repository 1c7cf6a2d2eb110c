//! Reads how the secrets of each table are stored. Tables and columns that don't exist are skipped.

use rusqlite::Connection;
use tokio_postgres::Transaction;

use super::postgres::{has_column, has_table};
use crate::keyring::{Keyring, SealedTable};
use crate::keys::{TableTally, Tally};
use crate::storage::postgres::PostgresError;
use crate::storage::{Encryption, PAGE, postgres, sqlite};

/// Where the database records what is encrypted.
const ENCRYPTION: &str = "api_encryption";

/// Which rows of each table are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doctor) enum Rows {
    /// The first 1,000, which takes little time.
    FirstPage,
    All,
}

/// The stored secrets.
#[derive(Debug, Default)]
pub(in crate::doctor) struct StoredSecrets {
    /// How they are stored.
    pub(in crate::doctor) tally: Tally,
    /// What the database records about its encryption.
    pub(in crate::doctor) encryption: Encryption,
    /// Whether some table has more rows than were read.
    pub(in crate::doctor) is_partial: bool,
}

pub(super) async fn of_postgres(
    transaction: &Transaction<'_>,
    keyring: &Keyring,
    rows: Rows,
) -> Result<StoredSecrets, PostgresError> {
    let mut secrets = StoredSecrets::default();
    if has_table(transaction, ENCRYPTION).await? {
        secrets.encryption = postgres::encryption_in(transaction).await?;
    }
    for table in SealedTable::ALL {
        if has_column(transaction, table.name(), table.column()).await? {
            let (tally, is_partial) = table_of_postgres(transaction, keyring, table, rows).await?;
            secrets.tally.push((table, tally));
            secrets.is_partial |= is_partial;
        }
    }
    Ok(secrets)
}

/// Returns the tally, and whether there are more rows.
async fn table_of_postgres(
    transaction: &Transaction<'_>,
    keyring: &Keyring,
    table: SealedTable,
    rows: Rows,
) -> Result<(TableTally, bool), PostgresError> {
    let mut tally = TableTally::default();
    let mut last = String::new();
    loop {
        let mut page = postgres::sealed_rows_in(transaction, table, &last).await?;
        let is_full = page.len() == PAGE;
        // The first row of a page is the last one of the page before.
        page.retain(|row| row.key != last);
        tally.add_rows(keyring, table, &page);
        match page.pop() {
            Some(row) if is_full && rows == Rows::All => last = row.key,
            _ => return Ok((tally, is_full)),
        }
    }
}

/// Reads the first 1,000 rows of each table.
pub(super) fn of_sqlite(
    connection: &Connection,
    keyring: &Keyring,
) -> rusqlite::Result<StoredSecrets> {
    let mut secrets = StoredSecrets::default();
    if connection.table_exists(None, ENCRYPTION)? {
        secrets.encryption = sqlite::encryption_in(connection)?;
    }
    for table in SealedTable::ALL {
        if !connection.column_exists(None, table.name(), table.column())? {
            continue;
        }
        let page = sqlite::sealed_rows_in(connection, table, "")?;
        let mut tally = TableTally::default();
        tally.add_rows(keyring, table, &page);
        secrets.is_partial |= page.len() == PAGE;
        secrets.tally.push((table, tally));
    }
    Ok(secrets)
}

//! Encrypts, decrypts and re-encrypts the stored secrets, while services use the database.
//!
//! Each batch is one transaction that writes only rows that have not changed since they were read. So
//! the work can be stopped at any moment, repeated, and done by several processes at once.

use secrecy::{ExposeSecret as _, SecretString};

use super::fit::new_check;
use crate::keyring::{Keyring, PlainText, Purpose, SealedTable, Sealing};
use crate::storage::{Reseal, SealedRow, Storage, StorageError};

/// How often all tables are read again because services wrote other values in the meantime.
const MOST_PASSES: usize = 5;

/// What is done with stored secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Plain ones are encrypted with the current key.
    Encrypt,
    /// Those under a previous key are encrypted with the current one.
    Rotate,
    /// All are stored plain.
    Decrypt,
}

/// The rows of a table, by how their secrets are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableTally {
    /// Not encrypted.
    pub plain: u64,
    /// Encrypted with the current key.
    pub current: u64,
    /// Encrypted with each of the previous keys.
    pub previous: Vec<u64>,
    /// Encrypted with a key that is not configured, or damaged.
    pub unreadable: u64,
    /// The first few unreadable rows, by primary key.
    pub unreadable_rows: Vec<String>,
}

/// The tables with their rows.
pub type Tally = Vec<(SealedTable, TableTally)>;

/// What was done.
#[derive(Debug, Default)]
pub struct Resealed {
    /// The rows as the last pass read them.
    pub left: Tally,
    /// How many rows were written.
    pub written: u64,
}

/// Called after each page with the table, and how many of its rows were read and written so far.
pub type Progress<'a> = &'a (dyn Fn(SealedTable, u64, u64) + Send + Sync);

/// How many unreadable rows are named.
const MOST_NAMED: usize = 10;

impl TableTally {
    /// Adds the rows of a page.
    pub fn add_rows(&mut self, keyring: &Keyring, table: SealedTable, rows: &[SealedRow]) {
        for row in rows {
            if let Some(sealing) = sealing(keyring, table, row) {
                self.add(&row.key, sealing);
            }
        }
    }

    fn add(&mut self, key: &str, sealing: Sealing) {
        match sealing {
            Sealing::Plain => self.plain += 1,
            Sealing::Current => self.current += 1,
            Sealing::Previous(number) => {
                if self.previous.len() <= number {
                    self.previous.resize(number + 1, 0);
                }
                if let Some(count) = self.previous.get_mut(number) {
                    *count += 1;
                }
            }
            Sealing::Unreadable => {
                self.unreadable += 1;
                if self.unreadable_rows.len() < MOST_NAMED {
                    self.unreadable_rows.push(key.to_owned());
                }
            }
        }
    }

    /// Returns how many rows `direction` still has to write.
    #[must_use]
    pub fn left(&self, direction: Direction) -> u64 {
        let old: u64 = self.previous.iter().sum();
        match direction {
            Direction::Encrypt => self.plain,
            Direction::Rotate => old,
            Direction::Decrypt => self.current + old,
        }
    }
}

/// Counts the rows by how their secrets are stored.
///
/// # Errors
///
/// If the database can't be read.
pub async fn tally(
    storage: &dyn Storage,
    keyring: &Keyring,
    progress: Progress<'_>,
) -> Result<Tally, StorageError> {
    let mut tally = Vec::new();
    for table in SealedTable::ALL {
        let (rows, _) = Pass { storage, keyring, table, progress }.run(None).await?;
        tally.push((table, rows));
    }
    Ok(tally)
}

/// Writes every row that needs it, and returns what is left, as read by the last pass.
///
/// Nothing of `direction` is left unless rows were written meanwhile in the way that it removes.
/// Then, the encryption is recorded.
///
/// # Errors
///
/// If the database can't be read or written. What was written stays.
pub async fn reseal(
    storage: &dyn Storage,
    keyring: &Keyring,
    direction: Direction,
    progress: Progress<'_>,
) -> Result<Resealed, StorageError> {
    if direction == Direction::Decrypt {
        storage.forget_encryption().await?;
    }
    let mut resealed = Resealed::default();
    for _ in 0..MOST_PASSES {
        resealed.left.clear();
        for table in SealedTable::ALL {
            let pass = Pass { storage, keyring, table, progress };
            let (rows, written) = pass.run(Some(direction)).await?;
            resealed.left.push((table, rows));
            resealed.written += written;
        }
        if resealed.left.iter().all(|(_, rows)| rows.left(direction) == 0) {
            break;
        }
    }
    record(storage, keyring, direction, &resealed.left).await?;
    Ok(resealed)
}

/// Records what holds now of the whole database.
async fn record(
    storage: &dyn Storage,
    keyring: &Keyring,
    direction: Direction,
    left: &Tally,
) -> Result<(), StorageError> {
    match direction {
        Direction::Encrypt => {
            let is_encrypted = |(_, rows): &&(_, TableTally)| rows.plain == 0;
            let tables: Vec<_> =
                left.iter().filter(is_encrypted).map(|(table, _)| *table).collect();
            storage.record_encrypted(&tables).await?;
            // Also what an earlier run replaced that was killed.
            if left.iter().any(|(_, rows)| rows.current > 0) {
                storage.erase_replaced().await?;
            }
            Ok(())
        }
        Direction::Rotate if left.iter().all(|(_, rows)| rows.left(direction) == 0) => {
            let check = storage.encryption().await?.check;
            let is_old = |check: &String| {
                matches!(keyring.sealing(Purpose::Check, check), Sealing::Previous(_))
            };
            if let Some(old) = check.filter(is_old) {
                storage.put_check(&new_check(keyring), Some(&old)).await?;
            }
            Ok(())
        }
        // A start with a key may have recorded it meanwhile.
        Direction::Decrypt => storage.forget_encryption().await,
        Direction::Rotate => Ok(()),
    }
}

/// The rows of a table, page by page.
struct Pages<'a> {
    storage: &'a dyn Storage,
    table: SealedTable,
    /// The key of the last row of the page before.
    last: Option<String>,
}

impl<'a> Pages<'a> {
    fn of(storage: &'a dyn Storage, table: SealedTable) -> Self {
        Self { storage, table, last: None }
    }

    /// Returns the next page; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Vec<SealedRow>>, StorageError> {
        let mut page = self.storage.sealed_rows(self.table, self.last.as_deref()).await?;
        // The first row of a page is the last one of the page before.
        page.retain(|row| self.last.as_ref() != Some(&row.key));
        let Some(end) = page.last() else {
            return Ok(None);
        };
        self.last = Some(end.key.clone());
        Ok(Some(page))
    }
}

/// One reading of a whole table.
struct Pass<'a> {
    storage: &'a dyn Storage,
    keyring: &'a Keyring,
    table: SealedTable,
    progress: Progress<'a>,
}

impl Pass<'_> {
    /// Counts the rows as they were read, and writes those that `direction` has to write.
    async fn run(&self, direction: Option<Direction>) -> Result<(TableTally, u64), StorageError> {
        let mut tally = TableTally::default();
        let (mut read, mut written) = (0, 0);
        let mut pages = Pages::of(self.storage, self.table);
        while let Some(page) = pages.next().await? {
            read += page.len() as u64;
            tally.add_rows(self.keyring, self.table, &page);
            let mut batch = Vec::new();
            if let Some(direction) = direction {
                batch.extend(page.into_iter().filter_map(|row| self.resealed(row, direction)));
            }
            if !batch.is_empty() {
                written += self.storage.reseal(self.table, batch).await? as u64;
            }
            (self.progress)(self.table, read, written);
        }
        Ok((tally, written))
    }

    /// Returns the row with the values to write; `None` if it is as it should be, or can't be read.
    fn resealed(&self, row: SealedRow, direction: Direction) -> Option<Reseal> {
        let purpose = Purpose::of(self.table);
        let needs_work = |value: &SecretString| {
            let sealing = self.keyring.sealing(purpose, value.expose_secret());
            !value.expose_secret().is_empty() && direction.needs(sealing)
        };
        if !row.values.iter().any(needs_work) {
            return None;
        }
        let value = |stored: &SecretString| {
            let stored = stored.expose_secret();
            let plain = self.keyring.open(purpose, stored, PlainText::Accepted).ok()?;
            Some(match direction {
                Direction::Decrypt => plain,
                Direction::Encrypt | Direction::Rotate => {
                    self.keyring.seal(purpose, plain.expose_secret()).into()
                }
            })
        };
        let values = row.values.iter().map(value).collect::<Option<_>>()?;
        Some(Reseal { row, values })
    }
}

impl Direction {
    /// Whether a value that is stored like this has to be written.
    fn needs(self, sealing: Sealing) -> bool {
        match self {
            Self::Encrypt => sealing == Sealing::Plain,
            Self::Rotate => matches!(sealing, Sealing::Previous(_)),
            Self::Decrypt => matches!(sealing, Sealing::Current | Sealing::Previous(_)),
        }
    }
}

/// Deletes the secrets that no configured key decrypts, and forgets a check value that none decrypts.
///
/// Returns how many rows of each table it deleted.
///
/// # Errors
///
/// If the database can't be read or written.
pub async fn clear_unreadable(
    storage: &dyn Storage,
    keyring: &Keyring,
) -> Result<Vec<(SealedTable, u64)>, StorageError> {
    let mut cleared = Vec::new();
    for table in SealedTable::ALL {
        let mut deleted = 0;
        let mut pages = Pages::of(storage, table);
        while let Some(mut page) = pages.next().await? {
            page.retain(|row| sealing(keyring, table, row) == Some(Sealing::Unreadable));
            for row in page {
                storage.delete_secret(table, row).await?;
                deleted += 1;
            }
        }
        cleared.push((table, deleted));
    }
    if let Some(check) = storage.encryption().await?.check
        && keyring.sealing(Purpose::Check, &check) == Sealing::Unreadable
    {
        storage.forget_encryption().await?;
    }
    Ok(cleared)
}

/// How the value of a row that needs most work is stored.
///
/// `None` if all values are empty: those are never encrypted.
pub(super) fn sealing(keyring: &Keyring, table: SealedTable, row: &SealedRow) -> Option<Sealing> {
    let values = row.values.iter().map(SecretString::expose_secret);
    let values = values.filter(|value| !value.is_empty());
    let sealings = values.map(|value| keyring.sealing(Purpose::of(table), value));
    sealings.max_by_key(|sealing| rank(*sealing))
}

fn rank(sealing: Sealing) -> (u8, usize) {
    match sealing {
        Sealing::Current => (0, 0),
        Sealing::Plain => (1, 0),
        Sealing::Previous(number) => (2, number),
        Sealing::Unreadable => (3, 0),
    }
}

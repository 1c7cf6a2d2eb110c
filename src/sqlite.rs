//! One SQLite file with a thread that writes and a thread that reads.
//!
//! A slow disk holds up these threads and never the async ones; what waits for them is bounded.
//! Knows neither the storage nor the OAuth state, which both live in the file.

mod checkpoints;
mod copy;
mod error;
mod first_start;
mod foreign;
mod lock;
mod metered;
mod open;
mod read_only;
mod restore;
mod trouble;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::config::{EmbeddedStores, Migrations};
use crate::migrations::Migration;
use checkpoints::Checkpoints;
use open::Identity;
use trouble::Trouble;
use worker::Worker;

pub use crate::private_files::Unusable;
pub use copy::{Copied, CopyError, Existing, back_up, write_backup};
pub use error::SqliteError;
pub use first_start::{Loss, NoDatabase, begin, is_lost, require_database, start_afresh};
pub use lock::{LockError, is_locked, lock};
pub use metered::Counted;
pub(crate) use open::{migrate, quick_check};
pub(crate) use read_only::ReadOnly;
pub use restore::{Restored, restore};

/// Nobody waits longer than this for an answer.
const LONGEST_WAIT: Duration = Duration::from_millis(4_500);

/// How often what was committed is moved into the file itself, so that a plain copy of it is no
/// older.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// Says in the file whose it is: `DGRY`.
const APPLICATION_ID: u32 = 0x4447_5259;

/// The file, which may be open or not yet.
#[derive(Debug)]
pub struct Database {
    stores: EmbeddedStores,
    path: PathBuf,
    checkpoint_every: Duration,
    threads: Mutex<Option<Arc<Threads>>>,
    /// What `quick_check` found, if it found something.
    damage: Arc<OnceLock<String>>,
    /// What keeps it from being written to, if something does.
    trouble: Trouble,
}

#[derive(Debug)]
struct Threads {
    writer: Worker,
    reader: Worker,
    identity: Identity,
    /// Ends with the threads.
    _checkpoints: Checkpoints,
}

impl Database {
    /// Names the file; nothing is opened.
    #[must_use]
    pub fn new(stores: EmbeddedStores) -> Arc<Self> {
        Self::with_checkpoints(stores, CHECKPOINT_EVERY)
    }

    fn with_checkpoints(stores: EmbeddedStores, checkpoint_every: Duration) -> Arc<Self> {
        Arc::new(Self {
            path: stores.database(),
            stores,
            checkpoint_every,
            threads: Mutex::default(),
            damage: Arc::default(),
            trouble: Trouble::default(),
        })
    }

    /// Opens the file and brings its schema up to date, or only checks it.
    ///
    /// # Errors
    ///
    /// See [`SqliteError`]; may be tried again.
    pub async fn open(&self, migrations: Migrations) -> Result<Vec<Migration>, SqliteError> {
        let stores = self.stores.clone();
        let (done, opened) = oneshot::channel();
        let open = move || {
            // Whoever waits for it may have gone.
            let _ = done.send(open::open(&stores, migrations));
        };
        // Where there are no threads, tokio's own for blocking work would panic.
        let started = thread::Builder::new().name("sqlite-open".to_owned()).spawn(open);
        let path = self.path.clone();
        started.map_err(|source| SqliteError::CannotOpen { path, source })?;
        let opened = opened.await.map_err(|_| SqliteError::NotOpen)??;
        let mut threads = self.lock();
        if threads.is_none() {
            *threads = Some(Arc::new(Threads {
                writer: Worker::writer(opened.writer)?,
                reader: Worker::reader(opened.reader)?,
                identity: opened.identity,
                _checkpoints: Checkpoints::start(opened.checkpoints, self.checkpoint_every)?,
            }));
            drop(threads);
            open::check_beside(&self.path, Arc::clone(&self.damage))?;
        }
        Ok(opened.applied)
    }

    /// Whether the file can be read and written, is where it was, and is not known to be damaged.
    ///
    /// Writes, since a disk that is full or read-only still answers reads.
    ///
    /// # Errors
    ///
    /// See [`SqliteError`].
    pub async fn ping(&self) -> Result<(), SqliteError> {
        // This writes to the disk even though nothing changes.
        let mark = |transaction: &Transaction<'_>| {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)
        };
        let written = self.transact(mark).await.map(drop);
        self.trouble.see(written.as_ref().copied());
        written
    }

    /// Runs one read on the reader's thread.
    ///
    /// # Errors
    ///
    /// See [`SqliteError`].
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        self.threads()?.reader.run(read).await
    }

    /// Runs one transaction on the writer's thread; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// See [`SqliteError`]. After [`SqliteError::TimedOut`] the transaction may still happen.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let written = self.transact(write).await;
        match &written {
            // A transaction without a change succeeds on a full disk, too.
            Ok((_, 0)) => {}
            Ok(_) => self.trouble.see(Ok(())),
            Err(error) => self.trouble.see(Err(error)),
        }
        written.map(|(written, _)| written)
    }

    /// Gives the number of changed rows as well.
    async fn transact<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(T, u64), SqliteError> {
        let threads = self.threads()?;
        let (identity, path) = (threads.identity, self.path.clone());
        let transact = move |connection: &mut Connection| {
            if let Err(gone) = identity.check(&path) {
                return Ok(Err(gone));
            }
            let before = connection.total_changes();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(Ok((written, connection.total_changes() - before)))
        };
        threads.writer.run(transact).await?
    }

    /// Ends the work that has begun, and closes the file.
    pub async fn close(&self) {
        let threads = self.lock().take();
        if let Some(threads) = threads {
            threads.reader.close().await;
            threads.writer.close().await;
        }
    }

    /// Once the file is known to be damaged it is left alone: what can't be found in it may be
    /// there, and what is written to it may be lost.
    fn threads(&self) -> Result<Arc<Threads>, SqliteError> {
        if let Some(damage) = self.damage.get() {
            return Err(SqliteError::Damaged(damage.clone()));
        }
        self.lock().clone().ok_or(SqliteError::NotOpen)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Threads>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that SQLite keeps beside the database: `-wal`, `-shm`.
#[must_use]
pub fn side_file(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

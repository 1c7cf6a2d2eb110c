//! The open file: reads on one thread, transactions on another.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::checkpoints::Checkpoints;
use crate::open::{self, FileId, cannot_open};
use crate::worker::Worker;
use crate::writability::Writability;
use crate::{Error, Migration, Settings, WhenBehind};

/// How often committed pages are moved into the database file itself.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// How long a caller waits while the whole file is rewritten.
const LONGEST_ERASURE: Duration = Duration::from_secs(600);

/// A database file, open or not yet.
#[derive(Debug)]
pub struct Database {
    settings: Arc<Settings>,
    checkpoint_interval: Duration,
    threads: Mutex<Option<Arc<Threads>>>,
    /// The damage that `quick_check` found.
    damage: Arc<OnceLock<String>>,
    writability: Writability,
}

#[derive(Debug)]
struct Threads {
    writer: Worker,
    reader: Worker,
    id: FileId,
    /// Stops with the threads.
    _checkpoints: Checkpoints,
}

impl Database {
    /// Stores the file's settings, and does not open it yet.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        Self::with_checkpoints(settings, CHECKPOINT_INTERVAL)
    }

    pub(crate) fn with_checkpoints(settings: Settings, checkpoint_interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            settings: Arc::new(settings),
            checkpoint_interval,
            threads: Mutex::default(),
            damage: Arc::default(),
            writability: Writability::default(),
        })
    }

    /// Opens the file, and returns the migrations that were applied.
    ///
    /// A first start creates it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. May be called again, even after success.
    pub async fn open(&self, when_behind: WhenBehind) -> Result<Vec<Migration>, Error> {
        let settings = Arc::clone(&self.settings);
        let (done, opened) = oneshot::channel();
        let open = move || {
            // The caller may have stopped waiting.
            let _ = done.send(open::open(&settings, when_behind));
        };
        // If the system has no more threads, tokio's `spawn_blocking` would panic.
        let started = thread::Builder::new().name("sqlite-open".to_owned()).spawn(open);
        started.map_err(cannot_open(&self.settings.database))?;
        let opened = opened.await.map_err(|_| Error::NotOpen)??;
        let mut threads = self.lock();
        if threads.is_none() {
            *threads = Some(Arc::new(Threads {
                writer: Worker::writer(opened.writer)?,
                reader: Worker::reader(opened.reader)?,
                id: opened.id,
                _checkpoints: Checkpoints::start(opened.checkpoints, self.checkpoint_interval)?,
            }));
            drop(threads);
            open::check_in_background(&self.settings, Arc::clone(&self.damage))?;
        }
        Ok(opened.applied)
    }

    /// Checks that the file is in place, can be written and is not known to be damaged.
    ///
    /// It writes, since a full or read-only disk still answers reads.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn ping(&self) -> Result<(), Error> {
        let id = self.settings.application.id;
        // This writes to the disk even though nothing changes.
        let mark = move |transaction: &Transaction<'_>| {
            transaction.pragma_update(None, "application_id", id)
        };
        let written = self.transact(mark).await.map(drop);
        self.observe(written.as_ref().copied());
        written
    }

    /// Runs one read on the reader's thread.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.threads()?.reader.run(read).await
    }

    /// Runs one transaction on the writer's thread.
    ///
    /// Its changes are on the disk when this returns.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After [`Error::TimedOut`] the transaction may still happen.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let written = self.transact(write).await;
        match &written {
            // A transaction without a change succeeds even on a full disk.
            Ok((_, 0)) => {}
            Ok(_) => self.observe(Ok(())),
            Err(error) => self.observe(Err(error)),
        }
        written.map(|(written, _)| written)
    }

    /// Erases the old content of changed and deleted rows from the file and its `-wal`.
    ///
    /// Writes wait meanwhile, so this is for rare occasions. While another process reads the file, a
    /// part may stay in `-wal` until the file is closed.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn erase_replaced(&self) -> Result<(), Error> {
        let erase = |connection: &mut Connection| {
            connection.execute_batch("vacuum")?;
            connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
        };
        self.threads()?.writer.run_within(LONGEST_ERASURE, erase).await
    }

    fn observe(&self, written: Result<(), &Error>) {
        self.writability.observe(written, self.settings.on_event);
    }

    /// Runs a transaction; also returns the number of changed rows.
    async fn transact<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(T, u64), Error> {
        let threads = self.threads()?;
        let (id, settings) = (threads.id, Arc::clone(&self.settings));
        let transact = move |connection: &mut Connection| {
            if let Err(gone) = id.check(&settings.database) {
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

    /// Completes the queued work; then the threads end and close the file.
    pub async fn close(&self) {
        let threads = self.lock().take();
        if let Some(threads) = threads {
            threads.reader.close().await;
            threads.writer.close().await;
        }
    }

    /// Returns the threads; fails if the file is known to be damaged.
    ///
    /// In a damaged file, a read may miss a row that exists, and a write may be lost.
    fn threads(&self) -> Result<Arc<Threads>, Error> {
        if let Some(damage) = self.damage.get() {
            return Err(Error::Damaged(damage.clone()));
        }
        self.lock().clone().ok_or(Error::NotOpen)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Threads>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

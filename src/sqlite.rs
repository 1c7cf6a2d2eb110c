//! One SQLite file with a thread that writes and a thread that reads.
//!
//! A slow disk holds up these threads and never the async ones; what waits for them is bounded.
//! Knows neither the storage nor the OAuth state, which both live in the file.

mod counted;
mod foreign;
mod look;
mod open;
mod worker;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::config::Migrations;
use crate::migrations::Migration;
use open::Identity;
use worker::Worker;

pub use counted::Counted;
pub use look::{Checked, Glance, quick_check_within};

/// Nobody waits longer than this for an answer.
const LONGEST_WAIT: Duration = Duration::from_millis(4_500);

/// Says in the file whose it is: `DGRY`.
const APPLICATION_ID: u32 = 0x4447_5259;

/// The file, which may be open or not yet.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    threads: Mutex<Option<Arc<Threads>>>,
    /// What `quick_check` found, if it found something.
    damage: Arc<OnceLock<String>>,
}

#[derive(Debug)]
struct Threads {
    writer: Worker,
    reader: Worker,
    identity: Identity,
}

/// Why the file did not do what it was asked.
#[derive(Debug, Error)]
pub enum SqliteError {
    /// [`Database::open`] has not succeeded, or the service is closing.
    #[error("the file is not open")]
    NotOpen,
    /// So many are waiting that this was not even tried.
    #[error("too many are waiting for the file")]
    Overloaded,
    /// No answer came in time; what was asked may still happen.
    #[error("the file did not answer within {} ms", LONGEST_WAIT.as_millis())]
    TimedOut,
    /// `quick_check` found the file damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The path leads to no file, or to another one: what is written to ours would be lost.
    #[error("{} is not the file any more that was opened: put it back, or start the service again", .0.display())]
    Gone(PathBuf),
    /// The schema lacks migrations, and they are not ours to make now.
    #[error("the schema is behind, missing {}", .0.join(", "))]
    SchemaBehind(Vec<String>),
    /// The file is another program's, and was left as it is.
    #[error("the file is another program's: {0}. Set DATA_DIR to another folder")]
    NotOurs(String),
    /// The folder or file can't be made or opened.
    #[error("{} can't be opened", .path.display())]
    CannotOpen {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A service was killed, and what it wrote last can't be read without writing.
    #[error("{} has writes waiting that only the next start of the service takes in", .0.display())]
    Unfinished(PathBuf),
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Database {
    /// Names the file; nothing is opened.
    #[must_use]
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, threads: Mutex::default(), damage: Arc::default() })
    }

    /// Opens the file and brings its schema up to date, or only checks it.
    ///
    /// # Errors
    ///
    /// See [`SqliteError`]; may be tried again.
    pub async fn open(&self, migrations: Migrations) -> Result<Vec<Migration>, SqliteError> {
        let path = self.path.clone();
        let (done, opened) = oneshot::channel();
        let open = move || {
            // Whoever waits for it may have gone.
            let _ = done.send(open::open(&path, migrations));
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
        self.write(|transaction| transaction.pragma_update(None, "application_id", APPLICATION_ID))
            .await
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
        let threads = self.threads()?;
        let (identity, path) = (threads.identity, self.path.clone());
        let transact = move |connection: &mut Connection| {
            if let Err(gone) = identity.check(&path) {
                return Ok(Err(gone));
            }
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(Ok(written))
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

impl SqliteError {
    /// Whether trying again later may succeed, with nothing mended in the service.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode;
        match self {
            Self::NotOpen
            | Self::Overloaded
            | Self::TimedOut
            | Self::Damaged(_)
            | Self::Gone(_)
            | Self::SchemaBehind(_)
            | Self::NotOurs(_)
            | Self::Unfinished(_)
            | Self::CannotOpen { .. } => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::DiskFull
                        | ErrorCode::CannotOpen
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::NotADatabase
                        | ErrorCode::FileLockingProtocolFailed
                        | ErrorCode::PermissionDenied
                )
            ),
        }
    }

    /// Whether a row would have broken a rule of its table.
    fn is_broken_constraint(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation))
    }

    /// Whether the file is damaged, or is no database at all.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode;
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::NotOpen
            | Self::Overloaded
            | Self::TimedOut
            | Self::Gone(_)
            | Self::SchemaBehind(_)
            | Self::NotOurs(_)
            | Self::Unfinished(_)
            | Self::CannotOpen { .. } => false,
        }
    }

    /// The extended code of SQLite, where it is SQLite that says no.
    #[must_use]
    pub fn extended_code(&self) -> Option<std::ffi::c_int> {
        match self {
            Self::Sqlite(error) => error.sqlite_error().map(|error| error.extended_code),
            Self::NotOpen
            | Self::Overloaded
            | Self::TimedOut
            | Self::Damaged(_)
            | Self::Gone(_)
            | Self::SchemaBehind(_)
            | Self::NotOurs(_)
            | Self::Unfinished(_)
            | Self::CannotOpen { .. } => None,
        }
    }

    /// This error as the cause of another.
    #[must_use]
    pub fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        Box::new(self)
    }
}

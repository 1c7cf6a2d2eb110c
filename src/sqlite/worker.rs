//! A thread that owns a connection and does one job after another.

use rusqlite::Connection;
use std::thread;
use tokio::sync::{mpsc, oneshot};

use super::{LONGEST_WAIT, SqliteError};

/// The most jobs that may wait for one thread.
const QUEUE_LENGTH: usize = 4096;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to a thread with its connection.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(super) fn start(name: &str, mut connection: Connection) -> Result<Self, SqliteError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE_LENGTH);
        let work = move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut connection);
            }
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(work);
        match started {
            Ok(_) => Ok(Self { jobs }),
            Err(source) => Err(SqliteError::CannotOpen { path: name.into(), source }),
        }
    }

    /// Has one job done; it is done even when the caller goes away.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // The caller may have gone; what it asked for is done all the same.
            let _ = answer.send(job(connection));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SqliteError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => SqliteError::NotOpen,
        })?;
        match tokio::time::timeout(LONGEST_WAIT, answered).await {
            Ok(Ok(done)) => Ok(done?),
            Ok(Err(_)) => Err(SqliteError::NotOpen),
            Err(_) => Err(SqliteError::TimedOut),
        }
    }

    /// Waits for the jobs that came before, and leaves no statement behind.
    pub(super) async fn close(&self) {
        let flush = |connection: &mut Connection| {
            connection.flush_prepared_statement_cache();
            // Empties the side file; it is replayed at the next start where this fails.
            let _ = connection.pragma_update(None, "wal_checkpoint", "truncate");
            Ok(())
        };
        let _ = self.run(flush).await;
    }
}

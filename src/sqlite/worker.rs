//! A thread that owns a connection and does one job after another.

use rusqlite::Connection;
use std::thread;
use tokio::sync::{mpsc, oneshot};

use super::{LONGEST_WAIT, SqliteError};
use crate::panics;

/// The most jobs that may wait for one thread.
const QUEUE_LENGTH: usize = 4096;

/// The most reads that share a snapshot.
const BATCH: usize = 64;

/// How often the reader looks for more before it goes to sleep.
const LOOKS: usize = 8;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to a thread with its connection.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// A thread for jobs that bring their own transactions.
    pub(super) fn writer(mut connection: Connection) -> Result<Self, SqliteError> {
        Self::start("sqlite-writer", move |mut waiting| {
            while let Some(job) = waiting.blocking_recv() {
                // After a panic its caller is told that the file is not open; the thread goes on.
                let _ = panics::catch(|| job(&mut connection));
            }
        })
    }

    /// A thread for reads, which takes what waits and reads it all from one snapshot: locking the
    /// file costs more than reading a row.
    ///
    /// The snapshot is taken after the last of them came, so each sees all that was acknowledged
    /// before it was asked.
    pub(super) fn reader(mut connection: Connection) -> Result<Self, SqliteError> {
        Self::start("sqlite-reader", move |mut waiting| {
            let mut jobs = Vec::with_capacity(BATCH);
            while take(&mut waiting, &mut jobs) {
                let shares = run(&connection, "begin");
                for job in jobs.drain(..) {
                    let _ = panics::catch(|| job(&mut connection));
                }
                // A snapshot that could not be ended would be read from for ever.
                if shares && !run(&connection, "commit") {
                    run(&connection, "rollback");
                }
            }
        })
    }

    fn start(
        name: &str,
        work: impl FnOnce(mpsc::Receiver<Job>) + Send + 'static,
    ) -> Result<Self, SqliteError> {
        let (jobs, waiting) = mpsc::channel::<Job>(QUEUE_LENGTH);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || work(waiting));
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

/// Takes what waits, or waits for it; false when there will be no more.
///
/// Under load the next jobs come at once: looking again a few times costs less than to be woken,
/// for this thread and for whoever would have to wake it.
fn take(waiting: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) -> bool {
    for _ in 0..LOOKS {
        while jobs.len() < BATCH
            && let Ok(job) = waiting.try_recv()
        {
            jobs.push(job);
        }
        if !jobs.is_empty() {
            return true;
        }
        thread::yield_now();
    }
    waiting.blocking_recv_many(jobs, BATCH) > 0
}

/// Whether a statement without a result succeeded; without it, reads lock the file one by one.
fn run(connection: &Connection, statement: &str) -> bool {
    connection.prepare_cached(statement).and_then(|mut statement| statement.execute([])).is_ok()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{SqliteError, Worker};

    #[tokio::test]
    async fn a_job_that_panics_keeps_no_other_from_being_done() {
        let open = || Connection::open_in_memory().unwrap();
        for worker in [Worker::writer(open()).unwrap(), Worker::reader(open()).unwrap()] {
            let panicked = worker.run::<()>(|_| panic!("as ordered")).await;
            assert!(matches!(panicked, Err(SqliteError::NotOpen)), "{panicked:?}");
            let read = |connection: &mut Connection| {
                connection.query_row("select 7", [], |row| row.get::<_, i64>(0))
            };
            assert_eq!(worker.run(read).await.unwrap(), 7);
        }
    }
}

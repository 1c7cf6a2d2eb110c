//! A thread that owns a connection and runs one job after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// The longest time that a caller waits for its job.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(4_500);

/// The maximum number of jobs that can wait for one thread.
const QUEUE_LENGTH: usize = 4096;

/// The maximum number of reads that share a snapshot.
const BATCH: usize = 64;

/// How often the reader polls its queue before it sleeps.
const SPINS: usize = 8;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A thread with its connection.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts a thread for jobs that begin their own transactions.
    pub(crate) fn writer(mut connection: Connection) -> Result<Self, Error> {
        Self::start("sqlite-writer", move |mut waiting| {
            while let Some(job) = waiting.blocking_recv() {
                run_job(job, &mut connection);
            }
        })
    }

    /// Starts a thread for reads, which runs all waiting jobs on one snapshot.
    ///
    /// Locking the file costs more than reading a row.
    ///
    /// The snapshot is taken after the last job was queued, so each job sees every write that was
    /// acknowledged before the job was queued.
    pub(crate) fn reader(mut connection: Connection) -> Result<Self, Error> {
        Self::start("sqlite-reader", move |mut waiting| {
            let mut jobs = Vec::with_capacity(BATCH);
            while take(&mut waiting, &mut jobs) {
                let shares_snapshot = execute(&connection, "begin");
                for job in jobs.drain(..) {
                    run_job(job, &mut connection);
                }
                // If the snapshot did not end, all later reads would use it.
                if shares_snapshot && !execute(&connection, "commit") {
                    execute(&connection, "rollback");
                }
            }
        })
    }

    fn start(
        name: &str,
        work: impl FnOnce(mpsc::Receiver<Job>) + Send + 'static,
    ) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel::<Job>(QUEUE_LENGTH);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || work(waiting));
        match started {
            Ok(_) => Ok(Self { jobs }),
            Err(source) => Err(Error::CannotOpen { path: name.into(), source }),
        }
    }

    /// Runs one job, to completion even if the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_within(TIMEOUT, job).await
    }

    /// Like [`Self::run`], with its own limit on the wait.
    pub(crate) async fn run_within<T: Send + 'static>(
        &self,
        timeout: Duration,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // The caller may have stopped waiting.
            let _ = answer.send(job(connection));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::NotOpen,
        })?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(done)) => Ok(done?),
            Ok(Err(_)) => Err(Error::NotOpen),
            Err(_) => Err(Error::TimedOut),
        }
    }

    /// Waits for the queued jobs, then checkpoints the WAL.
    pub(crate) async fn close(&self) {
        let flush = |connection: &mut Connection| {
            connection.flush_prepared_statement_cache();
            // If this fails, the next start does it.
            let _ = connection.pragma_update(None, "wal_checkpoint", "truncate");
            Ok(())
        };
        let _ = self.run(flush).await;
    }
}

/// Runs a job. If it panics, its caller gets [`Error::NotOpen`] and the thread continues.
fn run_job(job: Job, connection: &mut Connection) {
    let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
}

/// Takes the waiting jobs, or waits for one. False if there will be no more.
///
/// Under load the next jobs arrive at once: polling a few times costs less than waking this thread.
fn take(waiting: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) -> bool {
    for _ in 0..SPINS {
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

/// Executes a statement without a result, and returns whether it succeeded.
fn execute(connection: &Connection, statement: &str) -> bool {
    connection.prepare_cached(statement).and_then(|mut statement| statement.execute([])).is_ok()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Error, Worker};

    #[tokio::test]
    async fn a_job_that_panics_stops_no_other() {
        let open = || Connection::open_in_memory().unwrap();
        for worker in [Worker::writer(open()).unwrap(), Worker::reader(open()).unwrap()] {
            let panicked = worker.run::<()>(|_| panic!("expected")).await;
            assert!(matches!(panicked, Err(Error::NotOpen)), "{panicked:?}");
            let read = |connection: &mut Connection| {
                connection.query_row("select 7", [], |row| row.get::<_, i64>(0))
            };
            assert_eq!(worker.run(read).await.unwrap(), 7);
        }
    }
}

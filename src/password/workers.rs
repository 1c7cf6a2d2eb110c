//! The threads that hash: one per core, fed from one queue, so that async threads never wait.
//!
//! A job that has begun runs to its end even when nobody waits for it any more; that is what
//! keeps a flood of clients that hang up from getting more work done than one that waits.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::PasswordError;

/// Nobody is made to wait longer than this for a worker.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a job is taken to cost before the first one was measured.
const FIRST_GUESS: Duration = Duration::from_millis(20);

type Job = Box<dyn FnOnce() + Send>;

/// Worker threads with their queue; they stop when this is dropped.
pub(super) struct Workers {
    shared: Arc<Shared>,
    count: u32,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: VecDeque<Job>,
    running: u32,
    is_closed: bool,
    /// A moving average over the last jobs.
    cost: Duration,
}

impl Workers {
    pub(super) fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let queue =
            Queue { waiting: VecDeque::new(), running: 0, is_closed: false, cost: FIRST_GUESS };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let count = u32::try_from(count.get()).unwrap_or(u32::MAX);
        let workers = Self { shared, count };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Runs one job on a worker.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Box::new(move || {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(job());
        }))?;
        answered.await.map_err(|_| PasswordError::Stopped)
    }

    fn enqueue(&self, job: Job) -> Result<(), PasswordError> {
        let mut queue = self.shared.lock();
        let wait = queue.wait(self.count);
        if wait > LONGEST_WAIT {
            return Err(PasswordError::Overloaded { wait });
        }
        queue.waiting.push_back(job);
        drop(queue);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Queue {
    /// How long a job that came now would wait for a worker.
    fn wait(&self, workers: u32) -> Duration {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let ahead = waiting.saturating_add(self.running);
        self.cost.saturating_mul(ahead) / workers
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let begun = Instant::now();
            job();
            let cost = begun.elapsed();
            let mut queue = self.lock();
            queue.running -= 1;
            queue.cost = (queue.cost * 7 + cost) / 8;
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.waiting.pop_front() {
                queue.running += 1;
                return Some(job);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{LONGEST_WAIT, PasswordError, Workers};

    #[tokio::test]
    async fn a_job_that_would_wait_too_long_is_refused() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let held = workers.run(move || released.recv().is_ok());
        let mut held = Box::pin(held);
        assert!(futures_poll(&mut held).await, "the first job is running or waiting");
        workers.shared.lock().cost = LONGEST_WAIT * 2;
        let refused = workers.run(|| ()).await;
        assert_eq!(refused, Err(PasswordError::Overloaded { wait: LONGEST_WAIT * 2 }));
        release.send(()).unwrap();
        assert_eq!(held.await, Ok(true));
    }

    #[tokio::test]
    async fn a_job_runs_to_its_end_when_nobody_waits() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let (done, was_done) = mpsc::channel();
        let mut abandoned = Box::pin(workers.run(move || done.send(())));
        assert!(futures_poll(&mut abandoned).await);
        drop(abandoned);
        was_done.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    /// Polls once; true while the future is not done.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}

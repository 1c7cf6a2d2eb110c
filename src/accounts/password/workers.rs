//! The threads that hash passwords: one per core, fed from one queue.
//!
//! A thread takes several passwords at once, up to the number that its processor hashes in parallel.
//! A password keeps its requester in the queue even if its client disconnects: otherwise clients that
//! hang up could have more work done than clients that wait.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pbkdf2_lanes::{Job, Key, MOST_LANES};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

use super::PasswordError;
use super::queue::{FairQueue, Requester};
use crate::metrics::Metrics;
use crate::panics;

/// The longest that a password may wait for a worker.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The assumed cost of a password before the first one was measured.
const INITIAL_COST: Duration = Duration::from_millis(20);

/// The niceness of workers (nice(2)).
///
/// Otherwise a worker that hashes without pause would get as much of its core as all other requests
/// together.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Worker threads and their queue; the threads stop when this is dropped.
pub(super) struct Workers {
    shared: Arc<Pool>,
    count: u32,
}

/// A password to derive a key from.
struct Request {
    password: SecretString,
    salt: Vec<u8>,
    since: Instant,
    answer: oneshot::Sender<Result<Key, PasswordError>>,
}

struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    iterations: NonZeroU32,
    metrics: Arc<Metrics>,
}

struct Queue {
    waiting: FairQueue<Request>,
    /// How many passwords are being hashed.
    running: u32,
    /// How many threads wait for work.
    idle: usize,
    is_closed: bool,
    /// How long a thread hashes one password: a moving average.
    cost: Duration,
}

impl Workers {
    pub(super) fn start(
        count: NonZeroUsize,
        iterations: NonZeroU32,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (queue, changed) = (Mutex::new(Queue::new()), Condvar::new());
        let shared = Arc::new(Pool { queue, changed, iterations, metrics });
        let count = u32::try_from(count.get()).unwrap_or(u32::MAX);
        let workers = Self { shared, count };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Derives a key on a worker thread.
    pub(super) async fn derive(
        &self,
        password: SecretString,
        salt: Vec<u8>,
        requester: Requester,
    ) -> Result<Key, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Request { password, salt, since: Instant::now(), answer }, requester)?;
        answered.await.unwrap_or(Err(PasswordError::Stopped))
    }

    fn enqueue(&self, request: Request, requester: Requester) -> Result<(), PasswordError> {
        let mut queue = self.shared.lock();
        let overloaded = PasswordError::Overloaded { wait: queue.wait(self.count) };
        let capacity = queue.capacity(self.count);
        let displaced = queue.waiting.push(request, requester, capacity).map_err(|_| overloaded)?;
        self.shared.metrics.password_queue_length.set(queue.waiting.len() as u64);
        drop(queue);
        self.shared.changed.notify_one();
        for request in displaced {
            // Its client may have disconnected.
            let _ = request.answer.send(Err(overloaded));
        }
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
    fn new() -> Self {
        let waiting = FairQueue::new();
        Self { waiting, running: 0, idle: 0, is_closed: false, cost: INITIAL_COST }
    }

    /// How long a new password would wait for a worker.
    fn wait(&self, workers: u32) -> Duration {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let ahead = waiting.saturating_add(self.running);
        self.cost.saturating_mul(ahead) / workers
    }

    /// Returns the length at which the last password waits [`LONGEST_WAIT`].
    fn capacity(&self, workers: u32) -> usize {
        let all = (LONGEST_WAIT * workers).as_nanos() / self.cost.as_nanos().max(1);
        let all = usize::try_from(all).unwrap_or(usize::MAX).saturating_add(1);
        all.saturating_sub(self.running as usize)
    }

    /// Removes this thread's share: what waits, divided by the number of threads without work.
    fn take(&mut self) -> Vec<Request> {
        let share = self.waiting.len().div_ceil(self.idle + 1).min(MOST_LANES);
        let taken = self.waiting.pop_up_to(share);
        self.running += count(&taken);
        taken
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // On Linux each thread has its own niceness. If it can't be set, the thread works all the same.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICENESS);
        while let Some(taken) = self.next() {
            let begun = Instant::now();
            for request in &taken {
                self.metrics.password_waits.observe(begun.duration_since(request.since));
            }
            let jobs: Vec<_> = taken.iter().map(Request::job).collect();
            // After a panic, none of the passwords gets a key, and the thread continues.
            let keys = panics::catch(|| pbkdf2_lanes::derive(&jobs, self.iterations));
            let took = begun.elapsed();
            let count = count(&taken);
            for (request, key) in taken.into_iter().zip(keys.into_iter().flatten()) {
                self.metrics.password_hashes.observe(took);
                // Its client may have disconnected.
                let _ = request.answer.send(Ok(key));
            }
            let cost = took / count.max(1);
            let mut queue = self.lock();
            queue.running -= count;
            queue.cost = (queue.cost * 7 + cost) / 8;
        }
    }

    fn next(&self) -> Option<Vec<Request>> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if queue.waiting.len() > 0 {
                let taken = queue.take();
                self.metrics.password_queue_length.set(queue.waiting.len() as u64);
                return Some(taken);
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

impl Request {
    fn job(&self) -> Job<'_> {
        Job { password: self.password.expose_secret().as_bytes(), salt: &self.salt }
    }
}

/// At most [`MOST_LANES`].
fn count(taken: &[Request]) -> u32 {
    u32::try_from(taken.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::Poll;

    use pbkdf2_lanes::{Job, derive};
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use crate::model::Standing;

    use super::{
        Instant, LONGEST_WAIT, Metrics, PasswordError, Queue, Request, Requester, Workers,
    };

    const FEW: NonZeroU32 = NonZeroU32::new(10).unwrap();

    /// Enough that a test checks before they are done.
    const MANY: NonZeroU32 = NonZeroU32::new(3_000_000).unwrap();

    const ANY: Requester = Requester { standing: Standing::Stranger, network: None };

    fn workers(iterations: NonZeroU32) -> Workers {
        Workers::start(NonZeroUsize::MIN, iterations, Metrics::new()).unwrap()
    }

    #[tokio::test]
    async fn each_password_gets_its_own_key() {
        let workers = Arc::new(workers(FEW));
        let mut all = JoinSet::new();
        for number in 0..50 {
            let workers = Arc::clone(&workers);
            all.spawn(async move {
                let (password, salt) = (format!("password {number}"), vec![number; 32]);
                let job = Job { password: password.as_bytes(), salt: &salt };
                let expected = *derive(&[job], FEW)[0].as_bytes();
                let derived = workers.derive(password.into(), salt, ANY).await.unwrap();
                assert_eq!(*derived.as_bytes(), expected);
            });
        }
        assert_eq!(all.join_all().await.len(), 50);
    }

    #[tokio::test]
    async fn a_password_that_would_wait_too_long_is_refused() {
        let workers = workers(FEW);
        {
            let mut queue = workers.shared.lock();
            (queue.running, queue.cost) = (1, LONGEST_WAIT * 2);
        }
        let refused = workers.derive("password".into(), vec![1; 32], ANY).await;
        assert_eq!(refused.unwrap_err(), PasswordError::Overloaded { wait: LONGEST_WAIT * 2 });
    }

    #[tokio::test]
    async fn a_password_keeps_its_place_when_its_client_disconnects() {
        let workers = workers(MANY);
        let mut abandoned = Box::pin(workers.derive("password".into(), vec![1; 32], ANY));
        assert!(polled(abandoned.as_mut()).await.is_pending());
        drop(abandoned);
        let queue = workers.shared.lock();
        assert_eq!(queue.running as usize + queue.waiting.len(), 1);
    }

    #[test]
    fn waiting_passwords_are_taken_together_and_shared_among_threads() {
        for (waiting, idle, taken) in [(1, 0, 1), (3, 0, 3), (9, 0, 4), (2, 1, 1), (5, 1, 3)] {
            let mut queue = Queue::new();
            (0..waiting).for_each(|_| assert!(queue.waiting.push(request(), ANY, 9).is_ok()));
            queue.idle = idle;
            assert_eq!(queue.take().len(), taken, "{waiting} {idle}");
        }
    }

    fn request() -> Request {
        let (password, answer) = ("password".into(), oneshot::channel().0);
        Request { password, salt: Vec::new(), since: Instant::now(), answer }
    }

    async fn polled<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }
}

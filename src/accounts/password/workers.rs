//! The threads that hash: one per core, fed from one queue, so that async threads never wait.
//!
//! A thread takes as many passwords at once as wait and as its processor hashes side by side. A
//! password that has been taken keeps its place to the end even when nobody waits for it any
//! more: a flood of clients that hang up gets no more work done than one that waits.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pbkdf2_lanes::{Job, Key, MOST_LANES};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

use super::PasswordError;
use super::queue::{Place, Queue as Waiting};
use crate::metrics::Metrics;
use crate::panics;

/// Nobody is made to wait longer than this for a worker.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a password is taken to cost before the first one was measured.
const FIRST_GUESS: Duration = Duration::from_millis(20);

/// How far workers give way to other threads that want their processor (nice(2)). Else a worker that
/// always hashes gets as much of it as all requests that are only looked up.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 5;

/// Worker threads with their queue; they stop when this is dropped.
pub(super) struct Workers {
    shared: Arc<Shared>,
    count: u32,
}

/// A password whose key is wanted.
struct Wanted {
    password: SecretString,
    salt: Vec<u8>,
    since: Instant,
    answer: oneshot::Sender<Result<Key, PasswordError>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    iterations: NonZeroU32,
    metrics: Arc<Metrics>,
}

struct Queue {
    waiting: Waiting<Wanted>,
    /// Passwords that are being worked on.
    running: u32,
    /// Threads with nothing to do.
    idle: usize,
    is_closed: bool,
    /// What one password costs a thread: a moving average.
    cost: Duration,
}

impl Workers {
    pub(super) fn start(
        count: NonZeroUsize,
        iterations: NonZeroU32,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (queue, changed) = (Mutex::new(Queue::new()), Condvar::new());
        let shared = Arc::new(Shared { queue, changed, iterations, metrics });
        let count = u32::try_from(count.get()).unwrap_or(u32::MAX);
        let workers = Self { shared, count };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Derives a key on a worker.
    pub(super) async fn derive(
        &self,
        password: SecretString,
        salt: Vec<u8>,
        place: Place,
    ) -> Result<Key, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Wanted { password, salt, since: Instant::now(), answer }, place)?;
        answered.await.unwrap_or(Err(PasswordError::Stopped))
    }

    fn enqueue(&self, wanted: Wanted, place: Place) -> Result<(), PasswordError> {
        let mut queue = self.shared.lock();
        let overloaded = PasswordError::Overloaded { wait: queue.wait(self.count) };
        let most = queue.most_waiting(self.count);
        let displaced = queue.waiting.add(wanted, place, most).map_err(|_| overloaded)?;
        self.shared.metrics.password_queue_length.set(queue.waiting.len() as u64);
        drop(queue);
        self.shared.changed.notify_one();
        for wanted in displaced {
            // Its client may have gone.
            let _ = wanted.answer.send(Err(overloaded));
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
        let waiting = Waiting::new();
        Self { waiting, running: 0, idle: 0, is_closed: false, cost: FIRST_GUESS }
    }

    /// How long a password that came now would wait for a worker.
    fn wait(&self, workers: u32) -> Duration {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let ahead = waiting.saturating_add(self.running);
        self.cost.saturating_mul(ahead) / workers
    }

    /// Queue limit: the last password waits [`LONGEST_WAIT`].
    fn most_waiting(&self, workers: u32) -> usize {
        let all = (LONGEST_WAIT * workers).as_nanos() / self.cost.as_nanos().max(1);
        let all = usize::try_from(all).unwrap_or(usize::MAX).saturating_add(1);
        all.saturating_sub(self.running as usize)
    }

    /// Takes this thread's share: what waits, divided among the threads that could take it.
    fn take(&mut self) -> Vec<Wanted> {
        let share = self.waiting.len().div_ceil(self.idle + 1).min(MOST_LANES);
        let taken = self.waiting.take(share);
        self.running += count(&taken);
        taken
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // On Linux a thread has a priority of its own. It hashes all the same where it may not.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(GIVES_WAY);
        while let Some(taken) = self.next() {
            let begun = Instant::now();
            for wanted in &taken {
                self.metrics.password_waits.observe(begun.duration_since(wanted.since));
            }
            let jobs: Vec<_> = taken.iter().map(Wanted::job).collect();
            // After a panic nobody gets a key, and the thread goes on.
            let keys = panics::catch(|| pbkdf2_lanes::derive(&jobs, self.iterations));
            let took = begun.elapsed();
            let count = count(&taken);
            for (wanted, key) in taken.into_iter().zip(keys.into_iter().flatten()) {
                self.metrics.password_hashes.observe(took);
                // Nobody may be waiting any more.
                let _ = wanted.answer.send(Ok(key));
            }
            let cost = took / count.max(1);
            let mut queue = self.lock();
            queue.running -= count;
            queue.cost = (queue.cost * 7 + cost) / 8;
        }
    }

    fn next(&self) -> Option<Vec<Wanted>> {
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

impl Wanted {
    fn job(&self) -> Job<'_> {
        Job { password: self.password.expose_secret().as_bytes(), salt: &self.salt }
    }
}

/// At most [`MOST_LANES`].
fn count(taken: &[Wanted]) -> u32 {
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

    use super::{Instant, LONGEST_WAIT, Metrics, PasswordError, Place, Queue, Wanted, Workers};

    const FEW: NonZeroU32 = NonZeroU32::new(10).unwrap();

    /// So many that a test looks before they are done.
    const MANY: NonZeroU32 = NonZeroU32::new(3_000_000).unwrap();

    const ANY: Place = Place { standing: Standing::Stranger, network: None };

    fn workers(iterations: NonZeroU32) -> Workers {
        Workers::start(NonZeroUsize::MIN, iterations, Metrics::new()).unwrap()
    }

    #[tokio::test]
    async fn everybody_gets_the_key_of_their_own_password() {
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
    async fn who_would_wait_too_long_is_refused() {
        let workers = workers(FEW);
        {
            let mut queue = workers.shared.lock();
            (queue.running, queue.cost) = (1, LONGEST_WAIT * 2);
        }
        let refused = workers.derive("password".into(), vec![1; 32], ANY).await;
        assert_eq!(refused.unwrap_err(), PasswordError::Overloaded { wait: LONGEST_WAIT * 2 });
    }

    #[tokio::test]
    async fn a_password_keeps_its_place_when_nobody_waits_for_it() {
        let workers = workers(MANY);
        let mut abandoned = Box::pin(workers.derive("password".into(), vec![1; 32], ANY));
        assert!(polled(abandoned.as_mut()).await.is_pending());
        drop(abandoned);
        let queue = workers.shared.lock();
        assert_eq!(queue.running as usize + queue.waiting.len(), 1);
    }

    /// Several that wait for one thread are taken together, those that wait for two are shared.
    #[test]
    fn what_waits_is_taken_together_and_shared_among_threads() {
        for (waiting, idle, taken) in [(1, 0, 1), (3, 0, 3), (9, 0, 4), (2, 1, 1), (5, 1, 3)] {
            let mut queue = Queue::new();
            (0..waiting).for_each(|_| assert!(queue.waiting.add(wanted(), ANY, 9).is_ok()));
            queue.idle = idle;
            assert_eq!(queue.take().len(), taken, "{waiting} {idle}");
        }
    }

    fn wanted() -> Wanted {
        let (password, answer) = ("password".into(), oneshot::channel().0);
        Wanted { password, salt: Vec::new(), since: Instant::now(), answer }
    }

    async fn polled<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }
}

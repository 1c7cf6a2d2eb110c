//! The request counts that all replicas share in Redis.
//!
//! During an outage, each process counts separately, starting from the records it last read.
//!
//! Every request is counted exactly once. A request that Redis does not answer in time is counted
//! here; if Redis turns out to have counted it too, that count is removed. Local counts are added
//! to the shared ones when Redis is available again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::batch::{Batch, Charge, Decided};
use super::local;
use super::rule::{Bucket, Operation, Verdict};
use crate::clock::Timestamp;
use crate::expiring::{Expiring, ExpiringError, MemoryRecords};
use crate::metrics::Metrics;
use crate::telemetry::chain;

/// The timeout for Redis: 50 ticks of 2 ms. In an overloaded process the ticks are late, too, so its
/// own delay is not mistaken for an outage of Redis.
const TICKS: u32 = 50;
const TICK: Duration = Duration::from_millis(2);

/// Back-off after Redis failed to answer.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The maximum number of charges in one batch.
const MAX_BATCH: usize = 64;

/// The maximum number of charges, and of buckets, that are kept during an outage.
const MAX_REMEMBERED: usize = 10_000;

/// Counts in Redis, with this process's counts as a fallback.
#[derive(Debug, Clone)]
pub(super) struct SharedCounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Arc<dyn Expiring>,
    local: MemoryRecords,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Charge, Option<oneshot::Sender<Verdict>>)>,
    redis: RedisState,
    /// For each bucket, the granted requests that Redis does not know of yet: the newest ones within
    /// the bucket's window.
    unshared: HashMap<String, Vec<i64>>,
}

#[derive(Debug, Default)]
enum RedisState {
    #[default]
    Idle,
    /// A batch is running.
    Busy,
    /// Redis did not answer; it is probed again at `retry_at`.
    Unavailable { retry_at: Instant },
}

type Answers = Vec<Option<oneshot::Sender<Verdict>>>;

impl SharedCounts {
    pub(super) fn new(
        records: Arc<dyn Expiring>,
        local: MemoryRecords,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Inner { records, local, metrics, queue: Mutex::default() }))
    }

    /// Counts one more request, if the budgets allow it.
    pub(super) async fn take(&self, buckets: &[Bucket]) -> Verdict {
        let charge = Charge { buckets: buckets.to_vec(), operation: Operation::Take };
        let (answer, answered) = oneshot::channel();
        match self.0.send(charge, Some(answer)) {
            // There is no answer only if the runtime is shutting down.
            Ok(()) => answered
                .await
                .unwrap_or_else(|_| local::charge(&self.0.local, buckets, Operation::Take)),
            Err(charge) => self.0.charge_locally(&charge),
        }
    }

    /// Undoes what was counted, in the background.
    pub(super) fn give_back(&self, buckets: &[Bucket], at: Timestamp) {
        let charge = Charge { buckets: buckets.to_vec(), operation: Operation::GiveBack(at) };
        if let Err(charge) = self.0.send(charge, None) {
            self.0.charge_locally(&charge);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a charge for Redis, or returns it during an outage.
    ///
    /// During an outage, this also probes Redis in the background from time to time.
    fn send(
        self: &Arc<Self>,
        charge: Charge,
        answer: Option<oneshot::Sender<Verdict>>,
    ) -> Result<(), Charge> {
        let mut queue = self.lock();
        if let RedisState::Unavailable { retry_at } = &mut queue.redis {
            if *retry_at <= Instant::now() {
                *retry_at = Instant::now() + BACK_OFF;
                tokio::spawn(Arc::clone(self).probe());
            }
            return Err(charge);
        }
        queue.waiting.push_back((charge, answer));
        if matches!(queue.redis, RedisState::Idle) {
            queue.redis = RedisState::Busy;
            tokio::spawn(Arc::clone(self).run());
        }
        Ok(())
    }

    /// Runs batches until the queue is empty.
    async fn run(self: Arc<Self>) {
        while let Some((batch, answers)) = self.next_batch() {
            let batch = Arc::new(batch);
            // On a separate task: only an update that runs to completion replaces a dead
            // connection.
            let mut asked = tokio::spawn(Arc::clone(&self).apply(Arc::clone(&batch)));
            match in_time(&mut asked).await {
                Some(Ok(decided)) => self.complete(&batch, decided, answers),
                Some(Err(error)) => return self.fall_back(Some(&error), &batch, answers),
                None => {
                    self.fall_back(None, &batch, answers);
                    if let Ok(Ok(decided)) = asked.await {
                        self.take_back(&batch, decided);
                    }
                    return;
                }
            }
        }
    }

    fn next_batch(&self) -> Option<(Batch, Answers)> {
        let mut queue = self.lock();
        if matches!(queue.redis, RedisState::Unavailable { .. }) {
            return None;
        }
        if queue.waiting.is_empty() {
            queue.redis = RedisState::Idle;
            return None;
        }
        let length = queue.waiting.len().min(MAX_BATCH);
        let (charges, answers) = queue.waiting.drain(..length).unzip();
        Some((Batch::new(charges, &queue.unshared), answers))
    }

    async fn apply(self: Arc<Self>, batch: Arc<Batch>) -> Result<Decided, ExpiringError> {
        let decided = Arc::clone(&batch);
        self.records.update_all(&batch.keys, move |stored, now| decided.decide(stored, now)).await
    }

    fn complete(&self, batch: &Batch, decided: Decided, answers: Answers) {
        self.forget_unshared(batch);
        self.local.write_now(&batch.keys, decided.records);
        for (answer, verdict) in answers.into_iter().zip(decided.verdicts) {
            // The client may have hung up.
            let _ = answer.map(|answer| answer.send(verdict));
        }
    }

    /// Locally counts the charges that Redis did not answer, and all queued ones.
    fn fall_back(&self, error: Option<&ExpiringError>, batch: &Batch, answers: Answers) {
        self.metrics.state_store_errors.inc();
        let mut queue = self.lock();
        let was_unavailable = matches!(queue.redis, RedisState::Unavailable { .. });
        queue.redis = RedisState::Unavailable { retry_at: Instant::now() + BACK_OFF };
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        if !was_unavailable {
            let error = error.map_or("no answer in time".to_owned(), |error| chain(error));
            warn!(error, "⚠️ Redis is unavailable: each replica counts request limits by itself");
        }
        for (charge, answer) in batch.charges.iter().cloned().zip(answers).chain(waiting) {
            let verdict = self.charge_locally(&charge);
            let _ = answer.map(|answer| answer.send(verdict));
        }
    }

    /// Applies a charge without Redis, and keeps it until the outage ends.
    fn charge_locally(&self, charge: &Charge) -> Verdict {
        let verdict = local::charge(&self.local, &charge.buckets, charge.operation);
        let mut queue = self.lock();
        match (charge.operation, verdict) {
            (Operation::Take, Verdict::Granted(at)) => {
                charge.buckets.iter().for_each(|bucket| queue.add_unshared(bucket, at));
            }
            (Operation::Take, Verdict::Refused(..)) => {}
            (Operation::GiveBack(at), _) => {
                let is_unshared =
                    charge.buckets.iter().all(|bucket| queue.remove_unshared(&bucket.key, at));
                if !is_unshared {
                    queue.keep(charge.clone());
                }
            }
        }
        verdict
    }

    /// Removes from Redis the requests that it counted after the timeout: this process has counted
    /// them itself.
    fn take_back(self: &Arc<Self>, batch: &Batch, decided: Decided) {
        self.forget_unshared(batch);
        for (charge, verdict) in batch.charges.iter().zip(decided.verdicts) {
            if let (Operation::Take, Verdict::Granted(at)) = (charge.operation, verdict) {
                let charge = Charge { operation: Operation::GiveBack(at), ..charge.clone() };
                if let Err(charge) = self.send(charge, None) {
                    self.lock().keep(charge);
                }
            }
        }
    }

    fn forget_unshared(&self, batch: &Batch) {
        let mut queue = self.lock();
        for (bucket, unshared) in batch.buckets.iter().zip(&batch.unshared) {
            for at in unshared {
                queue.remove_unshared(&bucket.key, Timestamp::from_microseconds(*at));
            }
        }
    }

    /// Resumes with Redis if it is available again.
    async fn probe(self: Arc<Self>) {
        if self.records.ping().await.is_err() {
            return;
        }
        let mut queue = self.lock();
        if matches!(queue.redis, RedisState::Unavailable { .. }) {
            queue.redis = RedisState::Busy;
            tokio::spawn(Arc::clone(&self).run());
            info!("🔴 Request limits are shared by all replicas again");
        }
    }
}

impl Queue {
    /// Keeps a charge until the outage ends.
    fn keep(&mut self, charge: Charge) {
        if self.waiting.len() < MAX_REMEMBERED {
            self.waiting.push_back((charge, None));
        }
    }

    fn add_unshared(&mut self, bucket: &Bucket, at: Timestamp) {
        if self.unshared.len() < MAX_REMEMBERED || self.unshared.contains_key(&bucket.key) {
            let moments = self.unshared.entry(bucket.key.clone()).or_default();
            moments.push(at.as_microseconds());
            bucket.rule.keep_newest(moments, at.as_microseconds());
        }
    }

    fn remove_unshared(&mut self, key: &str, at: Timestamp) -> bool {
        let Some(unshared) = self.unshared.get_mut(key) else {
            return false;
        };
        let place = unshared.iter().position(|granted| *granted == at.as_microseconds());
        place.map(|place| unshared.remove(place));
        if unshared.is_empty() {
            self.unshared.remove(key);
        }
        place.is_some()
    }
}

/// Waits for the answer of Redis; `None` after [`TICKS`].
async fn in_time(
    asked: &mut JoinHandle<Result<Decided, ExpiringError>>,
) -> Option<Result<Decided, ExpiringError>> {
    for _ in 0..TICKS {
        match tokio::time::timeout(TICK, &mut *asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(panicked)) => return Some(Err(ExpiringError::Unavailable(panicked.into()))),
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::{Bucket, Decided, Queue, TICK, TICKS, Timestamp, in_time};
    use crate::config::Budget;
    use crate::rate_limits::Limit;
    use crate::rate_limits::rule::{Policy, Rule};

    #[test]
    fn only_grants_that_still_count_are_kept_for_redis() {
        let budget = Budget { most: 3, window: Duration::from_secs(60) };
        let rule = Rule { budget, policy: Policy::Sliding };
        let bucket = Bucket { key: "a".to_owned(), limit: Limit::SignIn, rule };
        let mut queue = Queue::default();
        let mut keep = |seconds: &[i64]| {
            for second in seconds {
                queue.add_unshared(&bucket, Timestamp::from_microseconds(second * 1_000_000));
            }
            queue.unshared["a"].iter().map(|at| at / 1_000_000).collect::<Vec<_>>()
        };
        assert_eq!(keep(&[0, 10, 20]), [0, 10, 20]);
        // At most the budget.
        assert_eq!(keep(&[30, 30]), [20, 30, 30]);
        // Within the window.
        assert_eq!(keep(&[89]), [30, 30, 89]);
        assert_eq!(keep(&[90]), [89, 90]);
    }

    #[tokio::test]
    async fn a_busy_process_still_gets_the_answer_it_reads_late() {
        let (answer, answered) = oneshot::channel();
        let mut asked = tokio::spawn(async { Ok(answered.await.unwrap()) });
        // Blocks the only thread for longer than Redis's timeout.
        tokio::spawn(async {
            let begun = Instant::now();
            while begun.elapsed() < TICK * TICKS * 3 {}
            answer.send(Decided { verdicts: Vec::new(), records: Vec::new() }).unwrap();
        });
        assert!(in_time(&mut asked).await.is_some_and(|answer| answer.is_ok()));
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let (_answer, answered) = oneshot::channel();
        let mut asked = tokio::spawn(async { Ok(answered.await.unwrap()) });
        assert!(in_time(&mut asked).await.is_none());
    }
}

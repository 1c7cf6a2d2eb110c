//! The counts that all replicas share, in Redis. While it is unavailable each process counts by itself,
//! from what it last saw there.
//!
//! Every step is counted once: one that Redis did not answer in time is counted here and, should Redis
//! have counted it after all, taken back there. What was counted here is added to the shared counts
//! once Redis is back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::batch::{Ask, Batch, Decided};
use super::budget::{Counted, Outcome, Step};
use super::local::Local;
use crate::clock::Timestamp;
use crate::expiring::{RecordsError, RedisRecords};
use crate::metrics::Metrics;
use crate::telemetry::chain;

/// Before the name of each count.
pub const PREFIX: &str = "discogs:limits:";

/// Redis has 100 ms to answer, counted in 2 ms ticks, so this process's own delay isn't blamed on Redis.
const TICKS: u32 = 50;
const TICK: Duration = Duration::from_millis(2);

/// How long Redis is left alone after it failed to answer.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// The most steps that are taken together.
const MOST_TOGETHER: usize = 64;

/// The most steps that are kept for when Redis is back.
const MOST_KEPT: usize = 10_000;

/// Counts in Redis, with the ones of this process to fall back on.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: RedisRecords,
    local: Local,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Ask, Option<oneshot::Sender<Outcome>>)>,
    reach: Reach,
    /// What each count was granted here and not in Redis: of each, the newest within its window.
    unshared: HashMap<String, Vec<i64>>,
}

#[derive(Debug, Default)]
enum Reach {
    #[default]
    Idle,
    /// A batch is under way.
    Busy,
    /// Redis did not answer; it is tried again then.
    Lost { retry_at: Instant },
}

type Answers = Vec<Option<oneshot::Sender<Outcome>>>;

impl Shared {
    pub(super) fn new(records: RedisRecords, local: Local, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { records, local, metrics, queue: Mutex::default() }))
    }

    /// Asks for one more.
    pub(super) async fn take(&self, counted: &[Counted]) -> Outcome {
        let ask = Ask { counted: counted.to_vec(), step: Step::Take };
        let (answer, answered) = oneshot::channel();
        match self.0.send(ask, Some(answer)) {
            // The answer is missing only if the runtime ends.
            Ok(()) => answered.await.unwrap_or_else(|_| self.0.local.step(counted, Step::Take)),
            Err(ask) => self.0.step_apart(&ask),
        }
    }

    /// Gives back what was taken, in the background.
    pub(super) fn give_back(&self, counted: &[Counted], at: Timestamp) {
        let ask = Ask { counted: counted.to_vec(), step: Step::GiveBack(at) };
        if let Err(ask) = self.0.send(ask, None) {
            self.0.step_apart(&ask);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a step taken in Redis; gives it back while Redis is unavailable. Tries Redis once in a while,
    /// which keeps no request waiting.
    fn send(
        self: &Arc<Self>,
        ask: Ask,
        answer: Option<oneshot::Sender<Outcome>>,
    ) -> Result<(), Ask> {
        let mut queue = self.lock();
        if let Reach::Lost { retry_at } = &mut queue.reach {
            if *retry_at <= Instant::now() {
                *retry_at = Instant::now() + LEFT_ALONE;
                tokio::spawn(Arc::clone(self).probe());
            }
            return Err(ask);
        }
        queue.waiting.push_back((ask, answer));
        if matches!(queue.reach, Reach::Idle) {
            queue.reach = Reach::Busy;
            tokio::spawn(Arc::clone(self).run());
        }
        Ok(())
    }

    /// Takes batches until nothing waits.
    async fn run(self: Arc<Self>) {
        while let Some((batch, answers)) = self.next_batch() {
            let batch = Arc::new(batch);
            // A task, since the connection is given up only by a step that runs to its end.
            let mut asked = tokio::spawn(Arc::clone(&self).ask(Arc::clone(&batch)));
            match in_time(&mut asked).await {
                Some(Ok(decided)) => self.done(&batch, decided, answers),
                Some(Err(error)) => return self.lose(Some(&error), &batch, answers),
                None => {
                    self.lose(None, &batch, answers);
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
        if matches!(queue.reach, Reach::Lost { .. }) {
            return None;
        }
        if queue.waiting.is_empty() {
            queue.reach = Reach::Idle;
            return None;
        }
        let together = queue.waiting.len().min(MOST_TOGETHER);
        let (asks, answers) = queue.waiting.drain(..together).unzip();
        Some((Batch::new(asks, &queue.unshared), answers))
    }

    async fn ask(self: Arc<Self>, batch: Arc<Batch>) -> Result<Decided, RecordsError> {
        let decide = |stored: &[_], now| batch.decide(stored, now);
        self.records.update_all(&batch.names(), decide).await
    }

    fn done(&self, batch: &Batch, decided: Decided, answers: Answers) {
        self.forget_unshared(batch);
        for (counted, record) in batch.counts.iter().zip(decided.records) {
            self.local.put(counted, record);
        }
        for (answer, outcome) in answers.into_iter().zip(decided.outcomes) {
            // The client may have gone.
            let _ = answer.map(|answer| answer.send(outcome));
        }
    }

    /// Counts here what Redis did not answer, and whatever waits behind it.
    fn lose(&self, error: Option<&RecordsError>, batch: &Batch, answers: Answers) {
        self.metrics.state_store_errors.inc();
        let mut queue = self.lock();
        let was_lost = matches!(queue.reach, Reach::Lost { .. });
        queue.reach = Reach::Lost { retry_at: Instant::now() + LEFT_ALONE };
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        if !was_lost {
            let error = error.map_or("no answer in time".to_owned(), |error| chain(error));
            warn!(error, "⚠️ Redis is unavailable: each replica counts request limits by itself");
        }
        for (ask, answer) in batch.asks.iter().cloned().zip(answers).chain(waiting) {
            let outcome = self.step_apart(&ask);
            let _ = answer.map(|answer| answer.send(outcome));
        }
    }

    /// Does a step without Redis, and remembers it for when it is back.
    fn step_apart(&self, ask: &Ask) -> Outcome {
        let outcome = self.local.step(&ask.counted, ask.step);
        let mut queue = self.lock();
        match (ask.step, outcome) {
            (Step::Take, Outcome::Granted(at)) => {
                ask.counted.iter().for_each(|counted| queue.add_unshared(counted, at));
            }
            (Step::Take, Outcome::Refused(..)) => {}
            (Step::GiveBack(at), _) => {
                let is_unshared =
                    ask.counted.iter().all(|counted| queue.remove_unshared(&counted.name, at));
                if !is_unshared {
                    queue.keep(ask.clone());
                }
            }
        }
        outcome
    }

    /// Redis counted what is counted here by now: gives it back there.
    fn take_back(self: &Arc<Self>, batch: &Batch, decided: Decided) {
        self.forget_unshared(batch);
        for (ask, outcome) in batch.asks.iter().zip(decided.outcomes) {
            if let (Step::Take, Outcome::Granted(at)) = (ask.step, outcome) {
                let ask = Ask { step: Step::GiveBack(at), ..ask.clone() };
                if let Err(ask) = self.send(ask, None) {
                    self.lock().keep(ask);
                }
            }
        }
    }

    fn forget_unshared(&self, batch: &Batch) {
        let mut queue = self.lock();
        for (counted, unshared) in batch.counts.iter().zip(&batch.unshared) {
            for at in unshared {
                queue.remove_unshared(&counted.name, Timestamp::from_microseconds(*at));
            }
        }
    }

    /// Asks whether Redis is back.
    async fn probe(self: Arc<Self>) {
        if self.records.ping().await.is_err() {
            return;
        }
        let mut queue = self.lock();
        if matches!(queue.reach, Reach::Lost { .. }) {
            queue.reach = Reach::Busy;
            tokio::spawn(Arc::clone(&self).run());
            info!("🔴 Request limits are shared by all replicas again");
        }
    }
}

impl Queue {
    /// Keeps a step for when Redis is back.
    fn keep(&mut self, ask: Ask) {
        if self.waiting.len() < MOST_KEPT {
            self.waiting.push_back((ask, None));
        }
    }

    fn add_unshared(&mut self, counted: &Counted, at: Timestamp) {
        if self.unshared.len() < MOST_KEPT || self.unshared.contains_key(&counted.name) {
            let moments = self.unshared.entry(counted.name.clone()).or_default();
            moments.push(at.as_microseconds());
            counted.rule.keep_newest(moments, at.as_microseconds());
        }
    }

    fn remove_unshared(&mut self, name: &str, at: Timestamp) -> bool {
        let Some(unshared) = self.unshared.get_mut(name) else {
            return false;
        };
        let place = unshared.iter().position(|granted| *granted == at.as_microseconds());
        place.map(|place| unshared.remove(place));
        if unshared.is_empty() {
            self.unshared.remove(name);
        }
        place.is_some()
    }
}

/// What Redis answered; `None` once its ticks are over.
async fn in_time(
    asked: &mut JoinHandle<Result<Decided, RecordsError>>,
) -> Option<Result<Decided, RecordsError>> {
    for _ in 0..TICKS {
        match tokio::time::timeout(TICK, &mut *asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(panicked)) => return Some(Err(RecordsError(panicked.into()))),
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::{Counted, Decided, Queue, TICK, TICKS, Timestamp, in_time};
    use crate::config::Budget;
    use crate::rate_limits::Limit;
    use crate::rate_limits::budget::{Kind, Rule};

    #[test]
    fn only_what_still_counts_is_kept_for_redis() {
        let budget = Budget { most: 3, window: Duration::from_secs(60) };
        let rule = Rule { budget, kind: Kind::Sliding };
        let counted = Counted { name: "a".to_owned(), limit: Limit::SignIn, rule };
        let mut queue = Queue::default();
        let mut keep = |seconds: &[i64]| {
            for second in seconds {
                queue.add_unshared(&counted, Timestamp::from_microseconds(second * 1_000_000));
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
    async fn an_answer_that_a_busy_process_reads_late_is_an_answer() {
        let (answer, answered) = oneshot::channel();
        let mut asked = tokio::spawn(async { Ok(answered.await.unwrap()) });
        // Keeps the only thread busy for longer than Redis has to answer.
        tokio::spawn(async {
            let begun = Instant::now();
            while begun.elapsed() < TICK * TICKS * 3 {}
            answer.send(Decided { outcomes: Vec::new(), records: Vec::new() }).unwrap();
        });
        assert!(in_time(&mut asked).await.is_some_and(|answer| answer.is_ok()));
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_given_up() {
        let (_answer, answered) = oneshot::channel();
        let mut asked = tokio::spawn(async { Ok(answered.await.unwrap()) });
        assert!(in_time(&mut asked).await.is_none());
    }
}

//! The counts that all replicas share, in Redis. While it is away each process counts by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::budget::{Outcome, Rule, Step};
use super::local::Local;
use crate::metrics::Metrics;
use crate::records::{RecordsError, RedisRecords};
use crate::telemetry::chain;

/// Before the name of each count.
pub const PREFIX: &str = "discogs:limits:";

/// A request waits no longer than this for the shared counts.
const PATIENCE: Duration = Duration::from_millis(40);

/// So long they are left alone once they did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// Counts in Redis, with the ones of this process to fall back on.
#[derive(Debug)]
pub(super) struct Shared {
    records: Arc<RedisRecords>,
    local: Local,
    metrics: Arc<Metrics>,
    /// Until when they are left alone; `None` while they are there.
    left_alone_until: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(records: RedisRecords, local: Local, metrics: Arc<Metrics>) -> Self {
        Self { records: Arc::new(records), local, metrics, left_alone_until: Mutex::default() }
    }

    pub(super) async fn step(&self, name: &str, rule: Rule, step: Step) -> Outcome {
        if self.is_left_alone() {
            return self.local.step(name, rule, step);
        }
        // A task, since the connection is given up only by a step that runs to its end.
        let (records, owned_name) = (Arc::clone(&self.records), name.to_owned());
        let asked = tokio::spawn(async move {
            records.update(&owned_name, |stored, now| rule.apply(stored, now, step)).await
        });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(outcome))) => {
                self.came_back();
                outcome
            }
            Ok(Ok(Err(error))) => self.went_away(Some(&error), name, rule, step),
            Ok(Err(_)) | Err(_) => self.went_away(None, name, rule, step),
        }
    }

    /// Whether nobody should ask now; where the time is over, whoever asks first tries it.
    fn is_left_alone(&self) -> bool {
        let mut until = self.left_alone_until();
        match *until {
            None => false,
            Some(end) if end > Instant::now() => true,
            Some(_) => {
                *until = Some(Instant::now() + LEFT_ALONE);
                false
            }
        }
    }

    fn came_back(&self) {
        if self.left_alone_until().take().is_some() {
            info!("🔴 Request limits are shared by all replicas again");
        }
    }

    fn went_away(
        &self,
        error: Option<&RecordsError>,
        name: &str,
        rule: Rule,
        step: Step,
    ) -> Outcome {
        self.metrics.state_store_errors.add_one();
        let until = Instant::now() + LEFT_ALONE;
        if self.left_alone_until().replace(until).is_none() {
            let error = error.map_or("no answer in time".to_owned(), |error| chain(error));
            warn!(error, "⚠️ Redis is away: each replica counts request limits by itself");
        }
        self.local.step(name, rule, step)
    }

    fn left_alone_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Reports when flows can't be stored in Redis. The SQLite file has its own reports.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::expiring::{Decide, Expiring, ExpiringError, RedisRecords};
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::telemetry::chain;

/// Records in Redis that counts failures, and logs each outage once.
#[derive(Debug)]
pub struct ReportedRecords {
    records: RedisRecords,
    outage: Outage,
    metrics: Arc<Metrics>,
}

impl ReportedRecords {
    /// Wraps `records`.
    #[must_use]
    pub fn new(records: RedisRecords, metrics: Arc<Metrics>) -> Self {
        Self { records, outage: Outage::default(), metrics }
    }

    fn report(&self, result: Result<(), ExpiringError>) -> Result<(), ExpiringError> {
        if let Err(error) = &result {
            self.metrics.state_store_errors.inc();
            if self.outage.begins() {
                let error = chain(error);
                tracing::warn!(error, "⚠️ Redis can't be used: users can't connect Discogs");
            }
        }
        result
    }

    /// Reports the result of a write.
    ///
    /// Only a write shows that Redis works again: a full server still answers reads.
    fn report_write(&self, written: Result<(), ExpiringError>) -> Result<(), ExpiringError> {
        if written.is_ok() && self.outage.ends() {
            tracing::info!("🔴 Redis can be used again");
        }
        self.report(written)
    }
}

#[async_trait]
impl Expiring for ReportedRecords {
    async fn ping(&self) -> Result<(), ExpiringError> {
        self.report_write(self.records.ping().await)
    }

    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError> {
        self.report_write(self.records.put(key, record, life).await)
    }

    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError> {
        self.report(self.records.replace(keys, decide).await)
    }
}

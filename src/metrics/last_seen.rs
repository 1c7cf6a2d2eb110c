//! A gauge for a value that is unknown until it is first seen.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The last value seen; it has no sample before the first one. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastSeen(Arc<OnceLock<Gauge>>);

impl LastSeen {
    /// Replaces the value.
    pub fn set(&self, value: u32) {
        self.0.get_or_init(Gauge::default).set(value.into());
    }
}

impl TypedMetric for LastSeen {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for LastSeen {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.get().map_or(Ok(()), |gauge| gauge.encode(encoder))
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

//! The form of numbers, and the clock of actors that belong to no node.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::clock::{Clock, SystemClock};

/// Counts from one to 4,096.
pub(super) fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 7))
}

/// A number as a gauge has it.
pub(super) fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The number of a gauge.
pub(super) fn from_gauge(gauge: &Gauge) -> u64 {
    u64::try_from(gauge.get()).unwrap_or(0)
}

/// A number that may not be known. Then it is NaN, which no comparison takes for a small number.
#[derive(Clone)]
pub(super) struct KnownGauge(Gauge<f64, AtomicU64>);

impl KnownGauge {
    pub(super) fn set(&self, value: Option<f64>) {
        self.0.set(value.unwrap_or(f64::NAN));
    }

    /// The number as it is printed.
    pub(super) fn printed(&self) -> &Gauge<f64, AtomicU64> {
        &self.0
    }
}

impl Default for KnownGauge {
    fn default() -> KnownGauge {
        let gauge = KnownGauge(Gauge::default());
        gauge.set(None);
        gauge
    }
}

/// The clock of metrics that belong to no node.
pub(super) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

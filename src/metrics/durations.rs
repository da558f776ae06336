//! Durations: a histogram of the registry that can also be read back.
//!
//! Its numbers are atomic: an observation takes no lock, and the thread that prints or reads them
//! never makes the node wait.

use std::array;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bounds of the buckets in nanoseconds, from a tenth of a millisecond to more than
/// eight seconds. They include those that etcd uses for its syncs, 0.001 s doubled, so that its
/// alerts find their buckets.
const BOUNDS_NS: [u64; 17] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    4_000_000,
    8_000_000,
    16_000_000,
    32_000_000,
    64_000_000,
    128_000_000,
    256_000_000,
    512_000_000,
    1_024_000_000,
    2_048_000_000,
    4_096_000_000,
    8_192_000_000,
];
/// The buckets: one for each bound, and one for what is above all of them.
const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// A histogram of durations. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Durations {
    /// Counts a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < ns);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The numbers of observations until now.
    pub(super) fn counts(&self) -> DurationCounts {
        DurationCounts(array::from_fn(|bucket| self.0.counts[bucket].load(Ordering::Relaxed)))
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let DurationCounts(counts) = self.counts();
        let sum = self.0.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        // The bucket above all bounds is printed by the encoder, from the count of all.
        let bounds = BOUNDS_NS.iter().map(|ns| *ns as f64 / 1e9);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The numbers of observations in the buckets of a histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationCounts([u64; BUCKETS]);

impl DurationCounts {
    /// Both together.
    pub(super) fn plus(self, other: DurationCounts) -> DurationCounts {
        DurationCounts(array::from_fn(|bucket| self.0[bucket] + other.0[bucket]))
    }

    /// The observations that came after those of `earlier`, which was read from the same
    /// histogram.
    #[must_use]
    pub fn since(&self, earlier: &DurationCounts) -> DurationCounts {
        DurationCounts(array::from_fn(|bucket| self.0[bucket].saturating_sub(earlier.0[bucket])))
    }

    /// The duration that this part of the observations does not exceed, `quantile` being between
    /// 0 and 1; `None` when there are no observations. Within a bucket it is as if they were
    /// spread evenly. Nothing is known above the highest bound, which is given instead.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let all: u64 = self.0.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = quantile * all as f64;
        let (mut low, mut below) = (0, 0_u64);
        for (bound, count) in BOUNDS_NS.into_iter().zip(self.0) {
            let up_to = below + count;
            if up_to as f64 >= wanted && count > 0 {
                let within = ((wanted - below as f64) / count as f64).max(0.0);
                let ns = low as f64 + (bound - low) as f64 * within;
                return Some(Duration::from_nanos(ns as u64));
            }
            (low, below) = (bound, up_to);
        }
        Some(Duration::from_nanos(low))
    }
}

#[cfg(test)]
mod tests;

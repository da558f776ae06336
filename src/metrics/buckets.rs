//! The bounds of histograms.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Durations from a tenth of a millisecond to more than ten seconds. The bounds include those
/// that etcd uses for its syncs, 0.001 s doubled, so that its alerts find their buckets.
pub(super) fn durations() -> Histogram {
    Histogram::new(
        [0.000_1, 0.000_25, 0.000_5].into_iter().chain(exponential_buckets(0.001, 2.0, 14)),
    )
}

/// Counts from one to 4,096.
pub(super) fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 7))
}

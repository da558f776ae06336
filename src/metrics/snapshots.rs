//! The measurements of SnapshotWriterActor.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::to_gauge;

/// The measurements of SnapshotWriterActor. Clones share the numbers.
#[derive(Clone, Default)]
pub struct SnapshotMetrics {
    pub(super) duration: Durations,
    bytes: Gauge,
    failed: Counter,
    installed: Counter,
}

impl SnapshotMetrics {
    /// Takes the size of a snapshot that was saved, and the time that it took.
    pub fn on_saved(&self, bytes: u64, duration: Duration) {
        self.bytes.set(to_gauge(bytes));
        self.duration.observe(duration);
    }

    /// Counts a snapshot that could not be saved.
    pub fn on_failed(&self) {
        self.failed.inc();
    }

    /// Counts a snapshot that was received from the leader.
    pub fn on_received(&self, bytes: u64) {
        self.bytes.set(to_gauge(bytes));
        self.installed.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time in which a snapshot was saved";
        registry.register("snapshot_save_duration_seconds", help, self.duration.clone());
        let help = "Size of the newest snapshot that this run has stored";
        registry.register("snapshot_bytes", help, self.bytes.clone());
        let help = "Snapshots that could not be saved";
        registry.register("snapshot_failures", help, self.failed.clone());
        let help = "Snapshots that were received from a leader";
        registry.register("snapshots_received", help, self.installed.clone());
    }
}

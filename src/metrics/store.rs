//! The measurements of KvActor.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::{system_clock, to_gauge};
use crate::clock::Clock;

/// The state of the store at one point in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreState {
    /// The number of keys.
    pub keys: u64,
    /// The size of the keys and values in bytes.
    pub bytes: u64,
    /// The newest revision.
    pub revision: u64,
    /// The oldest revision that can be read.
    pub compacted_revision: u64,
    /// The number of changes that the history keeps.
    pub history_changes: u64,
    /// Their size in bytes.
    pub history_bytes: u64,
    /// The number of leases.
    pub leases: u64,
    /// The number of clients that are remembered for their retries.
    pub once_clients: u64,
    /// The memory in bytes that clients use together.
    pub memory_used_bytes: u64,
    /// The memory in bytes that clients may use.
    pub memory_bytes_max: u64,
}

/// The measurements of KvActor. Clones share the numbers.
#[derive(Clone)]
pub struct StoreMetrics {
    clock: Arc<dyn Clock>,
    keys: Gauge,
    pub(super) bytes: Gauge,
    /// The bound on the store; 0 for none.
    pub(super) bytes_max: Gauge,
    pub(super) total_bytes: Gauge,
    revision: Gauge,
    compacted_revision: Gauge,
    history_changes: Gauge,
    pub(super) history_bytes: Gauge,
    leases: Gauge,
    once_clients: Gauge,
    pub(super) memory_used_bytes: Gauge,
    pub(super) memory_bytes_max: Gauge,
    scans_waiting: Gauge,
    pub(super) apply_duration: Durations,
}

impl StoreMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> StoreMetrics {
        StoreMetrics {
            clock,
            keys: Gauge::default(),
            bytes: Gauge::default(),
            bytes_max: Gauge::default(),
            total_bytes: Gauge::default(),
            revision: Gauge::default(),
            compacted_revision: Gauge::default(),
            history_changes: Gauge::default(),
            history_bytes: Gauge::default(),
            leases: Gauge::default(),
            once_clients: Gauge::default(),
            memory_used_bytes: Gauge::default(),
            memory_bytes_max: Gauge::default(),
            scans_waiting: Gauge::default(),
            apply_duration: Durations::default(),
        }
    }

    /// The time of the clock by which the work is measured.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Takes the time of one message of tasks, which began at `began` and ends now. Returns the
    /// time.
    pub fn on_executed(&self, began: Duration) -> Duration {
        let now = self.now();
        self.apply_duration.observe(now.saturating_sub(began));
        now
    }

    /// Takes the bound on the size of the store; 0 for none.
    pub fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.set(to_gauge(bytes_max));
    }

    /// Takes the state of the store, and the number of scans that wait.
    pub fn set_state(&self, state: &StoreState, scans_waiting: usize) {
        self.keys.set(to_gauge(state.keys));
        self.bytes.set(to_gauge(state.bytes));
        self.total_bytes.set(to_gauge(state.bytes.saturating_add(state.history_bytes)));
        self.revision.set(to_gauge(state.revision));
        self.compacted_revision.set(to_gauge(state.compacted_revision));
        self.history_changes.set(to_gauge(state.history_changes));
        self.history_bytes.set(to_gauge(state.history_bytes));
        self.leases.set(to_gauge(state.leases));
        self.once_clients.set(to_gauge(state.once_clients));
        self.memory_used_bytes.set(to_gauge(state.memory_used_bytes));
        self.memory_bytes_max.set(to_gauge(state.memory_bytes_max));
        self.scans_waiting.set(to_gauge(scans_waiting as u64));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("store_keys", "Keys that have not expired", &self.keys),
            ("store_bytes", "Size of keys and values", &self.bytes),
            ("store_bytes_max", "Bound on the size of the store, 0 for none", &self.bytes_max),
            ("store_revision", "Newest revision", &self.revision),
            (
                "store_compacted_revision",
                "Oldest revision that can be read",
                &self.compacted_revision,
            ),
            ("store_history_changes", "Changes that the history keeps", &self.history_changes),
            ("store_history_bytes", "Size of the history", &self.history_bytes),
            ("store_leases", "Leases", &self.leases),
            ("store_once_clients", "Clients remembered for their retries", &self.once_clients),
            ("store_scans_waiting", "Scans that wait for their turn", &self.scans_waiting),
            ("memory_used_bytes", "Memory that clients use together", &self.memory_used_bytes),
            ("memory_bytes_max", "Memory that clients may use together", &self.memory_bytes_max),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let help = "Time in which the store executed what it was given at once";
        registry.register("store_apply_duration_seconds", help, self.apply_duration.clone());
    }
}

impl Default for StoreMetrics {
    fn default() -> StoreMetrics {
        StoreMetrics::new(system_clock())
    }
}

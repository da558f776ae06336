//! The measurements of LogActor.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::{self, system_clock, to_gauge};
use super::moment::Moment;
use crate::clock::Clock;

/// The measurements of LogActor. Clones share the numbers.
#[derive(Clone)]
pub struct LogMetrics {
    clock: Arc<dyn Clock>,
    /// When the operation began that the disk has not finished.
    busy_since: Moment,
    pub(super) fsync_duration: Durations,
    flush_entries: Histogram,
    pub(super) written_bytes: Counter,
    first_index: Gauge,
}

impl LogMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> LogMetrics {
        LogMetrics {
            clock,
            busy_since: Moment::default(),
            fsync_duration: Durations::default(),
            flush_entries: measures::counts(),
            written_bytes: Counter::default(),
            first_index: Gauge::default(),
        }
    }

    /// Notes that an operation of the disk begins.
    pub fn begin(&self) {
        self.busy_since.set(Some(self.now()));
    }

    /// Notes that it has ended.
    pub fn end(&self) {
        self.busy_since.set(None);
    }

    /// Runs `sync`, and takes the time that it needs.
    pub fn time_sync<T>(&self, sync: impl FnOnce() -> T) -> T {
        let began = self.clock.monotonic();
        let done = sync();
        self.fsync_duration.observe(self.clock.monotonic().saturating_sub(began));
        done
    }

    /// Counts a batch that was written.
    pub fn on_flushed(&self, entries: usize, bytes: u64) {
        self.flush_entries.observe(entries as f64);
        self.written_bytes.inc_by(bytes);
    }

    /// Takes the position before the first entry that the log has.
    pub fn set_base(&self, index: u64) {
        self.first_index.set(to_gauge(index.saturating_add(1)));
    }

    /// The time for which the disk has not finished an operation; zero while it is idle.
    pub fn silence(&self) -> Duration {
        self.busy_since.get().map_or(Duration::ZERO, |since| self.now().saturating_sub(since))
    }

    /// The time of the clock by which the disk is measured.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time of a sync of the log";
        registry.register("log_fsync_duration_seconds", help, self.fsync_duration.clone());
        let help = "Entries that one sync made durable";
        registry.register("log_flush_entries", help, self.flush_entries.clone());
        let help = "Bytes of entries that were written to the log";
        registry.register("log_bytes_written", help, self.written_bytes.clone());
        let help = "Oldest entry that the log still has";
        registry.register("log_first_index", help, self.first_index.clone());
    }
}

impl Default for LogMetrics {
    fn default() -> LogMetrics {
        LogMetrics::new(system_clock())
    }
}

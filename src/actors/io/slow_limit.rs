//! A bound on the lines about slow operations: one a second, which says how many were left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time between two lines.
const PERIOD: Duration = Duration::from_secs(1);

/// Admits one line a second and counts the others. Clones share the bound.
#[derive(Clone, Default)]
pub(super) struct SlowLimit(Arc<State>);

#[derive(Default)]
struct State {
    /// The time from which on a line is admitted, in microseconds of the caller's clock.
    next_us: AtomicU64,
    /// Number of lines that were not admitted since the last one that was.
    left_out: AtomicU64,
}

impl SlowLimit {
    /// Counts a line at this time. Returns the number of those left out before it, if it is to be
    /// logged.
    pub(super) fn admit(&self, now: Duration) -> Option<u64> {
        let now_us = micros(now);
        if now_us < self.0.next_us.load(Ordering::Relaxed) {
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.0.next_us.store(now_us.saturating_add(micros(PERIOD)), Ordering::Relaxed);
        Some(self.0.left_out.swap(0, Ordering::Relaxed))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

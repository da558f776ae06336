//! The store's clock, as a leader counts it: the last stamp of its log when it was elected,
//! and its own monotonic time since then (docs/adr/0020).
//!
//! Only time in which somebody led is counted, and no wall clock is read. So a server whose
//! wall clock is wrong moves nothing, and nothing expires early when it is elected.

use core::time::Duration;

/// The beginning of a leadership, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreClock {
    /// The last stamp of the log, in milliseconds of the store's clock.
    began_ms: u64,
    /// The time of this node's monotonic clock.
    began_at: Duration,
}

impl StoreClock {
    /// The clock of a leader that is elected at `now`, with a log that ends with `last_stamp_ms`.
    pub(super) fn going_on(last_stamp_ms: u64, now: Duration) -> StoreClock {
        StoreClock { began_ms: last_stamp_ms, began_at: now }
    }

    /// The store's time in milliseconds. At the end of its range it stands still.
    pub(super) fn now_ms(&self, now: Duration) -> u64 {
        let elapsed_ms = now.saturating_sub(self.began_at).as_millis();
        self.began_ms.saturating_add(u64::try_from(elapsed_ms).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;

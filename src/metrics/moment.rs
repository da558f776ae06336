//! A moment that several threads see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A time of a clock, to the microsecond, or none. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Moment {
    /// Microseconds, and 0 for none: the clock's first microsecond counts as its second one.
    us: Arc<AtomicU64>,
}

impl Moment {
    /// The moment, if there is one.
    pub(super) fn get(&self) -> Option<Duration> {
        moment(self.us.load(Ordering::Relaxed))
    }

    /// Sets the moment, or that there is none.
    pub(super) fn set(&self, at: Option<Duration>) {
        self.us.store(at.map_or(0, micros), Ordering::Relaxed);
    }

    /// Sets the moment if there is none. Returns false when there is one.
    pub(super) fn begin(&self, at: Duration) -> bool {
        self.us.compare_exchange(0, micros(at), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes the moment away, if there is one.
    pub(super) fn take(&self) -> Option<Duration> {
        moment(self.us.swap(0, Ordering::Relaxed))
    }
}

fn moment(us: u64) -> Option<Duration> {
    (us > 0).then(|| Duration::from_micros(us))
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;

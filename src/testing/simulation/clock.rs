//! A wall clock that runs with the simulated time, and jumps when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use crate::clock::Clock;

/// The hour at which every simulation begins, in milliseconds since the Unix epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// See the module. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct SimClock {
    begin: Instant,
    offset_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is wrong by `offset_ms`.
    pub fn new(offset_ms: i64) -> SimClock {
        SimClock { begin: Instant::now(), offset_ms: Arc::new(AtomicI64::new(offset_ms)) }
    }

    /// Somebody sets it: it is wrong by `offset_ms` from now on.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        let elapsed_ms = i64::try_from(self.begin.elapsed().as_millis()).unwrap_or(i64::MAX);
        let wall_ms = BEGIN_MS
            .saturating_add(elapsed_ms)
            .saturating_add(self.offset_ms.load(Ordering::Relaxed));
        u64::try_from(wall_ms).unwrap_or(0)
    }
}

//! The clocks of a machine, which run with the simulated time, a little too fast or
//! too slow; that on the wall jumps when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// The hour at which every simulation begins, in milliseconds since the Unix epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// See the module. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct SimClock {
    begin: Instant,
    offset_ms: Arc<AtomicI64>,
    /// How much it gains in a million.
    drift_ppm: i64,
    /// How much the monotonic clock gains in a million.
    rate_ppm: i32,
    /// The latest time that it has shown anybody.
    latest_ms: Arc<AtomicU64>,
}

impl SimClock {
    /// A clock that is wrong by `offset_ms`.
    pub fn new(offset_ms: i64) -> SimClock {
        SimClock {
            begin: Instant::now(),
            offset_ms: Arc::new(AtomicI64::new(offset_ms)),
            drift_ppm: 0,
            rate_ppm: 0,
            latest_ms: Arc::default(),
        }
    }

    /// The same, and it gains so much in a million; loses, when that is negative.
    #[must_use]
    pub fn drifting(self, drift_ppm: i64) -> SimClock {
        SimClock { drift_ppm, ..self }
    }

    /// The same, and its monotonic clock gains so much in a million, or loses.
    #[must_use]
    pub fn running_at(self, rate_ppm: i32) -> SimClock {
        SimClock { rate_ppm, ..self }
    }

    /// The latest time that it has shown anybody.
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms.load(Ordering::Relaxed)
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
            .saturating_add(elapsed_ms.saturating_mul(self.drift_ppm) / 1_000_000)
            .saturating_add(self.offset_ms.load(Ordering::Relaxed));
        let wall_ms = u64::try_from(wall_ms).unwrap_or(0);
        self.latest_ms.fetch_max(wall_ms, Ordering::Relaxed);
        wall_ms
    }

    fn monotonic(&self) -> Duration {
        self.begin.elapsed().mul_f64(1.0 + f64::from(self.rate_ppm) / 1e6)
    }
}

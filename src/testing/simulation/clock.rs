//! The clocks of a machine. They follow the simulated time, slightly too fast or too slow. The time
//! of day also jumps when it is set. The monotonic clock began when the machine was started, long
//! before the simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// The time of day at which every simulation begins, in milliseconds since the Unix epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// The clocks of a machine. Clones show the same time.
#[derive(Clone, Debug)]
pub struct SimClock {
    begin: Instant,
    /// The offset of the time of day from the simulated time, in milliseconds.
    offset_ms: Arc<AtomicI64>,
    /// The rate error of the time of day, in millionths; negative when it is slow.
    drift_ppm: i64,
    /// The rate error of the monotonic clock, in millionths; negative when it is slow.
    rate_ppm: i32,
    /// The time for which the machine had run when the simulation began.
    booted: Duration,
}

impl SimClock {
    /// A clock whose time of day is wrong by `offset_ms`.
    pub fn new(offset_ms: i64) -> SimClock {
        SimClock {
            begin: Instant::now(),
            offset_ms: Arc::new(AtomicI64::new(offset_ms)),
            drift_ppm: 0,
            rate_ppm: 0,
            booted: Duration::ZERO,
        }
    }

    /// The same clock with a rate error of the time of day, in millionths.
    #[must_use]
    pub fn drifting(self, drift_ppm: i64) -> SimClock {
        SimClock { drift_ppm, ..self }
    }

    /// The same clock with a rate error of the monotonic clock, in millionths.
    #[must_use]
    pub fn running_at(self, rate_ppm: i32) -> SimClock {
        SimClock { rate_ppm, ..self }
    }

    /// The same clock on a machine that had run for this time when the simulation began.
    #[must_use]
    pub fn booted(self, booted: Duration) -> SimClock {
        SimClock { booted, ..self }
    }

    /// Sets the time of day, which is wrong by `offset_ms` from now on.
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
        u64::try_from(wall_ms).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        self.booted + self.begin.elapsed().mul_f64(1.0 + f64::from(self.rate_ppm) / 1e6)
    }
}

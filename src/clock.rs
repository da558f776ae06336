//! The interface to the clocks. Stamps of entries and leader leases are counted on the
//! monotonic clock (docs/adr/0020, docs/adr/0012). The time of day is only shown to people.
//! Everything else that depends on time counts ticks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. The value may be wrong by years, and may jump
    /// forwards and backwards: nothing may be decided by it.
    fn wall_ms(&self) -> u64;

    /// The time since a fixed point in the past, which is another one on each machine. It
    /// never goes back, and it goes on while the process is stopped or the machine sleeps.
    fn monotonic(&self) -> Duration;
}

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        // A clock that is set before 1970 shows 0.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads the boot-time clock. The clock of `Instant` stops while the machine sleeps.
    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).expect("no machine was started in the future");
        let nanos = u32::try_from(time.tv_nsec).expect("a second has a thousand million of them");
        Duration::new(seconds, nanos)
    }
}

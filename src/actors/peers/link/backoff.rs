//! The pauses between the dials of one link.
//!
//! A pause doubles with every failure in a row, up to a maximum. The first connection that is
//! lost is redialled at once; connections that end soon after their hello are not, because the
//! cause may come again with every attempt.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The failures of a link in a row, and the pauses that follow from them.
pub(super) struct Backoff {
    pause_ms_min: u64,
    pause_ms_max: u64,
    rng: StdRng,
    /// Number of dials in a row that failed.
    failed_dials: u32,
    /// Number of connections in a row that ended within `pause_ms_max` of their hello.
    short_connections: u32,
}

impl Backoff {
    /// A link without failures; `seed` is the seed of the jitter.
    pub fn new(pause_ms_min: u64, pause_ms_max: u64, seed: u64) -> Backoff {
        let rng = StdRng::seed_from_u64(seed);
        Backoff { pause_ms_min, pause_ms_max, rng, failed_dials: 0, short_connections: 0 }
    }

    /// The peer answered the hello: the count of failed dials starts again.
    pub fn on_established(&mut self) {
        self.failed_dials = 0;
    }

    /// Returns the pause before the next dial after one that failed.
    pub fn after_failed_dial(&mut self) -> Duration {
        self.failed_dials = self.failed_dials.saturating_add(1);
        self.pause(self.failed_dials)
    }

    /// Returns the pause before the next dial after a connection ended `age` after its hello;
    /// `None` when the link dials at once.
    pub fn after_connection(&mut self, age: Duration) -> Option<Duration> {
        if age >= Duration::from_millis(self.pause_ms_max) {
            self.short_connections = 0;
        }
        let short_connections = self.short_connections;
        self.short_connections = short_connections.saturating_add(1);
        (short_connections > 0).then(|| self.pause(short_connections))
    }

    /// The pause before the `attempt`th dial in a row, counted from 1.
    fn pause(&mut self, attempt: u32) -> Duration {
        // After 32 doublings every pause is at its maximum.
        let doubled = self.pause_ms_min.saturating_mul(1 << (attempt - 1).min(32));
        let pause_ms = doubled.min(self.pause_ms_max).max(1);
        // The jitter spreads the pause over its upper half, so that servers that lost the same
        // peer at the same time do not dial it at the same time.
        Duration::from_millis(self.rng.random_range(pause_ms.div_ceil(2)..=pause_ms))
    }
}

#[cfg(test)]
mod tests;

//! The election timer (§5.2): a random timeout in ticks, drawn anew at each reset.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The election timer of one node.
pub(super) struct ElectionTimer {
    /// Bounds of the timeout in ticks; at least 1, and `min <= max`.
    min: u32,
    max: u32,
    /// Ticks since the last reset.
    elapsed_ticks: u32,
    timeout_ticks: u32,
    rng: StdRng,
}

impl ElectionTimer {
    /// A timer that draws from `min..=max`, and has been reset.
    pub(super) fn new(min: u32, max: u32, seed: u64) -> ElectionTimer {
        let rng = StdRng::seed_from_u64(seed);
        ElectionTimer { min, max, elapsed_ticks: 0, timeout_ticks: max, rng }
    }

    /// Begins again, with a new timeout.
    pub(super) fn reset(&mut self) {
        self.elapsed_ticks = 0;
        self.timeout_ticks = self.rng.random_range(self.min..=self.max);
    }

    /// Begins again, with a new timeout of more than `least` ticks, but never of more than
    /// the shortest timeout `min`.
    pub(super) fn reset_shortened(&mut self, least: u32) {
        self.elapsed_ticks = 0;
        self.timeout_ticks = self.rng.random_range((least + 1).min(self.min)..=self.min);
    }

    /// Begins again, and fires after `ticks`.
    pub(super) fn fire_after(&mut self, ticks: u32) {
        self.elapsed_ticks = 0;
        self.timeout_ticks = ticks;
    }

    /// Advances time by one tick. Returns true from the tick at which the timer fires until
    /// the next reset.
    pub(super) fn tick(&mut self) -> bool {
        self.elapsed_ticks = self.elapsed_ticks.saturating_add(1);
        self.elapsed_ticks >= self.timeout_ticks
    }
}

#[cfg(test)]
mod tests;

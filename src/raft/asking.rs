//! The question whether clients of a peer that does not lead wait for entries (docs/adr/0031).

/// The number of times within a second that a peer asks when it has clients that wait. A check of
/// a server's readiness is such a question as well, at most ten times a second: to send entries at
/// once for these would cost every put (docs/performance_history.md).
const ASKS_MIN: u32 = 16;

/// The times at which one peer has asked for something.
#[derive(Clone, Copy, Default)]
pub(super) struct Asking {
    /// The number of times in the second that is under way, and the ticks that are left of it.
    asks: u32,
    second_ticks: u32,
    /// Ticks for which the peer still counts as one whose clients wait.
    waiting_ticks: u32,
}

impl Asking {
    /// The peer asks.
    pub(super) fn on_ask(&mut self, ticks_per_second: u32) {
        if self.second_ticks == 0 {
            (self.asks, self.second_ticks) = (0, ticks_per_second);
        }
        self.asks += 1;
        if self.asks >= ASKS_MIN {
            self.waiting_ticks = ticks_per_second;
        }
    }

    /// Advances time by one tick.
    pub(super) fn tick(&mut self) {
        self.second_ticks = self.second_ticks.saturating_sub(1);
        self.waiting_ticks = self.waiting_ticks.saturating_sub(1);
    }

    /// True when the peer has clients that wait: it has asked often within a second.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting_ticks > 0
    }
}

#[cfg(test)]
mod tests;

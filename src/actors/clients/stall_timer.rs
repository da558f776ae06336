//! The timer that finds a client which does not read its replies.

use std::time::Duration;

/// The patience with a client that has replies to take. The session checks it every
/// [`CHECK_INTERVAL`] as long as a command is unanswered or a reply is unsent; an idle
/// session has no timer.
///
/// It counts checks, and looks at no clock: this process may stand still for longer than any
/// client may, and must not take that for the client's fault. For the same reason a check counts
/// only when the connection took nothing while it was offered something. Where thousands of
/// clients wait for their turn, a reply may be unsent for long although its client reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct StallTimer {
    /// The number of checks at which the client took nothing, since it last took something.
    stalled_checks: u32,
    /// Number of bytes that the client had taken then, since the beginning.
    sent_bytes: u64,
}

/// The state of a connection at a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// The bytes that the client has yet to take.
    pub(super) unsent_bytes: usize,
    /// The bytes that it has taken since the beginning.
    pub(super) sent_bytes: u64,
    /// True when it took nothing of what it was offered since the last check.
    pub(super) is_refused: bool,
}

/// Time between two checks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl StallTimer {
    /// A timer that begins now. The client has taken `sent_bytes` bytes.
    pub(super) fn start(sent_bytes: u64) -> StallTimer {
        StallTimer { stalled_checks: 0, sent_bytes }
    }

    /// The timer after a check; `None` when the client has taken something since the last one, or
    /// has nothing to take.
    #[must_use]
    pub(super) fn checked(self, offer: Offer) -> Option<StallTimer> {
        let is_waiting = offer.unsent_bytes > 0 && offer.sent_bytes == self.sent_bytes;
        let stalled_checks = self.stalled_checks + u32::from(offer.is_refused);
        is_waiting.then_some(StallTimer { stalled_checks, ..self })
    }

    /// The time for which the client took nothing.
    pub(super) fn elapsed(&self) -> Duration {
        CHECK_INTERVAL * self.stalled_checks
    }
}

#[cfg(test)]
mod tests;

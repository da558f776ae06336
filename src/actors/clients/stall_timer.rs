//! The timer that finds a client which does not read its replies.

use std::time::Duration;

use tokio::time::Instant;

/// The progress of a client that has replies to take. The session checks it every
/// [`CHECK_INTERVAL`] as long as a command is unanswered or a reply is unsent; an idle
/// session has no timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct StallTimer {
    /// The time at which the client was last seen to take replies, or had none to take.
    progress_at: Instant,
    /// Number of bytes that the client had taken then, since the beginning.
    sent_bytes: u64,
}

/// Time between two checks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl StallTimer {
    /// A timer that begins now. The client has taken `sent_bytes` bytes.
    pub(super) fn start(sent_bytes: u64) -> StallTimer {
        StallTimer { progress_at: Instant::now(), sent_bytes }
    }

    /// True when replies are unsent, and the client has taken none since the timer began.
    pub(super) fn is_stalled(&self, unsent_bytes: usize, sent_bytes: u64) -> bool {
        unsent_bytes > 0 && sent_bytes == self.sent_bytes
    }

    /// Time since the client was last seen to take replies.
    pub(super) fn elapsed(&self) -> Duration {
        self.progress_at.elapsed()
    }
}

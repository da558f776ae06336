//! The pause after a snapshot that could not be sent (docs/adr/0017).
//!
//! A peer without room for a snapshot would refuse it again at once, and the leader would
//! send it at full speed for ever. So each failure is followed by a pause, which doubles with
//! every failure until the peer gets further than ever.

use crate::raft::rpc::SnapshotRefusal;

/// The longest pause is this power of two in heartbeats: with a heartbeat each 50 ms, 3.2
/// seconds. A peer that has room again is served after that time at the latest.
const PAUSE_POWER_MAX: u32 = 6;

/// The failures to send a snapshot to one peer.
#[derive(Default)]
pub(super) struct Backoff {
    /// Failures since the peer last got further than ever.
    failures: u32,
    /// The rest of the pause, in heartbeats.
    heartbeats_left: u32,
    /// The most bytes that the peer had of any snapshot at one of those failures.
    furthest_bytes: u64,
    /// The reason that the peer gave last.
    refusal: Option<SnapshotRefusal>,
}

impl Backoff {
    /// The peer had `acked_bytes` of a snapshot, and has lost them or refuses the rest.
    pub(super) fn on_failed(&mut self, acked_bytes: u64, refusal: Option<SnapshotRefusal>) {
        self.heartbeats_left = 1 << self.failures.min(PAUSE_POWER_MAX);
        self.failures = self.failures.saturating_add(1);
        self.furthest_bytes = self.furthest_bytes.max(acked_bytes);
        self.refusal = refusal;
    }

    /// The peer has `acked_bytes` of a snapshot.
    pub(super) fn on_acked(&mut self, acked_bytes: u64) {
        if self.failures > 0 && acked_bytes > self.furthest_bytes {
            *self = Backoff::default();
        }
    }

    /// A heartbeat is due. True when it ends the pause.
    pub(super) fn on_heartbeat(&mut self) -> bool {
        let was_pausing = self.is_pausing();
        self.heartbeats_left = self.heartbeats_left.saturating_sub(1);
        was_pausing && !self.is_pausing()
    }

    /// True while nothing of a snapshot is to be sent.
    pub(super) fn is_pausing(&self) -> bool {
        self.heartbeats_left > 0
    }

    /// The reason of the last failure, if the peer gave one.
    pub(super) fn refusal(&self) -> Option<SnapshotRefusal> {
        self.refusal
    }
}

#[cfg(test)]
mod tests;

//! The part of the log that a leader keeps for one peer which is being sent a snapshot, or
//! catches up after one: the *hold*, and its end (docs/adr/0017).
//!
//! Without a hold, a slow peer would be sent one snapshot after the other, because the log
//! after each is gone by the time that it is installed (docs/bugs.md B60). But a hold stops
//! the compaction of the log. So it has bounds, and a peer that is sick costs the leader no
//! more than a slow one (docs/bugs.md C1). A hold ends
//!
//! - when the peer is silent; it goes on with the peer's next report;
//! - when the peer makes no *progress* for [`IDLE_SECONDS_MAX`], and a while more for a large
//!   snapshot; it begins again with the next progress;
//! - when the peer refuses the snapshot; it begins again with the next progress;
//! - after [`DURATION_FACTOR`] times as long, however many small steps the peer makes;
//! - when the log after it weighs too much, see `SnapshotPolicy::is_log_too_large`.
//!
//! Progress is a higher match index than ever, or more bytes of the same snapshot than ever.
//! After the last two, there is no hold until the peer makes progress with another snapshot.

use super::event::HoldEnd;
use super::replication::action::ReplicationReport;
use crate::types::LogIndex;

/// The time in seconds for which a hold lasts without progress.
const IDLE_SECONDS_MAX: u64 = 30;

/// A peer that has the last byte of a snapshot makes no progress while it verifies and loads
/// it. It is given a second more for so many bytes of the snapshot.
const LOADED_BYTES_PER_SECOND: u64 = 25 << 20;

/// A hold lasts at most so many times as long as it may last without progress.
const DURATION_FACTOR: u32 = 64;

/// The hold of one peer, and what is remembered of the peer's progress.
#[derive(Clone, Copy, Default)]
pub(super) struct LogHold {
    /// The place that the last report asks for; `None` when the peer needs no hold or is
    /// silent.
    asked: Option<LogIndex>,
    /// The end of the last hold. `None` while the hold may last.
    end: Option<HoldEnd>,
    /// Ticks since the last report.
    silent_ticks: u32,
    /// Ticks of the hold since the last progress.
    idle_ticks: u32,
    /// Ticks of the hold with the same snapshot.
    held_ticks: u32,
    /// The last entry of the snapshot that is being sent, or was sent last.
    snapshot: Option<LogIndex>,
    /// The size of that snapshot in bytes.
    snapshot_bytes: u64,
    /// The most bytes that the peer ever had of that snapshot.
    acked_bytes: u64,
    /// The newest entry that the peer has held since that snapshot was begun.
    match_index: LogIndex,
}

impl LogHold {
    /// The log after this index must stay.
    pub(super) fn keep_log_from(&self) -> Option<LogIndex> {
        self.asked.filter(|_| self.end.is_none())
    }

    /// True when the last report came more than `ticks_max` ago.
    pub(super) fn is_silent(&self, ticks_max: u32) -> bool {
        self.silent_ticks > ticks_max
    }

    /// The peer's next report.
    pub(super) fn on_report(&mut self, report: &ReplicationReport) {
        self.silent_ticks = 0;
        self.asked = report.keep_log_from;
        let sent = report.snapshot_progress.zip(report.keep_log_from);
        let has_progressed = match sent {
            Some((progress, snapshot)) if self.snapshot != Some(snapshot) => {
                self.snapshot = Some(snapshot);
                self.snapshot_bytes = progress.bytes;
                self.acked_bytes = progress.acked_bytes;
                self.match_index = report.match_index;
                self.held_ticks = 0;
                // Only progress begins a hold again that has ended.
                self.end = self.end.map(|_| HoldEnd::NoProgress);
                progress.acked_bytes > 0
            }
            _ => self.has_progressed(report),
        };
        if has_progressed {
            self.idle_ticks = 0;
            self.end = self.end.filter(|end| !end.is_renewed_by_progress());
        }
        if report.snapshot_refusal.is_some() && self.end.is_none() {
            self.end = Some(HoldEnd::Refused);
        }
    }

    /// Notes what the peer has. True when it is more than ever, with the same snapshot.
    fn has_progressed(&mut self, report: &ReplicationReport) -> bool {
        let acked_bytes = report.snapshot_progress.map_or(0, |progress| progress.acked_bytes);
        let has_more = report.match_index > self.match_index || acked_bytes > self.acked_bytes;
        self.match_index = self.match_index.max(report.match_index);
        self.acked_bytes = self.acked_bytes.max(acked_bytes);
        if has_more && report.keep_log_from.is_none() {
            // The peer has caught up. Another snapshot is a new beginning.
            *self = LogHold { match_index: self.match_index, ..LogHold::default() };
        }
        has_more
    }

    /// Advances time by one tick. Returns the reason when the hold ends now. A peer is silent
    /// after `silent_ticks_max`; `is_log_too_large` says it of the log after an index.
    pub(super) fn tick(
        &mut self,
        silent_ticks_max: u32,
        ticks_per_second: u32,
        is_log_too_large: impl Fn(LogIndex) -> bool,
    ) -> Option<HoldEnd> {
        self.silent_ticks = self.silent_ticks.saturating_add(1);
        if self.is_silent(silent_ticks_max) {
            self.asked = None;
        }
        let kept = self.keep_log_from()?;
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        self.held_ticks = self.held_ticks.saturating_add(1);
        let idle_ticks_max = idle_ticks_max(self.snapshot_bytes, ticks_per_second);
        self.end = if is_log_too_large(kept) {
            Some(HoldEnd::LogTooLarge)
        } else if self.held_ticks > idle_ticks_max.saturating_mul(DURATION_FACTOR) {
            Some(HoldEnd::TooSlow)
        } else if self.idle_ticks > idle_ticks_max {
            Some(HoldEnd::NoProgress)
        } else {
            None
        };
        self.end
    }
}

/// The number of ticks for which a hold for a snapshot of `snapshot_bytes` lasts without
/// progress.
fn idle_ticks_max(snapshot_bytes: u64, ticks_per_second: u32) -> u32 {
    let seconds = IDLE_SECONDS_MAX + snapshot_bytes / LOADED_BYTES_PER_SECOND;
    u32::try_from(seconds.saturating_mul(ticks_per_second.into())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

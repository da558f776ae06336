//! Snapshots in the place of the log's beginning (§7, docs/adr/0008).
//!
//! Three things are decided here: when this node takes the next snapshot of its
//! store, how far its log may be compacted behind the ones that it has, and whether
//! one that the leader sent is installed. How a leader sends it is `transfer`.
//!
//! Invariant: `base <= older <= newest <= submitted_index`, and the log holds
//! everything behind `base`. So whichever of the two snapshots is whole, the log
//! goes on from it without a gap (bugs.md B55).

use super::effect::{CompactLog, Effect, ReceiveSnapshot, ResetLog, TakeSnapshot};
use super::rpc::{InstallSnapshot, InstallSnapshotResponse, Rpc};
use super::{Raft, RoleState};
use crate::types::{Entry, LogIndex, LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

/// The snapshots that a node has when it starts; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPositions {
    /// The last entry in the newest one, which the store was loaded from.
    pub newest: LogPosition,
    /// The size of its file.
    pub newest_bytes: u64,
    /// The last entry in the one before it.
    pub older: LogIndex,
}

/// What the core keeps of this node's snapshots.
#[derive(Default)]
pub(super) struct Snapshots {
    /// The newest durable one.
    newest: LogPosition,
    /// The size of its file, or of the one before, if it was received.
    newest_bytes: u64,
    /// The one before it, in case the newest turns out to be damaged.
    older: LogIndex,
    is_taking: bool,
    is_compacting: bool,
    /// One was damaged: another one is due, whatever has come since.
    is_lost: bool,
    /// That one was the newest: it stands for nothing any more.
    is_newest_gone: bool,
    /// Somebody wants one at or behind this entry (docs/adr/0011); 0 for nobody.
    wanted_index: LogIndex,
    /// There was no room for the last attempt, up to here: enough must come first.
    failed_index: LogIndex,
    /// The weight of what was handed over since the last one was taken.
    bytes_since: u64,
}

impl Snapshots {
    pub(super) fn new(positions: SnapshotPositions, base: LogPosition) -> Snapshots {
        Snapshots {
            newest: positions.newest,
            newest_bytes: positions.newest_bytes,
            // What is before the base serves no more: the log does not reach it.
            older: positions.older.max(base.index),
            ..Snapshots::default()
        }
    }

    pub(super) fn newest(&self) -> LogPosition {
        self.newest
    }

    pub(super) fn older(&self) -> LogIndex {
        self.older
    }

    /// What is wanted is not there; that being taken now may yet turn out to be it.
    fn is_wanted(&self) -> bool {
        self.wanted_index > self.newest.index
    }
}

impl Raft {
    // Taking.

    pub(super) fn note_submitted(&mut self, entries: &[Entry]) {
        self.snapshots.bytes_since += entries.iter().map(Entry::weight_bytes).sum::<u64>();
    }

    /// Takes a snapshot of the store as it is behind the last `Apply`, when enough
    /// has come since the one before.
    pub(super) fn maybe_take_snapshot(&mut self) {
        let since = self.snapshots.newest.index.max(self.snapshots.failed_index);
        let entries_since = self.submitted_index.0 - since.0;
        let is_enough = entries_since >= self.settings.snapshot_entries_max
            || self.snapshots.bytes_since >= self.settings.snapshot_bytes_max;
        // As much as it will weigh: so all snapshots together are no more than the log,
        // and a store that grows is not written ever more often than it grows.
        let is_worth_it = self.snapshots.bytes_since >= self.snapshots.newest_bytes;
        let is_due =
            is_enough && is_worth_it || self.snapshots.is_lost || self.snapshots.is_wanted();
        // The one after the next removes the older of the two. A peer that is being
        // sent that one would have to begin again, and again (bugs.md B60).
        let is_older_needed =
            self.keep_log_from().is_some_and(|held| held <= self.snapshots.older) && !mutant!(B60);
        // It says for ever that its entries are committed. A crash must not bring back
        // a term in which that could still be denied.
        let is_term_durable = self.is_hard_state_durable();
        if !is_due || self.snapshots.is_taking || is_older_needed || !is_term_durable {
            return;
        }
        let index = self.submitted_index;
        let term = self.log.term_at(index).expect("what was just handed over is in the log");
        self.snapshots.is_taking = true;
        self.snapshots.is_lost = false;
        self.snapshots.bytes_since = 0;
        let membership = self.log.membership_at(index);
        let point = SnapshotPoint { last: LogPosition { term, index }, membership };
        self.effects.push(Effect::TakeSnapshot(TakeSnapshot { point }));
        if mutant!(B55b) && !self.snapshots.is_compacting {
            self.snapshots.is_compacting = true;
            self.effects.push(Effect::CompactLog(CompactLog { limit: index }));
        }
    }

    /// There shall be a snapshot at or behind `index`, an applied entry, whatever has
    /// come since the last one: for a backup (docs/adr/0011). It is begun at the next
    /// tick, or as soon as one can be.
    pub fn want_snapshot(&mut self, index: LogIndex) {
        self.snapshots.wanted_index = self.snapshots.wanted_index.max(index);
    }

    pub(super) fn tick_snapshots(&mut self) {
        if self.snapshots.is_wanted() {
            self.maybe_take_snapshot();
        }
    }

    /// The snapshot that an [`Effect::TakeSnapshot`] asked for is durable, a file of so
    /// many bytes.
    ///
    /// # Panics
    /// When none was asked for.
    pub fn on_snapshot_taken(&mut self, last: LogPosition, bytes: u64) {
        assert!(self.snapshots.is_taking, "no snapshot was asked for");
        self.snapshots.is_taking = false;
        // A newer one may have been installed meanwhile.
        let newest = self.snapshots.newest.index;
        if last.index >= newest {
            let was_gone = std::mem::take(&mut self.snapshots.is_newest_gone);
            if last.index > newest && !was_gone {
                self.snapshots.older = newest;
            }
            self.snapshots.newest = last;
            self.snapshots.newest_bytes = bytes;
        }
        self.maybe_compact();
    }

    /// There was no room for it. The next attempt is made when as much has come again
    /// as makes a snapshot due; who wanted one has to ask again.
    ///
    /// # Panics
    /// When none was asked for.
    pub fn on_snapshot_failed(&mut self, last: LogPosition) {
        assert!(self.snapshots.is_taking, "no snapshot was asked for");
        self.snapshots.is_taking = false;
        self.snapshots.failed_index = last.index;
        self.snapshots.wanted_index = LogIndex(0);
    }

    /// A snapshot has rotted and is gone. The log still goes on from the other; but a
    /// peer may need one at once, and the next damage must not be the last. When it was
    /// the newest, the log stays as long as the one before it needs it, until there are
    /// two again.
    pub fn on_snapshot_lost(&mut self, last: LogPosition) {
        self.snapshots.is_lost = true;
        self.snapshots.is_newest_gone |= last == self.snapshots.newest;
        self.maybe_take_snapshot();
    }

    // Compaction.

    /// The log may lose what both snapshots cover, but not what followers that are
    /// a little behind are likely to lack, nor what comes behind the snapshot that
    /// one is being sent.
    fn maybe_compact(&mut self) {
        let covered = if mutant!(B55) { self.submitted_index } else { self.snapshots.older };
        let kept = self.log.last().index.0.saturating_sub(self.settings.keep_entries);
        let held = self.keep_log_from().unwrap_or(covered);
        let limit = covered.min(LogIndex(kept)).min(held);
        if limit > self.log.base().index && !self.snapshots.is_compacting {
            self.snapshots.is_compacting = true;
            self.effects.push(Effect::CompactLog(CompactLog { limit }));
        }
    }

    /// The disk's answer to [`Effect::CompactLog`]: its log begins behind `base` now.
    ///
    /// # Panics
    /// When no compaction was asked for, or the log does not hold `base`.
    pub fn on_compacted(&mut self, base: LogPosition) {
        assert!(self.snapshots.is_compacting, "no compaction was asked for");
        self.snapshots.is_compacting = false;
        self.log.compact_to(base);
    }

    /// Peers that are being sent a snapshot need the log from here on.
    pub(super) fn keep_log_from(&self) -> Option<LogIndex> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        leadership.peers.values().filter_map(|peer| peer.keep_log_from).min()
    }

    // Receiving and installing.

    /// A piece of the leader's snapshot (Figure 13). The sender leads our term:
    /// `step` has seen to that.
    pub(super) fn on_install_snapshot(&mut self, from: NodeId, piece: InstallSnapshot) {
        self.follow(from);
        let last = piece.snapshot.last;
        if self.covers(last) {
            self.confirm_snapshot(from, piece.request_seq, last);
        } else if self.is_hard_state_durable() {
            let term = self.term();
            self.effects.push(Effect::ReceiveSnapshot(ReceiveSnapshot { from, term, piece }));
        }
        // Else it is lost, and will be sent again: once its file has its name, a
        // snapshot counts, and the term that it comes from must be durable before.
    }

    /// The answer to [`Effect::ReceiveSnapshot`], unless that made it whole:
    /// `received` bytes of the snapshot are there.
    pub fn on_snapshot_piece(
        &mut self,
        from: NodeId,
        term: Term,
        request_seq: u64,
        snapshot: SnapshotId,
        received: u64,
    ) {
        if term == self.term() {
            let response = self.snapshot_response(request_seq, snapshot.last, received);
            self.send(from, Rpc::InstallSnapshotResponse(response));
        }
    }

    /// The answer to the last [`Effect::ReceiveSnapshot`]: the snapshot is whole,
    /// verified, durable under its final name, and loaded. True: it is installed, and
    /// the loaded store is to be kept for the [`Effect::ResetLog`] that comes.
    /// False: the log has caught up meanwhile, and the loaded store is of no use.
    ///
    /// In whatever term that is: what is in a snapshot is committed, and stays so.
    pub fn on_snapshot_received(
        &mut self,
        from: NodeId,
        term: Term,
        request_seq: u64,
        point: SnapshotPoint,
        stamp_ms: u64,
    ) -> bool {
        let last = point.last;
        let is_wanted = !self.covers(last);
        if is_wanted {
            self.install(point, stamp_ms);
        }
        if term == self.term() {
            self.confirm_snapshot(from, request_seq, last);
        }
        is_wanted
    }

    /// Nothing of the log remains (§7: "discard the entire log"): what it holds up to
    /// the snapshot's last entry is in the snapshot, and what it holds behind belongs
    /// to another history, for it lacks that entry.
    fn install(&mut self, point: SnapshotPoint, stamp_ms: u64) {
        let base = point.last;
        assert!(
            base.index > self.commit_index,
            "entry {base} of a snapshot is not the one that is committed here"
        );
        assert!(
            !matches!(self.role, RoleState::Leader(_)),
            "a leader holds all that is committed (Leader Completeness)"
        );
        // What was accepted so far goes to the disk first, in its order.
        self.flush();
        self.log.reset(base, stamp_ms, point.membership);
        self.persistence.reset(base.index);
        self.commit_index = base.index;
        self.submitted_index = base.index;
        self.stale_pages += u32::from(std::mem::take(&mut self.is_reading_entries));
        self.snapshots.newest = base;
        self.snapshots.older = base.index;
        self.snapshots.is_newest_gone = false;
        self.snapshots.bytes_since = 0;
        self.effects.push(Effect::ResetLog(ResetLog { base }));
    }

    /// Whether everything up to `last` is in the log or before it.
    fn covers(&self, last: LogPosition) -> bool {
        last.index <= self.log.base().index || self.log.contains(last)
    }

    /// Tells the leader that it need not send the snapshot: now, or when what stands
    /// in its place is durable.
    fn confirm_snapshot(&mut self, to: NodeId, request_seq: u64, last: LogPosition) {
        let response = self.snapshot_response(request_seq, last, 0);
        let rpc = Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
            is_installed: true,
            ..response
        });
        if self.persistence.persisted_index() >= last.index {
            self.send(to, rpc);
        } else {
            self.send_when_persisted(to, rpc);
        }
    }

    pub(super) fn snapshot_response(
        &self,
        request_seq: u64,
        last: LogPosition,
        received: u64,
    ) -> InstallSnapshotResponse {
        let is_rejoining = self.hard_state.is_rejoining;
        InstallSnapshotResponse { request_seq, is_rejoining, last, received, is_installed: false }
    }
}

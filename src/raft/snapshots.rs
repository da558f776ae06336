//! Snapshots in the place of the log's beginning (§7, docs/adr/0008): taking one,
//! compacting the log that it covers, and installing one that the leader sent.
//!
//! The decisions are in `snapshot_policy`. The leader's side, which sends a snapshot, is in
//! `replication::install`.

use super::effect::{CompactLog, Effect, ReceiveSnapshot, ResetLog, TakeSnapshot};
use super::role::RoleState;
use super::rpc::{InstallSnapshot, InstallSnapshotResponse, Rpc, SnapshotRefusal};
use super::state::Raft;
use crate::types::{LogIndex, LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

impl Raft {
    // Taking.

    /// Takes a snapshot of the store as it is after the last `Apply`, if one is due.
    pub(super) fn maybe_take_snapshot(&mut self) {
        let index = self.apply.submitted_index();
        let is_due = self.snapshots.is_due(index, &self.settings);
        // A new snapshot removes the older of the two. A peer that is being sent the older
        // one would have to begin again each time (docs/bugs.md B60).
        let older = self.snapshots.older();
        let is_older_needed = self.keep_log_from().is_some_and(|kept| kept <= older);
        // A snapshot says for ever that its entries are committed. A crash must not bring
        // back an earlier term, in which they may not be.
        let is_term_durable = self.persistence.is_hard_state_durable();
        if !is_due || is_older_needed || !is_term_durable {
            return;
        }
        let term = self.log.term_at(index).expect("what was just submitted is in the log");
        self.snapshots.begin_saving();
        let cluster = self.log.cluster().at(index).clone();
        let point = SnapshotPoint { last: LogPosition { term, index }, cluster };
        self.effects.push(Effect::TakeSnapshot(TakeSnapshot { point }));
    }

    /// Asks for a snapshot at or after `index`, an applied entry, for a backup
    /// (docs/adr/0011). It needs no minimum of new entries, and is begun at the next tick at
    /// which one can be.
    pub fn want_snapshot(&mut self, index: LogIndex) {
        self.snapshots.want(index);
    }

    pub(super) fn tick_snapshots(&mut self) {
        self.snapshots.tick();
        if self.snapshots.is_wanted() {
            self.maybe_take_snapshot();
        }
    }

    /// The snapshot that an [`Effect::TakeSnapshot`] asked for is durable, a file of
    /// `bytes`.
    ///
    /// # Panics
    /// When none was asked for.
    pub fn on_snapshot_taken(&mut self, last: LogPosition, bytes: u64) {
        self.snapshots.on_taken(last, bytes);
        self.maybe_compact();
    }

    /// There was no room for the snapshot. The next attempt is made when enough new entries
    /// for a snapshot have come; a client that wanted one has to ask again.
    ///
    /// # Panics
    /// When none was asked for.
    pub fn on_snapshot_failed(&mut self, last: LogPosition) {
        self.snapshots.on_failed(last);
    }

    /// A snapshot is damaged and was removed. The log still goes on from the other, but
    /// another one is due at once: a peer may need it, and the one that is left may be
    /// damaged, too. If the newest was removed, the log is kept for the one before it until
    /// there are two again.
    pub fn on_snapshot_lost(&mut self, last: LogPosition) {
        self.snapshots.on_lost(last);
        self.maybe_take_snapshot();
    }

    // Compaction.

    /// Compacts the log, but keeps the entries after the snapshot that a peer is being
    /// sent.
    pub(super) fn maybe_compact(&mut self) {
        let (last, keep_entries) = (self.log.last().index, self.settings.keep_entries);
        let limit = self.snapshots.compaction_limit(last, keep_entries);
        let limit = self.keep_log_from().map_or(limit, |kept| limit.min(kept));
        if limit > self.log.base().index && self.snapshots.begin_compacting() {
            self.effects.push(Effect::CompactLog(CompactLog { limit }));
        }
    }

    /// The disk's answer to [`Effect::CompactLog`]: its log begins after `base` now.
    ///
    /// # Panics
    /// When no compaction was asked for, or the log does not hold `base`.
    pub fn on_compacted(&mut self, base: LogPosition) {
        self.snapshots.on_compacted(base.index);
        self.log.compact_to(base);
    }

    /// The place from which the log must be kept for peers that are being sent a snapshot.
    pub(super) fn keep_log_from(&self) -> Option<LogIndex> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        leadership.keep_log_from()
    }

    // Receiving and installing.

    /// A piece of the leader's snapshot (Figure 13). The sender leads our term:
    /// `Raft::step` has checked that.
    ///
    /// # Panics
    /// When the snapshot is of another history than what is committed here.
    pub(super) fn on_install_snapshot(&mut self, from: NodeId, piece: InstallSnapshot) {
        self.follow(from);
        let last = piece.snapshot.last;
        if self.covers(last) {
            if last.index <= self.log.base().index {
                self.check_before_log(last);
            }
            self.confirm_snapshot(from, piece.request_seq, last);
        } else if self.persistence.is_hard_state_durable() {
            let term = self.term();
            self.effects.push(Effect::ReceiveSnapshot(ReceiveSnapshot { from, term, piece }));
        }
        // Otherwise the piece is dropped, and the leader sends it again. A snapshot counts
        // from the rename to its final name on, and the leader's term must be durable before.
    }

    /// The answer to [`Effect::ReceiveSnapshot`], unless that made the snapshot whole:
    /// `received` bytes of it are there, or it is refused and nothing of it is there.
    pub fn on_snapshot_piece(
        &mut self,
        from: NodeId,
        term: Term,
        request_seq: u64,
        snapshot: SnapshotId,
        received: Result<u64, SnapshotRefusal>,
    ) {
        if term == self.term() {
            let bytes = received.unwrap_or(0);
            let response = InstallSnapshotResponse {
                refusal: received.err(),
                ..self.snapshot_response(request_seq, snapshot.last, bytes)
            };
            self.send(from, Rpc::InstallSnapshotResponse(response));
        }
    }

    /// The answer to the last [`Effect::ReceiveSnapshot`]: the snapshot is whole,
    /// verified, durable under its final name, and loaded. Returns true when it is
    /// installed: the loaded store is to be kept for the [`Effect::ResetLog`] that comes.
    /// Returns false when the log has caught up meanwhile, or this node stops: the loaded store
    /// is of no use.
    ///
    /// The term does not matter, because the entries in a snapshot stay committed.
    ///
    /// # Panics
    /// When the snapshot would replace a committed entry, or this node leads and lacks the
    /// snapshot's last entry (Leader Completeness).
    pub fn on_snapshot_received(
        &mut self,
        from: NodeId,
        term: Term,
        request_seq: u64,
        point: SnapshotPoint,
        stamp_ms: u64,
    ) -> bool {
        let last = point.last;
        if self.has_stopped {
            return false;
        }
        let is_wanted = !self.covers(last);
        if is_wanted && !self.reads(&point.cluster.format) {
            self.stop_at(point.cluster.format);
            return false;
        }
        if is_wanted {
            self.install(point, stamp_ms);
        }
        if term == self.term() {
            self.confirm_snapshot(from, request_seq, last);
        }
        is_wanted
    }

    /// Puts a snapshot in the place of the whole log (§7: "discard the entire log"). The
    /// log's entries up to the snapshot's last are in the snapshot; those after it belong
    /// to another history, for the log lacks that entry.
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
        // The writes of all that was accepted so far come before the reset, in order.
        self.flush_writes();
        self.log.reset(base, stamp_ms, point.cluster);
        self.persistence.reset(base.index);
        self.commit_index = base.index;
        self.apply.on_installed(base.index);
        self.snapshots.on_installed(base);
        self.effects.push(Effect::ResetLog(ResetLog { base }));
        self.release_reads();
    }

    /// True when everything up to `last` is in the log or before it.
    fn covers(&self, last: LogPosition) -> bool {
        last.index <= self.log.base().index || self.log.contains(last)
    }

    /// Tells the leader that the snapshot is not needed: now, or as soon as the log up to
    /// `last` is durable.
    fn confirm_snapshot(&mut self, to: NodeId, request_seq: u64, last: LogPosition) {
        self.recall.start.on_acknowledged(self.term(), last.index);
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
        let is_rejoining = self.hard_state().is_rejoining;
        InstallSnapshotResponse {
            request_seq,
            is_rejoining,
            last,
            received,
            is_installed: false,
            refusal: None,
        }
    }
}

//! The things that a peer's replication asks to be done.

use super::memory::PeerLoss;
use crate::raft::effect::{ReadEntries, ReadSnapshot};
use crate::raft::rpc::{AppendEntries, Forgotten, InstallSnapshot, SnapshotRefusal};
use crate::raft::status::SnapshotProgress;
use crate::types::LogIndex;

/// One thing to do for the peer. The shell does them in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressAction {
    /// Send this request to the peer.
    Send(AppendEntries),
    /// Read these entries from the log, and pass them to `Progress::on_entries_read` with
    /// the ticket.
    ReadEntries(ReadEntries),
    /// Read a piece of a snapshot, and pass it to `Progress::on_snapshot_read` with the
    /// ticket, or call `Progress::on_snapshot_gone`.
    ReadSnapshot(ReadSnapshot),
    /// Send this piece of a snapshot to the peer.
    SendSnapshot(InstallSnapshot),
    /// Tell the peer that it has lost what it acknowledged.
    SendForgotten(Forgotten),
    /// Call `Progress::on_pause_over` after the pause between two requests to a peer that
    /// is sent batches.
    Pause,
    /// Pass this report to `Raft::on_replicated`.
    Report(ReplicationReport),
}

/// The facts about a peer that the core needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationReport {
    /// The peer's log equals the leader's and is durable up to this entry.
    pub match_index: LogIndex,
    /// The newest round of reads that the peer has confirmed.
    pub read_seq: u64,
    /// True when the peer must not be counted, see `HardState::is_rejoining`.
    pub is_rejoining: bool,
    /// The proof, when it is new, that the peer has lost what it acknowledged. Such a peer is
    /// not counted either.
    pub loss: Option<PeerLoss>,
    /// The log after this index, and the snapshot that ends here, must be kept for the
    /// peer: it is being sent that snapshot, or has it and catches up from here.
    pub keep_log_from: Option<LogIndex>,
    /// The progress of that snapshot, while it is being sent.
    pub snapshot_progress: Option<SnapshotProgress>,
    /// The reason why the peer refused the last snapshot, until it gets further with one.
    pub snapshot_refusal: Option<SnapshotRefusal>,
}

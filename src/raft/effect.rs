//! The orders of the core to its shell.
//!
//! Each order is one struct, which the shell hands to the actor that carries it out as
//! it is: `Effect::Append(Append)` is the message `Append` in LogActor's mailbox.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::event::Event;
use super::forwards::ForwardAnswer;
use super::handover::TransferFailure;
use super::peer_fault::PeerFault;
use super::replication::pacing::SendMode;
use super::rpc::{Envelope, InstallSnapshot};
use super::stop_reason::StopReason;
use crate::types::{
    Address, ClusterId, Entry, FormatInForce, HardState, LogIndex, LogPosition, Membership, NodeId,
    SnapshotId, SnapshotPoint, Term, TermRuns,
};

/// The number of a write to the disk. Writes complete in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistSeq(pub u64);

impl fmt::Display for PersistSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a read until it is released or failed. The caller of `Raft::read`
/// chooses it; the numbers rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// One thing to do. The shell does them in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An order to the log.
    Append(Append),
    /// Send a message. Requests go out on our connection to the peer, responses
    /// on the one that it opened to us.
    Send(Envelope),
    /// An order to every peer's `Progress`.
    StartReplication(StartReplication),
    /// An order to the `Progress` of one peer, which has become a member in this term.
    StartPeer(StartPeer),
    /// An order to every peer's `Progress`.
    Replicate(Replicate),
    /// An order to one peer's `Progress`.
    SetSendMode(SetSendMode),
    /// An order to one peer's `Progress`.
    TellCommit(TellCommit),
    /// An order to every peer's `Progress`. Every proposal of the term that has not been
    /// applied has an unknown outcome.
    StopReplication(StopReplication),
    /// Apply committed, durable entries. They are consecutive over all such effects.
    Apply {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Read these entries from the log and pass them to `Raft::on_entries_read`. The
    /// answers come in the order of the effects.
    ReadEntries(ReadEntries),
    /// The read is confirmed, and everything up to `read_index` was in `Apply`
    /// effects before this one: read now, and before any later `Apply`.
    ReadReady {
        /// The read.
        token: ReadToken,
        /// The newest entry that the read must see.
        read_index: LogIndex,
    },
    /// Leadership was lost before the read could be confirmed, or no leader was heard. The read
    /// had no effect.
    ReadFailed {
        /// The read.
        token: ReadToken,
    },
    /// An order to the store.
    TakeSnapshot(TakeSnapshot),
    /// An order to the log.
    CompactLog(CompactLog),
    /// An order to the snapshots.
    ReceiveSnapshot(ReceiveSnapshot),
    /// An order to the log. The snapshot that was received last also takes the place of
    /// the store, after every `Apply` before this effect and before every `Apply` after it.
    /// Call `Raft::on_applied` when the store is in place.
    ResetLog(ResetLog),
    /// An order to a connection of the peer.
    RefusePeer(RefusePeer),
    /// An order to all connections with peers.
    Announce(Announcement),
    /// An order to the store, in its place among the `Apply` effects.
    ReadDigest(ReadDigest),
    /// The outcome of a command that this node has forwarded (docs/adr/0031).
    ForwardAnswered(ForwardAnswer),
    /// The transfer of the leadership has come to nothing: commands go on (docs/adr/0028).
    TransferFailed(TransferFailure),
    /// This node can do nothing more. It answers nobody from now on.
    Stop(StopReason),
    /// A line for the log that people read.
    Event(Event),
}

/// Make this durable, then call `Raft::on_persisted(seq)`. Entries that begin at or
/// below the log's end replace the entries there and after. The hard state of a term
/// comes before, or with, the first entry of that term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The number of this write. It rises by one.
    pub seq: PersistSeq,
    /// A new term or vote.
    pub hard_state: Option<HardState>,
    /// Entries of consecutive indexes.
    pub entries: Vec<Entry>,
}

/// This node leads `term`: every peer's `Progress` begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartReplication {
    /// The new term.
    pub term: Term,
    /// The terms of the leader's log before its first entry of that term.
    pub runs: TermRuns,
}

/// The replication to `peer` begins in the middle of a term. The next [`Replicate`] goes on from
/// the end of these `runs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPeer {
    /// The peer.
    pub peer: NodeId,
    /// The term, and the terms of the leader's log up to now.
    pub start: StartReplication,
}

/// There is something to send to the peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicate {
    /// The leader's term.
    pub term: Term,
    /// The position before the first entry of the log, as it is now.
    pub base: LogPosition,
    /// New entries at the end of the log, consecutive over all orders of a term.
    pub entries: Arc<[Entry]>,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
    /// The newest round of reads that the peers are asked to confirm.
    pub read_seq: u64,
    /// True when a heartbeat is due: something must be sent even without news.
    pub heartbeat: bool,
}

/// Changes how a peer is sent entries from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetSendMode {
    /// The leader's term.
    pub term: Term,
    /// The peer.
    pub peer: NodeId,
    /// The new mode.
    pub mode: SendMode,
}

/// The clients of a peer wait for what is committed: it is told so at once, if no request has
/// said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TellCommit {
    /// The leader's term.
    pub term: Term,
    /// The peer.
    pub peer: NodeId,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
}

/// This node no longer leads `term`: every peer's `Progress` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReplication {
    /// The term that it led.
    pub term: Term,
}

/// Read entries from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadEntries {
    /// The number that the answer repeats. The core's own reads have 0.
    pub ticket: u64,
    /// The first entry.
    pub from: LogIndex,
    /// The last entry.
    pub to: LogIndex,
    /// Maximum sum of [`Entry::weight_bytes`], except for a first entry that is larger.
    pub bytes_max: u64,
}

/// Read a piece of a snapshot for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSnapshot {
    /// The number that the answer repeats.
    pub ticket: u64,
    /// The snapshot; `None` for the newest.
    pub snapshot: Option<SnapshotId>,
    /// The offset in the file at which the piece begins.
    pub offset: u64,
    /// The size of the piece, unless the file ends earlier; 0 to learn whether the
    /// snapshot is there.
    pub bytes_max: u64,
}

/// Save the store as it is right after the `Apply` effects before this one, and call
/// `Raft::on_snapshot_taken` when that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeSnapshot {
    /// The place in the log that the snapshot describes.
    pub point: SnapshotPoint,
}

/// Two durable snapshots cover everything up to `limit`: remove the part of it that
/// is cheap to remove, and pass the position before the first entry that is left to
/// `Raft::on_compacted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactLog {
    /// The last entry that may be removed.
    pub limit: LogIndex,
}

/// Add the piece to what was received of its snapshot. The answer is
/// `Raft::on_snapshot_received` when the snapshot is whole, durable and loaded, else
/// `Raft::on_snapshot_piece`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveSnapshot {
    /// The leader that sent the piece.
    pub from: NodeId,
    /// The leader's term.
    pub term: Term,
    /// The piece.
    pub piece: InstallSnapshot,
}

/// A durable snapshot takes the place of the log: the log is empty after `base`. The
/// order keeps its place among the `Append` effects before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetLog {
    /// The snapshot's last entry.
    pub base: LogPosition,
}

/// The peer has sent a message that no sound node sends. It has changed nothing. End the
/// connection on which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusePeer {
    /// The peer.
    pub peer: NodeId,
    /// True when the message came on the connection that this node has opened.
    pub is_response: bool,
    /// The reason.
    pub fault: PeerFault,
}

/// The committed facts about the cluster by which this node admits peers, and introduces itself
/// to them, from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The format in force.
    pub format: FormatInForce,
    /// The id of the cluster, when it is known.
    pub cluster_id: Option<ClusterId>,
    /// True when a person has asked this server to hold the format where it is.
    pub is_held: bool,
    /// True while this server is drained.
    pub is_draining: bool,
    /// The newest membership in the log, which is in force; the initial one while there is none.
    pub membership: Arc<Membership>,
    /// The entry of that membership; 0 of a seed, which has no addresses.
    pub membership_at: LogIndex,
    /// The newest membership that is committed, as far as this node knows; `None` while none is.
    pub committed: Option<Arc<Membership>>,
    /// The peers that this node is to have connections with: the members of both, those that were
    /// removed and have yet to hear of it, and `departing`. Each with the address in the log or in
    /// servers.toml, where there is one.
    pub peers: BTreeMap<NodeId, Option<Address>>,
    /// A leader that is known to be removed, and has yet to hand over: it is admitted until then.
    pub departing: Option<NodeId>,
}

/// Pass the digest of the store after the entry at `index` to `Raft::on_digest_read`, as soon as
/// the store has applied the entry. A later order takes the place of one that still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadDigest {
    /// The entry.
    pub index: LogIndex,
}

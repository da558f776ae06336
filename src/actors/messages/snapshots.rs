//! What SnapshotActor is asked, and what it answers.

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::kv::Store;
use crate::raft::InstallSnapshot;
use crate::types::{LogIndex, LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

/// Sent by KvActor: write this moment of the store. Answered by [`SnapshotWritten`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct WriteSnapshot {
    /// What it stands for.
    pub point: SnapshotPoint,
    /// The stamp of its last entry.
    pub stamp_ms: u64,
    /// The store right behind that entry.
    pub store: Store,
}

/// To RaftActor: the answer to [`WriteSnapshot`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotWritten {
    /// The last entry that is in it.
    pub last: LogPosition,
    /// Its size, durable under its final name; `None` when there was no room for it.
    pub bytes: Option<u64>,
}

/// Sent by ReplicatorActor for its peer. Answered by [`SnapshotRead`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ReadSnapshot {
    /// Repeated in the answer.
    pub ticket: u64,
    /// Of which; `None` for the newest.
    pub snapshot: Option<SnapshotId>,
    /// Where the piece begins.
    pub offset: u64,
    /// About its size; 0 to learn whether the snapshot is there.
    pub bytes_max: u64,
    /// Where the answer goes.
    pub reply_to: Recipient<SnapshotRead>,
}

/// The answer to [`ReadSnapshot`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotRead {
    /// That of the request.
    pub ticket: u64,
    /// Of which snapshot, and the bytes; `None` when it is not there any more.
    pub piece: Option<(SnapshotId, Bytes)>,
    /// That of the request.
    pub offset: u64,
}

/// Sent by RaftActor: a client wants to know. Answered by [`SnapshotsQueried`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct QuerySnapshots {
    /// Repeated in the answer.
    pub ticket: u64,
    /// What it wants to know.
    pub query: SnapshotQuery,
    /// Where the answer goes.
    pub reply_to: Recipient<SnapshotsQueried>,
}

/// What a client that fetches a backup wants to know (docs/adr/0011).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotQuery {
    /// The newest snapshot, if it reaches so far.
    Find {
        /// So far.
        index: LogIndex,
    },
    /// Bytes of this one.
    Read {
        /// The last entry that is in it.
        last: LogPosition,
        /// Its digest.
        digest: u128,
        /// Where they begin.
        offset: u64,
        /// So many, unless the file ends.
        bytes_max: usize,
    },
}

/// To RaftActor: the answer to [`QuerySnapshots`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotsQueried {
    /// That of the request.
    pub ticket: u64,
    /// What it is.
    pub answer: SnapshotAnswer,
}

/// What is told of snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotAnswer {
    /// There is none, or not any more.
    NotFound,
    /// It is this one.
    Found(SnapshotId),
    /// The bytes; none at the file's end.
    Piece(Bytes),
}

/// Sent by RaftActor: a piece that its leader has sent. Answered by
/// [`SnapshotReceived`] when it makes the snapshot whole, else by [`PieceReceived`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ReceivePiece {
    /// The leader.
    pub from: NodeId,
    /// Its term.
    pub term: Term,
    /// The piece.
    pub piece: InstallSnapshot,
}

/// To RaftActor: the answer to most [`ReceivePiece`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct PieceReceived {
    /// That of the piece.
    pub from: NodeId,
    /// That of the piece.
    pub term: Term,
    /// That of the piece.
    pub request_seq: u64,
    /// That of the piece.
    pub snapshot: SnapshotId,
    /// So much of it is there.
    pub received: u64,
}

/// To RaftActor: a snapshot is whole, verified, durable under its final name, and
/// loaded.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct SnapshotReceived {
    /// That of the last piece.
    pub from: NodeId,
    /// That of the last piece.
    pub term: Term,
    /// That of the last piece.
    pub request_seq: u64,
    /// What it stands for.
    pub point: SnapshotPoint,
    /// The stamp of its last entry.
    pub stamp_ms: u64,
    /// What it holds.
    pub store: Store,
}

/// To RaftActor: a snapshot that was durable is damaged, and was removed.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotLost {
    /// The last entry that was in it.
    pub last: LogPosition,
}

/// Sent by KvActor: a store that nobody needs any more. To let go of a million keys
/// takes a while.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct DropStore {
    /// The store.
    pub store: Store,
}

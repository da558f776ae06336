//! The questions that the snapshot actors answer, and their answers.

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::kv::Store;
use crate::protocol::{SnapshotAnswer, SnapshotQuery};
use crate::raft::{ReadSnapshot, ReceiveSnapshot};
use crate::types::{LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

/// Sent by KvActor: write this view of the store. Answered by [`SnapshotWritten`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct WriteSnapshot {
    /// The position and the membership that the snapshot replaces.
    pub point: SnapshotPoint,
    /// The stamp of its last entry, in milliseconds since the Unix epoch.
    pub stamp_ms: u64,
    /// The store right after that entry.
    pub store: Store,
}

/// Sent to RaftActor: the answer to [`WriteSnapshot`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotWritten {
    /// The last entry in the snapshot.
    pub last: LogPosition,
    /// The size of the file, which is durable under its final name. `None` when the disk
    /// had no room for it.
    pub bytes: Option<u64>,
}

/// Sent by ReplicatorActor to send a chunk to its peer. Answered by [`SnapshotRead`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ReadSnapshotRequest {
    /// The chunk to read.
    pub read: ReadSnapshot,
    /// The receiver of the answer.
    pub reply_to: Recipient<SnapshotRead>,
}

/// The answer to [`ReadSnapshotRequest`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotRead {
    /// The ticket of the request.
    pub ticket: u64,
    /// The snapshot and the bytes. `None` when the snapshot no longer exists.
    pub piece: Option<(SnapshotId, Bytes)>,
    /// The offset of the request, in bytes.
    pub offset: u64,
}

/// Sent by RaftActor for a client that fetches a backup. Answered by
/// [`SnapshotsQueried`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct QuerySnapshots {
    /// Repeated in the answer.
    pub ticket: u64,
    /// The question.
    pub query: SnapshotQuery,
    /// The receiver of the answer.
    pub reply_to: Recipient<SnapshotsQueried>,
}

/// Sent to RaftActor: the answer to [`QuerySnapshots`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotsQueried {
    /// The ticket of the request.
    pub ticket: u64,
    /// The answer.
    pub answer: SnapshotAnswer,
}

/// Sent by RaftActor for each chunk of a snapshot that its leader sent. Answered by
/// [`SnapshotReceived`] when the chunk completes the snapshot, else by
/// [`PieceReceived`].
impl Message for ReceiveSnapshot {
    type Result = ();
}

/// Sent to RaftActor: the answer to a [`ReceiveSnapshot`] that did not complete the
/// snapshot.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct PieceReceived {
    /// The leader that sent the chunk.
    pub from: NodeId,
    /// The term of the chunk.
    pub term: Term,
    /// The request number of the chunk.
    pub request_seq: u64,
    /// The snapshot of the chunk.
    pub snapshot: SnapshotId,
    /// The number of bytes of the snapshot that are there now.
    pub received: u64,
}

/// Sent to RaftActor: a snapshot is complete, verified, durable under its final name,
/// and loaded.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct SnapshotReceived {
    /// The leader that sent the last chunk.
    pub from: NodeId,
    /// The term of the last chunk.
    pub term: Term,
    /// The request number of the last chunk.
    pub request_seq: u64,
    /// The position and the membership that the snapshot replaces.
    pub point: SnapshotPoint,
    /// The stamp of its last entry, in milliseconds since the Unix epoch.
    pub stamp_ms: u64,
    /// The store that was loaded from it.
    pub store: Store,
}

/// Sent to RaftActor: a snapshot that was durable is damaged and was removed.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotLost {
    /// The last entry that was in it.
    pub last: LogPosition,
}

/// Sent by KvActor: a store that is no longer needed. To free a million keys takes
/// longer than an actor of the main arbiter may.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct DropStore {
    /// The store.
    pub store: Store,
}

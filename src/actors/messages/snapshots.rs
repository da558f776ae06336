//! The work of the snapshot actors, their answers, and what they tell each other.

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::kv::Store;
use crate::protocol::{SnapshotAnswer, SnapshotQuery};
use crate::raft::{ReadSnapshot, ReceiveSnapshot, SnapshotRefusal};
use crate::storage::{SnapshotFile, StorageError};
use crate::types::{LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

/// A store that KvActor hands over to SnapshotWriterActor.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum StoreCommand {
    /// Save it. Answered by [`SnapshotWritten`] to RaftActor.
    Write(Box<WriteSnapshot>),
    /// Free it. Has no answer.
    Drop(Box<DropStore>),
}

/// An order to save this view of the store.
#[derive(Debug)]
pub struct WriteSnapshot {
    /// The position that the snapshot stands for, and the facts about the cluster there.
    pub point: SnapshotPoint,
    /// The stamp of its last entry, in milliseconds of the store's clock.
    pub stamp_ms: u64,
    /// The store right after that entry.
    pub store: Store,
}

/// A store that is no longer needed. To free a million keys takes longer than an actor of
/// the main arbiter may.
#[derive(Debug)]
pub struct DropStore {
    /// The store.
    pub store: Store,
}

/// Sent to RaftActor: the answer to [`StoreCommand::Write`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotWritten {
    /// The last entry in the snapshot.
    pub last: LogPosition,
    /// The size of the file, which is durable under its final name. `None` when the disk
    /// had no room for it.
    pub bytes: Option<u64>,
}

/// Sent by ReplicatorActor for a chunk to send to its peer. Answered by [`SnapshotRead`].
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
    /// The number of bytes of the snapshot that are there now, or the reason why it is
    /// refused; then nothing of it is there.
    pub received: Result<u64, SnapshotRefusal>,
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
    /// The position that the snapshot stands for, and the facts about the cluster there.
    pub point: SnapshotPoint,
    /// The stamp of its last entry, in milliseconds of the store's clock.
    pub stamp_ms: u64,
    /// The store that was loaded from it.
    pub store: Store,
}

/// Sent to RaftActor by SnapshotWriterActor: a snapshot that was durable is damaged, and was
/// removed.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SnapshotLost {
    /// The last entry that was in it.
    pub last: LogPosition,
}

/// Sent by SnapshotWriterActor to SnapshotReaderActor when it has saved or received a
/// snapshot, and before RaftActor is told.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum WriterReport {
    /// The store was saved to this file.
    Written(StoredSnapshot),
    /// The store was not saved, because the disk is full.
    NoRoom,
    /// A snapshot that the leader sent is complete in this file.
    Received(StoredSnapshot),
}

/// A snapshot file that is known to have been whole.
#[derive(Clone, Debug)]
pub struct StoredSnapshot {
    /// The file.
    pub file: SnapshotFile,
    /// A number that tells it from other files of the same name: files are numbered from 1
    /// as they are stored, and 0 is a file that was there when the node started.
    pub number: u64,
}

/// Sent by SnapshotReaderActor to SnapshotWriterActor, once for each file that it can no
/// longer read. SnapshotWriterActor then sends [`SnapshotLost`] to RaftActor, unless the file
/// was pruned or replaced.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct SnapshotUnreadable {
    /// The last entry in the snapshot.
    pub last: LogPosition,
    /// The number of the file.
    pub number: u64,
    /// The reason why it cannot be read.
    pub error: StorageError,
}

//! What the protocol asks as the store and the snapshots are asked, and what these answer
//! as a reply.

use crate::actors::messages::clients::ClientRequest;
use crate::actors::messages::snapshots::{SnapshotAnswer, SnapshotQuery};
use crate::kv;
use crate::protocol::{ErrorReply, Reply, SnapshotRequest};
use crate::types::{LogIndex, LogPosition, SnapshotId, Term};

pub(super) fn outcome_reply(outcome: kv::Outcome) -> Reply {
    Reply::Error(match outcome {
        kv::Outcome::Stored { version } => return Reply::Stored { version },
        kv::Outcome::Deleted => return Reply::Deleted,
        kv::Outcome::NotFound => ErrorReply::NotFound,
        kv::Outcome::VersionMismatch { version } => ErrorReply::Version { version },
        kv::Outcome::Exists { version } => ErrorReply::Exists { version },
        kv::Outcome::Stale => ErrorReply::Stale,
        kv::Outcome::Full => ErrorReply::Full,
        kv::Outcome::Busy => ErrorReply::Busy,
    })
}

pub(super) fn answer_reply(answer: kv::Answer) -> Reply {
    match answer {
        kv::Answer::NotFound => Reply::Error(ErrorReply::NotFound),
        kv::Answer::Value(value) => Reply::Value(value),
        kv::Answer::Meta(item) => Reply::Meta(item),
        kv::Answer::Scan { items, more } => Reply::Scan { items, more },
    }
}

/// The size of its answer, and what RaftActor is asked.
pub(super) fn snapshot_request(request: SnapshotRequest) -> (usize, ClientRequest) {
    match request {
        SnapshotRequest::Begin => (0, ClientRequest::BeginSnapshot),
        SnapshotRequest::Find { index } => {
            (0, ClientRequest::Snapshot(SnapshotQuery::Find { index: LogIndex(index) }))
        }
        SnapshotRequest::Read { index, term, digest, offset, bytes_max } => {
            let last = LogPosition { index: LogIndex(index), term: Term(term) };
            let query = SnapshotQuery::Read { last, digest, offset, bytes_max };
            (bytes_max, ClientRequest::Snapshot(query))
        }
    }
}

pub(super) fn snapshot_reply(answer: SnapshotAnswer) -> Reply {
    match answer {
        SnapshotAnswer::NotFound => Reply::Error(ErrorReply::NotFound),
        SnapshotAnswer::Piece(bytes) => Reply::Value(bytes),
        SnapshotAnswer::Found(SnapshotId { last, bytes, digest }) => {
            Reply::Snapshot { index: last.index.0, term: last.term.0, bytes, digest }
        }
    }
}

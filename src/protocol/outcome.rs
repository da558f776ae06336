//! The reply to a command, made of the answer of the store, of the snapshots, or of the
//! server itself.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::reply::Reply;
use super::status::StatusReport;
use super::text::printable;
use crate::kv;
use crate::raft::NodeStatus;
use crate::types::{Format, Incarnation, LogIndex, NodeId, SnapshotId};

/// The reason why a command was not answered by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command was not executed: another node leads, or no known one.
    NotLeader {
        /// The leader.
        leader_id: Option<NodeId>,
    },
    /// The command was not executed: the node has too much in flight.
    Busy,
    /// A write whose leader lost its leadership: it may yet be executed.
    LeadershipLost,
    /// A read that was not confirmed in time.
    Timeout,
}

/// The answer to a [`super::SnapshotQuery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotAnswer {
    /// There is no such snapshot, or no longer.
    NotFound,
    /// The newest snapshot is this one.
    Found(SnapshotId),
    /// The bytes; none at the end of the file.
    Piece(Bytes),
}

/// The client address of each node: host and port.
pub type ClientAddresses = BTreeMap<NodeId, (String, u16)>;

impl From<kv::Outcome> for Reply {
    fn from(outcome: kv::Outcome) -> Reply {
        Reply::Error(match outcome {
            kv::Outcome::Stored { version } => return Reply::Stored { version },
            kv::Outcome::Deleted => return Reply::Deleted,
            kv::Outcome::Ended => return Reply::Ended,
            kv::Outcome::NotFound => ErrorReply::NotFound,
            kv::Outcome::VersionMismatch { version } => ErrorReply::Version { version },
            kv::Outcome::Exists { version } => ErrorReply::Exists { version },
            kv::Outcome::Stale => ErrorReply::Stale,
            kv::Outcome::Full => ErrorReply::Full,
            kv::Outcome::Busy => ErrorReply::Busy,
        })
    }
}

impl From<kv::Answer> for Reply {
    fn from(answer: kv::Answer) -> Reply {
        match answer {
            kv::Answer::NotFound => Reply::Error(ErrorReply::NotFound),
            kv::Answer::Value(value) => Reply::Value(value),
            kv::Answer::Meta(item) => Reply::Meta(item),
            kv::Answer::Scan { items, more } => Reply::Scan { items, more },
        }
    }
}

impl From<SnapshotAnswer> for Reply {
    fn from(answer: SnapshotAnswer) -> Reply {
        match answer {
            SnapshotAnswer::NotFound => Reply::Error(ErrorReply::NotFound),
            SnapshotAnswer::Piece(bytes) => Reply::Value(bytes),
            SnapshotAnswer::Found(SnapshotId { last, bytes, digest }) => {
                Reply::Snapshot { index: last.index.0, term: last.term.0, bytes, digest }
            }
        }
    }
}

/// The reply to `snapshot begin`: a snapshot that reaches this entry is being taken.
pub fn snapshot_begun(index: LogIndex) -> Reply {
    Reply::SnapshotBegun { index: index.0 }
}

/// The reply to `upgrade raise`: this format is in force.
pub fn raised(format: Format) -> Reply {
    Reply::Raised { format: format.0.into() }
}

/// The reply to a command for which the cluster's format is too low, or to `upgrade raise` when
/// the format cannot be raised yet.
pub fn not_yet(sentence: &str) -> Reply {
    Reply::Error(ErrorReply::NotYet { sentence: printable(sentence) })
}

/// The reply to `digest`: the digest of the store after this entry, when the server knows it.
pub fn digest(index: LogIndex, digest: Option<u64>) -> Reply {
    match digest {
        Some(digest) => Reply::Digest { index: index.0, digest },
        None => Reply::Error(ErrorReply::NotFound),
    }
}

/// The reply to a command that was refused. A redirect needs the leader's client address.
pub fn refused(refusal: Refusal, addresses: &ClientAddresses) -> Reply {
    Reply::Error(match refusal {
        Refusal::NotLeader { leader_id } => {
            let address = leader_id.and_then(|id| addresses.get(&id));
            address.map_or(ErrorReply::NoLeader, |(host, port)| ErrorReply::Redirect {
                host: host.clone(),
                port: *port,
            })
        }
        Refusal::Busy => ErrorReply::Busy,
        Refusal::LeadershipLost | Refusal::Timeout => ErrorReply::Timeout,
    })
}

/// The reply to a write that was not committed in time: it may yet be executed.
pub fn timed_out() -> Reply {
    Reply::Error(ErrorReply::Timeout)
}

/// The state of the process at one point in time.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStatus<'a> {
    /// The version of its program.
    pub version: &'a str,
    /// The id of its data directory.
    pub incarnation: Incarnation,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The machine's wall clock, in milliseconds since the Unix epoch.
    pub wall_clock_ms: u64,
    /// The part of `[limits] memory_bytes` that the clients use, in bytes.
    pub memory_bytes_used: u64,
}

/// The reply to `status`: the state of the node, of its store and of its process.
pub fn status(node: &NodeStatus, store: kv::StoreStatus, process: ProcessStatus<'_>) -> Reply {
    let snapshots = node.snapshot_progress.iter();
    let snapshots = snapshots.map(|(peer, to)| (peer.0, to.acked_bytes, to.bytes));
    let refusals = node.snapshot_refusals.iter();
    let report = StatusReport {
        id: node.id.0,
        role: node.role.to_string(),
        term: node.term.0,
        leader: node.leader_id.map(|id| id.0),
        commit_index: node.commit_index.0,
        last_applied: store.last_applied.0,
        last_log_index: node.last_log_index.0,
        snapshot_index: node.snapshot_index.0,
        keys: store.keys,
        uptime_seconds: process.uptime_seconds,
        wall_clock_ms: process.wall_clock_ms,
        store_clock_ms: store.clock_ms,
        store_bytes: store.bytes,
        once_clients: store.clients,
        store_digest: store.digest,
        memory_bytes_used: process.memory_bytes_used,
        snapshot_transfers: snapshots.collect(),
        snapshot_refusals: refusals.map(|(peer, refusal)| (peer.0, refusal.to_string())).collect(),
        version: process.version.to_owned(),
        format: node.cluster.format.format,
        reads_formats: node.cluster.formats,
        cluster_id: node.cluster.cluster_id,
        incarnation: process.incarnation,
        is_upgrade_held: node.cluster.is_held,
        upgrade_waits_for: node.cluster.raise_waits_for.clone(),
    };
    Reply::Status(report.into_lines())
}

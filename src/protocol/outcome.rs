//! The reply to a command, made of the answer of the snapshots, or of the server itself; those of
//! the store are in `asked`. And the part of a watch that a change of the store becomes.

use std::sync::Arc;

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::members::{
    CanLose, ChangeReport, EndedReport, MemberKind, MemberReport, MemberState, MembersReport, Plan,
};
use super::reply::Reply;
use super::status::StatusReport;
use super::text::printable;
use super::watch::{WatchEvent, WatchKind, WatchPart, WatchPrevious};
use crate::kv::{self, ChangeEvent, ChangeKind};
use crate::raft::{ChangePlan, MembersStatus, NodeStatus, Role};
use crate::types::{
    Address, Format, Incarnation, LogIndex, Member, Membership, NodeId, SnapshotId, Term,
};

/// The reason why a command was not answered by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command was not executed: another node leads, or no known one.
    NotLeader {
        /// The leader's address for clients, when leader and address are known. Many refusals
        /// share it.
        leader: Option<Arc<Address>>,
    },
    /// The command was not executed: the node has too much in flight.
    Busy,
    /// A write whose leader lost its leadership: it may yet be executed.
    LeadershipLost,
    /// A read that was not confirmed in time.
    Timeout,
}

/// The answer to the question what has become of a change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeWaited {
    /// It has ended.
    Ended {
        /// True when it was done, false when a person took it back.
        is_done: bool,
    },
    /// It is under way after all the time that a command may take.
    Running {
        /// A sentence that says what it does, and what it waits for.
        sentence: String,
    },
    /// This node knows no such change.
    NotFound,
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

/// The reply to a command that was refused.
pub fn refused(refusal: Refusal) -> Reply {
    Reply::Error(match refusal {
        Refusal::NotLeader { leader: None } => ErrorReply::NoLeader,
        Refusal::NotLeader { leader: Some(leader) } => {
            ErrorReply::Redirect { host: leader.host.clone(), port: leader.port }
        }
        Refusal::Busy => ErrorReply::Busy,
        Refusal::LeadershipLost | Refusal::Timeout => ErrorReply::Timeout,
    })
}

/// The reply to a change of the members, or to a transfer of the leadership, that would not be
/// safe now.
pub fn refused_because(sentence: &str) -> Reply {
    Reply::Error(ErrorReply::Refused { sentence: printable(sentence) })
}

/// The reply to a change of the members that has begun, or was taken back.
pub fn change(number: LogIndex, id: NodeId) -> Reply {
    Reply::Change { number: number.0, id: id.0 }
}

/// The reply to a change of the members of which only the plan is wanted.
pub fn plan(ChangePlan { before, after, .. }: ChangePlan) -> Reply {
    Reply::Plan(Plan { before, after })
}

/// The reply to `member wait`.
pub fn waited(number: LogIndex, end: ChangeWaited) -> Reply {
    let number = number.0;
    match end {
        ChangeWaited::Ended { is_done } => Reply::ChangeEnded { number, is_done },
        ChangeWaited::Running { sentence } => {
            Reply::ChangeRunning { number, sentence: printable(&sentence) }
        }
        ChangeWaited::NotFound => Reply::Error(ErrorReply::NotFound),
    }
}

/// The reply to `member list`.
///
/// A member is unseen when the leader has not heard it for `unseen_ms`. `addresses_of` is where a
/// member is reached, when that is known.
pub fn members(
    status: &MembersStatus,
    node: &NodeStatus,
    unseen_ms: u64,
    addresses_of: impl Fn(NodeId) -> Option<Member>,
) -> MembersReport {
    let membership = &status.membership;
    let member = |id: NodeId| {
        let view = status.peers.get(&id);
        let addresses = addresses_of(id);
        let (log_address, client_address) = addresses.map(|it| (it.peer, it.client)).unzip();
        let program = view.and_then(|view| view.program.as_ref());
        let own_formats = (id == node.id).then_some(node.cluster.formats);
        let snapshot = view.and_then(|view| view.snapshot_progress);
        MemberReport {
            id,
            kind: kind_of(id, membership),
            state: state_of(id, status, node, unseen_ms),
            log_address,
            client_address,
            seen_ms: view.and_then(|view| view.seen_ms),
            behind: view.map(|view| view.behind_entries),
            snapshot: snapshot.map(|it| (it.acked_bytes, it.bytes)),
            formats: program.map(|(formats, _)| *formats).or(own_formats),
            version: program.map(|(_, version)| version.clone()),
        }
    };
    let change = membership.change.as_ref().map(|change| ChangeReport {
        number: change.number,
        age_ms: status.change_age_ms,
        what: change.what.to_string(),
        waits_for: status.waits_for.clone(),
    });
    let ended = membership.ended.iter().map(|ended| EndedReport {
        number: ended.number,
        is_done: ended.is_done,
        what: ended.what.to_string(),
    });
    let (voters, needed) = voters_and_needed(status);
    MembersReport {
        voters: voters as u64,
        needed: needed as u64,
        here: status.tolerance.map(|tolerance| tolerance.here as u64),
        can_lose: match status.tolerance.map(|tolerance| tolerance.can_lose) {
            None => CanLose::Unknown,
            Some(None) => CanLose::NoQuorum,
            Some(Some(number)) => CanLose::Voters(number as u64),
        },
        format: node.cluster.format.format,
        not_leading: (!status.is_leader).then_some(node.id),
        index: status.index,
        is_committed: status.is_committed,
        members: membership.ids().into_iter().map(member).collect(),
        change,
        ended: ended.collect(),
        removed: membership.removed.iter().map(|(id, index)| (*id, *index)).collect(),
    }
}

/// The number of voters, and of those that are needed. In a joint membership both are those of the
/// half that can spare fewer.
fn voters_and_needed(status: &MembersStatus) -> (usize, usize) {
    if let Some(tolerance) = status.tolerance {
        return (tolerance.voters, tolerance.needed);
    }
    let Membership { voters, outgoing, .. } = &status.membership;
    let smaller = if outgoing.is_empty() { voters.len() } else { voters.len().min(outgoing.len()) };
    (smaller, smaller / 2 + 1)
}

fn kind_of(id: NodeId, membership: &Membership) -> MemberKind {
    let is_outgoing = membership.outgoing.contains(&id);
    match (membership.voters.contains(&id), is_outgoing) {
        (true, false) if membership.is_joint() => MemberKind::Incoming,
        (true, _) => MemberKind::Voter,
        (false, true) => MemberKind::Outgoing,
        (false, false) => MemberKind::Learner,
    }
}

/// The number of entries that a follower may lack and is in step.
const IN_STEP_ENTRIES: u64 = 1_000;

fn state_of(id: NodeId, status: &MembersStatus, node: &NodeStatus, unseen_ms: u64) -> MemberState {
    if status.leader_id == Some(id) {
        return MemberState::Leader;
    }
    if id == node.id {
        return match node.role {
            Role::Rejoining => MemberState::Rejoining,
            _ if node.cluster.is_draining => MemberState::Draining,
            Role::Follower | Role::Learner if status.leader_id.is_some() => MemberState::Follower,
            _ => MemberState::Unknown,
        };
    }
    let Some(view) = status.peers.get(&id) else { return MemberState::Unknown };
    let lags = view.snapshot_progress.is_some() || view.behind_entries > IN_STEP_ENTRIES;
    if view.seen_ms.is_none_or(|ms| ms > unseen_ms) {
        MemberState::Unseen
    } else if view.is_rejoining {
        MemberState::Rejoining
    } else if lags {
        MemberState::Catching
    } else if view.is_draining {
        MemberState::Draining
    } else {
        MemberState::Follower
    }
}

/// The reply to `leader transfer`: this node leads in that term.
pub fn transferred(leader: NodeId, term: Term) -> Reply {
    Reply::Leader { id: leader.0, term: term.0 }
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

impl From<ChangeEvent> for WatchPart {
    fn from(event: ChangeEvent) -> WatchPart {
        let ChangeEvent { revision, kind, key, record, previous, at_ms } = event;
        let kind = match (kind, record) {
            (ChangeKind::Put, Some(record)) => {
                WatchKind::Set { exptime: record.seconds_left(at_ms), value: record.value_bytes() }
            }
            (ChangeKind::Expire, _) => WatchKind::Expired,
            (ChangeKind::Put | ChangeKind::Delete, _) => WatchKind::Deleted,
        };
        let previous = previous.map(|record| WatchPrevious {
            revision: record.mod_revision,
            value: record.value_bytes(),
        });
        WatchPart::Event(WatchEvent { key, revision, kind, previous })
    }
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
        removed_at: node.removed_at.map(|index| index.0),
        is_draining: node.cluster.is_draining,
        revision: store.revision,
        compacted_revision: store.compacted_revision,
        history_changes: store.history_changes,
        history_bytes: store.history_bytes,
        leases: store.leases,
    };
    Reply::Status(report.into_lines())
}

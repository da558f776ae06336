//! Changes that are worth a line in the log that people read.

use std::fmt;

use super::members_event::{MembersEvent, comma_separated};
use super::rpc::SnapshotRefusal;
use crate::types::{ClusterId, Format, LogIndex, LogLine, LogPosition, NodeId, Term};

/// A change of this node that is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Elected.
    BecameLeader {
        /// The term that it leads.
        term: Term,
    },
    /// Stepped down or was deposed.
    SteppedDown {
        /// The term that it led.
        term: Term,
        /// The reason.
        reason: &'static str,
    },
    /// As the leader: begins to hand its leadership over.
    HandsOver {
        /// The node that is to lead.
        to: NodeId,
        /// The term that this node leads.
        term: Term,
    },
    /// Does not campaign, although its leader asked for that.
    RefusedTransfer {
        /// The leader.
        leader_id: NodeId,
        /// The reason.
        reason: &'static str,
    },
    /// Heard from a new leader.
    FollowsLeader {
        /// The leader.
        leader_id: NodeId,
        /// Its term.
        term: Term,
    },
    /// Began to ask for pre-votes.
    StartedPreVote {
        /// The term that an election would have.
        term: Term,
    },
    /// Began to ask for votes.
    StartedElection {
        /// The term of the election.
        term: Term,
    },
    /// Gave its vote.
    GrantedVote {
        /// The candidate.
        candidate: NodeId,
        /// The term of the election.
        term: Term,
    },
    /// Stopped rejoining: it is counted from now on.
    BecameVoter {
        /// Its term.
        term: Term,
    },
    /// Has no data, and does not know whether the cluster is new.
    WaitsForMembers {
        /// The members that have not said whether they have any.
        silent: Vec<NodeId>,
    },
    /// A peer refuses the snapshot that it is sent.
    SnapshotRefused {
        /// The peer.
        peer: NodeId,
        /// Its reason.
        refusal: SnapshotRefusal,
    },
    /// The log is no longer kept for a peer that is sent a snapshot (docs/adr/0017).
    LogHoldEnded {
        /// The peer.
        peer: NodeId,
        /// The reason.
        reason: HoldEnd,
    },
    /// As the leader: a peer has lost entries that it acknowledged.
    PeerForgot {
        /// The peer.
        peer: NodeId,
        /// The last entry that it acknowledged.
        acknowledged: LogPosition,
        /// Its log equals the leader's no further than this.
        held: LogIndex,
    },
    /// Has lost entries that it acknowledged, and is rejoining from now on.
    Forgot {
        /// The peer that knew of it: the leader that had the acknowledgement, or one that has
        /// heard of it.
        told_by: NodeId,
        /// The last entry that was acknowledged.
        acknowledged: LogPosition,
        /// The end of the log without it.
        last: LogPosition,
    },
    /// As the leader: a peer's store differs from that of a majority.
    PeerDiverged {
        /// The peer.
        peer: NodeId,
        /// The entry after which they were compared.
        index: LogIndex,
    },
    /// As the leader: stores differ, and no digest has a majority.
    StoresDiffer {
        /// The entry after which they were compared.
        index: LogIndex,
        /// A node with its digest.
        one: (NodeId, u64),
        /// A node that has another one.
        other: (NodeId, u64),
    },
    /// As the leader: raises the format.
    RaisesFormat {
        /// The format that is to be in force.
        format: Format,
    },
    /// Knows that a format is in force.
    FormatInForce {
        /// The format.
        format: Format,
    },
    /// Knows that the cluster has an id.
    ClusterNamed {
        /// The id.
        cluster_id: ClusterId,
    },
    /// A step of a change of the members.
    Members(MembersEvent),
    /// Dropped entries that conflict with the leader's (§5.3).
    TruncatedLog {
        /// The first entry that was dropped.
        from: LogIndex,
        /// The last entry that was dropped.
        to: LogIndex,
    },
}

/// The reason why the log is no longer kept for a peer that is sent a snapshot
/// (docs/adr/0017).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    /// The peer answered, and neither stored an entry nor received a byte.
    NoProgress,
    /// The peer refused the snapshot.
    Refused,
    /// The peer made progress for too long.
    TooSlow,
    /// The log behind the hold has become too large.
    LogTooLarge,
}

impl HoldEnd {
    /// True when progress with the same snapshot begins the hold again.
    pub(super) fn is_renewed_by_progress(self) -> bool {
        matches!(self, HoldEnd::NoProgress | HoldEnd::Refused)
    }
}

impl fmt::Display for HoldEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HoldEnd::NoProgress => "it makes no progress",
            HoldEnd::Refused => "it refuses the snapshot",
            HoldEnd::TooSlow => "it is too slow",
            HoldEnd::LogTooLarge => "the log has become too large",
        })
    }
}

impl Event {
    /// True of an event that shows a fault of a disk, of a memory, of the program, or of the
    /// person who replaced a disk.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Event::PeerForgot { .. }
                | Event::Forgot { .. }
                | Event::PeerDiverged { .. }
                | Event::StoresDiffer { .. }
        )
    }

    /// True of an event that comes again and again while no majority is there, or while a peer is
    /// sick. No majority and no person had a part in it.
    pub fn may_repeat(&self) -> bool {
        matches!(
            self,
            Event::StartedPreVote { .. }
                | Event::StartedElection { .. }
                | Event::GrantedVote { .. }
                | Event::RefusedTransfer { .. }
                | Event::WaitsForMembers { .. }
                | Event::SnapshotRefused { .. }
                | Event::LogHoldEnded { .. }
        )
    }
}

impl Event {
    /// The event as a line of the log.
    pub fn line(&self) -> LogLine {
        match self {
            Event::BecameLeader { term } => LogLine::new("became leader").with("term", *term),
            Event::SteppedDown { term, reason } => {
                LogLine::new("stepped down").with("term", *term).with("reason", *reason)
            }
            Event::HandsOver { to, term } => {
                LogLine::new("hands the leadership over").with("to", *to).with("term", *term)
            }
            Event::RefusedTransfer { leader_id, reason } => LogLine::new("does not campaign for")
                .with("leader", *leader_id)
                .with("reason", *reason),
            Event::FollowsLeader { leader_id, term } => {
                LogLine::new("follows").with("leader", *leader_id).with("term", *term)
            }
            Event::StartedPreVote { term } => LogLine::new("started pre-vote").with("term", *term),
            Event::StartedElection { term } => LogLine::new("started election").with("term", *term),
            Event::GrantedVote { candidate, term } => {
                LogLine::new("granted vote").with("candidate", *candidate).with("term", *term)
            }
            Event::BecameVoter { term } => LogLine::new("became voter").with("term", *term),
            Event::WaitsForMembers { silent } => waits_for_members(silent),
            Event::SnapshotRefused { peer, refusal } => LogLine::new("a peer refuses the snapshot")
                .with("peer", *peer)
                .with("reason", refusal.to_string()),
            Event::LogHoldEnded { peer, reason } => LogLine::new("keeps the log no longer for")
                .with("peer", *peer)
                .with("reason", reason.to_string()),
            Event::PeerForgot { peer, acknowledged, held } => {
                peer_forgot(*peer, *acknowledged, *held)
            }
            Event::Forgot { told_by, acknowledged, last } => forgot(*told_by, *acknowledged, *last),
            Event::PeerDiverged { peer, index } => LogLine::new(format!(
                "the store of peer={peer} differs from that of a majority after entry \
                 index={index}; it is told to stop"
            ))
            .with("peer", *peer)
            .with("index", *index),
            Event::StoresDiffer { index, one, other } => LogLine::new(format!(
                "the stores differ after entry index={index}, and no majority has the same: \
                 server={} has digest={:016x}, and server={} has digest={:016x}; nobody can know \
                 which is right, so all go on: compare them with `coracle check`",
                one.0, one.1, other.0, other.1
            ))
            .with("index", *index),
            Event::RaisesFormat { format } => {
                LogLine::new("raises the format").with("format", *format)
            }
            Event::FormatInForce { format } => {
                LogLine::new("a format is in force").with("format", *format)
            }
            Event::ClusterNamed { cluster_id } => {
                LogLine::new("the cluster has an id").with("cluster_id", cluster_id.to_string())
            }
            Event::Members(event) => event.line(),
            Event::TruncatedLog { from, to } => {
                LogLine::new("truncated log").with("from", *from).with("to", *to)
            }
        }
    }
}

fn waits_for_members(silent: &[NodeId]) -> LogLine {
    let servers = comma_separated(silent);
    let message = format!(
        "has no data, and waits for servers={servers} to say whether they have any: a new cluster \
         begins when all its servers are there and have none, or when a majority is there that was \
         started with --new-cluster"
    );
    LogLine::new(message).with("servers", servers)
}

fn peer_forgot(peer: NodeId, acknowledged: LogPosition, held: LogIndex) -> LogLine {
    let message = format!(
        "peer={peer} has lost entries that it acknowledged: it had acknowledged {acknowledged}, \
         and holds entries up to {held} at most; it is told to fetch them again, and is not \
         counted until it has"
    );
    LogLine::new(message).with("peer", peer)
}

fn forgot(told_by: NodeId, acknowledged: LogPosition, last: LogPosition) -> LogLine {
    let message = format!(
        "has lost entries that it acknowledged, as peer={told_by} knows: {acknowledged} was \
         acknowledged, and the log ended with {last}; it rejoins without a vote, until it has \
         fetched them, and has caught up with all others"
    );
    LogLine::new(message).with("peer", told_by)
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line().fmt(f)
    }
}

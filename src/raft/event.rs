//! Changes that are worth a line in the log that people read.

use std::fmt;

use super::members_event::{MembersEvent, comma_separated};
use super::rpc::SnapshotRefusal;
use crate::types::{ClusterId, Format, LogIndex, LogPosition, NodeId, Term};

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
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::BecameLeader { term } => write!(f, "became leader term={term}"),
            Event::SteppedDown { term, reason } => {
                write!(f, "stepped down term={term} reason=\"{reason}\"")
            }
            Event::HandsOver { to, term } => {
                write!(f, "hands the leadership over to={to} term={term}")
            }
            Event::RefusedTransfer { leader_id, reason } => {
                write!(f, "does not campaign for leader={leader_id} reason=\"{reason}\"")
            }
            Event::FollowsLeader { leader_id, term } => {
                write!(f, "follows leader={leader_id} term={term}")
            }
            Event::StartedPreVote { term } => write!(f, "started pre-vote term={term}"),
            Event::StartedElection { term } => write!(f, "started election term={term}"),
            Event::GrantedVote { candidate, term } => {
                write!(f, "granted vote candidate={candidate} term={term}")
            }
            Event::BecameVoter { term } => write!(f, "became voter term={term}"),
            Event::WaitsForMembers { silent } => write!(
                f,
                "has no data, and waits for servers={} to say whether they have any: a new cluster \
                 begins when all its servers are there and have none, or when a majority is there \
                 that was started with --new-cluster",
                comma_separated(silent)
            ),
            Event::SnapshotRefused { peer, refusal } => {
                write!(f, "a peer refuses the snapshot peer={peer} reason={refusal}")
            }
            Event::LogHoldEnded { peer, reason } => {
                write!(f, "keeps the log no longer for peer={peer} reason=\"{reason}\"")
            }
            Event::PeerForgot { peer, acknowledged, held } => write!(
                f,
                "peer={peer} has lost entries that it acknowledged: it had acknowledged \
                 {acknowledged}, and holds entries up to {held} at most; it is told to fetch \
                 them again, and is not counted until it has"
            ),
            Event::Forgot { told_by, acknowledged, last } => write!(
                f,
                "has lost entries that it acknowledged, as peer={told_by} knows: {acknowledged} \
                 was acknowledged, and the log ended with {last}; it rejoins without a vote, until \
                 it has fetched them, and has caught up with all others"
            ),
            Event::PeerDiverged { peer, index } => write!(
                f,
                "the store of peer={peer} differs from that of a majority after entry \
                 index={index}; it is told to stop"
            ),
            Event::StoresDiffer { index, one, other } => write!(
                f,
                "the stores differ after entry index={index}, and no majority has the same: \
                 server={} has digest={:016x}, and server={} has digest={:016x}; nobody can know \
                 which is right, so all go on: compare them with `coracle check`",
                one.0, one.1, other.0, other.1
            ),
            Event::RaisesFormat { format } => write!(f, "raises the format format={format}"),
            Event::FormatInForce { format } => write!(f, "a format is in force format={format}"),
            Event::ClusterNamed { cluster_id } => {
                write!(f, "the cluster has an id cluster_id={cluster_id}")
            }
            Event::Members(event) => event.fmt(f),
            Event::TruncatedLog { from, to } => write!(f, "truncated log from={from} to={to}"),
        }
    }
}

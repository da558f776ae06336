//! What the core asks of the world.

use std::fmt;
use std::sync::Arc;

use super::progress::Pace;
use super::rpc::{Envelope, InstallSnapshot};
use crate::types::{
    Entry, HardState, LogIndex, LogPosition, NodeId, SnapshotPoint, Term, TermRuns,
};

/// Numbers what is handed to the disk; completions come back in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistSeq(pub u64);

impl fmt::Display for PersistSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a read until it is released or failed; chosen by the caller of
/// `Raft::read`, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// One thing to do. The shell does them in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable, then call `Raft::on_persisted(seq)`. Entries that begin
    /// at or below the log's end replace what stands there and behind.
    Persist {
        /// Rising by one.
        seq: PersistSeq,
        /// A new term or vote.
        hard_state: Option<HardState>,
        /// Entries of consecutive indexes.
        entries: Vec<Entry>,
    },
    /// Send a message. Requests go out on our connection to the peer, responses
    /// on the one that it opened to us.
    Send(Envelope),
    /// This node leads `term`: every peer's `Progress` begins anew.
    StartReplication {
        /// The new term.
        term: Term,
        /// The leader's log before its first entry of that term.
        runs: TermRuns,
    },
    /// To every peer's `Progress`: there is something to send.
    Replicate {
        /// The leader's term.
        term: Term,
        /// Where the log begins by now.
        base: LogPosition,
        /// New entries at the end of the log.
        entries: Arc<[Entry]>,
        /// The commit index to tell.
        leader_commit: LogIndex,
        /// The round of reads to confirm.
        read_seq: u64,
        /// A heartbeat is due: send something even if there is nothing to say.
        heartbeat: bool,
    },
    /// To a peer's `Progress`: how it is sent what there is, from here on.
    SetPace {
        /// The leader's term.
        term: Term,
        /// Whose.
        peer: NodeId,
        /// How.
        pace: Pace,
    },
    /// This node leads no longer: every `Progress` ends, every proposal of `term`
    /// that has not been applied has an unknown outcome.
    LeadershipLost {
        /// The term that it led.
        term: Term,
    },
    /// Apply committed, durable entries: consecutive over all such effects.
    Apply {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Read these entries from the log and pass them to `Raft::on_entries_read`;
    /// answers come in the order of the effects.
    ReadEntries {
        /// The first.
        from: LogIndex,
        /// The last.
        to: LogIndex,
    },
    /// Leadership is confirmed, and everything up to `read_index` was in `Apply`
    /// effects before this one: read now, and before any later `Apply`.
    ReadReady {
        /// Which read.
        token: ReadToken,
        /// What it must see.
        read_index: LogIndex,
    },
    /// Leadership was lost before the read could be confirmed; it had no effect.
    ReadFailed {
        /// Which read.
        token: ReadToken,
    },
    /// Save the store as it is right behind the `Apply` effects before this one, and
    /// call `Raft::on_snapshot_taken` when that is durable.
    TakeSnapshot {
        /// What it stands for.
        head: SnapshotPoint,
    },
    /// Remove what is cheap to remove of the log's entries up to `limit`, and pass
    /// the position behind which it begins then to `Raft::on_compacted`.
    CompactLog {
        /// The last entry that may go.
        limit: LogIndex,
    },
    /// Add the piece to what was received of its snapshot, and answer with
    /// `Raft::on_snapshot_piece`, or with `Raft::on_snapshot_received` when it is
    /// whole, durable and loaded.
    ReceiveSnapshot {
        /// The leader that sent it.
        from: NodeId,
        /// Its term.
        term: Term,
        /// The piece.
        piece: InstallSnapshot,
    },
    /// The snapshot that was received last takes the place of the log and of the
    /// store: the log is empty behind `base`, behind all `Persist` before and before
    /// all that follow; the same goes for the store and `Apply`. Call
    /// `Raft::on_applied` when the store is in place.
    InstallSnapshot {
        /// The snapshot's last entry.
        base: LogPosition,
    },
    /// For the log: something a person wants to know happened.
    Note(Note),
}

/// A change worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Elected.
    BecameLeader {
        /// The term that it leads.
        term: Term,
    },
    /// Stepped down, or was deposed.
    SteppedDown {
        /// The term that it led.
        term: Term,
        /// Why.
        reason: &'static str,
    },
    /// Heard from a new leader.
    FollowsLeader {
        /// The leader.
        leader_id: NodeId,
        /// Its term.
        term: Term,
    },
    /// Asks for pre-votes.
    StartedPreVote {
        /// The term that an election would have.
        term: Term,
    },
    /// Asks for votes.
    StartedElection {
        /// The term of the election.
        term: Term,
    },
    /// Gave its vote.
    GrantedVote {
        /// To whom.
        candidate: NodeId,
        /// In which term.
        term: Term,
    },
    /// Is counted from now on: see `HardState::is_newcomer`.
    BecameVoter {
        /// Its term.
        term: Term,
    },
    /// Dropped entries that conflict with the leader's (§5.3).
    TruncatedLog {
        /// The first that was dropped.
        from: LogIndex,
        /// The last that was.
        to: LogIndex,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::BecameLeader { term } => write!(f, "became leader term={term}"),
            Note::SteppedDown { term, reason } => {
                write!(f, "stepped down term={term} reason=\"{reason}\"")
            }
            Note::FollowsLeader { leader_id, term } => {
                write!(f, "follows leader={leader_id} term={term}")
            }
            Note::StartedPreVote { term } => write!(f, "started pre-vote term={term}"),
            Note::StartedElection { term } => write!(f, "started election term={term}"),
            Note::GrantedVote { candidate, term } => {
                write!(f, "granted vote candidate={candidate} term={term}")
            }
            Note::BecameVoter { term } => write!(f, "became voter term={term}"),
            Note::TruncatedLog { from, to } => write!(f, "truncated log from={from} to={to}"),
        }
    }
}

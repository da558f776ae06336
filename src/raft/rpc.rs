//! What nodes say to each other. `wire` gives these structs their bytes.

use bytes::Bytes;

use crate::types::{Entry, LogIndex, LogPosition, NodeId, SnapshotId, Term};

/// One message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub from: NodeId,
    /// The node that it is for.
    pub to: NodeId,
    /// The sender's current term; of a [`PreVote`] and a granted
    /// [`PreVoteResponse`] the term that the candidate would have.
    pub term: Term,
    /// The content.
    pub rpc: Rpc,
}

impl Envelope {
    /// Whether `newer`, a later answer to the same leader, says all that this one does.
    pub(super) fn is_superseded_by(&self, newer: &Envelope) -> bool {
        let (Rpc::AppendEntriesResponse(old), Rpc::AppendEntriesResponse(new)) =
            (&self.rpc, &newer.rpc)
        else {
            return false;
        };
        (self.to, self.term) == (newer.to, newer.term)
            && (old.is_rejoining, old.result) == (new.is_rejoining, new.result)
    }
}

/// The content of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rpc {
    /// Figure 2, AppendEntries; without entries it is the heartbeat.
    AppendEntries(AppendEntries),
    /// Its answer.
    AppendEntriesResponse(AppendEntriesResponse),
    /// Figure 2, RequestVote.
    RequestVote(RequestVote),
    /// Its answer.
    RequestVoteResponse(RequestVoteResponse),
    /// Dissertation §9.6: would you vote for me?
    PreVote(PreVote),
    /// Its answer.
    PreVoteResponse(PreVoteResponse),
    /// Figure 13, InstallSnapshot: a piece of the leader's newest snapshot.
    InstallSnapshot(InstallSnapshot),
    /// Its answer.
    InstallSnapshotResponse(InstallSnapshotResponse),
    /// A rejoining node asks what there is to remember (docs/adr/0005). It has no body.
    RejoinRequest,
    /// Its answer.
    RejoinResponse(RejoinResponse),
}

impl Rpc {
    /// True of answers: they travel back on the connection that brought the
    /// request.
    pub fn is_response(&self) -> bool {
        matches!(
            self,
            Rpc::AppendEntriesResponse(_)
                | Rpc::RequestVoteResponse(_)
                | Rpc::PreVoteResponse(_)
                | Rpc::RejoinResponse(_)
                | Rpc::InstallSnapshotResponse(_)
        )
    }
}

/// Replicates entries; without any, the heartbeat (§5.2, §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries {
    /// Counts this leader's requests to this peer within a term; the response
    /// repeats it, so that a late one is known for what it is.
    pub request_seq: u64,
    /// The position right before `entries`.
    pub prev: LogPosition,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
    /// The newest round of reads that a response to this confirms
    /// (dissertation §6.4).
    pub read_seq: u64,
    /// The entries, of consecutive indexes, the first at `prev.index + 1`.
    pub entries: Vec<Entry>,
}

/// The answer to [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendEntriesResponse {
    /// That of the request.
    pub request_seq: u64,
    /// That of the request.
    pub read_seq: u64,
    /// The sender must not be counted: see `HardState::is_rejoining`.
    pub is_rejoining: bool,
    /// What came of it.
    pub result: AppendResult,
}

/// What came of an [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendResult {
    /// The log holds `prev`; up to `match_index` it equals the leader's *and*
    /// is durable.
    Success {
        /// See above. It may lie before `prev`, while the disk is behind.
        match_index: LogIndex,
    },
    /// The log does not hold `prev` (§5.3, the optimisation at its end).
    Conflict {
        /// The first index of the term that stands at `prev.index`, or one past
        /// the log's end when it is shorter.
        conflict_index: LogIndex,
        /// The term that stands there; `None` when the log is shorter.
        conflict_term: Option<Term>,
    },
}

/// Asks for a vote (§5.2, §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVote {
    /// The end of the candidate's log.
    pub last: LogPosition,
}

/// The answer to [`RequestVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVoteResponse {
    /// Whether the vote is the candidate's.
    pub vote_granted: bool,
}

/// Asks whether a vote would be granted; changes nobody's term (dissertation
/// §9.6). The envelope's term is the one that the candidate would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVote {
    /// The end of the candidate's log.
    pub last: LogPosition,
}

/// The answer to [`PreVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVoteResponse {
    /// Whether it would be.
    pub vote_granted: bool,
}

/// A piece of a snapshot, for a peer that lacks entries which are no longer in the
/// leader's log (§7, docs/adr/0008).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// As in [`AppendEntries`], and counted with those.
    pub request_seq: u64,
    /// Of which snapshot.
    pub snapshot: SnapshotId,
    /// Where in its file the piece belongs.
    pub offset: u64,
    /// The piece; empty to ask what the peer has of it.
    pub bytes: Bytes,
}

/// The answer to [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallSnapshotResponse {
    /// That of the request.
    pub request_seq: u64,
    /// As in [`AppendEntriesResponse`].
    pub is_rejoining: bool,
    /// The last entry of the snapshot.
    pub last: LogPosition,
    /// How much of its file the peer has: the next piece begins there.
    pub received: u64,
    /// Everything up to `last` is in the peer's log or store, durably.
    pub is_installed: bool,
}

/// The answer to [`Rpc::RejoinRequest`]; the envelope has the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejoinResponse {
    /// The end of the sender's log. With term 0 and an empty log it has never
    /// taken part.
    pub last: LogPosition,
}

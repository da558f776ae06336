//! The messages between nodes. `wire` gives these structs their bytes.

use core::fmt;

use bytes::Bytes;

use crate::types::{BootId, Entry, LogIndex, LogPosition, NodeId, SnapshotId, Term};

/// One message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub from: NodeId,
    /// The node that it is for.
    pub to: NodeId,
    /// The sender's current term. A [`PreVote`] and a granted [`PreVoteResponse`] have the
    /// term that the candidate would have.
    pub term: Term,
    /// The content.
    pub rpc: Rpc,
}

impl Envelope {
    /// True when `newer`, a later answer to the same leader, says all that this one does.
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
    /// Its answer, and that to [`Rpc::TransferVote`].
    RequestVoteResponse(RequestVoteResponse),
    /// Dissertation §9.6: asks whether a vote would be granted.
    PreVote(PreVote),
    /// Its answer.
    PreVoteResponse(PreVoteResponse),
    /// Figure 13, InstallSnapshot: a piece of the leader's newest snapshot.
    InstallSnapshot(InstallSnapshot),
    /// Its answer.
    InstallSnapshotResponse(InstallSnapshotResponse),
    /// A rejoining node asks for the receiver's term and the end of its log
    /// (docs/adr/0005). The request has no body.
    RejoinRequest,
    /// Its answer.
    RejoinResponse(RejoinResponse),
    /// The leader tells a peer that it has lost entries which it acknowledged
    /// (docs/adr/0018). It has no answer of its own.
    Forgotten(Forgotten),
    /// The leader says what its store's digest was, and asks for the receiver's
    /// (docs/adr/0025).
    StateCheck(StateCheck),
    /// Its answer.
    StateCheckResponse(StateCheckResponse),
    /// A majority has another store than the receiver. It has no answer of its own.
    StateDiverged(StateDiverged),
    /// The receiver's peer tells it what it acknowledged before it started (docs/adr/0024). It
    /// is the answer to the hello of another run than before, and has no answer of its own.
    Remembered(Remembered),
    /// The leader asks the receiver to start an election at once (dissertation §3.10).
    TimeoutNow(TimeoutNow),
    /// A request for a vote by a candidate that the leader itself has asked to campaign: it counts
    /// although that leader lives, and although a promise to it lasts (docs/adr/0028).
    TransferVote(RequestVote),
    /// The receiver of [`Rpc::TimeoutNow`] does not campaign.
    TransferRefused,
    /// The leader tells a rejoining learner that it has nothing to have forgotten
    /// (docs/adr/0026). It has no answer of its own.
    Admitted(Admitted),
    /// A node that does not lead asks the leader for an index that its reads must see
    /// (docs/adr/0031).
    ReadIndex(ReadIndexRequest),
    /// Its answer.
    ReadIndexResponse(ReadIndexResponse),
    /// A node that does not lead passes a client's command on to the leader (docs/adr/0031).
    Forward(Forward),
    /// The word about it. It is no response: it travels on the connection that brings the
    /// entries, so that it comes before the entry of the command.
    Forwarded(Forwarded),
}

impl Rpc {
    /// True of requests for a vote, or for the promise of one.
    pub(super) fn asks_for_vote(&self) -> bool {
        matches!(self, Rpc::RequestVote(_) | Rpc::PreVote(_) | Rpc::TransferVote(_))
    }

    /// True of answers: they travel back on the connection that brought the request, or the
    /// hello.
    pub fn is_response(&self) -> bool {
        matches!(
            self,
            Rpc::AppendEntriesResponse(_)
                | Rpc::RequestVoteResponse(_)
                | Rpc::PreVoteResponse(_)
                | Rpc::RejoinResponse(_)
                | Rpc::InstallSnapshotResponse(_)
                | Rpc::StateCheckResponse(_)
                | Rpc::Remembered(_)
                | Rpc::TransferRefused
                | Rpc::ReadIndexResponse(_)
        )
    }
}

/// Replicates entries; without any, the heartbeat (§5.2, §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries {
    /// Counts this leader's requests to this peer within a term; the response
    /// repeats it, so that a late response is recognized.
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
    /// The number of the request.
    pub request_seq: u64,
    /// The round of the request.
    pub read_seq: u64,
    /// True when the sender must not be counted, see `HardState::is_rejoining`.
    pub is_rejoining: bool,
    /// The outcome.
    pub result: AppendResult,
}

/// The outcome of an [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendResult {
    /// The log holds `prev`. It equals the leader's *and* is durable up to `match_index`.
    Success {
        /// The end of that part. It may be before `prev`, while the disk lags.
        match_index: LogIndex,
    },
    /// The log does not hold `prev` (§5.3, the optimisation at its end).
    Conflict {
        /// The first index of the term that the log has at `prev.index`, or one past the
        /// log's end when it is shorter.
        conflict_index: LogIndex,
        /// The term that the log has there; `None` when the log is shorter.
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
    /// True when the candidate has the vote.
    pub vote_granted: bool,
}

/// Asks whether a vote would be granted, and changes nobody's term (dissertation §9.6).
/// The envelope's term is the one that the candidate would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVote {
    /// The end of the candidate's log.
    pub last: LogPosition,
}

/// The answer to [`PreVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreVoteResponse {
    /// True when the vote would be granted.
    pub vote_granted: bool,
}

/// A piece of a snapshot, for a peer that lacks entries which are no longer in the
/// leader's log (§7, docs/adr/0008).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// The number of this request, counted together with those of [`AppendEntries`].
    pub request_seq: u64,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The offset of the piece in the snapshot's file.
    pub offset: u64,
    /// The bytes of the piece; empty to ask how much of the snapshot the peer has.
    pub bytes: Bytes,
}

/// The answer to [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallSnapshotResponse {
    /// The number of the request.
    pub request_seq: u64,
    /// True when the sender must not be counted, see `HardState::is_rejoining`.
    pub is_rejoining: bool,
    /// The last entry of the snapshot.
    pub last: LogPosition,
    /// Bytes of its file that the peer has: the next piece begins there.
    pub received: u64,
    /// True when everything up to `last` is in the peer's log or store, durably.
    pub is_installed: bool,
    /// The reason why the peer does not take the snapshot, if it does not. Nothing of it is
    /// there any more.
    pub refusal: Option<SnapshotRefusal>,
}

/// The reason why a peer does not take a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotRefusal {
    /// The peer's disk has no room for it.
    NoRoom,
    /// The file that arrived is not the one that was offered, or the peer cannot decode it.
    Unusable,
}

impl fmt::Display for SnapshotRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotRefusal::NoRoom => "no_room",
            SnapshotRefusal::Unusable => "unusable",
        })
    }
}

/// The answer to [`Rpc::RejoinRequest`]. The envelope has the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejoinResponse {
    /// The end of the sender's log. A sender in term 0 with an empty log has never taken
    /// part.
    pub last: LogPosition,
}

/// Tells a peer that its answers contradict what it acknowledged to this leader. The peer
/// judges that for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The last entry that the peer has acknowledged in this leader's term.
    pub acknowledged: LogPosition,
}

/// The digest of the leader's store, and what its peers have acknowledged. It travels with
/// heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCheck {
    /// The entry that the leader's store had applied last.
    pub index: LogIndex,
    /// The digest of the leader's store after that entry.
    pub digest: u64,
    /// For each peer the last entry that it has acknowledged in the leader's term.
    pub acknowledged: Vec<(NodeId, LogPosition)>,
}

/// The answer to [`StateCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCheckResponse {
    /// The entry of the request.
    pub index: LogIndex,
    /// The digest of the sender's store after that entry.
    pub digest: u64,
}

/// Tells a peer that its store differs from that of a majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateDiverged {
    /// The entry after which the stores were compared.
    pub index: LogIndex,
    /// The digest of the majority's stores after that entry.
    pub digest: u64,
}

/// Tells a peer what it acknowledged in an earlier run of its process. The peer judges for
/// itself whether it has forgotten that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The run of the receiver's process in which it acknowledged that.
    pub boot: BootId,
    /// The term of the leader to which it was acknowledged.
    pub leader_term: Term,
    /// The last entry that was acknowledged.
    pub acknowledged: LogPosition,
}

/// Asks the receiver to start an election at once, without a PreVote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutNow {
    /// The end of the leader's log, which is committed. The receiver has it.
    pub last: LogPosition,
}

/// Tells a learner that has just got its data directory that no promise of an earlier life of its
/// id counts any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The run of the receiver's process that is meant.
    pub boot: BootId,
    /// The entry of the leader's newest membership, in which the receiver is a learner. It is
    /// committed.
    pub membership: LogIndex,
}

/// Asks the leader for the newest entry that a read must see which comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadIndexRequest {
    /// The run of the sender's process: numbers begin anew with each.
    pub boot: BootId,
    /// The number of the question in that run. It rises, and the answer repeats it.
    pub number: u64,
}

/// The answer to [`ReadIndexRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadIndexResponse {
    /// That of the question.
    pub boot: BootId,
    /// That of the question.
    pub number: u64,
    /// The entry; `None` when the sender does not lead the term of the question.
    pub index: Option<LogIndex>,
}

/// A client's command on its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The run of the sender's process: numbers begin anew with each.
    pub boot: BootId,
    /// The number of the command in that run. It rises.
    pub number: u64,
    /// The command.
    pub command: Bytes,
}

/// Tells a peer what has become of a command that it has forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// That of the [`Forward`].
    pub boot: BootId,
    /// That of the [`Forward`].
    pub number: u64,
    /// The outcome.
    pub outcome: ForwardOutcome,
}

/// The outcome of a [`Forward`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// The command is this entry of the leader's log, of the term of the envelope.
    Appended(LogIndex),
    /// The node does not lead: it has appended nothing.
    NotLeader,
    /// The leader has too much in flight: it has appended nothing.
    Busy,
    /// The format in force does not have the command: the leader has appended nothing.
    NotYet,
}

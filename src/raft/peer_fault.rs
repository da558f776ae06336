//! The faults of a peer that show in one of its messages: no sound node sends such a one.
//!
//! A peer that is broken must not break this node as well. Its message is refused before it
//! changes anything, and the connection that it came on is ended.

use crate::types::{LogIndex, LogPosition, Term};

/// Maximum distance of a peer's term above this node's own, in terms. A server with a new disk
/// begins at term 0 and meets an old cluster, but at a thousand elections a second a cluster
/// would reach this term after 34 years. Terms never fall and are durable, so a larger one
/// that was adopted by mistake would bring the cluster near the end of all terms for ever.
pub(super) const TERM_LEAD_MAX: u64 = 1 << 40;

/// The reason why a message of a peer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// No cluster comes to this term.
    #[error(
        "it is in term {theirs}, and no cluster is {TERM_LEAD_MAX} terms ahead of this node's \
         term {ours}"
    )]
    Term {
        /// The term of the message.
        theirs: Term,
        /// The term of this node.
        ours: Term,
    },
    /// The peer answers a request that it was not sent.
    #[error("it answers request {answered}, and the last one that it was sent is {sent}")]
    Request {
        /// The number of the request in the answer.
        answered: u64,
        /// The number of the last request.
        sent: u64,
    },
    /// The peer confirms a round of reads that it was not asked to confirm.
    #[error("it confirms round {confirmed} of reads, and the last one that it was sent is {sent}")]
    Round {
        /// The round in the answer.
        confirmed: u64,
        /// The newest round in a request to the peer.
        sent: u64,
    },
    /// The peer acknowledges an entry that the leader does not have.
    #[error("it acknowledges entry {match_index}, and the leader's log ends with entry {last}")]
    Match {
        /// The last entry that the peer acknowledges.
        match_index: LogIndex,
        /// The end of the leader's log.
        last: LogIndex,
    },
    /// The peer names a place of conflict where no request has asked.
    #[error(
        "it reports a conflict at entry {conflict_index}, and the leader's log has the entries \
         from 1 to {last}"
    )]
    ConflictIndex {
        /// The place of the conflict.
        conflict_index: LogIndex,
        /// The end of the leader's log.
        last: LogIndex,
    },
    /// The peer has, in its leader's own term or a later one, an entry that the leader did
    /// not make.
    #[error("it reports a conflict with an entry of term {conflict_term} in term {term}")]
    ConflictTerm {
        /// The term of the peer's entry.
        conflict_term: Term,
        /// The leader's term.
        term: Term,
    },
    /// The peer answers about a snapshot of entries that the leader does not have.
    #[error("it answers about a snapshot up to {snapshot}, and the leader's log ends with {last}")]
    Snapshot {
        /// The last entry of the snapshot.
        snapshot: LogPosition,
        /// The end of the leader's log.
        last: LogIndex,
    },
    /// The peer remembers what nobody can have acknowledged by now.
    #[error(
        "it remembers that {acknowledged} was acknowledged to the leader of term {leader_term}, \
         and it is in term {term}"
    )]
    Remembered {
        /// The term of the leader.
        leader_term: Term,
        /// The last entry that was acknowledged.
        acknowledged: LogPosition,
        /// The term of the message.
        term: Term,
    },
    /// The peer has more bytes of the snapshot than the snapshot has.
    #[error("it has {received} bytes of a snapshot of {bytes} bytes")]
    Received {
        /// The number of bytes in the answer.
        received: u64,
        /// The size of the snapshot in bytes.
        bytes: u64,
    },
}

/// Checks the term of a peer's message against this node's own.
///
/// # Errors
/// When it is more than [`TERM_LEAD_MAX`] above.
pub(super) fn check_term(theirs: Term, ours: Term) -> Result<(), PeerFault> {
    if theirs.0.saturating_sub(ours.0) > TERM_LEAD_MAX {
        return Err(PeerFault::Term { theirs, ours });
    }
    Ok(())
}

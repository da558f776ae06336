//! The promises that a node gives to others, as targets of [`Fault::Strike`].
//!
//! [`Fault::Strike`]: crate::testing::simulation::Fault::Strike

use rand::RngExt;
use rand::rngs::StdRng;

use crate::raft::Rpc;

/// A kind of message whose content the sender must not forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A candidate's vote for itself.
    Candidacy,
    /// A vote for another node.
    Vote,
    /// The acknowledgement of entries.
    Acknowledgement,
    /// Entries that the leader has.
    Entries,
    /// A chunk of the leader's snapshot.
    Chunk,
    /// The receipt of a chunk of a snapshot.
    Receipt,
    /// The receipt of a whole snapshot.
    Installation,
}

impl Promise {
    pub(crate) fn draw(rng: &mut StdRng) -> Promise {
        let all = [
            Promise::Candidacy,
            Promise::Vote,
            Promise::Acknowledgement,
            Promise::Entries,
            Promise::Chunk,
            Promise::Receipt,
            Promise::Installation,
        ];
        all[rng.random_range(0..all.len())]
    }

    /// The promise that a message gives, if it gives one.
    pub(super) fn of(rpc: &Rpc) -> Option<Promise> {
        match rpc {
            Rpc::RequestVote(_) => Some(Promise::Candidacy),
            Rpc::RequestVoteResponse(response) if response.vote_granted => Some(Promise::Vote),
            Rpc::AppendEntriesResponse(_) => Some(Promise::Acknowledgement),
            Rpc::AppendEntries(request) if !request.entries.is_empty() => Some(Promise::Entries),
            Rpc::InstallSnapshot(chunk) if !chunk.bytes.is_empty() => Some(Promise::Chunk),
            Rpc::InstallSnapshotResponse(response) => Some(match response.is_installed {
                true => Promise::Installation,
                false => Promise::Receipt,
            }),
            _ => None,
        }
    }
}

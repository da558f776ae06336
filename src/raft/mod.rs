//! Stub.
mod effect;
mod rpc;
mod status;
pub use effect::PersistSeq;
pub use rpc::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, PreVote, PreVoteResponse,
    RequestVote, RequestVoteResponse, Rpc,
};
pub use status::{NodeStatus, Role};

/// What a replicator tells the core of its peer; see `raft::Raft::on_replicated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationReport {
    /// Up to here the peer's log is durable and equal to the leader's.
    pub match_index: crate::types::LogIndex,
    /// The newest round of reads that the peer has confirmed.
    pub read_seq: u64,
}

//! The bounds of RaftActor.

use crate::kv::HistoryLimits;

/// The bounds of RaftActor.
#[derive(Clone, Copy, Debug)]
pub struct RaftActorSettings {
    /// Maximum number of clients' commands under way, answered or not, until they are
    /// applied; beyond, `ERR_BUSY`.
    pub pending_commands_max: usize,
    /// Maximum number of bytes of proposals under way; beyond, `ERR_BUSY`.
    pub pending_bytes_max: u64,
    /// Ticks after which a command that is not done gets `ERR_TIMEOUT`.
    pub request_timeout_ticks: u64,
    /// The bounds of the history that this server wants as the leader.
    pub history: HistoryLimits,
    /// Milliseconds of silence after which `member list` says that a member is unseen.
    pub unseen_ms: u64,
}

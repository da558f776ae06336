//! The summary of a log that recovery hands to the Raft core.

use super::cluster_state::ClusterHistory;
use super::term_runs::TermRuns;

/// The parts of a log that the Raft core keeps in memory; the entries stay on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The terms of the log, and its end.
    pub runs: TermRuns,
    /// The facts about the cluster: those at the base, and every later change of them.
    pub cluster: ClusterHistory,
    /// The stamp of the last entry, or of the base, in milliseconds.
    pub last_stamp_ms: u64,
}

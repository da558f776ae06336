//! The summary of a log that recovery hands to the Raft core.

use super::ids::LogIndex;
use super::membership::Membership;
use super::term_runs::TermRuns;

/// The parts of a log that the Raft core keeps in memory; the entries stay on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The terms of the log, and its end.
    pub runs: TermRuns,
    /// The membership in force at the base, if there is one, and every membership entry
    /// after it, oldest first.
    pub memberships: Vec<(LogIndex, Membership)>,
    /// The stamp of the last entry, or of the base, in milliseconds.
    pub last_stamp_ms: u64,
}

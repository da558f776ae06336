//! The summary of a log that recovery hands to the Raft core.

use super::ids::{LogIndex, LogPosition};
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
    /// The furthest position that is known to have been in the log, of a node whose log was
    /// cut where it was damaged (docs/adr/0009); 0@0 otherwise.
    pub lost: LogPosition,
}

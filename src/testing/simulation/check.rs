//! What is checked: every promise, and where it was given.

use std::fmt;

/// A promise. "§" is the Raft paper (extended version), "dissertation §" Ongaro's
/// thesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// At most one leader can be elected in a given term (§5.2).
    ElectionSafety,
    /// A node votes for at most one candidate a term, whatever becomes of its
    /// memory and its disk (§5.2).
    OneVote,
    /// A leader has the votes of a majority (§5.2).
    ElectionQuorum,
    /// Before a node stands for election a majority would vote for it
    /// (dissertation §9.6).
    PreVote,
    /// A vote is only for a log that is at least as up-to-date (§5.4.1).
    ElectionRestriction,
    /// A leader never overwrites or deletes entries in its log (§5.3).
    LeaderAppendOnly,
    /// Logs that have an entry in common are the same up to it (§5.3).
    LogMatching,
    /// What is committed is in the logs of all later leaders (§5.4).
    LeaderCompleteness,
    /// No two nodes apply different entries at one index (§5.4.3).
    StateMachineSafety,
    /// What is committed is on the disks of a quorum (§5.3).
    DurableQuorum,
    /// A leader counts copies of entries of its own terms only (§5.4.2).
    CommitRule,
    /// A vote and a term are on disk before anybody hears of them (Figure 2).
    DurableVote,
    /// An entry is on disk before it is acknowledged (Figure 2).
    DurableAcknowledgement,
    /// A snapshot is the state of the committed log at its last entry, whole when it has
    /// its name, and the log goes on from it without a gap (§7).
    Snapshot,
    /// Who may have forgotten takes no part before it has caught up
    /// (docs/adr/0005).
    Rejoining,
    /// Terms, commit and applied indexes never fall within a life (Figure 2).
    Monotonic,
    /// The history of each key is linearizable (§8).
    Linearizability,
    /// Versions rise with real time over all keys.
    VersionOrder,
    /// Every acknowledged write is there, at its version (§8).
    AcknowledgedWrites,
    /// No write is executed twice, and none that was refused
    /// (dissertation §6.3).
    ExactlyOnce,
    /// A key is never gone before its deadline, by the stamps of the log; stamps
    /// never fall, and never are of a time that no clock has shown; and in peace
    /// a key is gone within a second of its deadline, by the leader's clock
    /// (docs/protocol.md, "Time").
    Expiry,
    /// A node ends by itself only if something was done to its disk, and starts
    /// from whatever its disk kept.
    NodeLives,
    /// A node stays within its windows, queues and buffers.
    Bounds,
    /// Once faults are over a write succeeds soon.
    Recovery,
    /// A leader that has a quorum and a disk that answers stays (dissertation §6.2,
    /// §9.6).
    Stability,
    /// And all nodes are equal soon (§5.4.3).
    Agreement,
    /// Every command is answered in time (docs/protocol.md).
    Answers,
    /// Replies are those of docs/protocol.md.
    Protocol,
    /// The nodes' own assertions.
    Assertion,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// How it showed.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

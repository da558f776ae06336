//! The checks, each with the source of the promise that it checks.

use std::fmt;

/// A promise. "§" is the Raft paper (extended version), "dissertation §" Ongaro's
/// thesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// At most one leader can be elected in a given term (§5.2).
    ElectionSafety,
    /// A node votes for at most one candidate in a term, even after a restart or the loss of its
    /// disk (§5.2).
    OneVote,
    /// A leader has the votes of a majority (§5.2).
    ElectionQuorum,
    /// A majority has granted a PreVote to a node before it requests votes (dissertation §9.6).
    PreVote,
    /// A vote is only for a log that is at least as up-to-date (§5.4.1).
    ElectionRestriction,
    /// A leader never overwrites or deletes entries in its log (§5.3).
    LeaderAppendOnly,
    /// Logs that have an entry in common are the same up to it (§5.3).
    LogMatching,
    /// Committed entries are in the logs of all later leaders (§5.4).
    LeaderCompleteness,
    /// No two nodes apply different entries at one index (§5.4.3).
    StateMachineSafety,
    /// Committed entries are on the disks of a quorum (§5.3).
    DurableQuorum,
    /// A leader counts copies of entries of its own terms only (§5.4.2).
    CommitRule,
    /// A vote and a term are on disk before they are sent to a node (Figure 2).
    DurableVote,
    /// An entry is on disk before it is acknowledged (Figure 2).
    DurableAcknowledgement,
    /// A snapshot is the state of the committed log at its last entry, it is whole once it has
    /// its name, and the log goes on from it without a gap (§7).
    Snapshot,
    /// A node that may have lost data takes no part before it has caught up (docs/adr/0005).
    Rejoining,
    /// The format is raised by one, when all members are connected and can read the next one
    /// (docs/adr/0023).
    FormatRaised,
    /// Nothing of a format is written before it is in force, and a node stores nothing of a format
    /// that its program does not read (docs/adr/0023).
    FormatAhead,
    /// Voters change by joint consensus, one change at a time, by a leader that has committed in
    /// its term; a server learns before it votes, and ids are used once (dissertation §4,
    /// docs/adr/0026).
    Membership,
    /// A server that knows that it was removed takes part no more (docs/adr/0026).
    Removed,
    /// The leadership is handed over only by a leader whose whole log is committed, and only to
    /// the follower that it has asked (dissertation §3.10, docs/adr/0028).
    Transfer,
    /// A cluster has one id, which is made once (docs/adr/0024).
    ClusterIdentity,
    /// Empty disks are never taken for a new cluster when there was one (docs/adr/0024).
    NewCluster,
    /// A node whose memory is at fault stops by itself, and no other one does (docs/adr/0025).
    Memory,
    /// Terms, commit and applied indexes never fall within a life (Figure 2).
    Monotonic,
    /// The history of each key is linearizable (§8).
    Linearizability,
    /// Versions rise with real time over all keys.
    VersionOrder,
    /// Every acknowledged write is in the log, at its version (§8).
    AcknowledgedWrites,
    /// No write is executed twice, and no refused write is executed (dissertation §6.3).
    ExactlyOnce,
    /// A key never expires before its deadline, by the stamps of the log. Stamps never fall, and
    /// no stamp is later than every clock. In the fault-free phase a key expires within a second
    /// of its deadline, by the leader's clock (docs/protocol.md, "Time").
    Expiry,
    /// Each watcher's stream is the committed history of its keys: whole, in order, each change
    /// once, no revision torn (docs/protocol.md, "Watches").
    Watches,
    /// A read of what a server has applied was true at some time, and none on a connection goes
    /// back behind the one before (docs/protocol.md, "Reads and writes on any server").
    StaleReads,
    /// A node ends by itself only after a fault of its disk, and starts with whatever its disk
    /// has kept.
    NodeLives,
    /// A node stays within its windows, queues and buffers.
    Bounds,
    /// A write succeeds soon after the end of the faults.
    Recovery,
    /// A leader with a quorum and a disk that answers stays the leader (dissertation §6.2, §9.6).
    Stability,
    /// All nodes are equal soon after the end of the faults (§5.4.3).
    Agreement,
    /// Every command is answered in time (docs/protocol.md).
    Answers,
    /// Replies are those of docs/protocol.md.
    Protocol,
    /// A read sees the writes before it on its connection, and none after it (docs/protocol.md).
    SessionOrder,
    /// No assertion of a node fails.
    Assertion,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check that found it.
    pub check: Check,
    /// A description of what was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

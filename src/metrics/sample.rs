//! The numbers of a node at one moment, as the console shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::durations::DurationCounts;
use super::measures::from_gauge;
use super::process::ProcessSample;
use super::{NodeMetrics, ProcessMetrics};
use crate::types::{LogIndex, NodeId, Term};

/// The commands that write. A transaction counts among them, whatever it does.
const WRITES: &[&str] =
    &["add", "cas", "commit", "compact", "delete", "end", "grant", "renew", "revoke", "set"];
/// The commands that read.
const READS: &[&str] = &["get", "getm", "lease", "range", "scan"];

/// The numbers of a node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The moment, by the monotonic clock.
    pub at: Duration,
    /// The moment in milliseconds since the Unix epoch, by the wall clock.
    pub at_ms: u64,
    /// The consensus.
    pub raft: RaftSample,
    /// The times of syncs of the log.
    pub fsync: DurationCounts,
    /// The clients.
    pub clients: ClientSample,
    /// The store.
    pub store: StoreSample,
    /// The longest time by which the main thread was late within the last second.
    pub turn_max: Duration,
    /// The facts that the kernel knows.
    pub process: ProcessSample,
}

/// The numbers of the consensus.
#[derive(Clone, Debug, Default)]
pub struct RaftSample {
    /// True when the node leads its term.
    pub is_leader: bool,
    /// The current term.
    pub term: Term,
    /// The end of the log.
    pub last_log_index: LogIndex,
    /// The newest entry that is known to be committed.
    pub commit_index: LogIndex,
    /// The newest entry that each peer is known to have; `None` for one whose log is not known.
    pub matched: BTreeMap<NodeId, Option<LogIndex>>,
    /// Number of writes that wait for their commit.
    pub proposals_pending: u64,
    /// The times from the proposal of entries to their commit.
    pub commit: DurationCounts,
    /// The times from the commit of entries, as this node knows it, to their application.
    pub apply: DurationCounts,
}

/// The numbers of the clients; commands are counted from the start of the server.
#[derive(Clone, Debug, Default)]
pub struct ClientSample {
    /// Number of clients that are connected.
    pub sessions: u64,
    /// Number of watches.
    pub watches: u64,
    /// Number of commands that wrote.
    pub writes: u64,
    /// Number of commands that read.
    pub reads: u64,
    /// Number of commands that were not executed, or not as far as is known.
    pub failures: u64,
    /// The times from the arrival of commands that read to their answers.
    pub read: DurationCounts,
}

/// The numbers of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreSample {
    /// Size of keys and values in bytes.
    pub bytes: u64,
    /// Size of the history in bytes.
    pub history_bytes: u64,
    /// The memory in bytes that clients use together.
    pub memory_used_bytes: u64,
    /// The memory in bytes that clients may use together.
    pub memory_bytes_max: u64,
}

impl NodeMetrics {
    /// The numbers of this moment. It enters no mailbox, and reads no disk.
    pub fn sample(&self, process: &ProcessMetrics) -> Sample {
        let NodeMetrics { raft, log, peers, clients, store, .. } = self;
        Sample {
            at: raft.now(),
            at_ms: raft.wall_ms(),
            raft: RaftSample {
                is_leader: raft.state.is_leader.get() != 0,
                term: raft.term(),
                last_log_index: LogIndex(from_gauge(&raft.state.last_log_index)),
                commit_index: LogIndex(from_gauge(&raft.state.commit_index)),
                matched: peers.matched(),
                proposals_pending: from_gauge(&raft.proposals.pending),
                commit: raft.proposals.commit_duration.counts(),
                apply: raft.proposals.apply_duration.counts(),
            },
            fsync: log.fsync_duration.counts(),
            clients: ClientSample {
                sessions: from_gauge(&clients.sessions),
                watches: from_gauge(&clients.watches),
                writes: clients.answered(WRITES),
                reads: clients.answered(READS),
                failures: clients.failed.get(),
                read: clients.durations_of(READS),
            },
            store: StoreSample {
                bytes: from_gauge(&store.bytes),
                history_bytes: from_gauge(&store.history_bytes),
                memory_used_bytes: from_gauge(&store.memory_used_bytes),
                memory_bytes_max: from_gauge(&store.memory_bytes_max),
            },
            turn_max: self.main_thread.max_within(Duration::from_secs(1)),
            process: process.sample(),
        }
    }
}

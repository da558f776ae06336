//! The measurements of a node, and the registry that the HTTP port prints.
//!
//! Each node has metrics of its own: many nodes run in one process in tests. The actors hold
//! handles and change them as they work. A scrape reads the handles and enters no mailbox, so it
//! is answered however busy or stuck the node is (docs/adr/0032).
//!
//! | file | contents |
//! | --- | --- |
//! | `raft` | role, term, positions, elections, proposals, and the pulse of the main thread |
//! | `log` | syncs and writes of the log, and for how long the disk is silent |
//! | `peers` | the connections to peers, and how far each has the log |
//! | `clients` | connections, commands and their durations |
//! | `store` | keys, history, leases, memory; how long entries take to apply |
//! | `main_thread` | by how much the main thread comes late |
//! | `mailboxes` | how long messages wait in the mailboxes of actors |
//! | `snapshots` | snapshots that were saved |
//! | `process` | processor, memory and files of the process, and the disk's free space |
//! | `terms` | the terms that the node has seen, and why each began |
//! | `wall_clock` | the time of day, for the comparison of servers |
//! | `etcd` | the same numbers by the names that etcd's dashboards and alerts use |
//! | `sample` | the numbers of one moment, as the console shows them |
//! | `registry` | all of them together |
//! | `durations` | histograms of durations that can be read back |
//! | `moment` | a moment that threads share |
//! | `measures` | the form of numbers, and the clock |

mod clients;
mod durations;
mod etcd;
mod log;
mod mailboxes;
mod main_thread;
mod measures;
mod moment;
mod peers;
mod process;
mod raft;
mod registry;
mod sample;
mod snapshots;
mod store;
mod terms;
mod wall_clock;

use std::sync::Arc;

pub use clients::{ClientMetrics, CommandMetrics};
pub use durations::DurationCounts;
pub use log::LogMetrics;
pub use mailboxes::{MailboxMetrics, MailboxesMetrics};
pub use main_thread::MainThreadMetrics;
pub use peers::{LeadersView, PeerMetrics, PeersMetrics};
pub use process::{DiskSample, ProcessMetrics, ProcessSample};
pub use raft::{MAIN_THREAD_SILENCE_MAX, ProposalFailure, RaftMetrics, RaftState};
pub use sample::{ClientSample, RaftSample, Sample, StoreSample};
pub use snapshots::SnapshotMetrics;
pub use store::{StoreMetrics, StoreState};
pub use terms::{TERMS_MAX, TermCause, TermHistory, TermRecord};

use crate::clock::Clock;
use measures::system_clock;

/// Everything that a node measures. Clones share the numbers.
#[derive(Clone)]
pub struct NodeMetrics {
    /// Measured by RaftActor.
    pub raft: RaftMetrics,
    /// Measured by LogActor.
    pub log: LogMetrics,
    /// Measured by the actors of each peer.
    pub peers: PeersMetrics,
    /// Measured by the acceptor and the sessions of clients.
    pub clients: ClientMetrics,
    /// Measured by KvActor.
    pub store: StoreMetrics,
    /// Measured by SnapshotWriterActor.
    pub snapshots: SnapshotMetrics,
    /// Measured by TickerActor.
    pub main_thread: MainThreadMetrics,
    /// Measured by ProberActor.
    pub mailboxes: MailboxesMetrics,
}

impl NodeMetrics {
    /// The metrics of a node that measures time by this clock.
    pub fn new(clock: &Arc<dyn Clock>) -> NodeMetrics {
        NodeMetrics {
            raft: RaftMetrics::new(Arc::clone(clock)),
            log: LogMetrics::new(Arc::clone(clock)),
            peers: PeersMetrics::default(),
            clients: ClientMetrics::new(Arc::clone(clock)),
            store: StoreMetrics::new(Arc::clone(clock)),
            snapshots: SnapshotMetrics::default(),
            main_thread: MainThreadMetrics::new(Arc::clone(clock)),
            mailboxes: MailboxesMetrics::new(Arc::clone(clock)),
        }
    }
}

impl Default for NodeMetrics {
    fn default() -> NodeMetrics {
        NodeMetrics::new(&system_clock())
    }
}

#[cfg(test)]
mod tests;

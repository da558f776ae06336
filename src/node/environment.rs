//! The surroundings of a node: the system's own in production, simulated ones in tests.

use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use tokio::task::LocalSet;

use crate::actors::messages::log::LogPersisted;
use crate::clock::Clock;
use crate::net::Network;
use crate::storage::Disk;

/// The surroundings of a node.
pub struct Environment {
    /// Dials and listens.
    pub network: Rc<dyn Network>,
    /// Gives the stamps of entries, and the time that has passed.
    pub clock: Arc<dyn Clock>,
    /// Keeps the data directory.
    pub disk: Box<dyn Disk>,
    /// The threads that the actors run on.
    pub placement: Placement,
    /// Seeds the election timeouts and the jitter of dials.
    pub seed: u64,
    /// Maximum number of files that the process may have open, connections among them.
    pub open_files_max: u64,
    /// True when the person who starts the node says that it founds a cluster of its own, if
    /// its settings list no other server and it has no data. No node can tell that case from
    /// a lost disk (docs/adr/0005).
    pub is_new_cluster: bool,
}

/// The threads that the actors of a node run on.
#[derive(Clone)]
pub enum Placement {
    /// Each blocking actor has an arbiter of its own; client sessions have as many as are
    /// configured.
    Threads,
    /// All actors run on the calling thread, so that a run can be repeated exactly.
    Inline {
        /// The set that the blocking actors run in. Its owner decides how long the disk
        /// takes.
        blocking: Rc<LocalSet>,
        /// Delays LogActor's answers to RaftActor, as another thread would.
        answers: Answers,
    },
}

/// Gives LogActor another address for its answers than that of RaftActor.
pub type Answers = Rc<dyn Fn(Recipient<LogPersisted>) -> Recipient<LogPersisted>>;

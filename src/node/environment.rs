//! The surroundings of a node: the system's own in production, simulated ones in tests.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::task::LocalSet;

use crate::actors::messages::log::LogPersisted;
use crate::clock::Clock;
use crate::net::Network;
use crate::storage::Disk;
use crate::types::{BootId, ClusterId, FormatRange, Incarnation};

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
    /// The facts about this run of the process.
    pub surroundings: Surroundings,
    /// Maximum number of files that the process may have open, connections among them.
    pub open_files_max: u64,
}

/// The facts about one run of a node's process.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Seeds the election timeouts and the jitter of dials.
    pub seed: u64,
    /// The formats that the node reads.
    pub formats: FormatRange,
    /// Numbers that are drawn anew for each run.
    pub random: RandomIds,
    /// True when the person who starts the node says that its cluster is new. No node can tell
    /// that case from the loss of all disks that it can ask (docs/adr/0005, docs/adr/0024).
    pub is_new_cluster: bool,
}

impl Surroundings {
    /// The facts about this run, with numbers from the system's source of randomness.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn drawn(is_new_cluster: bool) -> Result<Surroundings, io::Error> {
        Ok(Surroundings {
            // Two nodes need different seeds, and so do two starts of one node.
            seed: draw()?,
            formats: FormatRange::OWN,
            random: RandomIds {
                new_cluster_id: ClusterId(draw_wide()?),
                new_incarnation: draw_incarnation()?,
                boot: BootId(draw()?),
            },
            is_new_cluster,
        })
    }
}

/// Draws the id of a data directory.
///
/// # Errors
/// When the system has no random numbers.
pub fn draw_incarnation() -> Result<Incarnation, io::Error> {
    Ok(Incarnation(draw_wide()?))
}

fn draw() -> Result<u64, io::Error> {
    SysRng.try_next_u64().map_err(io::Error::other)
}

fn draw_wide() -> Result<u128, io::Error> {
    Ok(u128::from(draw()?) << 64 | u128::from(draw()?))
}

/// Ids that nobody else has. Each is used only if it is needed.
#[derive(Clone, Copy, Debug)]
pub struct RandomIds {
    /// The id of the cluster, if this node is to found one.
    pub new_cluster_id: ClusterId,
    /// The id of the data directory, if it is new.
    pub new_incarnation: Incarnation,
    /// The id of this run.
    pub boot: BootId,
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

//! The part of the plan about transactions, leases, the history and its watchers.

use rand::RngExt;
use rand::rngs::StdRng;

/// The commands on transactions, leases and history that the clients of a run send, and its
/// watchers.
#[derive(Clone, Copy, Debug)]
pub struct ModelPlan {
    /// The share of transactions among the commands.
    pub transactions: Often,
    /// The share of commands about leases.
    pub leases: Often,
    /// The share of compactions.
    pub compactions: Often,
    /// The number of watchers.
    pub watchers: u64,
    /// The number of clients that read what any server has applied.
    pub stale_readers: u64,
    /// True when some clients let any server serve them.
    pub are_some_anywhere: bool,
}

/// A frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Often {
    /// Never.
    Never,
    /// Some of all commands.
    Seldom,
    /// Many of all commands.
    Often,
}

impl ModelPlan {
    /// The plan of a run whose clients send all of it, but seldom.
    pub const SOME: ModelPlan = ModelPlan {
        transactions: Often::Seldom,
        leases: Often::Seldom,
        compactions: Often::Never,
        watchers: 1,
        stale_readers: 1,
        are_some_anywhere: false,
    };

    /// Draws the plan of a seed.
    pub fn draw(rng: &mut StdRng) -> ModelPlan {
        let kinds = [Often::Never, Often::Seldom, Often::Seldom, Often::Often];
        let mut often = || kinds[rng.random_range(0..kinds.len())];
        let (transactions, leases) = (often(), often());
        ModelPlan {
            transactions,
            leases,
            compactions: [Often::Never, Often::Never, Often::Seldom][rng.random_range(0..3)],
            watchers: [0, 1, 2, 4][rng.random_range(0..4)],
            stale_readers: [0, 1, 2][rng.random_range(0..3)],
            are_some_anywhere: rng.random_bool(0.6),
        }
    }
}

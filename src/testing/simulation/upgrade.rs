//! The programs that the machines run. A cluster may be upgraded while it runs, so each life of
//! a node has one of two programs (docs/adr/0023).

use std::cell::Cell;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::types::FormatRange;

/// The file in a data directory by which a server holds the format.
pub(crate) const HOLD: &str = "hold";

/// A program of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// It reads format 1 only.
    Old,
    /// It reads all formats.
    New,
}

impl Program {
    /// The formats that the program reads.
    pub fn formats(self) -> FormatRange {
        match self {
            Program::Old => FormatRange::FIRST_ONLY,
            Program::New => FormatRange::OWN,
        }
    }
}

/// The programs of one machine.
pub(crate) struct Programs {
    /// The program of the current or last life.
    pub(crate) running: Cell<Program>,
    /// The program of the next life.
    pub(crate) next: Cell<Program>,
}

impl Programs {
    pub(crate) fn new(program: Program) -> Programs {
        Programs { running: Cell::new(program), next: Cell::new(program) }
    }
}

/// The plan by which the machines of a run come to the new program. At the end of the faults all
/// of them run it, and no format is held.
#[derive(Clone, Copy, Debug)]
pub struct UpgradePlan {
    /// The number of machines that begin with the old program: those with the lowest ids.
    pub old_at_first: u64,
    /// The longest pause between two steps, in milliseconds.
    pub pause_ms_max: u64,
    /// True when machines also go back to the old program.
    pub has_downgrades: bool,
    /// True when machines are told to hold the format.
    pub has_holds: bool,
    /// True when the first starts say that the cluster is new.
    pub is_new_cluster: bool,
}

impl UpgradePlan {
    /// The plan of a run without the old program.
    pub const NONE: UpgradePlan = UpgradePlan {
        old_at_first: 0,
        pause_ms_max: 0,
        has_downgrades: false,
        has_holds: false,
        is_new_cluster: true,
    };

    /// Draws the plan of a seed. Two of five seeds have no old program.
    pub fn draw(nodes: u64, rng: &mut StdRng) -> UpgradePlan {
        let old_at_first = match rng.random_range(0..5) {
            0 | 1 => 0,
            2 => rng.random_range(1..=nodes),
            _ => nodes,
        };
        let is_mixed = old_at_first > 0;
        UpgradePlan {
            old_at_first,
            pause_ms_max: [400, 1_500, 5_000][rng.random_range(0..3)],
            has_downgrades: rng.random_bool(if is_mixed { 0.6 } else { 0.2 }),
            has_holds: rng.random_bool(0.3),
            is_new_cluster: rng.random_bool(0.6),
        }
    }

    /// The program of the first life of machine `id`.
    pub fn program_at_first(&self, id: u64) -> Program {
        if id <= self.old_at_first { Program::Old } else { Program::New }
    }

    /// True when the plan has steps.
    pub fn has_steps(&self) -> bool {
        self.old_at_first > 0 || self.has_downgrades || self.has_holds
    }
}

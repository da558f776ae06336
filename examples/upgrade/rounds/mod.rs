//! The rounds. Each of them begins with a cluster of the old program.
//!
//! | module | rounds |
//! | --- | --- |
//! | `orders` | the orders in which servers are upgraded, and the way back |
//! | `kills` | leaders that are killed at each step, and rolling restarts |
//! | `files` | snapshots and backups of one program that the other one reads |
//! | `blank` | servers without data |
//! | `refusals` | the old program after the format was raised, and `upgrade check` |

mod blank;
mod files;
mod kills;
mod orders;
mod refusals;

use coracle::testing::drill::Failure;

use crate::drill::{Outcome, Plan};

/// A round.
pub struct Round {
    /// Its name on the command line.
    pub name: &'static str,
    /// The things that it does, as a clause.
    pub what: &'static str,
    /// The function that plays it. Its text is the name of the round's cluster.
    pub play: fn(&Plan, &str) -> Result<Outcome, Failure>,
}

/// All rounds, in their order.
pub const ROUNDS: &[Round] = &[
    Round { name: "R1", what: "upgrade in order of ids", play: orders::ascending },
    Round { name: "R2", what: "upgrade in reverse order", play: orders::descending },
    Round { name: "R3", what: "upgrade, leader first", play: orders::leader_first },
    Round { name: "R4", what: "upgrade, leader last", play: orders::leader_last },
    Round {
        name: "R5",
        what: "held: all new, all old again, all new",
        play: orders::back_and_forth,
    },
    Round { name: "R5s", what: "the same by kill -9, not held", play: orders::by_settings },
    Round { name: "R6", what: "leader killed at each step", play: kills::at_each_step },
    Round { name: "R6r", what: "leader killed around the raise", play: kills::around_the_raise },
    Round { name: "R6s", what: "a raise that only the leader has", play: kills::raise_of_one },
    Round { name: "R7", what: "snapshots from new to old and back", play: files::snapshots },
    Round { name: "R8", what: "backups of one read by the other", play: files::backups },
    Round { name: "R9", what: "old program refused after the raise", play: refusals::after_raise },
    Round { name: "R10", what: "upgrade check, and what happens", play: refusals::check },
    Round { name: "R11", what: "rolling restarts of a mixed cluster", play: kills::rolling },
    Round { name: "R12", what: "both programs found a cluster", play: blank::founding },
    Round { name: "R13", what: "disks lost in a mixed cluster", play: blank::lost_disks },
];

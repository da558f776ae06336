//! Drills: clusters of real processes that are disturbed under load, and what is checked of them.
//! The examples that drive them begin with these parts.
//!
//! | file | contents |
//! |---|---|
//! | `fleet` | the servers of a cluster as processes |
//! | `process` | the ports, ends and outputs of processes |
//! | `load` | clients that write and read, and the history of their commands |
//! | `bare` | a client without the client library |
//! | `talk` | single commands as text |
//! | `members` | the members and their changes |
//! | `verdict` | the checks of histories, stores and logs |
//! | `failure` | the reason why a drill has failed |

mod bare;
mod failure;
mod fleet;
mod load;
mod members;
mod process;
mod talk;
mod verdict;

use std::time::Duration;

pub use failure::Failure;
pub use fleet::{Fleet, Stop};
pub use load::{LEDGER, Load, LoadPlan};
pub use members::{
    ListedMember, Members, begun, change, members_of, say_to_leader, wait_for_change,
};
pub use process::{block_on, free_ports, succeeded, wait_for_exit};
pub use talk::say;
pub use verdict::{
    check_history, check_identities, check_log, check_stores, count_failed, longest_gap_ms,
    lost_writes, scan_all,
};

/// The time that a drill waits for anything before it fails. It is far longer than anything takes
/// on any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

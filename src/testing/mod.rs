//! Replacements of the real world for tests: disk, network and clock, probes, the simulation
//! of a whole cluster, and drills of real ones. Production builds do not contain them.

#[cfg(test)]
pub(crate) mod byte_mutation;
mod directory_contents;
mod disk;
pub mod drill;
#[cfg(test)]
mod introduction;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
pub(crate) mod memberships;
#[cfg(test)]
pub(crate) mod peer_connection;
mod probe;
pub mod simulation;
mod store_faults;
#[cfg(test)]
pub(crate) mod store_model;

pub use directory_contents::{DirectoryContents, RecordPlace, Region};
pub use disk::{Crash, DiskOperation, SimDisk};
#[cfg(test)]
pub(crate) use introduction::{cluster_status, introduction, shut_gate};
#[cfg(test)]
pub(crate) use log_lines::LogLines;
pub use probe::{Inbox, KindInbox, Probe, probe, settle, turn};

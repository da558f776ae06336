//! What tests put in the place of the real world. Not in production builds.

mod disk;
#[cfg(test)]
pub(crate) mod mutation;
#[cfg(test)]
pub(crate) mod peer_connection;
mod probe;
pub mod simulation;
#[cfg(test)]
pub(crate) mod store_model;

pub use disk::{Crash, DiskOperation, SimDisk};
pub use probe::{Inbox, KindInbox, Probe, probe, settle, turn};

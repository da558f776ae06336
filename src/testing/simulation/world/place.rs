//! The tasks and the ports of machines.

/// The port on which the nodes of a plan listen for each other at first. A machine that moves gets
/// a higher one.
pub(crate) const PEER_PORT: u16 = 9001;
/// The port for clients of every node of a plan.
pub(crate) const CLIENT_PORT: u16 = 9000;

/// The task of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It stands by: no node has ever run on it.
    Spare,
    /// Its node is to run. It may have been removed and not know it.
    Serving,
    /// Its node was removed, and its process has ended for good.
    Retired,
}

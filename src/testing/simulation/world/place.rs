//! The tasks and the ports of machines.

use std::cell::Cell;
use std::path::PathBuf;

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

/// The place of a machine among the others, and the way in which its node starts.
pub(crate) struct Site {
    /// The directory of the node's files.
    pub(crate) dir: PathBuf,
    pub(crate) place: Cell<Place>,
    /// The port on which the node listens for its peers.
    pub(crate) peer_port: Cell<u16>,
    /// True when its node is started without a servers.toml, to join the others.
    pub(crate) is_joining: Cell<bool>,
    /// True while its process waits to become a member.
    pub(crate) is_asking: Cell<bool>,
    /// True while the node must not be started.
    pub(crate) is_away: Cell<bool>,
}

impl Site {
    pub(super) fn new(dir: PathBuf) -> Site {
        Site {
            dir,
            place: Cell::new(Place::Serving),
            peer_port: Cell::new(PEER_PORT),
            is_joining: Cell::default(),
            is_asking: Cell::default(),
            is_away: Cell::default(),
        }
    }
}

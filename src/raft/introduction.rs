//! The facts by which a server introduces itself to a peer at the beginning of each connection.

use crate::types::{Address, BootId, ClusterId, FormatRange, Incarnation, Member};

/// The facts in a hello that later versions of the server have added. A server from before
/// format 2 sends none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The formats that the server reads.
    pub formats: FormatRange,
    /// The version of its program, at most 64 bytes.
    pub binary: String,
    /// The id of its data directory.
    pub incarnation: Incarnation,
    /// The id of the run of its process.
    pub boot: BootId,
    /// The id of its cluster, when it knows one.
    pub cluster_id: Option<ClusterId>,
    /// True when a person has asked the server to hold the format where it is.
    pub is_held: bool,
    /// The addresses at which the server says it is reached; `None` from a server from before
    /// format 3.
    pub member: Option<Member>,
    /// True while the server is drained: it must not be made the leader.
    pub is_draining: bool,
    /// The address of its HTTP port, if it has one: servers show it to people, and ask each other
    /// there for what a console shows.
    pub http: Option<Address>,
}

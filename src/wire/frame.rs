//! A frame: one message between two nodes, as a value.

use super::hello::Hello;
use crate::raft::Envelope;

/// One frame of a connection between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame of either side of a connection.
    Hello(Hello),
    /// The acceptor's answer to a hello that it refuses. The acceptor closes the connection
    /// after it.
    Refused {
        /// The reason, as one sentence for the dialler's log.
        reason: String,
    },
    /// A message of Raft.
    Rpc(Envelope),
}

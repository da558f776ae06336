//! A frame: one message between two nodes, as a value.

use super::hello::Hello;
use super::join::{JoinAnswer, JoinRequest};
use crate::raft::Envelope;
use crate::types::LogIndex;

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
    /// The acceptor's answer to the hello of a server that the committed membership has removed,
    /// when that server reads format 3. The acceptor closes the connection after it.
    Removed {
        /// The entry that removed the server; 0 when the acceptor does not remember it any more.
        at: LogIndex,
    },
    /// The question of a server that joins. It takes the place of a hello.
    Join(JoinRequest),
    /// The answer to it. The acceptor closes the connection after it.
    Joined(JoinAnswer),
    /// The dialler's question whether the acceptor is still there, on a connection that has been
    /// idle. It goes to peers that read format 4 only.
    Probe,
    /// The answer to it.
    ProbeAnswer,
    /// A message of Raft.
    Rpc(Envelope),
}

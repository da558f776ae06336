//! The first frame of a connection, and who is let in.

use std::collections::BTreeSet;

use crate::types::NodeId;

/// The limit of a frame, in bytes, until the other side's hello was good: a
/// stranger cannot make us hold more.
pub const HELLO_FRAME_BYTES_MAX: usize = 4 * 1024;

/// Says who is speaking, and to whom it believes it does. The dialler sends one
/// first; the acceptor answers with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name of the sender's cluster.
    pub cluster: String,
    /// The sender.
    pub from: NodeId,
    /// The node that the sender expects at the other end.
    pub to: NodeId,
}

impl Hello {
    /// The hello that the other end answers with.
    #[must_use]
    pub fn answer(&self) -> Hello {
        Hello { cluster: self.cluster.clone(), from: self.to, to: self.from }
    }
}

/// What an acceptor knows of itself and of those it lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// The name of its cluster.
    pub cluster: String,
    /// Its id.
    pub id: NodeId,
    /// The other nodes of the cluster.
    pub peers: BTreeSet<NodeId>,
}

impl LocalNode {
    /// Checks a dialler's hello and answers it. A node that is not of this
    /// cluster, or not any more, never gets as far as sending a vote (B10).
    ///
    /// # Errors
    /// The reason to refuse it, for both sides' logs.
    pub fn answer(&self, hello: &Hello) -> Result<Hello, HelloError> {
        if hello.cluster != self.cluster {
            return Err(HelloError::Cluster {
                ours: self.cluster.clone(),
                theirs: hello.cluster.clone(),
            });
        }
        if hello.to != self.id {
            return Err(HelloError::Recipient { ours: self.id, wanted: hello.to });
        }
        if !self.peers.contains(&hello.from) {
            return Err(HelloError::Sender { ours: self.id, theirs: hello.from });
        }
        Ok(hello.answer())
    }
}

/// Why a hello is refused: the sentence that the dialler gets to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Another cluster's node.
    #[error(
        "this server is of cluster {ours:?} and the dialling one of cluster {theirs:?}: \
         `cluster` in servers.toml must be the same on both"
    )]
    Cluster {
        /// The acceptor's.
        ours: String,
        /// The dialler's.
        theirs: String,
    },
    /// The dialler looks for another node here.
    #[error(
        "this is node {ours} and not node {wanted}: `hostname` and `log_port` of node {wanted} \
         in the dialling server's servers.toml lead here"
    )]
    Recipient {
        /// The acceptor.
        ours: NodeId,
        /// Whom the dialler expects.
        wanted: NodeId,
    },
    /// The dialler is no peer.
    #[error("node {theirs} is not one of the other servers in the servers.toml of node {ours}")]
    Sender {
        /// The acceptor.
        ours: NodeId,
        /// The dialler.
        theirs: NodeId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(cluster: &str, from: u64, to: u64) -> Hello {
        Hello { cluster: cluster.into(), from: NodeId(from), to: NodeId(to) }
    }

    #[test]
    fn only_a_peer_of_the_same_cluster_that_looks_for_this_node_is_answered() {
        let local = LocalNode {
            cluster: "coracle".into(),
            id: NodeId(1),
            peers: [NodeId(2), NodeId(3)].into(),
        };
        assert_eq!(local.answer(&hello("coracle", 2, 1)), Ok(hello("coracle", 1, 2)));
        assert_eq!(
            local.answer(&hello("other", 2, 1)),
            Err(HelloError::Cluster { ours: "coracle".into(), theirs: "other".into() })
        );
        assert_eq!(
            local.answer(&hello("coracle", 2, 3)),
            Err(HelloError::Recipient { ours: NodeId(1), wanted: NodeId(3) })
        );
        for stranger in [1, 9] {
            assert_eq!(
                local.answer(&hello("coracle", stranger, 1)),
                Err(HelloError::Sender { ours: NodeId(1), theirs: NodeId(stranger) })
            );
        }
    }
}

//! The first frame of a connection, and who is let in.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

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
    /// The digest of the snapshot that the sender's data directory was restored from, if
    /// it was (docs/adr/0011).
    pub origin: Option<u128>,
    /// With leader leases, for how long the sender elects nobody after it heard its
    /// leader (docs/adr/0012), in whole milliseconds.
    pub promise: Option<Duration>,
}

impl Hello {
    /// The hello that the other end answers with.
    #[must_use]
    pub fn answer(&self) -> Hello {
        Hello { from: self.to, to: self.from, ..self.clone() }
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
    /// As in [`Hello`].
    pub origin: Option<u128>,
    /// As in [`Hello`].
    pub promise: Option<Duration>,
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
        // A leader counts on what its followers promise.
        if hello.promise != self.promise {
            let (ours, theirs) = (Promise(self.promise), Promise(hello.promise));
            return Err(HelloError::Promise { ours, theirs });
        }
        // Each takes what comes before its log for what the other has before its own. One
        // that was not restored has begun empty, and has it from a leader.
        match (self.origin, hello.origin) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(HelloError::Origin { ours, theirs })
            }
            _ => Ok(hello.answer()),
        }
    }
}

/// What servers.toml says of leases, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise(pub Option<Duration>);

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no leader_lease"),
            Some(promise) => {
                write!(f, "leader_lease with election timeouts from {} ms", promise.as_millis())
            }
        }
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
    /// The two were restored from different backups.
    #[error(
        "this server was restored from a backup that became snapshot {ours:032x}, the dialling \
         one from one that became {theirs:032x}: restore all servers from the same file"
    )]
    Origin {
        /// The acceptor's.
        ours: u128,
        /// The dialler's.
        theirs: u128,
    },
    /// The two do not promise the same.
    #[error(
        "this server has {ours}, the dialling one {theirs}: [raft] leader_lease, and with it the \
         least election_timeout_ms, must be the same on all servers"
    )]
    Promise {
        /// The acceptor's.
        ours: Promise,
        /// The dialler's.
        theirs: Promise,
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
        Hello {
            cluster: cluster.into(),
            from: NodeId(from),
            to: NodeId(to),
            origin: None,
            promise: None,
        }
    }

    #[test]
    fn only_a_peer_of_the_same_cluster_that_looks_for_this_node_is_answered() {
        let local = LocalNode {
            cluster: "coracle".into(),
            id: NodeId(1),
            peers: [NodeId(2), NodeId(3)].into(),
            origin: None,
            promise: None,
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

    #[test]
    fn servers_restored_from_different_backups_refuse_each_other() {
        let of = |origin| LocalNode {
            cluster: "coracle".into(),
            id: NodeId(1),
            peers: [NodeId(2)].into(),
            origin,
            promise: None,
        };
        let from = |origin| Hello { origin, ..hello("coracle", 2, 1) };
        let refused = of(Some(7)).answer(&from(Some(8)));
        assert_eq!(refused, Err(HelloError::Origin { ours: 7, theirs: 8 }));
        for (ours, theirs) in [(Some(7), Some(7)), (None, Some(7)), (Some(7), None)] {
            let answer = of(ours).answer(&from(theirs));
            assert_eq!(answer.map(|answer| (answer.from, answer.to)), Ok((NodeId(1), NodeId(2))));
        }
    }

    #[test]
    fn servers_that_promise_different_things_refuse_each_other() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let of = |promise| LocalNode {
            cluster: "coracle".into(),
            id: NodeId(1),
            peers: [NodeId(2)].into(),
            origin: None,
            promise,
        };
        for (ours, theirs) in [(None, ms(150)), (ms(150), None), (ms(150), ms(149))] {
            let error = of(ours).answer(&Hello { promise: theirs, ..hello("coracle", 2, 1) });
            let expected = HelloError::Promise { ours: Promise(ours), theirs: Promise(theirs) };
            assert_eq!(error, Err(expected));
        }
        let same = Hello { promise: ms(150), ..hello("coracle", 2, 1) };
        assert_eq!(of(ms(150)).answer(&same), Ok(same.answer()));
        let error = HelloError::Promise { ours: Promise(None), theirs: Promise(ms(150)) };
        assert_eq!(
            error.to_string(),
            "this server has no leader_lease, the dialling one leader_lease with election \
             timeouts from 150 ms: [raft] leader_lease, and with it the least \
             election_timeout_ms, must be the same on all servers"
        );
    }
}

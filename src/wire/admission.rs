//! The check that admits the other side of a connection, on both sides of it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::hello::{Hello, INTRODUCED_SINCE};
use crate::raft::{Announcement, Introduction};
use crate::types::{ClusterId, Format, FormatInForce, FormatRange, NodeId};

/// The facts about a node by which it admits its peers and introduces itself to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// The name of the node's cluster.
    pub cluster: String,
    /// The node's id.
    pub id: NodeId,
    /// The other nodes of the cluster.
    pub peers: BTreeSet<NodeId>,
    /// The restore id of the node, as in [`Hello`].
    pub restore_id: Option<u128>,
    /// The promise of the node, as in [`Hello`].
    pub promise: Option<Duration>,
    /// The format in force, as far as the node knows.
    pub format: FormatInForce,
    /// The facts by which the node introduces itself.
    pub introduction: Introduction,
}

impl LocalNode {
    /// The hello with which the node dials `peer`.
    #[must_use]
    pub fn hello(&self, peer: NodeId) -> Hello {
        let introduction = Some(self.introduction.clone());
        Hello { introduction, ..self.short_hello(peer) }
    }

    /// The hello with which the node dials `peer` when that is a server from before format 2,
    /// which reads no other.
    #[must_use]
    pub fn short_hello(&self, peer: NodeId) -> Hello {
        Hello {
            cluster: self.cluster.clone(),
            from: self.id,
            to: peer,
            restore_id: self.restore_id,
            promise: self.promise,
            introduction: None,
        }
    }

    /// Takes over facts about the cluster that have changed. An id that was once known stays
    /// known: a server that has just started may not know yet that it is committed.
    pub fn take(&mut self, announcement: &Announcement) {
        let Announcement { format, cluster_id, is_held, is_draining, .. } = announcement;
        self.format = format.clone();
        self.introduction.cluster_id = cluster_id.or(self.introduction.cluster_id);
        self.introduction.is_held = *is_held;
        self.introduction.is_draining = *is_draining;
    }

    /// Checks a dialler's hello and returns the answer to it. A node that is not, or no
    /// longer, a member of this cluster is refused here and can never send a vote
    /// (docs/bugs.md B10).
    ///
    /// # Errors
    /// The reason to refuse the dialler, for the logs of both sides.
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
        self.check(hello.from, hello.introduction.as_ref())?;
        // A leader relies on the promises of its followers, so all must promise the same.
        if hello.promise != self.promise {
            let (ours, theirs) = (Promise(self.promise), Promise(hello.promise));
            return Err(HelloError::Promise { ours, theirs });
        }
        // Each node assumes that the state before the start of its log is the same on the other
        // node. A node that was not restored began empty and got that state from a leader.
        match (self.restore_id, hello.restore_id) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(HelloError::RestoreId { ours, theirs })
            }
            _ => {
                let introduction = hello.introduction.as_ref().map(|_| self.introduction.clone());
                Ok(Hello { introduction, ..hello.answer() })
            }
        }
    }

    /// Checks the facts by which `peer` has introduced itself: it must be of the same cluster, as
    /// far as both know its id, and read the format in force. A peer without an introduction is
    /// from before format 2, and reads the first format only (docs/adr/0023, docs/adr/0024).
    ///
    /// # Errors
    /// The reason why this node must have no connection with the peer.
    pub fn check(
        &self,
        peer: NodeId,
        introduction: Option<&Introduction>,
    ) -> Result<(), HelloError> {
        let their_cluster = introduction.and_then(|introduction| introduction.cluster_id);
        if let (Some(ours), Some(theirs)) = (self.introduction.cluster_id, their_cluster)
            && ours != theirs
        {
            return Err(HelloError::ClusterId(Box::new(OtherCluster {
                cluster: self.cluster.clone(),
                node: self.id,
                ours,
                peer,
                theirs,
            })));
        }
        let formats = introduction.map_or(FormatRange::FIRST_ONLY, |facts| facts.formats);
        if !formats.contains(self.format.format) {
            return Err(HelloError::Format(Box::new(OtherFormats {
                in_force: self.format.clone(),
                peer,
                formats,
                binary: introduction.map(|introduction| introduction.binary.clone()),
            })));
        }
        Ok(())
    }
}

/// Two servers of clusters that have the same name and different ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCluster {
    /// The name of both clusters.
    pub cluster: String,
    /// This node.
    pub node: NodeId,
    /// The id of its cluster.
    pub ours: ClusterId,
    /// The other node.
    pub peer: NodeId,
    /// The id of the other node's cluster.
    pub theirs: ClusterId,
}

impl fmt::Display for OtherCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OtherCluster { cluster, node, ours, peer, theirs } = self;
        write!(
            f,
            "node {peer} is a server of another cluster, although both are called {cluster:?}: \
             the cluster of node {peer} has the id {theirs}, that of node {node} has the id \
             {ours}; move the one whose id is not that of the other servers: its data directory \
             is of another cluster, or an address in a servers.toml leads to the wrong cluster"
        )
    }
}

/// A server that does not read the format in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherFormats {
    /// The format in force.
    pub in_force: FormatInForce,
    /// The server.
    pub peer: NodeId,
    /// The formats that it reads.
    pub formats: FormatRange,
    /// The version of its program; `None` when it is from before format 2.
    pub binary: Option<String>,
}

impl fmt::Display for OtherFormats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OtherFormats { in_force: FormatInForce { format, since }, peer, formats, .. } = self;
        write!(f, "format {format} is in force, and node {peer}, ")?;
        match &self.binary {
            Some(binary) => write!(f, "version {binary}, reads the formats {formats}: ")?,
            None => write!(
                f,
                "a version from before {INTRODUCED_SINCE}, reads only format {}: ",
                Format::FIRST
            )?,
        }
        if formats.lowest > *format {
            write!(
                f,
                "the cluster must be raised to format {} first; until then ",
                formats.lowest
            )?;
        }
        write!(f, "start version {since} or another one that reads format {format} there")
    }
}

/// A promise as a text for people: the settings in servers.toml that it comes from.
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

/// The reason why a hello is refused. The acceptor sends its text to the dialler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The dialler belongs to another cluster.
    #[error(
        "this server is of cluster {ours:?} and the dialling one of cluster {theirs:?}: \
         `cluster` in servers.toml must be the same on both"
    )]
    Cluster {
        /// The cluster of the acceptor.
        ours: String,
        /// The cluster of the dialler.
        theirs: String,
    },
    /// The dialler expects another node at this address.
    #[error(
        "this is node {ours} and not node {wanted}: `hostname` and `log_port` of node {wanted} \
         in the dialling server's servers.toml lead here"
    )]
    Recipient {
        /// The acceptor.
        ours: NodeId,
        /// The node that the dialler expects.
        wanted: NodeId,
    },
    /// The two were restored from different backups.
    #[error(
        "this server was restored from a backup that became snapshot {ours:032x}, the dialling \
         one from one that became {theirs:032x}: restore all servers from the same file"
    )]
    RestoreId {
        /// The restore id of the acceptor.
        ours: u128,
        /// The restore id of the dialler.
        theirs: u128,
    },
    /// The two nodes make different promises.
    #[error(
        "this server has {ours}, the dialling one {theirs}: [raft] leader_lease, and with it the \
         least election_timeout_ms, must be the same on all servers"
    )]
    Promise {
        /// The promise of the acceptor.
        ours: Promise,
        /// The promise of the dialler.
        theirs: Promise,
    },
    /// The two know different ids of the cluster.
    #[error("{0}")]
    ClusterId(Box<OtherCluster>),
    /// One of the two does not read the format in force.
    #[error("{0}")]
    Format(Box<OtherFormats>),
    /// The dialler is not a peer of this node.
    #[error("node {theirs} is not one of the other servers in the servers.toml of node {ours}")]
    Sender {
        /// The acceptor.
        ours: NodeId,
        /// The dialler.
        theirs: NodeId,
    },
}

#[cfg(test)]
mod tests;

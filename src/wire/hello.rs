//! The handshake of a connection: its first frame, and the check that admits the dialler.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::raft::Introduction;
use crate::types::{BootId, ClusterId, Format, FormatRange, Incarnation, NodeId};

/// Maximum size of a frame in bytes until the handshake has succeeded. An unauthenticated
/// sender cannot make a node hold more.
pub const HELLO_FRAME_BYTES_MAX: usize = 4 * 1024;

/// The first frame that each side of a connection sends: it names the sender and the node
/// that the sender expects at the other end. The dialler sends its hello first; the acceptor
/// answers with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name of the sender's cluster.
    pub cluster: String,
    /// The node that sends the hello.
    pub from: NodeId,
    /// The node that the sender expects at the other end.
    pub to: NodeId,
    /// The digest of the snapshot that the sender's data directory was restored from;
    /// `None` when it was not restored from a backup (docs/adr/0011).
    pub restore_id: Option<u128>,
    /// With leader leases, the time for which the sender elects no other leader after it has
    /// heard its own, in whole milliseconds (docs/adr/0012); `None` without leader leases.
    pub promise: Option<Duration>,
    /// The facts that were added later. They are `None` in the hello of a server from before
    /// format 2, and in a hello to such a server (docs/adr/0023).
    pub introduction: Option<Introduction>,
}

/// An [`Introduction`] as a map on the wire. A reader ignores the keys that it does not know.
#[derive(Serialize, Deserialize)]
pub(super) struct IntroductionMap {
    formats: (Format, Format),
    binary: String,
    incarnation: Incarnation,
    boot: BootId,
    cluster_id: Option<ClusterId>,
    #[serde(default)]
    held: bool,
}

impl IntroductionMap {
    pub(super) fn of(introduction: &Introduction) -> IntroductionMap {
        let Introduction { formats, binary, incarnation, boot, cluster_id, is_held } = introduction;
        IntroductionMap {
            formats: (formats.lowest, formats.highest),
            binary: binary.clone(),
            incarnation: *incarnation,
            boot: *boot,
            cluster_id: *cluster_id,
            held: *is_held,
        }
    }
}

impl From<IntroductionMap> for Introduction {
    fn from(map: IntroductionMap) -> Introduction {
        let IntroductionMap { formats, binary, incarnation, boot, cluster_id, held } = map;
        let (lowest, highest) = formats;
        let formats = FormatRange { lowest, highest };
        Introduction { formats, binary, incarnation, boot, cluster_id, is_held: held }
    }
}

impl Hello {
    /// The hello with which the other side answers this one.
    #[must_use]
    pub fn answer(&self) -> Hello {
        Hello { from: self.to, to: self.from, ..self.clone() }
    }
}

/// The facts about a node by which it admits diallers.
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
    /// The facts by which the node introduces itself.
    pub introduction: Introduction,
}

impl LocalNode {
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

/// The reason why a hello is refused. Its text is sent to the dialler.
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

//! The check that admits the other side of a connection, on both sides of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::hello::{Hello, INTRODUCED_SINCE};
use super::join::{JoinAnswer, JoinRequest};
use crate::raft::{Announcement, Introduction};
use crate::types::{ClusterId, Format, FormatInForce, FormatRange, LogIndex, Membership, NodeId};

/// The first format whose readers know the frame for a server that was removed.
const REMOVED_FRAME_FORMAT: Format = Format(3);

/// The facts about a node by which it admits its peers and introduces itself to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// The name of the node's cluster.
    pub cluster: String,
    /// The node's id.
    pub id: NodeId,
    /// The newest membership in the node's log, or the initial one. It is empty while the node
    /// joins a cluster and has nothing of its log.
    pub membership: Arc<Membership>,
    /// The entry of that membership; 0 of a seed, which has no addresses.
    pub membership_at: LogIndex,
    /// The newest membership that is committed, as far as the node knows.
    pub committed: Option<Arc<Membership>>,
    /// A leader that is known to be removed, and has yet to hand over.
    pub departing: Option<NodeId>,
    /// The nodes that it was told of when it joined. They count while `membership` is empty.
    pub seeds: BTreeSet<NodeId>,
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
        let Announcement {
            format,
            cluster_id,
            is_held,
            is_draining,
            membership,
            membership_at,
            committed,
            departing,
            ..
        } = announcement;
        self.format = format.clone();
        self.membership = Arc::clone(membership);
        self.membership_at = *membership_at;
        self.committed.clone_from(committed);
        self.departing = *departing;
        self.introduction.cluster_id = cluster_id.or(self.introduction.cluster_id);
        self.introduction.is_held = *is_held;
        self.introduction.is_draining = *is_draining;
    }

    /// Checks a dialler's hello and returns the answer to it. A node that is not, or no
    /// longer, a member of this cluster is refused here and can never send a vote
    /// (docs/bugs.md B10, docs/adr/0027).
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
        self.check(hello.from, hello.introduction.as_ref())?;
        self.check_sender(hello.from, hello.introduction.as_ref())?;
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

    /// Checks that `peer` may take part in the cluster: it is a member of the newest or of the
    /// committed membership. The own list may be old, so a peer that has proven to be of the same
    /// cluster is also admitted with an id above all those that this node knows, and any such
    /// peer while this node has no members at all. An id that the committed membership has
    /// removed never comes back. But a leader that has removed itself leads until it has handed
    /// over, so its followers admit it until then.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_sender(
        &self,
        peer: NodeId,
        introduction: Option<&Introduction>,
    ) -> Result<(), HelloError> {
        let refused =
            || HelloError::Sender { ours: self.id, theirs: peer, cluster: self.cluster.clone() };
        if peer == self.id {
            return Err(refused());
        }
        let lists = || [Some(&self.membership), self.committed.as_ref()].into_iter().flatten();
        let is_member = self.departing == Some(peer) || lists().any(|list| list.is_member(peer));
        if !is_member && let Some(at) = self.removed_at(peer) {
            let (cluster, is_told) = (self.cluster.clone(), self.is_told(introduction));
            return Err(HelloError::Removed { id: peer, at, cluster, is_told });
        }
        let their_cluster = introduction.and_then(|introduction| introduction.cluster_id);
        let is_proven = their_cluster.is_some() && their_cluster == self.introduction.cluster_id;
        let is_blank = self.membership.voters.is_empty();
        let is_above_all = lists().all(|list| peer > list.last_id);
        let is_admitted = is_member
            || is_blank && self.seeds.contains(&peer)
            || is_proven && (is_blank || is_above_all);
        if is_admitted { Ok(()) } else { Err(refused()) }
    }

    /// The entry that removed `id`, as far as this node knows: 0 when it remembers only that the
    /// id is gone, `None` when the committed membership does not say so.
    fn removed_at(&self, id: NodeId) -> Option<LogIndex> {
        let committed = self.committed.as_ref().filter(|list| list.is_removed(id))?;
        Some(committed.removed.get(&id).copied().unwrap_or_default())
    }

    /// True when a removed server is told so by the frame for it, which makes it stop asking for
    /// votes. It must read the frame. It must also have proven that it is of this cluster: a
    /// server of another one, with the same name, may have been led here by a wrong address.
    fn is_told(&self, introduction: Option<&Introduction>) -> bool {
        introduction.is_some_and(|facts| {
            facts.formats.highest >= REMOVED_FRAME_FORMAT
                && facts.cluster_id.is_some()
                && facts.cluster_id == self.introduction.cluster_id
        })
    }

    /// The answer to a server that asks to join.
    ///
    /// # Errors
    /// The reason why it cannot, with what a person can do.
    pub fn join_answer(&self, request: &JoinRequest) -> Result<JoinAnswer, JoinError> {
        let JoinRequest { id, cluster, formats, binary } = request;
        let (id, ours) = (*id, || self.cluster.clone());
        if let Some(theirs) = cluster.as_ref().filter(|theirs| **theirs != self.cluster) {
            return Err(JoinError::Cluster { ours: ours(), theirs: theirs.clone() });
        }
        if self.membership.voters.is_empty() {
            return Err(JoinError::Blank { ours: self.id });
        }
        if !self.membership.is_member(id) {
            return Err(match self.removed_at(id) {
                Some(at) => JoinError::Removed { id, at, cluster: ours() },
                None => JoinError::Unknown { id, cluster: ours() },
            });
        }
        if !formats.contains(self.format.format) {
            return Err(JoinError::Format(Box::new(OtherFormats {
                in_force: self.format.clone(),
                peer: id,
                formats: *formats,
                binary: Some(binary.clone()),
            })));
        }
        if self.membership.is_seed() {
            let format = self.format.format;
            return Err(JoinError::NoAddresses { id, cluster: ours(), format });
        }
        Ok(JoinAnswer {
            cluster: ours(),
            cluster_id: self.introduction.cluster_id,
            format: self.format.clone(),
            membership: Membership::clone(&self.membership),
            at: self.membership_at,
            promise: self.promise,
            restore_id: self.restore_id,
        })
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
        let OtherFormats { in_force, peer, formats, .. } = self;
        let (format, since) = (in_force.format, &in_force.since);
        write!(f, "format {format} is in force, and node {peer}, ")?;
        match &self.binary {
            Some(binary) => write!(f, "version {binary}, reads the formats {formats}: ")?,
            None => write!(
                f,
                "a version from before {INTRODUCED_SINCE}, reads only format {}: ",
                Format::FIRST
            )?,
        }
        if formats.lowest > format {
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
    /// The dialler is no member of the cluster, as far as this node knows.
    #[error(
        "node {theirs} is not a member of cluster {cluster:?}, says node {ours}: if it is to be \
         one, run  coracle member add HOST:PORT --client HOST:PORT --id {theirs}  against any of \
         its servers, and start it with --join"
    )]
    Sender {
        /// The acceptor.
        ours: NodeId,
        /// The dialler.
        theirs: NodeId,
        /// The name of the cluster.
        cluster: String,
    },
    /// The dialler was removed from the cluster.
    #[error("{}", removed(*.id, *.at, .cluster))]
    Removed {
        /// The dialler.
        id: NodeId,
        /// The entry that removed it; 0 when the acceptor does not remember it any more.
        at: LogIndex,
        /// The name of the cluster.
        cluster: String,
        /// True when the dialler is to be told so by [`super::Frame::Removed`]: it reads that
        /// frame, and has proven to be of this cluster. Else the text is for it.
        is_told: bool,
    },
}

/// The reason why a server cannot join. Its text is sent to that server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The server has data of another cluster.
    #[error(
        "this server is of cluster {ours:?}, and the one that asks to join of cluster {theirs:?}: \
         give another --join, or another --data-dir"
    )]
    Cluster {
        /// The cluster of the server that was asked.
        ours: String,
        /// The cluster of the server that asks.
        theirs: String,
    },
    /// The server that was asked joins itself.
    #[error("server {ours} knows no members yet, because it joins itself: ask another server")]
    Blank {
        /// The server that was asked.
        ours: NodeId,
    },
    /// No member has the id, and none ever had, as far as the server that was asked knows.
    #[error(
        "server {id} is not a member of cluster {cluster:?}: run  coracle member add HOST:PORT \
         --client HOST:PORT --id {id}  against any of its servers"
    )]
    Unknown {
        /// The id of the server that asks.
        id: NodeId,
        /// The name of the cluster.
        cluster: String,
    },
    /// The id is that of a member that was removed.
    #[error("{}", removed(*.id, *.at, .cluster))]
    Removed {
        /// The id of the server that asks.
        id: NodeId,
        /// The entry that removed it; 0 when that is not remembered any more.
        at: LogIndex,
        /// The name of the cluster.
        cluster: String,
    },
    /// The server does not read the format in force.
    #[error("{0}")]
    Format(Box<OtherFormats>),
    /// The log has no addresses of members yet.
    #[error(
        "server {id} is a member of cluster {cluster:?}, and its log has no addresses in format \
         {format}: start the server with the servers.toml of the others, without --join"
    )]
    NoAddresses {
        /// The id of the server that asks.
        id: NodeId,
        /// The name of the cluster.
        cluster: String,
        /// The format in force.
        format: Format,
    },
}

/// The sentence for a server whose id was removed.
fn removed(id: NodeId, at: LogIndex, cluster: &str) -> String {
    let since = match at {
        LogIndex(0) => "some time ago".to_owned(),
        at => format!("by entry {at}"),
    };
    format!(
        "server {id} was removed from cluster {cluster:?} {since}, and no server gets its id \
         again: stop it; to use the machine again, run  coracle member add HOST:PORT --client \
         HOST:PORT  against any of the other servers, and start a server with the id that it \
         prints and an empty directory"
    )
}

#[cfg(test)]
mod tests;

//! The gate of the cluster's format: which members can read the next one, and for how long
//! (docs/adr/0023).
//!
//! Every node keeps it, so that a new leader knows at once. What a peer can read is what it said
//! in the introduction of the connection that it has now: a server can be replaced by an older
//! one at any time before the raise, so nothing is remembered of a connection that has ended.
//! Only the addresses that a peer has said are: it may still be reached there (docs/adr/0027).

use std::collections::BTreeMap;
use std::fmt;

use super::effect::Announcement;
use super::introduction::Introduction;
use crate::types::{
    BootId, ChangeKind, ClusterId, Format, FormatRange, LogIndex, Member, NodeId, Term,
};

/// Version of the programs that introduce themselves by nothing but their id.
const OLDEST_BINARY: &str = "0.1.0";

/// The facts that decide whether the format may be raised.
pub(super) struct FormatGate {
    /// The peers that are connected to this node, as they have introduced themselves on the
    /// connection that they have now.
    peers: BTreeMap<NodeId, AttachedPeer>,
    /// The addresses that each peer has said last. They outlive the connection.
    said: BTreeMap<NodeId, Member>,
    /// The format that all `able_ticks` are about.
    counted: Format,
    /// Ticks since that format is the next one.
    able_ticks: u32,
    /// Ticks since this node started.
    now: u64,
    /// The facts that were announced last; `None` before the first time.
    pub(super) announced: Option<Announcement>,
    /// The facts that the announcement was made of.
    pub(super) announced_key: Option<AnnouncedKey>,
}

/// The facts that an announcement is made of. Equal keys give equal announcements, and a key is
/// compared after every event, while announcements are large.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AnnouncedKey {
    /// The entry of the newest membership in the log.
    pub(super) newest: Option<(LogIndex, Option<Term>)>,
    /// The entry of the newest membership that is committed.
    pub(super) committed: Option<LogIndex>,
    /// Counts the changes of the set of removed members that have yet to hear of it.
    pub(super) leaving: u64,
    pub(super) format: Format,
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) is_held: bool,
    pub(super) is_draining: bool,
}

/// A peer that is connected, as it has introduced itself.
pub(super) struct AttachedPeer {
    pub(super) reads: FormatRange,
    pub(super) binary: String,
    pub(super) is_held: bool,
    /// The run of its process; `None` of a server from before format 2.
    pub(super) boot: Option<BootId>,
    pub(super) cluster_id: Option<ClusterId>,
    /// The addresses at which it says it is reached.
    pub(super) member: Option<Member>,
    pub(super) is_draining: bool,
    /// The tick of this node at which it connected.
    pub(super) attached_at: u64,
    /// Ticks for which it has been able to read the next format.
    able_ticks: u32,
}

/// The reason why a leader does not raise the format now. It is a clause for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaiseWait {
    /// An entry of a raise is in the log and not committed, or not given to the store.
    UnderWay,
    /// The members are being changed.
    MembersChange(Option<(LogIndex, ChangeKind)>),
    /// The leader has committed no entry of its own term.
    NothingCommitted,
    /// The leader hands its leadership over.
    HandsOver,
    /// Not every member can read the next format, or somebody holds the format.
    Members(Vec<MemberWait>),
    /// All members can read the next format, but not for long enough.
    Young {
        /// The time for which they have been able to, in seconds.
        able_s: u32,
        /// The time for which they must have been, in seconds.
        needed_s: u32,
    },
}

/// The reason why a raise waits for one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberWait {
    /// It has no connection to the leader.
    NotConnected(NodeId),
    /// It has a connection, and does not answer the leader.
    Silent(NodeId),
    /// It does not read the next format.
    Unable {
        /// The member.
        id: NodeId,
        /// The version of its program.
        binary: String,
        /// The formats that it reads.
        reads: FormatRange,
    },
    /// A person has asked it to hold the format.
    Holds(NodeId),
}

impl fmt::Display for RaiseWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RaiseWait::UnderWay => f.write_str("a raise is under way"),
            RaiseWait::MembersChange(None) => f.write_str("the members are being changed"),
            RaiseWait::MembersChange(Some((number, what))) => {
                write!(f, "change {number} of the members ({what}) is under way")
            }
            RaiseWait::NothingCommitted => {
                f.write_str("this leader has committed nothing in its term yet")
            }
            RaiseWait::HandsOver => f.write_str("the leadership is being handed over"),
            RaiseWait::Members(waits) => {
                for (place, wait) in waits.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(f, "{comma}{wait}")?;
                }
                Ok(())
            }
            RaiseWait::Young { able_s, needed_s } => {
                write!(f, "all have been able for {able_s} of {needed_s} s")
            }
        }
    }
}

impl fmt::Display for MemberWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberWait::NotConnected(id) => write!(f, "server {id} is not connected"),
            MemberWait::Silent(id) => write!(f, "server {id} does not answer"),
            MemberWait::Unable { id, binary, reads } => {
                // The text is from a peer, so nothing in it may reach a terminal as it is.
                let binary = binary.escape_default();
                write!(f, "server {id} ({binary}) reads formats {reads}")
            }
            MemberWait::Holds(id) => write!(f, "server {id} holds the format"),
        }
    }
}

impl FormatGate {
    /// The gate of a node without connections.
    pub(super) fn new() -> FormatGate {
        FormatGate {
            peers: BTreeMap::new(),
            said: BTreeMap::new(),
            counted: Format::FIRST,
            able_ticks: 0,
            now: 0,
            announced: None,
            announced_key: None,
        }
    }

    /// A peer has a new connection, which takes the place of any other.
    pub(super) fn on_attached(&mut self, id: NodeId, introduction: Option<&Introduction>) {
        let attached_at = self.now;
        let peer = match introduction {
            Some(introduction) => AttachedPeer {
                reads: introduction.formats,
                binary: introduction.binary.clone(),
                is_held: introduction.is_held,
                boot: Some(introduction.boot),
                cluster_id: introduction.cluster_id,
                member: introduction.member.clone(),
                is_draining: introduction.is_draining,
                attached_at,
                able_ticks: 0,
            },
            None => AttachedPeer {
                reads: FormatRange::FIRST_ONLY,
                binary: OLDEST_BINARY.to_owned(),
                is_held: false,
                boot: None,
                cluster_id: None,
                member: None,
                is_draining: false,
                attached_at,
                able_ticks: 0,
            },
        };
        // A new connection in the place of another is no interruption.
        let able_ticks = match self.peers.get(&id) {
            Some(before) if peer.reads.contains(self.counted) => before.able_ticks,
            _ => 0,
        };
        if let Some(member) = &peer.member {
            self.said.insert(id, member.clone());
        }
        self.peers.insert(id, AttachedPeer { able_ticks, ..peer });
    }

    /// A peer has no connection any more. What it said about its addresses is kept of a member.
    pub(super) fn on_detached(&mut self, id: NodeId, is_member: bool) {
        self.peers.remove(&id);
        if !is_member {
            self.said.remove(&id);
        }
    }

    /// A peer that is connected.
    pub(super) fn peer(&self, id: NodeId) -> Option<&AttachedPeer> {
        self.peers.get(&id)
    }

    /// The addresses that a peer has said last.
    pub(super) fn said(&self, id: NodeId) -> Option<&Member> {
        self.said.get(&id)
    }

    /// Advances time by one tick: counts for how long each peer has been able to read `next`.
    pub(super) fn tick(&mut self, next: Format) {
        self.now += 1;
        if self.counted != next {
            self.counted = next;
            self.able_ticks = 0;
            self.peers.values_mut().for_each(|peer| peer.able_ticks = 0);
        }
        self.able_ticks = self.able_ticks.saturating_add(1);
        for peer in self.peers.values_mut() {
            let is_able = peer.reads.contains(next);
            peer.able_ticks = if is_able { peer.able_ticks.saturating_add(1) } else { 0 };
        }
    }

    /// Ticks for which all members have been able to read `next`.
    pub(super) fn able_ticks(&self, members: &[NodeId], next: Format) -> u32 {
        if self.counted != next {
            return 0;
        }
        let able = members.iter().map(|id| self.peers.get(id).map_or(0, |peer| peer.able_ticks));
        able.min().map_or(self.able_ticks, |least| least.min(self.able_ticks))
    }

    /// The reasons why the members keep the format from being raised to `next`: first what they
    /// cannot read, then the holds.
    pub(super) fn waits(&self, members: &[NodeId], next: Format) -> Vec<MemberWait> {
        let unable = members.iter().filter_map(|id| self.inability(*id, next));
        let is_held = |id: &&NodeId| self.peers.get(*id).is_some_and(|peer| peer.is_held);
        let holds = members.iter().filter(is_held).map(|id| MemberWait::Holds(*id));
        unable.chain(holds).collect()
    }

    /// The reason why a member is not known to read `next`, if it is not.
    fn inability(&self, id: NodeId, next: Format) -> Option<MemberWait> {
        let Some(AttachedPeer { reads, binary, .. }) = self.peers.get(&id) else {
            return Some(MemberWait::NotConnected(id));
        };
        let is_able = reads.contains(next);
        (!is_able).then(|| MemberWait::Unable { id, binary: binary.clone(), reads: *reads })
    }
}

#[cfg(test)]
mod tests;

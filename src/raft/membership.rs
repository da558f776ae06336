//! The rules of the members (dissertation §4, docs/adr/0026): joint consensus, learners that catch
//! up in rounds, and servers that were removed.

use std::collections::BTreeMap;

use super::member_change::{ChangeRefusal, MemberOutcome, MemberRequest, Tolerance};
use super::state::{NotLeader, Raft};
use super::status::SnapshotProgress;
use crate::types::{Address, FormatRange, LogIndex, Member, Membership, NodeId};

/// The members as one node knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersStatus {
    /// The membership in force.
    pub membership: Membership,
    /// The entry that it comes from; 0 when the log has none.
    pub index: LogIndex,
    /// True when that entry is known to be committed.
    pub is_committed: bool,
    /// The leader, when it is known.
    pub leader_id: Option<NodeId>,
    /// True when this node is the leader: only then the rest is known.
    pub is_leader: bool,
    /// How many voters can be lost.
    pub tolerance: Option<Tolerance>,
    /// A clause that says what the change under way waits for.
    pub waits_for: Option<String>,
    /// Milliseconds for which the change has been under way in this leader's term.
    pub change_age_ms: Option<u64>,
    /// The other members, as the leader sees them.
    pub peers: BTreeMap<NodeId, PeerView>,
}

/// One member as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerView {
    /// Milliseconds since it was heard last; `None` when it was not heard in this term.
    pub seen_ms: Option<u64>,
    /// The newest entry that it holds durably, as far as that is known.
    pub match_index: LogIndex,
    /// The number of entries that it lacks.
    pub behind_entries: u64,
    /// True when it has lost what it had, and is not counted.
    pub is_rejoining: bool,
    /// The progress of the snapshot that it is being sent.
    pub snapshot_progress: Option<SnapshotProgress>,
    /// The formats that it reads, and the version of its program, while it is connected.
    pub program: Option<(FormatRange, String)>,
    /// True when it is drained.
    pub is_draining: bool,
}

impl Raft {
    /// Begins a change of the members, takes one back, or says what it would do.
    ///
    /// # Errors
    /// When this node does not lead, and when the change is not safe now.
    pub fn request_change(
        &mut self,
        _request: &MemberRequest,
    ) -> Result<MemberOutcome, ChangeRefusal> {
        Err(ChangeRefusal::NotLeader(NotLeader { leader_id: self.leader_id() }))
    }

    /// The shell has the ports to this peer: its replication can begin.
    pub fn on_peer_added(&mut self, _peer: NodeId) {}

    /// A peer says that this node was removed by the entry `at`, which is committed.
    pub fn on_told_removed(&mut self, _peer: NodeId, _at: LogIndex) {}

    /// The addresses of a member: what it said itself last, else what the log says, else
    /// servers.toml.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        let in_log = self.membership().members.get(&id);
        in_log.or_else(|| self.settings.initial_membership.members.get(&id))
    }

    /// The members as this node knows them.
    pub fn members_status(&self) -> MembersStatus {
        let in_force = self.log.cluster().newest().membership.as_ref();
        let index = in_force.map_or(LogIndex(0), |(index, _)| *index);
        MembersStatus {
            membership: self.membership().clone(),
            index,
            is_committed: index <= self.commit_index,
            leader_id: self.leader_id(),
            is_leader: false,
            tolerance: None,
            waits_for: None,
            change_age_ms: None,
            peers: BTreeMap::new(),
        }
    }

    /// The peers that this node is to have connections with, each with its address where the log
    /// or servers.toml names one.
    pub(super) fn wanted_peers(&self) -> BTreeMap<NodeId, Option<Address>> {
        let committed = self.log.cluster().at(self.commit_index).membership.as_ref();
        let mut ids = self.membership().ids();
        ids.extend(committed.iter().flat_map(|(_, membership)| membership.ids()));
        ids.remove(&self.settings.id);
        let address = |id| self.member(id).map(|member| member.peer.clone());
        ids.into_iter().map(|id| (id, address(id))).collect()
    }

    /// Counts the changes of the set of removed members that have yet to hear of it.
    pub(super) fn leaving_version(&self) -> u64 {
        0
    }
}

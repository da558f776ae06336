//! The rules of the members (dissertation §4, docs/adr/0026): joint consensus, learners that catch
//! up in rounds, and servers that were removed.

use std::collections::{BTreeMap, BTreeSet};

use super::catch_up::CatchUp;
use super::effect::Effect;
use super::event::Event;
use super::format_gate::RaiseWait;
use super::members_event::MembersEvent;
use super::role::RoleState;
use super::rpc::{Admitted, Rpc};
use super::state::Raft;
use super::status::SnapshotProgress;
use super::transitions;
use crate::types::{
    Address, Change, Format, FormatRange, LogIndex, Member, Membership, NodeId, Payload, Tolerance,
    TransferTarget,
};

/// The format that has members with addresses.
pub(super) const MEMBERS_SINCE: Format = Format(3);

/// A leader waits for so many of the longest election timeouts for a server that it has removed,
/// and a follower for a leader that has removed itself.
const LEAVING_TIMEOUTS: u32 = 2;

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
    /// The number of voters that can be lost, and what it comes from.
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
    // Knowledge.

    /// The addresses of a member: what it said itself last, else what the log says, else
    /// servers.toml.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        let said = if id == self.settings.id {
            self.settings.own_member.as_ref()
        } else {
            self.gate.said(id)
        };
        said.or_else(|| self.logged_member(id))
    }

    /// The entry of the newest membership in the log, and the membership.
    pub(super) fn logged_membership(&self) -> Option<&(LogIndex, Membership)> {
        self.log.cluster().newest().membership.as_ref()
    }

    /// The newest membership that is known to be committed, with its entry. After a start no
    /// commit is known, but a leader appends a membership only when the one before it is
    /// committed. So that one is.
    pub(super) fn committed_entry(&self) -> Option<&(LogIndex, Membership)> {
        let cluster = self.log.cluster();
        let (newest, _) = cluster.newest().membership.as_ref()?;
        cluster.at(self.commit_index.max(newest.prev())).membership.as_ref()
    }

    /// The newest membership that is known to be committed.
    pub(super) fn committed_membership(&self) -> Option<&Membership> {
        self.committed_entry().map(|(_, membership)| membership)
    }

    /// True of a server that is known to have been removed: the removal is committed.
    pub(super) fn is_known_to_be_removed(&self, id: NodeId) -> bool {
        self.committed_membership().is_some_and(|membership| membership.is_removed(id))
    }

    /// The entry that removed this node, if it knows that it was removed.
    pub fn removed_at(&self) -> Option<LogIndex> {
        self.members.removed_at
    }

    /// The members as this node knows them.
    pub fn members_status(&self) -> MembersStatus {
        let index = self.logged_membership().map_or(LogIndex(0), |(index, _)| *index);
        let mut status = MembersStatus {
            membership: self.membership().clone(),
            index,
            is_committed: index <= self.commit_index,
            leader_id: self.leader_id(),
            is_leader: false,
            tolerance: None,
            waits_for: None,
            change_age_ms: None,
            peers: BTreeMap::new(),
        };
        let RoleState::Leader(leadership) = &self.role else { return status };
        let age = leadership.changing.age;
        let change = status.membership.change.as_ref();
        status.is_leader = true;
        status.tolerance = Some(self.quorum().tolerance(|id| self.is_here(id)));
        status.waits_for = change.map(|change| self.change_waits_for(change));
        status.change_age_ms = change.map(|change| match age {
            Some((number, ticks)) if number == change.number => self.ms_of(ticks),
            _ => 0,
        });
        let members = self.other_members().into_iter();
        status.peers = members.map(|id| (id, self.peer_view(id))).collect();
        status
    }

    /// A member as this leader sees it.
    fn peer_view(&self, id: NodeId) -> PeerView {
        let RoleState::Leader(leadership) = &self.role else { return PeerView::default() };
        let attached = self.gate.peer(id);
        let match_index = leadership.held_index(id);
        PeerView {
            seen_ms: leadership.unheard_ticks(id).map(|ticks| self.ms_of(ticks)),
            match_index,
            behind_entries: self.log.last().index.0.saturating_sub(match_index.0),
            is_rejoining: leadership.is_rejoining(id),
            snapshot_progress: leadership.snapshot_progress_of(id),
            program: attached.map(|peer| (peer.reads, peer.binary.clone())),
            is_draining: attached.is_some_and(|peer| peer.is_draining),
        }
    }

    pub(super) fn ms_of(&self, ticks: u32) -> u64 {
        u64::from(ticks) * 1000 / u64::from(self.settings.ticks_per_second.max(1))
    }

    /// As the leader: true of a voter that counts now, itself included.
    pub(super) fn is_here(&self, id: NodeId) -> bool {
        let RoleState::Leader(leadership) = &self.role else { return false };
        let ticks_max = self.settings.election_timeout_ticks_max;
        id == self.settings.id || leadership.is_here(id, ticks_max)
    }

    /// The clause that says what the change under way waits for.
    fn change_waits_for(&self, change: &Change) -> String {
        let membership = self.membership();
        let RoleState::Leader(leadership) = &self.role else { return String::new() };
        if membership.is_joint() {
            let voters = membership.all_voters();
            return format!("the joint membership to be committed{}", self.missing_clause(&voters));
        }
        let Some(candidate) = change.what.candidate() else {
            return "its entry to be committed".to_owned();
        };
        if self.gate.peer(candidate).is_none() {
            return format!("server {candidate} is not connected");
        }
        if leadership.snapshot_progress_of(candidate).is_some() {
            return "snapshot".to_owned();
        }
        let round = leadership.changing.catch_up.as_ref().map_or(1, CatchUp::round);
        format!("server {candidate} to catch up (round {round})")
    }

    /// Names those of `voters` that are not here, after a colon.
    fn missing_clause(&self, voters: &BTreeSet<NodeId>) -> String {
        let missing: Vec<NodeId> = voters.iter().copied().filter(|id| !self.is_here(*id)).collect();
        match missing.as_slice() {
            [] => String::new(),
            [one] => format!(": {one} is unseen"),
            more => format!(": {} are unseen", listed(more)),
        }
    }

    // Connections.

    /// The shell has new ports to this peer: its replication begins, if this node leads. The
    /// shell says so once for each new set of ports, because nothing is known about the peer
    /// behind them.
    pub fn on_peer_added(&mut self, peer: NodeId) {
        if let RoleState::Leader(leadership) = &mut self.role {
            leadership.start_peer(peer);
        }
    }

    /// The peers that this node is to have connections with, each with its address where one is
    /// known.
    pub(super) fn wanted_peers(&self) -> BTreeMap<NodeId, Option<Address>> {
        let mut ids = self.membership().ids();
        ids.extend(self.committed_membership().iter().flat_map(|membership| membership.ids()));
        if let RoleState::Leader(leadership) = &self.role {
            ids.extend(leadership.leavers.ids());
        }
        ids.extend(self.members.departing());
        ids.remove(&self.settings.id);
        let announced = self.gate.announced.as_ref();
        let address = |id| {
            // Once it is committed that a peer is removed, no membership has its address.
            let before = || announced?.peers.get(&id)?.clone();
            self.logged_member(id).map(|member| member.peer.clone()).or_else(before)
        };
        ids.into_iter().map(|id| (id, address(id))).collect()
    }

    /// The addresses of a member in the log, else in servers.toml.
    fn logged_member(&self, id: NodeId) -> Option<&Member> {
        let in_log = || self.membership().members.get(&id);
        let committed = || self.committed_membership()?.members.get(&id);
        in_log().or_else(committed).or_else(|| self.settings.initial_membership.members.get(&id))
    }

    /// Counts the changes of the set of removed members that have yet to hear of it.
    pub(super) fn leaving_version(&self) -> u64 {
        self.members.leaving_version
    }

    /// Notes whether the leader that this node follows is known to be removed: its order to
    /// campaign comes when its removal is committed, on connections that must be there till then.
    pub(super) fn note_departing_leader(&mut self) {
        let Some(leader) = self.leader_id().filter(|leader| *leader != self.settings.id) else {
            return;
        };
        let ticks = LEAVING_TIMEOUTS * self.settings.election_timeout_ticks_max;
        let is_removed = self.is_known_to_be_removed(leader);
        self.members.on_leader(leader, self.term(), is_removed, ticks);
    }

    // The leader.

    /// As a leader that begins: the committed membership may have servers that the newest one has
    /// not. They are told, too. So is the removed leader that has handed over to this node: it
    /// learns where its clients are to go.
    pub(super) fn note_leavers(&mut self) {
        let Some((index, newest)) = self.logged_membership() else { return };
        let committed = self.committed_membership().map(Membership::ids).unwrap_or_default();
        let is_leaver = |id: &NodeId| *id != self.settings.id && !newest.is_member(*id);
        let mut leavers: Vec<NodeId> = committed.into_iter().filter(is_leaver).collect();
        let index = *index;
        leavers.extend(self.members.take_departing());
        let RoleState::Leader(leadership) = &mut self.role else { return };
        for id in leavers {
            leadership.leavers.add(id, index, LogIndex(0));
            self.members.leaving_version += 1;
        }
    }

    /// Appends a membership, which is in force from now on (dissertation §4.1).
    ///
    /// # Panics
    /// When this leader has committed nothing in its term, or the membership before is not
    /// committed: two majorities could decide then (docs/bugs.md B45). When it is none that a log
    /// may have.
    pub(super) fn append_membership(&mut self, membership: Membership) -> LogIndex {
        assert_eq!(membership.fault(), None, "{membership:?}");
        let RoleState::Leader(leadership) = &self.role else {
            panic!("only a leader appends a membership");
        };
        assert!(
            self.commit_index >= leadership.reads.first_index(),
            "a leader commits an entry of its term before it changes members (docs/bugs.md B45)"
        );
        let before = self.logged_membership();
        assert!(
            before.is_some_and(|(index, _)| *index <= self.commit_index),
            "the membership before is committed"
        );
        let index = self.append_own(Payload::Membership(membership));
        let id = self.settings.id;
        if let RoleState::Leader(leadership) = &mut self.role
            && leadership.follow(id, index, self.log.membership())
        {
            self.members.leaving_version += 1;
        }
        index
    }

    /// True while a raise of the format is in the log and not in force at the leader's store.
    pub(super) fn is_raising(&self) -> bool {
        self.log.cluster().newest().format.format != self.store_format()
    }

    /// The reason why a raise waits for a change of the members, if it does.
    pub(super) fn members_wait(&self) -> Option<RaiseWait> {
        let (index, membership) = self.logged_membership()?;
        if let Some(change) = &membership.change {
            return Some(RaiseWait::MembersChange(Some((change.number, change.what))));
        }
        (*index > self.commit_index).then_some(RaiseWait::MembersChange(None))
    }

    /// As a leader that may append a membership now: the newest one.
    fn changeable_membership(&self) -> Option<&Membership> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        let (index, membership) = self.logged_membership()?;
        let is_committed = self.commit_index >= leadership.reads.first_index().max(*index);
        let is_free = is_committed
            && !self.is_raising()
            && !self.is_transferring()
            && self.log.cluster().newest().format.format >= MEMBERS_SINCE;
        is_free.then_some(membership)
    }

    /// As the leader: takes the next step of the change under way, if it is due. The change may
    /// have been begun by an earlier leader.
    pub(super) fn go_on_with_members(&mut self) {
        // This is asked at each acknowledgement, and there is nothing to do nearly always.
        let membership = self.membership();
        if membership.change.is_none() && !membership.is_seed() {
            return;
        }
        let Some(membership) = self.changeable_membership() else { return };
        let index = self.log.last().index.next();
        let next = if membership.is_seed() {
            self.with_known_addresses(membership)
        } else if membership.is_joint() {
            Some(transitions::finish(membership, index))
        } else {
            let change = membership.change.clone();
            change.and_then(|change| self.promotion(&change))
        };
        if let Some(next) = next {
            self.append_membership(next);
        }
    }

    /// The same voters with their addresses, when all are known.
    fn with_known_addresses(&self, seed: &Membership) -> Option<Membership> {
        let known = |id: &NodeId| Some((*id, self.member(*id)?.clone()));
        let members: Option<BTreeMap<NodeId, Member>> = seed.voters.iter().map(known).collect();
        members.map(Membership::of_voters)
    }

    /// The voters whose addresses are not known.
    pub(super) fn without_addresses(&self) -> Vec<NodeId> {
        let voters = self.membership().voters.iter().copied();
        voters.filter(|id| self.member(*id).is_none()).collect()
    }

    /// The joint membership of a change whose learner has caught up.
    fn promotion(&mut self, change: &Change) -> Option<Membership> {
        let candidate = change.what.candidate()?;
        let last = self.log.last().index;
        let RoleState::Leader(leadership) = &mut self.role else { return None };
        let match_index = leadership.match_index(candidate);
        let rounds = &mut leadership.changing.catch_up;
        let rounds = match rounds {
            Some(rounds) if rounds.is_of(change.number, candidate) => rounds,
            _ => rounds.insert(CatchUp::new(change.number, candidate, last)),
        };
        if let Some(round) = rounds.advance(match_index, last) {
            let ms = self.ms_of(round.ticks);
            self.tell_step(MembersEvent::CaughtUpRound {
                peer: candidate,
                round: round.number,
                ms,
            });
        }
        if !self.is_caught_up(change.number, candidate) {
            return None;
        }
        // It may have been added with an address at which nobody is, and have found the others by
        // itself. A voter has to be found by all, and at once.
        let membership = self.membership();
        let membership = match self.other_addresses(membership, candidate) {
            Some(said) => self.with_other_addresses(candidate, said),
            None => membership.clone(),
        };
        Some(transitions::join(&membership))
    }

    /// True when the learner has caught up, is heard, and is not rejoining.
    fn is_caught_up(&self, number: LogIndex, candidate: NodeId) -> bool {
        let RoleState::Leader(leadership) = &self.role else { return false };
        let ticks_max = self.settings.election_timeout_ticks_min;
        let rounds = leadership.changing.catch_up.as_ref();
        rounds.is_some_and(|r| r.is_of(number, candidate) && r.is_caught_up(ticks_max))
            && leadership.is_here(candidate, ticks_max)
    }

    /// As the leader, at each tick.
    pub(super) fn tick_membership(&mut self, is_heartbeat_due: bool) {
        let number = self.membership().change.as_ref().map(|change| change.number);
        let leaving_ticks = LEAVING_TIMEOUTS * self.settings.election_timeout_ticks_max;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        leadership.changing.tick(number);
        if leadership.leavers.tick(self.commit_index, leaving_ticks) {
            self.members.leaving_version += 1;
        }
        self.go_on_with_members();
        self.write_addresses();
        if is_heartbeat_due {
            self.admit_learners();
        }
        self.depart(is_heartbeat_due);
    }

    /// As the leader: writes the addresses of a member that says it is reached elsewhere
    /// (docs/adr/0027), at most one a second.
    fn write_addresses(&mut self) {
        let RoleState::Leader(leadership) = &self.role else { return };
        if leadership.changing.address_wait_ticks > 0 {
            return;
        }
        let Some(membership) = self.changeable_membership() else { return };
        if membership.is_seed() || membership.change.is_some() {
            return;
        }
        let news = |id: &NodeId| Some((*id, self.other_addresses(membership, *id)?));
        let Some((id, said)) = membership.members.keys().find_map(news) else { return };
        let next = self.with_other_addresses(id, said);
        self.append_membership(next);
        if let RoleState::Leader(leadership) = &mut self.role {
            leadership.changing.address_wait_ticks = self.settings.ticks_per_second;
        }
    }

    /// The addresses that a member says now, if the membership has others.
    fn other_addresses(&self, membership: &Membership, id: NodeId) -> Option<Member> {
        let said = self.proven_addresses(id)?;
        (membership.members.get(&id) != Some(said)).then(|| said.clone())
    }

    /// The newest membership with the addresses that a member says.
    fn with_other_addresses(&mut self, id: NodeId, said: Member) -> Membership {
        let next = transitions::with_addresses(self.membership(), id, said.clone());
        let Member { peer, client } = said;
        self.tell_step(MembersEvent::WritesAddresses { id, peer, client });
        next
    }

    /// The addresses that a member of the same cluster says now.
    fn proven_addresses(&self, id: NodeId) -> Option<&Member> {
        let said = if id == self.settings.id {
            self.settings.own_member.as_ref()?
        } else {
            let attached = self.gate.peer(id)?;
            let cluster_id = self.log.cluster().at(self.commit_index).cluster_id;
            if cluster_id.is_none() || attached.cluster_id != cluster_id {
                return None;
            }
            attached.member.as_ref()?
        };
        (said.peer.is_valid() && said.client.is_valid()).then_some(said)
    }

    /// As the leader: tells rejoining learners that no promise of an earlier life of their ids
    /// counts (docs/adr/0026).
    fn admit_learners(&mut self) {
        let Some((index, membership)) = self.logged_membership() else { return };
        let RoleState::Leader(leadership) = &self.role else { return };
        if membership.is_seed() || *index > self.commit_index {
            return;
        }
        let is_meant = |id: &NodeId| membership.is_learner(*id) && leadership.is_rejoining(*id);
        let word = |id: NodeId| {
            let boot = self.gate.peer(id)?.boot?;
            let word = Admitted { boot, membership: *index };
            Some(Effect::Send(self.envelope(id, Rpc::Admitted(word))))
        };
        let learners = self.other_members().into_iter().filter(is_meant);
        let words: Vec<Effect> = learners.filter_map(word).collect();
        self.effects.extend(words);
    }

    /// A leader without a vote in the committed membership hands over, or steps down when nobody
    /// can take over: but after another heartbeat, so that the others know what is committed.
    fn depart(&mut self, is_heartbeat_due: bool) {
        let id = self.settings.id;
        let Some(membership) = self.changeable_membership() else { return };
        if membership.is_seed() || membership.is_voter(id) {
            return;
        }
        let RoleState::Leader(leadership) = &mut self.role else { return };
        leadership.changing.departure_heartbeats += u32::from(is_heartbeat_due);
        let heartbeats = leadership.changing.departure_heartbeats;
        if leadership.handovers.pauses() {
            return; // commands get on between two attempts
        }
        if self.request_transfer(&TransferTarget::Avoid(BTreeSet::new())).is_err() && heartbeats > 1
        {
            self.become_follower(None, "it is no voter any more");
        }
    }

    // Every node.

    /// The leader of our term says that this node has nothing to have forgotten: as a learner it
    /// has no promise that counts (docs/adr/0026). The word may be late. So it must be about this
    /// run, and this node must know that the entry is committed by which it is a learner.
    pub(super) fn on_admitted(&mut self, from: NodeId, word: Admitted) {
        let Admitted { boot, membership } = word;
        let has_entry = membership <= self.commit_index.min(self.persistence.persisted_index());
        let id = self.settings.id;
        if self.leader_id() != Some(from)
            || !self.hard_state().is_rejoining
            || boot != self.settings.gate.boot
            || !has_entry
            || !self.log.has_membership()
            || !self.membership().is_learner(id)
        {
            return;
        }
        self.recall.start.on_caught_up();
        self.end_rejoining();
        self.tell_step(MembersEvent::Admitted { term: self.term() });
    }

    /// A peer says that this node was removed by the entry `at`, which is committed. Ids are never
    /// used again, so that is true for ever.
    pub fn on_told_removed(&mut self, _peer: NodeId, at: LogIndex) {
        if self.has_stopped || self.removed_at().is_some() {
            return;
        }
        self.members.removed_at = Some(at);
        self.tell_step(MembersEvent::Removed { at });
        if !matches!(self.role, RoleState::Follower { .. }) {
            self.become_follower(None, "it was removed from the cluster");
        }
    }

    /// Notes that the log of this node says that it was removed. As a leader it hands over first.
    pub(super) fn note_own_removal(&mut self) {
        let Some((index, membership)) = self.committed_entry().cloned() else { return };
        let id = self.settings.id;
        self.recall.peers.forget_removed(|peer| membership.is_removed(peer));
        if self.removed_at().is_none() && membership.is_removed(id) {
            let at = membership.removed.get(&id).copied().unwrap_or(index);
            self.members.removed_at = Some(at);
            self.tell_step(MembersEvent::Removed { at });
            if matches!(self.role, RoleState::PreCandidate(_) | RoleState::Candidate(_)) {
                self.become_follower(None, "it was removed from the cluster");
            }
        }
    }

    fn tell_step(&mut self, event: MembersEvent) {
        self.tell(Event::Members(event));
    }

    /// Tells of the changes between two committed memberships.
    pub(super) fn tell_members(&mut self, before: Option<&Membership>, after: Option<&Membership>) {
        let Some(after) = after.filter(|after| !after.is_seed() && Some(*after) != before) else {
            return;
        };
        let nothing = Membership::default();
        let before = before.unwrap_or(&nothing);
        if before.is_seed() {
            self.tell_step(MembersEvent::MembersHaveAddresses);
        }
        let listed = |ids: &BTreeSet<NodeId>| ids.iter().copied().collect::<Vec<_>>();
        let newest = before.ended.last().map_or(LogIndex(0), |ended| ended.number);
        for ended in after.ended.iter().filter(|ended| ended.number > newest) {
            let (number, what, is_done) = (ended.number, ended.what, ended.is_done);
            let voters = listed(&after.voters);
            self.tell_step(MembersEvent::ChangeEnded { number, what, is_done, voters });
        }
        let Some(Change { number, what }) = after.change.clone() else { return };
        if after.is_joint() {
            let (before, after) = (listed(&after.outgoing), listed(&after.voters));
            self.tell_step(MembersEvent::ChangeJoint { number, what, before, after });
        } else {
            self.tell_step(MembersEvent::ChangeBegun { number, what });
        }
    }
}

/// The ids, with commas.
pub(super) fn listed(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

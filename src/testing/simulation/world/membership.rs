//! The members, as far as a run knows them.

use std::rc::Rc;
use std::sync::Arc;

use super::World;
use super::machine::{Machine, host};
use super::place::Place;
use crate::testing::simulation::checks::wire::WireChecker;
use crate::types::{Address, Membership, NodeId};

impl World {
    /// The newest membership that is known to be committed; that of the founders while none is.
    pub(crate) fn membership(&self) -> Arc<Membership> {
        let known = self.wire.committed_members();
        let founders = || Arc::new(Membership::seed((1..=self.plan.nodes).map(NodeId)));
        known.map_or_else(founders, |(_, membership)| membership)
    }

    /// The machines whose nodes are to run, members or not.
    pub(crate) fn serving(&self) -> Vec<u64> {
        let serves = |machine: &&Rc<Machine>| machine.site.place.get() == Place::Serving;
        self.machines.values().filter(serves).map(|machine| machine.id).collect()
    }

    /// The machines whose nodes are members.
    pub(crate) fn members(&self) -> Vec<u64> {
        if self.plan.members.is_none() {
            return self.serving();
        }
        let membership = self.membership();
        let is_member = |id: &u64| membership.is_member(NodeId(*id));
        self.serving().into_iter().filter(is_member).collect()
    }

    /// The address at which a machine's node listens for its peers.
    pub(crate) fn peer_address(&self, id: u64) -> Address {
        Address { host: host(id), port: self.machines[&id].site.peer_port.get() }
    }

    /// True when a machine's node was removed, and that is committed.
    pub(crate) fn is_removed(&self, id: u64) -> bool {
        self.plan.members.is_some() && self.membership().is_removed(NodeId(id))
    }

    /// The memberships that may be in force at some node that can lead: the newest that is
    /// committed, and those at the ends of logs that have it.
    pub(crate) fn open_memberships(&self) -> Vec<Arc<Membership>> {
        let mut open = self.wire.open_memberships();
        if open.is_empty() {
            open.push(self.membership());
        }
        open
    }

    /// True when no change is under way, as far as any log shows.
    pub(crate) fn are_members_settled(&self) -> bool {
        let now = self.membership();
        let is_same = |other: &Arc<Membership>| {
            other.voters == now.voters && !other.is_joint() && other.change.is_none()
        };
        self.plan.members.is_none() || self.open_memberships().iter().all(is_same)
    }

    /// True when the machines for which `is_there` holds suffice for a quorum, whichever of the
    /// open memberships is in force.
    pub(crate) fn is_quorum(&self, is_there: impl Fn(u64) -> bool) -> bool {
        let suffices = |membership: &Arc<Membership>| WireChecker::is_quorum(membership, &is_there);
        self.open_memberships().iter().all(suffices)
    }

    /// The smallest number of voters that are a majority.
    pub(crate) fn quorum_size(&self) -> usize {
        self.membership().voters.len() / 2 + 1
    }
}

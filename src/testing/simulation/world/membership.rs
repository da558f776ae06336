//! The members, as far as a run knows them: the places of the machines, and the commands of
//! operators with their answers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::World;
use super::machine::Machine;
use super::place::Place;
use crate::testing::simulation::checks::wire::WireChecker;
use crate::types::{Membership, NodeId};

/// A change that a node has said has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The index of the entry that began it.
    pub(crate) number: u64,
    /// The member that it is about.
    pub(crate) id: u64,
    /// The command.
    pub(crate) command: String,
}

/// The commands of operators.
#[derive(Default)]
pub(crate) struct Operators {
    /// The changes that have begun, in the order of the answers.
    pub(crate) accepted: RefCell<Vec<Accepted>>,
    /// The number of answers of each kind, without their numbers.
    pub(crate) answers: RefCell<BTreeMap<String, u64>>,
    /// The removed machines whose further life is decided.
    pub(crate) dismissed: RefCell<BTreeSet<u64>>,
    /// The ports of the machines as the files say them that are read at a start.
    pub(crate) ports_in_files: RefCell<BTreeMap<u64, u16>>,
    /// The machines that new files list besides those that have joined.
    pub(crate) listed: RefCell<BTreeSet<u64>>,
    /// True once the members have to come to rest.
    pub(crate) is_over: Cell<bool>,
}

impl Operators {
    /// Counts an answer. Answers that differ only in their numbers are of one kind.
    pub(crate) fn count(&self, word: &str, answer: &str) {
        let kind: String =
            answer.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let mut kind = format!("{word}: {kind}");
        while kind.contains("##") {
            kind = kind.replace("##", "#");
        }
        *self.answers.borrow_mut().entry(kind).or_default() += 1;
    }
}

impl World {
    /// The newest membership that is known to be committed; that of the founders while none is.
    pub(crate) fn membership(&self) -> Arc<Membership> {
        let known = self.wire.committed_members();
        let founders = || Arc::new(Membership::seed((1..=self.plan.nodes).map(NodeId)));
        known.map_or_else(founders, |(_, membership)| membership)
    }

    /// The machines whose nodes are to run, members or not.
    pub(crate) fn serving(&self) -> Vec<u64> {
        let serves = |machine: &&Rc<Machine>| machine.place.get() == Place::Serving;
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
        let suffices =
            |membership: &Arc<Membership>| WireChecker::is_quorum(membership, |id| is_there(id));
        self.open_memberships().iter().all(suffices)
    }

    /// The smallest number of voters that are a majority.
    pub(crate) fn quorum_size(&self) -> usize {
        self.membership().voters.len() / 2 + 1
    }
}

//! The durable contents of all disks, and the checks that need nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::durable::{Archive, Durable, Slot, last, newest};
use crate::testing::SimDisk;
use crate::testing::simulation::checks::violation::{Check, Violation};
use crate::testing::simulation::plan::Plan;
use crate::types::{LogIndex, LogPosition, Membership, NodeId, Term};

/// The result of a check.
pub(super) type Finding = Result<(), Violation>;

/// Reports a violation of `check` unless `is_kept`.
pub(super) fn ensure(is_kept: bool, check: Check, what: impl FnOnce() -> String) -> Finding {
    if is_kept { Ok(()) } else { Err(Violation { check, what: what() }) }
}

/// The contents that each node's disk would keep if its power failed now.
pub(super) struct Disks {
    pub nodes: BTreeMap<NodeId, Durable>,
    archive: Arc<Mutex<Archive>>,
    /// The members of a log without members, on a node that founds the cluster.
    founders: Arc<Membership>,
    /// The members of such a log on any other node.
    nobody: Arc<Membership>,
}

impl Disks {
    pub fn new(plan: &Plan, disks: BTreeMap<u64, SimDisk>) -> Disks {
        let archive = Arc::<Mutex<Archive>>::default();
        let durable = |(id, disk)| {
            let id = NodeId(id);
            (id, Durable::new(disk, plan.data_dir(id.0), Arc::clone(&archive)))
        };
        let nodes = disks.into_iter().map(durable).collect();
        let founders = Arc::new(Membership::seed((1..=plan.nodes).map(NodeId)));
        Disks { nodes, archive, founders, nobody: Arc::default() }
    }

    pub fn of(&mut self, node: NodeId) -> &mut Durable {
        self.nodes.get_mut(&node).expect("every node has a machine")
    }

    pub fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().expect("the checker does not panic")
    }

    /// True when there are machines that may become members.
    pub fn has_spares(&self) -> bool {
        self.nodes.len() > self.founders.voters.len()
    }

    /// The members that a node counts by as long as its log says none.
    pub fn initial(&self, node: NodeId) -> Arc<Membership> {
        let is_founder = self.founders.is_voter(node);
        Arc::clone(if is_founder { &self.founders } else { &self.nobody })
    }

    /// The members that the entry at a position says.
    ///
    /// # Panics
    /// When no disk and no leader has ever had that entry.
    pub fn membership(&self, at: LogPosition) -> Arc<Membership> {
        self.archive().membership(at).expect("each membership in a log was read from an entry")
    }

    /// The membership in force at the end of a log of `node`.
    pub fn in_force(&self, node: NodeId, log: &[Slot]) -> Arc<Membership> {
        newest(log).map_or_else(|| self.initial(node), |at| self.membership(at))
    }

    /// The membership in force after the first `length` entries on a node's disk, or after all.
    pub fn in_force_on_disk(&mut self, node: NodeId, length: usize) -> Arc<Membership> {
        let log = self.of(node).log();
        let at = newest(log.get(..length).unwrap_or(log));
        at.map_or_else(|| self.initial(node), |at| self.membership(at))
    }

    /// The end of each node's log, and the membership in force there.
    pub fn ends_in_force(&mut self) -> BTreeMap<NodeId, (LogPosition, Arc<Membership>)> {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let end = |node: NodeId| {
            let end = last(self.of(node).log());
            (node, (end, self.in_force_on_disk(node, usize::MAX)))
        };
        nodes.into_iter().map(end).collect()
    }

    /// The membership in force at the end of each log that is not empty.
    pub fn all_in_force(&mut self) -> Vec<Arc<Membership>> {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let has_log = |node: &NodeId| !self.of(*node).log().is_empty();
        let nodes: Vec<NodeId> = nodes.into_iter().filter(has_log).collect();
        nodes.into_iter().map(|node| self.in_force_on_disk(node, usize::MAX)).collect()
    }

    /// The membership in force at the end of each log that has the entry `at` and may yet become
    /// the log of the cluster: its node votes by the membership that the entry says, or by its own.
    /// The uncommitted end of the log of a leader that has removed itself is nobody's any more.
    pub fn all_in_force_behind(&mut self, at: LogPosition) -> Vec<Arc<Membership>> {
        let committed = self.membership(at);
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let place = at.index.0 as usize - 1;
        let has_entry = |node: &NodeId| {
            self.of(*node).log().get(place).is_some_and(|slot| slot.term == at.term)
        };
        let nodes: Vec<NodeId> = nodes.into_iter().filter(has_entry).collect();
        let ends = nodes.into_iter().map(|node| (node, self.in_force_on_disk(node, usize::MAX)));
        let counts = |(node, end): (NodeId, Arc<Membership>)| {
            (committed.is_voter(node) || end.is_voter(node)).then_some(end)
        };
        ends.filter_map(counts).collect()
    }

    /// True when some log of the node, up to the first `length` entries, has said that it votes.
    pub fn was_voter(&mut self, node: NodeId, length: usize) -> bool {
        let log = self.of(node).log();
        let log = log.get(..length).unwrap_or(log);
        let said = |(place, slot): (usize, &Slot)| {
            let index = LogIndex(place as u64 + 1);
            slot.is_membership().then_some(LogPosition { term: slot.term, index })
        };
        let places: Vec<LogPosition> = log.iter().enumerate().filter_map(said).collect();
        self.initial(node).is_voter(node)
            || places.into_iter().any(|at| self.membership(at).is_voter(node))
    }

    /// A snapshot is whole once it has its name, it is the same on all nodes, and the log holds
    /// all entries after it (§7).
    pub fn check_snapshots(&mut self, node: NodeId) -> Finding {
        let complaint = self.of(node).complaint().map(str::to_owned);
        ensure(complaint.is_none(), Check::Snapshot, || {
            format!("n{node}'s disk: {}", complaint.unwrap_or_default())
        })
    }

    /// "Updated on stable storage before responding to RPCs" (Figure 2): a node that has shown a
    /// term is never again in an earlier one.
    pub fn check_term(&mut self, node: NodeId, term: Term) -> Finding {
        let hard_state = self.of(node).hard_state();
        let is_durable = hard_state.is_some_and(|hard_state| hard_state.current_term >= term);
        ensure(is_durable, Check::DurableVote, || {
            format!("n{node} shows term {term}, and its disk has {hard_state:?}")
        })?;
        let regress = self.of(node).regress();
        ensure(regress.is_none(), Check::DurableVote, || {
            format!("n{node} has forgotten a term or a vote: {regress:?}")
        })
    }

    /// A node that asks for votes, votes or leads has a durable vote that shows it. A node whose
    /// disk has a later term is exempt: it can vote in `term` no more. A rejoining node votes
    /// for others only, and only if it knows where its log ended (docs/adr/0019).
    pub fn check_vote(&mut self, node: NodeId, term: Term, candidate: NodeId) -> Finding {
        self.check_term(node, term)?;
        let hard_state = self.of(node).hard_state().unwrap_or_default();
        let is_over = hard_state.current_term > term;
        ensure(is_over || hard_state.voted_for == Some(candidate), Check::DurableVote, || {
            format!(
                "n{node} has voted for n{candidate} in term {term}, and its disk has \
                     {hard_state:?}"
            )
        })?;
        let may_vote = hard_state.is_end_known && node != candidate;
        ensure(!hard_state.is_rejoining || may_vote, Check::Rejoining, || {
            format!("n{node} takes part in term {term}, and its disk says that it may not")
        })
    }
}

//! The durable contents of all disks, and the checks that need nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::durable::{Archive, Durable};
use crate::testing::SimDisk;
use crate::testing::simulation::checks::violation::{Check, Violation};
use crate::testing::simulation::plan::Plan;
use crate::types::{NodeId, Term};

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
}

impl Disks {
    pub fn new(plan: &Plan, disks: BTreeMap<u64, SimDisk>) -> Disks {
        let archive = Arc::<Mutex<Archive>>::default();
        let durable = |(id, disk)| {
            let id = NodeId(id);
            let dir = plan.settings.servers[&id].data_dir.clone();
            (id, Durable::new(disk, dir, Arc::clone(&archive)))
        };
        let nodes = disks.into_iter().map(durable).collect();
        Disks { nodes, archive }
    }

    pub fn of(&mut self, node: NodeId) -> &mut Durable {
        self.nodes.get_mut(&node).expect("every node has a machine")
    }

    pub fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().expect("the checker does not panic")
    }

    pub fn quorum_size(&self) -> usize {
        self.nodes.len() / 2 + 1
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

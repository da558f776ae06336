//! The role of a node in its term (§5.1), with the state that it keeps only in that role.

use std::collections::BTreeSet;

use super::leadership::Leadership;
use super::quorum::Quorum;
use crate::types::NodeId;

/// The role of this node, with the state of that role.
pub(super) enum RoleState {
    /// Follows a leader, or waits for one.
    Follower { leader: Option<LeaderContact> },
    /// Asks whether it would be elected (dissertation §9.6).
    PreCandidate(Candidacy),
    /// Asks for votes.
    Candidate(Candidacy),
    /// Leads its term.
    Leader(Box<Leadership>),
}

/// A follower's leader, and the ticks since it was last heard.
#[derive(Clone, Copy)]
pub(super) struct LeaderContact {
    leader_id: NodeId,
    silent_ticks: u32,
}

impl LeaderContact {
    /// A leader that was just heard.
    pub(super) fn heard(leader_id: NodeId) -> LeaderContact {
        LeaderContact { leader_id, silent_ticks: 0 }
    }

    pub(super) fn leader_id(&self) -> NodeId {
        self.leader_id
    }

    pub(super) fn silent_ticks(&self) -> u32 {
        self.silent_ticks
    }

    pub(super) fn tick(&mut self) {
        self.silent_ticks = self.silent_ticks.saturating_add(1);
    }

    /// Counts the leader as silent for `ticks`, because it has probably stopped.
    pub(super) fn give_up(&mut self, ticks: u32) {
        self.silent_ticks = ticks;
    }
}

/// The answers to a candidate, or to a pre-candidate.
#[derive(Default)]
pub(super) struct Candidacy {
    granted: BTreeSet<NodeId>,
    refused: BTreeSet<NodeId>,
}

impl Candidacy {
    /// A candidacy that has the support of `id` from the beginning.
    pub(super) fn with(id: NodeId) -> Candidacy {
        Candidacy { granted: BTreeSet::from([id]), refused: BTreeSet::new() }
    }

    pub(super) fn grant(&mut self, from: NodeId) {
        self.granted.insert(from);
    }

    pub(super) fn refuse(&mut self, from: NodeId) {
        self.refused.insert(from);
    }

    pub(super) fn is_granted_by(&self, id: NodeId) -> bool {
        self.granted.contains(&id)
    }

    /// The nodes that support the candidate, when the candidacy is over.
    pub(super) fn take_granted(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.granted)
    }

    pub(super) fn is_won(&self, quorum: Quorum<'_>) -> bool {
        quorum.is_met(|voter| self.granted.contains(&voter))
    }

    /// True when the voters that have not refused cannot make a quorum.
    pub(super) fn is_lost(&self, quorum: Quorum<'_>) -> bool {
        !quorum.is_met(|voter| !self.refused.contains(&voter))
    }
}

#[cfg(test)]
mod tests;

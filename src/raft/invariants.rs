//! The invariants of one node, which are checked after every event, in production too.

use super::role::RoleState;
use super::state::Raft;
use crate::types::LogIndex;

impl Raft {
    /// Checks this node's own invariants. The invariants that span nodes (Figure 3) are
    /// checked by the tests, which see all nodes.
    ///
    /// # Panics
    /// When an invariant does not hold: a node that is wrong about its own state must not
    /// go on.
    pub fn check_invariants(&self) {
        let last = self.log.last();
        let persisted_index = self.persistence.persisted_index();
        let submitted_index = self.apply.submitted_index();
        assert!(self.last_applied() <= submitted_index, "applied <= submitted");
        assert!(submitted_index <= self.commit_index, "submitted <= committed");
        assert!(submitted_index <= persisted_index, "submitted <= durable");
        assert!(self.commit_index <= last.index, "committed <= last");
        assert!(persisted_index <= last.index, "durable <= last");
        assert!(last.term <= self.term(), "no entry is of a term to come");
        let (base, newest) = (self.log.base(), self.snapshots.newest());
        assert!(base.index <= self.snapshots.older(), "base <= older snapshot (docs/bugs.md B55)");
        assert!(self.snapshots.older() <= newest.index, "older snapshot <= newest");
        assert!(newest.index <= submitted_index, "newest snapshot <= submitted");
        assert!(self.log.contains(newest), "the log goes on from the newest snapshot");
        let (cluster, reads) = (self.log.cluster(), self.settings.gate.formats);
        assert!(cluster.is_in_order(), "formats rise by one, and one entry names the cluster");
        assert!(reads.contains(cluster.newest().format.format), "the log is of a format we read");
        match &self.role {
            RoleState::Leader(leadership) => {
                self.check_leaders_membership(leadership.reads.first_index());
                assert_eq!(self.inquiry.len(), 0, "a leader confirms its reads by itself");
                let first_index = leadership.reads.first_index();
                assert_eq!(leadership.term(), self.term(), "a leader leads its own term");
                assert!(
                    first_index <= base.index || self.log.term_at(first_index) == Some(self.term()),
                    "a leader's no-op is in its log, or in its snapshot"
                );
                assert_eq!(last.term, self.term(), "a leader's log ends with its term");
                assert_eq!(
                    self.hard_state().voted_for,
                    Some(self.settings.id),
                    "a leader has voted for itself"
                );
                assert!(self.persistence.is_hard_state_durable(), "a leader's term is durable");
            }
            RoleState::Candidate(_) => assert_eq!(
                self.hard_state().voted_for,
                Some(self.settings.id),
                "a candidate has voted for itself"
            ),
            RoleState::Follower { leader: Some(contact) } => {
                assert_ne!(
                    contact.leader_id(),
                    self.settings.id,
                    "a follower does not follow itself"
                )
            }
            RoleState::Follower { leader: None } | RoleState::PreCandidate(_) => {}
        }
    }

    fn check_leaders_membership(&self, first_index: LogIndex) {
        let cluster = self.log.cluster();
        let is_own_term_committed = self.commit_index >= first_index;
        assert!(
            !is_own_term_committed || cluster.memberships_after(self.commit_index) <= 1,
            "a leader appends a membership when the one before is committed (docs/bugs.md B45)"
        );
        let membership = self.membership();
        assert!(
            !membership.is_joint() || membership.change.is_some(),
            "a joint membership has a change that ends it"
        );
    }
}

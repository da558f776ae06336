//! What must hold after every event, in production too.

use super::{Raft, RoleState};

impl Raft {
    /// Checks this node's own invariants. Those that span nodes (Figure 3) are
    /// checked by the tests that see them all.
    ///
    /// # Panics
    /// When one does not hold: a node that is wrong about its own state must not
    /// go on.
    pub fn check_invariants(&self) {
        let last = self.log.last();
        let persisted_index = self.persistence.persisted_index();
        assert!(self.last_applied <= self.submitted_index, "applied <= handed over");
        assert!(self.submitted_index <= self.commit_index, "handed over <= committed");
        assert!(self.submitted_index <= persisted_index, "handed over <= durable");
        assert!(self.commit_index <= last.index, "committed <= last");
        assert!(persisted_index <= last.index, "durable <= last");
        assert!(last.term <= self.term(), "no entry is of a term to come");
        let (base, newest) = (self.log.base(), self.snapshots.newest());
        assert!(base.index <= self.snapshots.older(), "base <= older snapshot (B55)");
        assert!(self.snapshots.older() <= newest.index, "older snapshot <= newest");
        assert!(newest.index <= self.submitted_index, "newest snapshot <= handed over");
        assert!(self.log.contains(newest), "the log goes on from the newest snapshot");
        match &self.role {
            RoleState::Leader(leadership) => {
                assert_eq!(leadership.term, self.term(), "a leader leads its own term");
                assert!(
                    leadership.first_index <= base.index
                        || self.log.term_at(leadership.first_index) == Some(self.term()),
                    "a leader's no-op is in its log, or in its snapshot"
                );
                assert_eq!(last.term, self.term(), "a leader's log ends with its term");
                assert_eq!(
                    self.hard_state.voted_for,
                    Some(self.settings.id),
                    "a leader has voted for itself"
                );
                assert!(self.is_hard_state_durable(), "a leader's term is durable");
            }
            RoleState::Candidate { .. } => assert_eq!(
                self.hard_state.voted_for,
                Some(self.settings.id),
                "a candidate has voted for itself"
            ),
            RoleState::Follower { leader: Some(contact) } => {
                assert_ne!(contact.leader_id, self.settings.id, "a follower does not follow itself")
            }
            RoleState::Follower { leader: None } | RoleState::PreCandidate { .. } => {}
        }
    }
}

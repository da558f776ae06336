//! The votes that nodes have given to each other (§5.2, §5.4.1).

use std::collections::{BTreeMap, BTreeSet};

use super::disks::{Disks, Finding, ensure};
use super::durable::last;
use crate::raft::RequestVote;
use crate::testing::simulation::checks::violation::Check;
use crate::types::{LogPosition, NodeId, Term};

/// All votes of the run. A vote binds its voter over restarts, and after the loss of its disk.
#[derive(Default)]
pub(super) struct Votes {
    /// The candidate that a node has voted for in a term.
    granted: BTreeMap<(NodeId, Term), NodeId>,
    /// The nodes that have voted for a candidate in a term.
    voters: BTreeMap<(NodeId, Term), BTreeSet<NodeId>>,
    /// The nodes that have granted a candidate a PreVote for a term.
    pre_voters: BTreeMap<(NodeId, Term), BTreeSet<NodeId>>,
    /// The end of a candidate's log in a term.
    candidates: BTreeMap<(NodeId, Term), LogPosition>,
}

impl Votes {
    pub fn on_pre_vote_granted(&mut self, voter: NodeId, candidate: NodeId, term: Term) {
        self.pre_voters.entry((candidate, term)).or_default().insert(voter);
    }

    /// "vote for self" (Figure 2, candidates): a request for votes shows that vote. A majority
    /// has granted a PreVote before it (dissertation §9.6).
    pub fn on_request_vote(
        &mut self,
        candidate: NodeId,
        term: Term,
        request: RequestVote,
        disks: &mut Disks,
    ) -> Finding {
        disks.check_vote(candidate, term, candidate)?;
        let pre_voters = self.pre_voters.entry((candidate, term)).or_default();
        pre_voters.insert(candidate);
        ensure(pre_voters.len() >= disks.quorum_size(), Check::PreVote, || {
            format!("n{candidate} stands in term {term} on the word of {pre_voters:?}")
        })?;
        self.candidates.insert((candidate, term), request.last);
        self.count(candidate, term, candidate)
    }

    pub fn on_granted(
        &mut self,
        voter: NodeId,
        candidate: NodeId,
        term: Term,
        disks: &mut Disks,
    ) -> Finding {
        disks.check_vote(voter, term, candidate)?;
        self.count(voter, term, candidate)?;
        self.check_log(voter, candidate, term, disks)
    }

    /// "Each server will vote for at most one candidate in a given term" (§5.2).
    fn count(&mut self, voter: NodeId, term: Term, candidate: NodeId) -> Finding {
        self.voters.entry((candidate, term)).or_default().insert(voter);
        let first = *self.granted.entry((voter, term)).or_insert(candidate);
        ensure(first == candidate, Check::OneVote, || {
            format!("n{voter} votes for n{candidate} in term {term}, and did for n{first}")
        })
    }

    /// "If votes received from majority of servers: become leader" (Figure 2).
    pub fn check_elected(&self, leader: NodeId, term: Term, disks: &Disks) -> Finding {
        let voters = self.voters.get(&(leader, term));
        let is_elected = voters.is_some_and(|voters| voters.len() >= disks.quorum_size());
        ensure(is_elected, Check::ElectionQuorum, || {
            format!("n{leader} leads term {term}, elected by {voters:?}")
        })
    }

    /// "the voter denies its vote if its own log is more up-to-date than that of the
    /// candidate" (§5.4.1). The voter's entries of earlier terms count: between its decision and
    /// its answer it may have received entries from the winner.
    fn check_log(
        &self,
        voter: NodeId,
        candidate: NodeId,
        term: Term,
        disks: &mut Disks,
    ) -> Finding {
        let Some(asked) = self.candidates.get(&(candidate, term)).copied() else {
            return ensure(false, Check::OneVote, || {
                format!("n{voter} votes for n{candidate} in term {term}, which has not asked")
            });
        };
        let log = disks.of(voter).log();
        let earlier = log.partition_point(|slot| slot.term < term);
        let has_heard_leader = earlier < log.len();
        let own = last(&log[..earlier]);
        ensure(has_heard_leader || own <= asked, Check::ElectionRestriction, || {
            format!(
                "n{voter} votes in term {term} for n{candidate}, whose log ends at {asked}, and \
                 its own at {own}"
            )
        })
    }
}

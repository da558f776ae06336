//! The votes that nodes have given to each other (§5.2, §5.4.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disks::{Disks, Finding, ensure};
use super::durable::last;
use super::quorum::is_quorum;
use crate::raft::RequestVote;
use crate::testing::simulation::checks::violation::Check;
use crate::types::{LogPosition, Membership, NodeId, Term};

/// All votes of the run. A vote binds its voter over restarts, and after the loss of its disk.
#[derive(Default)]
pub(super) struct Votes {
    /// The candidate that a node has voted for in a term.
    granted: BTreeMap<(NodeId, Term), NodeId>,
    /// The nodes that have voted for a candidate in a term.
    voters: BTreeMap<(NodeId, Term), BTreeSet<NodeId>>,
    /// The nodes that have granted a candidate a PreVote for a term.
    pre_voters: BTreeMap<(NodeId, Term), BTreeSet<NodeId>>,
    /// The candidates of each term.
    candidates: BTreeMap<(NodeId, Term), Candidate>,
    /// The leaders whose votes were counted.
    elected: BTreeSet<(NodeId, Term)>,
}

/// A node that has requested votes.
struct Candidate {
    /// The end of its log.
    last: LogPosition,
    /// The membership in force there, by which it counts (§4.1).
    membership: Arc<Membership>,
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
        let membership = disks.in_force_on_disk(candidate, request.last.index.0 as usize);
        let pre_voters = self.pre_voters.entry((candidate, term)).or_default();
        pre_voters.insert(candidate);
        ensure(is_quorum(&membership, |id| pre_voters.contains(&id)), Check::PreVote, || {
            format!(
                "n{candidate} stands in term {term} on the word of {pre_voters:?}, among \
                 {membership:?}"
            )
        })?;
        self.stand(candidate, term, request, disks)
    }

    /// A node stands at the order of the leader before it, without a PreVote (dissertation §3.10).
    pub fn on_transfer_vote(
        &mut self,
        candidate: NodeId,
        term: Term,
        request: RequestVote,
        disks: &mut Disks,
    ) -> Finding {
        disks.check_vote(candidate, term, candidate)?;
        self.stand(candidate, term, request, disks)
    }

    /// Only a node that its log has named as a voter may stand. It may be one no more: as long as
    /// its removal is not committed, it may have the only log that can win (docs/adr/0026).
    fn stand(
        &mut self,
        candidate: NodeId,
        term: Term,
        request: RequestVote,
        disks: &mut Disks,
    ) -> Finding {
        let length = request.last.index.0 as usize;
        ensure(disks.was_voter(candidate, length), Check::Membership, || {
            format!("n{candidate} stands in term {term}, and never had a vote")
        })?;
        let membership = disks.in_force_on_disk(candidate, length);
        let standing = Candidate { last: request.last, membership };
        self.candidates.insert((candidate, term), standing);
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
    /// The majority is one of each half of the membership at the end of the leader's log
    /// (dissertation §4.3). A leader that has asked nobody is the only voter.
    pub fn check_elected(&mut self, leader: NodeId, term: Term, disks: &mut Disks) -> Finding {
        if self.elected.contains(&(leader, term)) {
            return Ok(());
        }
        let membership = match self.candidates.get(&(leader, term)) {
            Some(candidate) => Arc::clone(&candidate.membership),
            None => {
                let log = disks.of(leader).log();
                let length = log.partition_point(|slot| slot.term < term);
                disks.in_force_on_disk(leader, length)
            }
        };
        let only_itself = BTreeSet::from([leader]);
        let voters = self.voters.get(&(leader, term)).unwrap_or(&only_itself);
        ensure(is_quorum(&membership, |id| voters.contains(&id)), Check::ElectionQuorum, || {
            format!("n{leader} leads term {term}, elected by {voters:?} of {membership:?}")
        })?;
        self.elected.insert((leader, term));
        Ok(())
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
        let Some(asked) = self.candidates.get(&(candidate, term)).map(|asked| asked.last) else {
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

//! A leader of three nodes that changes the members or hands over, rightly or wrongly.

use std::collections::BTreeSet;

use super::*;
use crate::raft::TimeoutNow;
use crate::types::{Address, Change, ChangeKind, Member, Membership};

/// Nodes 1 to 3 vote, and 4 and 5 learn.
fn learning() -> Membership {
    let address = |id, port| Address { host: format!("n{id}"), port };
    let member = |id| Member { peer: address(id, 9001), client: address(id, 9000) };
    Membership {
        voters: [1, 2, 3].map(NodeId).into(),
        members: (1..=5).map(|id| (NodeId(id), member(id))).collect(),
        last_id: NodeId(5),
        ..Membership::default()
    }
}

/// Nodes 1, 4 and 5 are to vote.
fn joint() -> Membership {
    let voters: BTreeSet<NodeId> = [1, 4, 5].map(NodeId).into();
    let what = ChangeKind::Replace { old: NodeId(2), new: NodeId(5) };
    let change = Some(Change { number: LogIndex(2), what });
    Membership { voters, outgoing: learning().voters, change, ..learning() }
}

fn members(index: u64, term: u64, membership: Membership) -> Entry {
    Entry { payload: Payload::Membership(membership), ..entry(index, term) }
}

impl Fixture {
    /// n1 leads term 1 with entry 1 and, behind it, the learners. Both are committed.
    fn with_learners() -> Fixture {
        let mut f = Fixture::of(5);
        f.checker.state().formats.put_in_force(Format(3));
        f.elect();
        for node in [3, 4, 5] {
            f.save(node, 1, 1);
        }
        let learners = [entry(1, 1), members(2, 1, learning())];
        f.hold(&[1, 2], &learners);
        assert_eq!(f.send(1, 2, 1, append(1, 1, 0, vec![learners[1].clone()])), None);
        assert_eq!(f.send(1, 2, 1, append(2, 1, 2, vec![])), None);
        f
    }

    fn hold(&mut self, nodes: &[u64], entries: &[Entry]) {
        for node in nodes {
            self.append(*node, entries);
            self.sync(*node);
        }
    }
}

#[test]
fn a_joint_membership_is_committed_by_both_halves() {
    for (holders, wrong) in [
        (&[1, 2][..], Some(Check::DurableQuorum)),
        (&[1, 4, 5], Some(Check::DurableQuorum)),
        (&[1, 2, 4], None),
        (&[2, 3, 4, 5], None),
    ] {
        let mut f = Fixture::with_learners();
        let all = [entry(1, 1), members(2, 1, learning()), members(3, 1, joint())];
        for node in holders {
            let first = if [1, 2].contains(node) { 2 } else { 0 };
            f.hold(&[*node], &all[first..]);
        }
        assert_eq!(f.send(1, 3, 1, append(2, 1, 2, vec![all[2].clone()])), None);
        assert_eq!(f.send(1, 3, 1, append(3, 1, 3, vec![])), wrong, "{holders:?}");
    }
}

/// The leader announces both commits together: that of the joint membership, and that of the entry
/// behind it, which the second half alone holds.
#[test]
fn the_second_half_counts_when_both_halves_hold_the_joint_membership() {
    for (holds_joint, wrong) in [(true, None), (false, Some(Check::DurableQuorum))] {
        let mut f = Fixture::with_learners();
        let all = [entry(1, 1), members(2, 1, learning()), members(3, 1, joint()), entry(4, 1)];
        f.hold(&[1], &all[2..]);
        f.hold(&[4], &all);
        if holds_joint {
            f.hold(&[2], &all[2..3]);
        }
        assert_eq!(f.send(1, 3, 1, append(2, 1, 2, all[2..].to_vec())), None);
        assert_eq!(f.send(1, 3, 1, append(4, 1, 4, vec![])), wrong, "{holds_joint}");
    }
}

#[test]
fn a_leader_outside_of_the_voters_does_not_count_itself() {
    let without_1 =
        Membership { voters: [4, 5].map(NodeId).into(), outgoing: learning().voters, ..joint() };
    let mut f = Fixture::with_learners();
    let entry_3 = members(3, 1, without_1.clone());
    f.hold(&[1, 2], std::slice::from_ref(&entry_3));
    f.hold(&[4], &[entry(1, 1), members(2, 1, learning()), entry_3.clone()]);
    assert_eq!(f.send(1, 3, 1, append(2, 1, 2, vec![entry_3])), None);
    let wrong = f.send(1, 3, 1, append(3, 1, 3, vec![]));
    assert_eq!(wrong, Some(Check::DurableQuorum), "one of two, and the leader");
}

#[test]
fn a_membership_waits_for_the_one_before_it_and_for_a_commit_in_the_term() {
    let mut f = Fixture::with_learners();
    let joint_3 = members(3, 1, joint());
    assert_eq!(f.send(1, 2, 1, append(2, 1, 2, vec![joint_3])), None);
    let ended = Membership { outgoing: BTreeSet::new(), change: None, ..joint() };
    let wrong = f.send(1, 2, 1, append(3, 1, 2, vec![members(4, 1, ended)]));
    assert_eq!(wrong, Some(Check::Membership), "the joint one is not committed");

    let mut f = Fixture::with_learners();
    f.save(2, 2, 2);
    f.save(3, 2, 2);
    let pre_vote = Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true });
    assert_eq!(f.send(3, 2, 2, pre_vote), None);
    let last = LogPosition { term: Term(1), index: LogIndex(2) };
    assert_eq!(f.send(2, 3, 2, request_vote(last)), None);
    assert_eq!(f.send(3, 2, 2, grant()), None);
    let entries = vec![entry(3, 2), members(4, 2, joint())];
    let wrong = f.send(2, 3, 2, append(2, 1, 2, entries));
    assert_eq!(wrong, Some(Check::Membership), "nothing of term 2 is committed");
}

#[test]
fn a_learner_does_not_elect_and_is_not_elected() {
    let mut f = Fixture::with_learners();
    f.hold(&[4], &[entry(1, 1), members(2, 1, learning())]);
    f.save(4, 2, 4);
    let pre_vote = Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true });
    for voter in [2, 3] {
        assert_eq!(f.send(voter, 4, 2, pre_vote.clone()), None);
    }
    let last = LogPosition { term: Term(1), index: LogIndex(2) };
    assert_eq!(f.send(4, 2, 2, request_vote(last)), Some(Check::Membership));

    let mut f = Fixture::with_learners();
    f.save(2, 2, 2);
    for learner in [4, 5] {
        f.save(learner, 2, 2);
        assert_eq!(f.send(learner, 2, 2, pre_vote.clone()), None);
    }
    assert_eq!(f.send(2, 4, 2, request_vote(last)), Some(Check::PreVote));
}

#[test]
fn the_leadership_is_handed_over_with_everything_committed() {
    let last = LogPosition { term: Term(1), index: LogIndex(2) };
    let order = Rpc::TimeoutNow(TimeoutNow { last });
    let stand = Rpc::TransferVote(RequestVote { last });

    let mut f = Fixture::with_learners();
    f.save(2, 2, 2);
    assert_eq!(f.send(2, 3, 2, stand.clone()), Some(Check::Transfer), "nobody has ordered it");

    let mut f = Fixture::with_learners();
    assert_eq!(f.send(1, 2, 1, order.clone()), None);
    f.save(2, 2, 2);
    assert_eq!(f.send(2, 3, 2, stand), None);

    let mut f = Fixture::with_learners();
    assert_eq!(f.send(1, 2, 1, append(2, 1, 2, vec![entry(3, 1)])), None);
    assert_eq!(f.send(1, 2, 1, order.clone()), Some(Check::Transfer), "an entry follows");

    let mut f = Fixture::with_learners();
    assert_eq!(f.send(1, 4, 1, order), Some(Check::Transfer), "a learner cannot lead");
}

#[test]
fn a_server_that_knows_of_its_removal_takes_part_no_more() {
    let mut f = Fixture::with_learners();
    f.checker.on_sample(2, 1, 2, true);
    f.save(2, 2, 3);
    assert_eq!(f.send(2, 3, 2, grant()), Some(Check::Removed));
}

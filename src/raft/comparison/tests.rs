use super::*;
use crate::types::Membership;

const TERM: Term = Term(3);
const LEADER: NodeId = NodeId(1);

fn members(count: u64) -> Membership {
    Membership::seed((1..=count).map(NodeId))
}

/// The digests that the leader, node 1, has after entry 10: first its own, then those of nodes 2,
/// 3, ... that have answered.
fn rounds(own: u64, answers: &[(u64, u64)]) -> Rounds {
    let mut rounds = Rounds::default();
    rounds.ask(TERM, LEADER, LogIndex(10), own);
    for (from, digest) in answers {
        rounds.on_answer(TERM, (NodeId(*from), true), LogIndex(10), *digest);
    }
    rounds
}

/// The nodes that differ from the majority of five after entry 10, if there is a majority.
fn wrong(rounds: &Rounds) -> Option<Vec<u64>> {
    let verdict = rounds.verdict(LogIndex(10), Quorum::of(&members(5)))?;
    Some(verdict.wrong.iter().map(|(id, _)| id.0).collect())
}

#[test]
fn a_majority_decides_who_is_wrong_and_nobody_is_before() {
    assert_eq!(wrong(&rounds(7, &[])), None);
    assert_eq!(wrong(&rounds(7, &[(2, 7), (3, 8)])), None, "two of five agree");
    assert_eq!(wrong(&rounds(7, &[(2, 7), (3, 7)])), Some(vec![]));
    assert_eq!(wrong(&rounds(7, &[(3, 8), (2, 7), (4, 7), (5, 9)])), Some(vec![3, 5]));
    assert_eq!(wrong(&rounds(8, &[(2, 7), (3, 7), (4, 7)])), Some(vec![1]), "the leader");
    assert_eq!(wrong(&rounds(7, &[(2, 7), (3, 8), (4, 8), (5, 9)])), None);
}

#[test]
fn a_rejoining_peer_is_judged_and_makes_no_majority() {
    let mut rounds = rounds(7, &[(2, 7)]);
    rounds.on_answer(TERM, (NodeId(3), false), LogIndex(10), 7);
    assert_eq!(wrong(&rounds), None);
    rounds.on_answer(TERM, (NodeId(3), false), LogIndex(10), 8);
    rounds.on_answer(TERM, (NodeId(4), true), LogIndex(10), 7);
    assert_eq!(wrong(&rounds), Some(vec![3]));
}

#[test]
fn two_servers_never_make_a_majority_against_one() {
    let members = members(2);
    let mut rounds = rounds(7, &[(2, 8)]);
    assert_eq!(rounds.verdict(LogIndex(10), Quorum::of(&members)), None);
    let split = Split { index: LogIndex(10), one: (LEADER, 7), other: (NodeId(2), 8) };
    assert_eq!(rounds.take_split(Quorum::of(&members)), Some(split));
}

#[test]
fn answers_of_another_term_and_about_other_entries_are_dropped() {
    let mut rounds = rounds(7, &[(2, 7)]);
    rounds.on_answer(Term(2), (NodeId(3), true), LogIndex(10), 7);
    rounds.on_answer(TERM, (NodeId(3), true), LogIndex(9), 7);
    assert_eq!(wrong(&rounds), None);
    rounds.ask(Term(4), LEADER, LogIndex(10), 7);
    rounds.on_answer(Term(4), (NodeId(3), true), LogIndex(10), 7);
    assert_eq!(wrong(&rounds), None, "a new term begins anew");
}

#[test]
fn a_late_answer_counts_while_its_entry_is_remembered() {
    let mut rounds = rounds(7, &[(2, 7)]);
    for index in 11..10 + ROUNDS_MAX as u64 {
        rounds.ask(TERM, LEADER, LogIndex(index), 0);
    }
    rounds.on_answer(TERM, (NodeId(3), true), LogIndex(10), 7);
    assert_eq!(wrong(&rounds), Some(vec![]));
    rounds.ask(TERM, LEADER, LogIndex(1000), 0);
    assert_eq!((wrong(&rounds), rounds.rounds.len()), (None, ROUNDS_MAX), "forgotten");
}

#[test]
fn a_split_is_reported_once_when_no_majority_can_come_or_has_come() {
    let (members, split_of) = (members(5), |rounds: &mut Rounds, members| {
        rounds.take_split(Quorum::of(members)).map(|split| (split.one.0.0, split.other.0.0))
    });
    let mut undecided = rounds(7, &[(2, 8)]);
    assert_eq!(split_of(&mut undecided, &members), None, "three may yet have the same");
    for _ in 0..SPLIT_HEARTBEATS {
        undecided.ask(TERM, LEADER, LogIndex(10), 7);
    }
    assert_eq!(split_of(&mut undecided, &members), Some((1, 2)), "three do not answer");
    let mut hopeless = rounds(7, &[(2, 8), (3, 7), (4, 8), (5, 9)]);
    assert_eq!(split_of(&mut hopeless, &members), Some((1, 2)));
    hopeless.ask(TERM, LEADER, LogIndex(11), 7);
    for (from, digest) in [(2, 8), (3, 7), (4, 8), (5, 9)] {
        hopeless.on_answer(TERM, (NodeId(from), true), LogIndex(11), digest);
    }
    assert_eq!(split_of(&mut hopeless, &members), None, "it was just reported");
    for _ in 0..QUIET_HEARTBEATS {
        hopeless.ask(TERM, LEADER, LogIndex(11), 7);
    }
    assert_eq!(split_of(&mut hopeless, &members), Some((1, 2)));
    let mut settled = rounds(7, &[(2, 8), (3, 7), (4, 7)]);
    assert_eq!(split_of(&mut settled, &members), None, "a majority knows better");
}

#[test]
fn a_peer_is_told_once_a_heartbeat_and_reported_once_a_term() {
    let mut rounds = rounds(7, &[(2, 8)]);
    let told = |rounds: &mut Rounds| {
        (rounds.is_to_be_told(LogIndex(10), NodeId(2)), rounds.is_to_be_reported(NodeId(2)))
    };
    assert_eq!(told(&mut rounds), (true, true));
    assert_eq!(told(&mut rounds), (false, false));
    rounds.ask(TERM, LEADER, LogIndex(10), 7);
    assert_eq!(told(&mut rounds), (true, false));
}

//! The memory of one peer's runs.

use super::*;
use crate::types::LogIndex;

const PEER: NodeId = NodeId(2);

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { term: Term(term), index: LogIndex(index) }
}

fn word(boot: BootId, leader_term: u64, acknowledged: LogPosition) -> Option<Remembered> {
    Some(Remembered { boot, leader_term: Term(leader_term), acknowledged })
}

#[test]
fn another_run_is_told_what_those_before_it_acknowledged() {
    let mut memories = Memories::default();
    assert_eq!(memories.on_attached(PEER, BootId(7)), None, "nothing is known");
    memories.learn(PEER, Term(3), at(5, 3));
    assert_eq!(memories.on_attached(PEER, BootId(7)), None, "the same run");
    assert_eq!(memories.on_attached(PEER, BootId(8)), word(BootId(7), 3, at(5, 3)));
    memories.learn(PEER, Term(3), at(6, 3));
    assert_eq!(memories.on_attached(PEER, BootId(8)), word(BootId(7), 3, at(5, 3)), "again");
    assert_eq!(memories.on_attached(PEER, BootId(9)), word(BootId(8), 3, at(6, 3)));
}

/// The node heard of it before the peer connected, for example from the leader.
#[test]
fn an_acknowledgement_of_an_unknown_run_is_told_to_any() {
    let mut memories = Memories::default();
    memories.learn(PEER, Term(3), at(5, 3));
    assert_eq!(memories.on_attached(PEER, BootId(7)), word(UNKNOWN_BOOT, 3, at(5, 3)));
}

/// A later run that has acknowledged nothing is bound by the same.
#[test]
fn what_is_remembered_outlives_runs_and_never_falls() {
    let mut memories = Memories::default();
    memories.on_attached(PEER, BootId(7));
    for (leader_term, acknowledged) in [(3, at(5, 3)), (4, at(4, 2)), (3, at(9, 3)), (4, at(3, 2))]
    {
        memories.learn(PEER, Term(leader_term), acknowledged);
    }
    assert_eq!(memories.on_attached(PEER, BootId(8)), word(BootId(7), 4, at(4, 2)));
    assert_eq!(memories.on_attached(PEER, BootId(9)), word(BootId(8), 4, at(4, 2)));
}

#[test]
fn the_table_of_a_term_has_the_acknowledgements_to_its_leader() {
    let mut memories = Memories::default();
    memories.learn(NodeId(2), Term(3), at(5, 3));
    memories.learn(NodeId(3), Term(4), at(4, 2));
    assert_eq!(memories.acknowledged_to(Term(4)), [(NodeId(3), at(4, 2))]);
    assert_eq!(memories.acknowledged_to(Term(5)), []);
}

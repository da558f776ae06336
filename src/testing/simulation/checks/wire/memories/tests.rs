use super::*;

const LEADER: NodeId = NodeId(1);
const TERM: Term = Term(4);

fn at(index: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: TERM }
}

fn check(index: u64, of_third: u64) -> StateCheck {
    let acknowledged = vec![(NodeId(2), at(9)), (NodeId(3), at(of_third))];
    StateCheck { index: LogIndex(index), digest: 7, acknowledged }
}

#[test]
fn a_node_remembers_the_table_that_it_has_answered() {
    let mut memories = Memories::default();
    memories.on_state_check(LEADER, NodeId(2), TERM, &check(5, 6));
    assert_eq!(memories.of(LEADER, NodeId(3)), at(6));
    assert_eq!(memories.of(NodeId(2), NodeId(3)), LogPosition::default());
    let response = StateCheckResponse { index: LogIndex(5), digest: 7 };
    memories.on_response(NodeId(2), TERM.next(), response);
    assert_eq!(memories.of(NodeId(2), NodeId(3)), LogPosition::default());
    memories.on_response(NodeId(2), TERM, response);
    assert_eq!(memories.of(NodeId(2), NodeId(3)), at(6));
    // Nobody tells itself.
    assert_eq!(memories.of(NodeId(2), NodeId(2)), LogPosition::default());
    memories.on_start(NodeId(2));
    assert_eq!(memories.of(NodeId(2), NodeId(3)), LogPosition::default());
}

#[test]
fn what_is_remembered_never_falls() {
    let mut memories = Memories::default();
    memories.on_state_check(LEADER, NodeId(2), TERM, &check(5, 6));
    memories.on_state_check(LEADER, NodeId(2), TERM, &check(6, 3));
    assert_eq!(memories.of(LEADER, NodeId(3)), at(6));
}

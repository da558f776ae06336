use super::*;

const MAX: u32 = 40;
const REMOVED_BY: LogIndex = LogIndex(10);

fn leavers() -> Leavers {
    let mut leavers = Leavers::default();
    leavers.add(NodeId(4), REMOVED_BY, LogIndex(7));
    leavers
}

#[test]
fn a_peer_is_waited_for_until_it_was_told_twice_of_the_commit() {
    let mut leavers = leavers();
    leavers.on_heartbeat(REMOVED_BY);
    leavers.on_report(NodeId(4), REMOVED_BY);
    leavers.on_heartbeat(LogIndex(9));
    assert!(!leavers.tick(REMOVED_BY, MAX), "it lacked the entry, or its commit");
    leavers.on_heartbeat(REMOVED_BY);
    assert!(!leavers.tick(REMOVED_BY, MAX));
    leavers.on_heartbeat(LogIndex(11));
    assert!(leavers.tick(REMOVED_BY, MAX) && leavers.is_empty());
}

#[test]
fn a_peer_that_is_not_there_is_given_up_some_time_after_the_commit() {
    let mut leavers = leavers();
    for _ in 0..3 * MAX {
        assert!(!leavers.tick(LogIndex(9), MAX), "it may be needed until then");
    }
    for _ in 0..MAX {
        assert!(!leavers.tick(REMOVED_BY, MAX));
    }
    assert!(leavers.tick(REMOVED_BY, MAX));
    assert!(!leavers.contains(NodeId(4)));
}

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

#[test]
fn a_removed_leader_is_waited_for_as_long_as_it_leads_and_not_for_ever() {
    let (one, term) = (NodeId(1), Term(3));
    let mut notes = MemberNotes::default();
    notes.on_leader(one, term, false, MAX);
    assert_eq!((notes.departing(), notes.leaving_version), (None, 0));
    notes.on_leader(one, term, true, MAX);
    assert_eq!((notes.departing(), notes.leaving_version), (Some(one), 1));
    for _ in 1..MAX {
        notes.tick();
        notes.on_leader(one, term, true, MAX);
    }
    assert_eq!((notes.departing(), notes.leaving_version), (Some(one), 1));
    notes.tick();
    notes.on_leader(one, term, true, MAX);
    assert_eq!((notes.departing(), notes.leaving_version), (None, 2), "it has had its time");
    notes.on_leader(one, term.next(), true, MAX);
    assert_eq!((notes.departing(), notes.leaving_version), (Some(one), 3));
    notes.on_leader(NodeId(2), term.next().next(), false, MAX);
    assert_eq!((notes.departing(), notes.leaving_version), (None, 4), "a member leads");
    notes.on_leader(one, term, true, MAX);
    assert_eq!(notes.take_departing(), Some(one));
    assert_eq!((notes.departing(), notes.leaving_version), (None, 6));
}

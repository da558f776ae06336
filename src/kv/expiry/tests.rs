use bytes::Bytes;

use super::*;

#[test]
fn totals_move_to_the_due_ones_when_their_time_comes() {
    let mut totals = DueTotals::default();
    for (deadline_ms, bytes) in [(20, 1), (10, 2), (20, 4), (30, 8)] {
        totals.add(deadline_ms, bytes);
    }
    assert_eq!((totals.due(), totals.next_ms()), (Total::default(), Some(10)));
    totals.remove(20, 1);
    totals.advance(20);
    assert_eq!((totals.due(), totals.next_ms()), (Total { names: 2, bytes: 6 }, Some(30)));
    totals.remove(10, 2);
    totals.add(20, 16);
    totals.remove(30, 8);
    totals.advance(5);
    assert_eq!((totals.due(), totals.next_ms()), (Total { names: 2, bytes: 20 }, None));
    assert_eq!(totals.clock_ms(), 20, "the clock never falls");
}

#[test]
fn a_command_removes_at_least_what_it_writes() {
    for bytes in [0, 1, 300, 5_000_000] {
        let step = Step::of(&Payload::Command(Bytes::from(vec![0; bytes])));
        assert!(step.names * RECORD_OVERHEAD_BYTES >= bytes as u64 + RECORD_OVERHEAD_BYTES);
        assert!(step.bytes >= bytes as u64 + RECORD_OVERHEAD_BYTES);
    }
}

#[test]
fn a_step_ends_at_either_bound() {
    let step = Step { names: 2, bytes: 10 };
    let allows = |names, bytes| step.allows_more(Total { names, bytes });
    assert!(allows(0, 0) && allows(1, 9));
    assert!(!allows(2, 0) && !allows(1, 10));
}

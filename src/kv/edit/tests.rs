use super::*;
use std::ops::Bound;

const STEP: Step = Step { names: 10, bytes: 10_000 };

#[test]
fn a_step_removes_by_number_and_by_size_in_the_order_of_deadlines() {
    let stored = || {
        let (mut records, mut history) = (Records::default(), History::default());
        let mut edit = Edit::new(&mut records, &mut history, 1, true);
        for (place, key) in [b"a", b"b", b"c", b"d", b"e"].iter().enumerate() {
            let deadline_ms = Some(50 - place as u64);
            edit.put(*key, NewValue { value: &[0; 100], lease: 0, deadline_ms }).unwrap();
        }
        records.advance(49);
        records
    };
    let left = |step| {
        let mut records = stored();
        let mut history = History::default();
        Edit::new(&mut records, &mut history, 2, true).remove_due(step);
        let keys = records.stored_from(Bound::Unbounded).map(|(key, _)| key[0]);
        keys.collect::<Vec<u8>>()
    };
    assert_eq!(left(Step { names: 2, bytes: 10_000 }), b"abc");
    assert_eq!(left(Step { names: 10, bytes: 1 }), b"abcd");
    assert_eq!(left(STEP), b"a", "it is not due");
    assert_eq!(stored().visible().names, 1);
}

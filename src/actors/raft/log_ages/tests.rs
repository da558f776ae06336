use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn index(index: u64) -> LogIndex {
    LogIndex(index)
}

#[test]
fn the_age_is_that_of_the_first_missing_entry() {
    let mut ages = LogAges::default();
    ages.note(index(5), ms(0));
    ages.note(index(8), ms(100));
    ages.note(index(9), ms(200));
    let age = |matched| ages.age_after(index(matched), index(9), ms(1_000));
    assert_eq!(age(9), Duration::ZERO);
    assert_eq!(age(8), ms(800));
    assert_eq!(age(7), ms(900));
    assert_eq!(age(5), ms(900));
    assert_eq!(age(4), ms(1_000));
    // It is at least as old as the leadership.
    assert_eq!(age(0), ms(1_000));
}

#[test]
fn a_log_that_does_not_grow_is_noted_once() {
    let mut ages = LogAges::default();
    ages.note(index(5), ms(0));
    ages.note(index(5), ms(60_000));
    // An entry that came after a minute of silence is new.
    ages.note(index(6), ms(60_000));
    assert_eq!(ages.age_after(index(5), index(6), ms(60_300)), ms(300));
}

#[test]
fn notes_are_a_tenth_of_a_second_apart_and_bounded() {
    let mut ages = LogAges::default();
    for n in 0..NOTES_MAX as u64 * 20 {
        ages.note(index(n + 1), ms(10 * n));
    }
    assert_eq!(ages.notes.len(), NOTES_MAX);
    let now = ms(10 * NOTES_MAX as u64 * 20);
    let oldest = ages.age_after(index(0), index(u64::MAX), now);
    assert_eq!(oldest, ms(100 * NOTES_MAX as u64));
}

#[test]
fn a_new_leadership_knows_nothing_of_the_one_before() {
    let mut ages = LogAges::default();
    ages.note(index(5), ms(0));
    ages.clear();
    assert_eq!(ages.age_after(index(3), index(5), ms(500)), Duration::ZERO);
    ages.note(index(5), ms(400));
    assert_eq!(ages.age_after(index(3), index(5), ms(500)), ms(100));
}

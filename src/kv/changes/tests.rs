use super::*;
use crate::kv::change::Action;
use crate::kv::key_bytes::KeyBytes;
use crate::kv::record::{NewRecord, Record};

/// A record with this value, as a store without a history writes it.
fn record(key: &[u8], value: &str) -> Record {
    let new = NewRecord {
        value: value.as_bytes(),
        create_revision: 1,
        mod_revision: 1,
        version: 1,
        lease: 0,
        deadline_ms: None,
        change: 1,
    };
    new.record(key)
}

/// A change that is told from others by its revision.
fn change(revision: u64) -> Change {
    let key = KeyBytes::from(&b"k"[..]);
    Change { revision, at_ms: 0, action: Action::Delete { key, previous: record(b"k", "v") } }
}

fn revisions(changes: &Changes) -> Vec<u64> {
    changes.from(0).map(|(_, change)| change.revision).collect()
}

#[test]
fn changes_are_found_by_their_numbers_while_the_oldest_are_forgotten() {
    for first in [1, 15, 16, 17, 1000] {
        let mut changes = Changes::beginning_at(first);
        for number in first..first + 100 {
            assert_eq!(changes.next(), number);
            changes.push(change(number * 2));
            if changes.len() > 40 {
                changes.pop_oldest();
            }
            assert_eq!(changes.oldest().unwrap().revision, changes.first() * 2);
            let kept: Vec<u64> = (changes.first()..=number).map(|number| number * 2).collect();
            assert_eq!(revisions(&changes), kept);
            for number in changes.first()..=number {
                assert_eq!(changes.get(number).unwrap().revision, number * 2);
                assert_eq!(changes.from(number).next().unwrap().0, number);
                assert_eq!(changes.search(|change| change.revision >= number * 2 - 1), number);
            }
            assert_eq!(changes.get(changes.first() - 1), None);
            assert_eq!(changes.get(number + 1), None);
            assert_eq!(changes.search(|_| false), number + 1);
        }
        while changes.len() > 0 {
            changes.pop_oldest();
        }
        changes.pop_oldest();
        assert_eq!((changes.first(), changes.next()), (first + 100, first + 100));
        changes.push(change(7));
        assert_eq!(revisions(&changes), [7]);
    }
}

#[test]
fn a_clone_does_not_see_what_is_added_later_and_shares_the_rest() {
    let mut changes = Changes::default();
    (1..=20).for_each(|revision| changes.push(change(revision)));
    let clone = changes.clone();
    changes.push(change(21));
    assert_eq!(revisions(&clone), (1..=20).collect::<Vec<_>>());
    assert_ne!(clone, changes);
    assert!(std::ptr::eq(clone.get(20).unwrap(), changes.get(20).unwrap()), "nothing was copied");
    changes.pop_oldest();
    assert_eq!(clone.oldest().unwrap().revision, 1);
}

#[test]
fn clones_that_go_on_with_other_changes_do_not_see_each_other() {
    let mut one = Changes::default();
    (1..=20).for_each(|revision| one.push(change(revision)));
    let mut other = one.clone();
    one.push(change(100));
    other.push(change(200));
    other.push(change(201));
    one.push(change(101));
    assert_eq!(revisions(&one)[19..], [20, 100, 101]);
    assert_eq!(revisions(&other)[19..], [20, 200, 201]);
}

fn previous_of(change: &Change) -> &Record {
    let Action::Delete { previous, .. } = &change.action else { panic!("{change:?}") };
    previous
}

#[test]
fn a_forgotten_change_is_freed_at_once_unless_a_clone_has_it() {
    let records: Vec<Record> = (0..40).map(|_| record(b"k", "v")).collect();
    let mut changes = Changes::default();
    for previous in &records {
        let (key, previous) = (KeyBytes::from(&b"k"[..]), previous.clone());
        changes.push(Change { revision: 1, at_ms: 0, action: Action::Delete { key, previous } });
    }
    for forgotten in 1..=20 {
        changes.pop_oldest();
        let held = records.iter().filter(|record| record.is_shared()).count();
        assert_eq!(held, records.len() - forgotten);
    }
    let clone = changes.clone();
    changes.pop_oldest();
    assert!(records[20].is_shared(), "the clone has it");
    assert!(previous_of(clone.oldest().unwrap()).is(&records[20]));
    drop(clone);
    // The rest of its segment goes one by one again, and the segment takes it along.
    (0..12).for_each(|_| changes.pop_oldest());
    assert!(!records[20].is_shared() && records[33].is_shared());
}

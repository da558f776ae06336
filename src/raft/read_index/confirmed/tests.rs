//! Confirmed reads by themselves.

use super::*;

fn pop(reads: &mut ConfirmedReads, submitted: u64) -> Vec<u64> {
    std::iter::from_fn(|| reads.pop(LogIndex(submitted))).map(|(token, _)| token.0).collect()
}

fn add(reads: &mut ConfirmedReads, token: u64, read_index: u64) {
    reads.add(ReadToken(token), LogIndex(read_index));
}

#[test]
fn reads_come_out_by_the_entry_that_they_need() {
    let mut reads = ConfirmedReads::default();
    add(&mut reads, 1, 9);
    add(&mut reads, 2, 7);
    add(&mut reads, 4, 9);
    add(&mut reads, 3, 7);
    assert_eq!(reads.first_index(), Some(LogIndex(7)));
    assert!(pop(&mut reads, 6).is_empty());
    assert_eq!(pop(&mut reads, 8), [2, 3]);
    assert_eq!(pop(&mut reads, 9), [1, 4]);
    assert_eq!((reads.first_index(), reads.len()), (None, 0));
}

#[test]
fn a_cancelled_read_does_not_come_out() {
    let mut reads = ConfirmedReads::default();
    add(&mut reads, 1, 9);
    add(&mut reads, 2, 9);
    assert!(reads.cancel(ReadToken(1)));
    assert!(!reads.cancel(ReadToken(1)));
    assert_eq!(reads.len(), 1);
    assert_eq!(pop(&mut reads, 9), [2]);
    assert!(!reads.cancel(ReadToken(2)), "it was answered");
}

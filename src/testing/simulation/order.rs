//! Every answer against the committed log: there has to be an index for each
//! operation at which its answer was true, and what was sent behind an answer, to
//! whatever client, must not have an earlier one.
//!
//! This is the whole of linearizability (Herlihy and Wing), and no search: the log is
//! the order. The earliest index that fits is always the best choice, for it forbids
//! the least to what comes after. Single keys, pages of a scan and keys that expire
//! are alike here. The search of [`super::linearizability`] knows no log, and is the
//! second opinion.

use super::check::{Check, Violation};
use super::history::{Action, Answer, Item, Operation};
use super::ledger::{Held, Ledger};

/// In the order of the clients' clock.
enum Event {
    /// Somebody was told that so much is committed (dissertation §6.4: a read sees
    /// all that was committed when it was sent).
    Committed(u64),
    Invoked(usize),
    Returned(usize),
}

/// Checks a history; `committed` is what was told to be committed, and when. Returns
/// the index of each operation that has one, and what is wrong.
pub(super) fn check(
    ledger: &Ledger,
    history: &[Operation],
    committed: impl Iterator<Item = (u64, u64)>,
) -> (Vec<Option<u64>>, Vec<Violation>) {
    let mut events: Vec<(u64, Event)> =
        committed.map(|(heard, index)| (heard, Event::Committed(index))).collect();
    for (place, operation) in history.iter().enumerate() {
        if !matches!(operation.answer, Answer::Unknown | Answer::Refused) {
            events.push((operation.invoked, Event::Invoked(place)));
            events.push((operation.returned, Event::Returned(place)));
        }
    }
    events.sort_by_key(|(moment, _)| *moment);
    let (mut floor, mut indexes, mut violations) = (0, vec![None; history.len()], Vec::new());
    for (_, event) in events {
        match event {
            Event::Committed(index) => floor = floor.max(index),
            Event::Invoked(place) => {
                let operation = &history[place];
                indexes[place] = index_of(ledger, operation, floor);
                if indexes[place].is_none() {
                    let check = match operation.action.is_read() {
                        true => Check::Linearizability,
                        false => Check::VersionOrder,
                    };
                    let what = format!("true at no index from {floor} on: {operation:?}");
                    violations.push(Violation { check, what });
                }
            }
            Event::Returned(place) => floor = floor.max(indexes[place].unwrap_or(0)),
        }
    }
    (indexes, violations)
}

/// The first index at which the answer is true, if `floor` was there before. What is
/// stamped behind the answer came behind it.
fn index_of(ledger: &Ledger, operation: &Operation, floor: u64) -> Option<u64> {
    let Operation { key, answer, latest_clock_ms, .. } = operation;
    let was_there = |index: &u64| ledger.clock_ms(*index) <= *latest_clock_ms;
    let mut later = (floor..=ledger.last_index()).take_while(was_there);
    match answer {
        Answer::Stored(version) => (*version > floor).then_some(*version),
        Answer::Deleted => later.skip(1).find(|index| ledger.deleted(*index) == Some(key)),
        _ => later.find(|index| is_true_at(ledger, operation, *index)),
    }
}

fn is_true_at(ledger: &Ledger, operation: &Operation, index: u64) -> bool {
    let Operation { key, action, answer, .. } = operation;
    let held = ledger.at(index, key);
    let version = held.map_or(0, |held| held.version);
    match (answer, action) {
        (Answer::NotFound, _) => held.is_none(),
        (Answer::Mismatch(told), Action::Cas(expected, _)) => version == *told && told != expected,
        (Answer::Exists(told), _) => version == *told && version != 0,
        (Answer::Bare(value), _) => held.is_some_and(|held| held.value == *value),
        (Answer::Value(version, value), _) => {
            let held = held.map(|held| (held.version, &held.value, held.deadline_ms));
            held == Some((*version, value, None))
        }
        (Answer::Expiring(item), _) => held.is_some_and(|held| is_item(ledger, index, held, item)),
        (Answer::Page(items, more), Action::Scan { limit, after }) => {
            let is_behind = |key: &[u8]| after.as_ref().is_none_or(|after| key > after);
            let mut found =
                ledger.keys_at(index).filter(|(name, _)| name.starts_with(key) && is_behind(name));
            let first = found.by_ref().take(*limit as usize);
            let mut told = items.iter();
            let is_equal =
                first.map(|(key, held)| (key, held, told.next())).all(|(key, held, item)| {
                    item.is_some_and(|item| item.key == key && is_item(ledger, index, held, item))
                });
            is_equal && told.next().is_none() && found.next().is_some() == *more
        }
        _ => false,
    }
}

/// The time that is left is told by the leader's clock, which may be ahead of the
/// store's, and never counts when it is behind.
fn is_item(ledger: &Ledger, index: u64, held: &Held, item: &Item) -> bool {
    let left_max = held
        .deadline_ms
        .map_or(0, |deadline_ms| deadline_ms.saturating_sub(ledger.clock_ms(index)).div_ceil(1000));
    let left_min = u64::from(held.deadline_ms.is_some());
    held.version == item.version
        && held.value == item.value
        && (left_min..=left_max).contains(&item.exptime)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kv::{Command, Operation as Write};
    use crate::types::{Entry, LogIndex, Payload, Term};

    /// Entries 1 to 4: `a` is set, then `b` for a second, `a` is deleted, and time passes.
    fn ledger() -> Ledger {
        let set = |key: &str, exptime| Write::Set {
            key: Bytes::copy_from_slice(key.as_bytes()),
            exptime,
            value: Bytes::from("v"),
        };
        let delete = Write::Delete { key: Bytes::from("a") };
        let writes = [(10, Some(set("a", 0))), (20, Some(set("b", 1))), (30, Some(delete))];
        let entries: Vec<Entry> = (1..)
            .zip(writes.into_iter().chain([(1_020, None)]))
            .map(|(index, (stamp_ms, write))| {
                let command = |operation| Command { once: None, store_bytes_max: 0, operation };
                let payload =
                    write.map_or(Payload::Noop, |write| Payload::Command(command(write).encode()));
                Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload }
            })
            .collect();
        Ledger::of(&entries)
    }

    fn read(key: &'static str, at: (u64, u64), answer: Answer) -> Operation {
        let action = match answer {
            Answer::Page(..) => Action::Scan { limit: 5, after: None },
            _ => Action::Get,
        };
        let (invoked, returned) = at;
        let (client, key, clock_ms, latest_clock_ms) = (1, Bytes::from(key), 0, 2_000);
        Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms }
    }

    fn item(key: &'static str, version: u64, exptime: u64) -> Item {
        Item { key: key.into(), version, exptime, value: "v".into() }
    }

    fn is_good(history: &[Operation], committed: &[(u64, u64)]) -> bool {
        check(&ledger(), history, committed.iter().copied()).1.is_empty()
    }

    fn a(at: (u64, u64)) -> Operation {
        read("a", at, Answer::Value(1, "v".into()))
    }

    #[test]
    fn a_read_is_behind_what_was_told_before_it() {
        let gone = |at| read("a", at, Answer::NotFound);
        assert!(is_good(&[a((1, 2)), gone((3, 4))], &[]));
        assert!(is_good(&[gone((1, 2)), a((3, 4))], &[]), "before it was set");
        assert!(is_good(&[gone((1, 4)), a((2, 3))], &[]));
        let expiring = read("b", (1, 2), Answer::Expiring(item("b", 2, 1)));
        assert!(!is_good(&[a((1, 2)), gone((3, 4)), a((5, 6))], &[]));
        assert!(is_good(&[expiring.clone(), a((3, 4))], &[]));
        assert!(is_good(&[expiring.clone(), a((3, 4))], &[(2, 2)]));
        assert!(!is_good(&[expiring, a((3, 5))], &[(2, 3)]), "somebody knew of the deletion");
    }

    #[test]
    fn a_page_is_one_moment() {
        let page = |items: &[Item]| read("", (1, 2), Answer::Page(items.to_vec(), false));
        assert!(is_good(&[page(&[])], &[]));
        assert!(is_good(&[page(&[item("a", 1, 0), item("b", 2, 1)])], &[]));
        assert!(is_good(&[page(&[item("b", 2, 1)])], &[]));
        assert!(!is_good(&[page(&[item("b", 2, 2)])], &[]), "longer than it was given");
        assert!(!is_good(&[page(&[item("a", 1, 0)])], &[(0, 2)]), "b was there by then");
        assert!(!is_good(&[page(&[item("b", 2, 1), item("a", 1, 0)])], &[]), "out of order");
    }

    #[test]
    fn a_key_is_not_gone_before_its_time() {
        let mut gone = read("b", (3, 4), Answer::NotFound);
        assert!(is_good(&[gone.clone()], &[(1, 2)]));
        gone.latest_clock_ms = 1_019;
        assert!(!is_good(&[gone], &[(1, 2)]));
    }
}

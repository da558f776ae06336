//! Checks every answer against the committed log. Each operation needs an index at which its answer
//! was true, and an operation that was sent after the answer to another one, to any client, must
//! not have an earlier index.
//!
//! This is linearizability (Herlihy and Wing) without a search, because the log is the order. The
//! earliest index that fits is always the best choice: it restricts later operations the least.
//! Single keys, pages of a scan, transactions and keys that expire need no distinction here. The
//! search of [`super::linearizability`] does not know the log, and is the second opinion.

use bytes::Bytes;

use super::reference_store::{Did, Held, ReferenceStore, Told};
use super::violation::{Check, Violation};
use crate::kv::Outcome;
use crate::testing::simulation::history::{Action, Answer, Item, Operation, Part};

/// An event of the history, at a time of the clients' logical clock.
enum Event {
    /// A status has shown this commit index (dissertation §6.4: a read sees everything that was
    /// committed when it was sent).
    Committed(u64),
    /// The operation at this place of the history was sent.
    Invoked(usize),
    /// Its answer has arrived.
    Returned(usize),
}

/// Checks a history. `committed` holds the commit indexes that statuses have shown, each with its
/// time. Returns the index of each operation that has one, and the violations.
pub(crate) fn check(
    store: &ReferenceStore,
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
    events.sort_by_key(|(time, _)| *time);
    let (mut floor, mut indexes, mut violations) = (0, vec![None; history.len()], Vec::new());
    for (_, event) in events {
        match event {
            Event::Committed(index) => floor = floor.max(index),
            Event::Invoked(place) => {
                let operation = &history[place];
                indexes[place] = index_of(store, operation, floor);
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

/// The first index from `floor` on at which the answer is true. An entry that is stamped later than
/// the answer came after it.
fn index_of(store: &ReferenceStore, operation: &Operation, floor: u64) -> Option<u64> {
    let Operation { key, action, answer, latest_clock_ms, .. } = operation;
    let was_there = |index: &u64| store.clock_ms(*index) <= *latest_clock_ms;
    let mut later = (floor..=store.last_index()).take_while(was_there);
    match answer {
        Answer::Stored(version) => store.index_of(*version).filter(|index| *index > floor),
        Answer::Deleted => later.skip(1).find(|index| store.deleted(*index) == Some(key)),
        Answer::Committed(revision, answers) if is_change(answers) => store
            .index_of(*revision)
            .filter(|index| *index > floor && is_committed_at(store, *index, answer)),
        Answer::Lease(ttl) => {
            let begun = (lease_of(key)?, *ttl);
            later.skip(1).find(|index| store.of_leases(*index).begun.contains(&begun))
        }
        Answer::Revoked => {
            let revoked = lease_of(key);
            later.skip(1).find(|index| store.of_leases(*index).revoked == revoked)
        }
        Answer::Compacted(revision) => {
            let told = Some(Told::Outcome(Outcome::Compacted { revision: *revision }));
            later.skip(1).find(|index| store.outcome(*index) == told)
        }
        _ => later.find(|index| is_true_at(store, *index, key, action, answer)),
    }
}

/// The id of a lease by its name in the history.
fn lease_of(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name).ok()?.strip_prefix("lease ")?.parse().ok()
}

/// True when the answers to the commands of a transaction show that it has changed a key.
fn is_change(answers: &[Answer]) -> bool {
    answers.iter().any(|answer| matches!(answer, Answer::Stored(_) | Answer::Deleted))
}

/// True when the transaction of the entry at `index` has this answer.
fn is_committed_at(store: &ReferenceStore, index: u64, answer: &Answer) -> bool {
    let Answer::Committed(revision, answers) = answer else { return false };
    let Some(Told::Transaction(told)) = store.outcome(index) else { return false };
    let clock_ms = store.clock_ms(index);
    let is_so = |(did, answer): (&Did, &Answer)| match (did, answer) {
        (Did::Put, Answer::Stored(version)) => version == revision,
        (Did::Delete(deleted), Answer::Deleted) => *deleted == 1,
        (Did::Delete(deleted), Answer::NotFound) => *deleted == 0,
        (Did::Read(found), Answer::NotFound) => found.is_none(),
        (Did::Read(Some((version, value, None))), Answer::Value(told, read)) => {
            (version, value) == (told, read)
        }
        (Did::Read(Some((version, value, Some(deadline_ms)))), Answer::Expiring(item)) => {
            let left = deadline_ms.saturating_sub(clock_ms).div_ceil(1000).max(1);
            (*version, value, left) == (item.version, &item.value, item.exptime)
        }
        // The results of reads may not be kept for a retry.
        (Did::Read(_), Answer::Forgotten(_)) => true,
        _ => false,
    };
    told.failed.is_none()
        && told.revision == *revision
        && told.parts.len() == answers.len()
        && told.parts.iter().zip(answers).all(is_so)
}

/// True when an answer to a command that has changed nothing is right at an index.
pub(super) fn is_true_at(
    store: &ReferenceStore,
    index: u64,
    key: &Bytes,
    action: &Action,
    answer: &Answer,
) -> bool {
    let held = store.at(index, key);
    let version = held.map_or(0, |held| held.version);
    match (answer, action) {
        (Answer::NotFound, _) => held.is_none(),
        (Answer::Mismatch(found), Action::Cas(expected, _)) => {
            version == *found && found != expected
        }
        (Answer::Exists(found), _) => version == *found && version != 0,
        (Answer::Bare(value), _) => held.is_some_and(|held| held.value == *value),
        (Answer::Value(version, value), _) => {
            let held = held.map(|held| (held.version, &held.value, held.deadline_ms));
            held == Some((*version, value, None))
        }
        (Answer::Expiring(item), _) => held.is_some_and(|held| is_item(store, index, held, item)),
        (Answer::Page(items, more), Action::Scan { limit, after }) => {
            is_page(store, index, key, (*limit, after.as_ref()), (items, *more))
        }
        (Answer::Committed(revision, answers), Action::Transaction(parts)) => {
            let asked = parts.iter().filter(|part| part.has_reply());
            let is_right = |(part, answer): (&Part, &Answer)| {
                !matches!(part, Part::Set(..))
                    && is_true_at(store, index, part.key(), &Action::Get, answer)
            };
            store.revision(index) == *revision
                && failed_check(store, index, parts).is_none()
                && asked.zip(answers).all(is_right)
        }
        (Answer::Aborted(key, version), Action::Transaction(parts)) => {
            failed_check(store, index, parts) == Some((key, *version))
        }
        (Answer::NoLease, Action::SetLeased(lease, _)) => !store.was_live(index, *lease),
        (Answer::NoLease, Action::Renew | Action::Revoke) => {
            lease_of(key).is_some_and(|lease| !store.was_live(index, lease))
        }
        (Answer::LeaseExists, Action::Grant(_)) => {
            lease_of(key).is_some_and(|lease| store.was_live(index, lease))
        }
        (Answer::Forgotten(compacted), Action::Compact(to)) => {
            store.compacted(index) == *compacted && to < compacted
        }
        (Answer::Future(revision), Action::Compact(to)) => {
            store.revision(index) == *revision && to > revision
        }
        _ => false,
    }
}

/// The first `check` of a transaction that did not hold at an index, with the version that its key
/// had.
fn failed_check<'a>(
    store: &ReferenceStore,
    index: u64,
    parts: &'a [Part],
) -> Option<(&'a Bytes, u64)> {
    parts.iter().find_map(|part| {
        let Part::Check(key, expected) = part else { return None };
        let version = store.at(index, key).map_or(0, |held| held.version);
        (version != *expected).then_some((key, version))
    })
}

/// True when a page of a scan is what the store had at an index.
fn is_page(
    store: &ReferenceStore,
    index: u64,
    prefix: &[u8],
    (limit, after): (u64, Option<&Bytes>),
    (items, more): (&[Item], bool),
) -> bool {
    let is_after = |key: &[u8]| after.is_none_or(|after| key > after);
    let mut found =
        store.keys_at(index).filter(|(name, _)| name.starts_with(prefix) && is_after(name));
    let first = found.by_ref().take(limit as usize);
    let mut listed = items.iter();
    let is_equal = first.map(|(key, held)| (key, held, listed.next())).all(|(key, held, item)| {
        item.is_some_and(|item| item.key == key && is_item(store, index, held, item))
    });
    is_equal && listed.next().is_none() && found.next().is_some() == more
}

/// True when a value is what the answer says. The remaining time to live is that of the leader's
/// clock, which may be ahead of the store's clock but never behind it.
fn is_item(store: &ReferenceStore, index: u64, held: &Held, item: &Item) -> bool {
    let left_max = held
        .deadline_ms
        .map_or(0, |deadline_ms| deadline_ms.saturating_sub(store.clock_ms(index)).div_ceil(1000));
    let left_min = u64::from(held.deadline_ms.is_some());
    held.version == item.version
        && held.value == item.value
        && (left_min..=left_max).contains(&item.exptime)
}

#[cfg(test)]
mod tests;

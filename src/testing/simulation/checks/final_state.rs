//! The last check, when all nodes have stopped: compares the logs on the disks with each other,
//! with all statuses of the nodes, and with all answers that clients have got.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::committed_log::CommittedLog;
use super::elapsed_time;
use super::linearizability::{self, Verdict};
use super::log_order;
use super::reference_store::{ReferenceStore, Told};
use super::violation::{Check, Violation};
use crate::actors::snapshot::load::{LoadError, load};
use crate::kv::{Command, Operation, Outcome, Store, Transaction, TransactionOperation};
use crate::storage::{SnapshotFiles, Storage, StorageOptions};
use crate::testing::simulation::history::{Action, Answer, Operation as Asked, Part};
use crate::testing::simulation::workload::client::CALM;
use crate::testing::simulation::world::{Machine, World};
use crate::types::{
    Entry, Format, FormatRange, Incarnation, LogIndex, LogPosition, NodeId, Payload,
};

/// The longest time after its deadline at which a key may be read, by the leader's clock, in
/// milliseconds.
const LATE_MS_MAX: u64 = 1_000;
/// The prefix of the keys that never expire.
const LASTING_PREFIX: &[u8] = b"k";

/// Checks everything. `committed` is the index that all nodes have committed.
pub(crate) fn check(world: &World, committed: u64) {
    world.note_misled();
    let log = match common_log(world, committed) {
        Ok(log) => log,
        Err(Violation { check, what }) => return world.violate(check, what),
    };
    let log = &log[..];
    let (replay, reference) = (Replay::of(log), ReferenceStore::of(log));
    check_cluster(world, log);
    super::members::check_log(world, log);
    check_snapshots(world, log, &replay);
    check_samples(world, &replay);
    check_stamps(world, log);
    check_store(world, log, &replay, &reference);
    check_writes(world, &replay);
    check_answers(world, log, &reference);
    super::watches::check(world, &reference);
    super::stale_reads::check(world, &reference);
    match linearizability::check(&history_by_key(world, &replay)) {
        Verdict::Linearizable => {}
        Verdict::GivenUp => world.phase.is_given_up.set(true),
        Verdict::Violation(what) => world.violate(Check::Linearizability, what),
    }
}

/// The committed log. It is the same on all nodes (Log Matching, §5.3), as far as their logs reach
/// back; the earlier entries were in some log.
fn common_log(world: &World, committed: u64) -> Result<Vec<Entry>, Violation> {
    let all = CommittedLog::of(world);
    let mut log: Option<Vec<Entry>> = None;
    for machine in world.members().iter().map(|id| &world.machines[id]) {
        let lost = |what| Violation { check: Check::AcknowledgedWrites, what };
        let (last, kept) = log_of(world, machine, committed).map_err(lost)?;
        let log = match &mut log {
            Some(log) => log,
            none => none.insert(
                all.log_to(last).map_err(|what| Violation { check: Check::LogMatching, what })?,
            ),
        };
        let is_other = |entry: &&Entry| log.get(entry.index.0 as usize - 1) != Some(*entry);
        let position = log.last().map(Entry::position).unwrap_or_default();
        if let Some(entry) = kept.iter().find(is_other) {
            let what = format!("n{} has {entry:?} in a log up to {position}", machine.id);
            return Err(Violation { check: Check::LogMatching, what });
        }
        if position != last {
            let what = format!("n{}'s log ends at {last}, another one at {position}", machine.id);
            return Err(Violation { check: Check::LogMatching, what });
        }
    }
    Ok(log.unwrap_or_default())
}

/// The position of the last committed entry, and the entries that the log still holds.
fn log_of(
    world: &World,
    machine: &Machine,
    committed: u64,
) -> Result<(LogPosition, Vec<Entry>), String> {
    let id = NodeId(machine.id);
    let options = StorageOptions {
        cluster: world.plan.settings.cluster.clone(),
        node_id: id,
        segment_bytes: world.plan.settings.log.segment_bytes,
        can_repair: false,
        has_majority_of_others: false,
        new_incarnation: Incarnation(0),
        formats: FormatRange::OWN,
    };
    let data_dir = world.data_dir(machine.id);
    let disk = Box::new(machine.disk.duplicate());
    let opened = Storage::open(disk, data_dir, options);
    let (mut storage, _) = opened.map_err(|error| format!("n{id}'s log at the end: {error}"))?;
    let (mut last, mut log) = (storage.base(), Vec::new());
    while last.index.0 < committed {
        let next = last.index.next();
        let page = storage
            .read(next, LogIndex(committed), 1 << 20)
            .map_err(|error| format!("n{id}'s log at the end: {error}"))?;
        last = page.last().map(Entry::position).ok_or_else(|| {
            format!("n{id} has committed {committed}, but its log ends before {next}")
        })?;
        log.extend(page);
    }
    Ok((last, log))
}

/// Formats rise by one up to the newest, and the cluster has one id, which comes after the second
/// format (docs/adr/0023, docs/adr/0024).
fn check_cluster(world: &World, log: &[Entry]) {
    let (mut format, mut ids) = (Format::FIRST, Vec::new());
    for entry in log {
        match &entry.payload {
            Payload::Format(next) if next.format == format.next() => format = next.format,
            Payload::Format(next) => {
                let what = format!("{} raises format {format} to {next:?}", entry.position());
                world.violate(Check::FormatRaised, what);
            }
            Payload::ClusterId(id) if format > Format::FIRST => ids.push(*id),
            Payload::ClusterId(id) => {
                let what = format!("{} says {id} in format {format}", entry.position());
                world.violate(Check::FormatAhead, what);
            }
            _ => {}
        }
    }
    if format != FormatRange::OWN.highest {
        world.violate(Check::FormatRaised, format!("format {format} is in force at the end"));
    }
    if ids.len() != 1 {
        world.violate(Check::ClusterIdentity, format!("the log names these cluster ids: {ids:?}"));
    }
}

/// "the snapshot ... describes the state of the system as of the last included index" (§7): each
/// remaining snapshot equals the store after the same entries of the log, and each that was ever
/// seen had the digest of that store.
fn check_snapshots(world: &World, log: &[Entry], replay: &Replay) {
    let mut left: BTreeMap<LogIndex, Vec<(u64, Store)>> = BTreeMap::new();
    for machine in world.members().iter().map(|id| &world.machines[id]) {
        for (last, store) in snapshots_of(world, machine) {
            left.entry(last.index).or_default().push((machine.id, store));
        }
    }
    let mut store = Store::new();
    for entry in log {
        store.apply(entry).expect("every node has applied it");
        for (id, found) in left.remove(&entry.index).unwrap_or_default() {
            if found != store {
                let what = format!("n{id}'s snapshot of {} is another store", entry.position());
                world.violate(Check::Snapshot, what);
            }
        }
    }
    // A snapshot after the end of this log was written when the nodes were equal already.
    for (last, digest) in world.wire.snapshots() {
        let place = last.index.0 as usize;
        if place > log.len() {
            continue;
        }
        let is_committed = log.get(place - 1).is_some_and(|entry| entry.term == last.term);
        if !is_committed || replay.digests[place] != digest {
            let what = format!("a snapshot of {last} was not what the log leads to there");
            world.violate(Check::Snapshot, what);
        }
    }
}

/// The snapshots of a node without their damage. A start validates only the newest.
fn snapshots_of(world: &World, machine: &Machine) -> Vec<(LogPosition, Store)> {
    let (id, dir) = (machine.id, world.data_dir(machine.id));
    let loaded = || {
        let snapshots = SnapshotFiles::open(Box::new(machine.disk.undamaged()), dir)?;
        let load = |last| Ok((last, load(&snapshots, last)?.1));
        snapshots.list()?.into_iter().map(load).collect::<Result<Vec<_>, LoadError>>()
    };
    loaded().unwrap_or_else(|error| {
        world.violate(Check::Snapshot, format!("n{id}'s snapshots at the end: {error}"));
        Vec::new()
    })
}

/// The results of the committed log, executed once more.
struct Replay {
    /// The digest of the store after each index; the first is that of the empty store.
    digests: Vec<u64>,
    /// The outcome of each entry, and the number of keys after it.
    outcomes: Vec<(Option<Outcome>, u64)>,
    /// The indexes of the entries that stored each value.
    stored: BTreeMap<Bytes, Vec<u64>>,
}

impl Replay {
    fn of(log: &[Entry]) -> Replay {
        let mut store = Store::new();
        let mut replay =
            Replay { digests: vec![store.digest()], outcomes: Vec::new(), stored: BTreeMap::new() };
        for entry in log {
            let revision = store.status().revision;
            let outcome = store.apply(entry).expect("every node has applied it");
            let counts_revisions = store.format() >= Format(4);
            let next = if counts_revisions { revision + 1 } else { entry.index.0 };
            replay.digests.push(store.digest());
            replay.outcomes.push((outcome.clone(), store.keys()));
            let version = match outcome {
                Some(Outcome::Stored { version }) => version,
                Some(Outcome::Transaction(outcome)) if outcome.failed.is_none() => outcome.revision,
                _ => continue,
            };
            // A remembered reply has an earlier version: nothing was stored.
            if let Payload::Command(bytes) = &entry.payload
                && let Ok(command) = Command::decode(bytes, FormatRange::OWN.highest)
                && version == next
            {
                replay.note_stored(command.operation, version);
            }
        }
        replay
    }

    fn note_stored(&mut self, operation: Operation, version: u64) {
        let values = match operation {
            Operation::Set { value, .. }
            | Operation::Add { value, .. }
            | Operation::Cas { value, .. } => vec![value],
            Operation::Transaction(Transaction { then, .. }) => {
                let value = |operation| match operation {
                    TransactionOperation::Put(put) => put.value,
                    _ => None,
                };
                then.into_iter().filter_map(value).collect()
            }
            _ => Vec::new(),
        };
        for value in values {
            self.stored.entry(value).or_default().push(version);
        }
    }
}

/// State Machine Safety (§5.4.3) and Leader Completeness (§5.4): the entries that a node had
/// applied at any time are a prefix of the committed log. Election Safety (§5.2): no term has had
/// two leaders.
fn check_samples(world: &World, replay: &Replay) {
    let mut leaders = BTreeMap::new();
    for sample in world.samples.borrow().iter() {
        let may_differ = world.machines[&sample.id].memory.may_differ_in(sample.life);
        let digest = replay.digests.get(sample.last_applied as usize);
        if !may_differ && digest != Some(&sample.store_digest) {
            world.violate(
                Check::StateMachineSafety,
                format!("what it had applied is not what is committed: {sample:?}"),
            );
        }
        if sample.role == "leader" {
            let leader = *leaders.entry(sample.term).or_insert(sample.id);
            if leader != sample.id {
                world.violate(
                    Check::ElectionSafety,
                    format!("term {} has a second leader: {sample:?}", sample.term),
                );
            }
        }
    }
}

/// Stamps never fall, and none counts more time than had passed since the beginning when its entry
/// was committed. No wall clock and no machine's uptime is in them.
fn check_stamps(world: &World, log: &[Entry]) {
    for pair in log.windows(2) {
        if pair[0].stamp_ms > pair[1].stamp_ms {
            let (first, second) = (pair[0].position(), pair[1].position());
            world.violate(Check::Expiry, format!("stamps fall from {first} to {second}"));
        }
    }
    for sample in world.samples.borrow().iter() {
        let newest = log[..(sample.commit_index as usize).min(log.len())].last();
        if newest.is_some_and(|entry| entry.stamp_ms > sample.latest_clock_ms) {
            world.violate(Check::Expiry, format!("stamped in the future: {newest:?}, {sample:?}"));
        }
    }
}

/// The store agrees with the reference store, which follows docs/protocol.md: it executes each
/// command once, and lets keys expire at their deadlines.
fn check_store(world: &World, log: &[Entry], replay: &Replay, reference: &ReferenceStore) {
    for (entry, (outcome, keys)) in log.iter().zip(&replay.outcomes) {
        let index = entry.index.0;
        let (told, expected) = (outcome.as_ref().map(Told::of), reference.outcome(index));
        let expected_keys = reference.keys_at(index).count() as u64;
        let is_same = match (&told, &expected) {
            (Some(told), Some(expected)) => told.is_all_or_less(expected),
            (told, expected) => told == expected,
        };
        if is_same && *keys == expected_keys {
            continue;
        }
        let check = match (is_same, &entry.payload) {
            (true, _) => Check::Expiry,
            (false, Payload::Command(bytes))
                if Command::decode(bytes, FormatRange::OWN.highest)
                    .is_ok_and(|command| command.once.is_some()) =>
            {
                Check::ExactlyOnce
            }
            (false, _) => Check::StateMachineSafety,
        };
        let place = entry.position();
        return world.violate(
            check,
            format!(
                "{place} has the outcome {outcome:?} and leaves {keys} keys, and not {expected:?} \
                 and {expected_keys}"
            ),
        );
    }
}

/// Every answer was true at an index between its command and its arrival. In the fault-free phase,
/// when one node leads all the time, the store's clock is known as well: no key is read more than a
/// second after its deadline, and no key is missing before the entry that lets it expire can have
/// been written.
fn check_answers(world: &World, log: &[Entry], reference: &ReferenceStore) {
    let (history, samples) = (world.history.borrow(), world.samples.borrow());
    let committed = samples.iter().map(|sample| (sample.heard, sample.commit_index));
    let (indexes, violations) = log_order::check(reference, &history, committed);
    for Violation { check, what } in violations {
        world.violate(check, what);
    }
    elapsed_time::check(world, log, reference, &indexes);
    let of_calm = |(operation, _): &(&Asked, Option<u64>)| operation.client == CALM;
    let calm: Vec<_> = history.iter().zip(indexes).filter(of_calm).collect();
    let first = calm.iter().find_map(|(_, index)| *index).unwrap_or(0);
    if log.get(first as usize).map(|entry| entry.term) != log.last().map(|entry| entry.term) {
        return;
    }
    let Some((ahead_min, ahead_max)) = store_clock(&calm, log) else { return };
    for pair in calm.windows(2) {
        let ((operation, index), (next, _)) = (pair[0], pair[1]);
        if next.answer == Answer::Unknown {
            continue; // it was sent to no node, or to several
        }
        let Some(index) = index.filter(|_| operation.action.is_read()) else { continue };
        let deadline_ms = reference.at(index, &operation.key).and_then(|held| held.deadline_ms);
        let asked_ms = operation.clock_ms.saturating_add_signed(ahead_min);
        if deadline_ms.is_some_and(|deadline| asked_ms > deadline + LATE_MS_MAX) {
            world.violate(Check::Expiry, format!("read behind {deadline_ms:?}: {operation:?}"));
        }
        let is_gone = operation.answer == Answer::NotFound;
        let answered_ms = next.clock_ms.saturating_add_signed(ahead_max);
        if is_gone
            && reference.clock_ms(index)
                > answered_ms.max(reference.clock_ms(index.saturating_sub(1)))
        {
            world.violate(Check::Expiry, format!("gone before index {index}: {operation:?}"));
        }
    }
}

/// The bounds by which the store's clock is ahead of the leader's monotonic clock, in milliseconds.
/// They follow from the stamp of each write, which the leader created after the command was sent
/// and before the next one was. A write that was sent twice gives too low an upper bound, so the
/// highest counts.
fn store_clock(calm: &[(&Asked, Option<u64>)], log: &[Entry]) -> Option<(i64, i64)> {
    let ahead = |stamp_ms: u64, clock_ms: u64| stamp_ms as i64 - clock_ms as i64;
    let bounds = calm.windows(2).filter_map(|pair| {
        let ((operation, index), (next, _)) = (pair[0], pair[1]);
        let Answer::Stored(_) = operation.answer else { return None };
        let entry = log.get(index? as usize - 1).filter(|_| next.answer != Answer::Unknown)?;
        let is_of_calm = log.last().is_some_and(|last| last.term == entry.term);
        let stamp_ms = is_of_calm.then_some(entry.stamp_ms)?;
        Some((ahead(stamp_ms, next.clock_ms), ahead(stamp_ms, operation.clock_ms)))
    });
    bounds.reduce(|(min, max), (low, high)| (min.max(low), max.max(high)))
}

/// The history for the search for an order: operations on keys that do not expire. A page of a scan
/// is a read of every key that it could contain.
fn history_by_key(world: &World, replay: &Replay) -> Vec<Asked> {
    let all = world.history.borrow();
    let is_lasting = |key: &Bytes| key.starts_with(LASTING_PREFIX);
    let keys: BTreeSet<&Bytes> = all
        .iter()
        .flat_map(|operation| {
            operation.action.parts().iter().map(Part::key).chain([&operation.key])
        })
        .filter(|key| key.len() > 1)
        .collect();
    let mut history = Vec::new();
    for operation in all.iter() {
        // A write without an answer that is not in the log was not executed, and one that is in
        // the log was executed at its version.
        let value = operation.action.values().next();
        let value = value.filter(|_| operation.answer == Answer::Unknown);
        let executed = value.map(|value| replay.stored.get(value).and_then(|at| at.first()));
        let operation = &match executed {
            None => operation.clone(),
            Some(None) => continue,
            Some(Some(version)) => {
                let answer = match operation.action {
                    Action::Transaction(_) => Answer::Committed(*version, Vec::new()),
                    _ => Answer::Stored(*version),
                };
                Asked { answer, returned: u64::MAX, ..operation.clone() }
            }
        };
        let read = |key: &Bytes, answer| Asked {
            key: key.clone(),
            action: Action::Get,
            answer,
            ..operation.clone()
        };
        match (&operation.action, &operation.answer) {
            (Action::Scan { after, .. }, Answer::Page(items, more)) => {
                let last = items.last().filter(|_| *more).map(|item| &item.key);
                let could_be_listed = |key: &&&Bytes| {
                    is_lasting(key)
                        && key.starts_with(&operation.key)
                        && after.as_ref().is_none_or(|after| **key > after)
                        && last.is_none_or(|last| **key <= last)
                };
                history.extend(keys.iter().filter(could_be_listed).map(|key| {
                    let listed = items.iter().find(|item| item.key == *key);
                    let answer = listed.map_or(Answer::NotFound, |item| {
                        Answer::Value(item.version, item.value.clone())
                    });
                    read(key, answer)
                }));
            }
            (Action::Transaction(parts), _) => {
                history.extend(lasting_parts(operation, parts));
            }
            _ if !is_lasting(&operation.key) => {}
            (Action::GetBare, Answer::Bare(value)) => {
                let version = replay.stored.get(value).and_then(|versions| versions.first());
                let answer = Answer::Value(version.copied().unwrap_or(0), value.clone());
                history.push(read(&operation.key, answer));
            }
            (Action::GetBare, answer) => history.push(read(&operation.key, answer.clone())),
            _ => history.push(operation.clone()),
        }
    }
    history
}

/// The part of a transaction that is about keys which do not expire; `None` when there is none.
fn lasting_parts(operation: &Asked, parts: &[Part]) -> Option<Asked> {
    let is_lasting = |part: &Part| part.key().starts_with(LASTING_PREFIX);
    let (mut kept, mut answers) = (Vec::new(), Vec::new());
    let mut answer = operation.answer.clone();
    match &operation.answer {
        Answer::Committed(revision, told) => {
            let mut told = told.iter();
            for part in parts {
                let to = if part.has_reply() { told.next() } else { None };
                if is_lasting(part) {
                    kept.push(part.clone());
                    answers.extend(to.cloned());
                }
            }
            answer = Answer::Committed(*revision, answers);
        }
        Answer::Aborted(key, version) => {
            let held =
                |part: &&Part| !matches!(part, Part::Check(of, at) if of == key && at != version);
            let is_of_lasting = key.starts_with(LASTING_PREFIX);
            let checks = parts.iter().filter(|part| matches!(part, Part::Check(..)));
            kept.extend(checks.clone().take_while(held).filter(|part| is_lasting(part)).cloned());
            match checks.clone().find(|part| !held(part)).filter(|_| is_of_lasting) {
                Some(failed) => kept.push(failed.clone()),
                // All that is known is that the checks before it held.
                None => answer = Answer::Committed(0, Vec::new()),
            }
        }
        _ => kept.extend(parts.iter().filter(|part| is_lasting(part)).cloned()),
    }
    let key = kept.first()?.key().clone();
    Some(Asked { key, action: Action::Transaction(kept), answer, ..operation.clone() })
}

/// Every acknowledged write is in the log, no refused write is, and no write is there twice.
fn check_writes(world: &World, replay: &Replay) {
    for operation in world.history.borrow().iter() {
        for value in operation.action.values() {
            let executed = replay.stored.get(value).map_or(&[][..], Vec::as_slice);
            let (is_there, times_max) = match operation.answer {
                Answer::Stored(version) | Answer::Committed(version, _) => {
                    (executed.contains(&version), 1)
                }
                Answer::Unknown => (true, 1),
                _ => (true, 0),
            };
            let check = match is_there {
                false => Check::AcknowledgedWrites,
                true if executed.len() > times_max => Check::ExactlyOnce,
                true => continue,
            };
            world.violate(check, format!("it was executed at {executed:?}: {operation:?}"));
        }
    }
    let history = world.history.borrow();
    let sent: BTreeSet<&Bytes> = history.iter().flat_map(|o| o.action.values()).collect();
    if let Some(value) = replay.stored.keys().find(|value| !sent.contains(value)) {
        world.violate(Check::ExactlyOnce, format!("nobody sent what was executed: {value:?}"));
    }
}

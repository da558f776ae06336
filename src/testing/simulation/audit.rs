//! The last look, when everybody has stopped: the logs on the disks against each
//! other, against all that the nodes ever told of themselves, and against all
//! that the clients were ever told.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::check::{Check, Violation};
use super::chronicle::Chronicle;
use super::client::CALM;
use super::history::{Action, Answer, Operation as Asked};
use super::ledger::Ledger;
use super::linearizability::{self, Verdict};
use super::order;
use super::world::{Machine, World};
use crate::actors::snapshot::{LoadError, load};
use crate::kv::{Command, Operation, Outcome, Store};
use crate::storage::{SnapshotFiles, Storage, StorageOptions};
use crate::types::{Entry, LogIndex, LogPosition, NodeId, Payload};

/// How long behind its deadline a key may be read, by the leader's clock.
const LATE_MS_MAX: u64 = 1_000;
/// Keys that begin so never expire.
const LASTING_PREFIX: &[u8] = b"k";

/// Checks it all; `committed` is what all nodes have committed.
pub(super) fn audit(world: &World, committed: u64) {
    let log = match committed_log(world, committed) {
        Ok(log) => log,
        Err(Violation { check, what }) => return world.violate(check, what),
    };
    let log = &log[..];
    let (replay, ledger) = (Replay::of(log), Ledger::of(log));
    check_snapshots(world, log, &replay);
    check_samples(world, &replay);
    check_stamps(world, log);
    check_store(world, log, &replay, &ledger);
    check_writes(world, &replay);
    check_answers(world, log, &ledger);
    match linearizability::check(&history_by_key(world, &replay)) {
        Verdict::Linearizable => {}
        Verdict::GivenUp => world.is_given_up.set(true),
        Verdict::Violation(what) => world.violate(Check::Linearizability, what),
    }
}

/// Log Matching (5.3): what is committed is the same everywhere, as far as a log reaches
/// back; what comes before was in some log.
fn committed_log(world: &World, committed: u64) -> Result<Vec<Entry>, Violation> {
    let chronicle = Chronicle::of(world);
    let mut log: Option<Vec<Entry>> = None;
    for machine in world.machines.values() {
        let lost = |what| Violation { check: Check::AcknowledgedWrites, what };
        let (last, kept) = log_of(world, machine, committed).map_err(lost)?;
        let log = match &mut log {
            Some(log) => log,
            none => none.insert(
                chronicle
                    .log_to(last)
                    .map_err(|what| Violation { check: Check::LogMatching, what })?,
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

/// The position of the last committed entry, and all those that the log still holds.
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
    };
    let data_dir = &world.plan.settings.servers[&id].data_dir;
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

/// "the snapshot ... describes the state of the system as of the last included index"
/// (§7): each that is left is the store that the log leads to, and each that was ever
/// seen had its digest.
fn check_snapshots(world: &World, log: &[Entry], replay: &Replay) {
    let mut left: BTreeMap<LogIndex, Vec<(u64, Store)>> = BTreeMap::new();
    for machine in world.machines.values() {
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
    // What is behind the log was written when the nodes were equal already.
    for (last, digest) in world.oracle.snapshots() {
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

/// Those that are not rotten; a start looks no further than to the newest.
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

/// The committed log, executed once more.
struct Replay {
    /// After each index; the first is that of the empty store.
    digests: Vec<u64>,
    /// What came of each entry, and how many keys there were then.
    outcomes: Vec<(Option<Outcome>, u64)>,
    /// Which entries stored each value.
    stored: BTreeMap<Bytes, Vec<u64>>,
}

impl Replay {
    fn of(log: &[Entry]) -> Replay {
        let mut store = Store::new();
        let mut replay =
            Replay { digests: vec![store.digest()], outcomes: Vec::new(), stored: BTreeMap::new() };
        for entry in log {
            let outcome = store.apply(entry).expect("every node has applied it");
            replay.digests.push(store.digest());
            replay.outcomes.push((outcome, store.keys()));
            if let (Payload::Command(bytes), Some(Outcome::Stored { version })) =
                (&entry.payload, outcome)
                && let Ok(Command { operation, .. }) = Command::decode(bytes)
                && let Operation::Set { value, .. }
                | Operation::Add { value, .. }
                | Operation::Cas { value, .. } = operation
                // A remembered reply names an earlier version: nothing was stored.
                && version == entry.index.0
            {
                replay.stored.entry(value).or_default().push(version);
            }
        }
        replay
    }
}

/// State Machine Safety (5.4.3) and Leader Completeness (5.4): whatever a node
/// had applied at any time is a prefix of what is committed now. Election Safety
/// (5.2): no term has had two leaders.
fn check_samples(world: &World, replay: &Replay) {
    let mut leaders = BTreeMap::new();
    for sample in world.samples.borrow().iter() {
        if replay.digests.get(sample.last_applied as usize) != Some(&sample.store_digest) {
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

/// Stamps never fall, and none is of a time that no clock had shown by then.
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

/// The store does what docs/protocol.md says, which the ledger has from there: it
/// executes once, and lets keys expire at their deadlines.
fn check_store(world: &World, log: &[Entry], replay: &Replay, ledger: &Ledger) {
    for (entry, (outcome, keys)) in log.iter().zip(&replay.outcomes) {
        let index = entry.index.0;
        let expected = ledger.outcome(index);
        let expected_keys = ledger.keys_at(index).count() as u64;
        if (*outcome, *keys) == (expected, expected_keys) {
            continue;
        }
        let check = match (*outcome == expected, &entry.payload) {
            (true, _) => Check::Expiry,
            (false, Payload::Command(bytes))
                if Command::decode(bytes).is_ok_and(|command| command.once.is_some()) =>
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

/// Every answer was true at an index between its command and itself. And in peace,
/// when one node leads all the time, its own clock can be asked: nobody reads a key
/// more than a second behind its deadline, or misses it before the entry that lets it
/// expire can have been written.
fn check_answers(world: &World, log: &[Entry], ledger: &Ledger) {
    let (history, samples) = (world.history.borrow(), world.samples.borrow());
    let committed = samples.iter().map(|sample| (sample.heard, sample.commit_index));
    let (indexes, violations) = order::check(ledger, &history, committed);
    for Violation { check, what } in violations {
        world.violate(check, what);
    }
    let of_calm = |(operation, _): &(&Asked, Option<u64>)| operation.client == CALM;
    let calm: Vec<_> = history.iter().zip(indexes).filter(of_calm).collect();
    let first = calm.iter().find_map(|(_, index)| *index).unwrap_or(0);
    if log.get(first as usize).map(|entry| entry.term) != log.last().map(|entry| entry.term) {
        return;
    }
    for pair in calm.windows(2) {
        let ((operation, index), (next, _)) = (pair[0], pair[1]);
        let Some(index) = index.filter(|_| operation.action.is_read()) else { continue };
        let deadline_ms = ledger.at(index, &operation.key).and_then(|held| held.deadline_ms);
        if deadline_ms.is_some_and(|deadline| operation.clock_ms > deadline + LATE_MS_MAX) {
            world.violate(Check::Expiry, format!("read behind {deadline_ms:?}: {operation:?}"));
        }
        let is_gone = operation.answer == Answer::NotFound;
        if is_gone
            && ledger.clock_ms(index) > next.clock_ms.max(ledger.clock_ms(index.saturating_sub(1)))
        {
            world.violate(Check::Expiry, format!("gone before index {index}: {operation:?}"));
        }
    }
}

/// What the search for an order gets: operations on single keys that do not expire. A
/// page of a scan is a read of every key that it could have told.
fn history_by_key(world: &World, replay: &Replay) -> Vec<Asked> {
    let all = world.history.borrow();
    let is_lasting = |key: &Bytes| key.starts_with(LASTING_PREFIX);
    let keys: BTreeSet<&Bytes> =
        all.iter().map(|operation| &operation.key).filter(|key| key.len() > 1).collect();
    let mut history = Vec::new();
    for operation in all.iter() {
        // A write without an answer that is not in the log has not happened, and one
        // that is there has happened at its version, some time.
        let value = operation.action.value().filter(|_| operation.answer == Answer::Unknown);
        let executed = value.map(|value| replay.stored.get(value).and_then(|at| at.first()));
        let operation = &match executed {
            None => operation.clone(),
            Some(None) => continue,
            Some(Some(version)) => {
                Asked { answer: Answer::Stored(*version), returned: u64::MAX, ..operation.clone() }
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
                let could_be_told = |key: &&&Bytes| {
                    is_lasting(key)
                        && key.starts_with(&operation.key)
                        && after.as_ref().is_none_or(|after| **key > after)
                        && last.is_none_or(|last| **key <= last)
                };
                history.extend(keys.iter().filter(could_be_told).map(|key| {
                    let told = items.iter().find(|item| item.key == *key);
                    let answer = told.map_or(Answer::NotFound, |item| {
                        Answer::Value(item.version, item.value.clone())
                    });
                    read(key, answer)
                }));
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

/// Every acknowledged write is there, none that was refused, and none twice.
fn check_writes(world: &World, replay: &Replay) {
    for operation in world.history.borrow().iter() {
        let Some(value) = operation.action.value() else { continue };
        let executed = replay.stored.get(value).map_or(&[][..], Vec::as_slice);
        let (is_there, times_max) = match operation.answer {
            Answer::Stored(version) => (executed.contains(&version), 1),
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
    let history = world.history.borrow();
    let sent: BTreeSet<&Bytes> = history.iter().filter_map(|o| o.action.value()).collect();
    if let Some(value) = replay.stored.keys().find(|value| !sent.contains(value)) {
        world.violate(Check::ExactlyOnce, format!("nobody sent what was executed: {value:?}"));
    }
}

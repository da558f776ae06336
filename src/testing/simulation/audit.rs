//! The last look, when everybody has stopped: the logs on the disks against each
//! other, against all that the nodes ever told of themselves, and against all
//! that the clients were ever told.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::check::Check;
use super::history::{Action, Answer};
use super::linearizability::{self, Verdict};
use super::world::{Machine, World};
use crate::kv::{Command, Operation, Outcome, Store};
use crate::storage::{Storage, StorageOptions};
use crate::types::{Entry, LogIndex, NodeId, Payload};

/// Checks it all; `committed` is what all nodes have committed.
pub(super) fn audit(world: &World, committed: u64) {
    let mut logs = Vec::new();
    for machine in world.machines.values() {
        match log_of(world, machine, committed) {
            Ok(log) => logs.push((machine.id, log)),
            Err(error) => return world.violate(Check::AcknowledgedWrites, error),
        }
    }
    let (_, log) = &logs[0];
    // Log Matching (5.3): what is committed is the same everywhere.
    for (id, other) in &logs {
        if let Some(place) =
            (0..committed as usize).find(|place| log.get(*place) != other.get(*place))
        {
            return world.violate(
                Check::LogMatching,
                format!(
                    "n{id} has another entry at index {}: {:?}, and not {:?}",
                    place + 1,
                    other.get(place),
                    log.get(place)
                ),
            );
        }
    }
    let replay = Replay::of(log);
    check_samples(world, &replay);
    check_writes(world, &replay);
    check_order(world);
    // A write without an answer that is not in the log has not happened, and need
    // not be tried at every place.
    let happened = |operation: &&super::history::Operation| {
        let value = operation.action.value().filter(|_| operation.answer == Answer::Unknown);
        value.is_none_or(|value| replay.stored.contains_key(value))
    };
    let history: Vec<_> = world.history.borrow().iter().filter(happened).cloned().collect();
    match linearizability::check(&history) {
        Verdict::Linearizable => {}
        Verdict::GivenUp => world.is_given_up.set(true),
        Verdict::Violation(what) => world.violate(Check::Linearizability, what),
    }
}

fn log_of(world: &World, machine: &Machine, committed: u64) -> Result<Vec<Entry>, String> {
    let id = NodeId(machine.id);
    let options = StorageOptions {
        cluster: world.plan.settings.cluster.clone(),
        node_id: id,
        segment_bytes: world.plan.settings.log.segment_bytes,
    };
    let data_dir = &world.plan.settings.servers[&id].data_dir;
    let disk = Box::new(machine.disk.duplicate());
    let opened = Storage::open(disk, data_dir, options);
    let (mut storage, _) = opened.map_err(|error| format!("n{id}'s log at the end: {error}"))?;
    let mut log: Vec<Entry> = Vec::new();
    while (log.len() as u64) < committed {
        let next = LogIndex(log.len() as u64 + 1);
        let page = storage
            .read(next, LogIndex(committed), 1 << 20)
            .map_err(|error| format!("n{id}'s log at the end: {error}"))?;
        if page.is_empty() {
            return Err(format!("n{id} has committed {committed}, but its log ends before {next}"));
        }
        log.extend(page);
    }
    Ok(log)
}

/// The committed log, executed once more.
struct Replay {
    /// After each index; the first is that of the empty store.
    digests: Vec<u64>,
    /// Which entries stored each value.
    stored: BTreeMap<Bytes, Vec<u64>>,
}

impl Replay {
    fn of(log: &[Entry]) -> Replay {
        let mut store = Store::new();
        let mut replay = Replay { digests: vec![store.digest()], stored: BTreeMap::new() };
        for entry in log {
            let outcome = store.apply(entry).expect("every node has applied it");
            replay.digests.push(store.digest());
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
}

/// Versions are places in one log: over all keys, what was written behind an
/// answer has a higher one, and nobody reads a version from the future.
fn check_order(world: &World) {
    let history = world.history.borrow();
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (place, operation) in history.iter().enumerate() {
        if matches!(operation.answer, Answer::Stored(_)) {
            moments.push((operation.invoked, true, place));
            moments.push((operation.returned, false, place));
        }
    }
    moments.sort_unstable();
    let (mut newest, mut floors) = (0, BTreeMap::new());
    for (_, is_invocation, place) in moments {
        let Answer::Stored(version) = history[place].answer else { continue };
        if is_invocation {
            floors.insert(place, newest);
        } else if version <= floors[&place] && history[place].action != Action::Get {
            world.violate(
                Check::VersionOrder,
                format!("older than what was there before: {:?}", history[place]),
            );
        }
        if !is_invocation {
            newest = newest.max(version);
        }
    }
}

//! Time to live is elapsed time, whatever the clocks of the machines show: a key exists for as long
//! as its command says, and is gone soon after that while a node leads. The true time is that of
//! the simulation. No stamp and no clock of a node counts here.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::reference_store::{Expiration, ReferenceStore};
use super::violation::Check;
use crate::kv::CLIENT_SILENCE_MS;
use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::workload::client::CALM;
use crate::testing::simulation::world::World;
use crate::types::Entry;

/// The largest error with which a node measures a time, in thousandths: its monotonic clock may be
/// wrong by 14 %.
const RATE_ERROR: u64 = 170;
/// The error of the points in time that are compared, in milliseconds.
const PRECISION_MS: u64 = 10;
/// The longest time after its deadline at which a key may be read, in milliseconds.
const LATE_MS_MAX: u64 = 1_000;

/// Checks the history. `indexes` are the indexes at which its answers were true.
pub(crate) fn check(
    world: &World,
    log: &[Entry],
    reference: &ReferenceStore,
    indexes: &[Option<u64>],
) {
    let history = world.history.borrow();
    let writes: BTreeMap<&Bytes, &Operation> = history
        .iter()
        .filter_map(|operation| Some((operation.action.value()?, operation)))
        .collect();
    check_nothing_is_early(world, reference, &writes);
    check_nothing_is_late(world, log, reference, &writes, indexes);
}

/// The shortest true time in which a clock may measure `ms`.
fn shortest_ms(ms: u64) -> u64 {
    ms * 1_000 / (1_000 + RATE_ERROR)
}

/// The longest true time in which a clock may measure `ms`.
fn longest_ms(ms: u64) -> u64 {
    ms * 1_000 / (1_000 - RATE_ERROR)
}

/// No key goes before its time, and no client is forgotten before it was silent for long. A key
/// was written after its command was sent, and was gone when a status first showed the index at
/// which it expired.
fn check_nothing_is_early(
    world: &World,
    reference: &ReferenceStore,
    writes: &BTreeMap<&Bytes, &Operation>,
) {
    let mut shown: Vec<(u64, u64)> = Vec::new();
    for sample in world.samples.borrow().iter() {
        if shown.last().is_none_or(|(index, _)| *index < sample.commit_index) {
            shown.push((sample.commit_index, world.true_ms(sample.heard)));
        }
    }
    for Expiration { key, held, gone } in reference.expirations() {
        let Some(write) = writes.get(&held.value) else { continue };
        let Action::SetFor(exptime, _) = &write.action else { continue };
        let first = shown.partition_point(|(index, _)| index < gone);
        let Some((_, gone_ms)) = shown.get(first) else { continue };
        let lived_ms = gone_ms.saturating_sub(world.true_ms(write.invoked));
        if lived_ms + PRECISION_MS < shortest_ms(1_000 * exptime) {
            let key = String::from_utf8_lossy(key);
            let what = format!(
                "{key} of version {} was to live for {exptime} s, and is gone at index {gone} \
                 within {lived_ms} ms",
                held.version
            );
            return world.violate(Check::Expiry, what);
        }
    }
    let forgotten = reference.forgotten_clients();
    if forgotten > 0 && world.trace.now_ms() < shortest_ms(CLIENT_SILENCE_MS) {
        let now_ms = world.trace.now_ms();
        let what = format!("{forgotten} clients are forgotten within {now_ms} ms");
        world.violate(Check::ExactlyOnce, what);
    }
}

/// In the fault-free phase, when one node leads all the time, no key is read long after its time.
fn check_nothing_is_late(
    world: &World,
    log: &[Entry],
    reference: &ReferenceStore,
    writes: &BTreeMap<&Bytes, &Operation>,
    indexes: &[Option<u64>],
) {
    let history = world.history.borrow();
    let calm = history.iter().zip(indexes).filter(|(operation, _)| operation.client == CALM);
    let calm: Vec<(&Operation, u64)> =
        calm.filter_map(|(operation, index)| Some((operation, (*index)?))).collect();
    let Some((_, first)) = calm.first() else { return };
    if log.get(*first as usize).map(|entry| entry.term) != log.last().map(|entry| entry.term) {
        return;
    }
    for (operation, index) in calm.iter().filter(|(operation, _)| operation.action.is_read()) {
        let Some(held) = reference.at(*index, &operation.key) else { continue };
        let Some(write) = writes.get(&held.value) else { continue };
        let (Action::SetFor(exptime, _), Answer::Stored(_)) = (&write.action, &write.answer) else {
            continue;
        };
        let age_ms = world.true_ms(operation.invoked).saturating_sub(world.true_ms(write.returned));
        if age_ms > longest_ms(1_000 * exptime) + LATE_MS_MAX {
            let what = format!("it was read {age_ms} ms after its write: {operation:?}");
            return world.violate(Check::Expiry, what);
        }
    }
}

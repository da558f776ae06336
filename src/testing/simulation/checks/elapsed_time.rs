//! Time to live is elapsed time, whatever the clocks of the machines show: a key, or a lease,
//! exists for as long as its command says, and is gone soon after that while a node leads. The
//! true time is that of the simulation. No stamp and no clock of a node counts here.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::reference_store::{Expiration, LeaseExpiry, ReferenceStore};
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
    let shown = shown(world);
    check_nothing_is_early(world, reference, &writes, &shown);
    check_no_lease_is_early(world, reference, indexes, &shown);
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

/// The commit indexes that statuses have shown, each with the true time of the first such status.
fn shown(world: &World) -> Vec<(u64, u64)> {
    let mut shown: Vec<(u64, u64)> = Vec::new();
    for sample in world.samples.borrow().iter() {
        if shown.last().is_none_or(|(index, _)| *index < sample.commit_index) {
            shown.push((sample.commit_index, world.true_ms(sample.heard)));
        }
    }
    shown
}

/// The true time at which a status first showed an index.
fn shown_at(shown: &[(u64, u64)], index: u64) -> Option<u64> {
    let first = shown.partition_point(|(other, _)| *other < index);
    shown.get(first).map(|(_, at_ms)| *at_ms)
}

/// No lease goes before its time. Its time began after each write was sent that is at or before the
/// entry with which it began.
fn check_no_lease_is_early(
    world: &World,
    reference: &ReferenceStore,
    indexes: &[Option<u64>],
    shown: &[(u64, u64)],
) {
    let history = world.history.borrow();
    let is_exact = |operation: &Operation| matches!(operation.answer, Answer::Stored(_));
    let sent = history.iter().zip(indexes).filter(|(operation, _)| is_exact(operation));
    let sent: Vec<(u64, u64)> = sent
        .filter_map(|(operation, index)| Some(((*index)?, world.true_ms(operation.invoked))))
        .collect();
    for LeaseExpiry { id, ttl, begun, gone } in reference.lease_expiries() {
        let before = sent.iter().filter(|(index, _)| index <= begun).map(|(_, at_ms)| *at_ms);
        let Some(gone_ms) = shown_at(shown, *gone) else { continue };
        let lived_ms = gone_ms.saturating_sub(before.max().unwrap_or(0));
        if lived_ms + PRECISION_MS < shortest_ms(1_000 * ttl) {
            let what = format!(
                "lease {id} was to live for {ttl} s from index {begun} on, and is gone at index \
                 {gone} within {lived_ms} ms"
            );
            return world.violate(Check::Expiry, what);
        }
    }
}

/// No key goes before its time, and no client is forgotten before it was silent for long. A key
/// was written after its command was sent, and was gone when a status first showed the index at
/// which it expired.
fn check_nothing_is_early(
    world: &World,
    reference: &ReferenceStore,
    writes: &BTreeMap<&Bytes, &Operation>,
    shown: &[(u64, u64)],
) {
    for Expiration { key, held, gone } in reference.expirations() {
        let Some(write) = writes.get(&held.value) else { continue };
        let Action::SetFor(exptime, _) = &write.action else { continue };
        let Some(gone_ms) = shown_at(shown, *gone) else { continue };
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
        let (exptime, write) = match (&write.action, &write.answer) {
            // The time of an earlier write may have stood still while nobody led.
            (Action::SetFor(exptime, _), Answer::Stored(_)) if write.client == CALM => {
                (exptime, *write)
            }
            (Action::SetLeased(lease, _), _) => {
                let Some(begun) = begun_by(&calm, reference, *index, *lease) else { continue };
                begun
            }
            _ => continue,
        };
        let age_ms = world.true_ms(operation.invoked).saturating_sub(world.true_ms(write.returned));
        if age_ms > longest_ms(1_000 * exptime) + LATE_MS_MAX {
            let what = format!("it was read {age_ms} ms after its time began: {operation:?}");
            return world.violate(Check::Expiry, what);
        }
    }
}

/// The time to live of the lease that a key went with at an index, and the command with which its
/// time began, if that was one of the calm client.
fn begun_by<'a>(
    calm: &[(&'a Operation, u64)],
    reference: &ReferenceStore,
    index: u64,
    lease: u64,
) -> Option<(&'a u64, &'a Operation)> {
    let is_of = |at: &u64| reference.of_leases(*at).begun.iter().any(|(id, _)| *id == lease);
    let begun = (0..=index).rev().find(is_of)?;
    calm.iter().find_map(|(operation, at)| match &operation.answer {
        Answer::Lease(ttl) if *at == begun => Some((ttl, *operation)),
        _ => None,
    })
}

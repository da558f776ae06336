//! Reads of what a server has applied are true at some index, and never go back on a connection
//! (docs/protocol.md, "Reads and writes on any server").

use std::collections::BTreeMap;

use super::log_order::is_true_at;
use super::reference_store::ReferenceStore;
use super::violation::Check;
use crate::testing::simulation::history::StaleRead;
use crate::testing::simulation::world::World;

/// Checks all reads. The earliest index that fits is always the best choice.
pub(crate) fn check(world: &World, reference: &ReferenceStore) {
    let mut floors: BTreeMap<u64, u64> = BTreeMap::new();
    for read in world.seen.stale_reads.borrow().iter() {
        let StaleRead { connection, server, key, action, answer, latest_clock_ms } = read;
        if world.may_differ(*server) {
            continue;
        }
        let floor = floors.entry(*connection).or_default();
        let mut later = (*floor..=reference.last_index())
            .take_while(|index| reference.clock_ms(*index) <= *latest_clock_ms);
        match later.find(|index| is_true_at(reference, *index, key, action, answer)) {
            Some(index) => *floor = index,
            None => {
                let what = format!("{server:?}: true at no index from {floor} on: {read:?}");
                return world.violate(Check::StaleReads, what);
            }
        }
    }
}

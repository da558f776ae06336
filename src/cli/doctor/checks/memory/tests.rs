//! The memory on both sides of its bounds.

use super::super::super::finding::Level;
use super::super::tests::{MIB, assert_one, assert_well, local, run, well_with};
use super::*;

const TABLES: &str = "[limits]\nmemory_bytes = 209715200\nstore_bytes_max = 104857600\n\
                      [history]\nbytes_max = 104857600\n";

/// The outcome for two servers on a machine with this memory.
fn memory(tables: &str, memory_bytes: u64) -> Diagnosis {
    let mut facts = well_with(tables);
    facts.machine.memory_bytes = Some(memory_bytes);
    for server in &mut facts.servers[..2] {
        server.local = Some(local());
    }
    run(check, &facts)
}

#[test]
fn the_bounds_of_all_servers_here_fit_into_the_memory() {
    assert_well(&memory(TABLES, 1_000 * MIB));
    assert_one(&memory(TABLES, 1_000 * MIB - 5), Level::Warn, "more than four fifths");
    assert_one(&memory(TABLES, 800 * MIB), Level::Warn, "2 servers here may need 800.0 MiB");
    assert_one(&memory(TABLES, 800 * MIB - 1), Level::Fail, "[limits] store_bytes_max");
}

#[test]
fn what_has_no_bound_counts_as_it_is_and_without_history_there_is_none() {
    let unbounded = TABLES.replace("store_bytes_max = 104857600", "store_bytes_max = 0");
    assert_well(&memory(&unbounded, 760 * MIB));
    let part = "the store as it is, which has no bound";
    assert_one(&memory(&unbounded, 700 * MIB), Level::Warn, part);
    let without = TABLES.replace("[history]", "[history]\nkeep_revisions = 0");
    assert_well(&memory(&without, 750 * MIB));
}

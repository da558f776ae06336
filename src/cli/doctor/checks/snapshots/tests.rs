//! Logs on both sides of their bound.

use super::super::super::finding::Level;
use super::super::tests::{MIB, assert_one, assert_well, local, run, well, well_with, without};
use super::*;

const TABLES: &str = "[log]\nsegment_bytes = 8388608\n[snapshot]\nbytes_max = 10485760\n";

#[test]
fn a_log_above_five_snapshots_and_eight_segments_is_a_warning() {
    let log = |log_bytes: u64, snapshot_bytes: u64| {
        let mut facts = well_with(TABLES);
        facts.servers[0].local =
            Some(super::super::super::facts::Local { log_bytes, snapshot_bytes, ..local() });
        run(check, &facts)
    };
    assert_well(&log(114 * MIB, MIB));
    assert_one(&log(114 * MIB + 1, MIB), Level::Warn, "114.0 MiB, more than 114.0 MiB");
    // A larger snapshot lets the log grow.
    assert_well(&log(114 * MIB + 1, 11 * MIB));
}

#[test]
fn snapshots_that_could_not_be_saved_are_a_warning() {
    let mut facts = well();
    let metrics = facts.servers[1].metrics.as_mut().unwrap();
    metrics.snapshot_failures = Some(2);
    let finding = assert_one(&run(check, &facts), Level::Warn, "2 could not be saved");
    assert_eq!(finding.server.unwrap().0, 2);
}

#[test]
fn the_age_of_the_snapshots_is_told_in_entries() {
    let diagnosis = run(check, &well());
    let text = &diagnosis.findings[0].text;
    assert!(text.starts_with("at most 40 entries since a server's newest snapshot"), "{text}");
    let silent = run(check, &(1..=3).fold(well(), without));
    assert!(silent.findings.is_empty() && silent.unchecked.len() == 1, "{silent:?}");
}

//! Clocks on both sides of the bound.

use super::super::super::finding::Level;
use super::super::tests::{assert_one, assert_well, run, well};
use super::*;

fn clock(ahead_ms: i64, error_ms: i64) -> Diagnosis {
    let mut facts = well();
    facts.servers[2].clock = Some(Clock { ahead_ms, error_ms });
    run(check, &facts)
}

#[test]
fn a_second_beyond_the_error_of_the_comparison_is_a_warning() {
    assert_well(&clock(1_005, 5));
    assert_one(&clock(1_006, 5), Level::Warn, "1006 ms ahead of this machine's");
    assert_well(&clock(-1_005, 5));
    assert_one(&clock(-1_006, 5), Level::Warn, "1006 ms behind this machine's");
    // A slow answer says little.
    assert_well(&clock(1_900, 1_000));
}

#[test]
fn the_differences_are_told_when_all_is_well() {
    let diagnosis = clock(-40, 1);
    let text = &diagnosis.findings[0].text;
    assert!(text.contains("within 42 ms of each other, and within 40 ms of this"), "{text}");
}

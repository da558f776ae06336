//! The timeout on both sides of its bounds.

use super::super::super::facts::Fsync;
use super::super::tests::{assert_one, assert_well, local, run, well_with};
use super::*;

const TABLES: &str = "[raft]\nelection_timeout_ms = [300, 600]\n";

fn round_trip(ms: f64) -> Diagnosis {
    let mut facts = well_with(TABLES);
    facts.servers[0].metrics.as_mut().unwrap().round_trip_ms = Some(ms);
    run(check, &facts)
}

fn sync(ms: f64) -> Diagnosis {
    let mut facts = well_with(TABLES);
    let fsync = Ok(Fsync { count: 50, p50_ms: 1.0, p99_ms: ms });
    facts.servers[0].local = Some(super::super::super::facts::Local { fsync, ..local() });
    run(check, &facts)
}

#[test]
fn the_timeout_is_at_least_ten_round_trips_and_never_less_than_three() {
    assert_well(&round_trip(30.0));
    let finding = assert_one(&round_trip(30.1), Level::Warn, "less than 10 times");
    assert!(finding.advice.unwrap().contains("election_timeout_ms to 301 or more"));
    assert_one(&round_trip(100.0), Level::Warn, "300 ms");
    assert_one(&round_trip(100.1), Level::Fail, "300 ms");
}

#[test]
fn the_timeout_is_at_least_four_syncs_and_never_less_than_one() {
    assert_well(&sync(75.0));
    assert_one(&sync(75.1), Level::Warn, "less than 4 times the 99th of 100 syncs");
    assert_one(&sync(300.0), Level::Warn, "300 ms");
    assert_one(&sync(300.1), Level::Fail, "300 ms");
}

#[test]
fn without_a_leader_that_tells_round_trips_are_not_checked() {
    let mut facts = well_with(TABLES);
    facts.servers[0].metrics.as_mut().unwrap().round_trip_ms = None;
    let diagnosis = run(check, &facts);
    assert_well(&diagnosis);
    assert_eq!((diagnosis.findings.len(), diagnosis.unchecked.len()), (1, 1), "{diagnosis:?}");
}

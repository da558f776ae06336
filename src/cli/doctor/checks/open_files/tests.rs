//! The limit on both sides of its bounds.

use super::super::super::finding::Level;
use super::super::tests::{assert_one, assert_well, local, run, well_with};
use super::*;

const TABLES: &str = "[limits]\nconnections_max = 1000\n";

fn limit(open: Option<u64>, max: u64) -> Diagnosis {
    let mut facts = well_with(TABLES);
    let metrics = facts.servers[0].metrics.as_mut().unwrap();
    (metrics.open_files, metrics.open_files_max) = (open, Some(max));
    run(check, &facts)
}

/// The number that a server needs without clients, when it may have this many.
fn own(max: u64) -> u64 {
    let facts = well_with(TABLES);
    own_files(facts.settings(), facts.listed(coracle::types::NodeId(1)).unwrap(), max)
}

#[test]
fn the_limit_admits_all_clients_and_the_server_itself() {
    let enough = (1_000..).find(|max| *max >= own(*max) + 1_000).unwrap();
    assert_well(&limit(Some(1), enough));
    let finding = assert_one(&limit(Some(1), enough - 1), Level::Warn, "enough for 999 clients");
    assert_eq!(finding.server.unwrap().0, 1);
    let least = (1..).find(|max| *max > own(*max)).unwrap();
    assert_one(&limit(None, least), Level::Warn, "clients, not for connections_max (1,000)");
    assert_one(&limit(None, least - 1), Level::Fail, "to start");
}

#[test]
fn more_than_four_fifths_that_are_open_is_a_failure() {
    assert_well(&limit(Some(16_000), 20_000));
    assert_one(&limit(Some(16_001), 20_000), Level::Fail, "more than four fifths");
}

#[test]
fn a_server_that_does_not_run_here_would_have_the_limit_of_this_machine() {
    let mut facts = well_with(TABLES);
    facts.machine.open_files_max = 100;
    facts.servers[0].metrics = None;
    facts.servers[0].local = Some(local());
    assert_one(&run(check, &facts), Level::Fail, "its process may have 100 open;");
    facts.servers[0].local = None;
    assert_well(&run(check, &facts));
}

//! Versions, formats and clusters that differ.

use super::super::super::finding::Level;
use super::super::tests::{assert_one, assert_well, lines, run, well, without};
use super::*;
use crate::cli::survey::tests::status;

/// The outcome when the status of server 3 has another line.
fn other(from: &str, to: &str) -> Diagnosis {
    let mut facts = well();
    facts.servers[2].heard.status = Ok(status(&lines(3, "").replace(from, to)));
    run(check, &facts)
}

#[test]
fn all_equal_is_well_also_when_one_is_silent() {
    assert_well(&run(check, &well()));
    assert_well(&run(check, &without(well(), 3)));
    assert_well(&other("cluster_id 0f", "cluster_id none"));
}

#[test]
fn another_version_is_a_warning() {
    let part = "0.3.0 on server 3, 0.4.0 on servers 1, 2";
    assert_one(&other("version 0.4.0", "version 0.3.0"), Level::Warn, part);
}

#[test]
fn a_server_that_cannot_read_the_format_in_force_fails_and_one_that_is_behind_is_a_warning() {
    let part = "format 4 is in force, and server 3 cannot read it";
    assert_one(&other("reads_formats 1..4", "reads_formats 1..3"), Level::Fail, part);
    assert_one(&other("reads_formats 1..4", "reads_formats 5..6"), Level::Fail, part);
    assert_one(&other("\nreads_formats 1..4", ""), Level::Fail, part);
    let part = "3 on server 3, 4 on servers 1, 2";
    assert_one(&other("\nformat 4", "\nformat 3"), Level::Warn, part);
}

#[test]
fn servers_of_two_clusters_fail() {
    let part = "0f on servers 1, 2, 1e on server 3";
    assert_one(&other("cluster_id 0f", "cluster_id 1e"), Level::Fail, part);
}

#[test]
fn a_server_that_was_removed_and_runs_is_named() {
    let diagnosis = other("removed_at none", "removed_at 912");
    let finding = assert_one(&diagnosis, Level::Warn, "entry 912");
    assert_eq!(finding.server, Some(NodeId(3)));
}

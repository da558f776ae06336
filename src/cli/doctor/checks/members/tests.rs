//! Members that are missing, stuck or strangers.

use super::super::super::finding::Level;
use super::super::tests::{assert_one, assert_well, lines, run, well, without};
use super::*;
use crate::cli::survey::tests::{members, status};

/// The facts with this word for another in what the leader tells.
fn told(from: &str, to: &str) -> Facts {
    let mut facts = well();
    let text = super::super::tests::MEMBERS.replace(from, to);
    facts.servers[0].heard.members = Some(members(&text));
    facts
}

#[test]
fn the_number_that_can_be_lost_decides() {
    assert_well(&run(check, &well()));
    let one_more = told("MEMBERS 3 2 3 1", "MEMBERS 3 2 2 0");
    assert_one(&run(check, &one_more), Level::Warn, "3 voters, 2 needed, 2 here: can lose 0");
    let too_few = told("MEMBERS 3 2 3 1", "MEMBERS 3 2 1 none");
    assert_one(&run(check, &too_few), Level::Fail, "too few: writes wait");
}

#[test]
fn without_a_leader_it_matters_whether_anybody_answers() {
    let mut facts = well();
    facts.servers[0].heard.members = None;
    assert_one(&run(check, &facts), Level::Fail, "no leader answers, and 3 of 3 servers do");
    let silent = (1..=3).fold(well(), without);
    let diagnosis = run(check, &silent);
    assert!(diagnosis.findings.is_empty() && diagnosis.unchecked.len() == 1, "{diagnosis:?}");
}

#[test]
fn a_member_that_does_not_come_back_by_itself_is_named() {
    let unseen = told("3 voter follower", "3 voter unseen");
    let finding = assert_one(&run(check, &unseen), Level::Warn, "not been heard by the leader");
    assert_eq!(finding.server, Some(NodeId(3)));
    assert!(finding.advice.unwrap().contains("coracle member replace 3"));
    let rejoining = told("3 voter follower", "3 voter rejoining");
    assert_one(&run(check, &rejoining), Level::Warn, "lost what it had");
    let draining = told("3 voter follower", "3 voter draining");
    let finding = assert_one(&run(check, &draining), Level::Warn, "it is drained");
    assert!(finding.advice.unwrap().contains("coracle undrain 3"));
    assert_well(&run(check, &told("3 voter follower", "3 voter catching")));
}

#[test]
fn a_change_is_stuck_after_ten_minutes() {
    let change = |age_ms: u64| {
        let mut facts = well();
        let text = super::super::tests::MEMBERS;
        let text = format!("{text}\nCHANGE 17 {age_ms} add 6; waits for: snapshot");
        facts.servers[0].heard.members = Some(members(&text));
        run(check, &facts)
    };
    assert_well(&change(600_000));
    let finding = assert_one(&change(600_001), Level::Warn, "it waits for: snapshot");
    assert!(finding.advice.unwrap().contains("coracle member cancel 17"));
}

#[test]
fn a_snapshot_that_is_refused_is_a_failure_of_the_server_that_refuses_it() {
    let mut facts = well();
    let refusals = lines(1, "").replace("snapshot_refusals none", "snapshot_refusals 3:no_room");
    facts.servers[0].heard.status = Ok(status(&refusals));
    let finding = assert_one(&run(check, &facts), Level::Fail, "no_room");
    assert_eq!(finding.server, Some(NodeId(3)));
    assert!(finding.advice.unwrap().contains("make room"));
}

#[test]
fn a_server_of_the_file_that_is_no_member_is_named() {
    let mut facts = well();
    let text: Vec<&str> = super::super::tests::MEMBERS.lines().take(3).collect();
    facts.servers[0].heard.members = Some(members(&text.join("\n")));
    let part = "server 3 of servers.toml is no member of the cluster";
    assert_one(&run(check, &facts), Level::Warn, part);
}

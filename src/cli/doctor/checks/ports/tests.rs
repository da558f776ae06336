//! Ports in each of their states.

use super::super::super::finding::Level;
use super::super::tests::{assert_one, assert_well, run, well, without};
use super::*;

/// The facts with these states of the ports of server 3.
fn states(states: [PortState; 3]) -> Diagnosis {
    let mut facts = well();
    for (port, state) in facts.servers[2].ports.iter_mut().zip(states) {
        port.state = state;
    }
    run(check, &facts)
}

#[test]
fn servers_that_answer_are_one_finding() {
    let diagnosis = run(check, &well());
    assert_well(&diagnosis);
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.findings[0].text, "servers 1, 2, 3 answer at each port");
}

#[test]
fn a_server_of_another_machine_that_is_silent_fails() {
    let finding = assert_one(&run(check, &without(well(), 3)), Level::Fail, "client_port 10.0.0.3");
    assert_eq!(finding.server, Some(NodeId(3)));
}

#[test]
fn free_ports_are_a_warning_when_nothing_of_the_server_runs_and_otherwise_a_failure() {
    use PortState::{Answers, Free};
    let finding = assert_one(&states([Free, Free, Free]), Level::Warn, "its ports are free");
    assert!(finding.advice.unwrap().contains("coracle serve --id 3"));
    let part = "it runs, and nothing listens at http_port 10.0.0.3:9100";
    assert_one(&states([Answers, Answers, Free]), Level::Fail, part);
}

#[test]
fn a_port_that_is_strange_or_unusable_fails() {
    use PortState::{Answers, Free, Strange, Unusable};
    let strange = Strange("10.0.0.3:9000 answers as server 4 and not as 3".into());
    let diagnosis = states([strange, Answers, Answers]);
    assert_one(&diagnosis, Level::Fail, "client_port 10.0.0.3:9000 answers as server 4");
    let unusable = Unusable("10.0.0.3:9100: Cannot assign requested address".into());
    assert_one(&states([Free, Free, unusable]), Level::Fail, "Cannot assign requested address");
}

#[test]
fn a_member_that_is_not_in_the_file_is_judged_by_its_answer() {
    let mut facts = well();
    facts.servers[2].ports.clear();
    assert_well(&run(check, &facts));
    let mut facts = without(well(), 3);
    facts.servers[2].ports.clear();
    assert_one(&run(check, &facts), Level::Fail, "10.0.0.3:9000 refuses connections");
}

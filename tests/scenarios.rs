//! Scenarios in the simulated world, a few seeds of each: see
//! docs/internals/simulation.md. All bounds are in simulated time, so that a slow
//! machine changes nothing; `scripts/simulate.sh --scenarios` plays many more.

use coracle::testing::simulation::{Report, Scenario, catch_panics, rehearse};

/// The longest election timeout of the repository's servers.toml, which is that of
/// a rehearsal.
const ELECTION_TIMEOUT_MS: u64 = 300;

/// So many seeds of each with every run of the tests.
const SEEDS: u64 = 1;

/// What comes of a scenario has to be good with each seed.
fn rehearsed(scenario: Scenario) -> impl Iterator<Item = Report> {
    catch_panics();
    (0..SEEDS).map(move |seed| {
        let report = rehearse(scenario, seed, false);
        let violations = &report.violations;
        assert!(
            violations.is_empty() && report.outcome.is_some(),
            "{violations:?}; scripts/simulate.sh --scenario {scenario:?} --replay {seed} --trace"
        );
        report
    })
}

fn recovers_within(scenario: Scenario, timeouts: u64, leader_changes_max: u64) {
    for report in rehearsed(scenario) {
        let outcome = report.outcome.expect("it was looked at");
        assert!(outcome.first_write_ms <= timeouts * ELECTION_TIMEOUT_MS, "{report:?}");
        assert!((1..=leader_changes_max).contains(&outcome.leader_changes), "{report:?}");
    }
}

fn is_steady(scenario: Scenario) {
    for report in rehearsed(scenario) {
        assert_eq!(report.outcome.expect("it was looked at").leader_changes, 0, "{report:?}");
    }
}

/// The old leader sees within one timeout that it has no quorum, the hub within
/// another that nobody leads; twice that is for split votes.
#[test]
fn a_leader_that_lost_its_quorum_gives_way_to_the_node_that_has_one() {
    recovers_within(Scenario::QuorumLoss, 4, 2);
}

/// The leader is gone at once: one timeout, and two elections that nobody can win
/// but the hub.
#[test]
fn the_only_node_with_a_quorum_is_elected_although_another_has_a_longer_log() {
    recovers_within(Scenario::ConstrainedElection, 4, 2);
}

/// Nobody is elected before a node that has what is committed has a quorum.
#[test]
fn nobody_leads_without_what_is_committed_and_somebody_does_as_soon_as_it_can() {
    recovers_within(Scenario::HubBehindCommit, 4, 2);
}

/// As with a lost quorum; two nodes in the line may win one after the other.
#[test]
fn a_line_of_five_finds_one_leader_and_keeps_it() {
    recovers_within(Scenario::Chain, 4, 2);
}

#[test]
fn the_leader_at_the_end_of_a_line_of_three_stays() {
    is_steady(Scenario::ChainOfThree);
}

/// One timeout to step down, and one for the others to notice.
#[test]
fn a_leader_that_hears_nobody_or_is_not_heard_is_replaced() {
    recovers_within(Scenario::DeafLeader, 4, 2);
    recovers_within(Scenario::MuteLeader, 4, 2);
}

#[test]
fn a_line_that_goes_on_and_off_changes_no_leader() {
    is_steady(Scenario::FlakyLine);
}

#[test]
fn who_returns_deposes_nobody() {
    is_steady(Scenario::FollowerReturns);
    recovers_within(Scenario::LeaderReturns, 4, 2);
}

/// Four timeouts is a disk given (`DISK_STALL_ELECTION_TIMEOUTS`), then one to notice
/// that nobody leads; B17 asks for ten.
#[test]
fn a_leader_whose_disk_stands_still_hands_over() {
    recovers_within(Scenario::StalledLeader, 10, 2);
}

/// `SlowLeader` is the lesser of these, and left to the script.
#[test]
fn a_slow_disk_changes_no_leader() {
    is_steady(Scenario::SlowerLeader);
    is_steady(Scenario::SlowEverywhere);
    is_steady(Scenario::OneStall);
}

/// Only the cut that follows changes the leader: one timeout, and split votes.
#[test]
fn a_follower_whose_disk_stands_still_disturbs_nobody_and_is_not_elected() {
    for report in rehearsed(Scenario::StalledFollower) {
        assert_eq!(report.outcome.expect("it was looked at").leader_changes, 1, "{report:?}");
    }
}

#[test]
fn a_pause_costs_a_leader_its_office_and_a_whole_cluster_nothing() {
    recovers_within(Scenario::PausedLeader, 4, 2);
    is_steady(Scenario::PausedCluster);
}

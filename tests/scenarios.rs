//! Plays the scenarios of the simulation with few seeds: see docs/internals/simulation.md. All
//! bounds are in simulated time, so that a slow machine changes nothing. `scripts/simulate.sh
//! --scenarios` plays many more.

use coracle::testing::simulation::{Report, Scenario, catch_panics, rehearse};

/// The longest election timeout in the repository's servers.toml, which a rehearsal uses, in
/// milliseconds.
const ELECTION_TIMEOUT_MS: u64 = 300;

/// The number of seeds of each scenario in every run of the tests.
const SEEDS: u64 = 1;

/// The reports of a scenario, each of which is checked to be good.
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
        let outcome = report.outcome.expect("good reports have an outcome");
        assert!(outcome.first_write_ms <= timeouts * ELECTION_TIMEOUT_MS, "{report:?}");
        assert!((1..=leader_changes_max).contains(&outcome.leader_changes), "{report:?}");
    }
}

fn is_steady(scenario: Scenario) {
    for report in rehearsed(scenario) {
        assert_eq!(
            report.outcome.expect("good reports have an outcome").leader_changes,
            0,
            "{report:?}"
        );
    }
}

/// The old leader sees within one timeout that it has no quorum, and the hub within another that it
/// has no leader. Twice that leaves room for split votes.
#[test]
fn a_leader_that_lost_its_quorum_gives_way_to_the_node_that_has_one() {
    recovers_within(Scenario::QuorumLoss, 4, 2);
}

/// The leader is gone at once: one timeout to miss it, and two elections that only the hub can win.
#[test]
fn the_only_node_with_a_quorum_is_elected_although_another_has_a_longer_log() {
    recovers_within(Scenario::ConstrainedElection, 4, 2);
}

/// No node is elected before one that has the committed entries has a quorum.
#[test]
fn only_a_node_with_all_committed_entries_is_elected_and_as_soon_as_it_can_be() {
    recovers_within(Scenario::HubBehindCommit, 4, 2);
}

/// The bound is that of a lost quorum. Two nodes in the line may win one after the other.
#[test]
fn a_line_of_five_finds_one_leader_and_keeps_it() {
    recovers_within(Scenario::Chain, 4, 2);
}

#[test]
fn the_leader_at_the_end_of_a_line_of_three_stays() {
    is_steady(Scenario::ChainOfThree);
}

/// The leader needs one timeout to step down, and the others need one to notice.
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
fn a_node_that_returns_deposes_no_leader() {
    is_steady(Scenario::FollowerReturns);
    recovers_within(Scenario::LeaderReturns, 4, 2);
}

/// A disk has four timeouts to answer (`DISK_STALL_ELECTION_TIMEOUTS`), and the others need one to
/// notice that there is no leader. Ten in all are permitted (docs/bugs.md B17).
#[test]
fn a_leader_with_a_stalled_disk_is_replaced() {
    recovers_within(Scenario::StalledLeader, 10, 2);
}

/// `SlowLeader` is a weaker form of `SlowerLeader`, and is left to the script.
#[test]
fn a_slow_disk_changes_no_leader() {
    is_steady(Scenario::SlowerLeader);
    is_steady(Scenario::SlowEverywhere);
    is_steady(Scenario::OneStall);
}

/// Only the isolation that follows changes the leader.
#[test]
fn a_follower_with_a_stalled_disk_disturbs_no_leader_and_is_not_elected() {
    for report in rehearsed(Scenario::StalledFollower) {
        assert_eq!(
            report.outcome.expect("good reports have an outcome").leader_changes,
            1,
            "{report:?}"
        );
    }
}

#[test]
fn a_paused_leader_is_replaced_and_a_paused_cluster_keeps_its_leader() {
    recovers_within(Scenario::PausedLeader, 4, 2);
    is_steady(Scenario::PausedCluster);
}

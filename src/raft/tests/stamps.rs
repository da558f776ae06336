//! The stamps of entries: elapsed time of the cluster (docs/protocol.md "Time", docs/adr/0020).

use core::time::Duration;

use super::cluster::{Cluster, n};
use super::paper_snapshots::{piece, point};
use super::solo::{Solo, append, appended, at};
use crate::raft::Rpc;
use crate::types::{Entry, LogIndex, Payload, Term};

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The leader of a cluster of its own. Its log begins with a no-op and the membership.
fn leader() -> Solo {
    let mut solo = Solo::new(1, &[], 0);
    solo.win();
    solo.settle();
    solo
}

/// The stamp of an entry that the leader creates now.
fn stamp(solo: &mut Solo) -> u64 {
    let index = solo.raft.propose(Payload::Noop).expect("it leads");
    solo.settle();
    solo.log()[index.0 as usize - 1].stamp_ms
}

fn stamps(log: &[Entry]) -> Vec<u64> {
    log.iter().map(|entry| entry.stamp_ms).collect()
}

/// AppendEntries of a leader that stamped its entries so.
fn stamped(rpc: Rpc, stamp_ms: u64) -> Rpc {
    let Rpc::AppendEntries(mut request) = rpc else { panic!("no AppendEntries: {rpc:?}") };
    for entry in &mut request.entries {
        entry.stamp_ms = stamp_ms;
    }
    Rpc::AppendEntries(request)
}

#[test]
fn the_clock_of_a_new_cluster_begins_at_zero_whenever_its_machines_were_started() {
    let mut solo = Solo::new(1, &[], 0);
    solo.pass(3 * YEAR);
    solo.win();
    solo.settle();
    assert_eq!(stamps(solo.log()), [0, 0]);
    solo.pass(ms(1234));
    assert_eq!(stamp(&mut solo), 1234);
}

#[test]
fn stamps_never_fall_along_the_log() {
    let mut solo = leader();
    let began = solo.now;
    for passed in [500, 900, 100, 901] {
        solo.raft.set_now(began + ms(passed));
        solo.raft.propose(Payload::Noop).expect("it leads");
    }
    solo.settle();
    assert_eq!(stamps(solo.log())[2..], [500, 900, 900, 901]);
}

#[test]
fn time_stands_still_without_a_leader() {
    let mut solo = leader();
    solo.pass(ms(5000));
    assert_eq!(stamp(&mut solo), 5000);
    solo.restart();
    solo.pass(YEAR);
    assert_eq!(solo.raft.store_time_ms(), 5000);
    solo.win();
    solo.settle();
    assert_eq!(stamps(solo.log()).last(), Some(&5000), "its first entry has the last stamp");
    solo.pass(ms(300));
    assert_eq!(solo.raft.store_time_ms(), 5300);
    assert_eq!(stamp(&mut solo), 5300);
}

/// docs/bugs.md B74: a leader that was stopped, or whose machine slept, was the leader all the
/// time if nobody else was elected.
#[test]
fn a_suspended_leader_counts_the_time_that_it_slept() {
    let mut solo = leader();
    solo.pass(HOUR);
    assert_eq!(stamp(&mut solo), 3_600_000);
}

/// Each node's monotonic clock begins somewhere else: at the start of its machine.
#[test]
fn a_failover_changes_no_stamp_whatever_clock_leads() {
    let mut cluster = Cluster::new(3, 1);
    let mut last_ms = 0;
    for id in [1, 2, 3, 1, 2].map(n) {
        // Nobody has heard a leader after this.
        for id in [1, 2, 3].map(n) {
            cluster.crash(id);
            cluster.restart(id);
        }
        cluster.elect(id);
        cluster.propose(id, "at once").expect("it leads");
        cluster.deliver_all();
        let found = stamps(cluster.node(id).disk.log());
        assert_eq!(found.last(), Some(&last_ms), "node {id}: {found:?}");
        cluster.now += ms(1000);
        cluster.propose(id, "a second later").expect("it leads");
        cluster.deliver_all();
        let found = *stamps(cluster.node(id).disk.log()).last().expect("an entry");
        // The clocks of the cluster differ by a seventh.
        assert!((last_ms + 850..=last_ms + 1150).contains(&found), "node {id}: {found}");
        last_ms = found;
        cluster.now += HOUR;
    }
}

/// A leader that was stopped for an hour and did not know that another one was elected stamps
/// an entry an hour later than the entry that takes its place.
#[test]
fn the_stamp_of_a_truncated_entry_is_forgotten() {
    for is_restarted in [false, true] {
        let mut solo = Solo::new(3, &[1], 1);
        let tail = stamped(append(at(1, 1), &[1], 0), 3_600_000);
        assert_eq!(solo.ask(2, 1, tail).1, appended(2));
        if is_restarted {
            solo.restart();
        }
        assert_eq!(solo.raft.last_stamp_ms(), 3_600_000);
        let replacement = stamped(append(at(1, 1), &[2], 0), 20);
        assert_eq!(solo.ask(3, 2, replacement).1, appended(2));
        assert_eq!(solo.raft.last_stamp_ms(), 20);
        solo.win();
        assert_eq!(solo.raft.store_time_ms(), 20, "restarted: {is_restarted}");
    }
}

#[test]
fn time_goes_on_from_a_snapshot() {
    let mut solo = Solo::new(3, &[], 2);
    solo.receive(2, 2, piece(at(5, 2)));
    assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(5, 2)), 33));
    solo.settle();
    solo.pass(YEAR);
    solo.win();
    solo.settle();
    let stamps = stamps(solo.log());
    assert!(!stamps.is_empty() && stamps.iter().all(|stamp| *stamp == 33), "{stamps:?}");
    assert_eq!(solo.raft.log_base().index, LogIndex(5));
}

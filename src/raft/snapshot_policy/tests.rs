//! The policy by itself.

use super::*;
use crate::testing::shut_gate;
use crate::types::{ENTRY_OVERHEAD_BYTES, Membership, NodeId, Payload, Term};

fn settings() -> RaftSettings {
    RaftSettings {
        id: NodeId(1),
        initial_membership: Membership::seed([NodeId(1)]),
        own_member: None,
        election_timeout_ticks_min: 10,
        election_timeout_ticks_max: 20,
        heartbeat_ticks: 3,
        leader_lease: None,
        ticks_per_second: 100,
        disk_stall_ticks: 100,
        has_batched_peers: false,
        snapshot_entries_max: 10,
        snapshot_bytes_max: u64::MAX,
        keep_entries: 5,
        page_bytes_max: 1000,
        gate: shut_gate(),
        seed: 1,
    }
}

fn at(index: u64) -> LogPosition {
    LogPosition { term: Term(1), index: LogIndex(index) }
}

/// Snapshots up to 100 and 80.
fn policy() -> SnapshotPolicy {
    let positions = SnapshotPositions { newest: at(100), newest_bytes: 0, older: LogIndex(80) };
    SnapshotPolicy::new(positions, at(70))
}

fn is_due(policy: &SnapshotPolicy, submitted: u64) -> bool {
    policy.is_due(LogIndex(submitted), &settings())
}

#[test]
fn a_snapshot_is_due_after_its_entries_and_only_one_at_a_time() {
    let mut policy = policy();
    assert!(!is_due(&policy, 109));
    assert!(is_due(&policy, 110));
    policy.begin_saving();
    assert!(!is_due(&policy, 200));
    policy.on_taken(at(110), 0);
    assert_eq!((policy.newest(), policy.older()), (at(110), LogIndex(100)));
    assert!(!is_due(&policy, 119));
    assert!(is_due(&policy, 120));
}

/// A large snapshot is taken less often.
#[test]
fn no_snapshot_is_due_before_as_much_log_as_the_last_one_has_bytes() {
    let mut policy = policy();
    policy.begin_saving();
    policy.on_taken(at(100), 2 * ENTRY_OVERHEAD_BYTES);
    let entry = Entry { index: LogIndex(101), term: Term(1), stamp_ms: 0, payload: Payload::Noop };
    policy.on_submitted(std::slice::from_ref(&entry));
    assert!(!is_due(&policy, 200));
    policy.on_submitted(&[entry]);
    assert!(is_due(&policy, 200));
}

/// It is taken after a multiple of its bytes, as far as the setting allows.
#[test]
fn a_snapshot_that_takes_long_is_taken_seldom() {
    let least = |newest_bytes, snapshot_bytes_max| {
        let mut policy = policy();
        policy.begin_saving();
        policy.on_taken(at(100), newest_bytes);
        policy.least_bytes(&RaftSettings { snapshot_bytes_max, ..settings() })
    };
    const MIB: u64 = 1 << 20;
    assert_eq!(least(4 * MIB, 256 * MIB), 4 * MIB, "it is cheap");
    assert_eq!(least(5 * MIB, 256 * MIB), 40 * MIB);
    assert_eq!(least(100 * MIB, 256 * MIB), 256 * MIB, "no longer log than the setting allows");
    assert_eq!(least(300 * MIB, 256 * MIB), 300 * MIB, "never more snapshots than log");
}

#[test]
fn after_a_failure_the_next_snapshot_waits_for_as_many_entries() {
    let mut policy = policy();
    policy.want(LogIndex(105));
    policy.begin_saving();
    policy.on_failed(at(107));
    assert!(!policy.is_wanted(), "who wanted it has to ask again");
    assert!(!is_due(&policy, 116));
    assert!(is_due(&policy, 117));
}

#[test]
fn a_lost_snapshot_is_replaced_at_once() {
    let mut policy = policy();
    policy.on_lost(LogPosition { term: Term(1), index: LogIndex(80) });
    assert!(is_due(&policy, 100));
    policy.begin_saving();
    policy.on_failed(at(100));
    assert!(!is_due(&policy, 101), "one attempt at once; the next when one is due");
}

/// Until there are two again, the log stays for the only one that is left.
#[test]
fn when_the_newest_is_lost_the_older_one_stays_older() {
    let mut policy = policy();
    policy.on_lost(at(100));
    policy.begin_saving();
    policy.on_taken(at(104), 0);
    assert_eq!((policy.newest(), policy.older()), (at(104), LogIndex(80)));
    policy.begin_saving();
    policy.on_taken(at(114), 0);
    assert_eq!(policy.older(), LogIndex(104));
}

/// A snapshot does not replace one whose loss was found while it was being taken.
#[test]
fn a_loss_during_a_snapshot_makes_another_one_due() {
    let mut policy = policy();
    policy.begin_saving();
    policy.on_lost(at(100));
    policy.on_taken(at(104), 0);
    assert_eq!(policy.older(), LogIndex(80));
    assert!(is_due(&policy, 104));
}

#[test]
fn an_older_snapshot_than_the_one_installed_meanwhile_changes_nothing() {
    let mut policy = policy();
    policy.begin_saving();
    policy.on_installed(at(300));
    policy.on_taken(at(110), 0);
    assert_eq!((policy.newest(), policy.older()), (at(300), LogIndex(300)));
}

/// docs/bugs.md B55: both snapshots must cover a compacted entry.
#[test]
fn the_log_is_compacted_up_to_the_older_snapshot_and_keeps_some_entries() {
    let policy = policy();
    assert_eq!(policy.compaction_limit(LogIndex(200), 5), LogIndex(80));
    assert_eq!(policy.compaction_limit(LogIndex(82), 5), LogIndex(77));
}

#[test]
fn one_compaction_is_under_way_at_a_time() {
    let mut policy = policy();
    assert!(policy.begin_compacting());
    assert!(!policy.begin_compacting());
    policy.on_compacted(LogIndex(80));
    assert!(policy.begin_compacting());
}

#[test]
#[should_panic(expected = "no snapshot was asked for")]
fn a_snapshot_that_nobody_asked_for_is_found_out() {
    policy().on_taken(at(110), 0);
}

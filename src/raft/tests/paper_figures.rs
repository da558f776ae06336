//! Figures 7 and 8 of the paper.

use super::cluster::{Cluster, ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, WINDOW, i, log_of, n};
use super::disk::Durable;
use crate::raft::{AppendResult, Envelope, ProgressSettings, Role, Rpc};
use crate::types::{HardState, Term};

fn durable(terms: &[u64], term: u64) -> Durable {
    let hard_state = HardState { current_term: Term(term), ..HardState::default() };
    Durable::new(hard_state, log_of(terms))
}

fn terms(cluster: &Cluster, id: u64) -> Vec<u64> {
    cluster.node(n(id)).disk.durable().log.iter().map(|entry| entry.term.0).collect()
}

/// Figure 7: "When the leader at the top comes to power, it is possible that any of
/// scenarios (a-f) could occur in follower logs." It makes each equal to its own (§5.3).
/// The figure's leader "at the top" has ten entries; its no-op is one more.
const LEADER: [u64; 10] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
/// A follower's log with missing or extra entries, and the number of times it refuses.
const FOLLOWERS: [(&str, &[u64], u32); 6] = [
    ("a: an entry is missing", &[1, 1, 1, 4, 4, 5, 5, 6, 6], 1),
    ("b: six entries are missing", &[1, 1, 1, 4], 1),
    ("c: one uncommitted entry more", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], 0),
    ("d: two uncommitted entries of a later term", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], 0),
    ("e: both", &[1, 1, 1, 4, 4, 4, 4], 2),
    ("f: both, of terms that nobody else saw", &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], 1),
];

#[test]
fn figure_7_the_leader_brings_every_follower_s_log_to_its_own() {
    for (case, follower, _) in FOLLOWERS {
        // Nodes 3, 4 and 5 elect; the vote of node 2 does not matter.
        let mut disks = vec![durable(&LEADER, 7); 5];
        disks[1] = durable(follower, 7);
        let mut cluster = Cluster::with_past(disks, 1);
        cluster.elect(n(1));
        cluster.heartbeat(n(1));
        for id in cluster.ids() {
            assert_eq!(terms(&cluster, id.0), [&LEADER[..], &[8, 8]].concat(), "{case}");
            assert_eq!(cluster.node(id).applied.len(), 12, "{case}");
        }
    }
}

/// §5.3: "With this optimization, one AppendEntries RPC will be required for each
/// term with conflicting entries, rather than one RPC per entry."
#[test]
fn figure_7_a_follower_is_found_in_a_round_trip_a_term() {
    for (case, follower, expected) in FOLLOWERS {
        let mut disks = vec![durable(&LEADER, 7); 5];
        disks[1] = durable(follower, 7);
        let mut cluster = Cluster::with_past(disks, 1);
        cluster.tick_until_campaign(n(1));
        let mut refusals = 0;
        while let Some(message) = cluster.network.first() {
            let is_conflict = matches!(
                &message.rpc,
                Rpc::AppendEntriesResponse(response)
                    if matches!(response.result, AppendResult::Conflict { .. })
            );
            refusals += u32::from(is_conflict);
            cluster.deliver(0);
        }
        assert_eq!(refusals, expected, "{case}");
    }
}

/// docs/bugs.md B31 (openraft 6d53aa12): two logs that alternate for a hundred entries, of
/// ten terms each, are still made equal in a few round trips, with any window.
#[test]
fn a_long_divergent_tail_is_replaced_in_a_round_trip_a_term() {
    let tail = |first: u64| (0..100).map(move |offset| first + 2 * (offset / 10));
    let ours: Vec<u64> = [1, 1].into_iter().chain(tail(3)).collect();
    let theirs: Vec<u64> = [1, 1].into_iter().chain(tail(2)).chain([20; 30]).collect();
    let tiny = ProgressSettings {
        append_entries_max: 1,
        inflight_entries_max: 1,
        inflight_bytes_max: 100,
        ..WINDOW
    };
    for window in [WINDOW, tiny] {
        let disks = vec![durable(&ours, 22), durable(&theirs, 22), durable(&ours, 22)];
        let mut cluster = Cluster::with_past(disks, 1);
        cluster.window = window;
        cluster.trace = Some(Vec::new());
        cluster.elect(n(1));
        assert_eq!(terms(&cluster, 2), terms(&cluster, 1));
        let trace = cluster.trace.take().unwrap_or_default();
        let refusals = trace.iter().filter(|line| line.contains(" conflict=")).count();
        assert!(refusals <= 11, "{refusals} refusals for ten terms");
    }
}

/// Figure 8 up to (c): S1 leads term 4 with 2@2, which three nodes have; S5 has 2@3.
/// Its no-op of term 4 is on the nodes of `has_noop`.
fn figure_8(has_noop: &[u64]) -> Cluster {
    let mut cluster = Cluster::with_past(
        vec![
            durable(&[1, 2], 3),
            durable(&[1, 2], 3),
            durable(&[1], 3),
            durable(&[1], 3),
            durable(&[1, 3], 3),
        ],
        1,
    );
    cluster.partition(&[n(5)]);
    cluster.tick_until_campaign(n(1));
    // Only entries up to 2@2 get through, except to the nodes of `has_noop`.
    let gets_through = |message: &Envelope| match &message.rpc {
        Rpc::AppendEntries(request) => {
            let is_old = request.entries.iter().all(|entry| entry.term < Term(4));
            has_noop.contains(&message.to.0) || (is_old && message.to != n(4))
        }
        _ => true,
    };
    for _ in 0..6 {
        while cluster.deliver_where(gets_through) {}
        cluster.network.clear();
        cluster.send_heartbeat(n(1));
    }
    cluster.network.clear();
    assert_eq!(cluster.raft(n(1)).role(), Role::Leader);
    for id in [1, 2, 3] {
        assert_eq!(terms(&cluster, id)[..2], [1, 2], "node {id} has 2@2");
    }
    cluster
}

/// Node 1 crashes, and node 5 tries to lead several times.
fn node_5_stands_for_election(cluster: &mut Cluster) {
    cluster.crash(n(1));
    cluster.heal();
    for id in 2..=4 {
        for _ in 0..ELECTION_TICKS_MIN {
            cluster.tick(n(id));
        }
    }
    cluster.network.clear();
    for _ in 0..6 * ELECTION_TICKS_MAX {
        cluster.tick(n(5));
        cluster.deliver_all();
    }
}

/// Figure 8 (c), (d): "Raft never commits log entries from previous terms by counting
/// replicas": 2@2 is on a majority, and is overwritten by S5 all the same (docs/bugs.md B18).
#[test]
fn figure_8_d_an_old_entry_on_a_majority_can_still_be_overwritten() {
    let mut cluster = figure_8(&[]);
    let progress = &cluster.node(n(1)).progress;
    assert_eq!((progress[&n(2)].match_index(), progress[&n(3)].match_index()), (i(2), i(2)));
    assert_eq!(cluster.raft(n(1)).commit_index(), i(0), "it knows that three have it");
    node_5_stands_for_election(&mut cluster);
    assert_eq!(cluster.leader(), Some(n(5)));
    cluster.heartbeat(n(5));
    for id in 2..=5 {
        assert_eq!(terms(&cluster, id)[..2], [1, 3], "node {id} has S5's entry");
    }
}

/// 2@2 is overwritten, too, with the no-op on one node besides the leader: no majority yet.
#[test]
fn figure_8_a_new_entry_on_a_minority_commits_nothing() {
    let mut cluster = figure_8(&[2]);
    assert_eq!(cluster.raft(n(1)).commit_index(), i(0));
    node_5_stands_for_election(&mut cluster);
    // Nodes 3, 4 and 5 elect node 5: node 2, with its later term, is one vote only.
    assert_eq!(cluster.leader(), Some(n(5)));
}

/// Figure 8 (e): "if S1 replicates an entry from its current term on a majority of
/// the servers before crashing, then this entry is committed (S5 cannot win an
/// election). At this point all preceding entries in the log are committed as well."
#[test]
fn figure_8_e_an_entry_of_the_own_term_commits_those_before_it() {
    let mut cluster = figure_8(&[2, 3]);
    assert!(cluster.raft(n(1)).commit_index() >= i(3));
    node_5_stands_for_election(&mut cluster);
    assert_ne!(cluster.leader(), Some(n(5)));
    cluster.network.clear();
    cluster.elect(n(2));
    cluster.heartbeat(n(2));
    for id in 2..=5 {
        assert_eq!(terms(&cluster, id)[..3], [1, 2, 4], "node {id}");
    }
}

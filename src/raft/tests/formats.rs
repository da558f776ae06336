//! The cluster's format and id: who raises it and when, and what a node does that cannot read
//! it (docs/adr/0023, docs/adr/0024).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, command, i, n};
use super::gates::{BOTH, OLD, RAISE_AFTER_TICKS, founded_long_ago};
use super::solo::{Solo, at};
use crate::raft::{
    AppendEntries, Effect, NotLeader, Raise, RaiseRefusal, ReadToken, Role, Rpc, StopReason,
};
use crate::types::{
    ClusterId, ClusterState, Entry, Format, FormatInForce, FormatRange, LogIndex, Payload,
    SnapshotPoint, Term,
};

/// A cluster that exists, whose nodes read these formats, and whose leader is node 1.
fn led_by_1(formats: &[FormatRange], seed: u64) -> Cluster {
    let disks = founded_long_ago(formats.len() as u64);
    let mut cluster = Cluster::with_formats_and_past(formats, disks, seed);
    cluster.elect(n(1));
    cluster
}

/// The clause by which the leader says what it waits for.
fn waits_for(cluster: &Cluster, id: u64) -> Option<String> {
    cluster.raft(n(id)).status().cluster.raise_waits_for
}

/// The format that a node knows to be in force.
fn in_force(cluster: &Cluster, id: u64) -> u32 {
    cluster.raft(n(id)).status().cluster.format.format.0
}

fn has_gate_entries(cluster: &Cluster) -> bool {
    cluster.ids().iter().any(|id| !cluster.gate_entries(id.0).is_empty())
}

#[test]
fn the_format_is_raised_when_all_have_been_able_for_long_enough() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.pass(RAISE_AFTER_TICKS / 2);
    assert!(waits_for(&cluster, 1).unwrap().starts_with("all have been able for "));
    assert!(!has_gate_entries(&cluster));
    cluster.pass(RAISE_AFTER_TICKS);
    cluster.catch_up();
    for id in 1..=3 {
        assert_eq!(cluster.gate_entries(id), ["format 2", "id 1001"], "node {id}");
        assert_eq!(in_force(&cluster, id), 2);
        let status = cluster.raft(n(id)).status().cluster;
        assert_eq!((status.cluster_id, status.raise_waits_for), (Some(ClusterId(1001)), None));
    }
}

#[test]
fn the_time_is_counted_by_every_node_so_a_new_leader_goes_on() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.pass(RAISE_AFTER_TICKS - 5);
    cluster.elect_instead(1, 2);
    cluster.pass(10);
    assert_eq!(cluster.gate_entries(2).first().map(String::as_str), Some("format 2"));
}

#[test]
fn a_quorum_that_is_able_is_not_enough() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH, BOTH, OLD], 1);
    cluster.pass(3 * RAISE_AFTER_TICKS);
    assert!(!has_gate_entries(&cluster));
    let clause = "server 5 (0.1.0) reads formats 1..1";
    assert_eq!(waits_for(&cluster, 1).as_deref(), Some(clause));
    let refusal = cluster.raft_mut(n(1)).request_raise().unwrap_err();
    assert_eq!(refusal.to_string(), format!("format 1 is in force; {clause}"));
    cluster.replace(n(5), BOTH);
    cluster.pass(RAISE_AFTER_TICKS + 10);
    assert_eq!(cluster.gate_entries(5), ["format 2", "id 1001"]);
}

#[test]
fn a_member_that_is_not_connected_blocks_the_raise_and_is_named() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH, OLD, BOTH], 1);
    cluster.crash(n(3));
    cluster.pass(3 * RAISE_AFTER_TICKS);
    assert!(!has_gate_entries(&cluster));
    let clause = "server 3 is not connected, server 4 (0.1.0) reads formats 1..1";
    assert_eq!(waits_for(&cluster, 1).as_deref(), Some(clause));
    assert_eq!(waits_for(&cluster, 2), None, "only the leader knows");
}

#[test]
fn a_member_that_does_not_answer_blocks_the_raise() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.partition(&[n(3)]);
    cluster.pass(3 * RAISE_AFTER_TICKS);
    assert!(!has_gate_entries(&cluster));
    assert_eq!(waits_for(&cluster, 1).as_deref(), Some("server 3 does not answer"));
}

#[test]
fn what_a_member_can_read_is_looked_at_again() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.pass(RAISE_AFTER_TICKS - 10);
    cluster.replace(n(3), OLD);
    cluster.pass(RAISE_AFTER_TICKS);
    assert!(!has_gate_entries(&cluster), "an older program took the place of one that was able");
    cluster.replace(n(3), BOTH);
    cluster.pass(RAISE_AFTER_TICKS - 5);
    assert!(!has_gate_entries(&cluster), "the time begins anew");
    cluster.pass(10);
    assert_eq!(cluster.gate_entries(3).first().map(String::as_str), Some("format 2"));
}

#[test]
fn the_hold_of_any_member_blocks_the_raise() {
    for holder in [1, 2] {
        let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
        cluster.hold(n(holder), true);
        cluster.pass(3 * RAISE_AFTER_TICKS);
        assert!(!has_gate_entries(&cluster));
        let clause = format!("server {holder} holds the format");
        assert_eq!(waits_for(&cluster, 1), Some(clause));
        assert!(cluster.raft_mut(n(1)).request_raise().is_err());
        // It survives a restart of the holder, and a change of leader.
        cluster.replace(n(holder), BOTH);
        cluster.pass(3 * RAISE_AFTER_TICKS);
        assert!(!has_gate_entries(&cluster));
        cluster.hold(n(holder), false);
        cluster.pass(5);
        assert!(has_gate_entries(&cluster), "the time went on meanwhile");
    }
}

#[test]
fn a_request_raises_at_once_when_all_are_able() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    let refusal = cluster.raft_mut(n(2)).request_raise();
    assert_eq!(refusal, Err(RaiseRefusal::NotLeader(NotLeader { leader_id: Some(n(1)) })));
    let begun = Ok(Raise::Begun { format: Format(2), index: i(4) });
    assert_eq!(cluster.raft_mut(n(1)).request_raise(), begun);
    assert_eq!(cluster.raft_mut(n(1)).request_raise(), begun, "one raise answers both");
    cluster.settle(n(1));
    cluster.deliver_all();
    let done = Ok(Raise::InForce(Format(2)));
    assert_eq!(cluster.raft_mut(n(1)).request_raise(), done);
    cluster.catch_up();
    assert_eq!(cluster.gate_entries(3), ["format 2", "id 1001"]);
}

#[test]
fn a_leader_that_founded_the_cluster_does_not_wait() {
    let mut cluster = Cluster::with_formats(&[BOTH, BOTH, BOTH], 1);
    cluster.elect(n(1));
    cluster.catch_up();
    assert_eq!(cluster.gate_entries(3), ["format 2", "id 1001"]);
}

/// The entry from which on revisions are counted says whether there was a command before it.
#[test]
fn a_leader_says_whether_its_log_is_unwritten_when_revisions_begin() {
    let is_marked = |cluster: &Cluster| {
        let raise = |entry: &Entry| match &entry.payload {
            Payload::Format(raised) if raised.format == Format::REVISIONS => {
                Some(raised.is_in_unwritten_log)
            }
            _ => None,
        };
        cluster.node(n(3)).disk.log().iter().find_map(raise)
    };
    let start = || Cluster::with_formats(&[FormatRange::OWN; 3], 1);
    let mut new = start();
    new.elect(n(1));
    new.catch_up();
    assert_eq!(is_marked(&new), Some(true));
    let mut written = start();
    written.elect_silently(n(1));
    written.raft_mut(n(1)).propose(command("x")).unwrap();
    written.pass(RAISE_AFTER_TICKS);
    written.catch_up();
    assert_eq!(is_marked(&written), Some(false));
    let mut old = led_by_1(&[FormatRange::OWN; 3], 1);
    old.pass(4 * RAISE_AFTER_TICKS);
    old.catch_up();
    assert_eq!(is_marked(&old), Some(false), "it may have been written to in an earlier life");
}

#[test]
fn the_founder_of_a_cluster_with_an_old_member_writes_nothing_new() {
    let mut cluster = Cluster::with_formats(&[BOTH, OLD, BOTH], 1);
    cluster.elect(n(1));
    cluster.pass(3 * RAISE_AFTER_TICKS);
    assert!(!has_gate_entries(&cluster));
    for id in [1, 3] {
        let announced = &cluster.gate(n(id)).announced;
        assert!(announced.iter().all(|facts| facts.format.format == Format(1)), "{announced:?}");
    }
    // The old one leads, too: a vote looks at no format.
    cluster.crash(n(1));
    cluster.elect_instead(1, 2);
    assert_eq!(cluster.leader(), Some(n(2)));
}

#[test]
fn facts_are_announced_when_they_are_committed_and_not_before() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    let formats = |cluster: &Cluster, id| {
        let announced = cluster.gate(n(id)).announced.iter();
        announced.map(|facts| facts.format.format.0).collect::<Vec<_>>()
    };
    assert_eq!(formats(&cluster, 1), [1, 1], "at the start, and when the members are committed");
    cluster.raft_mut(n(1)).request_raise().unwrap();
    cluster.settle(n(1));
    assert_eq!(formats(&cluster, 1), [1, 1]);
    // One follower is enough to commit it.
    cluster.deliver_where(|m| m.to == n(2));
    cluster.deliver_where(|m| m.to == n(1) && m.from == n(2));
    assert_eq!((formats(&cluster, 1), formats(&cluster, 2)), (vec![1, 1, 2], vec![1, 1]));
    cluster.deliver_all();
    cluster.catch_up();
    assert_eq!(formats(&cluster, 3), [1, 1, 2, 2], "the format, and then the id");
    let held = cluster.gate(n(3)).announced.len();
    cluster.hold(n(3), true);
    let announced = &cluster.gate(n(3)).announced[held..];
    assert_eq!(announced.iter().map(|facts| facts.is_held).collect::<Vec<_>>(), [true]);
    // A start announces what its snapshot says, and has none.
    cluster.replace(n(3), BOTH);
    assert_eq!(formats(&cluster, 3), [1]);
    cluster.catch_up();
    assert_eq!(formats(&cluster, 3).last(), Some(&2));
}

/// The points at which a raise can be interrupted: this number of messages arrive after the
/// leader has appended the entry.
const STEPS: usize = 12;

#[test]
fn a_raise_that_is_interrupted_is_finished_or_repeated() {
    for step in 0..STEPS {
        for is_killed in [false, true] {
            let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
            cluster.catch_up();
            cluster.raft_mut(n(1)).request_raise().unwrap();
            cluster.settle(n(1));
            for _ in 0..step {
                cluster.deliver_where(|_| true);
            }
            cluster.network.clear();
            cluster.partition(&[n(1)]);
            if is_killed {
                cluster.crash(n(1));
            }
            cluster.elect_instead(1, 2);
            cluster.pass(2 * RAISE_AFTER_TICKS);
            cluster.heal();
            if is_killed {
                cluster.restart(n(1));
            }
            cluster.pass(3 * RAISE_AFTER_TICKS);
            let entries = cluster.gate_entries(2);
            assert_eq!(entries.len(), 2, "after {step} messages: {entries:?}");
            assert_eq!(entries[0], "format 2", "after {step} messages");
            for id in [1, 3] {
                assert_eq!(cluster.gate_entries(id), entries, "after {step} messages");
                assert_eq!(in_force(&cluster, id), 2, "after {step} messages");
            }
        }
    }
}

#[test]
fn a_new_leader_does_not_raise_before_it_has_committed() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.pass(RAISE_AFTER_TICKS - 20);
    cluster.crash(n(1));
    cluster.restart(n(1));
    cluster.tick_until_campaign(n(2));
    while cluster.raft(n(2)).role() != Role::Leader {
        cluster.deliver(0);
    }
    // Its entries do not arrive.
    cluster.network.clear();
    let clause = "this leader has committed nothing in its term yet";
    assert_eq!(waits_for(&cluster, 2).as_deref(), Some(clause));
    let refusal = cluster.raft_mut(n(2)).request_raise().unwrap_err();
    assert!(refusal.to_string().ends_with(clause), "{refusal}");
}

#[test]
fn nothing_of_a_format_is_appended_before_the_store_has_its_entry() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.node_mut(n(1)).slow.disk = true;
    cluster.raft_mut(n(1)).request_raise().unwrap();
    cluster.settle(n(1));
    cluster.pass(10);
    // The followers have committed it; the leader's own disk has not written it.
    assert_eq!(in_force(&cluster, 1), 2);
    assert_eq!(cluster.gate_entries(1), ["format 2"]);
    assert_eq!(waits_for(&cluster, 1).as_deref(), Some("a raise is under way"));
    while cluster.sync(n(1)) {}
    cluster.tick(n(1));
    assert_eq!(cluster.gate_entries(1), ["format 2", "id 1001"]);
}

#[test]
fn a_cluster_is_named_once_whoever_leads() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.raft_mut(n(1)).request_raise().unwrap();
    cluster.settle(n(1));
    cluster.deliver_all();
    // The name of leader 1 reaches nobody.
    cluster.partition(&[n(1)]);
    cluster.pass(1);
    assert_eq!(cluster.gate_entries(1), ["format 2", "id 1001"]);
    cluster.elect_instead(1, 2);
    cluster.pass(5);
    cluster.heal();
    for leader in [3, 1, 2] {
        let before = cluster.leader().unwrap();
        cluster.elect_instead(before.0, leader);
        cluster.pass(RAISE_AFTER_TICKS);
    }
    for id in 1..=3 {
        assert_eq!(cluster.gate_entries(id), ["format 2", "id 2001"]);
        assert_eq!(cluster.raft(n(id)).status().cluster.cluster_id, Some(ClusterId(2001)));
    }
}

/// The last line of defence: a leader that was wrong about node 3.
#[test]
fn a_follower_stores_no_format_that_it_cannot_read_and_stops() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.replace(n(3), OLD);
    cluster.introduce(n(2), n(1));
    let lie = crate::testing::introduction();
    cluster.raft_mut(n(1)).on_peer_attached(n(3), Some(lie));
    cluster.pass(10);
    let before = cluster.node(n(3)).disk.durable().log.clone();
    cluster.raft_mut(n(1)).propose(command("before")).unwrap();
    cluster.raft_mut(n(1)).request_raise().unwrap();
    cluster.settle(n(1));
    cluster.pass(10);
    assert_eq!(in_force(&cluster, 1), 2, "the others go on");
    let needed = FormatInForce::of(Format(2));
    let reason = StopReason::Unreadable { needed, reads: OLD };
    assert_eq!(cluster.gate(n(3)).stopped, Some(reason));
    assert!(cluster.node(n(3)).disk.durable().log == before, "not even the entry before it");
    // The dead do not vote, campaign, lead or read.
    cluster.crash(n(2));
    cluster.network.clear();
    for _ in 0..5 * ELECTION_TICKS_MAX {
        cluster.tick(n(3));
    }
    assert!(cluster.network.is_empty());
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
    let not_leader = NotLeader { leader_id: None };
    assert_eq!(cluster.raft_mut(n(3)).propose(command("x")), Err(not_leader));
    assert_eq!(cluster.raft_mut(n(3)).read(ReadToken(1), i(0)), Err(not_leader));
    cluster.pass(3 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.leader(), None, "two of three are gone");
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), stamp_ms: 0, payload }
}

fn format_2() -> FormatInForce {
    FormatInForce::of(Format(2))
}

#[test]
fn a_request_with_a_format_that_cannot_be_read_is_not_acknowledged() {
    let mut solo = Solo::new(3, &[1], 1);
    let entries = vec![entry(2, command("x")), entry(3, Payload::Format(format_2()))];
    let request =
        AppendEntries { request_seq: 1, prev: at(1, 1), leader_commit: i(3), read_seq: 0, entries };
    solo.effects.clear();
    assert_eq!(solo.receive(2, 1, Rpc::AppendEntries(request)), []);
    let reason = StopReason::Unreadable { needed: format_2(), reads: OLD };
    assert_eq!(
        reason.to_string(),
        "the cluster has format 2, and this server reads formats 1..1: start version 0.2.0 or a \
         later one; nothing of that format was stored here"
    );
    assert_eq!(solo.effects, [Effect::Stop(reason)]);
    assert_eq!(solo.log().len(), 1);
    // It hears nothing any more.
    solo.effects.clear();
    assert_eq!(solo.receive(2, 7, Rpc::RejoinRequest), []);
    assert_eq!(solo.tick(5 * ELECTION_TICKS_MAX), []);
    assert_eq!((solo.effects, solo.raft.has_stopped()), (vec![], true));
}

#[test]
fn a_snapshot_of_a_format_that_cannot_be_read_is_not_installed() {
    let mut solo = Solo::new(3, &[1], 1);
    let cluster = ClusterState { format: format_2(), ..ClusterState::default() };
    let point = SnapshotPoint { last: at(9, 1), cluster };
    solo.effects.clear();
    assert!(!solo.raft.on_snapshot_received(n(2), Term(1), 1, point.clone(), 5));
    assert!(!solo.raft.on_snapshot_received(n(2), Term(1), 2, point, 5), "it stops once");
    let reason = StopReason::Unreadable { needed: format_2(), reads: OLD };
    assert_eq!(solo.raft.take_effects(), [Effect::Stop(reason)]);
    assert_eq!((solo.raft.snapshot_index(), solo.raft.commit_index()), (i(0), i(0)));
}

#[test]
#[should_panic(expected = "the log has format 2, this node reads 1..1")]
fn a_node_does_not_start_on_a_log_that_it_cannot_read() {
    let mut cluster = led_by_1(&[BOTH, BOTH, BOTH], 1);
    cluster.pass(2 * RAISE_AFTER_TICKS);
    cluster.replace(n(3), OLD);
}

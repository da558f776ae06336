//! A voter that has lost, without a trace, what it acknowledged: the leader to which it was
//! acknowledged notices, and tells it (docs/adr/0018).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, HEARTBEAT_TICKS, log_of, n};
use super::disk::{Disk, Durable};
use super::solo::{Solo, append, appended, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{
    AppendEntriesResponse, Effect, Envelope, Event, Forgotten, PeerLoss, ReplicationReport, Role,
    Rpc,
};
use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

/// A cluster in which node 1 leads, and all nodes hold all entries.
fn cluster(nodes: u64) -> Cluster {
    let mut cluster = Cluster::new(nodes, 1);
    cluster.elect(n(1));
    for number in 0..5 {
        cluster.propose(n(1), &format!("entry {number}")).unwrap();
        cluster.deliver_all();
    }
    cluster.heartbeat(n(1));
    cluster
}

/// A node starts again, and its disk no longer has its last two entries.
fn lose_two(cluster: &mut Cluster, id: NodeId) -> LogPosition {
    let last = cluster.raft(id).last_log();
    cluster.crash(id);
    cluster.node_mut(id).disk.rewind(LogIndex(last.index.0 - 2));
    cluster.reconnect(n(1), id);
    cluster.restart(id);
    last
}

/// Lets time pass for all nodes that are up.
fn run(cluster: &mut Cluster, ticks: u32) {
    for _ in 0..ticks {
        for id in cluster.ids() {
            cluster.tick(id);
        }
        cluster.deliver_all();
    }
}

#[test]
fn a_voter_that_lost_what_it_acknowledged_fetches_it_and_is_counted_again() {
    let mut cluster = cluster(3);
    let last = lose_two(&mut cluster, n(2));
    run(&mut cluster, 3 * HEARTBEAT_TICKS);
    assert_eq!(cluster.leader(), Some(n(1)), "the cluster goes on");
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower, "it is a voter again");
    assert!(cluster.node(n(2)).disk.durable().contains(last));
    cluster.partition(&[n(3)]);
    let index = cluster.propose(n(1), "without node 3").unwrap();
    cluster.deliver_all();
    assert!(cluster.raft(n(1)).commit_index() >= index);
}

/// While node 3 is away, node 2 may have voted in a later term and have forgotten it, so
/// nothing is committed with it (docs/adr/0005).
#[test]
fn it_is_not_counted_before_it_has_heard_from_every_other_member() {
    let mut cluster = cluster(3);
    cluster.partition(&[n(3)]);
    let before = cluster.raft(n(1)).commit_index();
    lose_two(&mut cluster, n(2));
    cluster.propose(n(1), "not yet").unwrap();
    run(&mut cluster, 5 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.raft(n(2)).role(), Role::Rejoining);
    assert_eq!(cluster.raft(n(2)).status().role, Role::Rejoining);
    assert_eq!(cluster.raft(n(1)).commit_index(), before);
    cluster.heal();
    run(&mut cluster, 3 * ELECTION_TICKS_MAX);
    let leader = cluster.leader().expect("two voters and a quorum");
    assert!(cluster.raft(leader).commit_index() > before);
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
}

/// Without it nobody would notice: the others are enough to commit.
#[test]
fn a_silent_loss_of_redundancy_is_cured() {
    let mut cluster = cluster(5);
    cluster.trace = Some(Vec::new());
    let last = lose_two(&mut cluster, n(2));
    run(&mut cluster, 3 * HEARTBEAT_TICKS);
    assert!(cluster.node(n(2)).disk.durable().contains(last));
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
    assert_eq!(cluster.leader(), Some(n(1)));
    let trace = cluster.trace.take().unwrap();
    let told = trace.iter().filter(|line| line.contains("Forgotten acknowledged=")).count();
    assert_eq!(told, 1, "{trace:#?}");
    for line in ["n1@1 peer=2 has lost entries", "n2@1 has lost entries", "n2@1 became voter"] {
        assert_eq!(trace.iter().filter(|seen| seen.starts_with(line)).count(), 1, "{line}");
    }
}

/// The directory is an older copy: its term and its vote are old, too.
#[test]
fn a_directory_from_an_older_copy_is_noticed_as_well() {
    let state = HardState { current_term: Term(1), ..HardState::default() };
    let mut cluster = Cluster::with_past(vec![Durable::new(state, log_of(&[1, 1, 1])); 3], 1);
    cluster.elect(n(1));
    cluster.heartbeat(n(1));
    let last = cluster.raft(n(2)).last_log();
    assert_eq!(last.term, Term(2));
    cluster.crash(n(2));
    cluster.node_mut(n(2)).disk = Disk::new(Durable::new(state, log_of(&[1, 1])));
    cluster.node_mut(n(2)).disk.rewind(LogIndex(2));
    cluster.oracle.on_wipe(n(2));
    cluster.reconnect(n(1), n(2));
    cluster.restart(n(2));
    assert_eq!(cluster.raft(n(2)).term(), Term(1));
    run(&mut cluster, 3 * HEARTBEAT_TICKS);
    assert_eq!(cluster.leader(), Some(n(1)));
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
    assert_eq!(cluster.raft(n(2)).hard_state().voted_for, Some(n(2)), "its vote may be given");
    assert!(cluster.node(n(2)).disk.durable().contains(last));
}

/// The leader's log begins after the place where the peer's ends now.
#[test]
fn a_loss_of_entries_that_the_leader_has_compacted_away_is_noticed() {
    let rules =
        super::snapshots::SnapshotRules { entries_max: 4, ..super::snapshots::SnapshotRules::NONE };
    let mut cluster = Cluster::with_snapshots(vec![Durable::default(); 3], 1, rules);
    cluster.elect(n(1));
    cluster.propose(n(1), "first").unwrap();
    cluster.deliver_all();
    cluster.crash(n(2));
    let last = cluster.node(n(2)).disk.durable().log.end();
    for number in 0..20 {
        cluster.propose(n(1), &format!("entry {number}")).unwrap();
        cluster.deliver_all();
        cluster.heartbeat(n(1));
    }
    assert!(cluster.raft(n(1)).log_base() > last);
    cluster.node_mut(n(2)).disk.rewind(last.index.prev());
    cluster.reconnect(n(1), n(2));
    cluster.trace = Some(Vec::new());
    cluster.restart(n(2));
    run(&mut cluster, 2 * ELECTION_TICKS_MAX);
    let trace = cluster.trace.take().unwrap();
    assert!(trace.iter().any(|line| line.starts_with("n2@1 has lost entries")), "{trace:#?}");
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
    assert_eq!(cluster.node(n(2)).applied, cluster.node(n(1)).applied);
}

/// Neither of two nodes can lead while the other is rejoining. So the peer is not told: the
/// leader gives up its term, and counts nothing of the old one.
#[test]
fn of_two_nodes_the_leader_begins_a_new_term() {
    let mut cluster = cluster(2);
    let last = lose_two(&mut cluster, n(2));
    run(&mut cluster, 3 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.leader(), Some(n(1)));
    assert_eq!(cluster.raft(n(1)).term(), Term(2));
    assert!(cluster.node(n(2)).disk.durable().contains(last));
    let index = cluster.propose(n(1), "on both").unwrap();
    cluster.deliver_all();
    assert!(cluster.raft(n(1)).commit_index() >= index);
}

// The receiver.

fn forgotten(acknowledged: LogPosition) -> Rpc {
    Rpc::Forgotten(Forgotten { acknowledged })
}

/// A follower of node 2 in term 3, with a log of five entries.
fn follower() -> Solo {
    let mut solo = Solo::new(3, &[1, 1, 2, 2], 3);
    assert_eq!(solo.ask(2, 3, append(at(4, 2), &[3], 1)), (3, appended(5)));
    solo
}

/// The answers to the leader's heartbeat.
fn is_counted(solo: &mut Solo) -> bool {
    let (_, rpc) = solo.ask(2, solo.raft.term().0, append(at(4, 2), &[], 1));
    let Rpc::AppendEntriesResponse(AppendEntriesResponse { is_rejoining, .. }) = rpc else {
        panic!("it answers the heartbeat");
    };
    !is_rejoining
}

#[test]
fn a_node_that_lacks_what_it_acknowledged_is_rejoining_before_it_answers_again() {
    let mut solo = follower();
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(3), rpc: forgotten(at(7, 3)) });
    let state = solo.raft.hard_state();
    assert_eq!((state.is_rejoining, state.lost, state.is_end_known), (true, at(7, 3), false));
    // The answer waits for the record.
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(3), rpc: append(at(5, 3), &[], 1) });
    let effects = solo.raft.take_effects();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send(_))), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Append(append) if append.hard_state == Some(state) && append.entries.is_empty()
    )));
    let event = Event::Forgot { told_by: n(2), acknowledged: at(7, 3), last: at(5, 3) };
    assert!(event.is_fault() && effects.contains(&Effect::Event(event)));
    assert_eq!(solo.raft.role(), Role::Rejoining);
}

#[test]
fn a_node_that_has_forgotten_neither_votes_nor_campaigns_and_says_so() {
    let mut solo = follower();
    solo.receive(2, 3, forgotten(at(7, 3)));
    assert!(!is_counted(&mut solo));
    solo.restart();
    assert_eq!(solo.raft.hard_state().lost, at(7, 3), "it is durable");
    assert!(!is_counted(&mut solo));
    let far = at(9, 3);
    for _ in 0..3 * ELECTION_TICKS_MAX {
        let sent = solo.tick(1);
        assert!(sent.iter().all(|envelope| envelope.rpc == Rpc::RejoinRequest), "{sent:?}");
    }
    let answers = solo.receive(3, 5, pre_vote(far));
    assert!(answers.iter().all(|answer| answer.rpc == pre_voted(false)), "{answers:?}");
    let answers = solo.receive(3, 5, request_vote(far));
    assert!(answers.iter().all(|answer| answer.rpc == voted(false)), "{answers:?}");
}

/// Promises that wait for the disk were those of a voter.
#[test]
fn what_waits_for_the_disk_is_not_said_any_more() {
    let mut solo = follower();
    let step = |solo: &mut Solo, rpc| {
        solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(3), rpc });
    };
    step(&mut solo, append(at(5, 3), &[3], 1));
    step(&mut solo, forgotten(at(7, 3)));
    assert_eq!(solo.settle(), []);
}

/// Only the leader of the node's own term can know, and the node judges for itself.
#[test]
fn a_late_or_wrong_word_changes_nothing() {
    let words = [
        ("its log holds it", 2, 3, at(5, 3)),
        ("its log holds more", 2, 3, at(4, 2)),
        ("nothing was acknowledged", 2, 3, at(0, 0)),
        ("not the leader", 3, 3, at(7, 3)),
        ("an old term", 2, 2, at(7, 2)),
        ("an old term", 3, 2, at(5, 2)),
    ];
    for (what, from, term, acknowledged) in words {
        let mut solo = follower();
        let before = solo.raft.hard_state();
        assert_eq!(solo.receive(from, term, forgotten(acknowledged)), [], "{what}");
        assert_eq!(solo.raft.hard_state(), before, "{what}");
        assert!(is_counted(&mut solo), "{what}");
    }
}

/// A word of a later term brings the term, as every message does; the leader's next answer
/// brings the rest.
#[test]
fn a_word_of_a_leader_that_was_not_heard_yet_brings_its_term_only() {
    let mut solo = follower();
    assert_eq!(solo.receive(3, 4, forgotten(at(7, 4))), []);
    assert_eq!(solo.raft.term(), Term(4));
    assert!(!solo.raft.hard_state().is_rejoining);
}

#[test]
fn candidates_and_leaders_are_told_nothing() {
    let mut solo = Solo::new(3, &[1], 1);
    solo.tick_until_campaign();
    solo.receive(2, 1, forgotten(at(7, 1)));
    assert_eq!(solo.raft.role(), Role::PreCandidate);
    assert!(!solo.raft.hard_state().is_rejoining);

    let mut solo = Solo::new(3, &[1], 1);
    solo.win();
    solo.receive(2, 2, forgotten(at(7, 2)));
    assert_eq!(solo.raft.role(), Role::Leader);
    assert!(!solo.raft.hard_state().is_rejoining);
}

#[test]
fn a_repeated_word_is_written_once_and_a_later_loss_raises_the_mark() {
    let mut solo = follower();
    solo.receive(2, 3, forgotten(at(7, 3)));
    let appends = |solo: &mut Solo, acknowledged| {
        let envelope =
            Envelope { from: n(2), to: n(1), term: Term(3), rpc: forgotten(acknowledged) };
        solo.raft.step(envelope);
        let effects = solo.raft.take_effects();
        effects.iter().filter(|effect| matches!(effect, Effect::Append(_))).count()
    };
    for acknowledged in [at(7, 3), at(6, 3)] {
        assert_eq!(appends(&mut solo, acknowledged), 0);
        assert_eq!(solo.raft.hard_state().lost, at(7, 3));
    }
    assert_eq!(appends(&mut solo, at(8, 3)), 1);
    assert_eq!(solo.raft.hard_state().lost, at(8, 3));
}

/// A damaged node that knows the end of its log votes by it. It must not when it has lost more.
#[test]
fn an_end_that_was_known_is_not_when_the_leader_knows_of_more() {
    let mut solo = follower();
    let before = solo.raft.hard_state();
    let known = HardState { is_rejoining: true, lost: at(9, 3), is_end_known: true, ..before };
    solo.raft.persistence.set_hard_state(known);
    solo.settle();
    solo.receive(2, 3, forgotten(at(7, 3)));
    let state = solo.raft.hard_state();
    assert_eq!((state.is_rejoining, state.lost, state.is_end_known), (true, at(9, 3), false));
}

// The leader.

#[test]
fn a_report_of_a_loss_to_a_node_that_leads_no_more_changes_nothing() {
    let mut solo = Solo::new(2, &[], 0);
    solo.win();
    solo.tick(ELECTION_TICKS_MAX + 1);
    solo.tick_until_campaign();
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::PreCandidate, Term(1)));
    solo.effects.clear();
    let loss = Some(PeerLoss { acknowledged: at(1, 1), held: LogIndex(0) });
    let report = ReplicationReport { is_rejoining: true, loss, ..ReplicationReport::default() };
    solo.raft.on_replicated(n(2), Term(1), report);
    solo.settle();
    assert_eq!((solo.raft.role(), solo.effects.len()), (Role::PreCandidate, 0));
}

/// A peer that has proved that it forgot commits nothing more, confirms no read, and is not
/// heard for CheckQuorum.
#[test]
fn lost_acknowledgements_count_for_nothing_more() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    let report = |match_index: u64, loss: Option<PeerLoss>| ReplicationReport {
        match_index: LogIndex(match_index),
        is_rejoining: loss.is_some(),
        loss,
        ..ReplicationReport::default()
    };
    solo.raft.on_replicated(n(2), Term(1), report(1, None));
    let loss = PeerLoss { acknowledged: at(1, 1), held: LogIndex(0) };
    solo.raft.on_replicated(n(2), Term(1), report(1, Some(loss)));
    solo.settle();
    let event = Event::PeerForgot { peer: n(2), acknowledged: at(1, 1), held: LogIndex(0) };
    assert!(event.is_fault() && solo.effects.contains(&Effect::Event(event)));
    let before = solo.raft.commit_index();
    solo.raft.propose(super::cluster::command("x")).unwrap();
    solo.settle();
    assert_eq!(solo.raft.commit_index(), before);
    solo.tick(ELECTION_TICKS_MAX + 1);
    assert_ne!(solo.raft.role(), Role::Leader, "nobody else was heard");
}

//! A node whose disk has lost, without a trace, what it acknowledged before it started: those
//! that remember the acknowledgement tell it, whoever leads now (docs/adr/0024).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, command, n};
use super::gates::{BOTH, OLD, of_both, raised_long_ago};
use super::snapshots::SnapshotRules;
use super::solo::{Solo, append, appended, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{Effect, Envelope, Event, PeerFault, Remembered, Role, Rpc};
use crate::types::{BootId, HardState, LogIndex, LogPosition, NodeId, Term};

// The receiver.

fn remembered(leader_term: u64, acknowledged: LogPosition) -> Rpc {
    Rpc::Remembered(Remembered { boot: BootId(7), leader_term: Term(leader_term), acknowledged })
}

/// Node 1 of five, as it starts in term 3 with entries 1@1 2@1 3@2 4@2 5@3.
fn started() -> Solo {
    Solo::new(5, &[1, 1, 2, 2, 3], 3)
}

fn state(solo: &Solo) -> (bool, LogPosition, bool) {
    let HardState { is_rejoining, lost, is_end_known, .. } = solo.raft.hard_state();
    (is_rejoining, lost, is_end_known)
}

const SOUND: (bool, LogPosition, bool) =
    (false, LogPosition { term: Term(0), index: LogIndex(0) }, false);

#[test]
fn a_node_that_lacks_an_entry_of_the_term_in_which_it_started_rejoins() {
    let mut solo = started();
    solo.receive(4, 8, remembered(3, at(6, 3)));
    assert_eq!(state(&solo), (true, at(6, 3), false));
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Rejoining, Term(3)));
    let event = Event::Forgot { told_by: n(4), acknowledged: at(6, 3), last: at(5, 3) };
    assert!(event.is_fault() && solo.effects.contains(&Effect::Event(event)));
    assert_eq!(solo.receive(2, 9, pre_vote(at(9, 8)))[0].rpc, pre_voted(false));
    assert_eq!(solo.receive(2, 9, request_vote(at(9, 8)))[0].rpc, voted(false));
    solo.restart();
    assert_eq!(solo.raft.role(), Role::Rejoining, "it is durable");
}

/// The entry is there, but it was acknowledged in a term of which the disk knows nothing: the
/// vote of that term may be lost as well.
#[test]
fn a_node_that_lacks_the_term_rejoins_and_takes_the_term() {
    let mut solo = started();
    solo.receive(4, 6, remembered(6, at(5, 3)));
    assert_eq!(state(&solo), (true, at(5, 3), false));
    assert_eq!(solo.raft.term(), Term(6), "it votes in none up to there");
}

#[test]
fn a_sound_node_is_not_sent_back() {
    let words = [
        ("it holds the entry", remembered(3, at(5, 3))),
        ("it holds more", remembered(3, at(4, 2))),
        ("a later leader may have replaced it", remembered(2, at(9, 2))),
    ];
    for (what, word) in words {
        let mut solo = started();
        assert_eq!(solo.receive(4, 8, word), [], "{what}");
        assert_eq!(state(&solo), SOUND, "{what}");
        assert_eq!(solo.raft.term(), Term(3), "{what}: the word brings no term");
    }
}

#[test]
fn a_word_about_its_own_run_is_ignored() {
    let mut solo = started();
    let word = Remembered { boot: BootId(1), leader_term: Term(6), acknowledged: at(9, 6) };
    solo.receive(4, 6, Rpc::Remembered(word));
    assert_eq!(state(&solo), SOUND);
}

/// It has lost 6@3. The leader of term 4 has sent it that again: what it did in between, it did
/// without the entry.
#[test]
fn it_judges_by_the_state_with_which_it_started() {
    let mut solo = started();
    assert_eq!(solo.ask(2, 4, append(at(5, 3), &[3, 4], 1)), (4, appended(7)));
    solo.receive(4, 4, remembered(3, at(6, 3)));
    assert_eq!(state(&solo), (true, at(6, 3), false));
}

/// The log that it started with held the entry. A later leader has replaced it since.
#[test]
fn what_it_loses_in_this_run_is_no_loss() {
    let mut solo = started();
    assert_eq!(solo.ask(2, 4, append(at(4, 2), &[4], 1)), (4, appended(5)));
    solo.receive(4, 4, remembered(3, at(5, 3)));
    assert_eq!(state(&solo), SOUND);
}

/// The peer had the acknowledgement of this run before it knew of the run: from the leader, or
/// because its own connection was there first.
#[test]
fn an_acknowledgement_of_this_run_that_is_attributed_to_an_earlier_one_does_not_accuse() {
    let mut solo = started();
    assert_eq!(solo.ask(2, 4, append(at(5, 3), &[4, 4], 1)), (4, appended(7)));
    solo.receive(4, 4, remembered(4, at(7, 4)));
    assert_eq!(state(&solo), SOUND);
    solo.receive(4, 4, remembered(4, at(8, 4)));
    assert_eq!(state(&solo), (true, at(8, 4), false), "it has not acknowledged this");
}

/// The report of the old run was late, and counts as one of this run. The next run is told.
#[test]
fn a_late_acknowledgement_of_an_earlier_run_does_not_accuse_a_sound_node() {
    let mut solo = started();
    let word = |acknowledged| {
        Rpc::Remembered(Remembered { boot: BootId(8), leader_term: Term(3), acknowledged })
    };
    solo.receive(4, 8, word(at(5, 3)));
    assert_eq!(state(&solo), SOUND);
}

#[test]
fn a_repeated_or_lower_word_is_written_once_and_a_higher_one_raises_the_mark() {
    let mut solo = started();
    solo.receive(4, 8, remembered(3, at(7, 3)));
    let writes = |solo: &mut Solo, word| {
        solo.raft.step(Envelope { from: n(3), to: n(1), term: Term(8), rpc: word });
        let effects = solo.raft.take_effects();
        effects.iter().filter(|effect| matches!(effect, Effect::Append(_))).count()
    };
    assert_eq!(writes(&mut solo, remembered(3, at(7, 3))), 0);
    assert_eq!(writes(&mut solo, remembered(3, at(6, 3))), 0);
    assert_eq!(writes(&mut solo, remembered(3, at(8, 3))), 1);
    assert_eq!(state(&solo), (true, at(8, 3), false));
}

/// A damaged node that knows the end of its log votes by it. It must not when it has lost more.
#[test]
fn an_end_that_was_known_is_not_when_a_peer_knows_of_more() {
    let mut solo = Solo::damaged(5, &[1, 1], 3, at(6, 3));
    solo.receive(4, 8, remembered(3, at(6, 3)));
    assert_eq!(state(&solo), (true, at(6, 3), true), "the repair has found this");
    solo.receive(4, 8, remembered(3, at(7, 3)));
    assert_eq!(state(&solo), (true, at(7, 3), false));
}

/// A wiped node beside a majority of blank ones is not part of a new cluster.
#[test]
fn a_blank_node_that_is_told_is_blank_no_more() {
    let mut solo = Solo::rejoining(3);
    solo.receive(2, 3, remembered(3, at(5, 3)));
    assert_eq!(state(&solo), (true, at(5, 3), false));
    for (from, term) in [(2, 0), (3, 0)] {
        let last = LogPosition::default();
        let rpc = Rpc::RejoinResponse(crate::raft::RejoinResponse { last });
        solo.receive(from, term, rpc);
    }
    assert_eq!(solo.raft.role(), Role::Rejoining);
}

/// Neither of two can lead without the other: both are needed for everything.
#[test]
fn of_two_nodes_none_is_sent_back() {
    let mut solo = Solo::new(2, &[1], 1);
    solo.receive(2, 3, remembered(3, at(5, 3)));
    assert_eq!(state(&solo), SOUND);
}

#[test]
fn candidates_and_leaders_step_down_first() {
    let mut solo = started();
    solo.tick_until_campaign();
    solo.receive(4, 3, remembered(3, at(6, 3)));
    assert_eq!(solo.raft.role(), Role::Rejoining);

    let mut solo = started();
    solo.campaign();
    solo.receive(4, 4, remembered(3, at(6, 3)));
    assert_eq!(solo.raft.role(), Role::Rejoining);

    let mut solo = started();
    solo.win();
    solo.raft.propose(command("x")).unwrap();
    solo.receive(4, 4, remembered(3, at(6, 3)));
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Rejoining, Term(4)));
    let has_stepped_down =
        |effect: &Effect| matches!(effect, Effect::Event(Event::SteppedDown { .. }));
    assert!(solo.effects.iter().any(has_stepped_down));
}

/// The promises that wait for the disk were those of a voter.
#[test]
fn what_waits_for_the_disk_is_not_said_any_more() {
    let mut solo = started();
    let step = |solo: &mut Solo, rpc| {
        solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(3), rpc });
    };
    step(&mut solo, append(at(5, 3), &[3], 1));
    step(&mut solo, remembered(3, at(7, 3)));
    assert_eq!(solo.settle(), []);
}

#[test]
fn a_word_that_nobody_can_say_ends_the_connection() {
    for (leader_term, acknowledged) in [(9, at(5, 3)), (4, at(5, 5))] {
        let mut solo = started();
        solo.raft.step(Envelope {
            from: n(2),
            to: n(1),
            term: Term(8),
            rpc: remembered(leader_term, acknowledged),
        });
        let effects = solo.raft.take_effects();
        assert!(matches!(
            effects.as_slice(),
            [Effect::RefusePeer(order)]
                if order.is_response && matches!(order.fault, PeerFault::Remembered { .. })
        ));
        assert_eq!(state(&solo), SOUND);
    }
}

// Whole clusters.

/// A cluster in format 2 in which node 1 leads, all nodes hold all entries, and all know the
/// runs of all.
fn cluster(nodes: u64) -> Cluster {
    let (disks, rules) = (raised_long_ago(nodes), SnapshotRules::NONE);
    let mut cluster = Cluster::started(disks, 1, rules, false, of_both(nodes));
    cluster.elect(n(1));
    cluster.heal();
    for number in 0..5 {
        cluster.propose(n(1), &format!("entry {number}")).unwrap();
        cluster.deliver_all();
    }
    cluster.heartbeat(n(1));
    cluster
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

/// Node 2 loses its last two entries while it is down.
fn lose_two(cluster: &mut Cluster) -> LogPosition {
    cluster.crash(n(2));
    let last = cluster.node(n(2)).disk.durable().log.end();
    cluster.node_mut(n(2)).disk.rewind(LogIndex(last.index.0 - 2));
    last
}

fn count(trace: &[String], part: &str) -> usize {
    trace.iter().filter(|line| line.contains(part)).count()
}

/// The leader to which the entries were acknowledged follows another one now.
#[test]
fn the_old_leader_tells_it() {
    let mut cluster = cluster(5);
    let last = lose_two(&mut cluster);
    cluster.partition(&[n(1)]);
    run(&mut cluster, 4 * ELECTION_TICKS_MAX);
    cluster.heal();
    run(&mut cluster, ELECTION_TICKS_MAX);
    let leader = cluster.leader().unwrap();
    assert!(leader != n(1) && cluster.raft(n(1)).leader_id() == Some(leader));
    cluster.trace = Some(Vec::new());
    cluster.restart(n(2));
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(2)).hard_state().lost, last);
    run(&mut cluster, 4 * ELECTION_TICKS_MAX);
    let trace = cluster.trace.take().unwrap();
    assert!(count(&trace, "n1@3 -> n2 Remembered") == 1, "{trace:#?}");
    assert_eq!(count(&trace, "n2@2 has lost entries that it acknowledged, as peer=1"), 1);
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower, "it has caught up with all");
    assert!(cluster.node(n(2)).disk.durable().contains(last));
}

/// Only a follower that has heard of it is there.
#[test]
fn a_follower_that_knows_it_from_the_leader_tells_it() {
    let mut cluster = cluster(5);
    cluster.share_acknowledgements(n(1));
    let last = lose_two(&mut cluster);
    cluster.crash(n(1));
    cluster.restart(n(2));
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(2)).role(), Role::Rejoining);
    assert_eq!(cluster.raft(n(2)).hard_state().lost, last);
}

/// The leader's own log is remembered as well.
#[test]
fn a_leader_that_starts_again_is_told_by_its_followers() {
    let mut cluster = cluster(5);
    cluster.share_acknowledgements(n(1));
    cluster.crash(n(1));
    let last = cluster.node(n(1)).disk.durable().log.end();
    cluster.node_mut(n(1)).disk.rewind(LogIndex(last.index.0 - 2));
    cluster.restart(n(1));
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(1)).role(), Role::Rejoining);
    assert_eq!(cluster.raft(n(1)).hard_state().lost, last);
}

#[test]
fn a_sound_node_that_starts_again_is_told_and_stays_a_voter() {
    let mut cluster = cluster(5);
    cluster.share_acknowledgements(n(1));
    cluster.trace = Some(Vec::new());
    for id in [n(2), n(1), n(3), n(2)] {
        cluster.crash(id);
        cluster.restart(id);
        assert_ne!(cluster.raft(id).role(), Role::Rejoining);
        run(&mut cluster, 2 * ELECTION_TICKS_MAX);
        let leader = cluster.leader().unwrap();
        cluster.share_acknowledgements(leader);
        cluster.heal();
        cluster.deliver_all();
    }
    let trace = cluster.trace.take().unwrap();
    assert!(count(&trace, "Remembered") > 4, "{trace:#?}");
    assert_eq!(count(&trace, "has lost entries"), 0, "{trace:#?}");
}

/// Node 5 is cut off from node 2 alone when node 2 starts again, and hears from the leader what
/// the new run acknowledges. It knows of the old run only.
#[test]
fn acknowledgements_of_a_run_that_a_follower_has_not_met_do_not_accuse_it() {
    let mut cluster = cluster(5);
    cluster.share_acknowledgements(n(1));
    cluster.crash(n(2));
    for pair in [(n(2), n(5)), (n(5), n(2))] {
        cluster.cuts.insert(pair);
    }
    cluster.restart(n(2));
    run(&mut cluster, 5);
    cluster.propose(n(1), "to the new run").unwrap();
    cluster.deliver_all();
    cluster.share_acknowledgements(n(1));
    cluster.trace = Some(Vec::new());
    cluster.heal();
    cluster.deliver_all();
    let trace = cluster.trace.take().unwrap();
    assert_eq!(count(&trace, "n5@2 -> n2 Remembered"), 1, "{trace:#?}");
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
}

/// Node 5 was away. It tells node 2 when node 2 has caught up with all, itself included.
#[test]
fn a_word_that_comes_after_it_has_caught_up_does_not_send_it_back() {
    let mut cluster = cluster(5);
    cluster.share_acknowledgements(n(1));
    lose_two(&mut cluster);
    let word = |cluster: &mut Cluster, from: NodeId| {
        cluster.restart(n(2));
        let is_word = |m: &Envelope| m.from == from && matches!(m.rpc, Rpc::Remembered(_));
        let place = cluster.network.iter().position(is_word).expect("it tells");
        cluster.network.remove(place)
    };
    let late = word(&mut cluster, n(5));
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(2)).role(), Role::Rejoining);
    run(&mut cluster, 2 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
    cluster.network.push(late);
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
}

/// No server from before format 2 reads the message.
#[test]
fn before_format_2_nobody_is_told() {
    let mut cluster = Cluster::with_formats(&[BOTH, BOTH, OLD], 1);
    cluster.elect(n(1));
    cluster.heal();
    cluster.trace = Some(Vec::new());
    cluster.crash(n(2));
    cluster.restart(n(2));
    cluster.deliver_all();
    assert_eq!(count(&cluster.trace.take().unwrap(), "Remembered"), 0);
}

/// Nodes 1, 2 and 3 have committed an entry that nodes 4 and 5 lack. Then node 1 stops for good,
/// node 3 is paused, and node 2 loses the entry without a trace.
fn lost_by_node_2(is_wiped: bool) -> Cluster {
    let mut cluster = cluster(5);
    cluster.partition(&[n(4), n(5)]);
    let index = cluster.propose(n(1), "kept").unwrap();
    cluster.deliver_all();
    cluster.heartbeat(n(1));
    assert!(cluster.raft(n(1)).commit_index() >= index);
    cluster.share_acknowledgements(n(1));
    cluster.crash(n(2));
    if is_wiped {
        cluster.wipe(n(2));
    } else {
        cluster.node_mut(n(2)).disk.rewind_needed(index.prev());
    }
    cluster.crash(n(1));
    cluster
}

/// Ticks every node but node 3, whose process is stopped: it sends nothing but what it has sent.
fn run_without_node_3(cluster: &mut Cluster) {
    for _ in 0..5 * ELECTION_TICKS_MAX {
        for id in [n(2), n(4), n(5)] {
            cluster.tick(id);
        }
        cluster.deliver_all();
    }
}

#[test]
fn a_node_that_lost_an_entry_makes_no_quorum_with_those_that_never_had_it() {
    for is_wiped in [false, true] {
        let mut cluster = lost_by_node_2(is_wiped);
        // Node 3 has seen node 2 start, and is stopped then.
        cluster.restart(n(2));
        cluster.deliver_all();
        assert_eq!(cluster.raft(n(2)).role(), Role::Rejoining);
        cluster.heal();
        cluster.partition(&[n(3)]);
        run_without_node_3(&mut cluster);
        assert_eq!(cluster.leader(), None, "nodes 2, 4 and 5 do not know the committed entry");
        cluster.heal();
        run(&mut cluster, 5 * ELECTION_TICKS_MAX);
        assert_eq!(cluster.leader(), Some(n(3)), "with node 3 there is a quorum that remembers");
        let kept = command("kept");
        let holds_kept =
            |id| cluster.node(id).disk.durable().log.iter().any(|entry| entry.payload == kept);
        assert!([n(2), n(4), n(5)].into_iter().all(holds_kept));
    }
}

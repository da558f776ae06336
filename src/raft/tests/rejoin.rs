//! The rules of rejoining: a node that may have forgotten its promises is not counted
//! (docs/adr/0005, docs/bugs.md B52).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, n};
use super::disk::Durable;
use super::snapshots::SnapshotRules;
use super::solo::{Solo, append, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{Effect, Envelope, RejoinResponse, RequestVote, Role, Rpc};
use crate::types::{HardState, LogIndex, NodeId, Term};

fn new_cluster(nodes: usize) -> Cluster {
    Cluster::with_past(vec![Durable::new_directory(); nodes], 1)
}

/// Lets some time pass for all nodes that are up, as the actors would.
fn run(cluster: &mut Cluster) {
    for _ in 0..4 * ELECTION_TICKS_MAX {
        for id in cluster.ids() {
            cluster.tick(id);
        }
        cluster.deliver_all();
    }
}

/// A cluster of five in which node 1 leads, and only nodes 1, 2 and 3 hold the committed
/// entry `kept`.
fn committed_by_one_two_and_three() -> Cluster {
    let mut cluster = Cluster::new(5, 1);
    cluster.elect(n(1));
    cluster.partition(&[n(4), n(5)]);
    let index = cluster.propose(n(1), "kept").unwrap();
    cluster.deliver_all();
    assert!(cluster.raft(n(1)).commit_index() >= index);
    cluster.heal();
    cluster
}

/// Node 3 loses its directory and starts again; nodes `down` are down.
fn forget(cluster: &mut Cluster, down: &[NodeId]) {
    for id in down {
        cluster.crash(*id);
    }
    cluster.crash(n(3));
    cluster.wipe(n(3));
    cluster.restart(n(3));
}

fn holds_kept(cluster: &Cluster, id: NodeId) -> bool {
    let kept = super::cluster::command("kept");
    cluster.node(id).disk.durable().log.iter().any(|entry| entry.payload == kept)
}

/// A cluster of nodes with new directories, each of which is told that the cluster is new.
fn cluster_said_to_be_new(nodes: usize) -> Cluster {
    let mut cluster = new_cluster(nodes);
    cluster.is_said_to_be_new = true;
    for id in cluster.ids() {
        cluster.crash(id);
        cluster.restart(id);
    }
    cluster
}

/// docs/adr/0024: a majority of empty nodes may have lost its disks.
#[test]
fn a_new_cluster_elects_as_soon_as_all_its_nodes_have_started() {
    for up in [3, 4, 5] {
        let mut cluster = new_cluster(5);
        for id in up + 1..=5 {
            cluster.crash(n(id));
        }
        run(&mut cluster);
        assert_eq!(cluster.leader().is_some(), up == 5, "{up} of 5 are up");
        assert_eq!(cluster.raft(n(1)).role() == Role::Rejoining, up < 5);
    }
}

/// A term bars all empty nodes from a new cluster. If a node that gave its word for the first one
/// could forget that it is a voter, and did, nobody would ever be elected.
#[test]
fn a_voter_of_a_new_cluster_helps_to_begin_a_term_when_its_disk_knows_that_it_is_one() {
    let mut solo = Solo::rejoining(3);
    for from in [2, 3] {
        let rpc = Rpc::RejoinResponse(RejoinResponse { last: at(0, 0) });
        solo.raft.step(Envelope { from: n(from), to: n(1), term: Term(0), rpc });
    }
    assert_eq!(solo.raft.role(), Role::Follower);
    let writes = solo.raft.take_effects().into_iter().filter_map(|effect| match effect {
        Effect::Append(append) => Some(append.seq),
        _ => None,
    });
    let writes: Vec<_> = writes.collect();
    assert_eq!(writes.len(), 1, "that it is a voter");
    for _ in 0..2 * ELECTION_TICKS_MAX {
        solo.raft.tick();
    }
    let question = Envelope { from: n(2), to: n(1), term: Term(1), rpc: pre_vote(at(0, 0)) };
    solo.raft.step(question);
    assert_eq!(solo.raft.take_effects(), [], "it neither asks nor answers");
    solo.raft.on_persisted(writes[0]);
    let answers: Vec<Rpc> = solo.settle().into_iter().map(|envelope| envelope.rpc).collect();
    assert_eq!(answers, [pre_voted(false)]);
    assert_eq!(solo.ask(2, 1, pre_vote(at(0, 0))).1, pre_voted(true));
    assert!(!solo.tick_until_campaign().is_empty());
}

#[test]
fn a_cluster_that_is_said_to_be_new_elects_as_soon_as_a_majority_has_started() {
    for up in [3, 4, 5] {
        let mut cluster = cluster_said_to_be_new(5);
        for id in up + 1..=5 {
            cluster.crash(n(id));
        }
        run(&mut cluster);
        assert!(cluster.leader().is_some(), "{up} of 5 are up");
    }
}

/// A person may be wrong.
#[test]
fn empty_nodes_that_are_said_to_be_new_found_nothing_beside_one_with_a_past() {
    let mut cluster = committed_by_one_two_and_three();
    cluster.is_said_to_be_new = true;
    for id in cluster.ids() {
        cluster.crash(id);
    }
    for id in [n(1), n(3), n(4), n(5)] {
        cluster.wipe(id);
        cluster.restart(id);
    }
    cluster.restart(n(2));
    run(&mut cluster);
    assert_eq!(cluster.leader(), None);
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);
}

/// The log says once which members an empty node waits for.
#[test]
fn an_empty_node_that_waits_says_so_once() {
    let mut cluster = new_cluster(5);
    cluster.crash(n(4));
    cluster.trace = Some(Vec::new());
    for _ in 0..5 {
        run(&mut cluster);
    }
    let trace = cluster.trace.take().unwrap();
    let told: Vec<&String> = trace.iter().filter(|line| line.contains("has no data")).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    for line in told {
        assert!(line.contains("waits for servers=4 ") && line.contains("--new-cluster"), "{line}");
    }
}

#[test]
fn a_minority_of_a_new_cluster_elects_nobody() {
    let mut cluster = cluster_said_to_be_new(5);
    for id in 3..=5 {
        cluster.crash(n(id));
    }
    run(&mut cluster);
    assert_eq!(cluster.leader(), None);
    assert_eq!(cluster.raft(n(1)).role(), Role::Rejoining);
}

#[test]
fn a_node_alone_in_its_cluster_is_a_voter_at_once() {
    let mut cluster = new_cluster(1);
    run(&mut cluster);
    assert_eq!(cluster.leader(), Some(n(1)));
}

#[test]
fn a_wiped_node_makes_no_quorum_with_those_that_never_had_the_entry() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[n(1), n(2)]);
    run(&mut cluster);
    assert_eq!(cluster.leader(), None, "nodes 3, 4 and 5 do not know the committed entry");
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);

    cluster.restart(n(2));
    run(&mut cluster);
    assert_eq!(cluster.leader(), Some(n(2)), "with node 2 there is a quorum that remembers");
    assert!(cluster.ids().iter().skip(1).all(|id| holds_kept(&cluster, *id)));
}

#[test]
fn a_wiped_node_is_not_counted_for_a_commit() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[n(4), n(5)]);
    let before = cluster.raft(n(1)).commit_index();
    cluster.propose(n(1), "lost?").unwrap();
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(1)).commit_index(), before, "only nodes 1 and 2 are counted");
}

#[test]
fn a_wiped_node_catches_up_and_votes_again_when_it_has_heard_from_all() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[]);
    run(&mut cluster);
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
    assert!(holds_kept(&cluster, n(3)));

    let leader = cluster.leader().unwrap();
    let down: Vec<NodeId> = cluster.ids().into_iter().filter(|id| *id != n(3)).take(2).collect();
    assert!(down.contains(&leader));
    for id in down {
        cluster.crash(id);
    }
    run(&mut cluster);
    assert!(cluster.leader().is_some(), "node 3 is one of three again");
}

#[test]
fn a_wiped_node_waits_for_the_last_member_and_is_served_meanwhile() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[n(5)]);
    run(&mut cluster);
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);
    assert!(holds_kept(&cluster, n(3)));
    cluster.restart(n(5));
    run(&mut cluster);
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
}

#[test]
fn a_node_that_became_a_voter_stays_one_after_a_restart() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[n(5)]);
    run(&mut cluster);
    cluster.crash(n(3));
    cluster.restart(n(3));
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining, "a restart does not make it a voter");
    cluster.restart(n(5));
    run(&mut cluster);
    cluster.crash(n(3));
    cluster.restart(n(3));
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
}

#[test]
fn a_new_voter_gives_no_vote_in_its_current_term() {
    let mut cluster = committed_by_one_two_and_three();
    forget(&mut cluster, &[]);
    run(&mut cluster);
    let HardState { current_term, voted_for, is_rejoining, .. } = cluster.raft(n(3)).hard_state();
    assert!(!is_rejoining);
    assert_eq!(voted_for, Some(n(3)));
    let leader = cluster.leader().unwrap();
    let candidate = cluster.ids().into_iter().find(|id| *id != leader && *id != n(3)).unwrap();
    let rpc = Rpc::RequestVote(RequestVote { last: cluster.raft(candidate).last_log() });
    let envelope = Envelope { from: candidate, to: n(3), term: current_term, rpc };
    cluster.raft_mut(n(3)).step(envelope);
    cluster.settle(n(3));
    let granted =
        |m: &Envelope| matches!(m.rpc, Rpc::RequestVoteResponse(response) if response.vote_granted);
    assert!(!cluster.network.iter().any(granted));
}

#[test]
fn a_node_that_starts_late_is_a_voter_when_it_has_caught_up() {
    let mut cluster = cluster_said_to_be_new(3);
    cluster.crash(n(3));
    run(&mut cluster);
    let leader = cluster.leader().unwrap();
    for number in 0..20 {
        cluster.propose(leader, &format!("entry {number}")).unwrap();
    }
    cluster.deliver_all();
    cluster.restart(n(3));
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);
    run(&mut cluster);
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
    assert!(cluster.raft(n(3)).term() > Term(0));
    cluster.crash(leader);
    run(&mut cluster);
    assert!(cluster.leader().is_some());
}

#[test]
fn a_log_of_equal_length_with_other_entries_has_not_caught_up() {
    let mut solo = Solo::rejoining(3);
    let word = |last| Rpc::RejoinResponse(RejoinResponse { last });
    solo.receive(2, 1, append(at(0, 0), &[1, 1, 1], 0));
    solo.receive(2, 1, word(at(3, 1)));
    solo.receive(3, 2, word(at(3, 2)));
    assert_eq!(solo.raft.role(), Role::Rejoining);
    solo.receive(3, 2, append(at(2, 1), &[2], 0));
    solo.receive(3, 2, word(at(3, 2)));
    assert_eq!(solo.raft.role(), Role::Follower);
}

#[test]
fn a_wiped_node_is_brought_up_by_a_snapshot_and_votes_again() {
    let rules = SnapshotRules { entries_max: 4, ..SnapshotRules::NONE };
    let mut cluster = Cluster::with_snapshots(vec![Durable::new_directory(); 3], 1, rules);
    run(&mut cluster);
    let leader = cluster.leader().unwrap();
    let wiped = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    for number in 0..20 {
        cluster.propose(leader, &format!("entry {number}")).unwrap();
        cluster.deliver_all();
    }
    assert!(cluster.raft(leader).log_base().index.0 > 0);
    cluster.crash(wiped);
    cluster.wipe(wiped);
    cluster.restart(wiped);
    run(&mut cluster);
    assert!(cluster.installed > 0);
    assert_eq!(cluster.node(wiped).applied, cluster.node(leader).applied);
    assert_eq!(cluster.raft(wiped).role(), Role::Follower);
    cluster.crash(leader);
    run(&mut cluster);
    assert!(cluster.leader().is_some(), "it is one of two again");
}

/// A cluster of five in which node 1 leads, and all nodes hold all committed entries, except
/// that nodes 4 and 5 lack `kept`. The logs of `damaged` are damaged so that `kept` and all
/// after it is lost, and these nodes start again.
fn lose_kept(cluster: &mut Cluster, damaged: &[NodeId]) {
    let kept = super::cluster::command("kept");
    for id in damaged {
        let log = cluster.node(*id).disk.log();
        let before = log.iter().find(|entry| entry.payload == kept).unwrap().index.prev();
        cluster.crash(*id);
        cluster.damage(*id, before);
    }
    for id in damaged {
        cluster.restart(*id);
    }
}

#[test]
fn a_damaged_node_makes_no_quorum_with_those_that_never_had_the_entry() {
    let mut cluster = committed_by_one_two_and_three();
    let term = cluster.raft(n(3)).term();
    cluster.crash(n(1));
    cluster.crash(n(2));
    lose_kept(&mut cluster, &[n(3)]);
    assert_eq!(cluster.raft(n(3)).term(), term, "term and vote are kept");
    run(&mut cluster);
    assert_eq!(cluster.leader(), None, "nodes 3, 4 and 5 do not know the committed entry");
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);

    cluster.restart(n(2));
    run(&mut cluster);
    assert_eq!(cluster.leader(), Some(n(2)), "with node 2 there is a quorum that remembers");
    assert!(cluster.ids().iter().skip(1).all(|id| holds_kept(&cluster, *id)));
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining, "it has not heard from node 1");
}

#[test]
fn a_damaged_node_is_not_counted_for_a_commit() {
    let mut cluster = committed_by_one_two_and_three();
    cluster.crash(n(4));
    cluster.crash(n(5));
    lose_kept(&mut cluster, &[n(3)]);
    let before = cluster.raft(n(1)).commit_index();
    cluster.propose(n(1), "lost?").unwrap();
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(1)).commit_index(), before, "only nodes 1 and 2 are counted");
}

#[test]
fn a_damaged_node_catches_up_and_is_one_of_three_again() {
    let mut cluster = committed_by_one_two_and_three();
    lose_kept(&mut cluster, &[n(3)]);
    run(&mut cluster);
    assert_eq!(cluster.raft(n(3)).role(), Role::Follower);
    assert!(holds_kept(&cluster, n(3)));
    let others = cluster.ids().into_iter().filter(|id| *id != n(3)).take(2);
    for id in others.collect::<Vec<_>>() {
        cluster.crash(id);
    }
    run(&mut cluster);
    assert!(cluster.leader().is_some());
}

/// Only nodes 1, 2 and 3 had the entry. All three have lost it, and know that.
#[test]
fn a_majority_does_not_go_on_without_an_entry_that_it_knows_it_lost() {
    let mut cluster = committed_by_one_two_and_three();
    lose_kept(&mut cluster, &[n(1), n(2), n(3)]);
    run(&mut cluster);
    assert_eq!(cluster.leader(), None);
    for id in 1..=3 {
        assert_eq!(cluster.raft(n(id)).role(), Role::Rejoining);
    }
}

/// Nodes 1 and 2 have lost their disks. Only node 3 knows that it once held an entry that no
/// node holds any more.
#[test]
fn a_damaged_node_waits_for_entries_that_it_knows_it_lost() {
    let mut cluster = committed_by_one_two_and_three();
    for id in [n(1), n(2)] {
        cluster.crash(id);
        cluster.wipe(id);
    }
    lose_kept(&mut cluster, &[n(3)]);
    cluster.restart(n(1));
    cluster.restart(n(2));
    run(&mut cluster);
    assert_eq!(cluster.leader(), None);
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);
}

/// Nodes 1 and 2 have lost their entries and know it. Node 3 has lost its disk: it holds as
/// much as any other node, which is nothing.
#[test]
fn a_rejoining_node_waits_for_entries_that_another_reports_as_lost() {
    let mut cluster = Cluster::new(5, 1);
    cluster.partition(&[n(4), n(5)]);
    cluster.elect(n(1));
    assert!(cluster.raft(n(1)).commit_index() > LogIndex(0));
    cluster.heal();
    for id in [n(1), n(2), n(3)] {
        cluster.crash(id);
    }
    for id in [n(1), n(2)] {
        cluster.damage(id, LogIndex(0));
    }
    cluster.wipe(n(3));
    for id in [n(1), n(2), n(3)] {
        cluster.restart(id);
    }
    run(&mut cluster);
    assert_eq!(cluster.leader(), None);
    assert_eq!(cluster.raft(n(3)).role(), Role::Rejoining);
}

/// The entry was never committed, and no other node has it.
#[test]
fn a_lost_entry_need_not_return_when_a_later_leader_did_not_have_it() {
    let mut cluster = committed_by_one_two_and_three();
    cluster.partition(&[n(1)]);
    let index = cluster.propose(n(1), "nobody else's").unwrap();
    let kept = index.prev();
    cluster.crash(n(1));
    cluster.damage(n(1), kept);
    cluster.heal();
    cluster.restart(n(1));
    run(&mut cluster);
    assert_eq!(cluster.raft(n(1)).role(), Role::Follower);
    assert!(cluster.leader().is_some());
}

/// A new node that hears from a damaged one knows that the cluster is not new.
#[test]
fn a_damaged_node_does_not_pass_for_a_new_one() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect(n(1));
    cluster.crash(n(1));
    cluster.crash(n(2));
    cluster.crash(n(3));
    cluster.damage(n(2), LogIndex(0));
    cluster.wipe(n(3));
    cluster.restart(n(2));
    cluster.restart(n(3));
    run(&mut cluster);
    assert!(cluster.raft(n(2)).term() > Term(0));
    assert_eq!(cluster.leader(), None);
    for id in [2, 3] {
        assert_eq!(cluster.raft(n(id)).role(), Role::Rejoining);
    }
}

// Damage before a known end (docs/adr/0019).

impl Cluster {
    /// The log of a node that is down is damaged after `kept`; its end is intact.
    pub(super) fn damage_before_the_end(&mut self, id: NodeId, kept: LogIndex) {
        assert!(!self.is_up(id), "a log is judged when its node starts");
        self.node_mut(id).disk.cut_after(kept, true);
    }
}

/// A cluster of three in which all hold eight entries of clients. Node 1 led and is whole; nodes
/// 2 and 3 were damaged in different places, and their logs' ends are intact.
fn damaged_in_two_places() -> Cluster {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect(n(1));
    for number in 0..8 {
        cluster.propose(n(1), &format!("entry {number}")).unwrap();
        cluster.deliver_all();
    }
    cluster.heartbeat(n(1));
    for id in cluster.ids() {
        cluster.crash(id);
    }
    cluster.damage_before_the_end(n(2), LogIndex(4));
    cluster.damage_before_the_end(n(3), LogIndex(7));
    cluster
}

fn run_for(cluster: &mut Cluster, ticks: u32) {
    for _ in 0..ticks {
        for id in cluster.ids() {
            cluster.tick(id);
        }
        cluster.deliver_all();
    }
}

#[test]
fn two_logs_damaged_in_different_places_are_repaired_by_the_third() {
    let mut cluster = damaged_in_two_places();
    let committed = cluster.node(n(1)).disk.log().to_vec();
    for id in cluster.ids() {
        cluster.restart(id);
    }
    run_for(&mut cluster, 2000);
    assert_eq!(cluster.leader(), Some(n(1)));
    for id in cluster.ids() {
        assert_ne!(cluster.raft(id).role(), Role::Rejoining, "node {id}");
        assert_eq!(cluster.node(id).disk.log()[..committed.len()], committed, "node {id}");
        assert!(cluster.raft(id).commit_index().0 >= committed.len() as u64, "node {id}");
    }
    let index = cluster.propose(n(1), "one more").unwrap();
    cluster.deliver_all();
    assert!(cluster.raft(n(1)).commit_index() >= index);
}

#[test]
fn one_whole_log_and_one_damaged_before_its_end_need_not_wait_for_the_third() {
    for damaged in [n(2), n(3)] {
        let mut cluster = damaged_in_two_places();
        cluster.restart(n(1));
        cluster.restart(damaged);
        run_for(&mut cluster, 1000);
        assert_eq!(cluster.leader(), Some(n(1)));
        assert_eq!(cluster.raft(damaged).role(), Role::Follower);
        let index = cluster.propose(n(1), "one more").unwrap();
        cluster.deliver_all();
        assert!(cluster.raft(n(1)).commit_index() >= index);
    }
}

#[test]
fn damaged_logs_whose_ends_are_not_readable_elect_nobody() {
    let mut cluster = damaged_in_two_places();
    // Each is damaged once more, at the end.
    cluster.damage(n(2), LogIndex(3));
    cluster.damage(n(3), LogIndex(3));
    for id in cluster.ids() {
        cluster.restart(id);
    }
    run_for(&mut cluster, 1000);
    assert_eq!(cluster.leader(), None);
    assert!([2, 3].iter().all(|id| cluster.raft(n(*id)).role() == Role::Rejoining));
}

/// The bytes of a large log take much longer than an election timeout: one message a tick.
#[test]
fn a_leader_that_damaged_nodes_elected_stays_until_they_have_caught_up() {
    let rules = SnapshotRules { entries_max: 40, ..SnapshotRules::NONE };
    for (entries, rules) in [(400, SnapshotRules::NONE), (400, rules)] {
        let mut cluster = Cluster::with_snapshots(vec![Durable::default(); 3], 1, rules);
        cluster.elect(n(1));
        for number in 0..entries {
            cluster.propose(n(1), &format!("entry {number}")).unwrap();
            cluster.deliver_all();
        }
        for id in cluster.ids() {
            cluster.crash(id);
        }
        for id in [n(2), n(3)] {
            let base = cluster.node(id).disk.log().base().index;
            cluster.damage_before_the_end(id, base);
        }
        let term = cluster.node(n(1)).disk.durable().hard_state.current_term;
        for id in cluster.ids() {
            cluster.restart(id);
        }
        for _ in 0..100 * ELECTION_TICKS_MAX {
            for id in cluster.ids() {
                cluster.tick(id);
            }
            // One message with entries a tick, and all messages before it.
            let mut has_entries = false;
            while !has_entries && !cluster.network.is_empty() {
                has_entries = matches!(&cluster.network[0].rpc,
                    Rpc::AppendEntries(request) if !request.entries.is_empty());
                cluster.deliver(0);
            }
        }
        assert_eq!(cluster.leader(), Some(n(1)));
        for id in cluster.ids() {
            let raft = cluster.raft(id);
            let (role, last) = (raft.role(), raft.last_log());
            assert_ne!(role, Role::Rejoining, "node {id}: {last}, {:?}", raft.hard_state());
        }
        let terms = cluster.raft(n(1)).term().0 - term.0;
        assert!(terms <= 2, "{terms} elections");
    }
}

#[test]
fn a_damaged_node_votes_only_for_a_log_that_reaches_as_far_as_its_own_did() {
    let lost = at(9, 2);
    for (last, is_enough) in
        [(at(8, 2), false), (at(20, 1), false), (at(9, 2), true), (at(3, 3), true)]
    {
        let mut solo = Solo::damaged(3, &[1, 1, 2], 4, lost);
        assert_eq!(solo.ask(2, 5, pre_vote(last)).1, pre_voted(is_enough), "{last}");
        assert_eq!(solo.ask(2, 5, request_vote(last)).1, voted(is_enough), "{last}");
        let voted_for = is_enough.then_some(n(2));
        assert_eq!(solo.raft.hard_state().voted_for, voted_for);
        assert!(solo.raft.hard_state().is_rejoining, "a vote makes it no voter");
    }
}

#[test]
fn a_vote_that_a_damaged_node_has_given_stays_given() {
    let lost = at(3, 2);
    let mut solo = Solo::damaged(3, &[1], 4, lost);
    assert_eq!(solo.ask(2, 5, request_vote(lost)).1, voted(true));
    solo.restart();
    assert_eq!(solo.ask(3, 5, request_vote(at(9, 4))).1, voted(false), "of the same term");
    assert_eq!(solo.ask(2, 5, request_vote(lost)).1, voted(true), "the same vote again");
}

#[test]
fn a_damaged_node_does_not_stand_for_election() {
    let mut solo = Solo::damaged(3, &[1, 1], 4, at(9, 2));
    let sent = solo.tick(20 * ELECTION_TICKS_MAX);
    assert!(sent.iter().all(|m| m.rpc == Rpc::RejoinRequest), "{sent:?}");
}

#[test]
fn a_damaged_node_is_a_voter_when_it_has_durably_what_it_lost() {
    let mut solo = Solo::damaged(3, &[1, 1], 4, at(4, 2));
    solo.receive(2, 4, append(at(2, 1), &[2], 0));
    assert_eq!(solo.raft.role(), Role::Rejoining);
    solo.receive(2, 4, append(at(3, 2), &[2], 0));
    assert_eq!(solo.raft.role(), Role::Follower);
    assert_eq!(solo.raft.hard_state().lost, at(0, 0));
    // A later leader never had what it lost, so that was never committed.
    let mut solo = Solo::damaged(3, &[1, 1], 4, at(4, 2));
    solo.receive(2, 4, append(at(2, 1), &[4], 0));
    assert_eq!(solo.raft.role(), Role::Follower);
}

//! Changes of the members under crashes and cuts. The rows are those of the reports about other
//! systems (docs/bugs.md B45 to B53).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, HEARTBEAT_TICKS, command, n};
use super::disk::Durable;
use super::members::{add, add_learner, demote, member, promote, remove, replace};
use super::snapshots::SnapshotRules;
use crate::raft::{ChangeRefusal, Effect, Envelope, MemberOutcome, Role};
use crate::types::{FormatRange, LogIndex, Membership, NodeId};

/// The points at which a change is interrupted: so many messages arrive after it has begun.
const STEPS: usize = 30;

/// Lets time pass until there is a leader, no change is under way, and a write is committed.
fn recover(cluster: &mut Cluster) -> NodeId {
    cluster.pass_until(|cluster| {
        cluster.leader().is_some_and(|leader| {
            let status = cluster.status(leader);
            status.is_committed && status.membership.change.is_none()
        })
    });
    let leader = cluster.leader().unwrap();
    let index = cluster.propose(leader, "on").unwrap();
    cluster.pass_until(|cluster| {
        cluster.leader().is_some_and(|leader| cluster.raft(leader).commit_index() >= index)
    });
    cluster.catch_up();
    // A leader that has removed itself has left by now.
    cluster.pass_until(|cluster| {
        cluster.leader().is_some_and(|leader| cluster.status(leader).membership.is_voter(leader))
    });
    cluster.catch_up();
    cluster.leader().unwrap()
}

fn deliver(cluster: &mut Cluster, messages: usize) {
    for _ in 0..messages {
        if !cluster.deliver_where(|_| true) {
            for id in cluster.ids() {
                cluster.tick(id);
            }
        }
    }
}

/// Every node that is a member knows the same members as the leader.
fn assert_agreement(cluster: &Cluster, leader: NodeId) {
    let membership = cluster.status(leader).membership;
    assert!(!membership.is_joint());
    for id in membership.ids() {
        if cluster.is_up(id) {
            assert_eq!(cluster.status(id).membership, membership, "node {id}");
        }
    }
}

/// reports.md A3: the removed leader crashes before its removal is committed, and may alone have
/// the newest log.
#[test]
fn a_leader_that_removes_itself_and_crashes_at_any_step_leaves_a_cluster_that_works() {
    for (nodes, step) in [2, 3].into_iter().flat_map(|nodes| (0..STEPS).map(move |s| (nodes, s))) {
        let mut cluster = Cluster::with_members(nodes, step as u64);
        cluster.begin(remove(1));
        deliver(&mut cluster, step);
        cluster.crash(n(1));
        cluster.network.clear();
        cluster.pass(2 * ELECTION_TICKS_MAX);
        cluster.restart(n(1));
        let leader = recover(&mut cluster);
        assert_agreement(&cluster, leader);
        let is_removed = cluster.status(leader).membership.is_removed(n(1));
        assert_eq!(cluster.role(1) == Role::Removed, is_removed, "{nodes} nodes, step {step}");
    }
}

/// Lets time pass. A message arrives only if its receiver keeps a connection with its sender.
fn pass_connected(cluster: &mut Cluster, ticks: u32) {
    for _ in 0..ticks {
        for id in cluster.ids() {
            cluster.tick(id);
        }
        while let Some(message) = cluster.network.first() {
            if cluster.node(message.to).peers.wanted.contains(&message.from) {
                cluster.deliver(0);
            } else {
                cluster.network.remove(0);
            }
        }
    }
}

/// The leader, node 1, has removed itself, and all know that this is committed.
fn with_removed_leader(nodes: u64, seed: u64) -> Cluster {
    let mut cluster = Cluster::with_members(nodes, seed);
    cluster.begin(remove(1));
    cluster.deliver_all();
    // A write brings the others the news before the leader's next tick.
    cluster.propose(n(1), "on").unwrap();
    cluster.deliver_all();
    for id in 1..=nodes {
        let committed = cluster.raft(n(id)).committed_membership().unwrap();
        assert!(committed.is_removed(n(1)), "node {id}");
    }
    assert_eq!(cluster.role(1), Role::Leader);
    cluster
}

#[test]
fn a_leader_that_removes_itself_hands_over_within_a_heartbeat() {
    for (nodes, seed) in [2, 3, 5].into_iter().flat_map(|nodes| (0..10).map(move |s| (nodes, s))) {
        let mut cluster = with_removed_leader(nodes, seed);
        let (case, term) = (format!("{nodes} nodes, seed {seed}"), cluster.raft(n(1)).term());
        pass_connected(&mut cluster, HEARTBEAT_TICKS);
        let leader = cluster.leader().expect(&case);
        assert_ne!(leader, n(1), "{case}");
        assert_eq!(cluster.raft(leader).term(), term.next(), "{case}: the first that was asked");
        // The old leader knows where its clients are to go.
        let old = cluster.raft(n(1));
        assert_eq!((old.leader_id(), old.awaits_successor()), (Some(leader), false), "{case}");
        pass_connected(&mut cluster, 4 * HEARTBEAT_TICKS);
        for id in 2..=nodes {
            assert!(
                !cluster.node(n(id)).peers.wanted.contains(&n(1)),
                "{case}: node {id} keeps it"
            );
        }
        assert_eq!(cluster.role(1), Role::Removed);
    }
}

/// Its connections may break before it has handed over.
#[test]
fn a_removed_leader_is_admitted_by_its_followers_while_it_leads_and_not_for_ever() {
    let mut cluster = with_removed_leader(3, 1);
    for id in [2, 3] {
        let news = cluster.gate(n(id)).announced.last().unwrap();
        assert!(news.departing == Some(n(1)) && news.peers[&n(1)].is_some(), "node {id}");
        assert!(!cluster.is_told_that_it_was_removed(n(1), n(id)), "node {id}");
    }
    // Nothing is heard of any leader, and the old one is waited for until its time is over.
    cluster.partition(&[n(1)]);
    cluster.partition(&[n(2)]);
    cluster.pass(2 * ELECTION_TICKS_MAX - 1);
    assert!(cluster.node(n(2)).peers.wanted.contains(&n(1)));
    cluster.pass(1);
    assert_eq!(cluster.node(n(2)).peers.wanted, [n(3)].into());
    assert!(cluster.is_told_that_it_was_removed(n(1), n(2)));
}

/// reports.md A16: each new leader ends what it finds.
#[test]
fn a_change_whose_leader_crashes_at_any_step_is_ended_by_the_next() {
    for step in 0..STEPS {
        let mut cluster = Cluster::with_members(3, step as u64);
        cluster.add_node(4);
        cluster.begin(replace(3, 4));
        deliver(&mut cluster, step);
        cluster.crash(n(1));
        cluster.network.clear();
        let leader = recover(&mut cluster);
        assert_agreement(&cluster, leader);
        let voters = cluster.voters_of(leader.0);
        assert!([vec![1, 2, 3], vec![1, 2, 4]].contains(&voters), "step {step}: {voters:?}");
    }
}

#[test]
fn a_change_during_which_all_start_again_goes_on() {
    for step in 0..STEPS {
        let mut cluster = Cluster::with_members(3, step as u64);
        cluster.add_node(4);
        cluster.begin(replace(1, 4));
        deliver(&mut cluster, step);
        cluster.network.clear();
        for id in cluster.ids() {
            cluster.crash(id);
        }
        for id in cluster.ids() {
            cluster.restart(id);
        }
        let leader = recover(&mut cluster);
        assert_agreement(&cluster, leader);
    }
}

/// The leader of a joint membership, in which 4 and 5 take the places of 2 and 3 one after the
/// other, so that two nodes are in one half only.
fn joint() -> (Cluster, LogIndex) {
    let mut cluster = Cluster::with_members(4, 1);
    let number = cluster.begin(remove(4));
    assert!(cluster.members_of(1).is_joint());
    (cluster, number)
}

/// Dissertation §4.3: a joint membership needs a majority of each half.
#[test]
fn one_half_of_a_joint_membership_commits_nothing_and_elects_nobody() {
    let (mut cluster, number) = joint();
    // Two of the three after the change, and of the four before it.
    cluster.partition(&[n(1), n(2)]);
    cluster.pass(ELECTION_TICKS_MAX / 2);
    assert!(cluster.raft(n(1)).commit_index() < number, "two of four");
    cluster.pass(10 * ELECTION_TICKS_MAX);
    for id in 1..=4 {
        assert_ne!(cluster.role(id), Role::Leader, "node {id}");
    }
    cluster.heal();
    let leader = recover(&mut cluster);
    assert_agreement(&cluster, leader);
}

/// reports.md A5, docs/bugs.md B51. Of three, a majority of the old half has the entries, so that
/// only the new half is in the way.
#[test]
fn a_leader_outside_of_the_new_half_does_not_count_itself() {
    for nodes in [2, 3] {
        let mut cluster = Cluster::with_members(nodes, 1);
        cluster.partition(&[n(nodes)]);
        let number = cluster.begin(remove(1));
        let write = cluster.propose(n(1), "not by both").unwrap();
        cluster.pass(ELECTION_TICKS_MAX / 2);
        assert!(cluster.raft(n(1)).commit_index() < number.min(write), "{nodes} nodes");
    }
}

/// docs/bugs.md B45 (Ongaro, 2015): with changes by single servers each side had a majority of
/// its own. Here each new leader is refused until it has committed in its term.
#[test]
fn two_sides_that_change_members_in_turns_never_have_two_majorities() {
    let mut cluster = Cluster::with_members(4, 1);
    for turn in 0..20 {
        let Some(leader) = cluster.leader() else {
            cluster.heal();
            cluster.pass(1);
            continue;
        };
        let side = if turn % 2 == 0 { [n(1), n(2)] } else { [n(1), n(3)] };
        cluster.partition(&side);
        let victim = 1 + (leader.0 + turn) % 4;
        let _ = cluster.change(leader, remove(victim));
        deliver(&mut cluster, 3);
        cluster.heal();
        cluster.partition(&[leader]);
        cluster.pass(3 * ELECTION_TICKS_MAX);
        if let Some(next) = cluster.leader().filter(|next| *next != leader) {
            let _ = cluster.change(next, remove(1 + (victim % 4)));
            deliver(&mut cluster, 2);
        }
        cluster.heal();
        cluster.pass(ELECTION_TICKS_MAX);
    }
    cluster.heal();
    let leader = recover(&mut cluster);
    assert_agreement(&cluster, leader);
}

/// A leader that has committed nothing in its term, while the one before had begun a change that
/// reached nobody.
fn behind_the_barrier() -> Cluster {
    let mut cluster = Cluster::with_members(4, 1);
    cluster.partition(&[n(1)]);
    cluster.begin(remove(4));
    cluster.network.clear();
    cluster.elect_instead(1, 2);
    cluster.heal();
    cluster.crash(n(2));
    cluster.restart(n(2));
    cluster.elect_silently(n(2));
    cluster
}

#[test]
fn a_new_leader_changes_nothing_before_it_has_committed_in_its_term() {
    let mut cluster = behind_the_barrier();
    assert_eq!(cluster.change(n(2), remove(3)), Err(ChangeRefusal::NothingCommitted));
    let leader = recover(&mut cluster);
    assert_agreement(&cluster, leader);
}

/// The one place that appends memberships does not trust its callers.
#[test]
#[should_panic(expected = "a leader commits an entry of its term before it changes members")]
fn no_membership_is_appended_before_the_leader_has_committed_in_its_term() {
    let mut cluster = behind_the_barrier();
    let membership = cluster.members_of(2);
    cluster.raft_mut(n(2)).append_membership(membership);
}

#[test]
#[should_panic(expected = "the membership before is committed")]
fn no_membership_is_appended_before_the_one_before_is_committed() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.begin(add_learner(4));
    let membership = cluster.members_of(1);
    cluster.raft_mut(n(1)).append_membership(membership);
}

/// docs/bugs.md B48, reports.md A8.
#[test]
fn a_membership_that_was_not_committed_is_taken_back_with_its_connections() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.add_node(4);
    cluster.partition(&[n(1), n(4)]);
    cluster.begin(add_learner(4));
    cluster.deliver_all();
    assert!(cluster.members_of(4).is_learner(n(4)), "it was sent the entry");
    assert!(cluster.node(n(1)).peers.ports.contains(&n(4)));
    cluster.elect_instead(1, 2);
    cluster.propose(n(2), "other").unwrap();
    cluster.pass(3);
    cluster.heal();
    cluster.catch_up();
    for id in 1..=3 {
        assert!(!cluster.members_of(id).is_member(n(4)), "node {id}");
        assert!(!cluster.node(n(id)).peers.ports.contains(&n(4)), "node {id}");
    }
    assert_eq!(cluster.role(4), Role::Learner, "it waits");
    let leader = recover(&mut cluster);
    // The same id is still free, because nobody has committed that it was given.
    assert!(matches!(cluster.change(leader, add(4)), Ok(MemberOutcome::Begun { .. })));
    let leader = recover(&mut cluster);
    assert_eq!(cluster.voters_of(leader.0), [1, 2, 3, 4]);
}

/// reports.md A9: the index of an uncommitted membership is higher than that of the snapshot.
#[test]
fn a_snapshot_takes_the_place_of_a_membership_that_was_not_committed() {
    let rules = SnapshotRules { entries_max: 3, keep_entries: 0, ..SnapshotRules::NONE };
    let mut cluster = Cluster::with_members_and_snapshots(3, 1, rules);
    cluster.partition(&[n(1)]);
    cluster.begin(add(4));
    for number in 0..5 {
        cluster.propose(n(1), &format!("lost {number}")).unwrap();
    }
    cluster.network.clear();
    cluster.elect_instead(1, 2);
    for number in 0..20 {
        cluster.propose(n(2), &format!("kept {number}")).unwrap();
        cluster.pass(1);
    }
    let installed = cluster.installed;
    cluster.heal();
    cluster.pass_until(|cluster| cluster.installed > installed);
    let leader = recover(&mut cluster);
    assert_agreement(&cluster, leader);
    assert!(!cluster.members_of(1).is_member(n(4)));
}

/// reports.md A13: a learner was promoted and does not know it.
#[test]
fn a_learner_that_does_not_know_of_its_promotion_votes() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.add_node(4);
    cluster.add_node(5);
    cluster.change_and_wait(add_learner(4));
    cluster.change_and_wait(add(5));
    cluster.pass(20);
    let number = cluster.begin(promote(4));
    // The learner hears nothing of the joint membership.
    while !cluster.members_of(1).is_joint() {
        cluster.deliver_where(|_| true);
        if cluster.network.is_empty() {
            cluster.tick(n(1));
        }
    }
    cluster.partition(&[n(4)]);
    cluster.pass_until(|cluster| cluster.has_ended(n(1), number));
    assert!(cluster.members_of(4).is_learner(n(4)));
    for id in [1, 2] {
        cluster.crash(n(id));
    }
    cluster.heal();
    let leader = recover(&mut cluster);
    assert_eq!(cluster.voters_of(leader.0), [1, 2, 3, 4, 5]);
}

/// reports.md A1: the server that was removed while it was cut off comes back.
#[test]
fn a_server_that_was_removed_while_it_was_cut_off_moves_nobody_and_is_told() {
    let mut cluster = Cluster::with_members(4, 1);
    cluster.partition(&[n(4)]);
    cluster.change_and_wait(remove(4));
    cluster.pass(20 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.node(n(1)).peers.ports, [n(2), n(3)].into(), "it is not waited for");
    let term = cluster.raft(n(1)).term();
    // Before it is told: its requests move nobody.
    cluster.cuts.clear();
    cluster.pass(20 * ELECTION_TICKS_MAX);
    assert_eq!((cluster.raft(n(1)).term(), cluster.leader()), (term, Some(n(1))));
    assert_ne!(cluster.role(4), Role::Removed);
    cluster.heal();
    assert_eq!(cluster.role(4), Role::Removed);
    let at = cluster.members_of(1).removed[&n(4)];
    assert_eq!(cluster.raft(n(4)).removed_at(), Some(at));
    cluster.network.clear();
    cluster.partition(&[n(4)]);
    for _ in 0..5 * ELECTION_TICKS_MAX {
        cluster.tick(n(4));
    }
    assert!(cluster.network.is_empty(), "it asks nobody any more");
    // Nor does it vote.
    let last = cluster.raft(n(1)).last_log();
    let rpc = crate::raft::Rpc::RequestVote(crate::raft::RequestVote { last });
    let request = Envelope { from: n(2), to: n(4), term: term.next().next().next(), rpc };
    cluster.raft_mut(n(4)).step(request);
    let effects = cluster.raft_mut(n(4)).take_effects();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Append(order)
        if order.hard_state.is_some_and(|state| state.voted_for.is_some()))));
}

/// reports.md A6: nodes that join elect nobody, whatever part of the log they have.
#[test]
fn nodes_without_members_in_their_logs_do_nothing() {
    let mut cluster = Cluster::with_members(1, 1);
    cluster.add_node(2);
    cluster.add_node(3);
    cluster.crash(n(1));
    cluster.pass(20 * ELECTION_TICKS_MAX);
    for id in [2, 3] {
        assert_eq!(cluster.role(id), Role::Learner);
        assert_eq!(cluster.raft(n(id)).term().0, 0);
        assert!(!cluster.raft(n(id)).has_stopped());
    }
}

/// reports.md A11, A12: the newcomer never comes, and two others fail.
#[test]
fn a_newcomer_that_never_comes_costs_nothing() {
    let mut cluster = Cluster::with_members(1, 1);
    let number = cluster.begin(add(2));
    let index = cluster.propose(n(1), "on").unwrap();
    cluster.pass(2);
    assert!(cluster.raft(n(1)).commit_index() >= index);
    let cancel = crate::types::MemberOperation::Cancel { number };
    cluster.change(n(1), cancel).unwrap();
    cluster.pass(2);
    assert_eq!(cluster.members_of(1).ids(), [n(1)].into());
}

/// reports.md A22: all have other addresses, and nobody can write that down before there is a
/// leader.
#[test]
fn the_addresses_of_all_are_written_afterwards() {
    let mut cluster = Cluster::with_members(3, 1);
    let ids = cluster.ids();
    for id in &ids {
        cluster.crash(*id);
        cluster.gate_mut(*id).member = Some(member(id.0 + 10));
    }
    for id in &ids {
        cluster.restart(*id);
    }
    cluster.pass_until(|cluster| {
        cluster.leader().is_some_and(|leader| {
            let membership = cluster.status(leader).membership;
            (1..=3).all(|id| membership.members[&n(id)] == member(id + 10))
        })
    });
    let leader = recover(&mut cluster);
    assert_agreement(&cluster, leader);
    assert!(cluster.status(leader).membership.ended.is_empty(), "nobody asked for it");
}

#[test]
fn addresses_are_written_once_a_second_at_most() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.pass(100);
    for id in [2, 3] {
        cluster.move_node(id, id + 10);
    }
    cluster.pass(50);
    let moved = |cluster: &Cluster| {
        let members = cluster.members_of(1).members;
        (2..=3).filter(|id| members[&n(*id)] == member(id + 10)).count()
    };
    assert_eq!(moved(&cluster), 1);
    cluster.pass(100);
    assert_eq!(moved(&cluster), 2);
}

/// A server of another cluster says nothing about the members of this one.
#[test]
fn the_address_of_a_server_that_does_not_know_the_cluster_is_not_written() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.pass(100);
    let introduction = crate::raft::Introduction {
        member: Some(member(9)),
        cluster_id: None,
        ..crate::testing::introduction()
    };
    cluster.raft_mut(n(1)).on_peer_attached(n(2), Some(introduction));
    cluster.pass(200);
    assert_eq!(cluster.members_of(1).members[&n(2)], member(2));
}

/// The peers' replicators follow the log exactly, whenever their ports come.
#[test]
fn a_peer_whose_ports_come_in_the_middle_of_a_term_is_sent_everything() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.propose(n(1), "before").unwrap();
    let raft = cluster.raft_mut(n(1));
    raft.propose(command("with it")).unwrap();
    raft.on_peer_added(n(3));
    raft.on_peer_added(n(9));
    raft.propose(command("and after")).unwrap();
    let starts = |effects: &[Effect]| {
        effects.iter().filter(|effect| matches!(effect, Effect::StartPeer(_))).count()
    };
    let effects = raft.take_effects();
    assert_eq!(starts(&effects), 1, "9 is no member");
    let place = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).unwrap();
    let replicate = place(|effect| matches!(effect, Effect::Replicate(_)));
    let start = place(|effect| matches!(effect, Effect::StartPeer(_)));
    assert!(replicate < start, "the next order goes on from its end");
    let Effect::StartPeer(order) = &effects[start] else { unreachable!() };
    assert_eq!(order.start.runs.last(), raft.last_log());
    assert_eq!(starts(&raft.take_effects()), 0, "once");
}

/// The members at the end are those that the same changes give on one server.
#[test]
fn a_cluster_is_replaced_as_a_whole() {
    let mut cluster = Cluster::with_members(3, 1);
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        cluster.add_node(new);
        cluster.change_and_wait(replace(old, new));
        cluster.pass_until(|cluster| cluster.role(old) == Role::Removed);
        cluster.remove_node(old);
        recover(&mut cluster);
    }
    for id in 4..=6 {
        assert_eq!(cluster.voters_of(id), [4, 5, 6]);
    }
    cluster.change_and_wait(demote(4));
    recover(&mut cluster);
}

/// docs/adr/0027: a file that lists too many, or others, is only the seed.
#[test]
fn the_seed_is_forgotten_when_the_log_has_members() {
    let mut cluster =
        Cluster::with_formats_and_past(&[FormatRange::OWN; 3], vec![Durable::default(); 3], 1);
    for id in 1..=3 {
        cluster.gate_mut(n(id)).member = Some(member(id));
        cluster.crash(n(id));
    }
    for id in 1..=3 {
        cluster.restart(n(id));
    }
    cluster.elect(n(1));
    cluster.pass(10);
    cluster.change_and_wait(remove(2));
    cluster.pass(10);
    for id in [1, 3] {
        cluster.crash(n(id));
    }
    for id in [1, 3] {
        cluster.restart(n(id));
        assert_eq!(cluster.voters_of(id), [1, 3]);
    }
    let fresh = Membership::seed([1, 2, 3].map(NodeId));
    assert_eq!(cluster.node(n(2)).id, n(2));
    assert_ne!(cluster.members_of(1), fresh);
}

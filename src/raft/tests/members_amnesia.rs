//! Members that have forgotten what they promised, while the members change (docs/adr/0026). What
//! makes it safe is at the top of `rejoin.rs`.

use super::cluster::{Cluster, ELECTION_TICKS_MAX, n};
use super::disk::{Disk, Durable};
use super::members::{add, add_learner, demote, promote, remove, replace};
use crate::raft::{Admitted, Role, Rpc};
use crate::types::{Entry, HardState, LogIndex, NodeId, Term};

/// A node loses its directory, and starts again.
fn forget(cluster: &mut Cluster, id: u64) {
    if cluster.is_up(n(id)) {
        cluster.crash(n(id));
    }
    cluster.wipe(n(id));
    cluster.restart(n(id));
}

fn is_rejoining(cluster: &Cluster, id: u64) -> bool {
    cluster.raft(n(id)).hard_state().is_rejoining
}

/// A cluster that began as 1, 2, 3 and is 3, 4, 5 by now, with node 4 as its leader.
fn moved_on() -> Cluster {
    let mut cluster = Cluster::with_members(3, 1);
    for (old, new) in [(1, 4), (2, 5)] {
        cluster.add_node(new);
        cluster.change_and_wait(replace(old, new));
        cluster.pass_until(|cluster| cluster.role(old) == Role::Removed);
    }
    for id in [1, 2] {
        cluster.crash(n(id));
    }
    if cluster.leader() != Some(n(4)) {
        let before = cluster.leader().unwrap();
        cluster.elect_instead(before.0, 4);
        cluster.catch_up();
    }
    cluster
}

/// The log begins with memberships in which it needs to hear of 1 and 2 only.
#[test]
fn a_voter_that_forgot_is_counted_when_it_has_heard_of_the_voters_of_today() {
    let mut cluster = moved_on();
    cluster.crash(n(5));
    forget(&mut cluster, 3);
    cluster.pass(10 * ELECTION_TICKS_MAX);
    assert!(is_rejoining(&cluster, 3));
    assert_eq!(cluster.leader(), None, "one of three is left that remembers");
    cluster.restart(n(5));
    cluster.pass_until(|cluster| !is_rejoining(cluster, 3) && cluster.leader().is_some());
    assert_eq!(cluster.role(3), Role::Follower);
}

/// The voters of an old membership may be empty by now, for they were removed. What they say must
/// not be enough, however much of the log has come.
#[test]
fn a_voter_that_forgot_takes_no_old_membership_for_that_of_today() {
    for step in 2..40 {
        let mut cluster = moved_on();
        for id in [1, 2] {
            cluster.wipe(n(id));
        }
        forget(&mut cluster, 3);
        for _ in 0..step {
            if !cluster.deliver_where(|_| true) {
                for id in [3, 4, 5] {
                    cluster.tick(n(id));
                }
            }
        }
        if cluster.raft(n(3)).last_log().index == LogIndex(0) || !is_rejoining(&cluster, 3) {
            continue;
        }
        cluster.network.clear();
        cluster.partition(&[n(1), n(2), n(3)]);
        for id in [1, 2] {
            cluster.restart(n(id));
        }
        if step % 2 == 0 {
            cluster.crash(n(3));
            cluster.restart(n(3));
        }
        cluster.pass(10 * ELECTION_TICKS_MAX);
        assert!(is_rejoining(&cluster, 3), "step {step}");
        assert_ne!(cluster.role(3), Role::Leader, "step {step}");
    }
}

/// reports.md A29: the directory is empty, and the log that has come so far has one voter.
#[test]
fn a_replayed_log_of_one_voter_elects_nobody() {
    let mut cluster = Cluster::with_members(1, 1);
    for id in [2, 3] {
        cluster.add_node(id);
        cluster.change_and_wait(add(id));
    }
    cluster.pass(5);
    let log: Vec<Entry> = cluster.node(n(2)).disk.log().iter().cloned().collect();
    let term = log.last().unwrap().term;
    for kept in 1..log.len() {
        let mut alone = Cluster::with_members(1, 1);
        alone.crash(n(1));
        let hard_state =
            HardState { current_term: term, is_rejoining: true, ..HardState::default() };
        let durable = Durable::new(hard_state, log[..kept].to_vec());
        alone.wipe(n(1));
        alone.node_mut(n(1)).disk = Disk::new(durable);
        alone.restart(n(1));
        for _ in 0..10 * ELECTION_TICKS_MAX {
            alone.tick(n(1));
        }
        assert_ne!(alone.role(1), Role::Leader, "{kept} entries");
        assert!(is_rejoining(&alone, 1), "{kept} entries");
    }
}

/// docs/adr/0026: a newcomer beside a dead voter could never hear from all.
#[test]
fn a_learner_is_admitted_beside_a_dead_voter() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.crash(n(3));
    cluster.add_node(4);
    cluster.change_and_wait(add_learner(4));
    cluster.pass_until(|cluster| !is_rejoining(cluster, 4));
    let HardState { current_term, voted_for, .. } = cluster.raft(n(4)).hard_state();
    assert!(current_term > Term(0) && voted_for.is_some(), "it has voted in this term, for all");
    assert_eq!(cluster.role(4), Role::Learner);
    // It starts again without its directory, and once more it has nothing to have forgotten.
    forget(&mut cluster, 4);
    assert!(is_rejoining(&cluster, 4));
    cluster.reconnect(n(1), n(4));
    cluster.pass_until(|cluster| !is_rejoining(cluster, 4));
    cluster.change_and_wait(promote(4));
    assert_eq!(cluster.voters_of(1), [1, 2, 3, 4]);
}

#[test]
fn a_voter_that_was_demoted_has_no_promise_that_counts() {
    let mut cluster = Cluster::with_members(4, 1);
    cluster.change_and_wait(demote(4));
    cluster.catch_up();
    cluster.crash(n(3));
    forget(&mut cluster, 4);
    cluster.reconnect(n(1), n(4));
    cluster.pass_until(|cluster| !is_rejoining(cluster, 4));
    assert_eq!(cluster.role(4), Role::Learner);
}

#[test]
fn a_voter_that_forgot_is_admitted_by_nobody() {
    let mut cluster = Cluster::with_members(4, 1);
    cluster.crash(n(3));
    forget(&mut cluster, 4);
    cluster.reconnect(n(1), n(4));
    for _ in 0..5 * ELECTION_TICKS_MAX {
        cluster.pass(1);
        assert!(!cluster.network.iter().any(|m| matches!(m.rpc, Rpc::Admitted(_))));
    }
    assert!(is_rejoining(&cluster, 4));
    assert_eq!(cluster.role(4), Role::Rejoining);
}

/// The words that a leader can say, and each is wrong in one respect.
#[test]
fn a_late_or_a_wrong_word_admits_nobody() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.add_node(4);
    cluster.change_and_wait(add_learner(4));
    cluster.pass_until(|cluster| !is_rejoining(cluster, 4));
    let index = cluster.status(n(1)).index;
    let before = cluster.gate(n(4)).start_number();
    forget(&mut cluster, 4);
    let boot = cluster.gate(n(4)).start_number();
    assert_ne!(before, boot);
    // It has the entries, and its leader says nothing, since it does not know the new run yet.
    cluster.reconnect(n(1), n(4));
    let say = |cluster: &mut Cluster, from: NodeId, term: Term, boot, membership| {
        let rpc = Rpc::Admitted(Admitted { boot, membership });
        cluster.raft_mut(n(4)).step(crate::raft::Envelope { from, to: n(4), term, rpc });
        cluster.settle(n(4));
        is_rejoining(cluster, 4)
    };
    let term = cluster.raft(n(1)).term();
    assert!(say(&mut cluster, n(1), term, boot, index), "it has not the entry");
    while cluster.raft(n(4)).commit_index() < index {
        if !cluster.deliver_where(|m| !matches!(m.rpc, Rpc::Admitted(_))) {
            cluster.network.clear();
            cluster.tick(n(1));
        }
    }
    assert!(say(&mut cluster, n(1), term, before, index), "it is about a run that is gone");
    assert!(say(&mut cluster, n(2), term, boot, index), "that one does not lead");
    assert!(say(&mut cluster, n(1), Term(term.0 - 1), boot, index), "it is old");
    let beyond = cluster.raft(n(4)).commit_index().next();
    assert!(say(&mut cluster, n(1), term, boot, beyond), "that is not known to be committed");
    assert!(!say(&mut cluster, n(1), term, boot, index));
}

/// reports.md A20, with a voter that came later.
#[test]
fn an_entry_that_a_forgetful_voter_held_is_not_lost() {
    let mut cluster = Cluster::with_members(3, 1);
    for id in [4, 5] {
        cluster.add_node(id);
        cluster.change_and_wait(add(id));
    }
    cluster.catch_up();
    cluster.partition(&[n(4), n(5)]);
    let kept = cluster.propose(n(1), "kept").unwrap();
    cluster.pass(3);
    assert!(cluster.raft(n(1)).commit_index() >= kept);
    cluster.crash(n(1));
    cluster.crash(n(3));
    forget(&mut cluster, 2);
    cluster.heal();
    cluster.pass(20 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.leader(), None, "only node 3 could know");
    cluster.restart(n(3));
    cluster.pass_until(|cluster| cluster.leader().is_some());
    let leader = cluster.leader().unwrap();
    assert!(cluster.node(leader).disk.log().entry(kept).is_some());
    cluster.change_and_wait(remove(1));
}

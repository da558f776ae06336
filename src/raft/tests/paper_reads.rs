//! The rules of linearizable reads without a log entry: dissertation §6.4; §8 of the paper.

use std::collections::VecDeque;

use super::cluster::{Cluster, ELECTION_TICKS_MAX, i, n};
use super::solo::{Solo, append, at};
use crate::raft::{Append, Effect, NotLeader, ReadToken, Replicate, ReplicationReport};
use crate::types::{LogIndex, Payload, Term};

/// The reads that were answered or failed since they were last taken.
fn answers(solo: &mut Solo) -> Vec<(u64, bool)> {
    let sent = solo.settle();
    assert_eq!(sent, [], "a read is confirmed by the replicators");
    let effects = std::mem::take(&mut solo.effects);
    let answer = |effect| match effect {
        Effect::ReadReady { token, .. } => Some((token.0, true)),
        Effect::ReadFailed { token } => Some((token.0, false)),
        _ => None,
    };
    effects.into_iter().filter_map(answer).collect()
}

fn confirm(solo: &mut Solo, peer: u64, match_index: u64, read_seq: u64) {
    let report =
        ReplicationReport { match_index: LogIndex(match_index), read_seq, ..Default::default() };
    let term = solo.raft.term();
    solo.raft.on_replicated(n(peer), term, report);
}

fn read(solo: &mut Solo, token: u64, after: u64) {
    solo.raft.read(ReadToken(token), i(after)).expect("it leads");
}

/// A leader of term 1 whose first two entries are committed.
fn leader(nodes: u64) -> Solo {
    let mut solo = Solo::new(nodes, &[], 0);
    solo.win();
    for peer in 2..=nodes {
        confirm(&mut solo, peer, 2, 0);
    }
    answers(&mut solo);
    solo
}

/// Dissertation §6.4, 1: "If the leader has not yet marked an entry from its current
/// term committed, it waits until it has done so" (docs/bugs.md B37).
#[test]
fn a_read_waits_until_the_leader_has_committed_in_its_term() {
    let mut solo = Solo::new(3, &[1, 1], 1);
    solo.win();
    read(&mut solo, 1, 0);
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 1);
    assert_eq!(answers(&mut solo), [], "a quorum confirms it, but what is committed?");
    confirm(&mut solo, 2, 3, 1);
    assert_eq!(answers(&mut solo), [(1, true)]);
    assert_eq!(solo.applied.len(), 3);
}

/// Dissertation §6.4, 3: "It issues a new round of heartbeats and waits for their
/// acknowledgments from a majority of the cluster."
#[test]
fn a_read_waits_for_a_majority_and_not_for_one_node_less() {
    for nodes in 2..=7 {
        let mut solo = leader(nodes);
        read(&mut solo, 1, 0);
        let needed = nodes / 2; // besides the leader (docs/bugs.md B43)
        for peer in 2..2 + needed {
            assert_eq!(answers(&mut solo), [], "{peer} of {nodes}");
            confirm(&mut solo, peer, 2, 1);
            if peer < 1 + needed {
                confirm(&mut solo, peer, 2, 1); // a duplicate
            }
        }
        assert_eq!(answers(&mut solo), [(1, true)], "of {nodes}");
    }
}

/// The round must have begun after the read arrived (docs/bugs.md B38).
#[test]
fn an_answer_to_an_older_round_does_not_confirm_a_read() {
    let mut solo = leader(3);
    read(&mut solo, 1, 0);
    answers(&mut solo);
    read(&mut solo, 2, 0);
    answers(&mut solo);
    for _ in 0..3 {
        confirm(&mut solo, 2, 2, 1);
        confirm(&mut solo, 3, 2, 1);
    }
    assert_eq!(answers(&mut solo), [(1, true)]);
    confirm(&mut solo, 3, 2, 2);
    assert_eq!(answers(&mut solo), [(2, true)]);
}

/// "To amortize the cost": reads that come while rounds are under way share the next.
#[test]
fn reads_share_rounds_and_a_burst_does_not_flood_the_peers() {
    let mut solo = leader(3);
    let mut rounds = Vec::new();
    for token in 1..=10 {
        read(&mut solo, token, 0);
        for effect in solo.raft.take_effects() {
            if let Effect::Replicate(Replicate { read_seq, .. }) = effect {
                rounds.push(read_seq);
            }
        }
    }
    assert_eq!(rounds, [1, 2], "under way");
    confirm(&mut solo, 2, 2, 1);
    assert_eq!(answers(&mut solo), [(1, true)]);
    confirm(&mut solo, 2, 2, 2);
    assert_eq!(answers(&mut solo), [(2, true)]);
    confirm(&mut solo, 2, 2, 3);
    assert_eq!(answers(&mut solo), (3..=10).map(|token| (token, true)).collect::<Vec<_>>());
}

/// Dissertation §6.4, 4: "The leader waits for its state machine to advance at least
/// as far as the readIndex."
#[test]
fn a_read_comes_after_the_entries_that_it_must_see() {
    let mut solo = leader(3);
    solo.raft.propose(Payload::Noop).expect("it leads");
    let effects = solo.raft.take_effects();
    let write = effects.iter().find_map(|effect| match effect {
        Effect::Append(Append { seq, .. }) => Some(*seq),
        _ => None,
    });
    // The peers commit it, but here it waits for the disk, and the read waits with it.
    confirm(&mut solo, 2, 3, 0);
    confirm(&mut solo, 3, 3, 0);
    assert_eq!(solo.raft.commit_index(), i(3));
    read(&mut solo, 1, 0);
    let _ = solo.raft.take_effects();
    confirm(&mut solo, 2, 3, 1);
    confirm(&mut solo, 3, 3, 1);
    assert_eq!(solo.raft.take_effects(), []);
    solo.raft.on_persisted(write.expect("the entry is written"));
    let effects = solo.raft.take_effects();
    assert!(
        matches!(&effects[..], [Effect::Apply { entries }, Effect::ReadReady { read_index, .. }]
            if entries.len() == 1 && *read_index == i(3)),
        "{effects:?}"
    );
}

/// docs/protocol.md, "Order": a read is after the session's earlier writes and before
/// its later ones, although one message confirms all of them.
#[test]
fn a_read_has_its_place_between_the_writes_of_its_session() {
    let mut solo = leader(3);
    let before = solo.raft.propose(Payload::Noop).expect("it leads");
    read(&mut solo, 1, before.0);
    solo.raft.propose(Payload::Noop).expect("it leads");
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 1);
    assert_eq!(answers(&mut solo), [], "confirmed, but its write is not committed");
    confirm(&mut solo, 2, 4, 1);
    let mut order = Vec::new();
    for effect in solo.raft.take_effects() {
        match effect {
            Effect::Apply { entries } => order.extend(entries.iter().map(|e| e.index.0)),
            Effect::ReadReady { read_index, .. } => order.push(1000 + read_index.0),
            _ => {}
        }
    }
    assert_eq!(order, [3, 1003, 4]);
}

/// A read that waits for its session's own write holds up no read of another session.
#[test]
fn a_read_does_not_wait_for_the_write_of_another_session() {
    let mut solo = leader(3);
    let write = solo.raft.propose(Payload::Noop).expect("it leads");
    read(&mut solo, 1, write.0);
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 1);
    read(&mut solo, 2, 0);
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 2);
    confirm(&mut solo, 3, 2, 2);
    assert_eq!(answers(&mut solo), [(2, true)], "the other session has no write");
    confirm(&mut solo, 2, 3, 2);
    assert_eq!(answers(&mut solo), [(1, true)]);
}

/// A quorum of disks stalls, and heartbeats are answered: the sessions that only read go on
/// as if nothing had happened.
#[test]
fn reads_without_writes_go_on_while_a_quorum_of_disks_stalls() {
    let mut solo = leader(3);
    for token in 1..=50 {
        let write = solo.raft.propose(Payload::Noop).expect("it leads");
        read(&mut solo, 2 * token - 1, write.0);
        read(&mut solo, 2 * token, 0);
        answers(&mut solo);
        confirm(&mut solo, 2, 2, token);
        assert_eq!(answers(&mut solo), [(2 * token, true)]);
    }
    let last = solo.raft.last_log().index.0;
    confirm(&mut solo, 2, last, 50);
    let waiting: Vec<_> = (1..=50).map(|token| (2 * token - 1, true)).collect();
    assert_eq!(answers(&mut solo), waiting, "in the order of what they must see");
    assert_eq!(solo.applied.len() as u64, last);
}

/// The reads of one session are answered in their order, and none sees less than the one
/// before it.
#[test]
fn the_reads_of_a_session_keep_their_order() {
    let mut solo = leader(3);
    let write = solo.raft.propose(Payload::Noop).expect("it leads");
    read(&mut solo, 1, write.0);
    read(&mut solo, 2, write.0);
    answers(&mut solo);
    read(&mut solo, 3, write.0);
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 2);
    assert_eq!(answers(&mut solo), []);
    confirm(&mut solo, 2, 3, 2);
    assert_eq!(answers(&mut solo), [(1, true), (2, true), (3, true)]);
}

/// The second confirmation, by an entry, counts for a read behind one that is confirmed and
/// waits.
#[test]
fn a_committed_entry_confirms_a_read_that_is_not_the_first() {
    let mut solo = leader(3);
    let first = solo.raft.propose(Payload::Noop).expect("it leads");
    read(&mut solo, 1, first.0);
    answers(&mut solo);
    confirm(&mut solo, 2, 2, 1);
    read(&mut solo, 2, 0);
    solo.raft.propose(Payload::Noop).expect("it leads");
    read(&mut solo, 3, 0);
    answers(&mut solo);
    confirm(&mut solo, 2, 3, 1);
    assert_eq!(answers(&mut solo), [(1, true)], "entry 3 was appended before read 2 arrived");
    confirm(&mut solo, 2, 4, 1);
    assert_eq!(answers(&mut solo), [(2, true)], "and entry 4 before read 3");
    confirm(&mut solo, 2, 4, 2);
    assert_eq!(answers(&mut solo), [(3, true)]);
}

/// A later entry of the leader's own that is committed confirms a read without any round: a
/// peer that acknowledges the entry acknowledges the leader.
#[test]
fn a_later_entry_of_the_own_term_confirms_a_read() {
    let mut solo = leader(3);
    read(&mut solo, 1, 0);
    solo.raft.propose(Payload::Noop).expect("it leads");
    answers(&mut solo);
    confirm(&mut solo, 3, 3, 0);
    assert_eq!(answers(&mut solo), [(1, true)]);
}

/// A session's last write may have been truncated while another node led. It will never be
/// applied, so the read waits neither for it nor for the entry in its place.
#[test]
fn a_read_does_not_wait_for_a_write_that_was_truncated() {
    let mut solo = Solo::new(3, &[1], 1);
    solo.win();
    for _ in 0..5 {
        solo.raft.propose(Payload::Noop).expect("it leads");
    }
    let lost = solo.raft.last_log().index;
    solo.settle();
    solo.receive(2, 3, append(at(1, 1), &[3], 0));
    assert_eq!(solo.raft.last_log(), at(2, 3));
    solo.win();
    assert!(solo.raft.last_log().index < lost);
    let last = solo.raft.last_log().index.0;
    confirm(&mut solo, 2, last, 0);
    read(&mut solo, 1, lost.0);
    answers(&mut solo);
    confirm(&mut solo, 2, last, 1);
    assert_eq!(answers(&mut solo), [(1, true)]);

    // A second entry in the log changes nothing.
    read(&mut solo, 2, lost.0);
    let next = solo.raft.propose(Payload::Noop).expect("it leads");
    answers(&mut solo);
    confirm(&mut solo, 2, next.0, 1);
    assert_eq!(answers(&mut solo), [(2, true)]);
}

/// A leader that was deposed answers none of its reads (docs/bugs.md B40).
#[test]
fn reads_fail_with_the_leadership() {
    let mut solo = leader(3);
    read(&mut solo, 1, 0);
    read(&mut solo, 2, 0);
    solo.receive(2, 2, append(at(2, 1), &[2], 3));
    assert_eq!(answers(&mut solo), [(1, false), (2, false)]);
    assert_eq!(
        solo.raft.read(ReadToken(3), i(0)),
        Err(NotLeader { leader_id: Some(n(2)) }),
        "and takes no new ones"
    );

    let mut solo = leader(3);
    read(&mut solo, 1, 0);
    solo.tick(ELECTION_TICKS_MAX + 1);
    assert_eq!(answers(&mut solo), [(1, false)]);
}

/// A quorum of disks stalls while heartbeats are answered. The clients of 100,000 reads behind
/// writes give up: the core keeps none of them.
#[test]
fn reads_that_have_timed_out_are_forgotten() {
    let mut solo = leader(3);
    let write = solo.raft.propose(Payload::Noop).expect("it leads");
    let mut waiting = VecDeque::new();
    for token in 1..=100_000 {
        read(&mut solo, token, write.0);
        waiting.push_back(token);
        if waiting.len() > 100 {
            let oldest = waiting.pop_front().expect("100 wait");
            solo.raft.cancel_read(ReadToken(oldest));
        }
        if token % 1000 == 0 {
            solo.tick(1);
            confirm(&mut solo, 2, 2, token / 1000);
        }
        assert_eq!(solo.raft.waiting_reads(), waiting.len());
    }
    assert_eq!(answers(&mut solo), []);
    confirm(&mut solo, 2, write.0, 100);
    let answered: Vec<u64> = answers(&mut solo).into_iter().map(|(token, _)| token).collect();
    assert_eq!(answered, Vec::from(waiting), "those whose clients wait, and no other");
    assert_eq!(solo.raft.waiting_reads(), 0);
}

/// A read that was cancelled does not fail with the leadership, either.
#[test]
fn a_cancelled_read_has_no_effect() {
    let mut solo = leader(3);
    for token in 1..=3 {
        read(&mut solo, token, 0);
    }
    solo.raft.cancel_read(ReadToken(2));
    solo.receive(2, 2, append(at(2, 1), &[2], 3));
    assert_eq!(answers(&mut solo), [(1, false), (3, false)]);
    solo.raft.cancel_read(ReadToken(3));
    assert_eq!(answers(&mut solo), []);
}

/// Rounds of an earlier leadership confirm nothing in a later one (docs/bugs.md B38).
#[test]
fn a_round_of_an_earlier_leadership_confirms_nothing() {
    let mut solo = leader(3);
    for token in 1..=3 {
        read(&mut solo, token, 0);
        answers(&mut solo);
        confirm(&mut solo, 2, 2, token);
        assert_eq!(answers(&mut solo), [(token, true)]);
    }
    solo.receive(2, 2, append(at(2, 1), &[], 0));
    solo.win();
    let last = solo.raft.last_log().index;
    confirm(&mut solo, 2, last.0, 0);
    read(&mut solo, 4, 0);
    let report = ReplicationReport { match_index: i(2), read_seq: 3, ..Default::default() };
    solo.raft.on_replicated(n(3), Term(1), report);
    assert_eq!(answers(&mut solo), []);
    confirm(&mut solo, 3, last.0, 1);
    assert_eq!(answers(&mut solo), [(4, true)]);
}

/// A node without peers is its own majority.
#[test]
fn a_single_node_reads_without_any_message() {
    let mut solo = Solo::new(1, &[1], 1);
    solo.win();
    solo.settle();
    read(&mut solo, 1, 0);
    assert_eq!(answers(&mut solo), [(1, true)]);
}

/// docs/bugs.md B39 (etcd 3879): every node was down, so no node knows what is committed.
#[test]
fn a_read_after_a_full_restart_sees_everything() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect(n(1));
    for text in ["a", "b", "c"] {
        cluster.propose(n(1), text).expect("it leads");
    }
    cluster.deliver_all();
    for id in cluster.ids() {
        cluster.crash(id);
    }
    for id in cluster.ids() {
        cluster.restart(id);
        assert!(cluster.read(id).is_err());
    }
    cluster.tick_until_campaign(n(2));
    while cluster.read(n(2)).is_err() {
        cluster.deliver(0);
    }
    // The oracle checks that the read sees what it must.
    cluster.deliver_all();
    assert_eq!(cluster.oracle.pending_reads(), 0);
    assert_eq!(cluster.node(n(2)).applied.len(), 6);
}

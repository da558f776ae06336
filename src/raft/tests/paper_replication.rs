//! The rules of replication and commitment: §5.3, §5.4.2, §8, Figure 2.

use super::cluster::{DISK_STALL_TICKS, HEARTBEAT_TICKS, command, i, n, settings_of};
use super::solo::{Solo, append, appended, at, conflict};
use crate::raft::{
    Append, Effect, Envelope, NotLeader, PersistSeq, Raft, Replicate, ReplicationReport, Role, Rpc,
    SnapshotPositions,
};
use crate::types::{Entry, HardState, LogIndex, LogSummary, Membership, NodeId, Payload, Term};

fn report(match_index: u64) -> ReplicationReport {
    ReplicationReport { match_index: LogIndex(match_index), ..Default::default() }
}

/// A leader of term `term + 1` whose log began with `terms`.
fn leader(nodes: u64, terms: &[u64], term: u64) -> Solo {
    let mut solo = Solo::new(nodes, terms, term);
    solo.win();
    solo
}

/// §8: "Raft handles this by having each leader commit a blank no-op entry into the
/// log at the start of its term."
#[test]
fn a_leader_begins_its_term_with_a_no_op() {
    let solo = leader(3, &[1, 2], 2);
    assert_eq!(solo.terms()[..3], [1, 2, 3]);
    assert_eq!(solo.log()[2].payload, Payload::Noop);
}

/// The very first leader writes the members into the log; no later one does.
#[test]
fn the_first_leader_writes_the_membership_into_the_log() {
    let mut solo = leader(3, &[], 0);
    let membership = Membership::seed([n(1), n(2), n(3)]);
    assert_eq!(solo.log()[1].payload, Payload::Membership(membership));
    solo.restart();
    solo.win();
    assert_eq!(solo.terms(), [1, 1, 2]);
}

/// §5.3: "the leader appends the command to its log as a new entry".
#[test]
fn a_proposal_is_the_next_entry_of_the_leaders_log() {
    let mut solo = leader(3, &[1, 1], 1);
    let last = solo.raft.last_log().index;
    assert_eq!(solo.raft.propose(command("a")), Ok(last.next()));
    assert_eq!(solo.raft.propose(command("b")), Ok(last.next().next()));
    solo.settle();
    let entry = solo.log().last().expect("it is there");
    assert_eq!((entry.index, entry.term, &entry.payload), (i(6), Term(2), &command("b")));
}

/// §8: a node that does not lead names the leader.
#[test]
fn a_node_that_does_not_lead_refuses_a_proposal_and_names_the_leader() {
    let mut solo = Solo::new(3, &[], 0);
    assert_eq!(solo.raft.propose(Payload::Noop), Err(NotLeader { leader_id: None }));
    solo.receive(2, 1, append(at(0, 0), &[], 0));
    assert_eq!(solo.raft.propose(Payload::Noop), Err(NotLeader { leader_id: Some(n(2)) }));
    assert!(solo.terms().is_empty());
}

/// The entries of one batch leave together, in one write and one message to each
/// replicator.
#[test]
fn the_proposals_of_one_batch_are_one_write_and_one_message() {
    let mut solo = leader(3, &[], 0);
    solo.effects.clear();
    for text in ["a", "b", "c"] {
        solo.raft.propose(command(text)).expect("it leads");
    }
    let effects = solo.raft.take_effects();
    let (mut writes, mut batches) = (Vec::new(), Vec::new());
    for effect in &effects {
        match effect {
            Effect::Append(Append { entries, .. }) => writes.push(entries.len()),
            Effect::Replicate(Replicate { entries, .. }) => batches.push(entries.len()),
            _ => {}
        }
    }
    assert_eq!((writes, batches), (vec![3], vec![3]));
}

/// Figure 2, AppendEntries 2: "reply false if log doesn't contain an entry at
/// prevLogIndex whose term matches prevLogTerm"; with the hint of §5.3.
#[test]
fn a_request_after_a_place_that_the_log_does_not_have_is_refused_with_a_hint() {
    let terms = [1, 1, 4, 4, 4, 6];
    for (prev, expected) in [
        (at(6, 6), appended(7)),
        (at(7, 6), conflict(7, None)),
        (at(20, 6), conflict(7, None)),
        (at(6, 5), conflict(6, Some(6))),
        (at(5, 6), conflict(3, Some(4))),
        (at(2, 2), conflict(1, Some(1))),
    ] {
        let mut solo = Solo::new(3, &terms, 7);
        let (term, answer) = solo.ask(2, 7, append(prev, &[7], 0));
        assert_eq!((term, answer), (7, expected), "prev {prev}");
        let is_refused = prev != at(6, 6);
        assert_eq!(solo.terms() == terms, is_refused, "prev {prev}");
    }
}

/// Figure 2, AppendEntries 3 and 4: "If an existing entry conflicts with a new one,
/// delete the existing entry and all that follow it. Append any new entries not
/// already in the log." An entry that does not conflict stays (docs/bugs.md B24).
#[test]
fn a_follower_drops_conflicting_entries_and_keeps_the_others() {
    for (prev, new, expected) in [
        (at(2, 1), &[][..], &[1, 1, 2, 2][..]),
        (at(2, 1), &[2], &[1, 1, 2, 2]),
        (at(2, 1), &[2, 2, 3], &[1, 1, 2, 2, 3]),
        (at(2, 1), &[3], &[1, 1, 3]),
        (at(3, 2), &[3, 3], &[1, 1, 2, 3, 3]),
        (at(0, 0), &[1], &[1, 1, 2, 2]),
        (at(0, 0), &[3], &[3]),
        (at(4, 2), &[3], &[1, 1, 2, 2, 3]),
    ] {
        let mut solo = Solo::new(3, &[1, 1, 2, 2], 3);
        let verified = prev.index.0 + new.len() as u64;
        let answer = solo.ask(2, 3, append(prev, new, 0));
        assert_eq!(answer, (3, appended(verified)), "{new:?} after {prev}");
        assert_eq!(solo.terms(), expected, "{new:?} after {prev}");
        // §5.5: "Raft RPCs are idempotent".
        assert_eq!(solo.ask(2, 3, append(prev, new, 0)), answer);
        assert_eq!(solo.terms(), expected);
    }
}

/// Figure 2, AppendEntries 5: "set commitIndex = min(leaderCommit, index of last new
/// entry)": of the *request*, not of the log (docs/bugs.md B23); it never falls.
#[test]
fn a_follower_commits_what_the_request_vouches_for_and_no_more() {
    let mut solo = Solo::new(3, &[1, 1, 1, 1], 2);
    solo.receive(2, 2, append(at(1, 1), &[1], 9));
    assert_eq!(solo.raft.commit_index(), i(2));
    solo.receive(2, 2, append(at(0, 0), &[], 9));
    assert_eq!(solo.raft.commit_index(), i(2), "a late request");
    solo.receive(2, 2, append(at(2, 1), &[], 1));
    assert_eq!(solo.raft.commit_index(), i(2), "a late commit index");
    solo.receive(2, 2, append(at(2, 1), &[2], 3));
    assert_eq!((solo.raft.commit_index(), solo.applied.len()), (i(3), 3));
    // A request that fails the check commits nothing.
    solo.receive(2, 2, append(at(5, 2), &[], 5));
    assert_eq!(solo.raft.commit_index(), i(3));
}

/// §5.3, §5.4.2: "a majority of matchIndex[i] >= N, and log[N].term == currentTerm".
/// The order in which the reports come does not matter (docs/bugs.md B19).
#[test]
fn a_leader_commits_what_a_majority_has_in_any_order_of_reports() {
    for (nodes, reports) in [
        (3, &[(2, 5)][..]),
        (5, &[(2, 9), (3, 4), (4, 7), (5, 3)]),
        (5, &[(5, 2), (4, 6), (3, 6), (2, 6)]),
        (4, &[(2, 8), (3, 3), (4, 6)]),
        (7, &[(2, 1), (3, 9), (4, 8), (5, 2), (6, 7), (7, 3)]),
    ] {
        let mut orders = vec![reports.to_vec()];
        for turn in 1..reports.len() {
            let mut order = reports.to_vec();
            order.rotate_left(turn);
            orders.push(order.clone());
            order.reverse();
            orders.push(order);
        }
        for order in orders {
            let mut solo = leader(nodes, &[], 0);
            for _ in 3..=9 {
                solo.raft.propose(Payload::Noop).expect("it leads");
            }
            solo.settle();
            let mut known = vec![0; nodes as usize];
            known[0] = 9; // its own disk
            for (peer, match_index) in order {
                solo.raft.on_replicated(n(peer), Term(1), report(match_index));
                solo.raft.on_replicated(n(peer), Term(1), report(match_index / 2)); // late
                known[peer as usize - 1] = match_index;
                let mut sorted = known.clone();
                sorted.sort_unstable();
                let majority = sorted[(nodes as usize - 1) / 2];
                assert_eq!(solo.raft.commit_index(), i(majority), "{known:?}");
            }
        }
    }
}

/// §5.4.2: "only log entries from the leader's current term are committed by
/// counting replicas" (docs/bugs.md B18).
#[test]
fn entries_of_older_terms_are_committed_only_by_one_of_the_own_term() {
    let mut solo = leader(3, &[1, 2, 2], 3);
    for match_index in 1..=3 {
        for peer in [2, 3] {
            solo.raft.on_replicated(n(peer), Term(4), report(match_index));
            assert_eq!(solo.raft.commit_index(), i(0), "all have {match_index}");
        }
    }
    solo.raft.on_replicated(n(2), Term(4), report(4));
    solo.settle();
    assert_eq!((solo.raft.commit_index(), solo.applied.len()), (i(4), 4));
}

/// §5.3: "all of its followers' logs": the leader's own is one of them, as far as
/// its disk has it (docs/bugs.md B21).
#[test]
fn a_leader_counts_itself_when_its_disk_has_the_entry() {
    let mut solo = leader(3, &[], 0);
    let index = solo.raft.propose(Payload::Noop).expect("it leads");
    let effects = solo.raft.take_effects();
    solo.raft.on_replicated(n(2), Term(1), report(index.0));
    assert_eq!(solo.raft.commit_index(), i(2), "what both disks have");
    let seq = effects.iter().find_map(|effect| match effect {
        Effect::Append(Append { seq, .. }) => Some(*seq),
        _ => None,
    });
    solo.raft.on_persisted(seq.expect("the entry is written"));
    assert_eq!(solo.raft.commit_index(), index);
}

/// An entry that the two followers have and the leader's own disk has not is committed, but
/// not applied here: the store is only given entries that are durable on this very node.
#[test]
fn nothing_is_applied_that_this_nodes_disk_could_forget() {
    let mut solo = leader(3, &[], 0);
    solo.raft.on_replicated(n(2), Term(1), report(2));
    solo.settle();
    let index = solo.raft.propose(Payload::Noop).expect("it leads");
    let _ = solo.raft.take_effects();
    solo.raft.on_replicated(n(2), Term(1), report(index.0));
    solo.raft.on_replicated(n(3), Term(1), report(index.0));
    let applies = |effects: Vec<Effect>| {
        effects.into_iter().filter(|effect| matches!(effect, Effect::Apply { .. })).count()
    };
    assert_eq!(solo.raft.commit_index(), index);
    assert_eq!(applies(solo.raft.take_effects()), 0);
}

/// Reports of another term, of a node that is no peer, or without news change nothing
/// (docs/bugs.md B05).
#[test]
fn a_report_of_another_leadership_does_not_count() {
    let mut solo = leader(3, &[1], 1);
    solo.raft.on_replicated(n(2), Term(1), report(2));
    solo.raft.on_replicated(n(9), Term(2), report(2));
    assert_eq!(solo.raft.commit_index(), i(0));
    assert_eq!(solo.raft.role(), Role::Leader);
}

/// Figure 2: "updated on stable storage before responding to RPCs". The node's disk
/// answers only when the test says so.
#[test]
fn nothing_is_promised_before_it_is_durable() {
    let mut raft = Raft::new(
        settings_of(1, 3, 1),
        HardState::default(),
        LogSummary::default(),
        SnapshotPositions::default(),
    );
    let send = |raft: &mut Raft, from: u64, term: u64, rpc: Rpc| {
        raft.step(Envelope { from: NodeId(from), to: n(1), term: Term(term), rpc });
        raft.take_effects().into_iter().filter(|e| matches!(e, Effect::Send(_))).count()
    };
    assert_eq!(send(&mut raft, 2, 1, append(at(0, 0), &[1], 0)), 0, "term and entry");
    assert_eq!(send(&mut raft, 2, 1, append(at(1, 1), &[1], 0)), 0, "another entry");
    assert_eq!(send(&mut raft, 2, 1, append(at(5, 1), &[], 0)), 0, "a conflict speaks of the term");
    raft.on_persisted(PersistSeq(1));
    let sent = raft.take_effects();
    let rpcs: Vec<_> = sent
        .iter()
        .filter_map(|e| match e {
            Effect::Send(envelope) => Some(&envelope.rpc),
            _ => None,
        })
        .collect();
    assert_eq!(rpcs, [&appended(1)], "the first write covers the first request");
    raft.on_persisted(PersistSeq(2));
    assert_eq!(raft.take_effects().len(), 2);
}

/// docs/bugs.md B22: a request without new entries is answered at once, with the durable end
/// of the log.
#[test]
fn a_heartbeat_is_answered_at_once_with_what_the_disk_has() {
    let mut solo = Solo::new(3, &[1, 1], 1);
    solo.receive(2, 1, append(at(2, 1), &[], 0));
    solo.raft.step(Envelope {
        from: n(2),
        to: n(1),
        term: Term(1),
        rpc: append(at(2, 1), &[1, 1], 0),
    });
    let _ = solo.raft.take_effects(); // its disk is silent from here on
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(1), rpc: append(at(4, 1), &[], 0) });
    let effects = solo.raft.take_effects();
    let [Effect::Send(answer)] = &effects[..] else { panic!("one answer: {effects:?}") };
    assert_eq!(answer.rpc, appended(2));
}

/// The entries came from the leader before, and are on their way to the disk. The new leader
/// learns of them when they are durable, and not with the next heartbeat only.
#[test]
fn a_new_leader_hears_of_known_entries_as_soon_as_they_are_durable() {
    let mut solo = Solo::new(3, &[1], 1);
    let step = |raft: &mut Raft, from: u64, term: u64, rpc: Rpc| {
        raft.step(Envelope { from: NodeId(from), to: n(1), term: Term(term), rpc });
        sent(raft)
    };
    step(&mut solo.raft, 2, 1, append(at(1, 1), &[1, 1], 0)); // write 1
    assert_eq!(step(&mut solo.raft, 3, 2, append(at(3, 1), &[], 0)), [], "term 2: write 2");
    solo.raft.on_persisted(PersistSeq(1));
    assert_eq!(sent(&mut solo.raft), []);
    solo.raft.on_persisted(PersistSeq(2));
    assert_eq!(sent(&mut solo.raft), [appended(3)]);
}

/// The leader hears at once that the peer lives. However many heartbeats come while the disk
/// does not answer, there is one answer more when it does.
#[test]
fn a_disk_that_catches_up_is_reported_once_however_many_heartbeats_came() {
    let mut solo = Solo::new(3, &[1], 1);
    let step = |raft: &mut Raft, rpc: Rpc| {
        raft.step(Envelope { from: n(2), to: n(1), term: Term(1), rpc });
        sent(raft)
    };
    assert_eq!(step(&mut solo.raft, append(at(1, 1), &[1, 1], 0)), []);
    for _ in 0..10 {
        assert_eq!(step(&mut solo.raft, append(at(3, 1), &[], 0)), [appended(1)]);
    }
    solo.raft.on_persisted(PersistSeq(1));
    assert_eq!(sent(&mut solo.raft), [appended(3)]);
    assert_eq!(step(&mut solo.raft, append(at(3, 1), &[], 0)), [appended(3)]);
}

/// The messages that the core sends now.
fn sent(raft: &mut Raft) -> Vec<Rpc> {
    let effects = raft.take_effects().into_iter();
    let rpc = |effect| if let Effect::Send(envelope) = effect { Some(envelope.rpc) } else { None };
    effects.filter_map(rpc).collect()
}

/// docs/bugs.md B20: an acknowledgement to the leader of an older term is overtaken.
#[test]
fn a_promise_of_an_older_term_is_dropped_when_its_write_completes() {
    let mut solo = Solo::new(3, &[1], 1);
    let step = |raft: &mut Raft, from: u64, term: u64, rpc: Rpc| {
        raft.step(Envelope { from: NodeId(from), to: n(1), term: Term(term), rpc });
        raft.take_effects()
    };
    step(&mut solo.raft, 2, 1, append(at(1, 1), &[1, 1], 0));
    step(&mut solo.raft, 3, 2, append(at(1, 1), &[2], 0));
    solo.raft.on_persisted(PersistSeq(1));
    assert_eq!(solo.raft.take_effects(), []);
    assert_eq!(solo.raft.persisted_index(), i(1), "2@1 is durable, and is not in the log");
    solo.raft.on_persisted(PersistSeq(2));
    let effects = solo.raft.take_effects();
    let [Effect::Send(answer)] = &effects[..] else { panic!("one answer: {effects:?}") };
    assert_eq!((answer.to, answer.term, &answer.rpc), (n(3), Term(2), &appended(2)));
}

/// docs/bugs.md B48: a membership is in force as soon as it is in the log, and only
/// while it is there (dissertation §4.1).
#[test]
fn a_membership_that_is_truncated_is_no_longer_in_force() {
    let mut solo = Solo::new(3, &[1], 1);
    let voters = Membership::seed([n(1), n(2), n(3), n(4)]);
    let Rpc::AppendEntries(mut request) = append(at(1, 1), &[1], 0) else { unreachable!() };
    request.entries =
        vec![Entry { payload: Payload::Membership(voters), ..request.entries.remove(0) }];
    solo.receive(2, 1, Rpc::AppendEntries(request));
    assert!(solo.raft.members_status().membership.is_member(n(4)));
    solo.receive(3, 2, append(at(1, 1), &[2], 0));
    assert!(!solo.raft.members_status().membership.is_member(n(4)), "it is none any more");
}

/// Figure 3, Election Safety and Leader Completeness: a node that sees one of them
/// broken stops, instead of spreading the damage.
#[test]
#[should_panic(expected = "node 2 leads term 1, and so does this one")]
fn a_second_leader_of_the_same_term_stops_the_node() {
    leader(3, &[], 0).receive(2, 1, append(at(0, 0), &[], 0));
}

/// A node that would have to drop a committed entry stops as well.
#[test]
#[should_panic(expected = "conflicts with a committed one")]
fn a_leader_that_replaces_a_committed_entry_stops_the_node() {
    let mut solo = Solo::new(3, &[1, 1], 1);
    solo.receive(2, 1, append(at(2, 1), &[], 2));
    solo.receive(3, 2, append(at(1, 1), &[2], 0));
}

/// docs/bugs.md B17 (hashicorp/raft 503): a leader with a dead disk must not stay, and
/// must not start an election again; an idle leader waits for no disk.
#[test]
fn a_leader_whose_disk_is_silent_steps_down_and_an_idle_one_does_not() {
    let tick_heard = |solo: &mut Solo, ticks: u32| {
        for _ in 0..ticks {
            solo.raft.on_replicated(n(2), Term(1), report(0));
            solo.raft.tick();
        }
    };
    let mut solo = leader(3, &[], 0);
    tick_heard(&mut solo, 5 * DISK_STALL_TICKS);
    assert_eq!(solo.raft.role(), Role::Leader, "nothing is to be written");

    solo.raft.propose(Payload::Noop).expect("it leads");
    let _ = solo.raft.take_effects();
    tick_heard(&mut solo, DISK_STALL_TICKS);
    assert_eq!(solo.raft.role(), Role::Leader);
    tick_heard(&mut solo, 1);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Follower, Term(1)));
    tick_heard(&mut solo, 50 * HEARTBEAT_TICKS);
    assert_eq!(solo.raft.role(), Role::Follower);
}

//! Leadership transfer (dissertation §3.10, docs/adr/0028): each rule, by trying to break it.

use core::time::Duration;

use super::clocks::{PROMISE, TICK};
use super::cluster::{Cluster, ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, HEARTBEAT_TICKS, i, n};
use super::gates::{of_all, of_both, raised_to};
use super::snapshots::SnapshotRules;
use super::solo::{Solo, append, at, pre_vote, pre_voted, voted};
use crate::raft::{
    Effect, Envelope, NotLeader, RequestVote, Role, Rpc, TimeoutNow, Transfer, TransferFailure,
    TransferRefusal,
};
use crate::types::{Format, LogPosition, NodeId, Term, TransferTarget};

const THREE: Format = Format(3);

/// A cluster in format 3, with leases if they are wanted, that node 1 leads.
fn cluster(nodes: u64, has_leases: bool) -> Cluster {
    let (disks, rules) = (raised_to(THREE, nodes), SnapshotRules::NONE);
    let mut cluster = Cluster::started(disks, 1, rules, has_leases, of_all(nodes));
    cluster.now += 10 * PROMISE;
    cluster.elect(n(1));
    catch_up(&mut cluster);
    cluster
}

/// Lets time pass for all nodes, by their clocks as well, while messages arrive at once.
fn pass(cluster: &mut Cluster, ticks: u32) {
    for _ in 0..ticks {
        cluster.now += TICK;
        cluster.pass(1);
    }
}

fn catch_up(cluster: &mut Cluster) {
    pass(cluster, 2 * HEARTBEAT_TICKS);
}

fn ask(cluster: &mut Cluster, of: u64, target: TransferTarget) -> Result<u64, TransferRefusal> {
    cluster.update_clock(n(of));
    let outcome = cluster.raft_mut(n(of)).request_transfer(&target);
    cluster.settle(n(of));
    outcome.map(|transfer| match transfer {
        Transfer::Begun { to } => to.0,
        Transfer::Already => of,
    })
}

fn to(id: u64) -> TransferTarget {
    TransferTarget::To(n(id))
}

fn avoiding(ids: &[u64]) -> TransferTarget {
    TransferTarget::Avoid(ids.iter().copied().map(NodeId).collect())
}

fn refusal(cluster: &mut Cluster, of: u64, target: TransferTarget) -> String {
    match ask(cluster, of, target) {
        Err(TransferRefusal::Refused(reason)) => reason,
        other => panic!("it is not refused: {other:?}"),
    }
}

fn is_order(envelope: &Envelope) -> bool {
    matches!(envelope.rpc, Rpc::TimeoutNow(_))
}

fn orders(cluster: &Cluster) -> Vec<NodeId> {
    cluster.network.iter().filter(|envelope| is_order(envelope)).map(|order| order.to).collect()
}

/// The terms of the nodes, if they are all the same.
fn term(cluster: &Cluster) -> Term {
    let terms: Vec<Term> = cluster.ids().into_iter().map(|id| cluster.raft(id).term()).collect();
    assert!(terms.iter().all(|term| *term == terms[0]), "{terms:?}");
    terms[0]
}

#[test]
fn the_target_leads_the_next_term_without_an_election_timeout() {
    for has_leases in [false, true] {
        let mut cluster = cluster(5, has_leases);
        let before = term(&cluster);
        assert_eq!(ask(&mut cluster, 1, to(4)), Ok(4));
        cluster.deliver_all();
        assert_eq!(cluster.leader(), Some(n(4)), "without a tick, leases: {has_leases}");
        assert_eq!(term(&cluster), before.next());
        assert!(!cluster.raft(n(1)).awaits_successor(), "it has heard the new leader");
    }
}

#[test]
fn a_leader_that_is_asked_to_hand_over_to_itself_has_nothing_to_do() {
    let mut cluster = cluster(3, false);
    assert_eq!(cluster.raft_mut(n(1)).request_transfer(&to(1)), Ok(Transfer::Already));
    assert!(!cluster.raft(n(1)).is_transferring());
}

#[test]
fn a_follower_says_who_leads() {
    let mut cluster = cluster(3, false);
    let leader_id = Some(n(1));
    let refusal = TransferRefusal::NotLeader(NotLeader { leader_id });
    assert_eq!(ask(&mut cluster, 2, to(3)), Err(refusal));
}

/// reports.md B1: the lag is known before anything is frozen.
#[test]
fn a_target_that_lags_is_refused_at_once_and_nothing_waits() {
    let mut cluster = cluster(3, false);
    cluster.partition(&[n(3)]);
    for number in 0..1_200 {
        cluster.propose(n(1), &format!("x{number}")).expect("it leads");
    }
    cluster.network.retain(|envelope| envelope.to != n(3));
    cluster.deliver_all();
    let reason = refusal(&mut cluster, 1, to(3));
    assert_eq!(reason, "3 is 1,200 entries (0 s) behind");
    assert!(!cluster.raft(n(1)).is_transferring());
    cluster.propose(n(1), "y").expect("nothing is frozen");
    assert_eq!(ask(&mut cluster, 1, avoiding(&[])), Ok(2), "the choice of the leader is in step");
}

/// A target that lacks a few entries gets them first: the order goes out when it holds them, and
/// when all of them are applied.
#[test]
fn the_order_goes_out_when_everything_is_replicated_committed_and_applied() {
    let mut cluster = cluster(5, false);
    cluster.node_mut(n(1)).slow.store = true;
    let index = cluster.propose(n(1), "x").expect("it leads");
    cluster.network.retain(|envelope| envelope.to != n(2));
    assert_eq!(ask(&mut cluster, 1, to(2)), Ok(2));
    assert_eq!(orders(&cluster), [], "nothing has arrived");
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(1)).commit_index(), index, "by the others");
    assert_eq!(orders(&cluster), []);
    // The heartbeat shows what is missing.
    for _ in 0..2 * HEARTBEAT_TICKS {
        cluster.tick(n(1));
        cluster.deliver_all();
    }
    assert_eq!(cluster.node(n(2)).disk.log().end().index, index);
    assert_eq!(orders(&cluster), [], "its store has not applied it");
    while cluster.answer(n(1)) {}
    assert_eq!(orders(&cluster), [n(2)]);
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(2)));
}

/// reports.md B2: a proposal between the freeze and the order would make the target's log too
/// short to be elected.
#[test]
fn a_leader_that_hands_over_appends_nothing() {
    let mut cluster = cluster(3, false);
    assert_eq!(ask(&mut cluster, 1, to(2)), Ok(2));
    let last = cluster.raft(n(1)).last_log();
    assert_eq!(cluster.propose(n(1), "x"), Err(NotLeader { leader_id: None }));
    assert!(cluster.raft_mut(n(1)).request_raise().is_ok(), "the highest format is in force");
    for _ in 0..ELECTION_TICKS_MIN - 1 {
        cluster.tick(n(1));
    }
    assert!(cluster.raft(n(1)).is_transferring());
    assert_eq!(cluster.raft(n(1)).last_log(), last);
}

#[test]
fn a_raise_waits_for_the_end_of_a_transfer() {
    let mut cluster = cluster(3, false);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    let waits = cluster.raft(n(1)).status().cluster.raise_waits_for;
    assert_eq!(waits, None, "there is no higher format");
    assert_eq!(cluster.raft(n(1)).role(), Role::Leader);
}

/// The reads of a frozen leader ask a quorum, at once, and are not held up.
#[test]
fn reads_go_on_by_rounds_while_writes_wait() {
    let mut cluster = cluster(3, true);
    assert!(cluster.raft(n(1)).holds_lease());
    cluster.node_mut(n(1)).slow.store = true;
    cluster.propose(n(1), "x").expect("it leads");
    cluster.deliver_all();
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    assert!(!cluster.raft(n(1)).holds_lease());
    cluster.read_only_unsettled(n(1)).expect("it leads");
    cluster.settle(n(1));
    let asked = cluster.network.iter().filter(|m| matches!(m.rpc, Rpc::AppendEntries(_))).count();
    assert_eq!(asked, 2, "the round has begun without a tick");
    assert_eq!(cluster.oracle.pending_reads(), 1);
    cluster.deliver_all();
    assert_eq!(cluster.oracle.pending_reads(), 0);
}

/// reports.md B4, in the same term: the order comes after the transfer has come to nothing. The
/// leader has written on, so the target cannot be elected, and does not try.
#[test]
fn an_order_that_is_late_in_its_term_is_refused_by_a_target_whose_log_has_grown() {
    let mut cluster = cluster(3, false);
    let before = term(&cluster);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    let place = cluster.network.iter().position(is_order).expect("the order is under way");
    let late = cluster.network.remove(place);
    pass(&mut cluster, ELECTION_TICKS_MIN);
    assert!(!cluster.raft(n(1)).is_transferring(), "its time is over");
    cluster.propose(n(1), "on it goes").expect("it leads, and goes on");
    cluster.deliver_all();
    cluster.network.push(late);
    cluster.deliver_all();
    pass(&mut cluster, 1);
    assert_eq!((cluster.leader(), term(&cluster)), (Some(n(1)), before));
}

/// reports.md B4: transfer, time-out, transfer elsewhere, and then the first order arrives.
#[test]
fn an_order_of_an_earlier_term_is_dropped() {
    let mut cluster = cluster(5, false);
    let before = term(&cluster);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    let place = cluster.network.iter().position(is_order).expect("the order is under way");
    let late = cluster.network.remove(place);
    pass(&mut cluster, ELECTION_TICKS_MIN);
    ask(&mut cluster, 1, to(3)).expect("it can take over");
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(3)));
    cluster.network.push(late);
    cluster.deliver_all();
    pass(&mut cluster, 2 * ELECTION_TICKS_MAX);
    assert_eq!((cluster.leader(), term(&cluster)), (Some(n(3)), before.next()), "one term more");
}

/// The order is late, and elects its target after all, while the leader is cut off and does not
/// know. A lease that it believed in would give a stale read.
#[test]
fn a_late_order_after_a_failed_transfer_gives_no_stale_read() {
    let mut cluster = cluster(5, true);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    let place = cluster.network.iter().position(is_order).expect("the order is under way");
    let late = cluster.network.remove(place);
    pass(&mut cluster, ELECTION_TICKS_MIN);
    assert!(!cluster.raft(n(1)).is_transferring());
    // Rounds are confirmed in the meantime, so a lease would hold now.
    catch_up(&mut cluster);
    cluster.partition(&[n(1)]);
    cluster.network.clear();
    cluster.network.push(late);
    // The cut is between the leader and the others; the order was sent before.
    cluster.cuts.remove(&(n(1), n(2)));
    cluster.deliver(0);
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(2)), "within all promises");
    cluster.propose(n(2), "newer").expect("it leads");
    cluster.deliver_all();
    assert_eq!(cluster.raft(n(1)).role(), Role::Leader, "it does not know");
    cluster.read_only_unsettled(n(1)).expect("it believes that it leads");
    cluster.settle(n(1));
    assert_eq!(cluster.oracle.pending_reads(), 1, "it must ask, and hears nobody");
}

/// reports.md B1: the target dies in the middle.
#[test]
fn a_target_that_dies_ends_the_transfer_at_once() {
    let mut cluster = cluster(3, false);
    cluster.node_mut(n(1)).slow.store = true;
    cluster.propose(n(1), "x").expect("it leads");
    cluster.deliver_all();
    ask(&mut cluster, 1, to(3)).expect("it can take over");
    cluster.crash(n(3));
    assert!(!cluster.raft(n(1)).is_transferring());
    cluster.propose(n(1), "y").expect("it goes on");

    ask(&mut cluster, 1, to(2)).expect("it can take over");
    cluster.raft_mut(n(1)).on_connection_refused(n(2));
    cluster.settle(n(1));
    assert!(!cluster.raft(n(1)).is_transferring(), "nobody listens there");
}

#[test]
fn the_next_best_is_tried_when_nobody_was_named() {
    let mut cluster = cluster(5, false);
    // Node 3 was restarted last, node 4 before.
    for id in [4, 3] {
        cluster.crash(n(id));
        cluster.restart(n(id));
        catch_up(&mut cluster);
    }
    assert_eq!(ask(&mut cluster, 1, avoiding(&[])), Ok(3), "reports.md B8");
    cluster.crash(n(3));
    assert_eq!(orders(&cluster), [n(3), n(4)]);
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(4)));
}

/// It is refused by its target, whose log has more than the order says.
#[test]
fn a_refusal_of_the_target_ends_the_transfer_at_once() {
    let mut cluster = cluster(3, false);
    // A person drains it, and the leader has not heard of it.
    cluster.partition(&[n(2)]);
    cluster.raft_mut(n(2)).set_draining(true);
    cluster.settle(n(2));
    cluster.cuts.clear();
    assert_eq!(ask(&mut cluster, 1, to(2)), Ok(2));
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(1)));
    assert!(!cluster.raft(n(1)).is_transferring());
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower);
}

/// reports.md B5: the old leader's own timer must not take the office back.
#[test]
fn two_voters_hand_over_fifty_times() {
    for has_leases in [false, true] {
        let mut cluster = cluster(2, has_leases);
        let before = term(&cluster).0;
        for turn in 0..50 {
            let (of, target) = if turn % 2 == 0 { (1, 2) } else { (2, 1) };
            cluster.propose(n(of), "x").expect("it leads");
            cluster.deliver_all();
            assert_eq!(ask(&mut cluster, of, to(target)), Ok(target), "turn {turn}");
            cluster.deliver_all();
            assert_eq!(cluster.leader(), Some(n(target)));
            pass(&mut cluster, 2 * ELECTION_TICKS_MAX);
            assert_eq!(cluster.leader(), Some(n(target)), "it keeps the office");
        }
        assert_eq!(term(&cluster).0, before + 50);
    }
}

#[test]
fn each_refusal_says_why_and_what_to_do() {
    let mut cluster = cluster(5, false);
    assert_eq!(refusal(&mut cluster, 1, to(9)), "9 is no member: see `coracle member list`");
    cluster.raft_mut(n(4)).set_draining(true);
    cluster.settle(n(4));
    assert_eq!(refusal(&mut cluster, 1, to(4)), "4 is drained: `coracle undrain 4` first");
    cluster.crash(n(3));
    pass(&mut cluster, 2 * 100);
    assert_eq!(refusal(&mut cluster, 1, to(3)), "3 is unseen for 2 s");
    assert_eq!(
        refusal(&mut cluster, 1, avoiding(&[2, 5])),
        "3 is unseen for 2 s; 4 is drained: `coracle undrain 4` first"
    );
    let nobody = "there is no other voter to choose from";
    assert_eq!(refusal(&mut cluster, 1, avoiding(&[2, 3, 4, 5])), nobody);
    assert_eq!(ask(&mut cluster, 1, avoiding(&[2])), Ok(5));
    let reason = "the leadership is being handed over to 5 already";
    assert_eq!(refusal(&mut cluster, 1, to(2)), reason);
    assert_eq!(ask(&mut cluster, 1, to(5)), Ok(5), "that is under way");
}

#[test]
fn a_transfer_needs_its_format() {
    let disks = raised_to(Format(2), 3);
    let mut cluster = Cluster::started(disks, 1, SnapshotRules::NONE, false, of_both(3));
    cluster.elect(n(1));
    catch_up(&mut cluster);
    let reason = refusal(&mut cluster, 1, to(2));
    let start = "format 2 is in force, and a transfer of the leadership needs 3: ";
    assert!(reason.starts_with(start), "{reason}");
    cluster.raft_mut(n(1)).set_draining(true);
    assert!(cluster.raft(n(1)).hand_over_obstacle().is_some());
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(1)));
}

/// The leader of a new term does not know yet how far its peers are.
#[test]
fn a_leader_that_knows_nothing_of_its_peers_says_that_it_is_too_early() {
    let mut cluster = cluster(3, false);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    while cluster.raft(n(2)).role() != Role::Leader {
        cluster.deliver(0);
    }
    let early = |outcome| matches!(outcome, Err(TransferRefusal::TooEarly(_)));
    assert!(early(ask(&mut cluster, 2, to(1))));
    assert!(early(ask(&mut cluster, 2, avoiding(&[]))));
    assert_eq!(cluster.raft(n(2)).hand_over_obstacle(), None, "within a second");
    cluster.deliver_all();
    assert_eq!(ask(&mut cluster, 2, to(1)), Ok(1));
}

#[test]
fn a_drained_leader_hands_over_and_the_others_learn_that_it_is_drained_afterwards() {
    let mut cluster = cluster(3, false);
    let announced = |cluster: &Cluster| cluster.gate(n(1)).is_draining;
    cluster.raft_mut(n(1)).set_draining(true);
    cluster.settle(n(1));
    assert!(cluster.raft(n(1)).is_transferring());
    assert!(!announced(&cluster), "a new hello would end the connections of the transfer");
    cluster.deliver_all();
    let leader = cluster.leader().expect("it has a successor");
    assert_ne!(leader, n(1));
    assert!(announced(&cluster));
    let reason = refusal(&mut cluster, leader.0, to(1));
    assert_eq!(reason, "1 is drained: `coracle undrain 1` first");
    cluster.raft_mut(n(1)).set_draining(false);
    cluster.settle(n(1));
    assert!(!announced(&cluster));
    assert_eq!(ask(&mut cluster, leader.0, to(1)), Ok(1));
}

/// A drained leader whose transfers come to nothing lets commands go on in between, and tries
/// another target each time.
#[test]
fn a_drained_leader_tries_again_after_a_pause() {
    let mut cluster = cluster(3, false);
    cluster.raft_mut(n(1)).set_draining(true);
    cluster.settle(n(1));
    let mut targets = Vec::new();
    let (mut frozen, mut free) = (0, 0);
    for _ in 0..4 * ELECTION_TICKS_MIN {
        targets.extend(orders(&cluster));
        cluster.network.retain(|envelope| !is_order(envelope));
        cluster.deliver_all();
        *(if cluster.raft(n(1)).is_transferring() { &mut frozen } else { &mut free }) += 1;
        cluster.tick(n(1));
    }
    assert_eq!(targets.len(), 2, "{targets:?}");
    assert_ne!(targets[0], targets[1]);
    assert!(free >= ELECTION_TICKS_MIN, "{free} of {} ticks", frozen + free);
}

#[test]
fn a_drained_node_is_slower_than_the_others_but_can_lead_if_it_must() {
    let mut cluster = cluster(3, false);
    cluster.raft_mut(n(2)).set_draining(true);
    cluster.settle(n(2));
    cluster.crash(n(1));
    cluster.raft_mut(n(2)).on_connection_refused(n(1));
    for _ in 0..ELECTION_TICKS_MIN {
        cluster.tick(n(2));
    }
    assert_eq!(cluster.raft(n(2)).role(), Role::Follower, "it lets its first timeout pass");
    assert_eq!(cluster.network.len(), 0);
    cluster.raft_mut(n(3)).on_connection_refused(n(1));
    cluster.elect(n(2));
}

/// A node that leads alone, and one whose followers are all away, cannot hand over.
#[test]
fn a_leader_without_a_successor_knows_it() {
    let mut cluster = cluster(1, false);
    assert!(cluster.raft(n(1)).hand_over_obstacle().is_some());
    assert_eq!(refusal(&mut cluster, 1, avoiding(&[])), "there is no other voter to choose from");
}

// A target by itself.

/// Node 1 of three, in format 3, which follows node 2 in term 2; its log ends with 3@2.
fn target() -> Solo {
    let mut solo = Solo::of_format(3, THREE);
    solo.receive(2, 2, append(at(2, 1), &[2], 2));
    solo
}

fn order(last: LogPosition) -> Rpc {
    Rpc::TimeoutNow(TimeoutNow { last })
}

fn transfer_vote(last: LogPosition) -> Rpc {
    Rpc::TransferVote(RequestVote { last })
}

#[test]
fn a_target_campaigns_without_a_pre_vote() {
    let mut solo = target();
    let sent = solo.receive(2, 2, order(at(3, 2)));
    let requests: Vec<(NodeId, Term, Rpc)> =
        sent.into_iter().map(|envelope| (envelope.to, envelope.term, envelope.rpc)).collect();
    let request = |id| (n(id), Term(3), transfer_vote(at(3, 2)));
    assert_eq!(requests, [request(2), request(3)]);
    solo.receive(2, 3, voted(true));
    assert_eq!(solo.raft.role(), Role::Leader);
}

/// The rules are loosened for one election: when it is lost, the next begins as any other.
#[test]
fn a_target_that_is_not_elected_asks_for_pre_votes_the_next_time() {
    let mut solo = target();
    solo.receive(2, 2, order(at(3, 2)));
    let sent = solo.tick_until_campaign();
    assert!(sent.iter().all(|envelope| matches!(envelope.rpc, Rpc::PreVote(_))), "{sent:?}");
}

#[test]
fn a_target_refuses_what_is_not_from_its_leader_or_not_about_its_log() {
    let refused = |solo: &mut Solo, from, term, last| {
        let before = solo.raft.term();
        let (_, answer) = solo.ask(from, term, order(last));
        assert_eq!(answer, Rpc::TransferRefused);
        assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Follower, before));
    };
    refused(&mut target(), 3, 2, at(3, 2));
    refused(&mut target(), 2, 2, at(4, 2));
    refused(&mut target(), 2, 2, at(2, 1));
    refused(&mut target(), 2, 1, at(3, 2)); // an order of an earlier term
    let mut drained = target();
    drained.raft.set_draining(true);
    refused(&mut drained, 2, 2, at(3, 2));
    let mut unsettled = target();
    unsettled.restart_unsettled();
    unsettled.receive(2, 2, append(at(3, 2), &[], 2));
    refused(&mut unsettled, 2, 2, at(3, 2));
    // A term that it did not know: it has no leader there.
    let mut solo = target();
    let (term, answer) = solo.ask(2, 5, order(at(3, 2)));
    assert_eq!((term, answer), (5, Rpc::TransferRefused));
}

// A voter by itself.

#[test]
fn a_voter_grants_a_transfer_vote_although_its_leader_lives_and_it_has_promised() {
    let mut solo = Solo::leased(3, &[1], 1);
    solo.pass(10 * PROMISE);
    solo.receive(2, 1, append(at(1, 1), &[], 0));
    assert_eq!(solo.ask(3, 2, pre_vote(at(1, 1))).1, pre_voted(false));
    assert_eq!(solo.ask(3, 2, transfer_vote(at(1, 1))).1, voted(true));
    solo.restart();
    assert_eq!(solo.raft.hard_state().voted_for, Some(n(3)), "it is durable");
    assert_eq!(solo.ask(2, 2, transfer_vote(at(1, 1))).1, voted(false), "one vote a term");
    assert_eq!(solo.ask(3, 2, transfer_vote(at(1, 1))).1, voted(true), "the same again");
}

#[test]
fn a_transfer_vote_needs_all_that_any_vote_needs() {
    let follower = || {
        let mut solo = Solo::new(3, &[1, 1], 1);
        solo.receive(2, 1, append(at(2, 1), &[], 0));
        solo
    };
    let mut shorter = follower();
    assert_eq!(shorter.ask(3, 2, transfer_vote(at(1, 1))).1, voted(false));
    let mut stale = follower();
    assert_eq!(stale.ask(3, 0, transfer_vote(at(2, 1))), (1, voted(false)));
    let mut led = follower();
    assert_eq!(led.ask(3, 1, transfer_vote(at(2, 1))).1, voted(false), "that term has a leader");
    let mut rejoining = Solo::rejoining(3);
    assert_eq!(rejoining.ask(3, 2, transfer_vote(at(2, 1))).1, voted(false));
    let mut unsettled = follower();
    unsettled.restart_unsettled();
    assert_eq!(unsettled.ask(3, 2, transfer_vote(at(2, 1))).1, voted(false));
}

/// The leader that handed over votes for its successor, and has given its leases up.
#[test]
fn a_leader_votes_for_its_successor() {
    let mut cluster = cluster(3, true);
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    cluster.crash(n(3));
    cluster.deliver_all();
    assert_eq!(cluster.leader(), Some(n(2)), "the vote of the old leader was needed");
    let told = cluster.now + Duration::ZERO;
    cluster.now = told + TICK;
    catch_up(&mut cluster);
    assert!(cluster.raft(n(2)).holds_lease(), "the new leader has leases again");
}

/// A leadership that ends during a transfer leaves the commands that wait with the shell, which
/// is told when to give up.
#[test]
fn a_leader_that_loses_its_office_meanwhile_awaits_a_successor_for_one_election_timeout() {
    let mut cluster = cluster(3, false);
    cluster.node_mut(n(1)).slow.store = true;
    cluster.propose(n(1), "x").expect("it leads");
    cluster.deliver_all();
    ask(&mut cluster, 1, to(2)).expect("it can take over");
    let higher = Term(cluster.raft(n(1)).term().0 + 7);
    let rpc = Rpc::RequestVoteResponse(crate::raft::RequestVoteResponse { vote_granted: false });
    cluster.network = vec![Envelope { from: n(3), to: n(1), term: higher, rpc }];
    cluster.deliver_all();
    assert!(!cluster.raft(n(1)).is_transferring() && cluster.raft(n(1)).awaits_successor());
    cluster.tick_until_campaign(n(1));
    assert!(!cluster.raft(n(1)).awaits_successor());
}

#[test]
fn the_shell_hears_why_a_transfer_came_to_nothing() {
    let mut solo = Solo::of_format(3, THREE);
    solo.win();
    let all = solo.raft.last_log().index;
    let report = crate::raft::ReplicationReport { match_index: all, ..Default::default() };
    for peer in [2, 3] {
        solo.raft.on_replicated(n(peer), solo.raft.term(), report);
    }
    solo.settle();
    assert_eq!(solo.raft.last_applied(), all);
    assert!(all > i(1));
    let failure = |solo: &mut Solo| {
        solo.settle();
        let failures = std::mem::take(&mut solo.effects).into_iter().filter_map(|effect| {
            let Effect::TransferFailed(failure) = effect else { return None };
            Some(failure)
        });
        failures.collect::<Vec<_>>()
    };
    let term = solo.raft.term().0;
    solo.raft.request_transfer(&to(2)).expect("it can take over");
    solo.receive(3, term, Rpc::TransferRefused);
    assert!(solo.raft.is_transferring(), "that was another");
    solo.receive(2, term, Rpc::TransferRefused);
    assert_eq!(failure(&mut solo), [TransferFailure::Refused(n(2))]);

    solo.raft.request_transfer(&to(2)).expect("it can take over");
    solo.raft.on_peer_detached(n(2));
    assert_eq!(failure(&mut solo), [TransferFailure::Gone(n(2))]);

    solo.raft.request_transfer(&to(2)).expect("it can take over");
    solo.tick(ELECTION_TICKS_MIN);
    assert_eq!(failure(&mut solo), [TransferFailure::TimedOut(n(2))]);

    solo.raft.propose(super::cluster::command("x")).expect("it leads");
    solo.raft.request_transfer(&to(2)).expect("it can take over");
    solo.tick(ELECTION_TICKS_MIN);
    assert_eq!(failure(&mut solo), [TransferFailure::Lagging(n(2))]);
}

//! The changes that operators may ask for now, and the reasons against others (docs/adr/0026).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, HEARTBEAT_TICKS, i, n};
use super::gates::{BOTH, founded_long_ago};
use super::members::{add, add_learner, demote, member, promote, remove, replace};
use crate::raft::{ChangeRefusal, Envelope, MemberOutcome, NotLeader, Rpc};
use crate::types::{
    ChangeKind, FormatRange, LogIndex, MEMBERS_MAX, Member, MemberOperation, MemberRequest,
    Tolerance,
};

/// The sentence with which the leader, node 1, refuses a change, by default tolerance.
fn refusal(cluster: &mut Cluster, operation: MemberOperation) -> String {
    match cluster.request(n(1), operation, None) {
        Err(refusal) => refusal.to_string(),
        Ok(outcome) => panic!("it was to be refused: {outcome:?}"),
    }
}

fn update(id: u64, to: u64) -> MemberOperation {
    let Member { peer, client } = member(to);
    MemberOperation::Update { id: n(id), peer: Some(peer), client: Some(client) }
}

fn cancel(number: LogIndex) -> MemberOperation {
    MemberOperation::Cancel { number }
}

/// Lets the leader, node 1, know the absence of a node that has crashed.
fn lose(cluster: &mut Cluster, id: u64) {
    cluster.crash(n(id));
    cluster.pass(2 * ELECTION_TICKS_MAX);
}

#[test]
fn only_a_leader_changes_members() {
    let mut cluster = Cluster::with_members(3, 1);
    let refusal = ChangeRefusal::NotLeader(NotLeader { leader_id: Some(n(1)) });
    assert_eq!(cluster.change(n(2), add(4)), Err(refusal));
}

#[test]
fn members_do_not_change_before_the_format_that_has_them() {
    let mut cluster = Cluster::with_formats_and_past(&[BOTH; 3], founded_long_ago(3), 1);
    cluster.elect(n(1));
    let sentence = refusal(&mut cluster, add(4));
    assert!(
        sentence.starts_with("format 1 is in force, and changes of the members need 3: all have"),
        "{sentence}"
    );
    cluster.pass(200);
    assert_eq!(
        refusal(&mut cluster, add(4)),
        "format 2 is in force, and changes of the members need 3: this server does not read it"
    );
    assert!(cluster.members_of(1).is_seed());
}

#[test]
fn members_do_not_change_before_the_log_has_their_addresses() {
    let mut cluster = Cluster::with_formats(&[FormatRange::OWN; 3], 1);
    cluster.gate_mut(n(1)).member = Some(member(1));
    cluster.crash(n(1));
    cluster.restart(n(1));
    cluster.elect(n(1));
    cluster.pass(10 * ELECTION_TICKS_MAX);
    let sentence = refusal(&mut cluster, add(4));
    assert!(sentence.starts_with("the addresses of server 2, 3 are not known"), "{sentence}");
    // They say it when they connect.
    for id in [2, 3] {
        cluster.gate_mut(n(id)).member = Some(member(id));
        cluster.introduce(n(id), n(1));
    }
    cluster.pass(2);
    assert_eq!(cluster.members_of(1).members[&n(3)], member(3));
    cluster.begin(add(4));
}

#[test]
fn a_leader_that_has_committed_nothing_changes_nothing() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.crash(n(1));
    cluster.elect_silently(n(2));
    let refusal = cluster.change(n(2), remove(1)).unwrap_err();
    assert_eq!(refusal, ChangeRefusal::NothingCommitted);
}

#[test]
fn one_change_runs_at_a_time_and_the_other_is_told_which() {
    let mut cluster = Cluster::with_members(3, 1);
    let number = cluster.begin(add(4));
    let busy = ChangeRefusal::Busy { number, what: ChangeKind::Add { id: n(4) } };
    assert_eq!(cluster.change(n(1), remove(3)), Err(busy.clone()));
    assert_eq!(
        busy.to_string(),
        format!(
            "change {number} (add 4 as a voter) is under way: wait for it by `coracle member wait \
             {number}`, or take it back by `coracle member cancel {number}`"
        )
    );
    // Whoever asks for the same gets the same change.
    assert_eq!(cluster.begin(add(4)), number);
    let unnamed = MemberOperation::Add { id: None, member: member(4), is_learner: false };
    assert_eq!(cluster.begin(unnamed), number);
}

#[test]
fn the_same_request_again_is_already_so() {
    let mut cluster = Cluster::with_members(3, 1);
    for id in [4, 5] {
        cluster.add_node(id);
    }
    for operation in [add(4), add_learner(5), replace(3, 6), update(2, 2), remove(5), demote(4)] {
        if let MemberOperation::Replace { .. } = operation {
            cluster.add_node(6);
        }
        let is_update = matches!(operation, MemberOperation::Update { .. });
        if !is_update {
            cluster.change_and_wait(operation.clone());
        }
        let again = cluster.change(n(1), operation.clone());
        assert_eq!(again, Ok(MemberOutcome::Already), "{operation:?}");
    }
    assert_eq!(cluster.voters_of(1), [1, 2, 6]);
}

#[test]
fn an_entry_that_is_not_committed_is_not_said_to_be_so_already() {
    let mut cluster = Cluster::with_members(3, 1);
    let number = cluster.begin(add_learner(4));
    assert!(cluster.raft(n(1)).commit_index() < number);
    assert_eq!(cluster.begin(add_learner(4)), number);
    let busy = ChangeRefusal::Busy { number, what: ChangeKind::AddLearner { id: n(4) } };
    assert_eq!(cluster.change(n(1), remove(3)), Err(busy));
}

#[test]
fn ids_are_never_used_again() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.change_and_wait(remove(2));
    let at = cluster.members_of(1).removed[&n(2)];
    let text = format!(
        "server 2 was removed by entry {at}, and no id is used again; the next free id is 4"
    );
    let request = MemberOperation::Add { id: Some(n(2)), member: member(7), is_learner: false };
    assert_eq!(refusal(&mut cluster, request), text);
    let request = MemberOperation::Add { id: Some(n(3)), member: member(7), is_learner: false };
    let text = "server 3 is a member already; the next free id is 4";
    assert_eq!(refusal(&mut cluster, request), text);
    let number = cluster.begin(add(9));
    cluster.pass(3);
    cluster.change(n(1), cancel(number)).unwrap();
    cluster.pass(3);
    let unnamed = MemberOperation::Add { id: None, member: member(9), is_learner: true };
    cluster.change_and_wait(unnamed);
    assert!(cluster.members_of(1).is_learner(n(10)), "9 was taken back, and is burnt");
}

#[test]
fn an_address_belongs_to_one_server() {
    let mut cluster = Cluster::with_members(3, 1);
    let taken = Member { peer: member(2).client, client: member(7).client };
    let request = MemberOperation::Add { id: None, member: taken, is_learner: false };
    assert!(
        refusal(&mut cluster, request).starts_with("10.0.0.2:9000 is the address of server 2;"),
        "a port for clients is one as well"
    );
    let request = MemberOperation::Replace { old: n(3), id: None, member: member(2) };
    let sentence = refusal(&mut cluster, request);
    assert!(sentence.starts_with("10.0.0.2:9001 is the address of server 2;"), "{sentence}");
    cluster.change_and_wait(add_learner(4));
    let sentence = refusal(&mut cluster, add(4));
    assert_eq!(sentence, "server 4 is a member already; the next free id is 5");
    let unnamed = MemberOperation::Add { id: None, member: member(4), is_learner: false };
    let sentence = refusal(&mut cluster, unnamed);
    assert!(sentence.ends_with("to make it a voter: coracle member promote 4"), "{sentence}");
    let twice = Member { peer: member(7).peer, client: member(7).peer };
    let request = MemberOperation::Add { id: None, member: twice, is_learner: false };
    assert!(refusal(&mut cluster, request).ends_with("name two ports"));
}

#[test]
fn requests_about_servers_that_are_no_members_name_the_members() {
    let mut cluster = Cluster::with_members(3, 1);
    let sentence = "server 9 is no member; the members are 1, 2, 3";
    for operation in [remove(9), promote(9), demote(9), replace(9, 10), update(9, 9)] {
        assert_eq!(refusal(&mut cluster, operation), sentence);
    }
    cluster.change_and_wait(remove(3));
    let at = cluster.members_of(1).removed[&n(3)];
    let sentence = format!("server 3 was removed by entry {at}; the members are 1, 2");
    assert_eq!(refusal(&mut cluster, promote(3)), sentence);
}

#[test]
fn the_last_voter_stays() {
    let mut cluster = Cluster::with_members(1, 1);
    for operation in [remove(1), demote(1)] {
        assert!(refusal(&mut cluster, operation.clone()).starts_with("it is the only voter"));
        let forced = cluster.change(n(1), operation);
        assert!(matches!(forced, Err(ChangeRefusal::Refused(_))), "{forced:?}");
    }
}

#[test]
fn a_removal_that_leaves_no_spare_voter_is_refused_with_who_is_missing() {
    let mut cluster = Cluster::with_members(4, 1);
    lose(&mut cluster, 3);
    assert_eq!(
        refusal(&mut cluster, remove(4)),
        "the voters 1, 2, 3 would need 2, and 3 is unseen for 400 ms: one more failure stops all \
         writes; bring 3 back, or: coracle member replace 3 ADDRESS, or: coracle member remove 3; \
         anyway: coracle member remove 4 --can-lose 0"
    );
    let asked = cluster.request(n(1), remove(3), Some(2)).unwrap_err().to_string();
    assert!(asked.contains("1 of them could be lost, and 2 are asked for"), "{asked}");
    // The dead one goes without a word, because that makes it better.
    cluster.change_and_wait(remove(3));
    let tolerance = cluster.status(n(1)).tolerance;
    let expected = Tolerance { voters: 3, needed: 2, here: 3, can_lose: Some(1) };
    assert_eq!(tolerance, Some(expected));
    assert_eq!(
        refusal(&mut cluster, demote(2)),
        "the voters 1, 4 would need 2: one more failure stops all writes; add a server before: \
         coracle member add ADDRESS; anyway: coracle member demote 2 --can-lose 0"
    );
    cluster.change_and_wait(demote(2));
}

/// It was no better before, and still the next failure is not one that the cluster survives.
#[test]
fn no_voter_that_is_here_goes_while_another_one_is_missing() {
    for operation in [remove(1), demote(1), remove(2), demote(2)] {
        let mut cluster = Cluster::with_members(4, 1);
        lose(&mut cluster, 3);
        let tolerance = cluster.status(n(1)).tolerance.unwrap();
        assert_eq!(tolerance.can_lose, Some(0), "as little as after the change");
        let sentence = refusal(&mut cluster, operation.clone());
        let expected = ", and 3 is unseen for 400 ms: one more failure stops all writes; ";
        assert!(sentence.contains(expected), "{sentence}");
        let forced = cluster.request(n(1), operation, Some(0));
        assert!(matches!(forced, Ok(MemberOutcome::Begun { .. })), "{forced:?}");
    }
    for operation in [remove(3), demote(3)] {
        let mut cluster = Cluster::with_members(4, 1);
        lose(&mut cluster, 3);
        let outcome = cluster.request(n(1), operation, None);
        assert!(matches!(outcome, Ok(MemberOutcome::Begun { .. })), "{outcome:?}");
    }
}

#[test]
fn a_change_that_could_not_be_committed_is_refused_always() {
    let mut cluster = Cluster::with_members(3, 1);
    lose(&mut cluster, 3);
    for operation in [remove(2), demote(2), replace(2, 4)] {
        let refusal = cluster.request(n(1), operation.clone(), Some(0));
        match operation {
            MemberOperation::Replace { .. } => assert!(refusal.is_ok(), "the new one will be here"),
            _ => {
                let sentence = refusal.unwrap_err().to_string();
                assert!(sentence.contains("so it could not be committed"), "{sentence}");
                assert!(!sentence.contains("anyway"), "{sentence}");
            }
        }
    }
}

#[test]
fn a_leader_that_was_just_elected_takes_nobody_for_lost() {
    let mut cluster = Cluster::with_members(5, 1);
    cluster.crash(n(1));
    cluster.elect_silently(n(2));
    // Only nodes 3 and 4 answer so far.
    let is_from = |m: &Envelope| [m.from, m.to].iter().all(|id| [n(2), n(3), n(4)].contains(id));
    for _ in 0..HEARTBEAT_TICKS {
        cluster.tick(n(2));
        while cluster.deliver_where(is_from) {}
    }
    for id in [3, 5] {
        let refusal = cluster.request(n(2), remove(id), None).unwrap_err().to_string();
        assert!(refusal.starts_with("this leader was elected just now"), "{id}: {refusal}");
    }
    cluster.pass(3 * ELECTION_TICKS_MAX);
    let sentence = cluster.request(n(2), remove(3), None).unwrap_err().to_string();
    assert!(sentence.contains("and 1 is unseen since this leader was elected"), "{sentence}");
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let mut cluster = Cluster::with_members(3, 1);
    let before = cluster.raft(n(1)).last_log();
    let request = MemberRequest { operation: add(4), can_lose: None, is_dry_run: true };
    let Ok(MemberOutcome::Plan(plan)) = cluster.raft_mut(n(1)).request_change(&request) else {
        panic!("a plan was asked for");
    };
    assert_eq!(plan.what, ChangeKind::Add { id: n(4) });
    assert_eq!(plan.before, Tolerance { voters: 3, needed: 2, here: 3, can_lose: Some(1) });
    assert_eq!(plan.after, Tolerance { voters: 4, needed: 3, here: 4, can_lose: Some(1) });
    assert_eq!(cluster.raft(n(1)).last_log(), before);
}

#[test]
fn a_change_is_taken_back_until_it_is_joint() {
    let mut cluster = Cluster::with_members(3, 1);
    let number = cluster.begin(replace(3, 4));
    let early = cluster.change(n(1), cancel(number)).unwrap_err().to_string();
    assert!(early.contains("is just being written"), "{early}");
    cluster.pass(3);
    let outcome = cluster.change(n(1), cancel(number)).unwrap();
    let index = cluster.raft(n(1)).last_log().index;
    let what = ChangeKind::Replace { old: n(3), new: n(4) };
    assert_eq!(outcome, MemberOutcome::Begun { number, index, what });
    assert_eq!(cluster.change(n(1), cancel(number)), Ok(outcome), "until it is committed");
    cluster.pass(3);
    assert_eq!(cluster.change(n(1), cancel(number)), Ok(MemberOutcome::Already));
    assert_eq!(cluster.voters_of(1), [1, 2, 3]);
    assert!(!cluster.members_of(1).is_member(n(4)));
    let number = cluster.begin(remove(3));
    let sentence = cluster.change(n(1), cancel(number)).unwrap_err().to_string();
    assert!(sentence.contains("has come to its joint membership"), "{sentence}");
    cluster.pass(5);
    let sentence = cluster.change(n(1), cancel(number)).unwrap_err().to_string();
    assert!(sentence.contains("is done"), "{sentence}");
    let sentence = cluster.change(n(1), cancel(i(9999))).unwrap_err().to_string();
    assert!(sentence.starts_with("change 9999 is not known"), "{sentence}");
}

#[test]
fn a_server_that_is_connected_knows_best_where_it_is_reached() {
    let mut cluster = Cluster::with_members(3, 1);
    for id in [1, 2] {
        let sentence = refusal(&mut cluster, update(id, 8));
        assert!(sentence.contains("is connected, and says that it is reached at 10.0.0."));
    }
    lose(&mut cluster, 2);
    cluster.change_and_wait(update(2, 8));
    assert_eq!(cluster.members_of(1).members[&n(2)], member(8));
    assert_eq!(cluster.voters_of(1), [1, 2, 3], "and nothing else has changed");
    assert_eq!(cluster.raft(n(1)).member(n(2)), Some(&member(2)), "it said so itself");
}

#[test]
fn a_learner_is_removed_and_not_replaced() {
    let mut cluster = Cluster::with_members(3, 1);
    cluster.change_and_wait(add_learner(4));
    let sentence = refusal(&mut cluster, replace(4, 5));
    assert!(sentence.starts_with("server 4 is a learner, and only a voter is replaced"));
    cluster.change_and_wait(remove(4));
    assert!(cluster.members_of(1).is_removed(n(4)));
}

#[test]
fn there_are_so_many_members_at_most() {
    let mut cluster = Cluster::with_members(1, 1);
    for id in 2..=MEMBERS_MAX as u64 {
        cluster.change_and_wait(add_learner(id));
    }
    let sentence = refusal(&mut cluster, add(100));
    assert!(sentence.starts_with("there are 64 members, and no more are possible"), "{sentence}");
    let sentence = refusal(&mut cluster, replace(1, 100));
    assert!(sentence.starts_with("there are 64 members, and no more are possible"), "{sentence}");
    assert_eq!(cluster.members_of(1).ids().len(), MEMBERS_MAX);
}

/// Found by the simulation (seed 20282): the last report of the member was that of a time when it
/// had its disk, so it was counted among those that are here, and the two that were left needed it
/// to elect a leader, while it needed a leader to vote again.
#[test]
fn a_member_that_says_it_has_lost_its_disk_is_not_counted_among_those_that_are_here() {
    let mut cluster = Cluster::with_members(3, 4);
    cluster.pass(2 * HEARTBEAT_TICKS);
    cluster.crash(n(2));
    cluster.wipe(n(2));
    cluster.restart(n(2));
    let asks = |m: &Envelope| (m.from, m.to) == (n(2), n(1)) && m.rpc == Rpc::RejoinRequest;
    cluster.tick(n(2));
    assert!(cluster.deliver_where(asks), "it asks its peers");
    let request = cluster.request(n(1), remove(1), Some(0));
    assert!(matches!(request, Err(ChangeRefusal::Refused(_))), "{request:?}");
}

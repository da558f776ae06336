use super::*;
use crate::protocol::{CanLose, MemberReport, MemberState};
use crate::types::{Format, NodeId};

fn report(index: u64, is_committed: bool, members: &[(MemberKind, &str)]) -> MembersReport {
    let member = |(id, (kind, address)): (u64, &(MemberKind, &str))| MemberReport {
        id: NodeId(id),
        kind: *kind,
        state: MemberState::Unknown,
        log_address: None,
        client_address: address.parse().ok(),
        seen_ms: None,
        behind: None,
        snapshot: None,
        formats: None,
        version: None,
    };
    MembersReport {
        voters: 1,
        needed: 1,
        here: None,
        can_lose: CanLose::Unknown,
        format: Format(3),
        not_leading: None,
        index: LogIndex(index),
        is_committed,
        members: (1..).zip(members).map(member).collect(),
        change: None,
        ended: Vec::new(),
        removed: Vec::new(),
    }
}

fn given(addresses: &[&str]) -> Servers {
    Servers::new(addresses.iter().map(ToString::to_string).collect())
}

fn addresses(servers: &Servers) -> Vec<&str> {
    servers.known.iter().map(|server| &server.address[..]).collect()
}

const VOTER: MemberKind = MemberKind::Voter;

#[test]
fn servers_that_fail_are_asked_in_turns() {
    let mut servers = given(&["a:1", "b:1", "a:1", "c:1"]);
    let mut asked = vec!["a:1".to_owned()];
    for _ in 0..5 {
        let next = servers.after(asked.last().expect("it is not empty"));
        asked.push(next);
    }
    assert_eq!(asked, ["a:1", "b:1", "c:1", "a:1", "b:1", "c:1"]);
    servers.note_answer("b:1");
    assert_eq!(servers.after("a:1"), "b:1");
    assert_eq!(given(&["a:1"]).after("a:1"), "a:1", "there is no other");
    assert_eq!(given(&["a:1"]).after("z:1"), "a:1", "which is in no list");
}

#[test]
fn members_are_asked_before_what_was_given_and_learners_last_among_them() {
    let mut servers = given(&["old:1", "b:1"]);
    let learner = (MemberKind::Learner, "l:1");
    servers.learn(&report(7, true, &[learner, (VOTER, "a:1"), (VOTER, "b:1"), (VOTER, "?")]));
    assert_eq!(addresses(&servers), ["a:1", "b:1", "l:1", "old:1"]);
    servers.learn(&report(8, true, &[(VOTER, "c:1"), (VOTER, "c:1")]));
    assert_eq!(addresses(&servers), ["c:1", "b:1", "old:1"], "what was given is never lost");
    servers.learn(&report(9, true, &[]));
    assert_eq!(addresses(&servers), ["c:1", "b:1", "old:1"]);
}

#[test]
fn what_is_known_of_a_server_outlives_a_new_list() {
    let mut servers = given(&["a:1"]);
    servers.learn(&report(7, true, &[(VOTER, "dead:1"), (VOTER, "b:1"), (VOTER, "c:1")]));
    assert_eq!(servers.after("a:1"), "dead:1");
    assert_eq!(servers.after("dead:1"), "b:1");
    servers.note_answer("c:1");
    servers.learn(&report(7, true, &[(VOTER, "dead:1"), (VOTER, "b:1"), (VOTER, "c:1")]));
    assert_eq!(servers.after("z:1"), "c:1", "which has answered already");
}

/// A server that was removed, or that is cut off, has an old list.
#[test]
fn an_older_list_is_not_taken() {
    let mut servers = given(&["a:1"]);
    servers.learn(&report(7, true, &[(VOTER, "b:1")]));
    servers.learn(&report(6, true, &[(VOTER, "old:1")]));
    assert_eq!(addresses(&servers), ["b:1", "a:1"]);
    // One that is not committed may yet be replaced by one with a lower index.
    servers.learn(&report(20, false, &[(VOTER, "c:1")]));
    assert_eq!(addresses(&servers), ["c:1", "a:1"]);
    servers.learn(&report(8, true, &[(VOTER, "d:1")]));
    assert_eq!(addresses(&servers), ["d:1", "a:1"]);
}

#[test]
fn a_list_has_a_bound() {
    let members: Vec<String> = (0..1_000).map(|id| format!("db{id}:1")).collect();
    let members: Vec<(MemberKind, &str)> = members.iter().map(|it| (VOTER, &it[..])).collect();
    let mut servers = given(&["a:1"]);
    servers.learn(&report(7, true, &members));
    assert_eq!(servers.known.len(), MEMBERS_MAX + 1);
}

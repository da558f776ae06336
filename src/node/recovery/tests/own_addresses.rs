//! The addresses that a server which has joined says of itself, after a start.

use super::*;
use crate::node::own_member;
use crate::storage::{JoinedCluster, keep_joined};
use crate::testing::memberships::member;
use crate::types::{Format, FormatInForce, Member};

/// The entry with the members that the server was told of when it joined.
const TOLD_AT: u64 = 8;

/// A member 1 that is reached at ports after `port`.
fn at_port(port: u16) -> Member {
    let address = |port| format!("127.0.0.1:{port}").parse().unwrap();
    Member { peer: address(port + 1), client: address(port) }
}

/// Server 1 was told that it is at port 9002 and is configured to be at `configured`. The last
/// entry of its log, `last`, says that it is at port 9500. Returns what it says of itself after a
/// start.
fn said(configured: u16, last: u64) -> Option<Member> {
    let disk = SimDisk::new();
    let members = |own| [(NodeId(1), own), (NodeId(2), member(2))];
    let joined = JoinedCluster {
        id: NodeId(1),
        cluster: "coracle".into(),
        cluster_id: Some(ClusterId(9)),
        promise: None,
        members: members(at_port(9002)).into(),
        at: LogIndex(TOLD_AT),
    };
    keep_joined(&disk, Path::new("data/1"), &joined).unwrap();
    let mut recovered = start(&disk).unwrap();
    let state = HardState { current_term: Term(1), ..HardState::default() };
    recovered.storage.save_hard_state(state).unwrap();
    for index in 1..=last {
        let payload = match index {
            1 => Payload::Format(FormatInForce::of(Format(3))),
            _ if index == last => {
                Payload::Membership(Membership::of_voters(members(at_port(9500)).into()))
            }
            _ => entry(index, 1).payload,
        };
        recovered.storage.append(&[Entry { payload, ..entry(index, 1) }]).unwrap();
    }
    recovered.storage.sync().unwrap();
    drop(recovered);
    let mut settings = settings();
    settings.servers.get_mut(&NodeId(1)).unwrap().advertised = at_port(configured);
    own_member(&settings, NodeId(1), &start(&disk).unwrap())
}

#[test]
fn a_server_that_has_joined_says_what_its_log_says_or_a_flag() {
    assert_eq!(said(9002, TOLD_AT), Some(at_port(9500)));
    assert_eq!(said(9002, TOLD_AT + 1), Some(at_port(9500)));
    assert_eq!(said(9700, TOLD_AT + 1), Some(at_port(9700)), "a flag");
}

/// A member that had moved, and lost the file with the word where the others are, was told that it
/// is where it is; its log had not heard of the move. The leader wrote the old address into the log
/// again, and dialled nothing else any more.
#[test]
fn a_log_that_ends_before_what_the_server_was_told_does_not_say_where_it_is() {
    assert_eq!(said(9002, TOLD_AT - 1), Some(at_port(9002)));
}

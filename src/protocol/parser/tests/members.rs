//! The commands about members and leadership.

use super::*;
use crate::types::{
    Address, LogIndex, Member, MemberOperation, MemberRequest, NodeId, TransferTarget,
};

const MEMBER_LIMITS: Limits = Limits { line_bytes_max: 200, ..LIMITS };

#[test]
fn the_commands_about_members_and_leadership() {
    let address = |text: &str| text.parse::<Address>().expect("it is an address");
    let member = || Member { peer: address("db6.example:9001"), client: address("[::1]:9000") };
    let change = |operation| MemberRequest { operation, can_lose: None, is_dry_run: false };
    let id = NodeId;
    let add = |id, is_learner| MemberOperation::Add { id, member: member(), is_learner };
    let replace = |new| MemberOperation::Replace { old: id(3), id: new, member: member() };
    let remove = || change(MemberOperation::Remove { id: id(3) });
    let update = |peer: Option<&str>, client: Option<&str>| {
        let (peer, client) = (peer.map(address), client.map(address));
        Request::Member(change(MemberOperation::Update { id: id(3), peer, client }))
    };
    let avoid = |ids: &[u64]| {
        Request::Transfer(TransferTarget::Avoid(ids.iter().copied().map(NodeId).collect()))
    };
    for (line, request) in [
        ("member list", Request::Members),
        ("Member  LIST ", Request::Members),
        ("member add db6.example:9001 [::1]:9000", Request::Member(change(add(None, false)))),
        (
            "member add db6.example:9001 [::1]:9000 dry-run can-lose 0 LEARNER id 6",
            Request::Member(MemberRequest {
                operation: add(Some(id(6)), true),
                can_lose: Some(0),
                is_dry_run: true,
            }),
        ),
        ("member remove 3", Request::Member(remove())),
        (
            "member remove 3 can-lose 2",
            Request::Member(MemberRequest { can_lose: Some(2), ..remove() }),
        ),
        (
            "member remove 3 dry-run",
            Request::Member(MemberRequest { is_dry_run: true, ..remove() }),
        ),
        (
            "member replace 3 db6.example:9001 [::1]:9000 id 7",
            Request::Member(change(replace(Some(id(7))))),
        ),
        ("member replace 3 db6.example:9001 [::1]:9000", Request::Member(change(replace(None)))),
        ("member promote 3", Request::Member(change(MemberOperation::Promote { id: id(3) }))),
        ("member demote 3", Request::Member(change(MemberOperation::Demote { id: id(3) }))),
        ("member update 3 log a:1", update(Some("a:1"), None)),
        ("member update 3 client b:2 log a:1", update(Some("a:1"), Some("b:2"))),
        (
            "member cancel 17",
            Request::Member(change(MemberOperation::Cancel { number: LogIndex(17) })),
        ),
        ("member wait 17", Request::WaitForChange { number: LogIndex(17) }),
        ("leader transfer", avoid(&[])),
        ("leader transfer to 6", Request::Transfer(TransferTarget::To(id(6)))),
        ("leader transfer AVOID 2", avoid(&[2])),
        ("leader transfer avoid 2 avoid 1", avoid(&[1, 2])),
        ("drain", Request::SetDraining(true)),
        ("UNDRAIN", Request::SetDraining(false)),
    ] {
        let parsed = parse_pieces(MEMBER_LIMITS, [format!("{line}\r\n").as_bytes()]);
        assert_eq!(parsed, [Parsed::Request(request)], "{line:?}");
    }
}

const MALFORMED: &[&str] = &[
    "member",
    "member status",
    "member list 1",
    "member add",
    "member add a:1",
    "member add a:1 b",
    "member add a b:1",
    "member add a:1 b:0",
    "member add a:1 b:2 3",
    "member add a:1 b:2 id",
    "member add a:1 b:2 id 0",
    "member add a:1 b:2 id 3 id 3",
    "member add a:1 b:2 learner learner",
    "member add a:1 b:2 can-lose",
    "member add a:1 b:2 can-lose 4294967296",
    "member add a:1 b:2 log c:3",
    "member add ::1:9 b:2",
    "member add a:1 b:2 noreply",
    "member remove",
    "member remove 0",
    "member remove x",
    "member remove 1 2",
    "member remove 1 id 2",
    "member remove 1 learner",
    "member replace 1",
    "member replace 1 a:1",
    "member replace a:1 b:2 1",
    "member replace 1 a:1 b:2 learner",
    "member promote",
    "member promote 1 can-lose 0",
    "member demote 1 id 2",
    "member update 1",
    "member update 1 log",
    "member update 1 log a:1 log a:1",
    "member update 1 log a:1 dry-run",
    "member update 1 a:1",
    "member cancel",
    "member cancel x",
    "member cancel 1 dry-run",
    "member wait",
    "member wait 1 2",
    "once c 1 member remove 1",
    "leader",
    "leader transfer to",
    "leader transfer to 0",
    "leader transfer 2",
    "leader transfer to 1 avoid 2",
    "leader transfer avoid",
    "leader transfer avoid 1 2",
    "leader elect",
    "drain 1",
    "undrain now",
    "noreply",
    "after",
    "set",
    "set k",
    "set k 0",
    "set k 0 noreply",
    "set k 0 x",
    "set k 0 +1",
    "set k 0 -1",
    "set k 0 1.0",
    "set k 0 18446744073709551616",
    "add k 0",
    "cas k 0 3",
    "cas k 0 3 noreply",
    "delete",
    "delete k extra",
    "delete k noreply extra",
    "scan",
    "scan *",
    "scan * 0",
    "scan * 10001",
    "scan * x",
    "scan * 1 after",
    "scan * 1 behind k",
    "scan * 1 after k k",
    "scan * 1 k",
    "once",
    "once c",
    "once c 1",
    "once c 1 get k",
    "once c 1 ping",
    "once c 1 scan * 1",
    "once c 0 delete k",
    "once c x delete k",
    "once c -1 delete k",
    "once c delete k",
    "once c 18446744073709551616 delete k",
    "once c\x01 1 delete k",
    "once c 1 once c 2 delete k",
    "once c 1 noreply",
];

#[test]
fn every_malformed_line_about_members_gets_cmd_err_and_nothing_of_it_is_done() {
    for line in MALFORMED {
        let parsed = parse_pieces(MEMBER_LIMITS, [format!("{line}\r\nping\r\n").as_bytes()]);
        let [malformed, Parsed::Request(Request::Ping)] = &parsed[..] else {
            panic!("{line:?} {parsed:?}")
        };
        assert!(is_cmd_err(malformed), "{line:?} {parsed:?}");
    }
}

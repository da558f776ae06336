//! Any commands about members and leadership, and any replies to them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::protocol::*;
use crate::types::{Address, Format, FormatRange, LogIndex, Member, NodeId};

fn address() -> impl Strategy<Value = Address> {
    let host = prop_oneof!["[a-z0-9.-]{1,20}", "[a-f0-9]{0,4}::[a-f0-9:]{1,10}"];
    (host, 1..=u16::MAX).prop_map(|(host, port)| Address { host, port })
}

fn id() -> impl Strategy<Value = NodeId> {
    (1..=u64::MAX).prop_map(NodeId)
}

fn index() -> impl Strategy<Value = LogIndex> {
    any::<u64>().prop_map(LogIndex)
}

fn member() -> impl Strategy<Value = Member> {
    (address(), address()).prop_map(|(peer, client)| Member { peer, client })
}

/// A request with the options that its command takes.
fn change() -> impl Strategy<Value = MemberRequest> {
    use MemberOperation::{Add, Cancel, Demote, Promote, Remove, Replace, Update};
    let new = || (prop::option::of(id()), member());
    let addresses = (prop::option::of(address()), prop::option::of(address()));
    let operation = prop_oneof![
        (new(), any::<bool>()).prop_map(|((id, member), is_learner)| Add {
            id,
            member,
            is_learner
        }),
        id().prop_map(|id| Remove { id }),
        (id(), new()).prop_map(|(old, (id, member))| Replace { old, id, member }),
        id().prop_map(|id| Promote { id }),
        id().prop_map(|id| Demote { id }),
        (id(), addresses)
            .prop_filter("one of both", |(_, (peer, client))| peer.is_some() || client.is_some())
            .prop_map(|(id, (peer, client))| Update { id, peer, client }),
        index().prop_map(|number| Cancel { number }),
    ];
    (operation, prop::option::of(any::<u32>()), any::<bool>()).prop_map(
        |(operation, can_lose, is_dry_run)| {
            let has_plan = !matches!(operation, Update { .. } | Cancel { .. });
            let can_lose = can_lose.filter(|_| has_plan && !matches!(operation, Promote { .. }));
            MemberRequest { operation, can_lose, is_dry_run: has_plan && is_dry_run }
        },
    )
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    let avoid = prop::collection::btree_set(id(), 0..4);
    let target = prop_oneof![
        id().prop_map(TransferTarget::To),
        avoid.prop_map(|ids: BTreeSet<NodeId>| TransferTarget::Avoid(ids)),
    ];
    prop_oneof![
        4 => change().prop_map(Request::Member),
        1 => Just(Request::Members),
        1 => index().prop_map(|number| Request::WaitForChange { number }),
        1 => target.prop_map(Request::Transfer),
        1 => any::<bool>().prop_map(Request::SetDraining),
    ]
}

fn tolerance() -> impl Strategy<Value = Tolerance> {
    (any::<[u32; 3]>(), prop::option::of(any::<u32>())).prop_map(|(numbers, can_lose)| {
        let [voters, needed, here] = numbers.map(|number| number as usize);
        Tolerance { voters, needed, here, can_lose: can_lose.map(|number| number as usize) }
    })
}

fn member_report() -> impl Strategy<Value = MemberReport> {
    let kind = prop::sample::select(vec![
        MemberKind::Voter,
        MemberKind::Learner,
        MemberKind::Incoming,
        MemberKind::Outgoing,
    ]);
    let state = prop::sample::select(vec![
        MemberState::Leader,
        MemberState::Follower,
        MemberState::Catching,
        MemberState::Unseen,
        MemberState::Rejoining,
        MemberState::Draining,
        MemberState::Unknown,
    ]);
    let addresses = (prop::option::of(address()), prop::option::of(address()));
    let facts = any::<(Option<u64>, Option<u64>, Option<(u64, u64)>, Option<(u32, u32)>)>();
    (id(), kind, state, addresses, facts, prop::option::of("[!-~]{1,20}")).prop_map(
        |(id, kind, state, (log_address, client_address), facts, version)| {
            let (seen_ms, behind, snapshot, formats) = facts;
            let formats = formats.map(|(lowest, highest)| FormatRange {
                lowest: Format(lowest),
                highest: Format(highest),
            });
            MemberReport {
                id,
                kind,
                state,
                log_address,
                client_address,
                seen_ms,
                behind,
                snapshot,
                formats,
                version,
            }
        },
    )
}

fn report() -> impl Strategy<Value = MembersReport> {
    let can_lose = prop_oneof![
        Just(CanLose::Unknown),
        Just(CanLose::NoQuorum),
        any::<u64>().prop_map(CanLose::Voters)
    ];
    let head = (any::<(u64, u64, Option<u64>, u32, bool)>(), can_lose, index());
    let change = ("[a-z0-9 ]{1,40}", index(), any::<Option<u64>>(), any::<Option<u64>>());
    let change = change.prop_map(|(what, number, age_ms, waits)| {
        let waits_for = waits.map(|entries| format!("{entries} entries; waits for: them"));
        ChangeReport { number, age_ms, what, waits_for }
    });
    let ended = ("[ -~]{0,40}", index(), any::<bool>())
        .prop_map(|(what, number, is_done)| EndedReport { number, is_done, what });
    let lists = (
        prop::collection::vec(member_report(), 0..5),
        prop::collection::vec(ended, 0..4),
        prop::collection::vec((id(), index()), 0..4),
    );
    (head, prop::option::of(id()), prop::option::of(change), lists).prop_map(
        |(head, not_leading, change, (members, ended, removed))| {
            let ((voters, needed, here, format, is_committed), can_lose, index) = head;
            MembersReport {
                voters,
                needed,
                here,
                can_lose,
                format: Format(format),
                not_leading,
                index,
                is_committed,
                members,
                change,
                ended,
                removed,
            }
        },
    )
}

pub(super) fn reply() -> impl Strategy<Value = (Expect, Reply)> {
    let two = any::<[u64; 2]>;
    let plan = (tolerance(), tolerance()).prop_map(|(before, after)| Plan { before, after });
    let already = prop::sample::select(vec![Expect::Change, Expect::Leader]);
    prop_oneof![
        two().prop_map(|[number, id]| (Expect::Change, Reply::Change { number, id })),
        already.prop_map(|expect| (expect, Reply::Already)),
        plan.prop_map(|plan| (Expect::Change, Reply::Plan(plan))),
        any::<(u64, bool)>().prop_map(|(number, is_done)| {
            (Expect::ChangeWaited, Reply::ChangeEnded { number, is_done })
        }),
        (any::<u64>(), "[ -~]{0,80}").prop_map(|(number, sentence)| {
            (Expect::ChangeWaited, Reply::ChangeRunning { number, sentence })
        }),
        two().prop_map(|[id, term]| (Expect::Leader, Reply::Leader { id, term })),
        report().prop_map(|report| (Expect::Members, Reply::Members(Box::new(report)))),
    ]
}

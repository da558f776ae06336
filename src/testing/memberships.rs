//! Memberships of format 3 for tests.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::types::{
    Address, Change, ChangeKind, ENDED_CHANGES_MAX, EndedChange, HOST_BYTES_MAX, LogIndex,
    MEMBERS_MAX, Member, Membership, NodeId, REMOVED_MAX,
};

/// The addresses of a member: `h<id>:9001` for servers, `h<id>:9000` for clients.
pub(crate) fn member(id: u64) -> Member {
    let address = |port| Address { host: format!("h{id}"), port };
    Member { peer: address(9001), client: address(9000) }
}

/// A membership of these voters and learners, with addresses.
pub(crate) fn membership(voters: &[u64], learners: &[u64]) -> Membership {
    let members: BTreeMap<NodeId, Member> =
        voters.iter().chain(learners).map(|id| (NodeId(*id), member(*id))).collect();
    let last_id = members.keys().next_back().copied().unwrap_or_default();
    let voters = voters.iter().copied().map(NodeId).collect();
    Membership { voters, members, last_id, ..Membership::default() }
}

/// The joint membership in which 3 is replaced by 6; 7 is a learner, 4 was removed, and 5 was to
/// become a voter.
pub(crate) fn joint() -> Membership {
    let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
    let add = EndedChange {
        number: LogIndex(20),
        what: ChangeKind::Add { id: NodeId(5) },
        is_done: false,
    };
    let remove = EndedChange {
        number: LogIndex(30),
        what: ChangeKind::Remove { id: NodeId(4) },
        is_done: true,
    };
    Membership {
        outgoing: ids(&[1, 2, 3]),
        change: Some(Change {
            number: LogIndex(40),
            what: ChangeKind::Replace { old: NodeId(3), new: NodeId(6) },
        }),
        ended: vec![add, remove],
        removed: [(NodeId(4), LogIndex(31)), (NodeId(5), LogIndex(33))].into(),
        ..membership(&[1, 2, 6], &[3, 7])
    }
}

/// The largest membership that a log may have.
pub(crate) fn largest() -> Membership {
    let host = "h".repeat(HOST_BYTES_MAX);
    let address = Address { host, port: u16::MAX };
    let first = u64::MAX - MEMBERS_MAX as u64;
    let ids = (first..u64::MAX).map(NodeId);
    let member = |id| (id, Member { peer: address.clone(), client: address.clone() });
    let what = ChangeKind::Replace { old: NodeId(first), new: NodeId(first + 1) };
    let ended = EndedChange { number: LogIndex::MAX, what, is_done: true };
    let removed = (first - REMOVED_MAX as u64..first).map(|id| (NodeId(id), LogIndex::MAX));
    Membership {
        outgoing: ids.clone().collect(),
        change: Some(Change { number: LogIndex::MAX, what }),
        ended: vec![ended; ENDED_CHANGES_MAX],
        removed: removed.collect(),
        ..Membership::of_voters(ids.map(member).collect())
    }
}

fn any_address() -> impl Strategy<Value = Address> {
    let host = prop_oneof!["[a-z0-9.-]{1,40}", "[0-9a-f:]{2,39}", Just("h".repeat(255))];
    (host, 1..=u16::MAX).prop_map(|(host, port)| Address { host, port })
}

/// Any addresses of a member.
pub(crate) fn any_member() -> impl Strategy<Value = Member> {
    (any_address(), any_address()).prop_map(|(peer, client)| Member { peer, client })
}

fn any_change_kind() -> impl Strategy<Value = ChangeKind> {
    let ids = (any::<u64>().prop_map(NodeId), any::<u64>().prop_map(NodeId));
    (0..7_u8, ids).prop_map(|(kind, (id, new))| match kind {
        0 => ChangeKind::Add { id },
        1 => ChangeKind::AddLearner { id },
        2 => ChangeKind::Remove { id },
        3 => ChangeKind::Replace { old: id, new },
        4 => ChangeKind::Promote { id },
        5 => ChangeKind::Demote { id },
        _ => ChangeKind::Update { id },
    })
}

/// Any membership with addresses that a log may have.
pub(crate) fn any_membership() -> impl Strategy<Value = Membership> {
    let index = || (1..=LogIndex::MAX.0).prop_map(LogIndex);
    let members = prop::collection::btree_map(
        (1..=u64::MAX).prop_map(NodeId),
        (any_member(), any::<u8>()),
        1..8,
    );
    let change = prop::option::of((index(), any_change_kind()));
    let ended = prop::collection::vec((index(), any_change_kind(), any::<bool>()), 0..4);
    let removed = prop::collection::btree_map(any::<u64>().prop_map(NodeId), index(), 0..4);
    (members, change, ended, removed).prop_map(|(places, change, ended, removed)| {
        let last_id = *places.keys().next_back().expect("there is at least one");
        let mut membership = Membership { last_id, removed, ..Membership::default() };
        membership.change = change.map(|(number, what)| Change { number, what });
        membership.ended = ended
            .into_iter()
            .map(|(number, what, is_done)| EndedChange { number, what, is_done })
            .collect();
        for (id, (member, place)) in places {
            membership.members.insert(id, member);
            if place % 3 > 0 || membership.voters.is_empty() {
                membership.voters.insert(id);
            }
            if place % 2 > 0 && membership.change.is_some() {
                membership.outgoing.insert(id);
            }
        }
        membership
    })
}

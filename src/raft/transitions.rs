//! The steps of a change of the members (docs/adr/0026), each as a function from one membership
//! to the next. When a step may be taken is the matter of `membership`.

use std::collections::BTreeSet;

use crate::types::{
    Change, ChangeKind, ENDED_CHANGES_MAX, EndedChange, LogIndex, Member, Membership, NodeId,
    REMOVED_MAX,
};

/// The voters after the change.
pub(super) fn voters_after(before: &Membership, what: ChangeKind) -> BTreeSet<NodeId> {
    let mut voters = before.voters.clone();
    match what {
        ChangeKind::Add { id } | ChangeKind::Promote { id } => {
            voters.insert(id);
        }
        ChangeKind::Remove { id } | ChangeKind::Demote { id } => {
            voters.remove(&id);
        }
        ChangeKind::Replace { old, new } => {
            voters.remove(&old);
            voters.insert(new);
        }
        ChangeKind::AddLearner { .. } | ChangeKind::Update { .. } => {}
    }
    voters
}

/// The membership that begins the change with the entry `index`: joint if nobody has to catch up
/// first, and the end of the change if no vote changes. `member` has the addresses of a newcomer,
/// or the new ones of a member.
///
/// # Panics
/// Without the addresses that the change needs: a request has them.
pub(super) fn begin(
    before: &Membership,
    index: LogIndex,
    what: ChangeKind,
    member: Option<&Member>,
) -> Membership {
    let mut after = before.clone();
    let change = Change { number: index, what };
    match what {
        ChangeKind::Add { id }
        | ChangeKind::AddLearner { id }
        | ChangeKind::Replace { new: id, .. }
        | ChangeKind::Update { id } => {
            let member = member.expect("the request has the addresses of this server");
            after.members.insert(id, member.clone());
            after.last_id = after.last_id.max(id);
        }
        ChangeKind::Remove { .. } | ChangeKind::Promote { .. } | ChangeKind::Demote { .. } => {}
    }
    after.change = Some(change);
    let voters = voters_after(before, what);
    if what.candidate().is_some() {
        after
    } else if voters == before.voters {
        finish(&after, index)
    } else {
        join(&after)
    }
}

/// The joint membership of the change that is under way (dissertation §4.3).
///
/// # Panics
/// Without a change.
pub(super) fn join(before: &Membership) -> Membership {
    let change = before.change.as_ref().expect("a joint membership is that of a change");
    let voters = voters_after(before, change.what);
    Membership { voters, outgoing: before.voters.clone(), ..before.clone() }
}

/// The membership that ends the change that is under way with the entry `index`.
///
/// # Panics
/// Without a change.
pub(super) fn finish(before: &Membership, index: LogIndex) -> Membership {
    let mut after = before.clone();
    after.outgoing.clear();
    let what = end(&mut after, true);
    if let Some(leaver) = what.leaver() {
        remove(&mut after, leaver, index);
    }
    after
}

/// The membership that takes the change back with the entry `index`: a newcomer is removed, and
/// its id is not used again.
///
/// # Panics
/// Without a change.
pub(super) fn cancel(before: &Membership, index: LogIndex) -> Membership {
    let mut after = before.clone();
    match end(&mut after, false) {
        ChangeKind::Add { id } | ChangeKind::Replace { new: id, .. } => {
            remove(&mut after, id, index);
        }
        _ => {}
    }
    after
}

/// The membership in which a member has other addresses, because it says so itself. That is no
/// change with a number: nobody waits for it.
pub(super) fn with_addresses(before: &Membership, id: NodeId, member: Member) -> Membership {
    let mut after = before.clone();
    after.members.insert(id, member);
    after
}

fn end(membership: &mut Membership, is_done: bool) -> ChangeKind {
    let Change { number, what } =
        membership.change.take().expect("only a change that is under way ends");
    membership.ended.push(EndedChange { number, what, is_done });
    let excess = membership.ended.len().saturating_sub(ENDED_CHANGES_MAX);
    membership.ended.drain(..excess);
    what
}

fn remove(membership: &mut Membership, id: NodeId, index: LogIndex) {
    membership.members.remove(&id);
    membership.removed.insert(id, index);
    while membership.removed.len() > REMOVED_MAX {
        let oldest = membership.removed.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id);
        oldest.map(|id| membership.removed.remove(&id));
    }
}

#[cfg(test)]
mod tests;

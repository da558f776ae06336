//! The membership in force at each place of each log (dissertation §4, docs/adr/0026), and the
//! steps by which leaders change it.
//!
//! A membership is in force as soon as it is in a log. So every election, every vote and every
//! commit is judged by the log of the node that counts, and not by what the nodes say of
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disks::{Disks, Finding, ensure};
use super::durable::{Slot, newest};
use super::replication::Replication;
use crate::testing::simulation::checks::violation::Check;
use crate::types::{Entry, LogIndex, LogPosition, Membership, NodeId, Payload, Term};

/// The changes of members, as the messages and the statuses show them.
#[derive(Default)]
pub(super) struct Members {
    /// The memberships that a leader has sent in the term in which it made them.
    sent: BTreeSet<LogPosition>,
    /// The newest membership that is known to be committed.
    committed: Option<(LogPosition, Arc<Membership>)>,
    /// The nodes whose current life knows that they were removed, with the term in which they said
    /// so.
    resting: BTreeMap<NodeId, Term>,
}

impl Members {
    /// A node starts. It may have to be told again that it was removed.
    pub fn on_start(&mut self, node: NodeId) {
        self.resting.remove(&node);
    }

    /// The status of a node says how far it has applied its log, and in which role it is.
    pub fn on_sample(
        &mut self,
        node: NodeId,
        term: Term,
        last_applied: LogIndex,
        is_removed: bool,
        disks: &mut Disks,
    ) {
        if is_removed {
            self.resting.entry(node).or_insert(term);
        }
        // The disk has all that is applied.
        let log = disks.of(node).log();
        let applied = log.get(..last_applied.0 as usize).unwrap_or(log);
        let Some(at) = newest(applied) else { return };
        if self.committed.as_ref().is_none_or(|(known, _)| known.index < at.index) {
            self.committed = Some((at, disks.membership(at)));
        }
    }

    /// The newest membership that is known to be committed, with its entry.
    pub fn committed(&self) -> Option<(LogPosition, Arc<Membership>)> {
        self.committed.clone()
    }

    /// True of a server that the newest committed membership has removed.
    pub fn is_removed(&self, node: NodeId) -> bool {
        self.committed.as_ref().is_some_and(|(_, membership)| membership.is_removed(node))
    }

    /// "It does not campaign from then on" (docs/adr/0026): a node that knows that it was removed
    /// takes part in no later term.
    pub fn check_rest(&self, node: NodeId, term: Term, what: &str) -> Finding {
        let since = self.resting.get(&node);
        ensure(since.is_none_or(|since| term <= *since), Check::Removed, || {
            format!("n{node} knows since term {since:?} that it was removed, and {what} in {term}")
        })
    }

    /// The leader of `term` sends an entry. `before` is its log before the entry.
    pub fn on_entry(
        &mut self,
        leader: NodeId,
        term: Term,
        entry: &Entry,
        before: &[Slot],
        replication: &Replication,
        disks: &mut Disks,
    ) -> Finding {
        let Payload::Membership(next) = &entry.payload else { return Ok(()) };
        if entry.term != term || !self.sent.insert(entry.position()) {
            return Ok(());
        }
        let at = entry.position();
        let Some(last) = newest(before) else {
            let initial = disks.initial(leader);
            return ensure(next.voters == initial.voters, Check::Membership, || {
                format!("n{leader} founds a cluster of {next:?}, and not of {initial:?}")
            });
        };
        let now = disks.membership(last);
        check_step(&now, next, at)?;
        let is_committed = replication.is_held_by(last, &now, disks);
        ensure(is_committed, Check::Membership, || {
            format!("n{leader} appends the membership {at} before {last} is committed")
        })?;
        // "not until it has committed an entry of its term" (Ongaro 2015).
        let own = before.partition_point(|slot| slot.term < term);
        let own_at = LogPosition { term, index: LogIndex(own as u64 + 1) };
        let has_committed = own < before.len() && replication.is_held_by(own_at, &now, disks);
        ensure(has_committed, Check::Membership, || {
            format!("n{leader} appends the membership {at} before it has committed in term {term}")
        })
    }
}

/// Checks that `next` may follow `now`: voters change through a joint membership only (dissertation
/// §4.3), a server learns before it votes (§4.2.1), and ids are used once (docs/adr/0026).
pub(crate) fn check_step(now: &Membership, next: &Membership, at: LogPosition) -> Finding {
    let complain = |what: &str| {
        ensure(false, Check::Membership, || format!("{at} {what}: {now:?}, then {next:?}"))
    };
    let is_end_of_joint = now.is_joint() && !next.is_joint();
    if now.is_joint() && next.is_joint() {
        return complain("is joint, and so is the membership before it");
    }
    if is_end_of_joint && next.voters != now.voters {
        return complain("ends a joint membership with other voters");
    }
    if next.is_joint() && next.outgoing != now.voters {
        return complain("is joint with other voters than those in force");
    }
    if !now.is_joint() && !next.is_joint() && next.voters != now.voters {
        return complain("changes the voters without a joint membership");
    }
    let known = now.ids();
    if next.voters.iter().any(|voter| !known.contains(voter)) {
        return complain("makes a server a voter that was no member");
    }
    if next.ids().iter().any(|id| !known.contains(id) && *id <= now.last_id) {
        return complain("uses an id again");
    }
    if next.last_id < now.last_id {
        return complain("forgets an id");
    }
    let forgotten = |id: &&NodeId| !next.removed.contains_key(id) && next.is_member(**id);
    if now.removed.keys().any(|id| forgotten(&id)) {
        return complain("brings a removed server back");
    }
    if now.is_seed() && !next.is_seed() && next.is_joint() {
        return complain("changes the voters of a membership without addresses");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

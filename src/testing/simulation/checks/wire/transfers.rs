//! Transfers of the leadership (dissertation §3.10, docs/adr/0028), as the messages show them.

use std::collections::BTreeMap;

use super::disks::{Disks, Finding, ensure};
use super::replication::Replication;
use crate::raft::{RequestVote, TimeoutNow};
use crate::testing::simulation::checks::violation::Check;
use crate::types::{LogPosition, NodeId, Term};

/// The orders to campaign.
#[derive(Default)]
pub(super) struct Transfers {
    /// The ends of the log that the leader of a term has named to a node.
    orders: BTreeMap<(NodeId, Term), Vec<LogPosition>>,
}

impl Transfers {
    /// "the prior leader should ... send a TimeoutNow request" when "all of its log entries" are
    /// with the target: nothing follows the order's end, and a quorum holds it, so that no client
    /// waits for an outcome.
    pub fn on_order(
        &mut self,
        leader: NodeId,
        target: NodeId,
        term: Term,
        order: TimeoutNow,
        replication: &Replication,
        disks: &mut Disks,
    ) -> Finding {
        self.orders.entry((target, term)).or_default().push(order.last);
        let sent = replication.log_of(term).map_or(0, <[_]>::len);
        ensure(sent as u64 <= order.last.index.0, Check::Transfer, || {
            format!("n{leader} hands over at {} in term {term}, and has sent {sent}", order.last)
        })?;
        ensure(replication.is_held_by_quorum(order.last, disks), Check::Transfer, || {
            format!("n{leader} hands over at {}, which is not committed", order.last)
        })?;
        let membership = disks.in_force_on_disk(leader, order.last.index.0 as usize);
        ensure(membership.voters.contains(&target), Check::Transfer, || {
            format!("n{leader} hands over to n{target}, which has no vote in {membership:?}")
        })
    }

    /// A node that asks for votes in a way that others grant although they hear a leader was
    /// ordered to, by the leader of the term before, with the log that it still has.
    pub fn check_vote(&self, candidate: NodeId, term: Term, request: RequestVote) -> Finding {
        let before = term.0.checked_sub(1).map(Term);
        let orders = before.and_then(|before| self.orders.get(&(candidate, before)));
        let is_ordered = orders.is_some_and(|orders| orders.contains(&request.last));
        ensure(is_ordered, Check::Transfer, || {
            format!(
                "n{candidate} stands in term {term} with a log up to {}, by the orders {orders:?}",
                request.last
            )
        })
    }
}

//! The transfers of the leadership as a leader keeps them (docs/adr/0028): the one that is under
//! way, and the peers that did not take over before.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{NodeId, TransferTarget};

/// The reason why a transfer has come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferFailure {
    /// The target does not campaign.
    #[error("server {0} refused to campaign")]
    Refused(NodeId),
    /// The target is no longer connected.
    #[error("server {0} is gone")]
    Gone(NodeId),
    /// The target was not elected in time.
    #[error("server {0} was not elected in time")]
    TimedOut(NodeId),
    /// The target did not hold the whole log in time.
    #[error("server {0} did not catch up in time")]
    Lagging(NodeId),
}

/// The transfers of one leadership.
#[derive(Default)]
pub(super) struct Handovers {
    under_way: Option<Handover>,
    /// True since the first transfer began. An order of it may elect somebody as long as the term
    /// lasts, so no lease holds any more.
    has_begun: bool,
    /// For each peer the number of times that it did not take over in this term.
    failures: BTreeMap<NodeId, u32>,
    /// Ticks for which a leader that nobody asks does not try again, so that commands get on
    /// between two attempts.
    pause_ticks: u32,
}

/// A transfer that is under way.
struct Handover {
    wanted: TransferTarget,
    to: NodeId,
    /// The peers that did not take over in this transfer.
    tried: BTreeSet<NodeId>,
    /// Ticks until it has come to nothing.
    left_ticks: u32,
    /// True when the target was told to campaign.
    is_ordered: bool,
}

/// A peer that could lead at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) id: NodeId,
    /// The tick of this node at which it has connected.
    pub(super) attached_at: u64,
}

impl Handovers {
    /// A transfer to `to` begins, and comes to nothing after `ticks`.
    pub(super) fn begin(&mut self, wanted: TransferTarget, to: NodeId, ticks: u32) {
        let tried = BTreeSet::new();
        let handover = Handover { wanted, to, tried, left_ticks: ticks, is_ordered: false };
        self.under_way = Some(handover);
        self.has_begun = true;
    }

    /// The target of the transfer under way.
    pub(super) fn target(&self) -> Option<NodeId> {
        self.under_way.as_ref().map(|handover| handover.to)
    }

    /// True once a transfer has begun in this leadership.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The target that has yet to be told to campaign.
    pub(super) fn unordered(&self) -> Option<NodeId> {
        self.under_way.as_ref().filter(|handover| !handover.is_ordered).map(|handover| handover.to)
    }

    /// The target was told to campaign.
    pub(super) fn on_ordered(&mut self) {
        if let Some(handover) = &mut self.under_way {
            handover.is_ordered = true;
        }
    }

    /// Advances time by one tick. Returns the failure of a transfer whose time is over.
    pub(super) fn tick(&mut self) -> Option<TransferFailure> {
        self.pause_ticks = self.pause_ticks.saturating_sub(1);
        let handover = self.under_way.as_mut()?;
        handover.left_ticks = handover.left_ticks.saturating_sub(1);
        match (handover.left_ticks, handover.is_ordered) {
            (0, true) => Some(TransferFailure::TimedOut(handover.to)),
            (0, false) => Some(TransferFailure::Lagging(handover.to)),
            _ => None,
        }
    }

    /// The target does not take over. Returns the peers that must not be tried next, if a person
    /// has left the choice to this node, and there is time for another target.
    pub(super) fn give_up_target(&mut self) -> Option<BTreeSet<NodeId>> {
        let handover = self.under_way.as_mut()?;
        *self.failures.entry(handover.to).or_default() += 1;
        handover.tried.insert(handover.to);
        match &handover.wanted {
            TransferTarget::Avoid(avoid) if handover.left_ticks > 0 => {
                Some(avoid.union(&handover.tried).copied().collect())
            }
            _ => None,
        }
    }

    /// The transfer under way goes on with another target.
    pub(super) fn retarget(&mut self, to: NodeId) {
        if let Some(handover) = &mut self.under_way {
            (handover.to, handover.is_ordered) = (to, false);
        }
    }

    /// The transfer has come to nothing. A leader that nobody asks pauses for `pause_ticks`.
    pub(super) fn end(&mut self, pause_ticks: u32) {
        self.under_way = None;
        self.pause_ticks = pause_ticks;
    }

    /// True while a leader that nobody asks waits before it tries again.
    pub(super) fn pauses(&self) -> bool {
        self.pause_ticks > 0
    }

    /// The best of these: one that failed less often than others in this term, and among those
    /// the one that has connected last. In a rolling restart it was restarted already, so the
    /// leadership does not move again (docs/adr/0028).
    pub(super) fn best(&self, successors: &[Successor]) -> Option<NodeId> {
        let failures = |id| self.failures.get(&id).copied().unwrap_or_default();
        let rank = |peer: &&Successor| (std::cmp::Reverse(failures(peer.id)), peer.attached_at);
        successors.iter().max_by_key(rank).map(|peer| peer.id)
    }
}

#[cfg(test)]
mod tests;

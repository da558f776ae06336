//! Leadership transfer (dissertation §3.10, docs/adr/0028): the leader hands its office to a
//! follower of its choice, without an election timeout.
//!
//! | step | of | what happens |
//! |---|---|---|
//! | check | the leader | a target that could not take over at once is refused |
//! | freeze | the leader | it appends nothing more, and its leases are given up |
//! | drain | the leader | the target holds the whole log, and all of it is committed and applied |
//! | send | the leader | `TimeoutNow`, with the end of the log |
//! | campaign | the target | an election without a PreVote, whose requests are `TransferVote` |
//! | vote | all | a `TransferVote` counts although the leader lives, and although a promise lasts |

use std::collections::BTreeSet;

use super::effect::Effect;
use super::event::Event;
use super::handover::{Successor, TransferFailure};
use super::leadership::Leadership;
use super::role::RoleState;
use super::rpc::{Rpc, TimeoutNow};
use super::state::{NotLeader, Raft};
use crate::types::{Format, NodeId, TransferTarget};

/// The first format that has the messages of a transfer.
const TRANSFER_SINCE: Format = Format(3);

/// Number of entries that a target may lack when a transfer begins. They reach it within a few
/// milliseconds, and commands wait for no longer.
const BEHIND_ENTRIES_MAX: u64 = 1_000;

/// The outcome of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing is to be done: the wished node leads.
    Already,
    /// A transfer to this node is under way: no command is proposed until it has ended, by
    /// `Effect::StopReplication` or `Effect::TransferFailed`.
    Begun {
        /// The node.
        to: NodeId,
    },
}

/// The reason why a transfer is refused. It is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefusal {
    /// Another node leads.
    #[error("{0}")]
    NotLeader(NotLeader),
    /// The leader does not know enough of its peers yet, for this reason. Within a second it
    /// does.
    #[error("{0}: try again in a second")]
    TooEarly(String),
    /// The transfer is refused, with this reason and what to do.
    #[error("{0}")]
    Refused(String),
}

impl Raft {
    // The leader.

    /// Begins to hand the leadership over. Until `Effect::TransferFailed` or
    /// `Effect::StopReplication` this node proposes nothing. A transfer to the same node that is
    /// under way is the answer, too.
    ///
    /// # Errors
    /// When this node does not lead, and when no such node can take over at once.
    pub fn request_transfer(
        &mut self,
        target: &TransferTarget,
    ) -> Result<Transfer, TransferRefusal> {
        let RoleState::Leader(leadership) = &self.role else {
            return Err(TransferRefusal::NotLeader(NotLeader { leader_id: self.leader_id() }));
        };
        if *target == TransferTarget::To(self.settings.id) {
            return Ok(Transfer::Already);
        }
        if let Some(to) = leadership.handovers.target() {
            let is_wanted = match target {
                TransferTarget::To(id) => *id == to,
                TransferTarget::Avoid(ids) => !ids.contains(&to),
            };
            let reason = format!("the leadership is being handed over to {to} already");
            return is_wanted
                .then_some(Transfer::Begun { to })
                .ok_or(TransferRefusal::Refused(reason));
        }
        let to = self.judge_transfer(leadership, target)?;
        self.begin_handover(target.clone(), to);
        Ok(Transfer::Begun { to })
    }

    /// The node that the leadership can be handed to, or the reason why there is none.
    fn judge_transfer(
        &self,
        leadership: &Leadership,
        target: &TransferTarget,
    ) -> Result<NodeId, TransferRefusal> {
        let in_force = self.store_format();
        if in_force < TRANSFER_SINCE {
            let waits = self.raise_waits_for().unwrap_or_else(|| "it is not raised yet".to_owned());
            return Err(TransferRefusal::Refused(format!(
                "format {in_force} is in force, and a transfer of the leadership needs \
                 {TRANSFER_SINCE}: {waits}"
            )));
        }
        if self.membership().is_joint() {
            return Err(TransferRefusal::Refused(
                "a change of the members is between its two halves, and ends by itself: wait for \
                 it by `coracle member wait`, and try again"
                    .to_owned(),
            ));
        }
        if self.commit_index < leadership.reads.first_index() {
            let reason = "this leader has committed nothing in its term yet";
            return Err(TransferRefusal::TooEarly(reason.to_owned()));
        }
        match target {
            TransferTarget::To(id) => self.judge_successor(leadership, *id).map(|()| *id),
            TransferTarget::Avoid(avoid) => self.best_successor(leadership, avoid),
        }
    }

    /// The best node that is not among `avoid`, or the reasons why there is none.
    fn best_successor(
        &self,
        leadership: &Leadership,
        avoid: &BTreeSet<NodeId>,
    ) -> Result<NodeId, TransferRefusal> {
        let (mut successors, mut reasons, mut early) = (Vec::new(), Vec::new(), None);
        for id in self.other_voters().into_iter().filter(|id| !avoid.contains(id)) {
            match self.judge_successor(leadership, id) {
                Ok(()) => {
                    successors.push(Successor { id, attached_at: self.attached_at(id) });
                }
                Err(refusal @ TransferRefusal::TooEarly(_)) => early = Some(refusal),
                Err(refusal) => reasons.push(refusal.to_string()),
            }
        }
        match (leadership.handovers.best(&successors), early) {
            (Some(best), _) => Ok(best),
            (None, Some(early)) => Err(early),
            (None, None) if reasons.is_empty() => {
                Err(TransferRefusal::Refused("there is no other voter to choose from".to_owned()))
            }
            (None, None) => Err(TransferRefusal::Refused(reasons.join("; "))),
        }
    }

    /// Judges whether `id` could lead at once.
    fn judge_successor(&self, leadership: &Leadership, id: NodeId) -> Result<(), TransferRefusal> {
        let refuse = |reason: String| Err(TransferRefusal::Refused(reason));
        if !self.membership().is_member(id) {
            return refuse(format!("{id} is no member: see `coracle member list`"));
        }
        if !self.membership().is_voter(id) {
            return refuse(format!("{id} is a learner: `coracle member promote {id}` first"));
        }
        if leadership.is_rejoining(id) {
            return refuse(format!("{id} has lost what it had, and catches up"));
        }
        let per_second = self.settings.ticks_per_second.max(1);
        let silent_ticks = leadership.silent_ticks(id);
        if silent_ticks > self.settings.election_timeout_ticks_max {
            return refuse(format!("{id} is unseen for {} s", silent_ticks / per_second));
        }
        if self.gate.peer(id).is_some_and(|peer| peer.is_draining) {
            return refuse(format!("{id} is drained: `coracle undrain {id}` first"));
        }
        if !leadership.has_reported(id) {
            let reason = format!("{id} has not answered this leader yet");
            return Err(TransferRefusal::TooEarly(reason));
        }
        let match_index = leadership.match_index(id);
        let behind = self.log.last().index.0 - match_index.0;
        if behind > BEHIND_ENTRIES_MAX {
            let age_s = leadership.pace.age_ticks(match_index) / u64::from(per_second);
            return refuse(format!("{id} is {} entries ({age_s} s) behind", grouped(behind)));
        }
        Ok(())
    }

    /// The tick at which the peer has connected; 0 for one that is not connected.
    fn attached_at(&self, id: NodeId) -> u64 {
        self.gate.peer(id).map_or(0, |peer| peer.attached_at)
    }

    /// The freeze: from here on nothing is appended, and no lease holds.
    fn begin_handover(&mut self, wanted: TransferTarget, to: NodeId) {
        let ticks = self.settings.election_timeout_ticks_min;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        leadership.handovers.begin(wanted, to, ticks);
        let term = leadership.term();
        self.tell(Event::HandsOver { to, term });
        self.advance_handover();
    }

    /// Tells the target to campaign, once it holds the whole log, and all of it is committed and
    /// applied: then no client waits for an outcome.
    pub(super) fn advance_handover(&mut self) {
        let last = self.log.last();
        let is_all_applied = self.last_applied() == last.index;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let Some(to) = leadership.handovers.unordered() else { return };
        if is_all_applied && leadership.match_index(to) == last.index {
            leadership.handovers.on_ordered();
            self.effects
                .push(Effect::Send(self.envelope(to, Rpc::TimeoutNow(TimeoutNow { last }))));
        }
    }

    /// As the leader: counts the time of a transfer. A drained leader begins one by itself.
    pub(super) fn tick_handover(&mut self) {
        let last = self.log.last().index;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        leadership.pace.tick(last, self.settings.ticks_per_second);
        if let Some(failure) = leadership.handovers.tick() {
            self.fail_handover(failure);
        }
        self.hand_over_if_drained();
    }

    fn hand_over_if_drained(&mut self) {
        let RoleState::Leader(leadership) = &self.role else { return };
        if self.is_draining && !leadership.handovers.pauses() {
            // A refusal is no news: it is asked again at the next tick.
            let _ = self.request_transfer(&TransferTarget::Avoid(BTreeSet::new()));
        }
    }

    /// The peer answers that it does not campaign.
    pub(super) fn on_transfer_refused(&mut self, from: NodeId) {
        self.fail_handover_to(from, TransferFailure::Refused(from));
    }

    /// The process of the peer has ended, or its connection has.
    pub(super) fn on_successor_gone(&mut self, peer: NodeId) {
        self.fail_handover_to(peer, TransferFailure::Gone(peer));
    }

    fn fail_handover_to(&mut self, peer: NodeId, failure: TransferFailure) {
        if let RoleState::Leader(leadership) = &self.role
            && leadership.handovers.target() == Some(peer)
        {
            self.fail_handover(failure);
        }
    }

    /// The target does not take over: the next best is tried if nobody has named one, else
    /// commands go on.
    fn fail_handover(&mut self, failure: TransferFailure) {
        let pause_ticks = self.settings.election_timeout_ticks_min;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let (avoid, term) = (leadership.handovers.give_up_target(), leadership.term());
        let RoleState::Leader(leadership) = &self.role else { return };
        let next = avoid.and_then(|avoid| self.best_successor(leadership, &avoid).ok());
        let RoleState::Leader(leadership) = &mut self.role else { return };
        match next {
            Some(to) => {
                leadership.handovers.retarget(to);
                self.tell(Event::HandsOver { to, term });
                self.advance_handover();
            }
            None => {
                leadership.handovers.end(pause_ticks);
                self.effects.push(Effect::TransferFailed(failure));
            }
        }
    }

    /// True while a transfer is under way: commands wait.
    pub fn is_transferring(&self) -> bool {
        matches!(&self.role, RoleState::Leader(leadership)
            if leadership.handovers.target().is_some())
    }

    /// True when this node has handed its leadership over, or has lost it meanwhile, and does not
    /// know the next leader yet. That ends with its own election timeout at the latest.
    pub fn awaits_successor(&self) -> bool {
        self.awaits_successor
    }

    /// The reason why a leader can hand over to nobody, now and within a second; `None` when
    /// it can, while it does, and on any other node.
    pub fn hand_over_obstacle(&self) -> Option<String> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        let anybody = TransferTarget::Avoid(BTreeSet::new());
        match self.judge_transfer(leadership, &anybody) {
            Err(TransferRefusal::Refused(reason)) if !self.is_transferring() => Some(reason),
            _ => None,
        }
    }

    // Every node.

    /// This node is drained, or is no longer. A drained leader hands over, others do not hand the
    /// leadership to a drained node, and it is slower than others to campaign.
    pub fn set_draining(&mut self, is_draining: bool) {
        self.is_draining = is_draining;
        self.has_sat_out = false;
        self.hand_over_if_drained();
    }

    /// True while this node is drained.
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// True when the others are to be told that this node is drained. A leader does not tell: the
    /// new hello would end the very connections by which it hands over.
    pub(super) fn announces_draining(&self) -> bool {
        let is_announced = self.gate.announced_key.is_some_and(|key| key.is_draining);
        self.is_draining && (is_announced || !matches!(self.role, RoleState::Leader(_)))
    }

    /// True when this node lets its election timeout pass this once: it is drained, and another
    /// node may stand for election meanwhile.
    pub(super) fn sits_out(&mut self) -> bool {
        self.is_draining && !std::mem::replace(&mut self.has_sat_out, true)
    }

    // The target.

    /// A leader of our term asks us to campaign at once. The order may be late: then our leader
    /// or the end of our log has changed, and an election would only disturb.
    pub(super) fn on_timeout_now(&mut self, from: NodeId, order: TimeoutNow) {
        match self.objection_to(from, order) {
            None => self.campaign_for_transfer(),
            Some(reason) => {
                self.tell(Event::RefusedTransfer { leader_id: from, reason });
                self.send(from, Rpc::TransferRefused);
            }
        }
    }

    fn objection_to(&self, from: NodeId, order: TimeoutNow) -> Option<&'static str> {
        if self.leader_id() != Some(from) {
            Some("it does not follow that leader")
        } else if self.is_draining {
            Some("it is drained")
        } else if self.log.last() != order.last {
            Some("its log does not end where the leader's does")
        } else if !self.may_campaign_now() {
            Some("it cannot be elected")
        } else {
            None
        }
    }
}

/// The number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

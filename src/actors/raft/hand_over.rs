//! The hand-over of the leadership: the commands that are held back meanwhile, those of operators,
//! and the end of this process (docs/adr/0028). A transfer is answered when the next leader is
//! known, a drain when this node does not lead.

use actix::{Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::RaftActor;
use super::held::HeldCommand;
use super::transfers::{PendingDrain, PendingTransfer, Stage};
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::lifecycle::HandOver;
use crate::actors::messages::replies::{Replies, reply};
use crate::protocol::{ClientRequest, Refusal};
use crate::raft::{Role, Transfer, TransferFailure, TransferRefusal};
use crate::types::TransferTarget;

impl RaftActor {
    /// True when a command has to wait for the end of a transfer.
    pub(super) fn must_hold(&self, request: &ClientRequest, session: SessionId) -> bool {
        let held = &self.pending.held;
        let is_leaderless = self.raft.awaits_successor();
        let is_undecided = is_leaderless || self.raft.is_transferring();
        match request {
            ClientRequest::Write(_) | ClientRequest::Renew { is_anywhere: false, .. } => {
                let is_leader = self.raft.role() == Role::Leader;
                is_undecided || is_leader && !held.is_empty() || held.has_any_of(session)
            }
            ClientRequest::WriteAnywhere(_) | ClientRequest::Renew { is_anywhere: true, .. } => {
                is_undecided
                    || !held.is_empty()
                    || self.pending.forwards.has_refused()
                    || self.waits_for_leader()
            }
            ClientRequest::Read(_) | ClientRequest::BeginSnapshot => {
                is_leaderless || held.has_any_of(session)
            }
            ClientRequest::ReadAnywhere(_) | ClientRequest::ReadApplied(_) => {
                held.has_any_of(session)
            }
            _ => false,
        }
    }

    /// Holds a command back, within the bounds of all that waits.
    pub(super) fn hold(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) {
            return Err(self.busy(request.is_anywhere()));
        }
        let reply_handle = reply_handle.clone();
        self.pending.held.add(HeldCommand { request, reply_handle, expires_at_tick });
        Ok(())
    }

    /// Ends the waiting, if the transfer has ended and its outcome is known. Returns true when the
    /// core has something to do.
    pub(super) fn release_held(&mut self, ctx: &Context<Self>) -> bool {
        let is_undecided = self.raft.is_transferring() || self.raft.awaits_successor();
        let has_to_wait = is_undecided
            || self.pending.forwards.has_refused()
            || self.waits_for_leader() && self.pending.held.are_all_anywhere();
        if self.pending.held.is_empty() || has_to_wait {
            return false;
        }
        let mut refused = Replies::default();
        let mut in_order = Vec::new();
        for command in self.pending.held.take_all() {
            self.propose_renewals_before(&command.request, command.reply_handle.session);
            if self.pending.order.must_go_back(&command, &in_order) {
                in_order.push(command);
                continue;
            }
            let is_anywhere = command.is_anywhere();
            let HeldCommand { request, reply_handle, expires_at_tick } = command;
            // On a node that does not lead any more this is the redirect, or the command is
            // forwarded; it is held again if no leader is known to forward it to.
            let outcome = self.start(request, &reply_handle, expires_at_tick, ctx);
            if let Err(refusal) = outcome {
                let refusal = ClientReply::Refused(self.refusal_to(is_anywhere, refusal));
                self.pending.moments.end_refused(&reply_handle, &refusal);
                refused.add(reply_handle, refusal);
            }
        }
        self.pending.order.put_back(in_order);
        refused.send();
        true
    }

    /// Refuses the held commands whose time is over. Nothing of them was proposed, so none may have
    /// been executed.
    pub(super) fn time_out_held(&mut self) {
        let mut replies = Replies::default();
        for command in self.pending.held.take_expired(self.ticks) {
            self.pending.moments.end_request(&command.reply_handle, &command.request);
            let refusal = self.waited_too_long(command.is_anywhere());
            replies.add(command.reply_handle, ClientReply::Refused(refusal));
        }
        replies.send();
    }
}

impl RaftActor {
    /// Hands the leadership over. The answer waits until the next leader is known.
    pub(super) fn transfer(
        &mut self,
        target: TransferTarget,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.transfers.has_most() {
            return Err(self.busy_or_not_leader());
        }
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        self.begin_transfer(target, reply_handle, expires_at_tick)
    }

    fn begin_transfer(
        &mut self,
        target: TransferTarget,
        reply_handle: ReplyHandle,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        let stage = match self.raft.request_transfer(&target) {
            Ok(Transfer::Begun { .. }) => Stage::Begun(self.raft.term()),
            Err(TransferRefusal::TooEarly(reason)) => Stage::TooEarly(reason),
            Ok(Transfer::Already) => {
                reply(reply_handle, ClientReply::Already);
                return Ok(());
            }
            Err(TransferRefusal::Refused(reason)) => {
                reply(reply_handle, ClientReply::RefusedBecause(reason));
                return Ok(());
            }
            Err(TransferRefusal::NotLeader(_)) => return Err(self.not_leader()),
        };
        let transfer = PendingTransfer { target, stage, reply_handle, expires_at_tick };
        self.transfers.transfers.push(transfer);
        Ok(())
    }

    /// Drains this node, or ends that. The answer of a leader waits until it has handed over.
    pub(super) fn drain(
        &mut self,
        is_draining: bool,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.transfers.has_most() {
            return Err(Refusal::Busy);
        }
        self.raft.set_draining(is_draining);
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        if is_draining {
            self.transfers.drains.push(PendingDrain { reply_handle, expires_at_tick });
        } else {
            reply(reply_handle, ClientReply::Draining);
        }
        Ok(())
    }

    /// Asks again for the transfers that came too early.
    pub(super) fn retry_transfers(&mut self) {
        let tick = self.ticks;
        let is_early = |it: &mut PendingTransfer| {
            matches!(it.stage, Stage::TooEarly(_)) && it.expires_at_tick > tick
        };
        let early: Vec<PendingTransfer> =
            self.transfers.transfers.extract_if(.., is_early).collect();
        for PendingTransfer { target, reply_handle, expires_at_tick, .. } in early {
            let outcome = self.begin_transfer(target, reply_handle.clone(), expires_at_tick);
            if let Err(refusal) = outcome {
                reply(reply_handle, ClientReply::Refused(refusal));
            }
        }
    }

    /// The transfer under way has come to nothing: commands go on, and who waits for it is told.
    pub(super) fn on_transfer_failed(&mut self, failure: TransferFailure) {
        self.upkeep.lines.log_failed_transfer(&failure, self.raft.id());
        let is_begun = |it: &mut PendingTransfer| matches!(it.stage, Stage::Begun(_));
        let mut replies = Replies::default();
        for transfer in self.transfers.transfers.extract_if(.., is_begun) {
            let sentence = format!("{failure}: server {} leads on", self.raft.id());
            replies.add(transfer.reply_handle, ClientReply::RefusedBecause(sentence));
        }
        replies.send();
    }

    /// Answers those who wait for a leader of a later term, or for this node to lead no more.
    pub(super) fn answer_transfers(&mut self) {
        let mut replies = Replies::default();
        if let Some(leader) = self.raft.leader_id() {
            let term = self.raft.term();
            let is_over = |it: &mut PendingTransfer| match it.stage {
                Stage::Begun(began_in) => began_in < term,
                Stage::TooEarly(_) => false,
            };
            for transfer in self.transfers.transfers.extract_if(.., is_over) {
                let answer = ClientReply::Transferred { leader, term };
                replies.add(transfer.reply_handle, answer);
            }
        }
        if self.transfers.drains.is_empty() && self.transfers.stops.is_empty() {
            return replies.send();
        }
        let obstacle = self.raft.hand_over_obstacle();
        if self.raft.role() != Role::Leader || obstacle.is_some() {
            for PendingDrain { reply_handle, .. } in self.transfers.drains.drain(..) {
                let answer = obstacle.as_ref().map_or(ClientReply::Draining, |reason| {
                    ClientReply::RefusedBecause(format!("it is drained, but leads on: {reason}"))
                });
                replies.add(reply_handle, answer);
            }
            if self.pending.held.is_empty() && !self.raft.awaits_successor() {
                for stop in self.transfers.stops.drain(..) {
                    // One that has waited for long enough is gone.
                    let _ = stop.send(());
                }
            }
        }
        replies.send();
    }

    /// Ends the waiting of the commands whose time is over.
    pub(super) fn time_out_transfers(&mut self) {
        let tick = self.ticks;
        let mut replies = Replies::default();
        let is_expired = |it: &mut PendingTransfer| it.expires_at_tick <= tick;
        for transfer in self.transfers.transfers.extract_if(.., is_expired) {
            let answer = match transfer.stage {
                Stage::TooEarly(reason) => ClientReply::RefusedBecause(reason),
                Stage::Begun(_) => ClientReply::Refused(Refusal::Timeout),
            };
            replies.add(transfer.reply_handle, answer);
        }
        for drain in self.transfers.drains.extract_if(.., |it| it.expires_at_tick <= tick) {
            let sentence = "it is drained, but leads on: nobody has taken over yet".to_owned();
            replies.add(drain.reply_handle, ClientReply::RefusedBecause(sentence));
        }
        replies.send();
    }
}

impl Handler<HandOver> for RaftActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _message: HandOver, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        self.update_clock();
        self.raft.set_draining(true);
        let (stop, is_over) = oneshot::channel();
        self.transfers.stops.push(stop);
        self.flush_soon(ctx);
        Box::pin(async move {
            // The other side goes without a word when the actor ends.
            let _ = is_over.await;
        })
    }
}

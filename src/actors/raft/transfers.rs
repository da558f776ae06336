//! The commands of operators about the leadership, and the end of this process (docs/adr/0028): a
//! transfer is answered when the next leader is known, a drain when this node does not lead.

use actix::{Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::RaftActor;
use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::lifecycle::HandOver;
use crate::actors::messages::replies::{Replies, reply};
use crate::protocol::Refusal;
use crate::raft::{Role, Transfer, TransferFailure, TransferRefusal, TransferTarget};
use crate::types::Term;

/// Maximum number of transfers and drains that wait; beyond, `ERR_BUSY`.
const COMMANDS_MAX: usize = 64;

/// The commands that wait.
#[derive(Default)]
pub(super) struct PendingTransfers {
    transfers: Vec<PendingTransfer>,
    drains: Vec<PendingDrain>,
    /// The parts of the process that wait until this node does not lead, and no command is held.
    stops: Vec<oneshot::Sender<()>>,
}

/// A transfer that waits.
struct PendingTransfer {
    target: TransferTarget,
    stage: Stage,
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

enum Stage {
    /// It has not begun, for this reason, and is asked for again at each tick.
    TooEarly(String),
    /// It has begun in this term.
    Begun(Term),
}

/// A drain of a leader.
struct PendingDrain {
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

impl PendingTransfers {
    fn has_most(&self) -> bool {
        self.transfers.len() + self.drains.len() >= COMMANDS_MAX
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
        log::warn!("the leadership was not handed over node={}: {failure}", self.raft.id());
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
            let is_over = |it: &mut PendingTransfer| matches!(it.stage, Stage::Begun(began_in) if began_in < term);
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
                    // Who has waited for long enough is gone.
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

//! The commands that wait while this node hands its leadership over (docs/adr/0028). Nothing of
//! them was proposed. When the transfer has come to nothing they go on in their order; when it has
//! succeeded they are answered by a redirect, as soon as the new leader is known.
//!
//! Writes wait, and the reads of a session whose writes wait: a session's commands keep their
//! order. Other reads go on, and ask a quorum.

use std::collections::{HashMap, VecDeque};

use actix::Context;

use super::RaftActor;
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::replies::Replies;
use crate::protocol::{ClientRequest, Refusal};

/// A command that waits.
pub(super) struct HeldCommand {
    pub(super) request: ClientRequest,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

/// The commands that wait, by arrival. Invariants: `write_bytes` is the sum over the writes;
/// `by_session` has their number for each session that has any.
#[derive(Default)]
pub(super) struct HeldCommands {
    commands: VecDeque<HeldCommand>,
    write_bytes: u64,
    /// The order of this map is never used.
    by_session: HashMap<SessionId, usize>,
}

impl HeldCommands {
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Bytes of the writes among them.
    pub(super) fn write_bytes(&self) -> u64 {
        self.write_bytes
    }

    /// True when a command of the session waits.
    pub(super) fn has_any_of(&self, session: SessionId) -> bool {
        self.by_session.contains_key(&session)
    }

    pub(super) fn add(&mut self, command: HeldCommand) {
        self.write_bytes += bytes_of(&command.request);
        *self.by_session.entry(command.reply_handle.session).or_default() += 1;
        self.commands.push_back(command);
    }

    /// Removes all commands.
    pub(super) fn take_all(&mut self) -> VecDeque<HeldCommand> {
        std::mem::take(self).commands
    }

    /// Removes the commands whose time is over at `tick`. Their deadlines rise.
    fn take_expired(&mut self, tick: u64) -> Vec<HeldCommand> {
        let count = self.commands.partition_point(|command| command.expires_at_tick <= tick);
        let expired: Vec<HeldCommand> = self.commands.drain(..count).collect();
        for command in &expired {
            self.write_bytes -= bytes_of(&command.request);
            let session = command.reply_handle.session;
            if let Some(count) = self.by_session.get_mut(&session) {
                *count -= 1;
                if *count == 0 {
                    self.by_session.remove(&session);
                }
            }
        }
        expired
    }
}

fn bytes_of(request: &ClientRequest) -> u64 {
    match request {
        ClientRequest::Write(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

impl RaftActor {
    /// True when a command has to wait for the end of a transfer.
    pub(super) fn must_hold(&self, request: &ClientRequest, session: SessionId) -> bool {
        let is_leaderless = self.raft.awaits_successor();
        match request {
            ClientRequest::Write(_) => {
                is_leaderless || self.raft.is_transferring() || !self.pending.held.is_empty()
            }
            ClientRequest::Read(_) | ClientRequest::BeginSnapshot => {
                is_leaderless || self.pending.held.has_any_of(session)
            }
            _ => false,
        }
    }

    /// Holds a command back, within the bounds of all that waits.
    pub(super) fn hold(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) {
            return Err(self.busy_or_not_leader());
        }
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        self.pending.held.add(HeldCommand { request, reply_handle, expires_at_tick });
        Ok(())
    }

    /// Ends the waiting, if the transfer has ended and its outcome is known. Returns true when the
    /// core has something to do.
    pub(super) fn release_held(&mut self, ctx: &Context<Self>) -> bool {
        let is_undecided = self.raft.is_transferring() || self.raft.awaits_successor();
        if self.pending.held.is_empty() || is_undecided {
            return false;
        }
        let mut refused = Replies::default();
        for HeldCommand { request, reply_handle, expires_at_tick } in self.pending.held.take_all() {
            // On a node that does not lead any more this is the redirect.
            let outcome = self.execute_request(request, &reply_handle, expires_at_tick, ctx);
            if let Err(refusal) = outcome {
                refused.add(reply_handle, ClientReply::Refused(refusal));
            }
        }
        refused.send();
        true
    }

    /// Refuses the held commands whose time is over. Nothing of them was proposed, so none may have
    /// been executed.
    pub(super) fn time_out_held(&mut self) {
        let mut replies = Replies::default();
        for command in self.pending.held.take_expired(self.ticks) {
            let refusal = self.busy_or_not_leader();
            replies.add(command.reply_handle, ClientReply::Refused(refusal));
        }
        replies.send();
    }
}

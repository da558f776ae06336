//! The commands that wait while this node hands its leadership over (docs/adr/0028), and on a
//! node that does not lead the commands that wait for a leader to forward them to
//! (docs/adr/0031). Nothing of them was proposed. When the transfer has come to nothing they go on
//! in their order; when it has succeeded they are answered by a redirect, or forwarded, as soon as
//! the new leader is known.
//!
//! Writes wait, and the reads of a session whose writes wait: a session's commands keep their
//! order. Other reads go on, and ask a quorum.

use std::collections::{HashMap, VecDeque};

use crate::actors::messages::clients::{ReplyHandle, SessionId};
use crate::protocol::ClientRequest;

/// A command that waits.
pub(super) struct HeldCommand {
    pub(super) request: ClientRequest,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl HeldCommand {
    /// The bytes of a write.
    pub(super) fn write_bytes(&self) -> u64 {
        match &self.request {
            ClientRequest::Write(bytes) | ClientRequest::WriteAnywhere(bytes) => bytes.len() as u64,
            _ => 0,
        }
    }

    /// True when another node than the leader takes the command, too.
    pub(super) fn is_anywhere(&self) -> bool {
        self.request.is_anywhere()
    }
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
        self.write_bytes += command.write_bytes();
        *self.by_session.entry(command.reply_handle.session).or_default() += 1;
        self.commands.push_back(command);
    }

    /// Adds commands before all others, in this order.
    pub(super) fn add_first(&mut self, commands: Vec<HeldCommand>) {
        let later = std::mem::take(self).commands;
        commands.into_iter().chain(later).for_each(|command| self.add(command));
    }

    /// True when every one of them waits for a leader, and not for the end of a transfer.
    pub(super) fn are_all_anywhere(&self) -> bool {
        self.commands.iter().all(HeldCommand::is_anywhere)
    }

    /// Removes all commands.
    pub(super) fn take_all(&mut self) -> VecDeque<HeldCommand> {
        std::mem::take(self).commands
    }

    /// Removes the commands whose time is over at `tick`, from the first on.
    pub(super) fn take_expired(&mut self, tick: u64) -> Vec<HeldCommand> {
        let is_expired = |command: &&HeldCommand| command.expires_at_tick <= tick;
        let count = self.commands.iter().take_while(is_expired).count();
        let expired: Vec<HeldCommand> = self.commands.drain(..count).collect();
        for command in &expired {
            self.write_bytes -= command.write_bytes();
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

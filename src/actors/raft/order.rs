//! The order of a session's commands on a node that does not lead (docs/adr/0031).
//!
//! The leader's log orders the commands of its own sessions. A node that does not lead knows the
//! place of a command only when the leader has answered. So a session's read waits here until its
//! forwarded writes are applied or lost, and its write waits until its reads are answered. Writes
//! follow writes without waiting, and reads follow reads.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::held::HeldCommand;
use crate::actors::messages::clients::SessionId;
use crate::protocol::ClientRequest;

/// The kind of a command, as far as its place among those of its session matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// The kind of a command that has a place among those of its session; `None` of any other.
pub(super) fn kind_of(request: &ClientRequest) -> Option<Kind> {
    match request {
        ClientRequest::Write(_) | ClientRequest::WriteAnywhere(_) | ClientRequest::Renew { .. } => {
            Some(Kind::Write)
        }
        ClientRequest::Read(_)
        | ClientRequest::ReadAnywhere(_)
        | ClientRequest::ReadApplied(_)
        | ClientRequest::BeginSnapshot => Some(Kind::Read),
        _ => None,
    }
}

/// The sessions that have commands under way at a node that does not lead.
#[derive(Default)]
pub(super) struct SessionOrder {
    /// The order of this map is never used.
    sessions: HashMap<SessionId, UnderWay>,
    /// The sessions of which a command has ended.
    moved: BTreeSet<SessionId>,
    /// The number of commands that wait.
    waiting: usize,
    /// The bytes of the writes among them.
    waiting_bytes: u64,
}

/// The commands of one session.
#[derive(Default)]
struct UnderWay {
    reads: usize,
    writes: usize,
    /// The commands that wait for these, in their order.
    waiting: VecDeque<HeldCommand>,
}

impl UnderWay {
    fn blocks(&self, kind: Kind) -> bool {
        match kind {
            Kind::Read => self.writes > 0,
            Kind::Write => self.reads > 0,
        }
    }
}

impl SessionOrder {
    /// The number of commands that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// The bytes of the writes among them.
    pub(super) fn write_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// True when a command of this kind has to wait for others of its session.
    pub(super) fn must_wait(&self, session: SessionId, kind: Kind) -> bool {
        let under_way = self.sessions.get(&session);
        under_way.is_some_and(|session| !session.waiting.is_empty() || session.blocks(kind))
    }

    /// True when a write of the session was forwarded, and is neither applied nor lost.
    pub(super) fn has_writes(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.writes > 0)
    }

    /// Lets a command wait.
    pub(super) fn wait(&mut self, command: HeldCommand) {
        self.waiting += 1;
        self.waiting_bytes += command.write_bytes();
        let session = self.sessions.entry(command.reply_handle.session).or_default();
        session.waiting.push_back(command);
    }

    /// True when a held command that is to go on has to wait for those of its session that are
    /// under way, or that go back already.
    pub(super) fn must_go_back(&self, command: &HeldCommand, back: &[HeldCommand]) -> bool {
        let session = command.reply_handle.session;
        let goes_before = |other: &HeldCommand| other.reply_handle.session == session;
        let (under_way, kind) = (self.sessions.get(&session), kind_of(&command.request));
        under_way.is_some_and(|under_way| kind.is_some_and(|kind| under_way.blocks(kind)))
            || back.iter().any(goes_before)
    }

    /// Lets commands wait that are before all that wait already, in this order.
    pub(super) fn put_back(&mut self, commands: Vec<HeldCommand>) {
        for command in commands.into_iter().rev() {
            self.waiting += 1;
            self.waiting_bytes += command.write_bytes();
            let session = self.sessions.entry(command.reply_handle.session).or_default();
            session.waiting.push_front(command);
        }
    }

    /// A command of the session is under way.
    pub(super) fn begin(&mut self, session: SessionId, kind: Kind) {
        let session = self.sessions.entry(session).or_default();
        match kind {
            Kind::Read => session.reads += 1,
            Kind::Write => session.writes += 1,
        }
    }

    /// It is answered, or its entry and the answer are on their way to the store.
    pub(super) fn end(&mut self, id: SessionId, kind: Kind) {
        let session = self.sessions.get_mut(&id).expect("a command ends after it has begun");
        match kind {
            Kind::Read => session.reads -= 1,
            Kind::Write => session.writes -= 1,
        }
        if !session.waiting.is_empty() {
            self.moved.insert(id);
        } else if session.reads + session.writes == 0 {
            self.sessions.remove(&id);
        }
    }

    /// Removes the next command that waits for nothing of its session any more.
    pub(super) fn take_next(&mut self) -> Option<HeldCommand> {
        while let Some(id) = self.moved.first().copied() {
            if let Some(command) = self.take_next_of(id) {
                return Some(command);
            }
            self.moved.remove(&id);
        }
        None
    }

    fn take_next_of(&mut self, id: SessionId) -> Option<HeldCommand> {
        let session = self.sessions.get_mut(&id)?;
        let first = session.waiting.front()?;
        if kind_of(&first.request).is_some_and(|kind| session.blocks(kind)) {
            return None;
        }
        let command = session.waiting.pop_front()?;
        self.waiting -= 1;
        self.waiting_bytes -= command.write_bytes();
        if session.waiting.is_empty() && session.reads + session.writes == 0 {
            self.sessions.remove(&id);
        }
        Some(command)
    }
}

#[cfg(test)]
mod tests;

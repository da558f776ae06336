//! Reads and writes at a node that does not lead (docs/adr/0031).
//!
//! A write is forwarded to the leader, which answers where in the log it is. The client has its
//! answer when the store of this node has applied that entry, or another entry with its index: then
//! it was not executed. When a connection with the leader is lost before its answer, or a snapshot
//! takes the place of the entry, nobody here knows. While no leader is known, or a transfer is
//! under way, commands are held.

use std::collections::BTreeSet;

use actix::Context;
use bytes::Bytes;

use super::RaftActor;
use super::forwards::SentCommand;
use super::held::HeldCommand;
use super::moments::end_of;
use super::order::{Kind, kind_of};
use super::pending::PendingRead;
use crate::actors::io::slow_operations::{OperationEnd, Subject};
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::kv::ApplyTask;
use crate::actors::messages::replies::{Replies, reply};
use crate::actors::messages::waiters::Waiters;
use crate::kv::{self, Query};
use crate::protocol::{ClientRequest, Refusal};
use crate::raft::{ForwardAnswer, ForwardOutcome, ForwardedCommand, Role};
use crate::types::{LogIndex, LogPosition, NodeId, Payload};

/// The sentence for a client whose command the leader does not take yet.
const NOT_YET: &str = "the format in force at the leader does not have this command yet: \
                       `coracle upgrade status` shows what the next format waits for";

impl RaftActor {
    // The clients of this node.

    /// A write at any node.
    pub(super) fn write_anywhere(
        &mut self,
        command: Bytes,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        let waiters = Waiters::One(reply_handle.clone());
        if self.raft.role() == Role::Leader {
            return self.propose(command, waiters, expires_at_tick);
        }
        self.forward(command, waiters, expires_at_tick)
    }

    /// True of a node that does not lead and has a connection to its leader.
    fn can_forward(&self) -> bool {
        self.raft.forwards_to().is_some_and(|leader| self.pending.forwards.reaches(leader))
    }

    /// True of a node that can let a command wait until it can be forwarded.
    pub(super) fn waits_for_leader(&self) -> bool {
        self.raft.hopes_for_leader() && !self.can_forward()
    }

    /// Forwards a command to the leader.
    ///
    /// # Errors
    /// When it was not sent.
    pub(super) fn forward(
        &mut self,
        command: Bytes,
        mut waiters: Waiters,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        let Some(to) = self.raft.forwards_to().filter(|_| self.can_forward()) else {
            return Err(self.not_leader());
        };
        if self.pending.is_full(&self.settings) {
            return Err(Refusal::Busy);
        }
        let sent = self.raft.forward(command.clone());
        let number = sent.map_err(|_| self.not_leader())?;
        for session in waiters.sessions() {
            self.pending.order.begin(session, Kind::Write);
        }
        waiters.note(|times| times.forward(self.pending.moments.now));
        let (is_refused, is_overtaken) = (false, false);
        let sent = SentCommand { to, command, waiters, expires_at_tick, is_refused, is_overtaken };
        self.pending.forwards.add(number, sent);
        Ok(())
    }

    /// This node leads, and has appended a command of these sessions. Their commands that another
    /// leader has not answered can no longer be executed before it.
    pub(super) fn overtake_forwards(&mut self, sessions: impl Iterator<Item = SessionId>) {
        let order = &self.pending.order;
        let sessions: BTreeSet<SessionId> = sessions.filter(|id| order.has_writes(*id)).collect();
        if !sessions.is_empty() {
            let overtaken = self.pending.forwards.overtake(&sessions, u64::MAX);
            self.refuse_forwards(overtaken.into_iter().map(|sent| sent.waiters).collect());
        }
    }

    /// A linearizable read at any node.
    pub(super) fn read_anywhere(
        &mut self,
        query: Query,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) {
            return Err(Refusal::Busy);
        }
        let is_tracked = self.raft.role() != Role::Leader;
        let after = self.pending.last_proposed(reply_handle.session);
        let token = self.pending.next_token();
        self.raft.read_anywhere(token, after).map_err(|_| self.not_leader())?;
        if is_tracked {
            self.pending.order.begin(reply_handle.session, Kind::Read);
        }
        let mut reply_handle = reply_handle.clone();
        reply_handle.times.read(self.pending.moments.now);
        let is_anywhere = true;
        let read = PendingRead { query, reply_handle, expires_at_tick, is_anywhere, is_tracked };
        self.pending.add_read(token, read);
        Ok(())
    }

    /// A read of what this node has applied. It is behind the writes of its session that this
    /// node has proposed: the reply to them would keep its reply back in any case.
    pub(super) fn read_applied(
        &mut self,
        query: Query,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        if self.raft.role() == Role::Removed {
            // The store stays here as it is, while the cluster goes on.
            return Err(self.not_leader());
        }
        let after = self.pending.last_proposed(reply_handle.session);
        if self.raft.role() == Role::Leader && after > self.pending.forwards.passed() {
            return self.read(query, reply_handle, expires_at_tick, true);
        }
        let (read_index, now_ms) = (LogIndex(0), self.raft.store_time_ms());
        let mut reply_handle = reply_handle.clone();
        reply_handle.times.read(self.pending.moments.now);
        reply_handle.times.release(self.pending.moments.now);
        let task = ApplyTask::Read { query, read_index, now_ms, reply_handle };
        self.pending.at_once.push(task);
        Ok(())
    }

    /// The leadership was lost before this read was confirmed, or no leader was heard for long.
    /// A read at any node waits for the next leader, if there is hope for one.
    pub(super) fn retry_read(&mut self, mut read: PendingRead) {
        let token = self.pending.next_token();
        if read.is_anywhere && self.raft.read_anywhere(token, LogIndex(0)).is_ok() {
            if !read.is_tracked {
                self.pending.order.begin(read.reply_handle.session, Kind::Read);
                read.is_tracked = true;
            }
            self.pending.add_read(token, read);
            self.pending.is_retrying = true;
            return;
        }
        self.end_read(&read);
        self.pending.moments.end_read(&read.reply_handle, OperationEnd::Refused, &read.query);
        let refusal = self.not_leader();
        let refusal = self.refusal_to(read.is_anywhere, refusal);
        reply(read.reply_handle, ClientReply::Refused(refusal));
    }

    /// A read is answered, or on its way to the store.
    pub(super) fn end_read(&mut self, read: &PendingRead) {
        if read.is_tracked {
            self.pending.order.end(read.reply_handle.session, Kind::Read);
        }
    }

    /// The forwarded command of these waits no more.
    fn end_writes(&mut self, waiters: &Waiters) {
        for session in waiters.sessions() {
            self.pending.order.end(session, Kind::Write);
        }
    }

    /// Answers those who wait for forwarded commands.
    fn end_forwards(&mut self, all: Vec<Waiters>, answer: &ClientReply) {
        let mut replies = Replies::default();
        for waiters in all {
            self.end_writes(&waiters);
            self.pending.moments.end_write(&waiters, end_of(answer), Subject::Unknown);
            waiters.answer_all(answer, &mut replies);
        }
        replies.send();
    }

    /// Answers those whose forwarded commands were certainly not executed.
    fn refuse_forwards(&mut self, all: Vec<Waiters>) {
        if !all.is_empty() {
            let refusal = self.not_leader();
            let refusal = self.refusal_to(true, refusal);
            self.end_forwards(all, &ClientReply::Refused(refusal));
        }
    }

    /// The leader says what has become of a command.
    pub(super) fn on_forward_answered(&mut self, answer: ForwardAnswer) {
        let ForwardAnswer { from, number, term, outcome } = answer;
        if outcome == ForwardOutcome::NotLeader {
            let overtaken = self.pending.forwards.refuse(number, from);
            return self.refuse_forwards(overtaken.into_iter().map(|sent| sent.waiters).collect());
        }
        let Some(sent) = self.pending.forwards.take(number, from) else { return };
        let refusal = match outcome {
            ForwardOutcome::Appended(index) if index <= self.pending.forwards.passed() => {
                // The entry came first, over another connection.
                ClientReply::Refused(Refusal::LeadershipLost)
            }
            ForwardOutcome::Appended(index) => {
                let position = LogPosition { index, term };
                let overtaken = self.pending.forwards.await_entry(number, position, sent);
                let overtaken = overtaken.into_iter().map(|sent| sent.waiters).collect();
                return self.refuse_forwards(overtaken);
            }
            ForwardOutcome::Busy => ClientReply::Refused(Refusal::Busy),
            ForwardOutcome::NotYet | ForwardOutcome::NotLeader => {
                ClientReply::NotYet(NOT_YET.to_owned())
            }
        };
        self.end_forwards(vec![sent.waiters], &refusal);
    }

    /// An entry is passed to the store. Returns those who wait for its outcome.
    pub(super) fn take_forwarded_waiters(&mut self, position: LogPosition) -> Option<Waiters> {
        let mut lost = Vec::new();
        let mut waiters = self.pending.forwards.on_entry(position, &mut lost);
        self.refuse_forwards(lost);
        if let Some(waiters) = &mut waiters {
            self.end_writes(waiters);
            waiters.note(|times| times.release(self.pending.moments.now));
        }
        waiters
    }

    /// A snapshot takes the place of the store.
    pub(super) fn lose_installed(&mut self, index: LogIndex) {
        let unknown = self.pending.forwards.on_installed(index);
        self.end_forwards(unknown, &ClientReply::Refused(Refusal::LeadershipLost));
    }

    /// A connection with the peer was lost, and what was on it.
    pub(super) fn lose_forwards(&mut self, peer: NodeId) {
        let unknown = self.pending.forwards.lose(peer);
        self.end_forwards(unknown, &ClientReply::Refused(Refusal::LeadershipLost));
    }

    /// Ends the waiting of the forwarded commands whose time is over.
    pub(super) fn time_out_forwards(&mut self) {
        let (unknown, refused) = self.pending.forwards.take_expired(self.ticks);
        self.end_forwards(unknown, &ClientReply::Refused(Refusal::Timeout));
        self.refuse_forwards(refused);
        for ForwardedCommand { origin, .. } in self.pending.here.take_held(Some(self.ticks)) {
            self.raft.answer_forwarded(origin, ForwardOutcome::Busy);
        }
    }

    /// When all commands that were forwarded are refused, they are to be forwarded once more, in
    /// their order and before all that came later.
    pub(super) fn release_refused(&mut self) -> bool {
        let refused = self.pending.forwards.take_refused();
        if refused.is_empty() {
            return false;
        }
        let mut held = Vec::new();
        for SentCommand { command, waiters, expires_at_tick, .. } in refused {
            self.end_writes(&waiters);
            let mut hold = |request, reply_handle| {
                held.push(HeldCommand { request, reply_handle, expires_at_tick });
            };
            match waiters {
                Waiters::One(reply_handle) => {
                    hold(ClientRequest::WriteAnywhere(command), reply_handle);
                }
                Waiters::Renewals(renewals) => {
                    for (id, reply_handle) in renewals {
                        hold(ClientRequest::Renew { id, is_anywhere: true }, reply_handle);
                    }
                }
            }
        }
        self.pending.held.add_first(held);
        true
    }

    /// Executes the commands that waited for others of their session, and wait no more.
    pub(super) fn release_ordered(&mut self, ctx: &Context<Self>) -> bool {
        let mut has_released = false;
        let mut refused = Replies::default();
        while let Some(command) = self.pending.order.take_next() {
            has_released = true;
            self.propose_renewals_before(&command.request, command.reply_handle.session);
            if self.pending.order.must_go_back(&command, &[]) {
                // They are before it, and were forwarded.
                self.pending.order.put_back(vec![command]);
                continue;
            }
            let is_anywhere = command.is_anywhere();
            let HeldCommand { request, reply_handle, expires_at_tick } = command;
            let outcome = if expires_at_tick <= self.ticks {
                Err(self.waited_too_long(is_anywhere))
            } else {
                self.start(request, &reply_handle, expires_at_tick, ctx)
            };
            if let Err(refusal) = outcome {
                let refusal = ClientReply::Refused(self.refusal_to(is_anywhere, refusal));
                self.pending.moments.end_refused(&reply_handle, &refusal);
                refused.add(reply_handle, refusal);
            }
        }
        refused.send();
        has_released
    }

    /// Lets a command wait for others of its session, if it must.
    pub(super) fn must_wait_in_order(&self, request: &ClientRequest, of: &ReplyHandle) -> bool {
        kind_of(request).is_some_and(|kind| self.pending.order.must_wait(of.session, kind))
    }

    // The peers that forward to this node.

    /// Takes the commands that peers have forwarded.
    pub(super) fn take_forwarded(&mut self) {
        for forwarded in self.raft.take_forwarded() {
            if !self.raft.is_transferring() && !self.pending.here.holds_any() {
                self.append_forwarded(forwarded);
            } else if self.pending.is_full(&self.settings) {
                self.raft.answer_forwarded(forwarded.origin, ForwardOutcome::Busy);
            } else {
                self.pending.here.hold(forwarded, self.expires_at_tick());
            }
        }
    }

    /// Ends the waiting of forwarded commands, if no transfer is under way any more.
    pub(super) fn release_forwarded(&mut self) -> bool {
        if !self.pending.here.holds_any() || self.raft.is_transferring() {
            return false;
        }
        for forwarded in self.pending.here.take_held(None) {
            self.append_forwarded(forwarded);
        }
        true
    }

    fn append_forwarded(&mut self, forwarded: ForwardedCommand) {
        let ForwardedCommand { origin, command } = forwarded;
        let outcome = self.try_append(command);
        self.raft.answer_forwarded(origin, outcome);
    }

    fn try_append(&mut self, command: Bytes) -> ForwardOutcome {
        if self.raft.role() != Role::Leader {
            return ForwardOutcome::NotLeader;
        }
        if self.pending.is_full(&self.settings) {
            return ForwardOutcome::Busy;
        }
        // A committed command that cannot be decoded would end every server.
        if kv::Command::decode(&command, self.raft.store_format()).is_err() {
            return ForwardOutcome::NotYet;
        }
        let bytes = command.len() as u64;
        match self.raft.propose(Payload::Command(command)) {
            Ok(index) => {
                self.pending.here.add_entry(index, bytes, self.pending.moments.now);
                ForwardOutcome::Appended(index)
            }
            Err(_) => ForwardOutcome::NotLeader,
        }
    }
}

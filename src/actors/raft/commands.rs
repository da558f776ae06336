//! The commands of clients: RaftActor accepts them here, or refuses them.

use actix::{AsyncContext, Context};
use bytes::Bytes;

use super::RaftActor;
use super::backups::PendingBackup;
use super::held::HeldCommand;
use super::pending::{PendingRead, PendingWrite};
use super::renewals::Renewal;
use super::upgrades::PendingUpgrade;
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::kv::{Apply, ApplyTask};
use crate::actors::messages::log::LogCommand;
use crate::actors::messages::replies::{Replies, reply};
use crate::actors::messages::snapshots::QuerySnapshots;
use crate::actors::messages::waiters::Waiters;
use crate::kv::{self, Command, Operation, Query};
use crate::metrics::ProposalFailure;
use crate::protocol::{ClientRequest, Refusal, SnapshotQuery};
use crate::raft::{Raise, RaiseRefusal, Role};
use crate::types::Payload;

/// Maximum number of leases that one entry renews.
const RENEWALS_MAX: usize = 1_000;

impl RaftActor {
    /// Accepts one command of a client.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub(super) fn accept(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        if self.raft.has_stopped() {
            // Not even the state of a server is told that is about to end.
            return Err(Refusal::NotLeader { leader: None });
        }
        let is_anywhere = request.is_anywhere();
        let accepted = self.accept_in_order(request, reply_handle, ctx);
        accepted.map_err(|refusal| self.refusal_to(is_anywhere, refusal))
    }

    /// Lets a command wait for others of its session if it must, or starts it.
    fn accept_in_order(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        self.propose_renewals_before(&request, reply_handle.session);
        let expires_at_tick = self.expires_at_tick();
        if self.must_wait_in_order(&request, reply_handle) {
            if self.pending.is_full(&self.settings) {
                return Err(self.busy(request.is_anywhere()));
            }
            let reply_handle = reply_handle.clone();
            self.pending.order.wait(HeldCommand { request, reply_handle, expires_at_tick });
            return Ok(());
        }
        self.start(request, reply_handle, expires_at_tick, ctx)
    }

    /// Proposes the renewals that wait, if any of them is of the session and before this command.
    pub(super) fn propose_renewals_before(&mut self, request: &ClientRequest, of: SessionId) {
        let is_renewal = matches!(request, ClientRequest::Renew { .. });
        if !is_renewal && self.pending.renewals.has_any_of(of) {
            self.propose_renewals();
        }
    }

    /// Accepts one command of a client, which waits for no other of its session.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub(super) fn start(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        if self.must_hold(&request, reply_handle.session) {
            return self.hold(request, reply_handle, expires_at_tick);
        }
        self.execute_request(request, reply_handle, expires_at_tick, ctx)
    }

    /// Accepts one command of a client, which does not wait for the end of a transfer.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub(super) fn execute_request(
        &mut self,
        request: ClientRequest,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        let command = match &request {
            ClientRequest::Write(bytes) | ClientRequest::WriteAnywhere(bytes) => Some(bytes),
            _ => None,
        };
        if let Some(sentence) = command.and_then(|command| self.not_yet(command)) {
            reply(reply_handle.clone(), ClientReply::NotYet(sentence));
            return Ok(());
        }
        match request {
            ClientRequest::Write(bytes) => {
                self.propose(bytes, Waiters::One(reply_handle.clone()), expires_at_tick)
            }
            ClientRequest::WriteAnywhere(bytes) => {
                self.write_anywhere(bytes, reply_handle, expires_at_tick)
            }
            ClientRequest::Read(query) => self.read(query, reply_handle, expires_at_tick, false),
            ClientRequest::ReadAnywhere(query) => {
                self.read_anywhere(query, reply_handle, expires_at_tick)
            }
            ClientRequest::ReadApplied(query) => {
                self.read_applied(query, reply_handle, expires_at_tick)
            }
            ClientRequest::Renew { id, is_anywhere } => {
                let reply_handle = reply_handle.clone();
                let renewal = Renewal { id, is_anywhere, reply_handle, expires_at_tick };
                self.pending.renewals.add(renewal);
                Ok(())
            }
            ClientRequest::BeginSnapshot => self.begin_snapshot(reply_handle),
            ClientRequest::Snapshot(query) => self.query_snapshots(query, reply_handle, ctx),
            ClientRequest::SetHold { is_held } => self.set_hold(is_held, reply_handle),
            ClientRequest::Raise => self.raise(reply_handle),
            ClientRequest::Digest { index } => {
                let reply_handle = reply_handle.clone();
                let tasks = vec![ApplyTask::ClientDigest { index, reply_handle }];
                self.ports.kv.do_send(Apply { tasks });
                Ok(())
            }
            ClientRequest::Member(request) => self.change_members(&request, reply_handle),
            ClientRequest::Members => {
                let report = Box::new(self.members_report());
                reply(reply_handle.clone(), ClientReply::Members(report));
                Ok(())
            }
            ClientRequest::WaitForChange { number } => self.wait_for_change(number, reply_handle),
            ClientRequest::Transfer(target) => self.transfer(target, reply_handle),
            ClientRequest::SetDraining(is_draining) => self.drain(is_draining, reply_handle),
            ClientRequest::Status => {
                let reply_handle = reply_handle.clone();
                let task = ApplyTask::Status { status: Box::new(self.raft.status()), reply_handle };
                self.ports.kv.do_send(Apply { tasks: vec![task] });
                Ok(())
            }
        }
    }

    /// On the leader: the reason why a command cannot be executed yet, as a sentence. The format in
    /// force lacks it.
    pub(super) fn not_yet(&self, command: &Bytes) -> Option<String> {
        let needed = kv::needed_format(*command.first()?)?;
        let in_force = self.raft.store_format();
        let is_later = needed > in_force && self.raft.role() == Role::Leader;
        is_later.then(|| {
            format!(
                "format {in_force} is in force, and this command needs format {needed}: \
                 `coracle upgrade status` shows what the next format waits for"
            )
        })
    }

    pub(super) fn propose(
        &mut self,
        command: Bytes,
        waiters: Waiters,
        expires_at_tick: u64,
    ) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) {
            self.upkeep.observation.on_failed(ProposalFailure::Busy, 1);
            return Err(self.busy_or_not_leader());
        }
        let proposed = self.raft.propose(Payload::Command(command.clone()));
        let index = proposed.map_err(|_| self.not_leader())?;
        self.overtake_forwards(waiters.sessions());
        let write = PendingWrite { term: self.raft.term(), waiters, command, expires_at_tick };
        self.pending.add_write(index, write);
        Ok(())
    }

    /// Proposes the renewals that wait, or forwards them.
    pub(super) fn propose_renewals(&mut self) {
        let mut waiting = self.pending.renewals.take();
        if waiting.is_empty() {
            return;
        }
        if self.raft.role() != Role::Leader {
            for plain in waiting.extract_if(.., |renewal| !renewal.is_anywhere) {
                let refusal = self.not_leader();
                reply(plain.reply_handle, ClientReply::Refused(refusal));
            }
        }
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(RENEWALS_MAX));
            self.propose_together(std::mem::replace(&mut waiting, rest));
        }
    }

    /// Proposes renewals as one entry.
    fn propose_together(&mut self, renewals: Vec<Renewal>) {
        let ids: Vec<u64> = renewals.iter().map(|renewal| renewal.id).collect();
        let expires_at_tick = renewals.iter().map(|it| it.expires_at_tick).max().unwrap_or(0);
        let command =
            Command { once: None, store_bytes_max: 0, operation: Operation::Renew { ids } };
        let bytes = command.encode();
        let waiters = Waiters::Renewals(
            renewals.into_iter().map(|renewal| (renewal.id, renewal.reply_handle)).collect(),
        );
        let mut replies = Replies::default();
        if let Some(sentence) = self.not_yet(&bytes) {
            waiters.answer_all(&ClientReply::NotYet(sentence), &mut replies);
            return replies.send();
        }
        let outcome = if self.raft.role() == Role::Leader {
            self.propose(bytes, waiters.clone(), expires_at_tick)
        } else {
            self.forward(bytes, waiters.clone(), expires_at_tick)
        };
        if let Err(refusal) = outcome {
            // The plain ones among them are here on a leader only, which redirects nobody.
            let refusal = self.refusal_to(true, refusal);
            waiters.answer_all(&ClientReply::Refused(refusal), &mut replies);
        }
        replies.send();
    }

    pub(super) fn read(
        &mut self,
        query: Query,
        reply_handle: &ReplyHandle,
        expires_at_tick: u64,
        is_anywhere: bool,
    ) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) {
            return Err(self.busy_or_not_leader());
        }
        let after = self.pending.last_proposed(reply_handle.session);
        let token = self.pending.next_token();
        self.raft.read(token, after).map_err(|_| self.not_leader())?;
        let (mut reply_handle, is_tracked) = (reply_handle.clone(), false);
        reply_handle.times.read(self.pending.moments.now);
        let read = PendingRead { query, reply_handle, expires_at_tick, is_anywhere, is_tracked };
        self.pending.add_read(token, read);
        Ok(())
    }

    /// The answer waits until a read that came with the command would be confirmed: the
    /// snapshot then holds every write that was acknowledged before.
    fn begin_snapshot(&mut self, reply_handle: &ReplyHandle) -> Result<(), Refusal> {
        if self.pending.is_full(&self.settings) || self.backups.has_most_begins() {
            return Err(self.busy_or_not_leader());
        }
        let after = self.pending.last_proposed(reply_handle.session);
        let token = self.pending.next_token();
        self.raft.read(token, after).map_err(|_| self.not_leader())?;
        let begin = self.with_deadline(reply_handle);
        self.backups.add_begin(token, begin);
        Ok(())
    }

    fn query_snapshots(
        &mut self,
        query: SnapshotQuery,
        reply_handle: &ReplyHandle,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        if self.backups.has_most_queries() {
            return Err(Refusal::Busy);
        }
        let pending = self.with_deadline(reply_handle);
        let ticket = self.backups.add_query(pending);
        let reply_to = ctx.address().recipient();
        self.ports.snapshot_queries.do_send(QuerySnapshots { ticket, query, reply_to });
        Ok(())
    }

    /// The answer waits until LogActor has saved it.
    fn set_hold(&mut self, is_held: bool, reply_handle: &ReplyHandle) -> Result<(), Refusal> {
        if self.upgrades.has_most_holds() {
            return Err(Refusal::Busy);
        }
        self.ports.log.do_send(LogCommand::Hold { is_held });
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        self.upgrades.add_hold(PendingUpgrade { reply_handle, expires_at_tick });
        Ok(())
    }

    /// The answer waits until the format is in force here.
    fn raise(&mut self, reply_handle: &ReplyHandle) -> Result<(), Refusal> {
        if self.upgrades.has_most_raises() {
            return Err(self.busy_or_not_leader());
        }
        let reply_handle = reply_handle.clone();
        match self.raft.request_raise() {
            Ok(Raise::InForce(format)) => reply(reply_handle, ClientReply::Raised(format)),
            Ok(Raise::Begun { format, index }) => {
                let expires_at_tick = self.expires_at_tick();
                let raise = PendingUpgrade { reply_handle, expires_at_tick };
                self.upgrades.add_raise(index, format, raise);
            }
            Err(RaiseRefusal::NotLeader(_)) => return Err(self.not_leader()),
            Err(refusal @ RaiseRefusal::Waits { .. }) => {
                reply(reply_handle, ClientReply::NotYet(refusal.to_string()));
            }
        }
        Ok(())
    }

    fn with_deadline(&self, reply_handle: &ReplyHandle) -> PendingBackup {
        let expires_at_tick = self.expires_at_tick();
        PendingBackup { reply_handle: reply_handle.clone(), expires_at_tick }
    }

    pub(super) fn expires_at_tick(&self) -> u64 {
        self.ticks + self.settings.request_timeout_ticks
    }
}

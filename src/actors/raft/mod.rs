//! RaftActor: the only owner of term, vote, role and commit index.
//!
//! Every other actor sends it facts and gets orders. A second owner is how
//! committed data was lost elsewhere (bugs.md B08): not even a heartbeat takes a
//! shortcut around this mailbox.
//!
//! | in | from | out | to |
//! |---|---|---|---|
//! | [`ClientRequests`] | sessions | `ClientReplies` (refusals) | sessions |
//! | [`Tick`] | ticker | `Append`, `ReadEntriesRequest` | LogActor |
//! | [`PeerAttached`], [`PeerDetached`] | PeerSessionActor | | |
//! | [`PeerMessage`] (requests) | PeerSessionActor | `SendRpc` (responses) | PeerSessionActor |
//! | [`PeerMessage`] (votes) | PeerLinkActor | `SendRpc` (votes) | PeerLinkActor |
//! | [`ConnectionRefused`] | PeerLinkActor | `SetSendMode`, `StopReplication` | ReplicatorActor |
//! | [`Replicated`] | ReplicatorActor | `StartReplication`, `Replicate` | ReplicatorActor |
//! | `LogPersisted`, `EntriesRead` | LogActor | `Apply` | KvActor |
//! | `LogCompacted` | LogActor | `CompactLog`, `ResetLog` | LogActor |
//! | `SnapshotWritten`, `SnapshotLost` ... | SnapshotActor | `ReceiveSnapshot` | SnapshotActor |
//! | `SnapshotsQueried` | SnapshotActor | `QuerySnapshots` | SnapshotActor |
//! | [`Applied`] | KvActor | | |
//!
//! It owns the core and the waiting clients (`waiting`). It runs on the main
//! arbiter. All messages of one mailbox drain are handed to the core first and
//! its effects carried out after: that is the batch. If the disk, the store or a
//! replicator is gone the process is ending; nobody waits for their answer.

mod backups;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};

use crate::actors::io::memory::Reservation;
use crate::actors::messages::clients::{
    ClientReply, ClientRequest, ClientRequests, Refusal, ReplyHandle,
};
use crate::actors::messages::kv::{Applied, Apply, ApplyTask};
use crate::actors::messages::lifecycle::Tick;
use crate::actors::messages::log::{
    EntriesRead, LogCommand, LogCompacted, LogPersisted, ReadEntriesRequest,
};
use crate::actors::messages::peers::{PeerEvent, PeerPorts, SendRpc};
use crate::actors::messages::replication::{Replicated, ReplicationCommand};
use crate::actors::messages::replies::Replies;
use crate::actors::messages::snapshots::{
    PieceReceived, QuerySnapshots, SnapshotLost, SnapshotReceived, SnapshotWritten,
};
use crate::clock::Clock;
use crate::kv::{Query, Store};
use crate::raft::{
    Effect, Envelope, NotLeader, Raft, ReadToken, ReceiveSnapshot, Role, TakeSnapshot,
};
use crate::types::{Entry, LogIndex, NodeId, Payload};
use backups::Backups;
use pending::{Proposal, Waiting};

/// Where RaftActor sends.
pub struct RaftPorts {
    /// LogActor: orders that change the log.
    pub log: Recipient<LogCommand>,
    /// LogActor: reads of entries that are only on disk.
    pub log_reads: Recipient<ReadEntriesRequest>,
    /// SnapshotActor: chunks of a snapshot that the leader sent.
    pub snapshot: Recipient<ReceiveSnapshot>,
    /// SnapshotActor: questions of clients about snapshots.
    pub snapshot_queries: Recipient<QuerySnapshots>,
    /// KvActor.
    pub kv: Recipient<Apply>,
    /// Each peer.
    pub peers: BTreeMap<NodeId, PeerPorts>,
    /// What waiting commands hold of the memory for clients.
    pub memory: Reservation,
}

/// The bounds of RaftActor.
#[derive(Clone, Copy, Debug)]
pub struct RaftActorSettings {
    /// Clients' commands that may wait at once, to be applied if not to be answered;
    /// beyond, `ERR_BUSY`.
    pub waiting_commands_max: usize,
    /// Bytes of proposals that may wait at once; beyond, `ERR_BUSY`.
    pub waiting_bytes_max: u64,
    /// A command that waits longer gets `ERR_TIMEOUT`.
    pub request_timeout_ticks: u64,
}

/// Messages after which the effects are carried out even if more are waiting:
/// another arbiter could keep the mailbox from ever running dry.
const BATCH_MESSAGES_MAX: u32 = 512;

/// See the module.
pub struct RaftActor {
    raft: Raft,
    ports: RaftPorts,
    settings: RaftActorSettings,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
    backup: Backups,
    /// The newest connection that each peer has opened to us.
    attached: BTreeMap<NodeId, (u64, Recipient<SendRpc>)>,
    ticks: u64,
    next_deadline_ms: Option<u64>,
    /// Of a snapshot that was received and is about to be installed.
    received_store: Option<Store>,
    /// Invariant: a `Flush` is in the mailbox exactly when this is not 0.
    batched_messages: u32,
}

/// Sent to itself, once a mailbox drain: carry out what the core wants.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl RaftActor {
    /// An actor around `raft`, as it comes out of recovery.
    pub fn new(
        raft: Raft,
        ports: RaftPorts,
        settings: RaftActorSettings,
        clock: Arc<dyn Clock>,
    ) -> RaftActor {
        RaftActor {
            raft,
            ports,
            settings,
            clock,
            waiting: Waiting::default(),
            backup: Backups::default(),
            attached: BTreeMap::new(),
            ticks: 0,
            next_deadline_ms: None,
            received_store: None,
            batched_messages: 0,
        }
    }
}

impl Actor for RaftActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Its mailbox is bounded by the windows of those who send to it, not here:
        // sessions by their in-flight budget, peers by one read's worth of frames,
        // log and store by what they were given.
        log::info!(
            "started raft node={} role={} term={} last_log_index={}",
            self.raft.id(),
            self.raft.role(),
            self.raft.term(),
            self.raft.last_log().index
        );
        self.flush_soon(ctx);
    }
}

impl Handler<ClientRequests> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: ClientRequests, ctx: &mut Context<Self>) {
        let ClientRequests { session, reply_to, requests, held } = message;
        if mutant!(B41f) {
            self.raft.set_wall_ms(self.clock.wall_ms());
        } else {
            self.update_clock();
        }
        let mut refused = Replies::default();
        for (slot, request) in requests {
            let reply_handle = ReplyHandle { session, slot, reply_to: Arc::clone(&reply_to) };
            let accepted = match request {
                ClientRequest::Write(bytes) => self.propose(bytes, &reply_handle),
                ClientRequest::Read(query) => self.read(query, &reply_handle),
                ClientRequest::BeginSnapshot => self.begin_snapshot(&reply_handle),
                ClientRequest::Snapshot(query) => self.query_snapshots(query, &reply_handle, ctx),
                ClientRequest::Status => {
                    let task = ApplyTask::Status { status: self.raft.status(), reply_handle };
                    self.ports.kv.do_send(Apply { tasks: vec![task] });
                    continue;
                }
            };
            if let Err(refusal) = accepted {
                refused.add(reply_handle, ClientReply::Refused(refusal));
            }
        }
        refused.send();
        self.ports.memory.set(self.waiting.weight_bytes());
        drop(held);
        self.flush_soon(ctx);
    }
}

impl Handler<Tick> for RaftActor {
    type Result = ();

    fn handle(&mut self, _tick: Tick, ctx: &mut Context<Self>) {
        self.ticks += 1;
        self.update_clock();
        self.raft.tick();
        self.maybe_expire();
        self.waiting.time_out(self.ticks).send();
        self.backup.time_out(self.ticks).send();
        self.flush_soon(ctx);
    }
}

impl Handler<PeerEvent> for RaftActor {
    type Result = ();

    fn handle(&mut self, event: PeerEvent, ctx: &mut Context<Self>) {
        match event {
            PeerEvent::Attached { peer, connection, port } => {
                self.attached.insert(peer, (connection, port));
            }
            PeerEvent::Message(envelope) => {
                // A vote may make this node a leader, which stamps its no-op.
                self.update_clock();
                self.raft.step(envelope);
                self.flush_soon(ctx);
            }
            PeerEvent::Detached { peer, connection } => {
                let is_newest = |(newest, _): &(u64, _)| *newest == connection;
                if self.attached.get(&peer).is_some_and(is_newest) {
                    self.attached.remove(&peer);
                }
            }
            PeerEvent::Refused { peer } => {
                self.raft.on_connection_refused(peer);
                self.flush_soon(ctx);
            }
        }
    }
}

impl Handler<Replicated> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: Replicated, ctx: &mut Context<Self>) {
        self.raft.on_replicated(message.peer, message.term, message.report);
        self.flush_soon(ctx);
    }
}

impl Handler<LogPersisted> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: LogPersisted, ctx: &mut Context<Self>) {
        // A candidate alone in its cluster is elected by its own durable vote.
        self.update_clock();
        self.raft.on_persisted(message.seq);
        self.flush_soon(ctx);
    }
}

impl Handler<EntriesRead> for RaftActor {
    type Result = ();

    fn handle(&mut self, mut message: EntriesRead, ctx: &mut Context<Self>) {
        if mutant!(B64)
            && let Some(last) = message.entries.last_mut()
        {
            last.payload = Payload::Noop;
        }
        self.raft.on_entries_read(message.entries);
        self.flush_soon(ctx);
    }
}

impl Handler<Applied> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: Applied, ctx: &mut Context<Self>) {
        self.next_deadline_ms = message.next_deadline_ms;
        self.waiting.on_applied(message.last_applied).send();
        self.raft.on_applied(message.last_applied);
        self.flush_soon(ctx);
    }
}

impl Handler<SnapshotWritten> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotWritten, ctx: &mut Context<Self>) {
        match message.bytes {
            Some(bytes) => self.raft.on_snapshot_taken(message.last, bytes),
            None => self.raft.on_snapshot_failed(message.last),
        }
        self.flush_soon(ctx);
    }
}

impl Handler<SnapshotLost> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotLost, ctx: &mut Context<Self>) {
        self.raft.on_snapshot_lost(message.last);
        self.flush_soon(ctx);
    }
}

impl Handler<LogCompacted> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: LogCompacted, ctx: &mut Context<Self>) {
        self.raft.on_compacted(message.base);
        self.flush_soon(ctx);
    }
}

impl Handler<PieceReceived> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: PieceReceived, ctx: &mut Context<Self>) {
        let PieceReceived { from, term, request_seq, snapshot, received } = message;
        self.raft.on_snapshot_piece(from, term, request_seq, snapshot, received);
        self.flush_soon(ctx);
    }
}

impl Handler<SnapshotReceived> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotReceived, ctx: &mut Context<Self>) {
        let SnapshotReceived { from, term, request_seq, point, stamp_ms, store } = message;
        let base = point.last;
        if self.raft.on_snapshot_received(from, term, request_seq, point, stamp_ms) {
            log::info!(
                "installs snapshot node={} last_included_index={} last_included_term={}",
                self.raft.id(),
                base.index,
                base.term
            );
            // The effect that asks for it must not meet the store of another one.
            self.received_store = Some(store);
            self.execute(ctx);
        }
        self.flush_soon(ctx);
    }
}

impl Handler<Flush> for RaftActor {
    type Result = ();

    fn handle(&mut self, _flush: Flush, ctx: &mut Context<Self>) {
        self.batched_messages = 0;
        self.execute(ctx);
    }
}

impl RaftActor {
    /// Before the core is told what happened.
    fn update_clock(&mut self) {
        self.raft.set_wall_ms(self.clock.wall_ms());
        if self.raft.has_leases() {
            self.raft.set_now(self.clock.monotonic());
        }
    }

    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if self.batched_messages == 0 {
            ctx.notify(Flush);
        }
        self.batched_messages += 1;
        if self.batched_messages.is_multiple_of(BATCH_MESSAGES_MAX) {
            self.execute(ctx);
        }
    }

    fn propose(
        &mut self,
        command: bytes::Bytes,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.waiting.is_full(&self.settings) {
            return Err(self.busy_or_not_leader());
        }
        let bytes = command.len() as u64;
        let index = self.raft.propose(Payload::Command(command)).map_err(not_leader)?;
        let expires_at_tick = self.ticks + self.settings.request_timeout_ticks;
        let reply_handle = reply_handle.clone();
        self.waiting.add_proposal(
            index,
            Proposal { term: self.raft.term(), reply_handle, bytes, expires_at_tick },
        );
        Ok(())
    }

    fn read(&mut self, query: Query, reply_handle: &ReplyHandle) -> Result<(), Refusal> {
        if self.waiting.is_full(&self.settings) {
            return Err(self.busy_or_not_leader());
        }
        let after = self.waiting.last_proposed(reply_handle.session);
        let token = self.waiting.next_token();
        self.raft.read(token, after).map_err(not_leader)?;
        let expires_at_tick = self.ticks + self.settings.request_timeout_ticks;
        self.waiting.add_read(token, query, reply_handle.clone(), expires_at_tick);
        Ok(())
    }

    /// A node that does not lead says so even when it is busy: the client has
    /// better luck elsewhere.
    fn busy_or_not_leader(&self) -> Refusal {
        if self.raft.role() == Role::Leader {
            Refusal::Busy
        } else {
            Refusal::NotLeader { leader_id: self.raft.leader_id() }
        }
    }

    /// Time passes in the store only with entries: when a deadline has passed and
    /// no entry at or after it is on its way, the leader writes one of its own.
    fn maybe_expire(&mut self) {
        let Some(deadline_ms) = self.next_deadline_ms else { return };
        let is_due = self.clock.wall_ms() >= deadline_ms && !mutant!(B74c);
        if is_due && self.raft.last_stamp_ms() < deadline_ms {
            // A follower leaves it to its leader.
            let _ = self.raft.propose(Payload::Noop);
        }
    }

    fn execute(&mut self, ctx: &mut Context<Self>) {
        let mut tasks = Vec::new();
        for effect in self.raft.take_effects() {
            match effect {
                Effect::Append(order) => self.ports.log.do_send(LogCommand::Append(order)),
                Effect::Send(envelope) => self.send(envelope),
                Effect::StartReplication(order) => {
                    self.command_all(&ReplicationCommand::Start(order));
                }
                Effect::Replicate(order) => {
                    self.command_all(&ReplicationCommand::Replicate(order));
                }
                Effect::SetSendMode(order) => {
                    if let Some(peer) = self.ports.peers.get(&order.peer) {
                        peer.replicator.do_send(ReplicationCommand::SetSendMode(order));
                    }
                }
                Effect::StopReplication(order) => {
                    self.command_all(&ReplicationCommand::Stop(order));
                    self.waiting.lose_proposals_of(order.term).send();
                }
                Effect::Apply { entries } => self.add_entries(entries, &mut tasks),
                Effect::ReadEntries(read) => {
                    let reply_to = ctx.address().recipient();
                    self.ports.log_reads.do_send(ReadEntriesRequest { read, reply_to });
                }
                Effect::ReadReady { token, read_index } => {
                    self.add_read(token, read_index, &mut tasks);
                }
                Effect::ReadFailed { token } if mutant!(B40) => {
                    self.add_read(token, LogIndex(0), &mut tasks);
                }
                Effect::ReadFailed { token } => self.fail_read(token),
                Effect::TakeSnapshot(TakeSnapshot { point }) => {
                    tasks.push(ApplyTask::Snapshot { point });
                }
                Effect::CompactLog(order) => self.ports.log.do_send(LogCommand::Compact(order)),
                Effect::ReceiveSnapshot(order) => self.ports.snapshot.do_send(order),
                Effect::ResetLog(order) => {
                    self.ports.log.do_send(LogCommand::Reset(order));
                    let store = self.received_store.take();
                    let store = store.expect("the core installs what it was told is loaded");
                    assert_eq!(store.last_applied(), order.base.index, "and nothing else (B54)");
                    tasks.push(ApplyTask::Install { store });
                }
                Effect::Event(event) => log::info!("{event} node={}", self.raft.id()),
            }
        }
        if !tasks.is_empty() {
            self.ports.kv.do_send(Apply { tasks });
        }
        self.ports.memory.set(self.waiting.weight_bytes());
    }

    /// Gives one command to the ReplicatorActor of every peer.
    fn command_all(&self, command: &ReplicationCommand) {
        for peer in self.ports.peers.values() {
            peer.replicator.do_send(command.clone());
        }
    }

    /// Requests go out on our connection, responses on the one that brought the
    /// request. Without one the message is lost, which Raft takes in its stride.
    fn send(&self, envelope: Envelope) {
        if envelope.rpc.is_response() {
            if let Some((_, port)) = self.attached.get(&envelope.to) {
                port.do_send(SendRpc { envelope });
            }
        } else if let Some(peer) = self.ports.peers.get(&envelope.to) {
            peer.link.do_send(SendRpc { envelope });
        }
    }

    fn add_entries(&mut self, entries: Vec<Entry>, tasks: &mut Vec<ApplyTask>) {
        tasks.extend(entries.into_iter().map(|entry| {
            let reply_handle = self.waiting.take_proposal(entry.position());
            ApplyTask::Entry { entry, reply_handle }
        }));
    }

    fn add_read(&mut self, token: ReadToken, read_index: LogIndex, tasks: &mut Vec<ApplyTask>) {
        if let Some((query, reply_handle)) = self.waiting.take_read(token) {
            let now_ms = self.clock.wall_ms();
            tasks.push(ApplyTask::Read { query, read_index, now_ms, reply_handle });
        } else if let Some(reply_handle) = self.backup.take_begin(token) {
            self.raft.want_snapshot(read_index);
            reply(reply_handle, ClientReply::SnapshotBegun(read_index));
        }
    }

    fn fail_read(&mut self, token: ReadToken) {
        let reply_handle = self.waiting.take_read(token).map(|(_, reply_handle)| reply_handle);
        if let Some(reply_handle) = reply_handle.or_else(|| self.backup.take_begin(token)) {
            let refusal = Refusal::NotLeader { leader_id: self.raft.leader_id() };
            if !mutant!(B81a) {
                reply(reply_handle, ClientReply::Refused(refusal));
            }
        }
    }
}

fn reply(reply_handle: ReplyHandle, reply: ClientReply) {
    let mut replies = Replies::default();
    replies.add(reply_handle, reply);
    replies.send();
}

fn not_leader(error: NotLeader) -> Refusal {
    Refusal::NotLeader { leader_id: error.leader_id }
}

//! RaftActor: the only owner of term, vote, role and commit index.
//!
//! Every other actor sends it facts and receives orders. Other systems have lost committed
//! data because this state had two owners (docs/bugs.md B08), so even a heartbeat goes
//! through this mailbox.
//!
//! | in | from | out | to |
//! |---|---|---|---|
//! | [`ClientRequests`] | SessionActor | `ClientReplies` | SessionActor |
//! | [`Tick`] | TickerActor | | |
//! | [`Probe`] | ProberActor | | |
//! | `HandOver` | `node` | | |
//! | [`PeerEvent`] | PeerSessionActor | [`SendRpc`] (responses) | PeerSessionActor |
//! | [`PeerEvent`] | PeerLinkActor | [`SendRpc`] (requests for votes) | PeerLinkActor |
//! | [`PeersChanged`] | PeersActor | | |
//! | | | [`EndConnection`] | PeerSessionActor, PeerLinkActor |
//! | [`Replicated`] | ReplicatorActor | `ReplicationCommand` | ReplicatorActor |
//! | [`LogPersisted`], [`LogCompacted`], [`HoldSaved`] | LogActor | [`LogCommand`] | LogActor |
//! | [`EntriesRead`] | LogActor | [`ReadEntriesRequest`] | LogActor |
//! | [`SnapshotWritten`], [`SnapshotLost`] | SnapshotWriterActor | | |
//! | [`PieceReceived`] | SnapshotWriterActor | [`ReceiveSnapshot`] | SnapshotWriterActor |
//! | [`SnapshotReceived`] | SnapshotWriterActor | | |
//! | | | [`StoreCommand`]: `DropStore` | SnapshotWriterActor |
//! | [`SnapshotsQueried`] | SnapshotReaderActor | [`QuerySnapshots`] | SnapshotReaderActor |
//! | [`Applied`], [`DigestRead`] | KvActor | [`Apply`] | KvActor |
//! | [`StoreCorrupted`] | KvActor, SnapshotWriterActor, WatchHubActor, the HTTP port | | |
//! | | | [`Announce`] | PeersActor |
//! | | | [`NodeMustStop`] | `node` |
//!
//! | file | contents |
//! |---|---|
//! | `commands` | accepts or refuses the commands of clients |
//! | `effects` | turns the effects of the core into messages |
//! | `expiry` | decides when the store needs an entry, so that keys expire |
//! | `history` | the entries that set the bounds of the history |
//! | `pending` | the commands that wait for their outcome |
//! | `held` | the commands that wait while the leadership is handed over |
//! | `any_server` | reads and writes at a node that does not lead (docs/adr/0031) |
//! | `forwards` | the commands on their way to the leader, and those from peers |
//! | `moments`, `batches` | the moments of commands on their way, and of batches of entries |
//! | `log_ages` | for how long a peer has lacked what it lacks |
//! | `observation`, `observed` | its measurements, and when they are taken |
//! | `order` | the order of a session's commands on a node that does not lead |
//! | `renewals` | the renewals of leases that share an entry |
//! | `transfers` | the commands of operators about the leadership that wait |
//! | `hand_over` | holds commands, transfers the leadership, and ends the process in order |
//! | `backups` | the commands of clients that fetch a backup |
//! | `upgrades` | the commands of operators about the cluster's format |
//! | `members` | the commands of operators about the members that wait |
//! | `member_commands` | accepts and answers them |
//!
//! It owns the core and the commands that wait, and runs on the main arbiter. All messages
//! of one mailbox drain are handed to the core first, and its effects are executed after
//! them: that is the batch. When the disk, the store or a replicator is gone, the process
//! is ending, and nobody waits for their answers.

mod any_server;
mod backups;
mod batches;
mod commands;
mod disk_stall;
mod effects;
mod expiry;
mod forwards;
mod hand_over;
mod held;
mod history;
mod lines;
mod log_ages;
mod member_commands;
mod members;
mod moments;
mod observation;
mod observed;
mod order;
mod pending;
mod refusals;
mod renewals;
mod settings;
mod transfers;
mod upgrades;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};

use crate::actors::io::memory::Reservation;
use crate::actors::io::operation_times::OperationTimes;
use crate::actors::messages::clients::{ClientReply, ClientRequests, ReplyHandle};
use crate::actors::messages::kv::{Applied, Apply, DigestRead, StoreCorrupted};
use crate::actors::messages::lifecycle::{NodeMustStop, Probe, Tick};
use crate::actors::messages::log::{
    EntriesRead, HoldSaved, LogCommand, LogCompacted, LogPersisted, ReadEntriesRequest,
};
use crate::actors::messages::peers::{
    Announce, EndConnection, PeerEvent, PeerPorts, PeersChanged, SendRpc,
};
use crate::actors::messages::replication::Replicated;
use crate::actors::messages::replies::{Replies, reply};
use crate::actors::messages::snapshots::{
    DropStore, PieceReceived, QuerySnapshots, SnapshotLost, SnapshotReceived, SnapshotWritten,
    SnapshotsQueried, StoreCommand,
};
use crate::clock::Clock;
use crate::kv::{Command, Operation, Store};
use crate::metrics::ProposalFailure;
use crate::raft::{Raft, ReceiveSnapshot, Role};
use crate::types::{Address, NodeId, Payload};
use backups::PendingBackups;
use expiry::{Expiry, Now};
use history::HistoryBounds;
use lines::Lines;
use members::PendingMembers;
use observation::Observation;
use pending::PendingCommands;
pub use settings::RaftActorSettings;
use transfers::PendingTransfers;
use upgrades::PendingUpgrades;

/// The ports of RaftActor.
pub struct RaftPorts {
    /// LogActor: orders that change the log.
    pub log: Recipient<LogCommand>,
    /// LogActor: reads of entries that are only on disk.
    pub log_reads: Recipient<ReadEntriesRequest>,
    /// SnapshotWriterActor: chunks of a snapshot that the leader sent.
    pub snapshot: Recipient<ReceiveSnapshot>,
    /// SnapshotWriterActor: stores that are not needed.
    pub stores: Recipient<StoreCommand>,
    /// SnapshotReaderActor: questions of clients about snapshots.
    pub snapshot_queries: Recipient<QuerySnapshots>,
    /// KvActor: entries to apply and reads to answer.
    pub kv: Recipient<Apply>,
    /// The actors of each peer, as PeersActor gives them.
    pub peers: BTreeMap<NodeId, PeerPorts>,
    /// PeersActor: the facts by which peers are admitted.
    pub announce: Recipient<Announce>,
    /// `node`: the end of this server.
    pub must_stop: Recipient<NodeMustStop>,
    /// The memory of the commands that wait.
    pub memory: Reservation,
}

/// Number of messages after which the effects are executed even if more are waiting.
/// Another arbiter could keep the mailbox from ever being empty.
const BATCH_MESSAGES_MAX: u32 = 512;

/// The actor that owns the Raft core and the commands that wait for it.
pub struct RaftActor {
    raft: Raft,
    ports: RaftPorts,
    settings: RaftActorSettings,
    clock: Arc<dyn Clock>,
    pending: PendingCommands,
    backups: PendingBackups,
    upgrades: PendingUpgrades,
    members: PendingMembers,
    transfers: PendingTransfers,
    /// The address of the leader for clients, as the last redirect had it: redirects share it.
    leader_address: Option<Arc<Address>>,
    /// The newest connection that each peer has opened to this node: its number, and the
    /// ports to it.
    attached: BTreeMap<NodeId, AttachedPeer>,
    /// Ticks since the start.
    ticks: u64,
    upkeep: Upkeep,
    /// The store of a snapshot that was received and is about to be installed.
    received_store: Option<Store>,
    /// Messages since the last flush. Invariant: a `Flush` is in the mailbox exactly when
    /// this is not 0.
    batched_messages: u32,
}

/// The work beside commands and protocol: the entries of this node's own that the store needs, the
/// end of its history, and the measurements.
#[derive(Default)]
struct Upkeep {
    /// The entries that let keys expire.
    expiry: Expiry,
    /// The entries that set the bounds of the history.
    history: HistoryBounds,
    /// True when KvActor was told that this server was removed.
    has_history_ended: bool,
    observation: Observation,
    lines: Lines,
}

/// A connection that a peer has opened to this node.
struct AttachedPeer {
    connection: u64,
    /// PeerSessionActor: responses to the peer.
    port: Recipient<SendRpc>,
    /// The same PeerSessionActor: requests that no sound node sends.
    end: Recipient<EndConnection>,
}

/// Sent by the actor to itself once a mailbox drain, to execute the effects of the core.
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
            pending: PendingCommands::default(),
            backups: PendingBackups::default(),
            upgrades: PendingUpgrades::default(),
            members: PendingMembers::default(),
            transfers: PendingTransfers::default(),
            leader_address: None,
            attached: BTreeMap::new(),
            ticks: 0,
            upkeep: Upkeep::default(),
            received_store: None,
            batched_messages: 0,
        }
    }
}

impl Actor for RaftActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // The senders bound the mailbox: a session has a limit of commands under way, a peer
        // sends the frames of one read, and log and store answer what they were given.
        log::info!(
            node = self.raft.id(),
            role:% = self.raft.role(),
            term = self.raft.term(),
            last_log_index = self.raft.last_log().index;
            "started raft"
        );
        self.flush_soon(ctx);
    }
}

impl Handler<ClientRequests> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: ClientRequests, ctx: &mut Context<Self>) {
        let ClientRequests { session, reply_to, requests, arrived_at, held } = message;
        self.update_clock();
        if self.raft.has_failed_reads() {
            // They are tried again before any later command of their sessions.
            self.execute(ctx);
        }
        let mut refused = Replies::default();
        let arrived_at = arrived_at.unwrap_or(self.pending.moments.now);
        for (slot, request) in requests {
            let times = OperationTimes::arrived(request.name(), arrived_at);
            let reply_handle =
                ReplyHandle { session, slot, reply_to: Arc::clone(&reply_to), times };
            if let Err(refusal) = self.accept(request, &reply_handle, ctx) {
                refused.add(reply_handle, ClientReply::Refused(refusal));
            }
        }
        refused.send();
        self.ports.memory.set(self.pending.weight_bytes());
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
        self.maybe_set_history();
        self.retry_transfers();
        self.time_out();
        self.observe_tick();
        self.flush_soon(ctx);
    }
}

impl Handler<Probe> for RaftActor {
    type Result = ();

    fn handle(&mut self, Probe { mailbox }: Probe, _ctx: &mut Context<Self>) {
        mailbox.end();
    }
}

impl Handler<PeerEvent> for RaftActor {
    type Result = ();

    fn handle(&mut self, event: PeerEvent, ctx: &mut Context<Self>) {
        match event {
            PeerEvent::Attached { peer, connection, port, end, introduction } => {
                self.attached.insert(peer, AttachedPeer { connection, port, end });
                self.update_clock();
                // A word about a command may have been on a connection before this one.
                self.lose_forwards(peer);
                self.raft.on_peer_attached(peer, introduction);
                self.flush_soon(ctx);
            }
            PeerEvent::Message(envelope) => {
                self.update_clock();
                self.raft.step(envelope);
                self.take_forwarded();
                self.flush_soon(ctx);
            }
            PeerEvent::Detached { peer, connection } => {
                let is_newest = |attached: &AttachedPeer| attached.connection == connection;
                if self.attached.get(&peer).is_some_and(is_newest) {
                    self.attached.remove(&peer);
                    self.update_clock();
                    self.lose_forwards(peer);
                    self.raft.on_peer_detached(peer);
                    self.flush_soon(ctx);
                }
            }
            PeerEvent::Reached { peer } => {
                self.pending.forwards.set_reached(peer, true);
                self.raft.on_peer_reached(peer);
                self.flush_soon(ctx);
            }
            PeerEvent::Lost { peer } => {
                self.pending.forwards.set_reached(peer, false);
                self.lose_forwards(peer);
                self.flush_soon(ctx);
            }
            PeerEvent::Refused { peer } => {
                self.update_clock();
                self.raft.on_connection_refused(peer);
                self.flush_soon(ctx);
            }
            PeerEvent::Removed { peer, at } => {
                self.update_clock();
                self.raft.on_told_removed(peer, at);
                self.flush_soon(ctx);
            }
        }
    }
}

impl Handler<PeersChanged> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: PeersChanged, ctx: &mut Context<Self>) {
        let PeersChanged { added, removed } = message;
        self.update_clock();
        // The connections that such a peer has opened stay until they end: it may be a member that
        // this node does not know of yet, and its connection outlives that.
        for peer in removed {
            self.ports.peers.remove(&peer);
        }
        for (peer, ports) in added {
            self.ports.peers.insert(peer, ports);
            self.raft.on_peer_added(peer);
        }
        self.flush_soon(ctx);
    }
}

impl Handler<Replicated> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: Replicated, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_replicated(message.peer, message.term, message.report);
        self.flush_soon(ctx);
    }
}

impl Handler<LogPersisted> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: LogPersisted, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_persisted(message.seq);
        let persisted = self.raft.last_persisted_index();
        self.pending.moments.batches.persist(persisted, message.synced_at);
        self.flush_soon(ctx);
    }
}

impl Handler<EntriesRead> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: EntriesRead, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_entries_read(message.entries);
        self.flush_soon(ctx);
    }
}

impl Handler<Applied> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: Applied, ctx: &mut Context<Self>) {
        self.update_clock();
        self.upkeep.observation.on_applied(message.last_applied, self.pending.moments.now);
        self.upkeep.expiry.on_applied(&message);
        self.upkeep.history.on_applied(&message);
        self.pending.on_applied(message.last_applied).send();
        self.upgrades.on_applied(message.last_applied).send();
        self.members.on_applied(message.last_applied).send();
        self.raft.on_applied(message.last_applied, message.digest);
        self.flush_soon(ctx);
    }
}

impl Handler<DigestRead> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: DigestRead, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_digest_read(message.index, message.digest);
        self.flush_soon(ctx);
    }
}

impl Handler<StoreCorrupted> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: StoreCorrupted, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_store_corrupted(message.what);
        // Executed at once, before any answer of the store can be asked for.
        self.execute(ctx);
    }
}

impl Handler<SnapshotWritten> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotWritten, ctx: &mut Context<Self>) {
        self.update_clock();
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
        self.update_clock();
        self.raft.on_snapshot_lost(message.last);
        self.flush_soon(ctx);
    }
}

impl Handler<LogCompacted> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: LogCompacted, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.on_compacted(message.base);
        self.flush_soon(ctx);
    }
}

impl Handler<HoldSaved> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: HoldSaved, ctx: &mut Context<Self>) {
        self.update_clock();
        self.raft.set_held(message.is_held);
        if let Some(reply_handle) = self.upgrades.take_hold() {
            reply(reply_handle, ClientReply::HoldSaved);
        }
        self.flush_soon(ctx);
    }
}

impl Handler<PieceReceived> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: PieceReceived, ctx: &mut Context<Self>) {
        let PieceReceived { from, term, request_seq, snapshot, received } = message;
        self.update_clock();
        self.raft.on_snapshot_piece(from, term, request_seq, snapshot, received);
        self.flush_soon(ctx);
    }
}

impl Handler<SnapshotReceived> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotReceived, ctx: &mut Context<Self>) {
        let SnapshotReceived { from, term, request_seq, point, stamp_ms, store } = message;
        let base = point.last;
        self.update_clock();
        if self.raft.on_snapshot_received(from, term, request_seq, point, stamp_ms) {
            log::info!(
                node = self.raft.id(),
                last_included_index = base.index,
                last_included_term = base.term;
                "installs snapshot"
            );
            // Executed at once: the effect that installs it must find this store, and not that
            // of a later snapshot.
            self.received_store = Some(store);
            self.execute(ctx);
        } else {
            // To free a million keys here would take longer than a heartbeat may.
            self.ports.stores.do_send(StoreCommand::Drop(Box::new(DropStore { store })));
        }
        self.flush_soon(ctx);
    }
}

impl Handler<SnapshotsQueried> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotsQueried, _ctx: &mut Context<Self>) {
        let SnapshotsQueried { ticket, answer } = message;
        if let Some(reply_handle) = self.backups.take_query(ticket) {
            reply(reply_handle, ClientReply::Snapshot(answer));
        }
    }
}

impl Handler<Flush> for RaftActor {
    type Result = ();

    fn handle(&mut self, _flush: Flush, ctx: &mut Context<Self>) {
        self.upkeep.observation.on_batch(self.batched_messages);
        self.batched_messages = 0;
        self.execute(ctx);
    }
}

impl RaftActor {
    /// Tells the core the time. Every handler calls it before the core gets its event.
    fn update_clock(&mut self) {
        let now = self.clock.monotonic();
        self.pending.moments.now = now;
        self.raft.set_now(now);
    }

    /// Refuses the commands whose time is over. The core forgets the reads among them: a read
    /// that waits for a stalled quorum of disks would stay there long after its client has
    /// gone, and be counted nowhere.
    fn time_out(&mut self) {
        let mut cancelled = Vec::new();
        let before = self.pending.writes();
        self.pending.time_out(self.ticks, &mut cancelled).send();
        let timed_out = before - self.pending.writes();
        self.upkeep.observation.on_failed(ProposalFailure::Timeout, timed_out);
        self.backups.time_out(self.ticks, &mut cancelled).send();
        self.upgrades.time_out(self.ticks).send();
        self.time_out_held();
        self.time_out_forwards();
        self.time_out_members();
        self.time_out_transfers();
        for token in cancelled {
            self.raft.cancel_read(token);
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

    /// Proposes entries of the leader's own, if the store needs any.
    fn maybe_expire(&mut self) {
        let now = Now {
            term: self.raft.term(),
            last_applied: self.raft.last_applied(),
            store_time_ms: self.raft.store_time_ms(),
            last_stamp_ms: self.raft.last_stamp_ms(),
        };
        for _ in 0..self.upkeep.expiry.needed_entries(now) {
            // A follower leaves it to its leader.
            if self.raft.propose(Payload::Noop).is_err() {
                return;
            }
            self.upkeep.expiry.on_written(self.raft.last_log(), now.store_time_ms);
        }
    }

    /// Proposes the bounds in this server's settings, if it leads and others are in force. Its
    /// store must have an entry of its term: until then it may lack one that has set them.
    fn maybe_set_history(&mut self) {
        let (term, last_applied) = (self.raft.term(), self.raft.last_applied());
        let wanted = self.settings.history;
        if self.raft.role() != Role::Leader
            || self.raft.term_at(last_applied) != Some(term)
            || !self.upkeep.history.needs_entry(wanted, term, last_applied)
        {
            return;
        }
        let operation = Operation::SetHistory(wanted);
        let command = Command { once: None, store_bytes_max: 0, operation }.encode();
        if self.not_yet(&command).is_none() && self.raft.propose(Payload::Command(command)).is_ok()
        {
            self.upkeep.history.on_written(self.raft.last_log());
        }
    }
}

#[cfg(test)]
mod tests;

//! ReplicatorActor: sends to one peer what it still lacks.
//!
//! | in | from | out | to |
//! |---|---|---|---|
//! | [`ReplicationCommand`] | RaftActor | [`Replicated`] | RaftActor |
//! | [`LinkEvent`] | PeerLinkActor | [`SendRpc`], [`EndConnection`] | PeerLinkActor |
//! | [`EntriesRead`] | LogActor | [`ReadEntriesRequest`] | LogActor |
//! | [`SnapshotRead`] | SnapshotReaderActor | [`ReadSnapshotRequest`] | SnapshotReaderActor |
//! | [`Shutdown`] | PeersActor | | |
//!
//! It owns the peer's `raft::Progress`, which exists only while this node leads. It makes
//! no decision itself: RaftActor decides what the peer's responses mean for the commit
//! index and for the leadership. It runs on the main arbiter. The window of the progress
//! bounds what it sends.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use log::Level;
use tokio::time::Instant;

use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::log::{EntriesRead, ReadEntriesRequest};
use crate::actors::messages::peers::{EndConnection, SendRpc};
use crate::actors::messages::replication::{LinkEvent, Replicated, ReplicationCommand};
use crate::actors::messages::snapshots::{ReadSnapshotRequest, SnapshotRead};
use crate::logging::LogLimit;
use crate::metrics::{PeerMetrics, RaftMetrics};
use crate::raft::{
    AppendResult, Envelope, PeerFault, Progress, ProgressAction, ProgressSettings,
    ReplicationReport, Rpc, SnapshotProgress, StartReplication,
};
use crate::types::{LogIndex, NodeId, Term};

/// The ports of ReplicatorActor.
pub struct ReplicatorPorts {
    /// RaftActor: reports of the progress.
    pub raft: Recipient<Replicated>,
    /// The peer's PeerLinkActor: requests to the peer.
    pub link: Recipient<SendRpc>,
    /// The same PeerLinkActor: responses that no sound peer sends.
    pub link_end: Recipient<EndConnection>,
    /// LogActor: reads of entries that are only on disk.
    pub log: Recipient<ReadEntriesRequest>,
    /// SnapshotReaderActor: reads of chunks to send.
    pub snapshot: Recipient<ReadSnapshotRequest>,
}

/// The bounds of ReplicatorActor.
#[derive(Clone, Copy, Debug)]
pub struct ReplicatorSettings {
    /// The bounds of the requests under way to the peer.
    pub progress: ProgressSettings,
    /// Maximum bytes of snapshots sent in a second; 0 for no limit.
    pub snapshot_bytes_per_second_max: u64,
    /// Pause between two requests to a peer that is sent batches.
    pub batched_peer_delay: Duration,
}

/// The owner of the replication to one peer.
pub struct ReplicatorActor {
    id: NodeId,
    peer: NodeId,
    settings: ReplicatorSettings,
    /// The time from which the next chunk of a snapshot may be read.
    next_chunk_at: Instant,
    ports: ReplicatorPorts,
    is_connected: bool,
    progress: Option<Progress>,
    /// The progress of the snapshot that is being sent, as of the last report.
    snapshot_progress: Option<SnapshotProgress>,
    /// Bounds the lines about snapshots: a peer may refuse one again and again.
    lines: LogLimit,
    is_flush_pending: bool,
    metrics: PeerMetrics,
    raft_metrics: RaftMetrics,
    /// The entries that the peer had when the sending of a snapshot began.
    matched_before: LogIndex,
}

/// Sent by the actor to itself when the pause between two requests of `term` is over.
#[derive(Message)]
#[rtype(result = "()")]
struct PauseOver {
    term: Term,
}

/// Sent by the actor to itself once a mailbox drain, to execute the actions of the progress.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl ReplicatorActor {
    /// The replication from node `id` to `peer`.
    pub fn new(
        id: NodeId,
        peer: NodeId,
        settings: ReplicatorSettings,
        ports: ReplicatorPorts,
    ) -> ReplicatorActor {
        ReplicatorActor {
            id,
            peer,
            settings,
            next_chunk_at: Instant::now(),
            ports,
            is_connected: false,
            progress: None,
            snapshot_progress: None,
            lines: LogLimit::default(),
            is_flush_pending: false,
            metrics: PeerMetrics::default(),
            raft_metrics: RaftMetrics::default(),
            matched_before: LogIndex::default(),
        }
    }

    /// Measures its work by these metrics: those of the peer, and those that all peers share.
    #[must_use]
    pub fn with_metrics(self, metrics: PeerMetrics, raft_metrics: RaftMetrics) -> ReplicatorActor {
        ReplicatorActor { metrics, raft_metrics, ..self }
    }
}

impl Actor for ReplicatorActor {
    type Context = Context<Self>;
}

impl Handler<ReplicationCommand> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, command: ReplicationCommand, ctx: &mut Context<Self>) {
        match command {
            ReplicationCommand::Start(StartReplication { term, runs }) => {
                let settings = self.settings.progress;
                self.progress = Some(Progress::new(settings, term, runs, self.is_connected));
                self.flush_soon(ctx);
            }
            ReplicationCommand::Replicate(order) => {
                if let Some(progress) = self.progress_of(order.term) {
                    progress.replicate(&order);
                    self.flush_soon(ctx);
                }
            }
            ReplicationCommand::SetSendMode(order) => {
                if let Some(progress) = self.progress_of(order.term) {
                    progress.set_send_mode(order.mode);
                    self.flush_soon(ctx);
                }
            }
            ReplicationCommand::TellCommit(order) => {
                if let Some(progress) = self.progress_of(order.term) {
                    progress.tell_commit(order.leader_commit);
                    self.flush_soon(ctx);
                }
            }
            ReplicationCommand::Stop(order) => {
                if self.progress_of(order.term).is_some() {
                    self.progress = None;
                    self.metrics.end_progress();
                }
            }
        }
    }
}

impl Handler<LinkEvent> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match event {
            LinkEvent::Up => {
                self.is_connected = true;
                if let Some(progress) = &mut self.progress {
                    progress.on_connected();
                    self.flush_soon(ctx);
                }
            }
            LinkEvent::Down => {
                self.is_connected = false;
                if let Some(progress) = &mut self.progress {
                    progress.on_disconnected();
                }
            }
            LinkEvent::AppendResponse { term, response } => {
                if matches!(response.result, AppendResult::Conflict { .. }) {
                    self.raft_metrics.on_append_rejected();
                }
                if let Some(progress) = self.progress_answered_in(term) {
                    let taken = progress.on_response(response);
                    self.on_taken(taken, ctx);
                }
            }
            LinkEvent::InstallResponse { term, response } => {
                if let Some(progress) = self.progress_answered_in(term) {
                    let taken = progress.on_snapshot_response(response);
                    self.on_taken(taken, ctx);
                }
            }
        }
    }
}

impl Handler<PauseOver> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, PauseOver { term }: PauseOver, ctx: &mut Context<Self>) {
        if let Some(progress) = self.progress_of(term) {
            progress.on_pause_over();
            self.flush_soon(ctx);
        }
    }
}

impl Handler<SnapshotRead> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotRead, ctx: &mut Context<Self>) {
        let SnapshotRead { ticket, piece, offset } = message;
        self.delay_next_chunk(piece.as_ref().map_or(0, |(_, bytes)| bytes.len()));
        if let Some(progress) = &mut self.progress {
            match piece {
                Some((snapshot, bytes)) => {
                    progress.on_snapshot_read(ticket, snapshot, offset, bytes);
                }
                None => progress.on_snapshot_gone(ticket),
            }
            self.flush_soon(ctx);
        }
    }
}

impl Handler<EntriesRead> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: EntriesRead, ctx: &mut Context<Self>) {
        if let Some(progress) = &mut self.progress {
            progress.on_entries_read(message.ticket, message.entries);
            self.flush_soon(ctx);
        }
    }
}

impl Handler<Shutdown> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Flush> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, _flush: Flush, ctx: &mut Context<Self>) {
        self.is_flush_pending = false;
        let Some(progress) = &mut self.progress else { return };
        let term = progress.term();
        self.metrics.set_progress(
            progress.match_index(),
            progress.next_index(),
            progress.inflight_entries(),
        );
        for action in progress.take_actions() {
            match action {
                ProgressAction::Send(request) => self.send(term, Rpc::AppendEntries(request)),
                ProgressAction::ReadEntries(read) => {
                    let reply_to = ctx.address().recipient();
                    self.ports.log.do_send(ReadEntriesRequest { read, reply_to });
                }
                ProgressAction::SendSnapshot(piece) => self.send(term, Rpc::InstallSnapshot(piece)),
                ProgressAction::SendForgotten(word) => self.send(term, Rpc::Forgotten(word)),
                ProgressAction::ReadSnapshot(read) => {
                    let reply_to = ctx.address().recipient();
                    self.read_in_time(ReadSnapshotRequest { read, reply_to }, ctx);
                }
                ProgressAction::Pause => {
                    ctx.notify_later(PauseOver { term }, self.settings.batched_peer_delay);
                }
                ProgressAction::Report(report) => {
                    self.log_snapshot_progress(report.snapshot_progress, report.match_index);
                    self.ports.raft.do_send(Replicated { peer: self.peer, term, report });
                }
            }
        }
    }
}

impl ReplicatorActor {
    fn send(&self, term: Term, rpc: Rpc) {
        let envelope = Envelope { from: self.id, to: self.peer, term, rpc };
        self.ports.link.do_send(SendRpc { envelope });
    }

    /// After a response: only a broken peer sends one that is refused. It must not stop this
    /// node as well, and neither may it go on.
    fn on_taken(&mut self, taken: Result<(), PeerFault>, ctx: &mut Context<Self>) {
        match taken {
            Ok(()) => self.flush_soon(ctx),
            Err(fault) => self.ports.link_end.do_send(EndConnection { fault }),
        }
    }

    fn progress_of(&mut self, term: Term) -> Option<&mut Progress> {
        self.progress.as_mut().filter(|progress| progress.term() == term)
    }

    /// Reads the next chunk when enough time has passed since the one before.
    fn read_in_time(&mut self, read: ReadSnapshotRequest, ctx: &mut Context<Self>) {
        let pause = self.next_chunk_at.saturating_duration_since(Instant::now());
        if pause.is_zero() {
            self.ports.snapshot.do_send(read);
        } else {
            ctx.run_later(pause, |actor, _| actor.ports.snapshot.do_send(read));
        }
    }

    /// Logs when the sending of a snapshot begins and ends; `status` shows the progress in
    /// between.
    fn log_snapshot_progress(
        &mut self,
        snapshot_progress: Option<SnapshotProgress>,
        match_index: LogIndex,
    ) {
        let (node, peer) = (self.id, self.peer);
        let left = snapshot_progress.map_or(0, |to| to.bytes.saturating_sub(to.acked_bytes));
        self.metrics.set_snapshot_bytes_left(left);
        match (self.snapshot_progress, snapshot_progress) {
            (None, Some(_)) => self.matched_before = match_index,
            // It has the entries that the snapshot stands for.
            (Some(_), None) if match_index > self.matched_before => {
                self.raft_metrics.on_snapshot_sent();
            }
            _ => {}
        }
        match (std::mem::replace(&mut self.snapshot_progress, snapshot_progress), snapshot_progress)
        {
            (None, Some(SnapshotProgress { acked_bytes, bytes })) => {
                let (level, left_out) = self.lines.level(Level::Info, ());
                log::log!(
                    level, node, peer, bytes, acked_bytes, left_out;
                    "sends snapshot"
                );
            }
            (Some(_), None) => {
                let (level, left_out) = self.lines.level(Level::Info, ());
                log::log!(level, node, peer, match_index, left_out; "sends no snapshot any more");
            }
            _ => {}
        }
    }

    /// Delays the next chunk by the time that this one takes at the limit. The bytes of the
    /// chunk count, which may be far fewer than were asked for.
    fn delay_next_chunk(&mut self, bytes: usize) {
        let micros = bytes as u64 * 1_000_000;
        if let Some(micros) = micros.checked_div(self.settings.snapshot_bytes_per_second_max) {
            self.next_chunk_at = Instant::now() + Duration::from_micros(micros);
        }
    }

    /// The progress that a response of `term` is for. A higher term is reported to RaftActor,
    /// which decides whether it ends the leadership.
    fn progress_answered_in(&mut self, term: Term) -> Option<&mut Progress> {
        let current = self.progress.as_ref()?.term();
        if term > current {
            let report = ReplicationReport::default();
            self.ports.raft.do_send(Replicated { peer: self.peer, term, report });
        }
        self.progress_of(term)
    }

    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.is_flush_pending {
            self.is_flush_pending = true;
            ctx.notify(Flush);
        }
    }
}

#[cfg(test)]
mod tests;

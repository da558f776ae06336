//! ReplicatorActor: what one peer still lacks, and getting it there.
//!
//! | in | from | out | to |
//! |---|---|---|---|
//! | [`Lead`], [`Replicate`], [`StepDown`] | RaftActor | `Replicated` | RaftActor |
//! | [`LinkUp`], [`LinkDown`], [`AppendResponse`] | PeerLinkActor | `SendRpc` | PeerLinkActor |
//! | [`InstallResponse`] | PeerLinkActor | | |
//! | `EntriesRead` | LogActor | `ReadEntries` | LogActor |
//! | `SnapshotRead` | SnapshotActor | `ReadSnapshot` | SnapshotActor |
//!
//! It owns the peer's `raft::Progress`, which exists only while this node leads,
//! and decides nothing itself: what the peer's responses mean for the commit
//! index, or for the leadership, is RaftActor's to say. It runs on the main
//! arbiter; what it sends is bounded by the progress's window.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use tokio::time::Instant;

use super::log::{EntriesRead, ReadEntries};
use super::peer_link::SendRpc;
use super::raft::Replicated;
use super::snapshot::{ReadSnapshot, SnapshotRead};
use crate::raft::{
    AppendEntriesResponse, AppendResult, Envelope, InstallSnapshotResponse, Progress,
    ProgressAction, ProgressSettings, ReplicationReport, Rpc, TransferStatus,
};
use crate::types::{Entry, LogIndex, LogPosition, NodeId, Term, TermRuns};

/// Where ReplicatorActor sends.
pub struct ReplicatorPorts {
    /// RaftActor.
    pub raft: Recipient<Replicated>,
    /// The peer's PeerLinkActor.
    pub link: Recipient<SendRpc>,
    /// LogActor.
    pub log: Recipient<ReadEntries>,
    /// SnapshotActor.
    pub snapshot: Recipient<ReadSnapshot>,
}

/// The bounds of ReplicatorActor.
#[derive(Clone, Copy, Debug)]
pub struct ReplicatorSettings {
    /// Those of what is under way to the peer.
    pub progress: ProgressSettings,
    /// How fast a snapshot is sent at the most, in bytes a second; 0 for no limit.
    pub snapshot_bytes_per_second_max: u64,
}

/// See the module.
pub struct ReplicatorActor {
    id: NodeId,
    peer: NodeId,
    settings: ReplicatorSettings,
    /// When the next piece of a snapshot may be read.
    next_piece_at: Instant,
    ports: ReplicatorPorts,
    is_connected: bool,
    progress: Option<Progress>,
    /// How far the snapshot is that is being sent, by the last report.
    transfer: Option<TransferStatus>,
    is_flush_pending: bool,
}

/// Sent by RaftActor: this node leads `term`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Lead {
    /// The new term.
    pub term: Term,
    /// The terms of the log before the leader's first entry.
    pub runs: TermRuns,
}

/// Sent by RaftActor: there is something to send.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Replicate {
    /// The leader's term.
    pub term: Term,
    /// Where the log begins by now.
    pub base: LogPosition,
    /// New entries, consecutive over all messages of a term.
    pub entries: Arc<[Entry]>,
    /// The commit index to tell.
    pub leader_commit: LogIndex,
    /// The round of reads to confirm.
    pub read_seq: u64,
    /// Send something even if there are no entries.
    pub heartbeat: bool,
}

/// Sent by RaftActor: the leadership of `term` is over.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct StepDown {
    /// The term that was led.
    pub term: Term,
}

/// Sent by PeerLinkActor: the connection to the peer is up.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkUp;

/// Sent by PeerLinkActor: it is gone, and with it all that was under way.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkDown;

/// Sent by PeerLinkActor for each response to an AppendEntries.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct AppendResponse {
    /// The peer's term.
    pub term: Term,
    /// Its response.
    pub response: AppendEntriesResponse,
}

/// Sent by PeerLinkActor for each response to an InstallSnapshot.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct InstallResponse {
    /// The peer's term.
    pub term: Term,
    /// Its response.
    pub response: InstallSnapshotResponse,
}

/// Sent to itself, once a mailbox drain: send what there is.
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
            next_piece_at: Instant::now(),
            ports,
            is_connected: false,
            progress: None,
            transfer: None,
            is_flush_pending: false,
        }
    }
}

impl Actor for ReplicatorActor {
    type Context = Context<Self>;
}

impl Handler<Lead> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: Lead, ctx: &mut Context<Self>) {
        let Lead { term, runs } = message;
        let settings = self.settings.progress;
        self.progress = Some(Progress::new(settings, term, runs, self.is_connected));
        self.flush_soon(ctx);
    }
}

impl Handler<Replicate> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: Replicate, ctx: &mut Context<Self>) {
        let Replicate { term, base, entries, leader_commit, read_seq, heartbeat } = message;
        if let Some(progress) = self.progress_of(term) {
            progress.replicate(base, &entries, leader_commit, read_seq, heartbeat);
            self.flush_soon(ctx);
        }
    }
}

impl Handler<StepDown> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: StepDown, _ctx: &mut Context<Self>) {
        if self.progress_of(message.term).is_some() {
            self.progress = None;
        }
    }
}

impl Handler<LinkUp> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, _message: LinkUp, ctx: &mut Context<Self>) {
        self.is_connected = true;
        if let Some(progress) = &mut self.progress {
            progress.on_connected();
            self.flush_soon(ctx);
        }
    }
}

impl Handler<LinkDown> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, _message: LinkDown, _ctx: &mut Context<Self>) {
        self.is_connected = false;
        if let Some(progress) = &mut self.progress {
            progress.on_disconnected();
        }
    }
}

impl Handler<AppendResponse> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: AppendResponse, ctx: &mut Context<Self>) {
        let AppendResponse { term, response } = message;
        let (id, peer) = (self.id, self.peer);
        let Some(progress) = self.progress_answered_in(term) else { return };
        let last_index = progress.last_index();
        match response.result {
            // Only a broken peer says so. It must not stop us as well.
            AppendResult::Success { match_index } if match_index > last_index => {
                log::error!(
                    "dropped a response node={id} peer={peer}: it acknowledges entry \
                     {match_index}, and the log ends with entry {last_index}"
                );
            }
            _ => {
                progress.on_response(response);
                self.flush_soon(ctx);
            }
        }
    }
}

impl Handler<InstallResponse> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: InstallResponse, ctx: &mut Context<Self>) {
        let InstallResponse { term, response } = message;
        if let Some(progress) = self.progress_answered_in(term) {
            progress.on_snapshot_response(response);
            self.flush_soon(ctx);
        }
    }
}

impl Handler<SnapshotRead> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotRead, ctx: &mut Context<Self>) {
        let SnapshotRead { ticket, piece, offset } = message;
        self.note_piece(piece.as_ref().map_or(0, |(_, bytes)| bytes.len()));
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

impl Handler<Flush> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, _flush: Flush, ctx: &mut Context<Self>) {
        self.is_flush_pending = false;
        let Some(progress) = &mut self.progress else { return };
        let term = progress.term();
        for action in progress.take_actions() {
            match action {
                ProgressAction::Send(request) => {
                    let rpc = Rpc::AppendEntries(request);
                    let envelope = Envelope { from: self.id, to: self.peer, term, rpc };
                    self.ports.link.do_send(SendRpc { envelope });
                }
                ProgressAction::ReadEntries { ticket, from, to, bytes_max } => {
                    let reply_to = ctx.address().recipient();
                    self.ports.log.do_send(ReadEntries { ticket, from, to, bytes_max, reply_to });
                }
                ProgressAction::SendSnapshot(piece) => {
                    let rpc = Rpc::InstallSnapshot(piece);
                    let envelope = Envelope { from: self.id, to: self.peer, term, rpc };
                    self.ports.link.do_send(SendRpc { envelope });
                }
                ProgressAction::ReadSnapshot { ticket, snapshot, offset, bytes_max } => {
                    let reply_to = ctx.address().recipient();
                    let read = ReadSnapshot { ticket, snapshot, offset, bytes_max, reply_to };
                    self.read_in_time(read, ctx);
                }
                ProgressAction::Report(report) => {
                    self.tell_of(report.transfer, report.match_index);
                    self.ports.raft.do_send(Replicated { peer: self.peer, term, report });
                }
            }
        }
    }
}

impl ReplicatorActor {
    fn progress_of(&mut self, term: Term) -> Option<&mut Progress> {
        self.progress.as_mut().filter(|progress| progress.term() == term)
    }

    /// Reads the next piece when enough time has passed since the one before.
    fn read_in_time(&mut self, read: ReadSnapshot, ctx: &mut Context<Self>) {
        let pause = self.next_piece_at.saturating_duration_since(Instant::now());
        if pause.is_zero() {
            self.ports.snapshot.do_send(read);
        } else {
            ctx.run_later(pause, |actor, _| actor.ports.snapshot.do_send(read));
        }
    }

    /// Says when a snapshot begins to be sent, and how that ends; `status` says how far it
    /// is in between.
    fn tell_of(&mut self, transfer: Option<TransferStatus>, match_index: LogIndex) {
        let (id, peer) = (self.id, self.peer);
        match (std::mem::replace(&mut self.transfer, transfer), transfer) {
            (None, Some(TransferStatus { acked_bytes, bytes })) => log::info!(
                "sends snapshot node={id} peer={peer} bytes={bytes} acked_bytes={acked_bytes}"
            ),
            (Some(_), None) => log::info!(
                "sends no snapshot any more node={id} peer={peer} match_index={match_index}"
            ),
            _ => {}
        }
    }

    /// A piece takes its time on the line by what it has, which may be far less than was
    /// asked for.
    fn note_piece(&mut self, bytes: usize) {
        let micros = bytes as u64 * 1_000_000;
        if let Some(micros) = micros.checked_div(self.settings.snapshot_bytes_per_second_max) {
            self.next_piece_at = Instant::now() + Duration::from_micros(micros);
        }
    }

    /// The progress that a response of `term` is for. Whether a higher term ends the
    /// leadership is RaftActor's to say.
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
mod tests {
    use actix::Addr;

    use bytes::Bytes;

    use super::*;
    use crate::testing::{Inbox, probe, settle};
    use crate::types::{Payload, SnapshotId};

    struct Fixture {
        replicator: Addr<ReplicatorActor>,
        raft: Inbox<Replicated>,
        link: Inbox<SendRpc>,
        log: Inbox<ReadEntries>,
        snapshot: Inbox<ReadSnapshot>,
    }

    impl Fixture {
        fn start() -> Fixture {
            Fixture::start_with(0)
        }

        /// With so many bytes of snapshots a second; 0 for no limit.
        fn start_with(snapshot_bytes_per_second_max: u64) -> Fixture {
            let ((raft, raft_inbox), (link, link_inbox)) = (probe(), probe());
            let (log, log_inbox) = probe();
            let progress = ProgressSettings {
                append_entries_max: 2,
                append_bytes_max: 1 << 20,
                inflight_entries_max: 4,
                inflight_bytes_max: 1 << 20,
                snapshot_piece_bytes: 1 << 16,
                snapshot_window_bytes: 1 << 20,
            };
            let (snapshot, snapshot_inbox) = probe();
            let settings = ReplicatorSettings { progress, snapshot_bytes_per_second_max };
            let ports = ReplicatorPorts { raft, link, log, snapshot };
            let actor = ReplicatorActor::new(NodeId(1), NodeId(2), settings, ports);
            Fixture {
                replicator: actor.start(),
                raft: raft_inbox,
                link: link_inbox,
                log: log_inbox,
                snapshot: snapshot_inbox,
            }
        }

        /// Leads term 5 with a log of `entries` entries of term 1.
        async fn lead(&self, entries: u64) {
            let mut runs = TermRuns::default();
            for index in 1..=entries {
                runs.push(LogPosition { term: Term(1), index: LogIndex(index) });
            }
            self.replicator.do_send(LinkUp);
            self.replicator.do_send(Lead { term: Term(5), runs });
            settle().await;
        }

        async fn replicate(&self, term: u64, indexes: std::ops::RangeInclusive<u64>) {
            let entries = indexes.map(entry).collect();
            self.replicator.do_send(Replicate {
                term: Term(term),
                base: LogPosition::default(),
                entries,
                leader_commit: LogIndex(0),
                read_seq: 0,
                heartbeat: false,
            });
            settle().await;
        }

        async fn respond(&self, term: u64, request_seq: u64, result: AppendResult) {
            let response =
                AppendEntriesResponse { request_seq, read_seq: 0, is_newcomer: false, result };
            self.replicator.do_send(AppendResponse { term: Term(term), response });
            settle().await;
        }

        /// Pieces of snapshots that were sent since the last call: where, how much.
        fn pieces(&self) -> Vec<(u64, usize)> {
            let describe = |message: SendRpc| match message.envelope.rpc {
                Rpc::InstallSnapshot(piece) => (piece.offset, piece.bytes.len()),
                rpc => panic!("a piece is expected, not {rpc:?}"),
            };
            self.link.drain().into_iter().map(describe).collect()
        }

        /// What was sent since the last call: after which index, and how many.
        fn sent(&self) -> Vec<(u64, usize)> {
            let describe = |message: SendRpc| match message.envelope.rpc {
                Rpc::AppendEntries(request) => (request.prev.index.0, request.entries.len()),
                rpc => panic!("a replicator sends AppendEntries, not {rpc:?}"),
            };
            self.link.drain().into_iter().map(describe).collect()
        }
    }

    fn entry(index: u64) -> Entry {
        let index = LogIndex(index);
        Entry { index, term: Term(5), stamp_ms: 0, payload: Payload::Noop }
    }

    fn success(match_index: u64) -> AppendResult {
        AppendResult::Success { match_index: LogIndex(match_index) }
    }

    /// On simulated time. A piece may have far less than was asked for, as where a frame
    /// ends: to pay for 64 KiB each time would make a small snapshot take for ever.
    #[actix::test]
    async fn a_piece_takes_its_time_by_what_it_has() {
        tokio::time::pause();
        let f = Fixture::start_with(1_000);
        let read = |offset, bytes_max| {
            let reply_to = f.replicator.clone().recipient();
            ReadSnapshot { ticket: 1, snapshot: None, offset, bytes_max, reply_to }
        };
        let id = SnapshotId { last: LogPosition::default(), bytes: 100, digest: 1 };
        let piece = Some((id, Bytes::from_static(&[7; 50])));
        f.replicator.do_send(Pace { read: read(0, 1 << 16) });
        settle().await;
        assert_eq!(f.snapshot.drain().len(), 1, "the first is read at once");
        f.replicator.do_send(SnapshotRead { ticket: 1, piece, offset: 0 });
        f.replicator.do_send(Pace { read: read(50, 1 << 16) });
        settle().await;
        assert_eq!(f.snapshot.drain().len(), 0);
        tokio::time::advance(Duration::from_millis(51)).await;
        settle().await;
        assert_eq!(f.snapshot.drain().len(), 1, "50 bytes are 50 ms of a kilobyte a second");
    }

    /// Has a piece read as an action would.
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Pace {
        read: ReadSnapshot,
    }

    impl Handler<Pace> for ReplicatorActor {
        type Result = ();

        fn handle(&mut self, message: Pace, ctx: &mut Context<Self>) {
            self.read_in_time(message.read, ctx);
        }
    }

    #[actix::test]
    async fn pipelines_within_its_window_and_reports_what_was_acknowledged() {
        let f = Fixture::start();
        f.lead(3).await;
        assert_eq!(f.sent(), [(3, 0)], "first it finds out where the peer's log ends");
        f.respond(5, 1, success(3)).await;
        f.replicate(5, 4..=9).await;
        assert_eq!(f.sent(), [(3, 2), (5, 2)], "four entries are the window");
        f.raft.drain();
        f.respond(5, 2, success(5)).await;
        assert_eq!(f.sent(), [(7, 2)]);
        let reports = f.raft.drain();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].report.match_index, LogIndex(5));
    }

    #[actix::test]
    async fn drops_responses_from_an_older_term_and_passes_on_a_higher_one() {
        let f = Fixture::start();
        f.lead(3).await;
        f.respond(4, 1, success(3)).await;
        assert!(f.raft.drain().is_empty());
        f.respond(6, 1, success(0)).await;
        assert_eq!(f.raft.drain()[0].term, Term(6));
    }

    #[actix::test]
    async fn drops_the_acknowledgement_of_an_entry_that_is_not_there() {
        let f = Fixture::start();
        f.lead(3).await;
        f.respond(5, 1, success(4)).await;
        assert!(f.raft.drain().is_empty());
        f.respond(5, 1, success(3)).await;
        assert_eq!(f.raft.drain()[0].report.match_index, LogIndex(3));
    }

    #[actix::test]
    async fn reads_what_a_peer_far_behind_lacks_from_the_log() {
        let f = Fixture::start();
        f.lead(9).await;
        let conflict_index = LogIndex(2);
        let conflict = AppendResult::Conflict { conflict_index, conflict_term: None };
        f.respond(5, 1, conflict).await;
        assert_eq!(f.sent(), [(9, 0), (1, 0)]);
        f.respond(5, 2, success(1)).await;
        let asked = f.log.drain();
        assert_eq!((asked[0].from, asked[0].to), (LogIndex(2), LogIndex(9)));
        let entries = (2..=9).map(|index| Entry { term: Term(1), ..entry(index) }).collect();
        asked[0].reply_to.do_send(EntriesRead { ticket: asked[0].ticket, entries });
        settle().await;
        assert_eq!(f.sent(), [(1, 2), (3, 2)]);
    }

    #[actix::test]
    async fn a_peer_that_lacks_what_is_compacted_is_sent_the_newest_snapshot() {
        let f = Fixture::start();
        let base = LogPosition { term: Term(1), index: LogIndex(6) };
        let mut runs = TermRuns::behind(base);
        runs.push(LogPosition { term: Term(1), index: LogIndex(7) });
        f.replicator.do_send(LinkUp);
        f.replicator.do_send(Lead { term: Term(5), runs });
        settle().await;
        assert_eq!(f.sent(), [(7, 0)]);
        let conflict_index = LogIndex(2);
        let conflict = AppendResult::Conflict { conflict_index, conflict_term: None };
        f.respond(5, 1, conflict).await;
        assert_eq!(f.sent(), [(6, 0)], "the beginning of the log is tried first");
        f.respond(5, 2, conflict).await;
        let asked = f.snapshot.drain().remove(0);
        assert_eq!((asked.snapshot, asked.bytes_max), (None, 0));
        let snapshot = SnapshotId { last: base, bytes: 100, digest: 7 };
        let answer = |ticket, offset, bytes: &'static [u8]| SnapshotRead {
            ticket,
            piece: Some((snapshot, Bytes::from_static(bytes))),
            offset,
        };
        asked.reply_to.do_send(answer(asked.ticket, 0, b""));
        settle().await;
        let pieces = f.pieces();
        assert_eq!(pieces, [(0, 0)], "first it asks what the peer has of it");
        let request_seq = 3;
        let response = InstallSnapshotResponse {
            request_seq,
            is_newcomer: false,
            last: base,
            received: 40,
            is_installed: false,
        };
        f.replicator.do_send(InstallResponse { term: Term(5), response });
        settle().await;
        let asked = f.snapshot.drain().remove(0);
        assert_eq!((asked.snapshot, asked.offset), (Some(snapshot), 40), "and goes on from there");
        asked.reply_to.do_send(answer(asked.ticket, 40, b"next"));
        settle().await;
        assert_eq!(f.pieces(), [(40, 4)]);
        let response = InstallSnapshotResponse { is_installed: true, ..response };
        f.replicator.do_send(InstallResponse { term: Term(5), response });
        settle().await;
        assert_eq!(f.sent(), [(6, 0)], "the log goes on behind it");
    }

    #[actix::test]
    async fn a_lost_connection_sends_nothing_and_begins_anew_behind_what_was_acknowledged() {
        let f = Fixture::start();
        f.lead(3).await;
        f.respond(5, 1, success(3)).await;
        f.replicate(5, 4..=5).await;
        f.replicator.do_send(LinkDown);
        f.replicate(5, 6..=6).await;
        assert_eq!(f.sent(), [(3, 0), (3, 2)]);
        f.replicator.do_send(LinkUp);
        settle().await;
        assert_eq!(f.sent(), [(3, 2)]);
    }

    #[actix::test]
    async fn says_nothing_when_it_does_not_lead() {
        let f = Fixture::start();
        f.replicator.do_send(LinkUp);
        f.replicate(5, 1..=1).await;
        f.lead(3).await;
        f.replicator.do_send(StepDown { term: Term(4) });
        f.replicate(5, 4..=4).await;
        f.sent();
        f.replicator.do_send(StepDown { term: Term(5) });
        f.respond(5, 1, success(3)).await;
        f.replicate(5, 5..=5).await;
        assert!(f.sent().is_empty());
    }
}

//! ReplicatorActor alone: the tests stand in for the core, the link, the log and the
//! snapshots.

use actix::Addr;

use bytes::Bytes;

use super::*;
use crate::raft::{
    AppendEntriesResponse, AppendResult, Forgotten, InstallSnapshotResponse, PeerLoss,
    ReadSnapshot, Replicate, SendMode, SetSendMode, StopReplication,
};
use crate::testing::{Inbox, probe, settle};
use crate::types::{Entry, LogPosition, Payload, SnapshotId, TermRuns};

struct Fixture {
    replicator: Addr<ReplicatorActor>,
    raft: Inbox<Replicated>,
    link: Inbox<SendRpc>,
    link_end: Inbox<EndConnection>,
    log: Inbox<ReadEntriesRequest>,
    snapshot: Inbox<ReadSnapshotRequest>,
}

impl Fixture {
    fn start() -> Fixture {
        Fixture::start_with(0)
    }

    /// A replicator that sends at most this many bytes of snapshots a second; 0 for no
    /// limit.
    fn start_with(snapshot_bytes_per_second_max: u64) -> Fixture {
        let ((raft, raft_inbox), (link, link_inbox)) = (probe(), probe());
        let (log, log_inbox) = probe();
        let (link_end, link_end_inbox) = probe();
        let progress = ProgressSettings {
            append_entries_max: 2,
            append_bytes_max: 1 << 20,
            inflight_entries_max: 4,
            inflight_bytes_max: 1 << 20,
            snapshot_piece_bytes: 1 << 16,
            snapshot_window_bytes: 1 << 20,
        };
        let (snapshot, snapshot_inbox) = probe();
        let batched_peer_delay = Duration::from_millis(2);
        let settings =
            ReplicatorSettings { progress, snapshot_bytes_per_second_max, batched_peer_delay };
        let ports = ReplicatorPorts { raft, link, link_end, log, snapshot };
        let actor = ReplicatorActor::new(NodeId(1), NodeId(2), settings, ports);
        Fixture {
            replicator: actor.start(),
            raft: raft_inbox,
            link: link_inbox,
            link_end: link_end_inbox,
            log: log_inbox,
            snapshot: snapshot_inbox,
        }
    }

    /// Begins the leadership of term 5 with a log of `entries` entries of term 1.
    async fn lead(&self, entries: u64) {
        let mut runs = TermRuns::default();
        for index in 1..=entries {
            runs.push(LogPosition { term: Term(1), index: LogIndex(index) });
        }
        self.replicator.do_send(LinkEvent::Up);
        self.replicator
            .do_send(ReplicationCommand::Start(StartReplication { term: Term(5), runs }));
        settle().await;
    }

    async fn replicate(&self, term: u64, indexes: std::ops::RangeInclusive<u64>) {
        let entries = indexes.map(entry).collect();
        self.replicator.do_send(ReplicationCommand::Replicate(Replicate {
            term: Term(term),
            base: LogPosition::default(),
            entries,
            leader_commit: LogIndex(0),
            read_seq: 0,
            heartbeat: false,
        }));
        settle().await;
    }

    async fn respond(&self, term: u64, request_seq: u64, result: AppendResult) {
        let response =
            AppendEntriesResponse { request_seq, read_seq: 0, is_rejoining: false, result };
        self.replicator.do_send(LinkEvent::AppendResponse { term: Term(term), response });
        settle().await;
    }

    /// The chunks of snapshots that were sent since the last call: their offsets and sizes.
    fn chunks(&self) -> Vec<(u64, usize)> {
        let describe = |message: SendRpc| match message.envelope.rpc {
            Rpc::InstallSnapshot(chunk) => (chunk.offset, chunk.bytes.len()),
            rpc => panic!("a chunk is expected, not {rpc:?}"),
        };
        self.link.drain().into_iter().map(describe).collect()
    }

    /// The requests that were sent since the last call: the index before their entries, and
    /// the number of entries.
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

/// A chunk may have far fewer bytes than were asked for, for example at the end of a block.
/// If each counted as 64 KiB, a small snapshot would take too long. On simulated time.
#[actix::test]
async fn a_chunk_delays_the_next_one_by_its_own_size() {
    tokio::time::pause();
    let f = Fixture::start_with(1_000);
    let read = |offset, bytes_max| {
        let reply_to = f.replicator.clone().recipient();
        let read = ReadSnapshot { ticket: 1, snapshot: None, offset, bytes_max };
        ReadSnapshotRequest { read, reply_to }
    };
    let id = SnapshotId { last: LogPosition::default(), bytes: 100, digest: 1 };
    let piece = Some((id, Bytes::from_static(&[7; 50])));
    f.replicator.do_send(Asked { read: read(0, 1 << 16) });
    settle().await;
    assert_eq!(f.snapshot.drain().len(), 1, "the first is read at once");
    f.replicator.do_send(SnapshotRead { ticket: 1, piece, offset: 0 });
    f.replicator.do_send(Asked { read: read(50, 1 << 16) });
    settle().await;
    assert_eq!(f.snapshot.drain().len(), 0);
    tokio::time::advance(Duration::from_millis(51)).await;
    settle().await;
    assert_eq!(f.snapshot.drain().len(), 1, "50 bytes are 50 ms of a kilobyte a second");
}

/// Lets the replicator read a chunk as an action of the progress would.
#[derive(Message)]
#[rtype(result = "()")]
struct Asked {
    read: ReadSnapshotRequest,
}

impl Handler<Asked> for ReplicatorActor {
    type Result = ();

    fn handle(&mut self, message: Asked, ctx: &mut Context<Self>) {
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

/// Only a broken peer answers so. Its connection is ended, and the core hears nothing.
#[actix::test]
async fn a_response_that_no_sound_peer_sends_ends_the_connection() {
    let f = Fixture::start();
    f.lead(3).await;
    f.respond(5, 1, success(4)).await;
    let fault = PeerFault::Match { match_index: LogIndex(4), last: LogIndex(3) };
    assert_eq!(f.link_end.drain(), [EndConnection { fault }]);
    let install = InstallSnapshotResponse {
        request_seq: 9,
        is_rejoining: false,
        last: LogPosition::default(),
        received: 0,
        is_installed: true,
        refusal: None,
    };
    f.replicator.do_send(LinkEvent::InstallResponse { term: Term(5), response: install });
    settle().await;
    let fault = PeerFault::Request { answered: 9, sent: 1 };
    assert_eq!(f.link_end.drain(), [EndConnection { fault }]);
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
    assert_eq!((asked[0].read.from, asked[0].read.to), (LogIndex(2), LogIndex(9)));
    let entries = (2..=9).map(|index| Entry { term: Term(1), ..entry(index) }).collect();
    asked[0].reply_to.do_send(EntriesRead { ticket: asked[0].read.ticket, entries });
    settle().await;
    assert_eq!(f.sent(), [(1, 2), (3, 2)]);
}

#[actix::test]
async fn a_peer_that_lacks_what_is_compacted_is_sent_the_newest_snapshot() {
    let f = Fixture::start();
    let base = LogPosition { term: Term(1), index: LogIndex(6) };
    let mut runs = TermRuns::starting_after(base);
    runs.push(LogPosition { term: Term(1), index: LogIndex(7) });
    f.replicator.do_send(LinkEvent::Up);
    f.replicator.do_send(ReplicationCommand::Start(StartReplication { term: Term(5), runs }));
    settle().await;
    assert_eq!(f.sent(), [(7, 0)]);
    let conflict_index = LogIndex(2);
    let conflict = AppendResult::Conflict { conflict_index, conflict_term: None };
    f.respond(5, 1, conflict).await;
    assert_eq!(f.sent(), [(6, 0)], "the beginning of the log is tried first");
    f.respond(5, 2, conflict).await;
    let asked = f.snapshot.drain().remove(0);
    assert_eq!((asked.read.snapshot, asked.read.bytes_max), (None, 0));
    let snapshot = SnapshotId { last: base, bytes: 100, digest: 7 };
    let answer = |ticket, offset, bytes: &'static [u8]| SnapshotRead {
        ticket,
        piece: Some((snapshot, Bytes::from_static(bytes))),
        offset,
    };
    asked.reply_to.do_send(answer(asked.read.ticket, 0, b""));
    settle().await;
    let pieces = f.chunks();
    assert_eq!(pieces, [(0, 0)], "first it asks what the peer has of it");
    let request_seq = 3;
    let response = InstallSnapshotResponse {
        request_seq,
        is_rejoining: false,
        last: base,
        received: 40,
        is_installed: false,
        refusal: None,
    };
    f.replicator.do_send(LinkEvent::InstallResponse { term: Term(5), response });
    settle().await;
    let asked = f.snapshot.drain().remove(0);
    assert_eq!(
        (asked.read.snapshot, asked.read.offset),
        (Some(snapshot), 40),
        "and goes on from there"
    );
    asked.reply_to.do_send(answer(asked.read.ticket, 40, b"next"));
    settle().await;
    assert_eq!(f.chunks(), [(40, 4)]);
    let response = InstallSnapshotResponse { is_installed: true, ..response };
    f.replicator.do_send(LinkEvent::InstallResponse { term: Term(5), response });
    settle().await;
    assert_eq!(f.sent(), [(6, 0)], "the log goes on after it");
}

/// Entries that come during the pause are sent together after it (docs/adr/0014). On
/// simulated time.
#[actix::test]
async fn a_batched_peer_is_sent_what_has_gathered_when_the_pause_is_over() {
    tokio::time::pause();
    let f = Fixture::start();
    f.lead(3).await;
    f.respond(5, 1, success(3)).await;
    f.replicator.do_send(ReplicationCommand::SetSendMode(SetSendMode {
        term: Term(5),
        peer: NodeId(2),
        mode: SendMode::Batched,
    }));
    f.sent();
    f.replicate(5, 4..=4).await;
    assert_eq!(f.sent(), [(3, 1)], "the first waits for nothing");
    f.respond(5, 2, success(4)).await;
    f.replicate(5, 5..=5).await;
    f.replicate(5, 6..=6).await;
    assert_eq!(f.sent(), []);
    tokio::time::advance(Duration::from_millis(3)).await;
    settle().await;
    assert_eq!(f.sent(), [(4, 2)]);
}

#[actix::test]
async fn a_send_mode_of_an_earlier_term_changes_nothing() {
    let f = Fixture::start();
    f.lead(3).await;
    f.respond(5, 1, success(3)).await;
    f.sent();
    f.replicator.do_send(ReplicationCommand::SetSendMode(SetSendMode {
        term: Term(4),
        peer: NodeId(2),
        mode: SendMode::Batched,
    }));
    f.replicate(5, 4..=4).await;
    f.replicate(5, 5..=5).await;
    assert_eq!(f.sent(), [(3, 1), (4, 1)]);
}

#[actix::test]
async fn a_lost_connection_sends_nothing_and_the_next_goes_on_after_what_was_acknowledged() {
    let f = Fixture::start();
    f.lead(3).await;
    f.respond(5, 1, success(3)).await;
    f.replicate(5, 4..=5).await;
    f.replicator.do_send(LinkEvent::Down);
    f.replicate(5, 6..=6).await;
    assert_eq!(f.sent(), [(3, 0), (3, 2)]);
    f.replicator.do_send(LinkEvent::Up);
    settle().await;
    assert_eq!(f.sent(), [(3, 2)]);
}

/// docs/bugs.md C3: the peer comes back without an entry that it had acknowledged.
#[actix::test]
async fn a_peer_that_has_forgotten_is_told_and_the_core_learns_of_it() {
    let f = Fixture::start();
    f.lead(3).await;
    f.respond(5, 1, success(3)).await;
    f.replicator.do_send(LinkEvent::Down);
    f.replicator.do_send(LinkEvent::Up);
    f.replicate(5, 4..=4).await;
    f.sent();
    f.raft.drain();
    let conflict = AppendResult::Conflict { conflict_index: LogIndex(2), conflict_term: None };
    f.respond(5, 2, conflict).await;
    let acknowledged = LogPosition { term: Term(1), index: LogIndex(3) };
    let sent: Vec<Envelope> = f.link.drain().into_iter().map(|sent| sent.envelope).collect();
    let rpc = Rpc::Forgotten(Forgotten { acknowledged });
    assert_eq!(sent, [Envelope { from: NodeId(1), to: NodeId(2), term: Term(5), rpc }]);
    let loss = Some(PeerLoss { acknowledged, held: LogIndex(1) });
    let reports: Vec<_> = f.raft.drain().into_iter().map(|told| told.report.loss).collect();
    assert_eq!(reports, [loss]);
}

#[actix::test]
async fn says_nothing_when_it_does_not_lead() {
    let f = Fixture::start();
    f.replicator.do_send(LinkEvent::Up);
    f.replicate(5, 1..=1).await;
    f.lead(3).await;
    f.replicator.do_send(ReplicationCommand::Stop(StopReplication { term: Term(4) }));
    f.replicate(5, 4..=4).await;
    f.sent();
    f.replicator.do_send(ReplicationCommand::Stop(StopReplication { term: Term(5) }));
    f.respond(5, 1, success(3)).await;
    f.replicate(5, 5..=5).await;
    assert!(f.sent().is_empty());
}

/// The actors of a new peer may get an order before the core has begun with them.
#[actix::test]
async fn an_order_before_the_start_is_ignored() {
    let f = Fixture::start();
    f.replicate(5, 1..=2).await;
    f.replicator.do_send(ReplicationCommand::SetSendMode(SetSendMode {
        term: Term(5),
        peer: NodeId(2),
        mode: SendMode::Batched,
    }));
    f.lead(2).await;
    f.replicate(5, 3..=3).await;
    assert!(f.log.drain().is_empty() && f.snapshot.drain().is_empty());
    assert!(!f.link.drain().is_empty(), "it goes on from the start");
}

#[actix::test]
async fn a_shutdown_ends_it_whatever_it_waits_for() {
    let f = Fixture::start();
    f.lead(9).await;
    f.replicator.do_send(Shutdown);
    settle().await;
    assert!(!f.replicator.connected());
}

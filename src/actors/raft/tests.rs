//! Tests of RaftActor alone, with a probe in place of every other actor.

mod any_server;
mod backup;
mod broken_peers;
mod expiry;
mod leases;
mod members;
mod peers;
mod slow;
mod snapshots;
mod stops;
mod time_outs;
mod transfers;
mod upgrades;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use bytes::Bytes;

use super::*;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, SessionId};
use crate::actors::messages::kv::ApplyTask;
use crate::actors::messages::replication::ReplicationCommand;
use crate::kv::{HistoryLimits, Query};
use crate::metrics::NodeMetrics;
use crate::protocol::{ClientRequest, Refusal};
use crate::raft::{
    Append, AppendEntries, AppendResult, CompactLog, Envelope, PersistSeq, PreVoteResponse,
    RaftSettings, Replicate, ReplicationReport, RequestVote, RequestVoteResponse, ResetLog, Rpc,
    SendMode, SetSendMode, SnapshotPositions,
};
use crate::testing::{Inbox, probe, settle, shut_gate};
use crate::types::{
    ClusterId, Entry, FormatRange, HardState, LogIndex, LogPosition, LogSummary, Member,
    Membership, Term,
};

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    /// A time of day in 2096: nothing may depend on it.
    fn wall_ms(&self) -> u64 {
        4_000_000_000_000
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// The report of a store that has no deadline.
fn applied(last_applied: u64) -> Applied {
    let last_applied = LogIndex(last_applied);
    let history = HistoryLimits::default();
    let (has_hidden, ending_leases) = (false, 0);
    let next_deadline_ms = None;
    Applied { last_applied, next_deadline_ms, has_hidden, ending_leases, digest: 0, history }
}

/// A member and its addresses.
fn member(id: u64) -> (NodeId, Member) {
    let address = |port| format!("db{id}.example:{port}").parse().expect("it is an address");
    (NodeId(id), Member { peer: address(9001), client: address(9000) })
}

/// The settings of a node that knows the addresses of all.
fn settings_with_addresses() -> RaftSettings {
    let initial_membership = Membership::of_voters([1, 2, 3].map(member).into());
    RaftSettings { initial_membership, ..settings() }
}

fn settings() -> RaftSettings {
    RaftSettings {
        id: ME,
        initial_membership: Membership::seed([1, 2, 3].map(NodeId)),
        own_member: None,
        election_timeout_ticks_min: 10,
        election_timeout_ticks_max: 20,
        heartbeat_ticks: 3,
        leader_lease: None,
        ticks_per_second: 100,
        disk_stall_ticks: 100,
        has_batched_peers: true,
        page_bytes_max: 1000,
        snapshot_entries_max: u64::MAX,
        snapshot_bytes_max: u64::MAX,
        keep_entries: 0,
        gate: shut_gate(),
        seed: 7,
    }
}

struct Fixture {
    raft: Addr<RaftActor>,
    clock: Arc<TestClock>,
    memory: MemoryBudget,
    log: Inbox<LogCommand>,
    log_reads: Inbox<ReadEntriesRequest>,
    pieces: Inbox<ReceiveSnapshot>,
    stores: Inbox<StoreCommand>,
    queries: Inbox<QuerySnapshots>,
    kv: Inbox<Apply>,
    links: BTreeMap<NodeId, Inbox<SendRpc>>,
    link_ends: BTreeMap<NodeId, Inbox<EndConnection>>,
    replicators: BTreeMap<NodeId, Inbox<ReplicationCommand>>,
    announced: Inbox<Announce>,
    stops: Inbox<NodeMustStop>,
    metrics: NodeMetrics,
}

impl Fixture {
    fn start() -> Fixture {
        Fixture::start_with(HardState::default(), LogSummary::default())
    }

    fn start_with(hard_state: HardState, summary: LogSummary) -> Fixture {
        Fixture::start_snapshotting(hard_state, summary, u64::MAX)
    }

    fn start_snapshotting(
        hard_state: HardState,
        summary: LogSummary,
        snapshot_entries_max: u64,
    ) -> Fixture {
        Fixture::start_as(RaftSettings { snapshot_entries_max, ..settings() }, hard_state, summary)
    }

    fn start_as(settings: RaftSettings, hard_state: HardState, summary: LogSummary) -> Fixture {
        let raft = Raft::new(settings, hard_state, summary, SnapshotPositions::default());
        let (log, log_inbox) = probe();
        let (log_reads, log_reads_inbox) = probe();
        let (snapshot, pieces) = probe();
        let (store_port, stores) = probe();
        let (snapshot_queries, queries) = probe();
        let (kv, kv_inbox) = probe();
        let ((announce, announced), (must_stop, stops)) = (probe(), probe());
        let mut peers = BTreeMap::new();
        let (mut links, mut replicators) = (BTreeMap::new(), BTreeMap::new());
        let mut link_ends = BTreeMap::new();
        for peer in [2, 3].map(NodeId) {
            let (link, link_inbox) = probe();
            let ((link_end, link_end_inbox), (replicator, replicator_inbox)) = (probe(), probe());
            peers.insert(peer, PeerPorts { link, link_end, replicator });
            links.insert(peer, link_inbox);
            link_ends.insert(peer, link_end_inbox);
            replicators.insert(peer, replicator_inbox);
        }
        let clock = Arc::new(TestClock::default());
        let memory = MemoryBudget::new(1 << 20);
        let node_clock: Arc<dyn Clock> = clock.clone();
        let metrics = NodeMetrics::new(&node_clock);
        let actor = RaftActor::new(
            raft,
            RaftPorts {
                log,
                log_reads,
                snapshot,
                stores: store_port,
                snapshot_queries,
                kv,
                peers,
                announce,
                must_stop,
                memory: memory.reserve(0),
            },
            RaftActorSettings {
                pending_commands_max: 4,
                pending_bytes_max: 1000,
                request_timeout_ticks: 50,
                history: HistoryLimits::default(),
                unseen_ms: 200,
            },
            node_clock,
        );
        Fixture {
            raft: slow::judged(actor, &metrics).start(),
            clock,
            memory,
            log: log_inbox,
            log_reads: log_reads_inbox,
            pieces,
            stores,
            queries,
            kv: kv_inbox,
            links,
            link_ends,
            replicators,
            announced,
            stops,
            metrics,
        }
    }

    fn appends(&self) -> Vec<Append> {
        self.log.drain_kind(|command| match command {
            LogCommand::Append(append) => Some(append.clone()),
            _ => None,
        })
    }

    fn compactions(&self) -> Vec<CompactLog> {
        self.log.drain_kind(|command| match command {
            LogCommand::Compact(order) => Some(*order),
            _ => None,
        })
    }

    fn resets(&self) -> Vec<ResetLog> {
        self.log.drain_kind(|command| match command {
            LogCommand::Reset(order) => Some(*order),
            _ => None,
        })
    }

    fn replicates(&self, peer: NodeId) -> Vec<Replicate> {
        self.replicators[&peer].drain_kind(|command| match command {
            ReplicationCommand::Replicate(order) => Some(order.clone()),
            _ => None,
        })
    }

    fn send_modes(&self, peer: NodeId) -> Vec<SetSendMode> {
        self.replicators[&peer].drain_kind(|command| match command {
            ReplicationCommand::SetSendMode(order) => Some(*order),
            _ => None,
        })
    }

    async fn ticks(&self, ticks: u32) {
        for _ in 0..ticks {
            self.raft.do_send(Tick);
            settle().await;
        }
    }

    /// The peer opens a connection. Returns the responses on it, and the orders to end it.
    fn attach(&self, connection: u64) -> (Inbox<SendRpc>, Inbox<EndConnection>) {
        let ((port, responses), (end, ends)) = (probe(), probe());
        self.raft.do_send(PeerEvent::Attached {
            peer: PEER,
            connection,
            port,
            end,
            introduction: None,
        });
        (responses, ends)
    }

    async fn receive(&self, from: NodeId, term: u64, rpc: Rpc) {
        let envelope = Envelope { from, to: ME, term: Term(term), rpc };
        self.raft.do_send(PeerEvent::Message(envelope));
        settle().await;
    }

    async fn persisted(&self, seq: u64) {
        let synced_at = self.clock.monotonic();
        self.raft.do_send(LogPersisted { seq: PersistSeq(seq), synced_at });
        settle().await;
    }

    async fn replicated(&self, term: u64, match_index: u64, read_seq: u64) {
        let report = ReplicationReport {
            match_index: LogIndex(match_index),
            read_seq,
            ..Default::default()
        };
        self.raft.do_send(Replicated { peer: PEER, term: Term(term), report });
        settle().await;
    }

    /// Makes the node the leader of term 1, whose no-op (entry 1) and membership (entry 2) are
    /// durable and committed.
    async fn lead(&self) {
        self.ticks(20).await;
        let response = PreVoteResponse { vote_granted: true };
        self.receive(PEER, 1, Rpc::PreVoteResponse(response)).await;
        self.persisted(1).await; // term 1 and the own vote
        let response = RequestVoteResponse { vote_granted: true };
        self.receive(PEER, 1, Rpc::RequestVoteResponse(response)).await;
        self.persisted(2).await; // the first entries
        self.replicated(1, 2, 0).await;
        self.raft.do_send(applied(2));
        settle().await;
        self.appends();
        self.kv.drain();
    }

    async fn request(&self, client: &Client, requests: Vec<(u64, ClientRequest)>) {
        let reply_to = Arc::clone(&client.port);
        let held = self.memory.reserve(0);
        let (session, arrived_at) = (client.session, Some(self.clock.monotonic()));
        self.raft.do_send(ClientRequests { session, reply_to, requests, arrived_at, held });
        settle().await;
    }

    fn is_sent_batches(&self, peer: NodeId) -> bool {
        self.send_modes(peer) == [SetSendMode { term: Term(1), peer, mode: SendMode::Batched }]
    }

    /// The tasks that the store was given since the last call, each in a few words.
    fn tasks(&self) -> Vec<String> {
        let describe = |task| match task {
            ApplyTask::Entry { entry, waiters } => {
                format!("entry {} for {waiters:?}", entry.position())
            }
            ApplyTask::Read { read_index, reply_handle, .. } => {
                format!("read at {read_index} for {reply_handle:?}")
            }
            ApplyTask::Status { reply_handle, .. } => format!("status for {reply_handle:?}"),
            ApplyTask::Digest(order) => format!("digest at {}", order.index),
            ApplyTask::EndHistory => "end of the history".to_owned(),
            ApplyTask::End => "end".to_owned(),
            ApplyTask::ClientDigest { index, reply_handle } => {
                format!("digest at {index} for {reply_handle:?}")
            }
            ApplyTask::Snapshot { point } => format!("snapshot of {}", point.last),
            ApplyTask::Install { store } => format!("install {}", store.last_applied()),
        };
        self.kv.drain().into_iter().flat_map(|apply| apply.tasks).map(describe).collect()
    }
}

struct Client {
    session: SessionId,
    port: Arc<Recipient<ClientReplies>>,
    replies: Inbox<ClientReplies>,
}

impl Client {
    fn new(session: u64) -> Client {
        let (port, replies) = probe();
        Client { session: SessionId(session), port: Arc::new(port), replies }
    }

    fn refusals(&self) -> Vec<(u64, ClientReply)> {
        self.replies.drain().into_iter().flat_map(|message| message.replies).collect()
    }
}

fn write() -> ClientRequest {
    ClientRequest::Write(Bytes::from_static(b"command"))
}

fn read() -> ClientRequest {
    ClientRequest::Read(Query::Get { key: Bytes::from_static(b"key"), at: 0 })
}

/// The refusal with the address of the leader for clients.
fn redirect(address: &str) -> Refusal {
    let leader = address.parse().expect("the test has addresses");
    Refusal::NotLeader { leader: Some(Arc::new(leader)) }
}

fn refused(slot: u64, refusal: Refusal) -> (u64, ClientReply) {
    (slot, ClientReply::Refused(refusal))
}

/// One of two peers completes the quorum, so the other one is sent batches (docs/adr/0014).
#[actix::test]
async fn a_peer_that_no_quorum_needs_is_sent_batches() {
    let f = Fixture::start();
    f.lead().await;
    f.ticks(1).await;
    let batched: Vec<NodeId> =
        f.replicators.keys().copied().filter(|p| f.is_sent_batches(*p)).collect();
    assert_eq!(batched, [NodeId(3)], "which has acknowledged nothing");
}

#[actix::test]
async fn asks_for_votes_only_after_its_own_is_durable() {
    let f = Fixture::start();
    f.ticks(20).await;
    f.receive(PEER, 1, Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true })).await;
    let sent = |f: &Fixture| -> Vec<Rpc> {
        f.links[&PEER].drain().into_iter().map(|message| message.envelope.rpc).collect()
    };
    assert!(sent(&f).iter().all(|rpc| matches!(rpc, Rpc::PreVote(_))));
    let appends = f.appends();
    assert_eq!(appends.len(), 1);
    assert_eq!(
        appends[0].hard_state,
        Some(HardState { current_term: Term(1), voted_for: Some(ME), ..HardState::default() })
    );
    f.persisted(1).await;
    assert_eq!(sent(&f), [Rpc::RequestVote(RequestVote { last: LogPosition::default() })]);
}

#[actix::test]
async fn acknowledges_an_append_only_after_log_persisted_and_to_the_connection_that_asked() {
    let f = Fixture::start();
    let (responses, _) = f.attach(1);
    let entry = Entry { index: LogIndex(1), term: Term(3), stamp_ms: 5, payload: Payload::Noop };
    let request = AppendEntries {
        request_seq: 9,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: vec![entry.clone()],
    };
    f.receive(PEER, 3, Rpc::AppendEntries(request)).await;
    assert!(responses.drain().is_empty(), "nothing is durable yet");
    let appends = f.appends();
    assert_eq!(appends.len(), 1);
    assert_eq!(appends[0].entries, [entry]);
    f.persisted(1).await;
    let sent = responses.drain();
    assert_eq!(sent.len(), 1);
    let Rpc::AppendEntriesResponse(response) = &sent[0].envelope.rpc else { panic!("{sent:?}") };
    assert_eq!(response.result, AppendResult::Success { match_index: LogIndex(1) });
    assert!(f.links[&PEER].drain().is_empty());
}

#[actix::test]
async fn a_late_detach_of_an_old_connection_does_not_take_the_new_one() {
    let f = Fixture::start();
    f.attach(1);
    let (responses, _) = f.attach(2);
    f.raft.do_send(PeerEvent::Detached { peer: PEER, connection: 1 });
    let request = Rpc::PreVote(crate::raft::PreVote { last: LogPosition::default() });
    f.receive(PEER, 1, request).await;
    assert_eq!(responses.drain().len(), 1);
}

#[actix::test]
async fn one_drain_of_the_mailbox_is_one_append_and_one_message_a_peer() {
    let f = Fixture::start();
    f.lead().await;
    f.replicates(PEER);
    let clients: Vec<Client> = (0..4).map(Client::new).collect();
    for client in &clients {
        let reply_to = Arc::clone(&client.port);
        let requests = vec![(1, write())];
        let held = f.memory.reserve(0);
        let (session, arrived_at) = (client.session, None);
        f.raft.do_send(ClientRequests { session, reply_to, requests, arrived_at, held });
    }
    settle().await;
    let appends = f.appends();
    assert_eq!(appends.len(), 1);
    assert_eq!(appends[0].entries.len(), 4);
    let replicates = f.replicates(PEER);
    assert_eq!(replicates.len(), 1);
    assert_eq!(replicates[0].entries.len(), 4);
}

#[actix::test]
async fn a_write_is_applied_when_a_quorum_and_its_own_disk_have_it_and_not_before() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(5, write())]).await;
    f.replicated(1, 3, 0).await;
    assert!(f.tasks().is_empty(), "one of three, and its own disk is silent");
    f.persisted(3).await;
    assert_eq!(f.tasks(), ["entry 3@1 for Some(SessionId(8)/5)"]);
    assert!(client.refusals().is_empty());
}

#[actix::test]
async fn reports_of_an_older_term_change_nothing() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(5, write())]).await;
    f.persisted(3).await;
    f.replicated(0, 3, 0).await;
    assert!(f.tasks().is_empty());
    f.replicated(1, 3, 0).await;
    assert_eq!(f.tasks().len(), 1);
}

#[actix::test]
async fn a_pipelined_read_is_answered_between_the_writes_of_its_session() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, write()), (2, read()), (3, write())]).await;
    f.persisted(3).await;
    f.replicated(1, 4, 0).await;
    assert_eq!(
        f.tasks(),
        [
            "entry 3@1 for Some(SessionId(8)/1)",
            "read at 3 for SessionId(8)/2",
            "entry 4@1 for Some(SessionId(8)/3)"
        ]
    );
}

#[actix::test]
async fn a_read_waits_for_a_round_and_takes_no_log_entry() {
    let f = Fixture::start();
    f.lead().await;
    f.replicates(PEER);
    let client = Client::new(8);
    f.request(&client, vec![(1, read()), (2, read())]).await;
    let rounds: Vec<u64> = f.replicates(PEER).iter().map(|r| r.read_seq).collect();
    assert_eq!(rounds, [1], "two reads share a round");
    assert!(f.appends().is_empty());
    assert!(f.tasks().is_empty());
    f.replicated(1, 2, 1).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(8)/1", "read at 2 for SessionId(8)/2"]);
}

#[actix::test]
async fn a_follower_redirects_and_names_its_leader() {
    let settings = settings_with_addresses();
    let f = Fixture::start_as(settings, HardState::default(), LogSummary::default());
    let request = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: Vec::new(),
    };
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    f.receive(PEER, 1, Rpc::AppendEntries(request)).await;
    f.request(&client, vec![(2, read()), (3, write())]).await;
    assert_eq!(
        client.refusals(),
        [
            refused(1, Refusal::NotLeader { leader: None }),
            refused(2, redirect("db2.example:9000")),
            refused(3, redirect("db2.example:9000"))
        ]
    );
}

#[actix::test]
async fn a_lost_leadership_fails_reads_for_certain_and_leaves_writes_unknown() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, write()), (2, read())]).await;
    f.replicated(2, 0, 0).await; // a follower of a later term
    assert_eq!(
        client.refusals(),
        [refused(1, Refusal::LeadershipLost), refused(2, Refusal::NotLeader { leader: None })]
    );
    let commands = f.replicators[&PEER].drain();
    let count = |is_wanted: fn(&ReplicationCommand) -> bool| {
        commands.iter().filter(|command| is_wanted(command)).count()
    };
    assert_eq!(count(|command| matches!(command, ReplicationCommand::Start(_))), 1);
    assert_eq!(count(|command| matches!(command, ReplicationCommand::Stop(_))), 1);
}

#[actix::test]
async fn commands_over_the_limit_are_answered_busy_and_not_proposed() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, (1..=6).map(|slot| (slot, write())).collect()).await;
    assert_eq!(client.refusals(), [refused(5, Refusal::Busy), refused(6, Refusal::Busy)]);
    assert_eq!(f.appends()[0].entries.len(), 4);
    f.persisted(3).await;
    f.replicated(1, 6, 0).await;
    f.request(&client, vec![(7, write())]).await;
    assert!(client.refusals().is_empty(), "an applied write waits no longer");
}

/// Found by seed 300389 at 03fe75c: clients gave up and came again, and the end of the log
/// ran ahead without bound of a slow quorum.
#[actix::test]
async fn a_write_that_has_timed_out_counts_until_it_is_applied() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, (1..=4).map(|slot| (slot, write())).collect()).await;
    for _ in 0..50 {
        f.ticks(1).await;
        f.replicated(1, 2, 0).await; // the peer lives, and its disk is silent
    }
    assert_eq!(client.refusals().len(), 4, "all have timed out");
    f.request(&client, vec![(5, write())]).await;
    assert_eq!(client.refusals(), [refused(5, Refusal::Busy)]);
    f.persisted(3).await;
    f.replicated(1, 6, 0).await;
    f.raft.do_send(applied(5));
    f.request(&client, vec![(6, write())]).await;
    let ClientRequest::Write(command) = write() else { unreachable!("it is a write") };
    let settled = |slot| (slot, ClientReply::Settled { command_bytes: command.len() });
    // An applied entry no longer counts, and its session is told.
    assert_eq!(client.refusals(), [settled(1), settled(2), settled(3)]);
    f.replicated(2, 0, 0).await; // a follower of a later term
    assert_eq!(
        client.refusals(),
        [refused(6, Refusal::LeadershipLost), settled(4)],
        "a lost write waits no longer"
    );
}

/// The counters return to 0 whatever becomes of the commands (docs/bugs.md B29).
#[actix::test]
async fn pending_commands_use_memory_until_they_are_applied_or_lost() {
    let f = Fixture::start();
    f.lead().await;
    assert_eq!(f.memory.used_bytes(), 0);
    let client = Client::new(8);
    let large = ClientRequest::Write(Bytes::from(vec![0; 900]));
    f.request(&client, vec![(1, large.clone()), (2, read()), (3, large)]).await;
    let all = f.memory.used_bytes();
    assert!((1800..4000).contains(&all), "{all}");
    f.persisted(3).await;
    f.replicated(1, 3, 1).await;
    let one = f.memory.used_bytes();
    assert!((900..2000).contains(&one), "the read and a write are done: {one}");
    drop(client);
    for _ in 0..50 {
        f.ticks(1).await;
        f.replicated(1, 3, 0).await;
    }
    assert_eq!(f.memory.used_bytes(), one, "timed out, its client gone, and not applied");
    f.replicated(2, 0, 0).await; // a follower of a later term
    assert_eq!(f.memory.used_bytes(), 0);
}

#[actix::test]
async fn the_bytes_of_waiting_writes_are_bounded() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    let large = ClientRequest::Write(Bytes::from(vec![0; 1000]));
    f.request(&client, vec![(1, large), (2, write())]).await;
    assert_eq!(client.refusals(), [refused(2, Refusal::Busy)]);
}

#[actix::test]
async fn committed_entries_that_are_only_on_disk_are_read_by_pages() {
    let mut summary = LogSummary::default();
    for index in 1..=3 {
        summary.runs.push(LogPosition { term: Term(1), index: LogIndex(index) });
    }
    let hard_state = HardState { current_term: Term(1), ..Default::default() };
    let f = Fixture::start_with(hard_state, summary);
    let heartbeat = AppendEntries {
        request_seq: 1,
        prev: LogPosition { term: Term(1), index: LogIndex(3) },
        leader_commit: LogIndex(3),
        read_seq: 0,
        entries: Vec::new(),
    };
    f.receive(PEER, 1, Rpc::AppendEntries(heartbeat)).await;
    let page = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Noop,
    };
    let asked = f.log_reads.drain();
    assert_eq!((asked[0].read.from, asked[0].read.to), (LogIndex(1), LogIndex(3)));
    asked[0].reply_to.do_send(EntriesRead { ticket: 0, entries: vec![page(1), page(2)] });
    settle().await;
    assert_eq!(f.tasks(), ["entry 1@1 for None", "entry 2@1 for None"]);
    assert!(f.log_reads.drain().is_empty(), "the next page waits until this one is applied");
    f.raft.do_send(applied(2));
    settle().await;
    assert_eq!(f.log_reads.drain()[0].read.from, LogIndex(3));
}

#[actix::test]
async fn a_session_that_is_gone_does_not_disturb_the_others() {
    let f = Fixture::start();
    let gone = Client::new(1);
    let Client { session, port, replies } = gone;
    drop(replies);
    let stays = Client::new(2);
    let (requests, held) = (vec![(1, write())], f.memory.reserve(7));
    let arrived_at = None;
    f.raft.do_send(ClientRequests { session, reply_to: port, requests, arrived_at, held });
    f.request(&stays, vec![(1, write())]).await;
    assert_eq!(stays.refusals().len(), 1);
}

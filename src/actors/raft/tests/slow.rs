//! Tests of where the time of commands goes, by a clock that the test sets.

use std::path::PathBuf;

use prometheus_client::encoding::prometheus_text;

use super::*;
use crate::actors::io::operation_times::Part;
use crate::actors::io::slow_operations::SlowOperations;
use crate::actors::messages::waiters::Waiters;
use crate::metrics::ProcessMetrics;
use crate::types::Format;

/// The bound from which on a command is slow, in milliseconds.
const BOUND_MS: u64 = 100;

/// An actor that judges commands by `BOUND_MS`.
pub(super) fn judged(actor: RaftActor, metrics: &NodeMetrics) -> RaftActor {
    let NodeMetrics { clients, main_thread, raft, peers, .. } = metrics.clone();
    let slow = SlowOperations::new(Duration::from_millis(BOUND_MS), ME, clients, main_thread);
    actor.with_slow_operations(slow).with_metrics(raft, peers)
}

impl Fixture {
    pub(super) fn set_clock(&self, ms: u64) {
        self.clock.0.store(ms, Ordering::Relaxed);
    }

    /// A request that the session has had since `arrived_ms`.
    pub(super) async fn request_since(
        &self,
        client: &Client,
        request: ClientRequest,
        arrived_ms: u64,
    ) {
        let (session, reply_to) = (client.session, Arc::clone(&client.port));
        let (requests, held) = (vec![(1, request)], self.memory.reserve(0));
        let arrived_at = Some(Duration::from_millis(arrived_ms));
        self.raft.do_send(ClientRequests { session, reply_to, requests, arrived_at, held });
        settle().await;
    }

    /// The parts of the only command that the store was given, if it ended at `ended_ms`.
    pub(super) fn parts(&self, ended_ms: u64) -> Vec<(Part, u64)> {
        let tasks = self.kv.drain().into_iter().flat_map(|apply| apply.tasks);
        let times: Vec<OperationTimes> = tasks
            .filter_map(|task| match task {
                ApplyTask::Entry { waiters: Some(Waiters::One(reply_handle)), .. }
                | ApplyTask::Read { reply_handle, .. } => Some(reply_handle.times),
                _ => None,
            })
            .collect();
        let [times] = times[..] else { panic!("{times:?}") };
        let parts = times.parts(Duration::from_millis(ended_ms));
        parts.map(|(part, took)| (part, took.as_millis() as u64)).collect()
    }

    /// The value of a series.
    fn series(&self, name: &str) -> f64 {
        let process = ProcessMetrics::new("1.2.3", PathBuf::from("/none"));
        let mut text = String::new();
        let registry = self.metrics.registry(process);
        prometheus_text::encode(&mut text, &registry).expect("a string takes everything");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().expect("a number")
    }
}

#[actix::test]
async fn a_write_spends_its_time_in_the_queue_at_the_disk_in_the_network_and_in_the_store() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_010);
    f.request_since(&Client::new(8), write(), 1_000).await;
    f.set_clock(1_200);
    f.persisted(3).await;
    f.set_clock(1_250);
    f.replicated(1, 3, 0).await;
    let expected = [(Part::Queue, 10), (Part::Disk, 190), (Part::Network, 50), (Part::Apply, 1)];
    assert_eq!(f.parts(1_251), expected);
    f.set_clock(1_290);
    f.raft.do_send(applied(3));
    settle().await;
    assert_eq!(f.series("raft_apply_duration_seconds_sum"), 0.04);
}

#[actix::test]
async fn a_write_that_waits_only_for_the_own_disk_spends_no_time_in_the_network() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(8), write(), 1_000).await;
    f.replicated(1, 3, 0).await;
    // The other one makes a quorum without this node.
    let report = ReplicationReport { match_index: LogIndex(3), ..Default::default() };
    f.raft.do_send(Replicated { peer: NodeId(3), term: Term(1), report });
    settle().await;
    f.set_clock(1_300);
    f.persisted(3).await;
    let expected = [(Part::Queue, 0), (Part::Disk, 300), (Part::Network, 0), (Part::Apply, 0)];
    assert_eq!(f.parts(1_300), expected);
}

#[actix::test]
async fn a_write_whose_quorum_is_silent_times_out_in_the_network() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(8), write(), 1_000).await;
    f.persisted(3).await;
    f.set_clock(1_500);
    for _ in 0..50 {
        f.ticks(1).await;
        f.replicated(1, 2, 0).await;
    }
    assert_eq!(f.metrics.clients.slow("other", "network"), 1);
    // When its entry is committed after all it has no client, and counts no more.
    f.replicated(1, 3, 0).await;
    f.ticks(1).await;
    assert_eq!(f.metrics.clients.slow("other", "network"), 1);
}

#[actix::test]
async fn a_write_whose_disk_is_silent_is_lost_at_the_disk() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(8), write(), 1_000).await;
    f.set_clock(1_000 + BOUND_MS);
    let request = AppendEntries {
        request_seq: 9,
        prev: LogPosition { term: Term(1), index: LogIndex(2) },
        leader_commit: LogIndex(2),
        read_seq: 0,
        entries: Vec::new(),
    };
    f.receive(PEER, 2, Rpc::AppendEntries(request)).await;
    assert_eq!(f.metrics.clients.slow("other", "disk"), 1);
}

#[actix::test]
async fn a_write_that_is_quick_is_not_slow_when_it_is_lost() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(8), write(), 1_000).await;
    f.set_clock(1_000 + BOUND_MS - 1);
    f.receive(PEER, 2, Rpc::RequestVote(RequestVote { last: LogPosition::default() })).await;
    let causes = ["queue", "disk", "network", "apply"];
    assert!(causes.iter().all(|cause| f.metrics.clients.slow("other", cause) == 0));
}

#[actix::test]
async fn a_read_spends_its_time_in_its_round() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_002);
    f.request_since(&Client::new(8), read(), 1_000).await;
    f.set_clock(1_150);
    f.replicated(1, 2, 1).await;
    assert_eq!(f.parts(1_153), [(Part::Queue, 2), (Part::Round, 148), (Part::Apply, 3)]);
}

#[actix::test]
async fn a_read_that_is_never_confirmed_times_out_in_its_round() {
    let f = Fixture::start();
    f.lead().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(8), read(), 1_000).await;
    f.set_clock(1_500);
    for _ in 0..50 {
        f.ticks(1).await;
        f.replicated(1, 2, 0).await;
    }
    assert_eq!(f.metrics.clients.slow("get", "round"), 1);
}

#[actix::test]
async fn a_command_that_finds_no_leader_in_time_is_slow_by_the_queue() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.set_clock(1_000);
    let client = Client::new(8);
    f.request_since(&client, ClientRequest::WriteAnywhere("a".into()), 1_000).await;
    assert!(client.refusals().is_empty(), "it hopes for one");
    f.set_clock(1_500);
    f.ticks(50).await;
    assert_eq!(client.refusals().len(), 1);
    assert_eq!(f.metrics.clients.slow("other", "queue"), 1);
}

#[actix::test]
async fn a_peer_is_behind_for_as_long_as_it_lacks_its_oldest_entry() {
    let f = Fixture::start();
    let behind = |f: &Fixture, id| {
        let peer = f.metrics.peers.find(NodeId(id)).expect("it was added");
        peer.behind().map(|behind| behind.as_millis())
    };
    for id in [2, 3] {
        f.metrics.peers.add(NodeId(id));
    }
    assert_eq!(behind(&f, 2), None);
    f.set_clock(1_000);
    f.lead().await;
    f.ticks(1).await;
    f.set_clock(5_000);
    f.request_since(&Client::new(8), write(), 5_000).await;
    f.ticks(1).await;
    f.persisted(3).await;
    f.set_clock(5_700);
    for _ in 0..20 {
        f.ticks(1).await;
        f.replicated(1, 2, 0).await;
    }
    assert_eq!(behind(&f, 2), Some(700));
    f.replicated(1, 3, 0).await;
    f.ticks(20).await;
    assert_eq!(behind(&f, 2), Some(0));
    // The other one has none of this leadership's entries.
    assert_eq!(behind(&f, 3), Some(4_700));
}

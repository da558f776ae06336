use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;

use super::*;
use crate::raft::{Event, Role};
use crate::types::{LogIndex, NodeId, Term, Tolerance};

/// A clock that a test sets.
#[derive(Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        1_780_000_000_250
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn printed(metrics: &NodeMetrics) -> String {
    let registry = metrics.registry(ProcessMetrics::new("1.2.3", PathBuf::from("/none")));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

fn state(role: Role) -> RaftState {
    RaftState {
        role,
        term: Term(7),
        leader_id: Some(NodeId(2)),
        last_log_index: LogIndex(42),
        commit_index: LogIndex(40),
        last_applied: LogIndex(39),
        snapshot_index: LogIndex(10),
        format: 4,
        is_draining: false,
        proposals_pending: 3,
        pending_bytes: 512,
    }
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
}

#[test]
fn the_state_of_a_tick_is_printed() {
    let metrics = NodeMetrics::default();
    metrics.raft.on_tick(&state(Role::Leader));
    let text = printed(&metrics);
    for line in [
        "raft_term 7",
        "raft_role{role=\"leader\"} 1",
        "raft_role{role=\"follower\"} 0",
        "raft_is_leader 1",
        "raft_has_leader 1",
        "raft_commit_index 40",
        "raft_last_applied 39",
        "raft_last_log_index 42",
        "raft_proposals_pending 3",
        "raft_proposals_committed_total 40",
        "etcd_server_has_leader 1",
        "etcd_server_proposals_committed_total 40",
        "etcd_server_proposals_applied_total 39",
        "coracle_build_info{version=\"1.2.3\"} 1",
    ] {
        assert_has(&text, line);
    }
}

#[test]
fn the_nodes_of_a_process_have_numbers_of_their_own() {
    let (one, other) = (NodeMetrics::default(), NodeMetrics::default());
    one.raft.on_tick(&state(Role::Follower));
    assert_has(&printed(&one), "raft_term 7");
    assert_has(&printed(&other), "raft_term 0");
}

#[test]
fn an_election_after_a_pre_vote_was_caused_by_a_timeout_and_another_by_a_transfer() {
    let metrics = NodeMetrics::default();
    metrics.raft.on_event(&Event::StartedPreVote { term: Term(3) });
    metrics.raft.on_event(&Event::StartedElection { term: Term(3) });
    metrics.raft.on_event(&Event::StartedElection { term: Term(4) });
    metrics.raft.on_event(&Event::StartedElection { term: Term(5) });
    let text = printed(&metrics);
    assert_has(&text, "raft_elections_started_total{cause=\"timeout\"} 1");
    assert_has(&text, "raft_elections_started_total{cause=\"transfer\"} 2");
}

#[test]
fn a_peer_has_numbers_until_its_actors_end() {
    let metrics = NodeMetrics::default();
    let peer = metrics.peers.add(NodeId(2));
    peer.on_moved(100, 0);
    peer.set_waiting(20, 1);
    peer.set_progress(LogIndex(9), LogIndex(10), 4);
    let text = printed(&metrics);
    assert_has(&text, "peer_sent_bytes_total{peer=\"2\"} 100");
    assert_has(&text, "peer_match_index{peer=\"2\"} 9");
    assert_has(&text, "peer_send_queue_frames{peer=\"2\"} 1");
    assert_has(&text, "etcd_network_peer_sent_bytes_total{To=\"2\"} 100");
    metrics.peers.remove(NodeId(2));
    assert!(!printed(&metrics).contains("peer=\"2\""));
}

#[test]
fn a_command_that_no_name_is_known_for_counts_as_other() {
    let metrics = NodeMetrics::default();
    metrics.clients.on_answered("set", Duration::from_millis(3));
    metrics.clients.on_answered("a name from a stranger", Duration::ZERO);
    let text = printed(&metrics);
    assert_has(&text, "client_requests_total{command=\"set\"} 1");
    assert_has(&text, "client_requests_total{command=\"other\"} 1");
    assert!(!text.contains("stranger"));
}

#[test]
fn ticks_and_the_silence_of_the_disk_are_measured_by_the_clock_of_the_node() {
    let clock = Arc::new(SetClock::default());
    let node_clock: Arc<dyn Clock> = clock.clone();
    let metrics = NodeMetrics::new(&node_clock);
    assert_eq!(metrics.raft.tick_age(), None);
    clock.0.store(1_000, Ordering::Relaxed);
    metrics.raft.on_tick(&state(Role::Follower));
    metrics.log.begin();
    clock.0.store(3_500, Ordering::Relaxed);
    assert_eq!(metrics.raft.tick_age(), Some(Duration::from_millis(2_500)));
    assert_eq!(metrics.log.silence(), Duration::from_millis(2_500));
    metrics.log.end();
    assert_eq!(metrics.log.silence(), Duration::ZERO);
}

#[test]
fn a_lag_that_nobody_knows_is_no_number() {
    let metrics = NodeMetrics::default();
    let peer = metrics.peers.add(NodeId(2));
    assert_has(&printed(&metrics), "peer_lag_entries{peer=\"2\"} NaN");
    assert_has(&printed(&metrics), "raft_voters_can_lose NaN");
    peer.set_view(&LeadersView {
        lag_entries: Some(7),
        unheard: Some(Duration::from_millis(1_500)),
        behind: Some(Duration::from_millis(2_500)),
    });
    assert_eq!(peer.behind(), Some(Duration::from_millis(2_500)));
    let tolerance = Tolerance { voters: 5, needed: 3, here: 2, can_lose: None };
    metrics.raft.set_tolerance(Some(tolerance));
    let text = printed(&metrics);
    assert_has(&text, "peer_lag_entries{peer=\"2\"} 7.0");
    assert_has(&text, "peer_unheard_seconds{peer=\"2\"} 1.5");
    assert_has(&text, "peer_behind_seconds{peer=\"2\"} 2.5");
    assert_has(&text, "raft_voters_here 2.0");
    assert_has(&text, "raft_voters_can_lose -1.0");
    metrics.peers.end_views();
    assert_eq!(peer.behind(), None);
    assert_has(&printed(&metrics), "peer_unheard_seconds{peer=\"2\"} NaN");
}

#[test]
fn a_command_that_took_long_counts_by_the_part_in_which_the_time_went() {
    let metrics = NodeMetrics::default();
    metrics.clients.on_slow("set", "disk");
    metrics.clients.on_slow("a name from a stranger", "round");
    let text = printed(&metrics);
    assert_has(&text, "client_slow_requests_total{command=\"set\",cause=\"disk\"} 1");
    assert_has(&text, "client_slow_requests_total{command=\"other\",cause=\"round\"} 1");
    assert_has(&text, "client_slow_requests_total{command=\"get\",cause=\"round\"} 0");
    assert!(!text.contains("stranger"));
}

#[test]
fn the_wall_clock_is_that_of_the_node() {
    let clock: Arc<dyn Clock> = Arc::new(SetClock::default());
    assert_has(&printed(&NodeMetrics::new(&clock)), "wall_clock_seconds 1780000000.25");
}

#[test]
fn the_longest_lateness_is_forgotten_after_a_while() {
    let clock = Arc::new(SetClock::default());
    let node_clock: Arc<dyn Clock> = clock.clone();
    let main_thread = NodeMetrics::new(&node_clock).main_thread;
    let late_at = |at_ms: u64, late_ms| {
        clock.0.store(at_ms, Ordering::Relaxed);
        main_thread.on_late(Duration::from_millis(late_ms));
    };
    let within = |seconds| main_thread.max_within(Duration::from_secs(seconds)).as_millis();
    late_at(100_000, 40);
    late_at(100_500, 900);
    late_at(100_900, 1);
    assert_eq!(within(0), 900);
    late_at(103_000, 7);
    assert_eq!((within(0), within(2), within(3)), (7, 7, 900));
    late_at(115_000, 2);
    assert_eq!(within(15), 900);
    // The slot of a second is that of the second sixteen later.
    late_at(116_000, 3);
    assert_eq!(within(15), 7);
}

#[test]
fn a_probe_is_sent_when_the_last_one_has_arrived() {
    let clock = Arc::new(SetClock::default());
    let node_clock: Arc<dyn Clock> = clock.clone();
    let metrics = NodeMetrics::new(&node_clock);
    let mailbox = metrics.mailboxes.of("log");
    assert!(mailbox.begin());
    assert!(!mailbox.begin());
    clock.0.store(1_500, Ordering::Relaxed);
    mailbox.end();
    mailbox.end();
    assert!(mailbox.begin());
    let text = printed(&metrics);
    assert_has(&text, "actor_mailbox_wait_seconds_count{actor=\"log\"} 1");
    let bucket = |le| format!("actor_mailbox_wait_seconds_bucket{{actor=\"log\",le=\"{le}\"}}");
    assert!(text.contains(&format!("{} 0", bucket("1.024"))), "{text}");
    assert!(text.contains(&format!("{} 1", bucket("2.048"))), "{text}");
}

#[test]
fn a_disk_is_not_known_before_it_was_measured() {
    let dir = tempfile::tempdir().unwrap();
    let process = ProcessMetrics::new("1.2.3", dir.path().to_owned());
    let metrics = NodeMetrics::default();
    assert!(metrics.sample(&process).process.disk.is_none());
    process.measure_disk();
    let disk = metrics.sample(&process).process.disk.expect("it was measured");
    assert!(disk.size_bytes >= disk.free_bytes && disk.size_bytes > 0);
}

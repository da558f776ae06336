//! `/metrics`: every name is there, what is printed is clean, and the numbers move.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::Cluster;
use crate::common::http::{HttpPorts, ask, value_of};

/// The names that shared boards and alerts may rely on, as the text of Prometheus has them.
const NAMES: &[&str] = &[
    "raft_term",
    "raft_role",
    "raft_is_leader",
    "raft_has_leader",
    "raft_leader_changes_total",
    "raft_elections_started_total",
    "raft_commit_index",
    "raft_last_applied",
    "raft_last_log_index",
    "raft_proposals_pending",
    "raft_proposals_committed_total",
    "raft_proposals_failed_total",
    "raft_append_rejections_total",
    "raft_snapshots_sent_total",
    "raft_commit_duration_seconds",
    "raft_tick_interval_seconds",
    "log_fsync_duration_seconds",
    "log_flush_entries",
    "log_bytes_written_total",
    "log_bytes",
    "log_files",
    "raft_voters_can_lose",
    "peer_match_index",
    "peer_lag_entries",
    "peer_unheard_seconds",
    "peer_sent_bytes_total",
    "peer_disconnects_total",
    "peer_send_queue_frames",
    "peer_round_trip_seconds",
    "client_sessions",
    "client_watches",
    "client_requests_total",
    "client_requests_failed_total",
    "client_request_duration_seconds",
    "store_keys",
    "store_apply_duration_seconds",
    "memory_used_bytes",
    "snapshot_save_duration_seconds",
    "disk_free_bytes",
    "coracle_build_info",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "process_open_fds",
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_failed_total",
    "etcd_server_quota_backend_bytes",
    "etcd_disk_wal_fsync_duration_seconds",
    "etcd_disk_backend_commit_duration_seconds",
    "etcd_network_peer_round_trip_time_seconds",
    "etcd_network_peer_sent_bytes_total",
    "etcd_network_peer_received_bytes_total",
    "etcd_network_peer_sent_failures_total",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_debugging_snap_save_total_duration_seconds",
];

/// Series of the leader, and of all servers, that rise when clients write and read.
const MOVING: &[&str] = &[
    "raft_commit_index",
    "raft_last_applied",
    "raft_last_log_index",
    "raft_proposals_committed_total",
    "raft_commit_duration_seconds_count",
    "raft_tick_interval_seconds_count",
    "log_fsync_duration_seconds_count",
    "log_flush_entries_count",
    "log_bytes_written_total",
    "client_requests_total{command=\"set\"}",
    "client_requests_total{command=\"get\"}",
    "client_request_duration_seconds_count{command=\"set\"}",
    "client_received_bytes_total",
    "client_sent_bytes_total",
    "store_keys",
    "store_bytes",
    "store_revision",
    "store_apply_duration_seconds_count",
    "process_cpu_seconds_total",
    "etcd_server_proposals_applied_total",
    "etcd_disk_wal_fsync_duration_seconds_count",
    "etcd_mvcc_db_total_size_in_bytes",
];

fn start() -> (Cluster, HttpPorts) {
    let mut cluster = Cluster::prepare_with("");
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    (cluster, ports)
}

/// The names of the metrics in a text, each without what it is a part of.
fn names_in(text: &str) -> BTreeSet<&str> {
    let of_line = |line: &'_ str| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::len);
    let named = text.lines().filter_map(|line| of_line(line).map(|length| &line[7..7 + length]));
    named.collect()
}

#[test]
fn every_name_is_printed_and_the_numbers_move() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let before = ports.get(leader, "/metrics").expect("it answers").body;
    let names = names_in(&before);
    let missing: Vec<_> = NAMES.iter().filter(|name| !names.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {names:?}");
    let mut client = cluster.connect(leader).unwrap();
    for n in 0..20 {
        let reply = client.ask(&format!("set key{n} 0 5\r\nvalue\r\n")).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
        assert!(client.ask(&format!("get key{n}\r\n")).unwrap().starts_with("VALUE 5"));
    }
    let peer = cluster.ids().into_iter().find(|id| *id != leader).expect("there are five");
    let of_peer = [
        format!("peer_match_index{{peer=\"{peer}\"}}"),
        format!("peer_sent_bytes_total{{peer=\"{peer}\"}}"),
        format!("peer_received_bytes_total{{peer=\"{peer}\"}}"),
        format!("peer_round_trip_seconds_count{{peer=\"{peer}\"}}"),
        format!("etcd_network_peer_sent_bytes_total{{To=\"{peer}\"}}"),
    ];
    let series = MOVING.iter().copied().chain(of_peer.iter().map(String::as_str));
    for name in series {
        let was = value_of(&before, name).unwrap_or_else(|| panic!("{name} is not in\n{before}"));
        cluster.wait_for(name, || (ports.series(leader, name)? > was).then_some(()));
    }
    // The leader's requests come on connections that the follower has accepted.
    let from_leader = format!("peer_received_bytes_total{{peer=\"{leader}\"}}");
    let was = ports.series(peer, &from_leader).expect("the leader is a peer");
    cluster.wait_for("requests", || (ports.series(peer, &from_leader)? > was).then_some(()));
    assert!(ports.series(leader, "etcd_server_quota_backend_bytes") > Some(0.0));
    assert_eq!(ports.series(leader, "raft_is_leader"), Some(1.0));
    assert_eq!(ports.series(leader, "raft_role{role=\"leader\"}"), Some(1.0));
    assert_eq!(ports.series(peer, "raft_is_leader"), Some(0.0));
    assert_eq!(ports.series(peer, "etcd_server_has_leader"), Some(1.0));
    cluster.wait_for("the session", || {
        (ports.series(leader, "client_sessions")? >= 1.0).then_some(())
    });
}

#[test]
fn a_leader_that_is_killed_shows_as_an_election_and_a_lost_peer() {
    let (mut cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let changes = |id| ports.series(id, "raft_leader_changes_total").unwrap();
    let witness = cluster.ids().into_iter().find(|id| *id != leader).expect("there are five");
    let before = changes(witness);
    cluster.kill(leader);
    let next = cluster.wait_for_leader();
    let elections = "raft_elections_started_total{cause=\"timeout\"}";
    cluster.wait_for("an election", || (ports.series(next, elections)? >= 1.0).then_some(()));
    cluster.wait_for("another leader", || (changes(witness) > before).then_some(()));
    let lost = format!("peer_connected{{peer=\"{leader}\"}}");
    cluster.wait_for("a lost peer", || (ports.series(next, &lost)? == 0.0).then_some(()));
    let failures = format!("etcd_network_peer_sent_failures_total{{To=\"{leader}\"}}");
    cluster.wait_for("failures", || (ports.series(next, &failures)? >= 1.0).then_some(()));
}

#[test]
fn a_transfer_shows_as_an_election_that_was_asked_for() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let mut client = cluster.connect(leader).unwrap();
    let reply = client.ask("leader transfer\r\n").unwrap();
    assert!(reply.starts_with("LEADER"), "{reply}");
    let next = cluster.wait_for_leader();
    let elections = "raft_elections_started_total{cause=\"transfer\"}";
    cluster.wait_for("an election", || (ports.series(next, elections)? >= 1.0).then_some(()));
    let is_told = |line: &str| line.starts_with("raft_leaderships_lost_total{reason=");
    let text = ports.get(leader, "/metrics").unwrap().body;
    assert!(text.lines().any(is_told), "{text}");
}

#[test]
fn open_metrics_is_printed_for_those_who_ask_for_it() {
    let (_cluster, ports) = start();
    let head = "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text\r\n";
    let answer = ask(ports.port(1), head).unwrap();
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text"));
    assert!(answer.body.ends_with("# EOF\n"));
    let plain = ports.get(1, "/metrics").unwrap();
    assert!(plain.headers["content-type"].starts_with("text/plain"));
    assert!(!plain.body.contains("# EOF"));
}

/// Debian's package `prometheus` has the program. Where it is not installed, this proves nothing
/// and says so.
#[test]
fn promtool_finds_nothing_to_complain_of() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let text = ports.get(leader, "/metrics").unwrap().body;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads to the end");
    drop(stdin);
    let output = promtool.wait_with_output().expect("our child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "promtool says {said}");
}

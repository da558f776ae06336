//! Commands that wait for the network, and members that are behind, as the leader shows them.

use std::time::{Duration, Instant};

use crate::common::Cluster;
use crate::common::http::HttpPorts;
use crate::common::members::CALM;
use crate::common::slow_line::assert_longest;

/// Three servers behind gates. The longest election timeouts leave the leader in office while
/// nothing of its followers comes through.
fn start() -> (Cluster, HttpPorts) {
    let mut cluster = Cluster::prepare_behind_gates(3, CALM);
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    (cluster, ports)
}

/// The leader's followers answer it only after three bounds of a slow operation.
fn ask_while_answers_are_kept(cluster: &Cluster, leader: u64, command: &str) -> String {
    let mut client = cluster.connect(leader).expect("it runs");
    for follower in cluster.ids().into_iter().filter(|id| *id != leader) {
        cluster.gates().keep(follower, leader);
    }
    let sent = Instant::now();
    client.send(command).expect("it reads");
    while sent.elapsed() < Duration::from_millis(300) {
        std::thread::yield_now();
    }
    cluster.gates().heal();
    client.hear(command).expect("it answers")
}

#[test]
fn commands_that_wait_for_a_quorum_are_slow_by_the_network_and_by_the_round() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    for (command, name, part) in
        [("set kept 0 1\r\nv\r\n", "set", "network"), ("get kept\r\n", "get", "round")]
    {
        let begun = format!("took long command={name} outcome=answered ");
        // One of them is logged in a second.
        let line = cluster.wait_for(&begun, || {
            let reply = ask_while_answers_are_kept(&cluster, leader, command);
            assert!(reply.starts_with("OK ") || reply.starts_with("VALUE "), "{reply}");
            let log = cluster.log(leader);
            let is_meant = |line: &&str| line.contains(&begun) && line.contains(" key=kept ");
            log.lines().find(is_meant).map(str::to_owned)
        });
        assert_longest(&line, part);
        let slow = format!("client_slow_requests_total{{command=\"{name}\",cause=\"{part}\"}}");
        assert!(ports.series(leader, &slow).is_some_and(|count| count >= 1.0));
    }
}

#[test]
fn a_server_that_is_cut_off_is_behind_by_the_age_of_what_it_lacks() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let cut_off = cluster.ids().into_iter().find(|id| *id != leader).expect("there are three");
    let behind = format!("peer_behind_seconds{{peer=\"{cut_off}\"}}");
    cluster.wait_for("one in step", || (ports.series(leader, &behind)? < 0.2).then_some(()));
    cluster.isolate(&[cut_off]);
    let reply = cluster.connect(leader).unwrap().ask("set key 0 1\r\nv\r\n").unwrap();
    assert!(reply.starts_with("OK "), "{reply}");
    cluster.wait_for("one behind", || (ports.series(leader, &behind)? > 1.0).then_some(()));
    cluster.gates().heal();
    cluster.wait_for("one in step", || (ports.series(leader, &behind)? == 0.0).then_some(()));
    assert!(ports.series(cut_off, &format!("peer_behind_seconds{{peer=\"{leader}\"}}")).is_some());
}

#[test]
fn the_main_thread_the_mailboxes_the_store_and_the_wall_clock_are_measured() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let reply = cluster.connect(leader).unwrap().ask("set key 0 1\r\nv\r\n").unwrap();
    assert!(reply.starts_with("OK "), "{reply}");
    for actor in ["raft", "kv", "log", "snapshot_writer", "snapshot_reader"] {
        let probes = format!("actor_mailbox_wait_seconds_count{{actor=\"{actor}\"}}");
        cluster.wait_for(&probes, || (ports.series(leader, &probes)? >= 2.0).then_some(()));
    }
    for name in ["main_thread_lateness_seconds_count", "raft_apply_duration_seconds_count"] {
        cluster.wait_for(name, || (ports.series(leader, name)? >= 1.0).then_some(()));
    }
    assert!(ports.series(leader, "main_thread_lateness_max_seconds").is_some());
    let clocks = cluster.ids().into_iter().map(|id| ports.series(id, "wall_clock_seconds"));
    let clocks: Option<Vec<f64>> = clocks.collect();
    // A second after 2020, and before 2100.
    let is_sound = |clock: &f64| (1.57e9..4.1e9).contains(clock);
    assert!(clocks.as_ref().is_some_and(|clocks| clocks.iter().all(is_sound)), "{clocks:?}");
}

//! `/livez` and `/readyz`: during a start, an election, a partition, a drain and a stop.

use crate::common::Cluster;
use crate::common::http::HttpPorts;
use crate::common::members::BRISK;

/// Starts five servers behind gates.
fn start() -> (Cluster, HttpPorts) {
    let mut cluster = Cluster::prepare_behind_gates(5, BRISK);
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    (cluster, ports)
}

fn wait_for_ready(cluster: &Cluster, ports: &HttpPorts, id: u64) {
    cluster.wait_for("a ready server", || (ports.status(id, "/readyz") == 200).then_some(()));
}

fn wait_for_unready(cluster: &Cluster, ports: &HttpPorts, id: u64) {
    cluster.wait_for("a server that is not ready", || {
        (ports.status(id, "/readyz") == 503).then_some(())
    });
}

#[test]
fn a_server_without_a_quorum_is_live_and_not_ready_until_the_others_start() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    let ports = HttpPorts::draw(&cluster);
    ports.start_server(&mut cluster, 1);
    cluster.wait_for("a live server", || (ports.status(1, "/livez") == 200).then_some(()));
    let is_started = || (ports.status(1, "/readyz/started") == 200).then_some(());
    cluster.wait_for("a server that has read its files", is_started);
    let unready = ports.get(1, "/readyz").unwrap();
    assert_eq!(unready.status, 503);
    assert!(unready.body.contains("[-]linearizable_read failed: "), "{}", unready.body);
    assert!(unready.body.contains("leader=none"), "{}", unready.body);
    assert!(unready.body.ends_with("readyz check failed\n"), "{}", unready.body);
    let health = ports.get(1, "/health").unwrap();
    assert_eq!(health.status, 503);
    assert!(health.body.starts_with("{\"health\":\"false\""), "{}", health.body);
    assert_eq!(ports.status(1, "/health?serializable=true"), 200);
    assert_eq!(ports.status(1, "/readyz?exclude=linearizable_read"), 200);
    assert_eq!(ports.status(1, "/readyz/linearizable_read"), 503);
    assert_eq!(ports.status(1, "/readyz/started"), 200);
    assert_eq!(ports.status(1, "/readyz/nonsense"), 404);
    ports.start_server(&mut cluster, 2);
    ports.start_server(&mut cluster, 3);
    cluster.ids().into_iter().for_each(|id| wait_for_ready(&cluster, &ports, id));
    assert_eq!(ports.get(1, "/readyz").unwrap().body, "ok");
    let health = ports.get(1, "/health").unwrap();
    assert_eq!(health.body, "{\"health\":\"true\",\"reason\":\"\"}");
}

#[test]
fn verbose_names_every_check() {
    let (cluster, ports) = start();
    wait_for_ready(&cluster, &ports, 1);
    let said = ports.get(1, "/readyz?verbose&exclude=disk&exclude=nonsense").unwrap().body;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "[+]started ok",
            "[+]membership ok",
            "[+]draining ok",
            "[+]main_thread ok",
            "[+]disk excluded: ok",
            "[+]linearizable_read ok",
            "warning: no check is named \"nonsense\", so it is not excluded",
            "readyz check passed",
        ]
    );
    let version = ports.get(1, "/version").unwrap();
    assert_eq!(version.headers["content-type"], "application/json");
    let start = format!("{{\"coracle\":\"{}\",\"node\":1,", env!("CARGO_PKG_VERSION"));
    assert!(version.body.starts_with(&start), "{}", version.body);
}

#[test]
fn all_servers_that_live_are_ready_again_after_an_election() {
    let (mut cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    assert_eq!(ports.status(leader, "/livez"), 0);
    cluster.wait_for_leader();
    let others = cluster.ids().into_iter().filter(|id| *id != leader);
    others.for_each(|id| wait_for_ready(&cluster, &ports, id));
}

#[test]
fn a_follower_and_a_leader_that_are_cut_off_are_live_and_not_ready() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let follower = leader % 5 + 1;
    for id in [follower, leader] {
        wait_for_ready(&cluster, &ports, id);
        cluster.isolate(&[id]);
        wait_for_unready(&cluster, &ports, id);
        assert_eq!(ports.status(id, "/livez"), 200);
        cluster.gates().heal();
        wait_for_ready(&cluster, &ports, id);
    }
}

/// The gate of the follower lets so little through that it is behind for far longer than a second.
#[test]
fn a_follower_that_is_far_behind_is_not_ready_until_it_has_caught_up() {
    let (cluster, ports) = start();
    let leader = cluster.wait_for_leader();
    let follower = leader % 5 + 1;
    wait_for_ready(&cluster, &ports, follower);
    cluster.gates().slow(follower, &cluster.ids(), 10_000);
    let lag = format!("peer_lag_entries{{peer=\"{follower}\"}}");
    let mut client = cluster.connect(leader).unwrap();
    let value = "v".repeat(100_000);
    for n in 0..20 {
        let reply = client.ask(&format!("set big{n} 0 100000\r\n{value}\r\n")).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
    }
    wait_for_unready(&cluster, &ports, follower);
    assert_eq!(ports.status(follower, "/livez"), 200);
    cluster.wait_for("a lag", || (ports.series(leader, &lag)? > 0.0).then_some(()));
    let own_view = format!("peer_lag_entries{{peer=\"{leader}\"}}");
    assert!(ports.series(follower, &own_view).unwrap().is_nan(), "a follower knows no lag");
    cluster.gates().heal();
    wait_for_ready(&cluster, &ports, follower);
    cluster.wait_for("no lag", || (ports.series(leader, &lag)? == 0.0).then_some(()));
}

#[test]
fn a_server_that_is_drained_is_live_and_healthy_and_not_ready() {
    let (cluster, ports) = start();
    wait_for_ready(&cluster, &ports, 1);
    let mut client = cluster.connect(1).unwrap();
    assert_eq!(client.ask("drain\r\n").unwrap(), "OK\r\n");
    wait_for_unready(&cluster, &ports, 1);
    let said = ports.get(1, "/readyz").unwrap().body;
    assert!(said.contains("[-]draining failed: this server is drained, or stops"), "{said}");
    assert_eq!(ports.status(1, "/livez"), 200);
    cluster.wait_for("health", || (ports.status(1, "/health") == 200).then_some(()));
    assert_eq!(client.ask("undrain\r\n").unwrap(), "OK\r\n");
    wait_for_ready(&cluster, &ports, 1);
}

#[test]
fn a_quorum_that_is_lost_is_no_reason_to_start_the_rest_again() {
    let (mut cluster, ports) = start();
    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    for id in [4, 5] {
        wait_for_unready(&cluster, &ports, id);
        assert_eq!(ports.status(id, "/livez"), 200);
        // The numbers do not need a quorum.
        assert!(ports.series(id, "raft_term").is_some());
    }
}

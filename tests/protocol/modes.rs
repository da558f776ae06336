//! `mode`: a server that does not lead serves all the same.

use super::raw::{Raw, Server};
use crate::common::{Cluster, PATIENCE};

/// Elections are slower than by default, because tests run side by side on small machines.
const SETTINGS: &str = "[raft]\nelection_timeout_ms = [300, 600]\n[log]\nsegment_bytes = 4194304\n";

/// Three servers in the highest format, and the id of the leader.
fn three() -> (Cluster, u64) {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", SETTINGS);
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    let leader = cluster.wait_for_leader();
    cluster.wait_until_named();
    (cluster, leader)
}

fn followers(cluster: &Cluster, leader: u64) -> Vec<u64> {
    cluster.ids().into_iter().filter(|id| *id != leader).collect()
}

#[test]
fn a_follower_serves_everything_when_it_is_asked_to() {
    let (cluster, leader) = three();
    for id in followers(&cluster, leader) {
        let mut client = Raw::open(&cluster, id);
        client.ask("mode any\r\n", "OK\r\n");
        let version = client.ask(format!("set k{id} 0 1\r\n1\r\n"), "OK #\r\n")[0];
        client.ask(format!("get k{id}\r\n"), "VALUE 1\r\n1\r\n");
        client.ask(format!("getm k{id}\r\n"), &format!("VALUE {version} 0 1\r\n1\r\n"));
        client
            .ask(format!("scan k{id} 5\r\n"), &format!("KEY k{id} {version} 0 1\r\n1\r\nEND\r\n"));
        client.ask(format!("add k{id} 0 1\r\n1\r\n"), &format!("ERR_EXISTS {version}\r\n"));
        client.ask(format!("once c{id} 1 cas k{id} 0 {version} 1\r\n2\r\n"), "OK #\r\n");
        client.ask(
            format!("begin\r\ncheck k{id} {version}\r\nset k{id} 0 1\r\n3\r\ncommit\r\n"),
            &format!("OK\r\nQUEUED\r\nQUEUED\r\nABORTED k{id} {}\r\n", version + 1),
        );
        let committed = client.ask(
            format!("begin\r\nget k{id}\r\nset k{id} 0 1\r\n3\r\nget k{id}\r\ncommit\r\n"),
            "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\n\
             COMMITTED # 3\r\nVALUE 1\r\n2\r\nOK #\r\nVALUE 1\r\n3\r\n",
        );
        assert_eq!(committed, [version + 2, version + 2]);
        client.ask("begin\r\ncommit\r\n", &format!("OK\r\nCOMMITTED {} 0\r\n", version + 2));
        client.ask(
            format!("grant 60 {id}\r\nrenew {id}\r\n"),
            &format!("LEASE {id} 60\r\nLEASE {id} 60\r\n"),
        );
        client.ask(
            format!("lease {id}\r\nrevoke {id}\r\n"),
            &format!("LEASE {id} #\r\nEND\r\nREVOKED\r\n"),
        );
        client.ask(format!("renew {id}\r\nlease {id}\r\n"), "ERR_NO_LEASE\r\nERR_NO_LEASE\r\n");
        client.ask(format!("delete k{id}\r\nget k{id}\r\n"), "DELETED\r\nERR_NOT_FOUND\r\n");
        client.ask(format!("set k{id} 0 1 noreply\r\n4\r\nget k{id}\r\n"), "VALUE 1\r\n4\r\n");
        client.ask("compact 1\r\n", "OK 1\r\n");
        // Back to what a connection begins with.
        client.ask(
            "mode leader\r\nget k\r\n",
            &format!("OK\r\nERR_REDIRECT {}\r\n", cluster.address(leader)),
        );
        client.ask("renew 1\r\n", &format!("ERR_REDIRECT {}\r\n", cluster.address(leader)));
        client.ask(
            "begin\r\ncommit\r\n",
            &format!("OK\r\nERR_REDIRECT {}\r\n", cluster.address(leader)),
        );
    }
}

/// Each command of such a pipeline takes a round trip and the disks of two servers, so it comes in
/// parts: every command has its limit of time from when it was read.
#[test]
fn a_pipeline_sees_its_own_writes_on_a_follower() {
    let (cluster, leader) = three();
    let follower = followers(&cluster, leader)[0];
    let mut client = Raw::open(&cluster, follower);
    client.ask("mode any\r\n", "OK\r\n");
    for part in 0..10 {
        let (mut input, mut expected) = (String::new(), String::new());
        for value in 20 * part..20 * (part + 1) {
            input += &format!("set k 0 3\r\n{value:03}\r\nget k\r\n");
            expected += &format!("OK #\r\nVALUE 3\r\n{value:03}\r\n");
        }
        client.send(input);
        client.expect(&expected);
    }
}

#[test]
fn a_linearizable_read_on_a_follower_sees_what_others_have_written() {
    let (cluster, leader) = three();
    let mut writer = Raw::open(&cluster, leader);
    let mut readers: Vec<Raw> =
        followers(&cluster, leader).into_iter().map(|id| Raw::open(&cluster, id)).collect();
    for reader in &mut readers {
        reader.ask("mode any\r\n", "OK\r\n");
    }
    for value in 0..200 {
        writer.ask(format!("set k 0 3\r\n{value:03}\r\n"), "OK #\r\n");
        for reader in &mut readers {
            reader.ask("get k\r\n", &format!("VALUE 3\r\n{value:03}\r\n"));
        }
    }
}

#[test]
fn a_stale_read_is_answered_at_once_and_comes_to_the_newest_write() {
    let (cluster, leader) = three();
    let follower = followers(&cluster, leader)[0];
    let mut client = Raw::open(&cluster, follower);
    let version = client.ask("mode stale\r\nset k 0 1\r\n1\r\n", "OK\r\nOK #\r\n")[0];
    // The follower answers a forwarded write when it has executed it.
    client.ask("getm k\r\n", &format!("VALUE {version} 0 1\r\n1\r\n"));
    let mut writer = Raw::open(&cluster, leader);
    writer.ask("set k 0 1\r\n2\r\n", "OK #\r\n");
    let began = std::time::Instant::now();
    loop {
        client.send("get k\r\n");
        client.line();
        if client.line() == "2\r\n" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it comes to the newest write");
    }
}

#[test]
fn the_past_and_watches_are_served_by_any_server_in_any_mode() {
    let (cluster, leader) = three();
    let mut writer = Raw::open(&cluster, leader);
    let first = writer.ask("set k 0 1\r\n1\r\n", "OK #\r\n")[0];
    let second = writer.ask("set k 0 1\r\n2\r\n", "OK #\r\n")[0];
    for id in cluster.ids() {
        let mut watcher = Raw::open(&cluster, id);
        watcher.ask(format!("watch key k from {first}\r\n"), &format!("WATCHING {first}\r\n"));
        watcher.expect_changes(
            format!(
                "SET k {first} 0 1\r\n1\r\nEND {first}\r\n\
                 SET k {second} 0 1\r\n2\r\nEND {second}\r\n"
            )
            .as_bytes(),
        );
        let mut client = Raw::open(&cluster, id);
        for mode in ["leader", "any", "stale"] {
            client.ask(
                format!("mode {mode}\r\nget k at {first}\r\nget k at {second}\r\n"),
                "OK\r\nVALUE 1\r\n1\r\nVALUE 1\r\n2\r\n",
            );
            client.ask(format!("get k at {}\r\n", second + 1000), "ERR_FUTURE #\r\n");
        }
    }
}

#[test]
fn malformed_modes_are_told() {
    let server = Server::start();
    for line in ["mode", "mode follower", "mode any now", "mode any noreply"] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    server.check(
        "mode STALE\r\nset k 0 1\r\n1\r\nget k\r\nMODE leader\r\nget k\r\n",
        "OK\r\nOK 2\r\nVALUE 1\r\n1\r\nOK\r\nVALUE 1\r\n1\r\n",
    );
}

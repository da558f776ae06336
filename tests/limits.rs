//! Limits that are lowered while the cluster holds what was written under higher ones
//! (docs/operations.md).

mod common;

use common::clients::scan_all;
use common::{Cluster, code};

/// Settings under which the large values of these tests are written.
const HIGH: &str = "[raft]\nelection_timeout_ms = [1000, 2000]\n\
                    [limits]\nvalue_bytes_max = 3000000\n";

/// Settings with every limit below what was written under [`HIGH`], and frequent snapshots.
const LOW: &str = "[raft]\nelection_timeout_ms = [300, 600]\n\
                   [log]\nsegment_bytes = 70000\nkeep_entries = 10\n\
                   [snapshot]\nentries_max = 50\n\
                   [limits]\nvalue_bytes_max = 1000\nkey_bytes_max = 20\nline_bytes_max = 400\n\
                   append_bytes_max = 500\npeer_inflight_bytes_max = 2000\n\
                   inflight_bytes_max = 2000\nmemory_bytes = 18000000\n";

/// Three servers with the settings `HIGH`, of which one leads and has an entry of almost 3 MB
/// that no other server has. All are down. Returns the leader.
fn stopped_with_a_large_tail(cluster: &mut Cluster, value: &str) -> u64 {
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    loop {
        let leader = cluster.wait_for_leader();
        cluster.wait_for_quiet();
        let followers: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
        let mut connection = cluster.connect(leader).unwrap();
        let last = || cluster.status(leader).map(|s| s["last_log_index"].parse::<u64>().unwrap());
        let before = last();
        followers.iter().for_each(|id| cluster.signal(*id, "STOP"));
        let key = "k".repeat(200);
        let sets = format!("set {key} 0 1\r\nx\r\nset big 0 {}\r\n{value}\r\n", value.len());
        connection.send(&sets).unwrap();
        // Without its followers the leader steps down after a while. Then it is tried anew.
        let is_kept = cluster.wait_for("the leader to keep the entries, or to step down", || {
            let status = cluster.status(leader)?;
            let index = status["last_log_index"].parse::<u64>().ok();
            let has_both = index.zip(before).is_some_and(|(now, before)| now >= before + 2);
            (has_both || status["role"] != "leader").then_some(has_both)
        });
        if is_kept {
            // A stop makes everything durable that the log was given.
            cluster.terminate(leader);
            followers.iter().for_each(|id| cluster.kill(*id));
            return leader;
        }
        followers.iter().for_each(|id| cluster.signal(*id, "CONT"));
    }
}

/// Replaces the settings in the servers.toml, before the list of servers.
fn change_settings(cluster: &Cluster, old: &str, new: &str) {
    let text = std::fs::read_to_string(cluster.config()).unwrap();
    let servers = text.strip_prefix(old).unwrap();
    std::fs::write(cluster.config(), format!("{new}{servers}")).unwrap();
}

/// Entries, values and keys above limits that were lowered stay what they are: they are
/// replicated, committed, read, and are in snapshots and backups (docs/bugs.md C12).
#[test]
fn every_limit_can_be_lowered_under_a_tail_that_no_quorum_has() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", HIGH);
    let value = "v".repeat(2_999_999);
    let tail = stopped_with_a_large_tail(&mut cluster, &value);
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != tail).collect();

    // The server with the tail still has the high limits, its follower the low ones.
    cluster.start_server(tail);
    cluster.wait_for("the server to read its settings", || cluster.status(tail));
    change_settings(&cluster, HIGH, LOW);
    cluster.start_server(others[0]);
    let log_before = cluster.log(tail).len();
    assert_eq!(cluster.wait_for_leader(), tail, "only it has the whole log");
    cluster.wait_for_quiet();
    let committed = cluster.wait_for_quiet();
    assert!(committed.iter().all(|status| status["keys"] == "2"), "{committed:?}");
    assert!(!cluster.log(tail)[log_before..].contains("peer disconnected"));

    // Now all have the low limits, and the last one lacks the large entries.
    cluster.kill(tail);
    cluster.start_server(tail);
    cluster.start_server(others[1]);
    let leader = cluster.wait_for_leader();
    let lengths = cluster.ids().into_iter().map(|id| (id, cluster.log(id).len()));
    let lengths: Vec<(u64, usize)> = lengths.collect();
    let mut connection = cluster.connect(leader).unwrap();
    for n in 0..150 {
        let reply = connection.ask(&format!("set key{} 0 4\r\n{n:04}\r\n", n % 7)).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
    }
    let larger = format!("set more 0 1001\r\n{}\r\n", "v".repeat(1001));
    let refused = connection.ask(&larger).unwrap();
    assert!(refused.starts_with("ERR_TOO_LARGE"), "{refused}");
    assert_eq!(connection.ask("get big\r\n").unwrap(), format!("VALUE 2999999\r\n{value}\r\n"));
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
    assert!(statuses.iter().all(|s| s["keys"] == "9"));
    for (id, length) in lengths {
        let log = &cluster.log(id)[length..];
        assert!(!log.contains("peer disconnected"), "server {id}:\n{log}");
    }

    // The values are in a backup. It is the leader's second snapshot, so that the log begins
    // behind the first one then.
    cluster.wait_for("a snapshot", || {
        cluster.status(leader).filter(|status| status["snapshot_index"] != "0")
    });
    assert!(connection.ask("set key0 0 1\r\n0\r\n").unwrap().starts_with("OK "));
    let backup = cluster.config().with_file_name("backup");
    let saved = cluster.coracle(&["snapshot", "save", backup.to_str().unwrap()]);
    assert_eq!(code(&saved), 0, "{saved:?}");
    assert!(String::from_utf8_lossy(&saved.stdout).contains(" keys=9 "), "{saved:?}");
    let first = cluster.data_dir(leader).join("log/00000001.segment");
    cluster.wait_for("the beginning of the log to be removed", || (!first.exists()).then_some(()));

    // A server without anything gets them with a snapshot.
    let wiped = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.kill(wiped);
    std::fs::remove_dir_all(cluster.data_dir(wiped)).unwrap();
    cluster.start_server(wiped);
    cluster.wait_for_leader();
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
    assert!(cluster.log(wiped).contains("installs snapshot"));
    let scanned = scan_all(&cluster);
    assert!(scanned.iter().any(|item| item.key.len() == 200 && item.value == b"x"));
    assert!(scanned.iter().any(|item| item.key == b"big" && item.value == value.as_bytes()));
}

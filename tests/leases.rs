//! Real processes with leader leases: what a leader answers that was one a moment ago, and
//! servers that do not agree on the setting.

mod common;

use common::{Cluster, Connection};

const LEASES: &str = "[raft]\nelection_timeout_ms = [300, 600]\nleader_lease = true\n";

fn prepare() -> Cluster {
    Cluster::prepare_like(5, "127.0.0.1", LEASES)
}

fn start() -> Cluster {
    let mut cluster = prepare();
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster
}

fn set(value: u64) -> String {
    let value = value.to_string();
    format!("set key 0 {}\r\n{value}\r\n", value.len())
}

fn found(value: u64) -> String {
    let value = value.to_string();
    format!("VALUE {}\r\n{value}\r\n", value.len())
}

/// Asks one of these servers after the other until one gives such an answer: which it is, and
/// the connection. Whoever does not lead says so, and a leader may lose its place at any time.
fn ask(cluster: &Cluster, ids: &[u64], command: &str, answer: &str) -> (u64, Connection) {
    cluster.wait_for("an answer of a leader", || {
        ids.iter().find_map(|id| {
            let mut connection = cluster.connect(*id).ok()?;
            let reply = connection.ask(command).ok()?;
            assert!(reply.starts_with("ERR_") || reply.starts_with(answer), "{reply}");
            reply.starts_with(answer).then_some((*id, connection))
        })
    })
}

#[test]
fn reads_behind_a_change_of_leader_see_what_was_acknowledged() {
    let mut cluster = start();
    let all = cluster.ids();
    for value in 0..4 {
        cluster.wait_for_leader();
        let (leader, _) = ask(&cluster, &all, &set(value), "OK ");
        ask(&cluster, &all, "get key\r\n", &found(value));
        cluster.kill(leader);
        ask(&cluster, &all, "get key\r\n", &found(value));
        cluster.start_server(leader);
    }
}

/// A read that was sent to a leader that stands still, after another leader has acknowledged a
/// write, is the first thing that it sees when it goes on, before any tick.
#[test]
fn a_leader_that_stood_still_does_not_answer_from_its_old_lease() {
    let cluster = start();
    for value in 0..4 {
        cluster.wait_for_leader();
        let (leader, mut old) = ask(&cluster, &cluster.ids(), &set(2 * value), "OK ");
        cluster.signal(leader, "STOP");
        let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
        ask(&cluster, &others, &set(2 * value + 1), "OK ");
        old.send("get key\r\n").unwrap();
        cluster.signal(leader, "CONT");
        let reply = old.hear("get key\r\n").unwrap();
        // It may have been elected once more, but then it knows.
        assert!(reply.starts_with("ERR_") || reply == found(2 * value + 1), "{reply}");
    }
}

#[test]
fn a_server_that_promises_nothing_is_not_let_in() {
    let mut cluster = prepare();
    (1..=4).for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    let config = cluster.config();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("leader_lease = true", "leader_lease = false")).unwrap();
    cluster.start_server(5);
    cluster.wait_for("a word of what differs", || {
        let said = "[raft] leader_lease, and with it the least election_timeout_ms, must be the \
                    same on all servers";
        (1..=5).all(|id| cluster.log(id).contains(said)).then_some(())
    });
    assert_eq!(cluster.status(5).unwrap()["role"], "rejoining", "nobody has told it anything");
    ask(&cluster, &[1, 2, 3, 4], &set(1), "OK ");
}

//! Real processes with leader leases: the reads of a leader that has just been replaced, and
//! a server with a different setting.

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

/// Asks each of the servers `ids` in turn until a reply begins with `answer`; returns the
/// id of that server and the connection to it. Any server may refuse meanwhile, because it
/// does not lead, or no longer.
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
fn reads_after_a_change_of_leader_see_what_was_acknowledged() {
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

/// The leader's process is stopped, another leader acknowledges a write, and a read is sent
/// to the stopped one: when it goes on, it receives the read before any tick.
#[test]
fn a_stopped_leader_does_not_answer_from_its_old_lease() {
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
        // It may have been elected again; then it has the write.
        assert!(reply.starts_with("ERR_") || reply == found(2 * value + 1), "{reply}");
    }
}

#[test]
fn a_server_without_leases_is_refused_by_servers_with_leases() {
    let mut cluster = prepare();
    (1..=4).for_each(|id| cluster.start_server_with(id, &["--new-cluster"]));
    cluster.wait_for_leader();
    let config = cluster.config();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("leader_lease = true", "leader_lease = false")).unwrap();
    cluster.start_server(5);
    cluster.wait_for("the servers to say that they differ", || {
        let said = "[raft] leader_lease, and with it the least election_timeout_ms, must be the \
                    same on all servers";
        (1..=5).all(|id| cluster.log(id).contains(said)).then_some(())
    });
    assert_eq!(cluster.status(5).unwrap()["role"], "rejoining", "nobody has told it anything");
    ask(&cluster, &[1, 2, 3, 4], &set(1), "OK ");
}

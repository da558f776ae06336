//! Replies that depend on the leader: redirects, no leader, a leader without a quorum.

use super::raw::{Raw, assert_matches};
use crate::common::Cluster;

/// Elections are slower than by default, because tests run side by side on small machines.
const SETTINGS: &str = "[raft]\nelection_timeout_ms = [300, 600]\n[log]\nsegment_bytes = 4194304\n";

fn three(hostname: &str, settings: &str) -> Cluster {
    let mut cluster = Cluster::prepare_like(3, hostname, settings);
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    cluster
}

#[test]
fn a_follower_redirects_well_formed_commands_and_answers_malformed_ones_itself() {
    let cluster = three("127.0.0.1", SETTINGS);
    let leader = cluster.wait_for_leader();
    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(leader));
    let large = format!("set k 0 1048577\r\n{}\r\n", "v".repeat((1 << 20) + 1));
    for id in cluster.ids().into_iter().filter(|id| *id != leader) {
        let check = |input: &str, template: &str| {
            let got = Raw::open(&cluster, id).talk(input.as_bytes());
            assert_matches(&got, template.as_bytes());
        };
        for command in [
            "set k 0 1\r\n1\r\n",
            "add k 0 1\r\n1\r\n",
            "cas k 0 0 1\r\n1\r\n",
            "delete k\r\n",
            "get k\r\n",
            "getm k\r\n",
            "scan * 1\r\n",
            "once c 1 set k 0 1\r\n1\r\n",
            "once c 1 delete k\r\n",
            "set k 0 1 lease 7\r\n1\r\n",
            "grant 60\r\n",
            "renew 7\r\n",
            "revoke 7\r\n",
            "lease 7\r\n",
            "compact 1\r\n",
        ] {
            check(&format!("{command}ping\r\n"), &format!("{redirect}PONG\r\n"));
        }
        for commit in ["commit\r\n", "once c 1 commit\r\n"] {
            check(
                &format!("begin\r\nset k 0 1\r\n1\r\n{commit}ping\r\n"),
                &format!("OK\r\nQUEUED\r\n{redirect}PONG\r\n"),
            );
        }
        for (command, error) in [
            ("get\r\n", "ERR_CMD_ERR~\r\n"),
            ("set k x 1\r\n1\r\n", "ERR_CMD_ERR~\r\n"),
            ("set k 0 1 noreply\r\n12\r\n", "ERR_CMD_ERR~\r\n"),
            ("delete k k noreply\r\n", "ERR_CMD_ERR~\r\n"),
            (&large, "ERR_TOO_LARGE~\r\n"),
        ] {
            check(&format!("{command}ping\r\n"), &format!("{error}PONG\r\n"));
        }
        // A well-formed command with noreply is dropped.
        check(
            "set k 0 1 noreply\r\n1\r\ndelete k noreply\r\n\
             once c 1 add k 0 1 noreply\r\n1\r\nset k 0 1 lease 7 noreply\r\n1\r\nping\n",
            "PONG\r\n",
        );
        check("help x\r\nquit\r\nping\r\n", "ERR_CMD_ERR~\r\n");
        let status = String::from_utf8(Raw::open(&cluster, id).talk(b"status\r\n")).unwrap();
        assert!(status.starts_with(&format!("id {id}\r\nrole follower\r\n")), "{status}");
        assert!(status.contains(&format!("\r\nleader {leader}\r\n")), "{status}");
        assert!(Raw::open(&cluster, id).talk(b"help\r\n").ends_with(b"\r\nEND\r\n"));
    }
    // None of these commands was executed, and no number was used.
    let got = Raw::open(&cluster, leader).talk(b"get k\r\nonce c 1 set k 0 1\r\n1\r\n");
    assert_matches(&got, b"ERR_NOT_FOUND\r\nOK #\r\n");
}

#[test]
fn an_ipv6_address_is_redirected_to_in_brackets() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        eprintln!("not tested: this machine has no IPv6: {error}");
        return;
    }
    let cluster = three("::1", SETTINGS);
    let leader = cluster.wait_for_leader();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let port = cluster.client_port(leader);
    let reply = Raw::open(&cluster, follower).talk(b"get k\r\n");
    assert_matches(&reply, format!("ERR_REDIRECT [::1]:{port}\r\n").as_bytes());
    let address = std::str::from_utf8(&reply).unwrap().trim_end();
    let address = address.strip_prefix("ERR_REDIRECT ").unwrap();
    let mut client = crate::common::Connection::open(address).unwrap();
    assert_eq!(client.ask("get k\r\n").unwrap(), "ERR_NOT_FOUND\r\n");
}

/// In other modes, too, a server does not write or read as of now without a leader. It has what it
/// has applied: `k`, which was written at this revision.
fn serves_what_is_applied(cluster: &Cluster, survivor: u64, revision: u64) {
    let mut client = Raw::open(cluster, survivor);
    // Nobody is there to ask or to forward to.
    client.ask("mode any\r\n", "OK\r\n");
    cluster.wait_for("the hope for a leader to be given up", || {
        client.send("get k\r\n");
        (client.line() == "ERR_NO_LEADER\r\n").then_some(())
    });
    for command in ["set k 0 1\r\n2\r\n", "renew 7\r\n", "begin\r\ncommit\r\n"] {
        let begun = if command.starts_with("begin") { "OK\r\n" } else { "" };
        client.ask(command, &format!("{begun}ERR_NO_LEADER\r\n"));
    }
    // The past, and what is applied, need nobody else.
    client.ask(
        format!("get k at {revision}\r\nmode stale\r\nget k\r\n"),
        "VALUE 1\r\n1\r\nOK\r\nVALUE 1\r\n1\r\n",
    );
    let mut watcher = Raw::open(cluster, survivor);
    watcher.ask(format!("watch key k from {revision}\r\n"), &format!("WATCHING {revision}\r\n"));
    let change = format!("SET k {revision} 0 1\r\n1\r\nEND {revision}\r\n");
    watcher.expect_changes(change.as_bytes());
}

#[test]
fn without_a_majority_there_is_no_leader_and_a_server_says_so() {
    let mut cluster = three("127.0.0.1", SETTINGS);
    let leader = cluster.wait_for_leader();
    cluster.wait_until_named();
    let revision = Raw::open(&cluster, leader).ask("set k 0 1\r\n1\r\n", "OK #\r\n")[0];
    let survivor = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut client = Raw::open(&cluster, survivor);
    cluster.wait_for("the write to be applied", || {
        client.send(format!("get k at {revision}\r\n"));
        (client.line() == "VALUE 1\r\n").then(|| client.line())
    });
    for id in cluster.ids().into_iter().filter(|id| *id != survivor) {
        cluster.kill(id);
    }
    cluster.wait_for("the leader to be missed", || {
        client.send("get k\r\n");
        (client.line() == "ERR_NO_LEADER\r\n").then_some(())
    });
    for command in [
        "set k 0 1\r\n2\r\n",
        "add k 0 1\r\n2\r\n",
        "cas k 0 0 1\r\n2\r\n",
        "delete k\r\n",
        "get k\r\n",
        "getm k\r\n",
        "scan * 1\r\n",
        "once c 1 delete k\r\n",
        "set k 0 1 lease 7\r\n2\r\n",
        "grant 60\r\n",
        "renew 7\r\n",
        "revoke 7\r\n",
        "lease 7\r\n",
        "compact 1\r\n",
    ] {
        client.ask(command, "ERR_NO_LEADER\r\n");
    }
    for writes in ["", "get k\r\n", "set k 0 1\r\n2\r\n"] {
        let queued = if writes.is_empty() { "" } else { "QUEUED\r\n" };
        client.ask(
            format!("begin\r\n{writes}commit\r\n"),
            &format!("OK\r\n{queued}ERR_NO_LEADER\r\n"),
        );
    }
    serves_what_is_applied(&cluster, survivor, revision);
    client.ask("set k 0 1 noreply\r\n2\r\nping\r\n", "PONG\r\n");
    client.ask("get\r\n", "ERR_CMD_ERR~\r\n");
    let status = cluster.status(survivor).unwrap();
    assert_eq!(status["leader"], "none");
    assert_ne!(status["role"], "leader");
    client.send("help\r\n");
    while client.line() != "END\r\n" {}

    for id in cluster.ids().into_iter().filter(|id| *id != survivor) {
        cluster.start_server(id);
    }
    let leader = cluster.wait_for_leader();
    let mut client = Raw::open(&cluster, leader);
    client.ask("get k\r\nonce c 1 delete k\r\n", "VALUE 1\r\n1\r\nDELETED\r\n");
}

#[test]
fn a_once_command_is_executed_once_over_a_change_of_leader_and_a_restart_of_all() {
    let mut cluster = three("127.0.0.1", SETTINGS);
    let first = cluster.wait_for_leader();
    let mut client = Raw::open(&cluster, first);
    let version = client.ask("once c 3 set k 0 3\r\none\r\n", "OK #\r\n")[0];
    client.ask("once gone 9 delete absent\r\n", "ERR_NOT_FOUND\r\n");
    client.ask("once late 1 cas k 0 0 1\r\n2\r\n", &format!("ERR_VERSION {version}\r\n"));
    client.ask("once here 1 add k 0 1\r\n2\r\n", &format!("ERR_EXISTS {version}\r\n"));
    client.ask("set absent 0 1\r\n1\r\n", "OK #\r\n");
    let check_retries = |cluster: &Cluster| {
        let leader = cluster.wait_for_leader();
        Raw::open(cluster, leader).ask(
            "once c 3 set k 0 3\r\ntwo\r\nonce c 2 delete k\r\nonce gone 9 delete absent\r\n\
             once late 1 cas k 0 0 1\r\n2\r\nonce here 1 delete k\r\nget k\r\nget absent\r\n",
            &format!(
                "OK {version}\r\nERR_STALE\r\nERR_NOT_FOUND\r\nERR_VERSION {version}\r\n\
                 ERR_EXISTS {version}\r\nVALUE 3\r\none\r\nVALUE 1\r\n1\r\n"
            ),
        );
        leader
    };
    cluster.kill(first);
    let second = check_retries(&cluster);
    assert_ne!(second, first);
    cluster.start_server(first);
    for id in cluster.ids() {
        cluster.kill(id);
    }
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    check_retries(&cluster);
}

/// The leader waits long for silent followers, and only a short time for its clients'
/// commands: in between it leads and cannot commit.
const STUCK: &str = "[raft]\nelection_timeout_ms = [2000, 2500]\nheartbeat_interval_ms = 100\n\
                     [log]\nsegment_bytes = 4194304\n\
                     [limits]\nrequest_timeout_ms = 500\ninflight_commands_max = 8\n\
                     proposals_pending_max = 8\n";

/// Stops the followers, lets `attempt` talk to the leader, and lets the followers go on.
/// Attempts again when the leader gave up before `attempt` was done, which happens on a
/// slow machine.
fn with_stopped_followers(cluster: &Cluster, mut attempt: impl FnMut(u64) -> Option<()>) {
    cluster.wait_for("a leader that keeps leading meanwhile", || {
        let leader = cluster.wait_for_leader();
        let followers = || cluster.ids().into_iter().filter(|id| *id != leader);
        followers().for_each(|id| cluster.signal(id, "STOP"));
        let done = attempt(leader);
        followers().for_each(|id| cluster.signal(id, "CONT"));
        done
    });
}

#[test]
fn a_leader_without_its_quorum_answers_err_timeout_in_time() {
    let cluster = three("127.0.0.1", STUCK);
    cluster.wait_for_leader();
    cluster.wait_until_named();
    with_stopped_followers(&cluster, |leader| {
        let mut client = Raw::open(&cluster, leader);
        client.send("set k 0 5\r\nmaybe\r\nset k 0 1 noreply\r\n2\r\nping\r\n");
        client.send("begin\r\nset k 0 5\r\nmaybe\r\ncommit\r\ngrant 60\r\nget k\r\nquit\r\n");
        let got = String::from_utf8(client.rest()).unwrap();
        // If the leader had given up first, the get would have another reply.
        (got == "ERR_TIMEOUT\r\nPONG\r\nOK\r\nQUEUED\r\nERR_TIMEOUT\r\nERR_TIMEOUT\r\n\
                 ERR_TIMEOUT\r\n")
            .then_some(())
    });
    // The write may yet be executed, and the cluster goes on.
    let leader = cluster.wait_for_leader();
    let mut client = Raw::open(&cluster, leader);
    client.ask("set k 0 4\r\ndone\r\nget k\r\n", "OK #\r\nVALUE 4\r\ndone\r\n");
}

#[test]
fn a_leader_with_too_many_pending_writes_refuses_other_clients() {
    let cluster = three("127.0.0.1", STUCK);
    let mut waiting = None;
    with_stopped_followers(&cluster, |leader| {
        // One connection takes twice as many places as there are: it is slowed, not refused.
        let mut greedy = Raw::open(&cluster, leader);
        greedy.send("set greedy 0 1\r\n1\r\n".repeat(16));
        let mut other = Raw::open(&cluster, leader);
        let mut replies = Vec::new();
        while replies.last().is_none_or(|reply| reply != "ERR_BUSY\r\n") {
            // A malformed command gets its own error first, and a command that needs no
            // leader is served.
            other.ask("ping\r\nget\r\n", "PONG\r\nERR_CMD_ERR~\r\n");
            other.send("once c 1 set other 0 1\r\n1\r\n");
            replies.push(other.line());
            if replies.len() > 10 || replies.last().unwrap().starts_with("ERR_NO_LEADER") {
                return None;
            }
        }
        other.ask("set other 0 1 noreply\r\n1\r\nping\r\n", "PONG\r\n");
        for _ in 0..8 {
            let reply = greedy.line();
            if reply == "ERR_NO_LEADER\r\n" {
                return None;
            }
            assert_eq!(reply, "ERR_TIMEOUT\r\n");
        }
        // The writes may yet be executed: until then other clients are refused, and the
        // rest of the greedy client's commands is not read.
        other.send("set other 0 1\r\n1\r\n");
        let reply = other.line();
        if reply.starts_with("ERR_NO_LEADER") {
            return None;
        }
        assert_eq!(reply, "ERR_BUSY\r\n");
        waiting = Some(greedy);
        Some(())
    });
    // The followers are back, or another server leads.
    let mut greedy = waiting.unwrap();
    for _ in 0..8 {
        let reply = greedy.line();
        assert!(!reply.is_empty() && reply != "ERR_BUSY\r\n", "{reply:?}");
    }
    let leader = cluster.wait_for_leader();
    let mut client = Raw::open(&cluster, leader);
    client.ask("set other 0 1\r\n2\r\nget other\r\n", "OK #\r\nVALUE 1\r\n2\r\n");
}

#[test]
fn a_leader_that_steps_down_answers_waiting_commands_and_then_knows_no_leader() {
    let cluster = three("127.0.0.1", SETTINGS);
    let leader = cluster.wait_for_leader();
    for id in cluster.ids().into_iter().filter(|id| *id != leader) {
        cluster.signal(id, "STOP");
    }
    let mut client = Raw::open(&cluster, leader);
    let mut replies = Vec::new();
    cluster.wait_for("the leader to give up", || {
        client.send("set k 0 1\r\n1\r\n");
        replies.push(client.line());
        (replies.last().unwrap() == "ERR_NO_LEADER\r\n").then_some(())
    });
    replies.pop();
    // No write is acknowledged, and none is refused before the leadership ends.
    assert!(replies.iter().all(|reply| reply == "ERR_TIMEOUT\r\n"), "{replies:?}");
    client.ask("get k\r\n", "ERR_NO_LEADER\r\n");
}

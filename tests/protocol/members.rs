//! The members and the leadership, line by line.

use super::raw::{Raw, Server, assert_matches};
use crate::common::Cluster;

/// A server that takes the newest format at once.
fn alone() -> Server {
    Server::with("[upgrade]\nraise_after_s = 0\n")
}

/// Waits until the members can change, and returns the connection.
fn with_members(cluster: &Cluster, id: u64) -> Raw {
    cluster.wait_for("the log to have the addresses of the members", || {
        let mut client = Raw::open(cluster, id);
        client.send("member list\r\n");
        let list = lines(&mut client);
        let facts: Vec<&str> = list[0].trim_end().split(' ').collect();
        let [.., format, _, index, "yes"] = facts[..] else { return None };
        let has_addresses = format.parse::<u64>().ok()? >= 3 && index != "0";
        client.send("member remove 99\r\n");
        let is_ready = client.line().starts_with("ERR_REFUSED server 99 ");
        (has_addresses && is_ready).then_some(client)
    })
}

/// Reads lines up to `END`, which is not one of them.
fn lines(client: &mut Raw) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match client.line() {
            end if end == "END\r\n" => return lines,
            line => lines.push(line),
        }
    }
}

#[track_caller]
fn list(client: &mut Raw, template: &[&str]) -> Vec<u64> {
    client.send("member list\r\n");
    let got = lines(client);
    let template: Vec<String> = template.iter().map(|line| format!("{line}\r\n")).collect();
    assert_matches(got.concat().as_bytes(), template.concat().as_bytes())
}

/// Reports.md of etcd #7134: one server, `member add` with a typo, and nothing works any more.
#[test]
fn a_server_that_never_comes_holds_up_nothing_and_is_taken_back() {
    let server = alone();
    let cluster = &server.cluster;
    let mut client = with_members(cluster, 1);
    let (log, address) = (cluster.log_address(1), cluster.address(1));
    let head = "MEMBERS 1 1 1 0 4 leader # yes";
    let own = format!("MEMBER 1 voter leader {log} {address} formats=1..4 version=~");
    list(&mut client, &[head, &own]);

    client.ask(
        "member add 192.0.2.7:9001 192.0.2.7:9000 dry-run\r\n",
        "PLAN voters=1,2 needed=1,2 here=1,2 can_lose=0,0\r\n",
    );
    list(&mut client, &[head, &own]);
    let [number, id] =
        client.ask("member add 192.0.2.7:9001 192.0.2.7:9000 id 7\r\n", "CHANGE # #\r\n")[..]
    else {
        panic!("there are two numbers")
    };
    assert_eq!(id, 7);
    let new = "MEMBER 7 learner unseen 192.0.2.7:9001 192.0.2.7:9000 behind=#";
    let change = format!("CHANGE {number} # add 7 as a voter; waits for: ~");
    list(&mut client, &[head, &own, new, &change]);
    client.ask("set k 0 1\r\n1\r\nget k\r\n", "OK #\r\nVALUE 1\r\n1\r\n");
    client.ask(
        "member add 192.0.2.7:9001 192.0.2.7:9000 id 7\r\n",
        &format!("CHANGE {number} 7\r\n"),
    );
    for busy in ["member add 192.0.2.8:9001 192.0.2.8:9000\r\n", "member remove 7\r\n"] {
        client.ask(
            busy,
            &format!("ERR_REFUSED change {number} (add 7 as a voter) is under way~\r\n"),
        );
    }
    client.ask(format!("member cancel {number}\r\n"), &format!("CHANGE {number} 7\r\n"));
    client.ask(format!("member wait {number}\r\n"), &format!("ENDED {number} cancelled\r\n"));
    let ended = format!("ENDED {number} cancelled add 7 as a voter");
    list(&mut client, &[head, &own, &ended, "REMOVED 7 #"]);
    client.ask(
        "member add 192.0.2.7:9001 192.0.2.7:9000 id 7\r\n",
        "ERR_REFUSED server 7 was removed by ~\r\n",
    );
    client.ask("member wait 999999\r\n", "ERR_NOT_FOUND\r\n");
}

#[test]
fn what_is_not_safe_is_refused_with_a_sentence_and_what_is_so_already_is_not_done_again() {
    let server = alone();
    let mut client = with_members(&server.cluster, 1);
    let own = format!("{} {}", server.cluster.log_address(1), server.cluster.address(1));
    for (command, reply) in [
        ("member remove 1\r\n".to_owned(), "ERR_REFUSED it is the only voter~\r\n"),
        ("member demote 1\r\n".to_owned(), "ERR_REFUSED it is the only voter~\r\n"),
        ("member remove 9\r\n".to_owned(), "ERR_REFUSED server 9 ~\r\n"),
        ("member promote 1\r\n".to_owned(), "ALREADY\r\n"),
        (format!("member add {own} id 1\r\n"), "ALREADY\r\n"),
        (format!("member add {own}\r\n"), "ALREADY\r\n"),
        ("member update 1 log 192.0.2.7:9001\r\n".to_owned(), "ERR_REFUSED server 1 ~\r\n"),
        ("member cancel 1\r\n".to_owned(), "ERR_REFUSED ~\r\n"),
        ("leader transfer to 1\r\n".to_owned(), "ALREADY\r\n"),
        ("leader transfer to 9\r\n".to_owned(), "ERR_REFUSED ~\r\n"),
        ("leader transfer\r\n".to_owned(), "ERR_REFUSED ~\r\n"),
        ("leader transfer avoid 9\r\n".to_owned(), "ERR_REFUSED ~\r\n"),
    ] {
        client.send(&command);
        let got = client.line();
        assert_matches(
            format!("{command}{got}").as_bytes(),
            format!("{command}{reply}").as_bytes(),
        );
    }
    let number = client.ask("member add 192.0.2.7:1 192.0.2.7:2 learner\r\n", "CHANGE # 2\r\n")[0];
    client.ask(format!("member wait {number}\r\n"), &format!("ENDED {number} done\r\n"));
    client.ask("member add 192.0.2.7:1 192.0.2.7:2 learner\r\n", "ALREADY\r\n");
    client.ask("member demote 2\r\n", "ALREADY\r\n");
    let number = client.ask("member update 2 client 192.0.2.7:3\r\n", "CHANGE # 2\r\n")[0];
    client.ask("member update 2 client 192.0.2.7:3\r\n", "ALREADY\r\n");
    let head = "MEMBERS 1 1 1 0 4 leader # yes";
    let ended = format!("ENDED {number} done update 2");
    let learner = "MEMBER 2 learner unseen 192.0.2.7:1 192.0.2.7:3 behind=#";
    list(&mut client, &[head, "MEMBER 1 ~", learner, "ENDED # done add 2 as a learner", &ended]);
    let number = client.ask("member promote 2\r\n", "CHANGE # 2\r\n")[0];
    client.ask(format!("member cancel {number}\r\n"), &format!("CHANGE {number} 2\r\n"));
    let number = client.ask("member remove 2\r\n", "CHANGE # 2\r\n")[0];
    client.ask(format!("member wait {number}\r\n"), &format!("ENDED {number} done\r\n"));
    client.ask("member remove 2\r\n", "ALREADY\r\n");
}

#[test]
fn a_server_that_is_drained_says_so_and_serves() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(server.status()["draining"], "no");
    assert_eq!(server.status()["removed_at"], "none");
    client.send("drain\r\n");
    let drained = client.line();
    assert_eq!(server.status()["draining"], "yes", "{drained}");
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    client.ask("undrain\r\n", "OK\r\n");
    assert_eq!(server.status()["draining"], "no");
}

/// As five servers, of which one leaves and comes back under another id.
const SETTINGS: &str = "[raft]\nelection_timeout_ms = [300, 600]\n[upgrade]\nraise_after_s = 0\n\
                        [log]\nsegment_bytes = 4194304\n[limits]\nrequest_timeout_ms = 1000\n";

fn five() -> (Cluster, u64) {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", SETTINGS);
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    let leader = cluster.wait_for_leader();
    with_members(&cluster, leader);
    cluster.wait_for_highest_format();
    (cluster, leader)
}

#[test]
fn five_servers_list_each_other_and_a_follower_leaves_the_changes_to_the_leader() {
    let (cluster, leader) = five();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut client = Raw::open(&cluster, leader);
    let member = |id: u64, state: &str| {
        let (log, address) = (cluster.log_address(id), cluster.address(id));
        format!("MEMBER {id} voter {state} {log} {address}")
    };
    let seen = |id: u64| match id == leader {
        true => format!("{} formats=1..4 version=~", member(id, "leader")),
        false => {
            let facts = "seen_ms=# behind=# formats=1..4 version=~";
            format!("{} {facts}", member(id, "follower"))
        }
    };
    let mut template = vec!["MEMBERS 5 3 5 2 4 leader # yes".to_owned()];
    template.extend(cluster.ids().into_iter().map(seen));
    list(&mut client, &template.iter().map(|line| &line[..]).collect::<Vec<_>>());

    let mut other = Raw::open(&cluster, follower);
    cluster.wait_for("the follower to hear of the commit", || {
        other.send("member list\r\n");
        lines(&mut other)[0].ends_with(" yes\r\n").then_some(())
    });
    let known = |id: u64| match id {
        id if id == leader => member(id, "leader"),
        id if id == follower => format!("{} formats=1..4 version=~", member(id, "follower")),
        id => member(id, "unknown"),
    };
    let mut template = vec![format!("MEMBERS 5 3 unknown unknown 4 {follower} # yes")];
    template.extend(cluster.ids().into_iter().map(known));
    list(&mut other, &template.iter().map(|line| &line[..]).collect::<Vec<_>>());

    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(leader));
    for command in [
        "member add 192.0.2.7:1 192.0.2.7:2",
        "member remove 3",
        "member replace 3 192.0.2.7:1 192.0.2.7:2 dry-run",
        "member promote 3",
        "member demote 3",
        "member update 3 log 192.0.2.7:1",
        "member cancel 17",
        "leader transfer",
        "leader transfer to 3",
    ] {
        other.ask(format!("{command}\r\n"), &redirect);
    }
}

#[test]
fn a_change_of_five_servers_is_waited_for_at_any_of_them_and_a_removed_server_says_so() {
    let (cluster, leader) = five();
    let mut ids = cluster.ids().into_iter().filter(|id| *id != leader);
    let (leaver, follower) = (ids.next().unwrap(), ids.next().unwrap());
    let mut client = Raw::open(&cluster, leader);
    client.ask(
        format!("member remove {leaver} dry-run\r\n"),
        "PLAN voters=5,4 needed=3,3 here=5,4 can_lose=2,1\r\n",
    );
    client.ask(format!("member remove {leaver} can-lose 2\r\n"), "ERR_REFUSED the voters ~\r\n");
    let number =
        client.ask(format!("member remove {leaver}\r\n"), &format!("CHANGE # {leaver}\r\n"))[0];
    let ended = format!("ENDED {number} done\r\n");
    Raw::open(&cluster, follower).ask(format!("member wait {number}\r\n"), &ended);
    client.ask(format!("member wait {number}\r\n"), &ended);
    client.ask(format!("member remove {leaver}\r\n"), "ALREADY\r\n");
    client.send("member list\r\n");
    let list = lines(&mut client).concat();
    assert!(list.starts_with("MEMBERS 4 3 4 1 4 leader "), "{list}");
    assert!(list.contains(&format!("\r\nREMOVED {leaver} ")), "{list}");
    cluster.wait_for("the removed server to know", || {
        let status = cluster.status(leaver)?;
        (status["role"] == "removed" && status["removed_at"] != "none").then_some(())
    });
    // It leads no client astray, and answers what it can.
    let mut removed = Raw::open(&cluster, leaver);
    removed.ask("ping\r\n", "PONG\r\n");
    removed.send("get k\r\n");
    let reply = removed.line();
    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(leader));
    assert!(reply == "ERR_NO_LEADER\r\n" || reply == redirect, "{reply}");

    let learner = follower;
    let number =
        client.ask(format!("member demote {learner}\r\n"), &format!("CHANGE # {learner}\r\n"))[0];
    client.ask(format!("member wait {number}\r\n"), &format!("ENDED {number} done\r\n"));
    cluster.wait_for("the learner to know", || {
        (cluster.status(learner)?["role"] == "learner").then_some(())
    });
    Raw::open(&cluster, learner).ask("get k\r\n", &redirect);
    let number =
        client.ask(format!("member promote {learner}\r\n"), &format!("CHANGE # {learner}\r\n"))[0];
    client.ask(format!("member wait {number}\r\n"), &format!("ENDED {number} done\r\n"));
}

#[test]
fn the_leadership_goes_where_it_is_asked_to() {
    let (cluster, leader) = five();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut client = Raw::open(&cluster, leader);
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    client.ask(format!("leader transfer to {other}\r\n"), &format!("LEADER {other} #\r\n"));
    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(other));
    client.ask("get k\r\n", &redirect);
    let mut client = Raw::open(&cluster, other);
    cluster.wait_for("the new leader to have committed", || {
        client.send(format!("leader transfer to {leader}\r\n"));
        client.line().starts_with(&format!("LEADER {leader} ")).then_some(())
    });
    let mut client = Raw::open(&cluster, leader);
    client.ask(format!("leader transfer to {leader}\r\n"), "ALREADY\r\n");
    let command = format!("leader transfer avoid {other}\r\n");
    let third = cluster.wait_for("the best of the others to lead", || {
        client.send(&command);
        let line = client.line();
        let id = line.strip_prefix("LEADER ")?.split(' ').next()?;
        Some(id.parse::<u64>().expect("it is a number"))
    });
    assert!(third != leader && third != other, "{third}");
    Raw::open(&cluster, third).ask("drain\r\n", "OK\r\n");
    cluster.wait_for("another leader", || (cluster.wait_for_leader() != third).then_some(()));
    let mut client = Raw::open(&cluster, cluster.wait_for_leader());
    client.ask(format!("leader transfer to {third}\r\n"), "ERR_REFUSED ~\r\n");
    assert_eq!(cluster.status(third).unwrap()["draining"], "yes");
}

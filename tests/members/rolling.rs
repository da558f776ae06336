//! Planned stops: of a leader, of a follower, and of all servers one after the other.

use crate::common::Cluster;
use crate::common::clients::{Counter, Writer};
use crate::common::members::CALM;

fn term(cluster: &Cluster, id: u64) -> u64 {
    cluster.value(id, "term").parse().unwrap()
}

/// Rows B6 and B8: a rolling restart changes the leader once, and no command fails.
#[test]
fn a_rolling_restart_costs_one_term_and_no_command() {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let writer = Writer::start(cluster.addresses());
    let counter = Counter::start(cluster.addresses());
    let first = cluster.wait_for_leader();
    let before = term(&cluster, first);
    let mut order: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != first).collect();
    order.push(first);
    for id in &order {
        assert!(cluster.terminate(*id).success(), "server {id}");
        writer.wait_for_more(&cluster, 20);
        cluster.start_server(*id);
        cluster.wait_for_leader();
        counter.wait_for_more(&cluster, 5);
    }
    let last = cluster.wait_for_leader();
    assert_eq!(term(&cluster, last), before + 1, "there was more than one change of leader");
    assert_ne!(last, first);
    counter.stop();
    assert!(!writer.stop().is_empty());
    cluster.assert_equal_stores(&cluster.ids());
}

/// Row B6: SIGTERM at a leader hands over; the next leader was elected without a timeout.
#[test]
fn a_leader_that_is_terminated_hands_over_to_a_server_that_was_restarted_before() {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let before = term(&cluster, leader);
    let restarted = leader % 5 + 1;
    assert!(cluster.terminate(restarted).success());
    cluster.start_server(restarted);
    cluster.wait_for_leader();
    cluster.wait_for_quiet();
    assert!(cluster.terminate(leader).success());
    let rest = cluster.running();
    assert_eq!(cluster.wait_for_leader_of(&rest), restarted);
    assert_eq!(term(&cluster, restarted), before + 1);

    // A server that is drained is nobody's choice, and still votes.
    cluster.start_server(leader);
    cluster.wait_for_leader();
    let drained = restarted % 5 + 1;
    assert_eq!(cluster.say(drained, "drain"), "OK");
    cluster.wait_for("the drain to be known", || {
        let list = cluster.members(restarted)?;
        (list.members[&drained].is == "draining").then_some(())
    });
    let refused = cluster.say(restarted, &format!("leader transfer to {drained}"));
    assert!(refused.starts_with("ERR_REFUSED "), "{refused}");
    assert_eq!(cluster.say(drained, "undrain"), "OK");
    cluster.wait_for("the end of the drain to be known", || {
        let list = cluster.members(restarted)?;
        (list.members[&drained].is == "follower").then_some(())
    });
    // It introduces itself anew to all, and a vote that it asks for meanwhile is lost.
    for peer in cluster.running().into_iter().filter(|id| *id != drained) {
        cluster.wait_for("its connections", || {
            let log = cluster.log(drained);
            let tells = ["peer connected ", "peer disconnected ", "did not connect to peer "];
            let keys = format!(" peer={peer} ");
            let is_told = |line: &str| tells.iter().any(|words| line.contains(words));
            let last = log.lines().rfind(|line| is_told(line) && line.contains(&keys))?;
            last.contains(tells[0]).then_some(())
        });
    }
    let reply = cluster.say(restarted, &format!("leader transfer to {drained}"));
    assert!(reply.starts_with(&format!("LEADER {drained} ")), "{reply}");
}

/// Row B7: the restart of a follower moves nobody.
#[test]
fn restarts_of_followers_by_any_means_change_neither_leader_nor_term() {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let before = term(&cluster, leader);
    let followers: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
    for (id, is_killed) in followers.iter().flat_map(|id| [(*id, false), (*id, true)]) {
        if is_killed {
            cluster.kill(id);
        } else {
            assert!(cluster.terminate(id).success());
        }
        cluster.start_server(id);
        assert_eq!(cluster.wait_for_leader(), leader, "after a restart of {id}");
    }
    assert_eq!(term(&cluster, leader), before);
}

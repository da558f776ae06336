//! Removed servers, and leaders that are removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::clients::{Writer, block_on, connect, scan_all};
use crate::common::members::{BRISK, CALM};
use crate::common::{Cluster, serve_to_its_end};
use crate::members::strangers::assert_never_leads;

/// Row A1: a server that was removed while it was cut off comes back with whatever it has become.
#[test]
fn a_server_that_was_removed_while_cut_off_learns_it_and_disturbs_nobody() {
    let mut cluster = Cluster::prepare_behind_gates(5, CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let away = leader % 5 + 1;
    cluster.isolate(&[away]);
    cluster.wait_for("the server to miss its leader", || {
        cluster.status(away).filter(|status| status["leader"] == "none")
    });
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != away).collect();
    cluster.change(&format!("member remove {away}"));
    let term = cluster.value(leader, "term");
    let addresses = others.iter().map(|id| cluster.address(*id)).collect();
    let writer = Writer::start(addresses);
    writer.wait_for_more(&cluster, 20);
    cluster.gates().heal();
    let status = cluster.wait_for_role(away, "removed");
    writer.wait_for_more(&cluster, 100);
    assert!(!writer.stop().is_empty());
    let list = cluster.wait_for_equal_lists(&others);
    assert_eq!(status["removed_at"], list.removed[&away].to_string());
    assert_eq!(cluster.wait_for_leader_of(&others), leader);
    assert_eq!(cluster.value(leader, "term"), term);
}

/// Row A3: a leader that is removed is killed at some moment of its removal, and comes back.
#[test]
fn a_leader_that_dies_in_its_own_removal_is_a_member_or_none_and_never_both() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let mut members = cluster.ids();
    for delay_ms in [0, 15, 60] {
        let leader = cluster.wait_for_leader_of(&members);
        let asked = cluster.say_aside(leader, &format!("member remove {leader} can-lose 0"));
        sleep(Duration::from_millis(delay_ms));
        cluster.kill(leader);
        let _ = asked.join();
        cluster.start_server(leader);
        let others: Vec<u64> = members.iter().copied().filter(|id| *id != leader).collect();
        let list = cluster.wait_for_equal_lists(&others);
        if list.members.contains_key(&leader) {
            cluster.wait_for_leader_of(&members);
            assert_eq!(list.voters(), members, "after {delay_ms} ms");
        } else {
            cluster.wait_for_leader_of(&others);
            assert_eq!(list.voters(), others, "after {delay_ms} ms");
            cluster.wait_for_role(leader, "removed");
            members = others;
        }
        block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    }
}

/// Row A4: each leader in turn is removed and killed as soon as that is said to be done.
#[test]
fn a_cluster_that_shrinks_to_one_by_removing_its_leaders_goes_on_when_they_are_gone() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let mut members = cluster.ids();
    while members.len() > 1 {
        let leader = cluster.wait_for_leader_of(&members);
        cluster.change(&format!("member remove {leader} can-lose 0"));
        cluster.kill(leader);
        members.retain(|id| *id != leader);
        let key = format!("key{leader}");
        block_on(async { connect(&cluster).await.set(&key, 0, b"value").await.unwrap() });
        assert_eq!(cluster.wait_for_equal_lists(&members).voters(), members);
    }
    assert_eq!(scan_all(&cluster).len(), 4);
    let last = cluster.wait_for_leader_of(&members);
    let refused = cluster.say(last, &format!("member remove {last} can-lose 0"));
    assert!(refused.starts_with("ERR_REFUSED "), "{refused}");
}

/// The leader hands over, so no write waits for an election timeout.
#[test]
fn writes_go_on_while_a_leader_removes_itself() {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let is_done = AtomicBool::new(false);
    let write_on = |writer: usize| {
        let mut longest = Duration::ZERO;
        block_on(async {
            let mut client = connect(&cluster).await;
            while !is_done.load(Ordering::Relaxed) {
                let start = Instant::now();
                client.set(&format!("key{writer}"), 0, b"value").await.unwrap();
                longest = longest.max(start.elapsed());
            }
        });
        longest
    };
    let write_on = &write_on;
    let longest = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write_on(writer))).collect();
        cluster.change(&format!("member remove {leader}"));
        cluster.wait_for_role(leader, "removed");
        sleep(Duration::from_millis(500));
        is_done.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).max().unwrap()
    });
    assert!(longest < Duration::from_millis(1000), "a write took {longest:?}");
}

/// Row A5: a leader that is alone does not count itself in the quorum of its own removal.
#[test]
fn a_leader_that_is_cut_off_acknowledges_neither_its_own_removal_nor_writes() {
    let settings = format!("{BRISK}[limits]\nrequest_timeout_ms = 2000\n");
    let mut cluster = Cluster::prepare_behind_gates(5, &settings);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
    let mut remover = cluster.connect(leader).unwrap();
    let mut writer = cluster.connect(leader).unwrap();
    cluster.isolate(&[leader]);
    let remove = format!("member remove {leader}\r\n");
    let set = "set lonely 0 5\r\nvalue\r\n";
    remover.send(&remove).unwrap();
    writer.send(set).unwrap();
    let removed = remover.hear(&remove).unwrap();
    assert!(removed.starts_with("ERR_"), "{removed}");
    let written = writer.hear(set).unwrap();
    assert!(written.starts_with("ERR_"), "{written}");
    cluster.wait_for_leader_of(&others);
    cluster.kill(leader);
    cluster.gates().heal();
    cluster.wait_for_leader();
    assert!(scan_all(&cluster).is_empty());
    cluster.start_server(leader);
    cluster.wait_for_leader();
    assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).voters(), cluster.ids());
    cluster.assert_equal_stores(&cluster.ids());
}

/// A server that was removed has nothing new to tell: whoever watches or reads there is sent on.
#[test]
fn a_removed_server_ends_its_watches_and_answers_no_data_command() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    cluster.wait_until_named();
    let away = cluster.wait_for_leader() % 3 + 1;
    let asked = |mode: &str| {
        let mut connection = cluster.connect(away).unwrap();
        assert_eq!(connection.ask(&format!("mode {mode}\r\n")).unwrap(), "OK\r\n");
        connection
    };
    let (mut anywhere, mut stale) = (asked("any"), asked("stale"));
    let set = "set key 0 5\r\nvalue\r\n";
    assert_eq!(anywhere.ask(set).unwrap(), "OK 2\r\n");
    let mut watcher = cluster.connect(away).unwrap();
    let watch = "watch prefix * from 3\r\n";
    assert_eq!(watcher.ask(watch).unwrap(), "WATCHING 3\r\n");
    cluster.change(&format!("member remove {away} can-lose 0"));
    cluster.wait_for_role(away, "removed");
    let mut last = watcher.hear(watch).unwrap();
    while last.starts_with("END ") {
        last = watcher.hear(watch).unwrap();
    }
    assert_eq!(last, "ERR_NO_LEADER\r\n");
    assert!(watcher.hear(watch).is_err(), "the stream has ended, and so has the connection");
    let no_leader = "ERR_NO_LEADER\r\n";
    for command in ["get key\r\n", "get key at 2\r\n", set, watch] {
        assert_eq!(anywhere.ask(command).unwrap(), no_leader, "{command}");
    }
    assert_eq!(stale.ask("get key\r\n").unwrap(), no_leader);
    assert_eq!(stale.ask("ping\r\n").unwrap(), "PONG\r\n");
}

/// Row A28: the removal of the last voter never comes into the log.
#[test]
fn the_only_server_cannot_be_removed_or_demoted_and_starts_again() {
    let mut cluster = Cluster::prepare_like(1, "127.0.0.1", BRISK);
    cluster.start_members();
    let before = cluster.value(1, "last_log_index");
    for command in ["member remove 1", "member remove 1 can-lose 0", "member demote 1 can-lose 0"] {
        let reply = cluster.say(1, command);
        assert!(reply.starts_with("ERR_REFUSED "), "{command}: {reply}");
    }
    assert_eq!(cluster.value(1, "last_log_index"), before, "something was appended");
    cluster.kill(1);
    cluster.start_server(1);
    cluster.wait_for_leader();
    assert_eq!(cluster.wait_for_equal_lists(&[1]).voters(), [1]);
}

/// Row A29: ids are burnt, and a server with a removed id and nothing else never leads.
#[test]
fn a_removed_id_is_given_to_nobody_and_comes_to_nothing_without_its_disk() {
    let mut cluster = Cluster::prepare_like(1, "127.0.0.1", BRISK);
    cluster.start_members();
    for _ in 0..3 {
        cluster.add_server();
    }
    assert_eq!(cluster.ids(), [1, 2, 3, 4]);
    cluster.change("member remove 1");
    cluster.wait_for_role(1, "removed");
    cluster.kill(1);
    let again = cluster.say_to_leader(&format!("member add {} id 1", cluster.addresses_of(1)));
    assert!(again.starts_with("ERR_REFUSED "), "{again}");

    // The old file names all four, as an operator would write it.
    cluster.write_settings(&cluster.ids());
    std::fs::remove_dir_all(cluster.data_dir(1)).unwrap();
    cluster.start_server_with(1, &["--new-cluster"]);
    let list = cluster.wait_for_equal_lists(&[2, 3, 4]);
    // It cannot prove that it is of this cluster, so it is told and believes nothing. It waits.
    let entry = format!("by entry {}", list.removed[&1]);
    cluster.wait_for_log(1, &["server 1 was removed from cluster", &entry]);
    assert_never_leads(&cluster, 1);
    assert_eq!(list.voters(), [2, 3, 4]);
}

/// Row A28, the other half: a start that cannot be is a sentence, and no loop.
#[test]
fn a_server_that_joins_and_founds_at_once_is_refused_by_a_sentence() {
    let cluster = Cluster::prepare_like(1, "127.0.0.1", BRISK);
    let address = cluster.log_address(1);
    let (status, said) =
        serve_to_its_end(&cluster.config(), &["--id", "1", "--join", &address, "--new-cluster"]);
    assert!(!status.success());
    assert!(said.contains("--join"), "{said}");
}

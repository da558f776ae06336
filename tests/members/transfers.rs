//! Leadership that is handed over.

use crate::common::Cluster;
use crate::common::clients::{Writer, block_on, connect, scan_all};
use crate::common::members::{BRISK, CALM};

fn term(cluster: &Cluster, id: u64) -> u64 {
    cluster.value(id, "term").parse().unwrap()
}

/// Row B1: a target that is far behind is refused, and one that dies in the middle costs no
/// command.
#[test]
fn a_target_that_is_behind_is_refused_and_one_that_dies_holds_nobody_up() {
    let mut cluster = Cluster::prepare_behind_gates(5, CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let before = term(&cluster, leader);
    let (behind, stopped) = (leader % 5 + 1, (leader + 1) % 5 + 1);
    cluster.isolate(&[behind]);
    let mut connection = cluster.connect(leader).unwrap();
    for n in 0..1_500 {
        connection.send(&format!("set key{n} 0 1 noreply\r\n1\r\n")).unwrap();
    }
    assert!(connection.ask("set last 0 1\r\n1\r\n").unwrap().starts_with("OK "));
    let refused = cluster.say(leader, &format!("leader transfer to {behind}"));
    assert!(refused.starts_with("ERR_REFUSED "), "{refused}");
    assert!(refused.contains(&behind.to_string()), "{refused}");

    let writer = Writer::start(cluster.addresses());
    writer.wait_for_more(&cluster, 20);
    cluster.signal(stopped, "STOP");
    let reply = cluster.say(leader, &format!("leader transfer to {stopped}"));
    assert!(reply.starts_with("ERR_"), "{reply}");
    writer.wait_for_more(&cluster, 50);
    // It dies with what it was sent: an order that it read late would be obeyed, in this term.
    cluster.kill(stopped);
    cluster.start_server(stopped);
    cluster.gates().heal();
    assert_eq!(cluster.wait_for_leader(), leader);
    assert!(!writer.stop().is_empty());
    assert_eq!(term(&cluster, leader), before, "there was an election");
}

/// Row B2: transfers under full load.
#[test]
fn every_transfer_under_load_ends_where_it_was_asked_or_is_refused() {
    const TRANSFERS: u32 = 20;
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let writers: Vec<Writer> = (0..2).map(|_| Writer::start_of_own(cluster.addresses())).collect();
    let (mut done, mut refused) = (0, 0);
    while done < TRANSFERS {
        let leader = cluster.wait_for_leader();
        let target = leader % 5 + 1;
        let before = term(&cluster, leader);
        let reply = cluster.say(leader, &format!("leader transfer to {target}"));
        match reply.split(' ').collect::<Vec<&str>>().as_slice() {
            ["LEADER", id, new_term] => {
                assert_eq!(*id, target.to_string());
                assert!(new_term.parse::<u64>().unwrap() > before, "{reply}");
                done += 1;
            }
            _ => {
                assert!(reply.starts_with("ERR_"), "{reply}");
                refused += 1;
                assert!(refused <= TRANSFERS, "the last refusal: {reply}");
            }
        }
        writers.iter().for_each(|writer| writer.wait_for_more(&cluster, 2));
    }
    println!("{done} transfers were done, {refused} were refused");
    let acknowledged: usize = writers.into_iter().map(|writer| writer.stop().len()).sum();
    assert_eq!(scan_all(&cluster).len(), acknowledged);
    cluster.assert_equal_stores(&cluster.ids());
}

/// Row B3: neither a PreVote nor a lease stops the successor.
#[test]
fn a_transfer_takes_one_term_with_leases_and_without() {
    for lease in [false, true] {
        let settings = format!("{CALM}leader_lease = {lease}\n");
        let mut cluster = Cluster::prepare_like(5, "127.0.0.1", &settings);
        cluster.start_members();
        let leader = cluster.wait_for_leader();
        block_on(async {
            let mut client = connect(&cluster).await;
            client.set("key", 0, b"value").await.unwrap();
            client.get("key").await.unwrap();
        });
        let before = term(&cluster, leader);
        let target = leader % 5 + 1;
        let reply = cluster.say(leader, &format!("leader transfer to {target}"));
        assert_eq!(reply, format!("LEADER {target} {}", before + 1));
        assert_eq!(cluster.wait_for_leader(), target);
        assert_eq!(term(&cluster, target), before + 1);
        assert_eq!(cluster.say(target, &format!("leader transfer to {target}")), "ALREADY");
        // One that is left out is nobody's choice.
        let avoided = target % 5 + 1;
        let reply = cluster.say(target, &format!("leader transfer avoid {avoided}"));
        let next = cluster.wait_for_leader();
        assert!(reply.starts_with(&format!("LEADER {next} ")), "{reply}");
        assert_ne!(next, avoided);
    }
}

/// Row B4: an order that comes late elects nobody.
#[test]
fn an_order_to_campaign_that_comes_late_starts_no_election() {
    let mut cluster = Cluster::prepare_behind_gates(5, CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let (late, other) = (leader % 5 + 1, (leader + 1) % 5 + 1);
    let before = term(&cluster, leader);
    cluster.gates().keep(leader, late);
    let reply = cluster.say(leader, &format!("leader transfer to {late}"));
    assert!(reply.starts_with("ERR_"), "{reply}");
    let reply = cluster.say(leader, &format!("leader transfer to {other}"));
    assert_eq!(reply, format!("LEADER {other} {}", before + 1));
    cluster.gates().heal();
    assert_eq!(cluster.wait_for_leader(), other);
    block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    cluster.wait_for_quiet();
    assert_eq!(cluster.wait_for_leader(), other);
    assert_eq!(term(&cluster, other), before + 1);
}

/// Row B5: of two voters, the one that handed over does not take the office back.
#[test]
fn two_voters_hand_the_office_to_and_fro_one_term_at_a_time() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let leaver = leader % 3 + 1;
    cluster.change(&format!("member remove {leaver} can-lose 0"));
    cluster.wait_for_role(leaver, "removed");
    cluster.kill(leaver);
    let mut leader = cluster.wait_for_leader();
    let mut expected = term(&cluster, leader);
    for _ in 0..10 {
        let reply = cluster.say(leader, "leader transfer");
        let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
        expected += 1;
        assert_eq!(reply, format!("LEADER {other} {expected}"));
        block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
        leader = cluster.wait_for_leader();
        assert_eq!(leader, other);
    }
    assert_eq!(term(&cluster, leader), expected);
}

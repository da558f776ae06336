//! Changes that meet each other, that lose their leader, and that too few are there for.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use coracle::testing::drill::{begun, free_ports};

use crate::common::Cluster;
use crate::common::clients::{block_on, connect};
use crate::common::members::BRISK;

/// Row A16: the leader dies between the two halves of a change, or somewhere near.
#[test]
fn no_change_stays_between_its_halves_when_its_leader_dies() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let mut members = cluster.ids();
    for delay_ms in [0, 20, 50, 100] {
        let leader = cluster.wait_for_leader_of(&members);
        let old = members.iter().copied().find(|id| *id != leader).unwrap();
        let new = cluster.prepare_joiner(leader);
        cluster.start_server(new);
        let command = format!("member replace {old} {} id {new}", cluster.addresses_of(new));
        let asked = cluster.say_aside(leader, &command);
        sleep(Duration::from_millis(delay_ms));
        cluster.kill(leader);
        let reply = asked.join().unwrap().unwrap_or_default();
        cluster.start_server(leader);
        let rest: Vec<u64> = members.iter().copied().filter(|id| *id != old).collect();
        let list = cluster.wait_for_equal_lists(&rest);
        assert!(!list.is_joint());
        let is_done = list.members.contains_key(&new);
        assert!(is_done || begun(&reply).is_none(), "{reply} was said, and it was lost");
        if is_done {
            members = rest.into_iter().chain([new]).collect();
            cluster.wait_for_role(old, "removed");
            cluster.kill(old);
        } else {
            cluster.kill(new);
        }
        assert_eq!(list.voters(), members, "after {delay_ms} ms");
        cluster.wait_for_leader_of(&members);
        block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    }
}

/// Row A17: twenty operators at once.
#[test]
fn of_many_changes_at_once_each_is_done_or_told_which_one_it_waits_for() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let ports = free_ports(40).unwrap();
    let mut operators = Vec::new();
    for ports in ports.chunks(2) {
        let address = cluster.address(leader);
        let add = format!("member add 127.0.0.1:{} 127.0.0.1:{} learner", ports[0], ports[1]);
        operators.push(std::thread::spawn(move || {
            use coracle::testing::drill::say;
            let added = say(&address, &add).expect("the leader answers");
            let Some((_, id)) = begun(&added) else { return (vec![added], None) };
            if id % 2 == 0 {
                return (vec![added], Some(id));
            }
            let removed = say(&address, &format!("member remove {id}")).expect("it answers");
            let is_there = begun(&removed).is_none().then_some(id);
            (vec![added, removed], is_there)
        }));
    }
    let mut accepted = BTreeSet::from([1, 2, 3]);
    for operator in operators {
        let (replies, member) = operator.join().unwrap();
        for reply in replies {
            let is_told = reply.starts_with("ERR_REFUSED ") && reply.contains("change ");
            assert!(begun(&reply).is_some() || is_told, "{reply}");
        }
        if let Some(id) = member {
            assert!(accepted.insert(id), "the id {id} was given twice");
        }
    }
    let list = cluster.wait_for_equal_lists(&[1, 2, 3]);
    assert_eq!(list.members.keys().copied().collect::<BTreeSet<u64>>(), accepted);
    assert_eq!(list.voters(), [1, 2, 3]);
}

/// Row A23: three were added to three, and then the old three were destroyed.
#[test]
fn too_few_servers_say_who_counts_and_who_is_missing_and_change_nothing() {
    let settings = format!("{BRISK}[limits]\nrequest_timeout_ms = 1000\n");
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &settings);
    cluster.start_members();
    let added: Vec<u64> = (0..3).map(|_| cluster.add_server()).collect();
    cluster.wait_for_leader();
    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    for id in &added {
        cluster.wait_for("the leader to be missed", || {
            cluster.status(*id).filter(|status| status["leader"] == "none")
        });
        let list = cluster.members(*id).unwrap();
        assert_eq!(list.voters(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(list.sums[..2], ["6", "4"]);
        assert_eq!(list.sums[5], id.to_string(), "the list says who answers: {list:#?}");
        for command in ["member remove 1", "member replace 1 a:1 a:2", "leader transfer"] {
            let reply = cluster.say(*id, command);
            assert!(reply.starts_with("ERR_NO_LEADER"), "{command}: {reply}");
        }
    }
    // One of the three comes back: four of six are enough, and one more would not be.
    cluster.start_server(1);
    let four = cluster.running();
    let leader = cluster.wait_for_leader_of(&four);
    // A leader that was just elected has not heard everybody yet.
    cluster.wait_for("the leader to have heard all that are there", || {
        cluster.members(leader).filter(|list| list.sums[..4] == ["6", "4", "4", "0"])
    });
    let refused = cluster.say_to_leader("member remove 1");
    assert!(refused.starts_with("ERR_REFUSED "), "{refused}");
    assert!(refused.contains('2') && refused.contains('3'), "it names who is missing: {refused}");
    cluster.change("member remove 2 can-lose 0");
    cluster.change("member remove 3 can-lose 0");
    assert_eq!(cluster.wait_for_equal_lists(&four).voters(), four);
}

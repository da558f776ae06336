//! Members of clusters that are cut in two.

use crate::common::Cluster;
use crate::common::clients::{block_on, scan_all};
use crate::common::members::BRISK;
use coracle::client::{Client, Options};
use coracle::testing::drill::free_ports;

/// Settings with which a server that was cut off is sent a snapshot.
const SMALL: &str = "[raft]\nelection_timeout_ms = [300, 600]\n\
                     [log]\nsegment_bytes = 100000\nkeep_entries = 10\n\
                     [snapshot]\nentries_max = 60\n\
                     [limits]\nvalue_bytes_max = 10000\n";

fn nowhere() -> String {
    let ports = free_ports(2).unwrap();
    format!("127.0.0.1:{} 127.0.0.1:{}", ports[0], ports[1])
}

/// Writes `count` values by these servers.
fn write(cluster: &Cluster, ids: &[u64], name: &str, count: u64) {
    block_on(async {
        let servers: Vec<String> = ids.iter().map(|id| cluster.address(*id)).collect();
        let options = Options { deadline: crate::common::PATIENCE, ..Options::default() };
        let mut client = Client::connect(servers, options).await.unwrap();
        for n in 0..count {
            client.set(format!("{name}{n}"), 0, &[b'v'; 2_000]).await.unwrap();
        }
    });
}

/// The leader and the next server, and the other three.
fn halves(leader: u64) -> (Vec<u64>, Vec<u64>) {
    let inside = vec![leader, leader % 5 + 1];
    let outside = (1..=5).filter(|id| !inside.contains(id)).collect();
    (inside, outside)
}

/// Rows A8 and A9: members that were never committed are gone when the network is whole, from logs
/// and from snapshots, and count nowhere afterwards.
#[test]
fn members_that_were_not_committed_are_rolled_back_on_all_servers() {
    let mut cluster = Cluster::prepare_behind_gates(5, SMALL);
    cluster.start_members();
    let before = cluster.wait_for_equal_lists(&cluster.ids());
    for by_snapshot in [false, true] {
        let leader = cluster.wait_for_leader();
        let (inside, outside) = halves(leader);
        cluster.isolate(&inside);
        let add = format!("member add {} learner", nowhere());
        let asked = cluster.say_aside(leader, &add);
        cluster.wait_for_leader_of(&outside);
        write(&cluster, &outside, "key", if by_snapshot { 300 } else { 3 });
        let reply = asked.join().unwrap().unwrap_or_default();
        assert!(!reply.starts_with("CHANGE "), "a minority has changed the members: {reply}");
        cluster.gates().heal();
        if by_snapshot {
            inside.iter().for_each(|id| drop(cluster.wait_for_log(*id, &["installs snapshot"])));
        }
        cluster.wait_for_leader();
        let after = cluster.wait_for_equal_lists(&cluster.ids());
        assert_eq!(after.record(), before.record(), "by snapshot: {by_snapshot}");
        cluster.assert_equal_stores(&cluster.ids());

        // The same two are cut off again: whatever they believe, they are no majority.
        cluster.isolate(&inside);
        let new_leader = cluster.wait_for_leader_of(&outside);
        write(&cluster, &outside, "more", 3);
        for id in &inside {
            let status = cluster.wait_for("a server that is cut off to miss its leader", || {
                cluster.status(*id).filter(|status| status["leader"] == "none")
            });
            assert_ne!(status["role"], "leader");
        }
        assert_eq!(cluster.wait_for_leader_of(&outside), new_leader);
        cluster.gates().heal();
        cluster.wait_for_leader();
    }
}

/// Row A13: servers that have not heard of each other's membership elect a leader together.
#[test]
fn a_voter_with_an_old_list_and_a_voter_that_it_does_not_know_elect_a_leader_together() {
    let mut cluster = Cluster::prepare_behind_gates(5, BRISK);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let old = leader % 5 + 1;
    cluster.isolate(&[old]);
    let others: Vec<u64> = (1..=5).filter(|id| *id != old).collect();
    let added = cluster.prepare_joiner(leader);
    // The newcomer is a stranger to the one that is cut off, in both directions.
    cluster.gates().cut(old, added);
    cluster.start_server(added);
    cluster.change(&format!("member add {} id {added}", cluster.addresses_of(added)));
    let known = cluster.members(old).unwrap();
    assert!(!known.members.contains_key(&added), "it has heard of the newcomer");
    let leader = cluster.wait_for_leader_of(&others);
    let other = others.iter().copied().find(|id| *id != leader).unwrap();
    cluster.kill(leader);
    cluster.kill(other);
    cluster.gates().heal();
    // Four of six are up, and four are needed.
    cluster.wait_for_leader();
    write(&cluster, &cluster.running(), "key", 1);
    assert_eq!(cluster.wait_for_equal_lists(&cluster.running()).voters().len(), 6);
}

/// Row A19: the two sides of a cluster change its members in turns, each new leader at once.
#[test]
fn leaders_that_change_members_as_soon_as_they_lead_never_make_two_majorities() {
    let mut cluster = Cluster::prepare_behind_gates(5, BRISK);
    cluster.start_members();
    let mut written = 0;
    for turn in 0..4 {
        let leader = cluster.wait_for_leader();
        let (inside, outside) = halves(leader);
        cluster.isolate(&inside);
        let stale = cluster.say_aside(leader, &format!("member add {} learner", nowhere()));
        let new_leader = cluster.wait_for("a leader of the other side", || {
            outside
                .iter()
                .copied()
                .find(|id| cluster.status(*id).is_some_and(|status| status["role"] == "leader"))
        });
        let change = match turn % 2 {
            0 => format!("member demote {new_leader}"),
            _ => {
                let learner = cluster.members(new_leader).and_then(|l| l.learners().pop());
                learner.map_or("member list".to_owned(), |id| format!("member promote {id}"))
            }
        };
        let changed = cluster.say_aside(new_leader, &change);
        write(&cluster, &outside, &format!("turn{turn}-"), 2);
        written += 2;
        cluster.gates().heal();
        let reply = stale.join().unwrap().unwrap_or_default();
        assert!(!reply.starts_with("CHANGE "), "a minority has changed the members: {reply}");
        let _ = changed.join();
        cluster.wait_for_leader_of(&cluster.ids());
        let list = cluster.wait_for_equal_lists(&cluster.ids());
        assert_eq!(list.members.len(), 5, "turn {turn}: {list:#?}");
        assert!(list.voters().len() >= 4, "turn {turn}: {list:#?}");
    }
    assert_eq!(scan_all(&cluster).len(), written);
    cluster.assert_equal_stores(&cluster.ids());
}

//! Servers that are no members, or do not know that they are.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::Cluster;
use crate::common::clients::{Writer, block_on, connect, scan_all};
use crate::common::members::{BRISK, CALM};

/// The time for which a test looks whether a server does what it must never do. It ends the test,
/// and decides nothing else: a right server passes however long it is.
const LOOK_FOR: Duration = Duration::from_millis(2_500);

/// Asserts that a server never leads, and answers no command, while it is looked at.
pub fn assert_never_leads(cluster: &Cluster, id: u64) {
    let end = Instant::now() + LOOK_FOR;
    while Instant::now() < end {
        if let Some(status) = cluster.status(id) {
            assert_ne!(status["role"], "leader", "{status:#?}");
            for command in ["get key", "delete key", "member remove 1"] {
                let reply = cluster.say(id, command);
                // It may know who leads, and sends a client there.
                let is_executed = !["ERR_NO_LEADER", "ERR_REDIRECT"]
                    .iter()
                    .any(|refusal| reply.starts_with(refusal));
                assert!(!is_executed, "{command}: {reply}");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Row A2: servers that were never added ask, say what is to be done, and call no elections.
#[test]
fn a_server_that_was_never_added_says_what_to_do_and_goes_on_when_it_has_been() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", CALM);
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let term = cluster.value(leader, "term");
    let members = cluster.ids();
    let writer = Writer::start(cluster.addresses());
    let stranger = cluster.prepare_joiner(leader);
    cluster.start_server(stranger);
    cluster.wait_for_log(stranger, &["member add", "--id 4", "goes on by itself"]);
    writer.wait_for_more(&cluster, 100);
    assert_eq!(cluster.wait_for_leader_of(&members), leader);
    assert_eq!(cluster.value(leader, "term"), term);
    let said = cluster.log(stranger).matches("member add").count();
    assert_eq!(said, 1, "it is said once");

    let add = format!("member add {} id {stranger}", cluster.addresses_of(stranger));
    assert_eq!(cluster.change(&add), stranger);
    cluster.wait_for_leader();
    assert_eq!(cluster.value(leader, "term"), term, "the newcomer has called an election");
    assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).voters(), cluster.ids());
    assert!(!writer.stop().is_empty());
}

/// Row A2 with servers.toml: a file that lists a server does not make it a member.
#[test]
fn a_server_that_only_its_file_lists_is_no_member_until_it_is_added() {
    let mut cluster = Cluster::prepare_like(4, "127.0.0.1", CALM);
    cluster.write_settings(&[1, 2, 3]);
    for id in [1, 2, 3] {
        cluster.start_server(id);
    }
    cluster.wait_until_changeable(&[1, 2, 3]);
    let leader = cluster.wait_for_leader();
    let term = cluster.value(leader, "term");
    cluster.write_settings(&[1, 2, 3, 4]);
    cluster.start_server(4);
    cluster.wait_for_log(4, &["member add"]);
    block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    assert_eq!(cluster.value(4, "last_log_index"), "0");
    cluster.change(&format!("member add {} id 4", cluster.addresses_of(4)));
    assert_eq!(cluster.wait_for_leader(), leader);
    assert_eq!(cluster.value(leader, "term"), term);
    assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).voters(), [1, 2, 3, 4]);
}

/// Settings with which a newcomer is sent a snapshot.
const SMALL: &str = "[log]\nsegment_bytes = 150000\nkeep_entries = 50\n\
                     [snapshot]\nentries_max = 200\n\
                     [limits]\nvalue_bytes_max = 20000\n";

/// Row A6: a newcomer alone is no cluster, whatever its log and its snapshot are.
#[test]
fn a_newcomer_that_starts_alone_is_no_cluster_of_its_own() {
    let mut cluster = Cluster::prepare_with(SMALL);
    cluster.start_members();
    write(&cluster, 1_000);
    let newcomers = [cluster.add_server(), cluster.add_server()];
    assert_eq!(newcomers, [6, 7]);
    cluster.wait_for("a snapshot on the newcomer", || {
        cluster.status(6).filter(|status| status["snapshot_index"] != "0")
    });
    cluster.running().into_iter().for_each(|id| cluster.kill(id));
    cluster.start_server(6);
    let list = cluster.wait_for("the newcomer's list", || cluster.members(6));
    assert_eq!(list.voters(), cluster.ids());
    assert_never_leads(&cluster, 6);
    cluster.ids().into_iter().filter(|id| *id != 6).for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    assert_eq!(scan_all(&cluster).len(), 100);
}

fn write(cluster: &Cluster, writes: u64) {
    let mut connection = cluster.connect(cluster.wait_for_leader()).unwrap();
    for n in 0..writes {
        let set = format!("set key{} 0 1000\r\n{n:01000}\r\n", n % 100);
        let reply = connection.ask(&set).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
    }
}

/// Row A20: a server that has lost its disk does not vote as if it had it.
#[test]
fn a_wiped_server_helps_to_elect_nobody_who_lacks_what_it_acknowledged() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let leader = cluster.wait_for_leader();
    let [first, wiped, late, last] = [1, 2, 3, 4].map(|step| (leader + step - 1) % 5 + 1);
    cluster.kill(late);
    cluster.kill(last);
    block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    cluster.kill(leader);
    cluster.signal(first, "STOP");
    cluster.kill(wiped);
    fs::remove_dir_all(cluster.data_dir(wiped)).unwrap();
    for id in [wiped, late, last] {
        cluster.start_server(id);
    }
    let rest = [wiped, late, last];
    let end = Instant::now() + LOOK_FOR;
    while Instant::now() < end {
        for id in rest {
            let role = cluster.value(id, "role");
            assert_ne!(role, "leader", "server {id} leads without the write");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    cluster.signal(first, "CONT");
    cluster.start_server(leader);
    cluster.wait_for_leader();
    assert_eq!(scan_all(&cluster)[0].value, b"value");
}

/// Row A26: a client that was told only of a learner gets everything done.
#[test]
fn a_client_that_knows_only_a_learner_is_sent_to_the_leader() {
    use coracle::client::Client;

    use crate::common::clients::patient;

    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let learner = cluster.add_learner();
    cluster.wait_for_role(learner, "learner");
    block_on(async {
        let mut client = Client::connect([cluster.address(learner)], patient()).await.unwrap();
        let version = client.set("key", 0, b"1").await.unwrap();
        assert_eq!(client.get("key").await.unwrap(), b"1");
        let version = client.cas("key", 0, version, b"2").await.unwrap();
        assert_eq!(client.getm("key").await.unwrap().version, version);
        assert_eq!(client.scan("", 10, None).await.unwrap().items.len(), 1);
        client.delete("key").await.unwrap();
        client.close().await.unwrap();
    });
    let redirect = cluster.say(learner, "get key");
    let leader = cluster.wait_for_leader_of(&[1, 2, 3]);
    assert_eq!(redirect, format!("ERR_REDIRECT {}", cluster.address(leader)));
}

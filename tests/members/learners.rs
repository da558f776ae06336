//! Servers that are added: mistyped, dead, slow, and at last caught up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use coracle::client::{Client, Error};
use coracle::testing::drill::free_ports;

use crate::common::Cluster;
use crate::common::clients::{block_on, connect, patient};
use crate::common::members::BRISK;

/// The words of a command that name two addresses where nobody listens.
fn nowhere() -> String {
    let ports = free_ports(2).unwrap();
    format!("127.0.0.1:{} 127.0.0.1:{}", ports[0], ports[1])
}

fn assert_writes(cluster: &Cluster) {
    block_on(async { connect(cluster).await.set("key", 0, b"value").await.unwrap() });
}

/// Row A11: one server, and an address that was mistyped.
#[test]
fn a_mistyped_address_stops_nothing_of_a_single_server_and_is_taken_back() {
    let mut cluster = Cluster::prepare_like(1, "127.0.0.1", BRISK);
    cluster.start_members();
    let number = cluster.begin(&format!("member add {}", nowhere()));
    assert_writes(&cluster);
    let list = cluster.members(1).unwrap();
    assert_eq!((list.voters(), list.learners()), (vec![1], vec![2]));
    assert!(list.change.is_some_and(|change| change.starts_with(&number.to_string())));
    let busy = cluster.say(1, &format!("member add {}", nowhere()));
    assert!(busy.starts_with("ERR_REFUSED ") && busy.contains(&number.to_string()), "{busy}");
    let cancelled = cluster.say(1, &format!("member cancel {number}"));
    assert!(cancelled.starts_with("CHANGE "), "{cancelled}");
    let ended = cluster.say(1, &format!("member wait {number}"));
    assert_eq!(ended, format!("ENDED {number} cancelled"));
    let list = cluster.wait_for_equal_lists(&[1]);
    assert_eq!((list.voters(), list.learners()), (vec![1], vec![]));
    assert_writes(&cluster);

    // The right address gets the next id, and the cluster grows.
    cluster.change(&format!("member add {} learner", nowhere()));
    assert_writes(&cluster);
    let learner = cluster.members(1).unwrap().learners()[0];
    assert!(learner > 2, "an id was used again: {learner}");
    cluster.change(&format!("member remove {learner}"));
    cluster.kill(1);
    cluster.start_server(1);
    cluster.wait_for_leader();
    assert_eq!(cluster.wait_for_equal_lists(&[1]).voters(), [1]);
}

/// Row A11: five servers and two mistyped addresses.
#[test]
fn two_mistyped_addresses_count_for_nothing_among_five() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let wrong: Vec<u64> =
        (0..2).map(|_| cluster.change(&format!("member add {} learner", nowhere()))).collect();
    assert_eq!(wrong, [6, 7]);
    let leader = cluster.wait_for_leader();
    let down: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).take(2).collect();
    down.iter().for_each(|id| cluster.kill(*id));
    assert_writes(&cluster);
    for id in wrong {
        cluster.change(&format!("member remove {id}"));
    }
    down.iter().for_each(|id| cluster.start_server(*id));
    cluster.wait_for_leader();
    let list = cluster.wait_for_equal_lists(&cluster.ids());
    assert_eq!((list.voters(), list.learners()), (cluster.ids(), vec![]));
}

/// A client that writes large values until it is stopped.
struct Flood {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Flood {
    fn start(servers: Vec<String>) -> Flood {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || {
            block_on(async {
                let mut client = Client::connect(servers, patient()).await.unwrap();
                while !stopped.load(Ordering::SeqCst) {
                    let key = format!("key{}", count.load(Ordering::SeqCst) % 50);
                    match client.set(&key, 0, &[b'v'; 8_000]).await {
                        Ok(_) => count.fetch_add(1, Ordering::SeqCst),
                        Err(Error::Unknown { .. } | Error::Unavailable { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        });
        Flood { stop, written, thread }
    }

    fn wait_for_more(&self, cluster: &Cluster, count: u64) {
        let wanted = self.written.load(Ordering::SeqCst) + count;
        cluster.wait_for("further values", || {
            assert!(!self.thread.is_finished(), "the client has failed");
            (self.written.load(Ordering::SeqCst) >= wanted).then_some(())
        });
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}

/// Row A12: a learner behind a slow line, under load, and then behind a fast one.
#[test]
fn a_slow_learner_does_not_count_and_becomes_a_voter_under_load_once_it_is_fast() {
    let mut cluster = Cluster::prepare_behind_gates(5, BRISK);
    cluster.start_members();
    let members = cluster.ids();
    let flood = Flood::start(cluster.addresses());
    flood.wait_for_more(&cluster, 200);
    let slow = cluster.prepare_joiner(1);
    cluster.gates().slow(slow, &members, 20_000);
    cluster.start_server(slow);
    let number = cluster.begin(&format!("member add {} id {slow}", cluster.addresses_of(slow)));
    flood.wait_for_more(&cluster, 200);
    let leader = cluster.wait_for_leader_of(&members);
    let down: Vec<u64> = members.iter().copied().filter(|id| *id != leader).take(2).collect();
    down.iter().for_each(|id| cluster.kill(*id));
    flood.wait_for_more(&cluster, 100);
    let list = cluster.members(leader).unwrap();
    assert_eq!((list.voters(), list.learners()), (members.clone(), vec![slow]));
    let waiting = cluster.say(leader, &format!("member wait {number}"));
    assert!(waiting.starts_with(&format!("RUNNING {number} ")), "{waiting}");
    down.iter().for_each(|id| cluster.start_server(*id));
    cluster.gates().heal();
    let list = cluster.wait_for("the learner to become a voter while values are written", || {
        flood.wait_for_more(&cluster, 1);
        cluster.members(leader).filter(|list| list.voters() == cluster.ids())
    });
    assert!(list.learners().is_empty());
    flood.stop();
    cluster.wait_for_leader();
    cluster.assert_equal_stores(&cluster.ids());
}

/// Row A14: an update touches the address, and nothing else.
#[test]
fn a_learner_with_a_new_address_stays_a_learner_and_can_be_promoted() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let learner = cluster.prepare_joiner(1);
    let added = cluster.change(&format!("member add {} id {learner} learner", nowhere()));
    assert_eq!(added, learner);
    let (log, client) = (cluster.log_address(learner), cluster.address(learner));
    cluster.change(&format!("member update {learner} log {log} client {client}"));
    let list = cluster.wait_for_equal_lists(&[1, 2, 3]);
    assert_eq!((list.voters(), list.learners()), (vec![1, 2, 3], vec![learner]));
    assert_eq!(list.members[&learner].log_address, log);
    assert_eq!(list.members[&learner].client_address, client);
    cluster.start_server(learner);
    cluster.wait_for_role(learner, "learner");
    let before = cluster.wait_for_equal_lists(&cluster.ids());
    assert_eq!(before.learners(), [learner]);
    cluster.change(&format!("member promote {learner}"));
    assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).voters(), cluster.ids());
    assert_eq!(cluster.say_to_leader(&format!("member promote {learner}")), "ALREADY");
}

/// Row A18: a promotion and a demotion are in force wherever they are, however their leader ends.
#[test]
fn a_leader_that_dies_after_a_promotion_or_a_demotion_is_followed_by_another() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let learner = cluster.add_learner();
    cluster.wait_for_role(learner, "learner");
    cluster.change(&format!("member promote {learner}"));
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    let down = cluster.running().into_iter().find(|id| *id != learner).unwrap();
    cluster.kill(down);
    cluster.wait_for_leader();
    assert_writes(&cluster);
    cluster.start_server(leader);
    cluster.start_server(down);
    cluster.wait_for_leader();

    cluster.change(&format!("member demote {learner}"));
    let voters: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != learner).collect();
    let leader = cluster.wait_for_leader_of(&voters);
    cluster.kill(leader);
    let rest: Vec<u64> = voters.into_iter().filter(|id| *id != leader).collect();
    cluster.kill(rest[0]);
    cluster.wait_for_leader_of(&rest[1..]);
    assert_writes(&cluster);
    cluster.wait_for_role(learner, "learner");
}

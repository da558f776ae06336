use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::Duration;

use coracle::client::{ChangeKind, Changes, Client, Mode, Options, Transaction, Watch, WatchSpec};
use tokio::time::timeout;

use crate::common::clients::{Writer, block_on, connect, patient};
use crate::common::{Cluster, PATIENCE};

async fn next(watch: &mut Watch) -> Changes {
    let told = timeout(PATIENCE, watch.next()).await.expect("something is told");
    told.expect("a watch does not end").unwrap()
}

/// Takes changes until one of this revision or a later one has come; returns each written key with
/// its version. No revision comes twice, or before an earlier one.
async fn take_to(watch: &mut Watch, last: u64) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut revision = 0;
    while revision < last {
        let told = next(watch).await;
        assert!(told.revision > revision, "{} after {revision}", told.revision);
        revision = told.revision;
        for change in told.changes {
            assert!(matches!(change.kind, ChangeKind::Set { .. }), "{change:?}");
            let key = String::from_utf8(change.key).unwrap();
            let before = found.insert(key.clone(), revision);
            assert_eq!(before, None, "{key} was added once");
        }
    }
    found
}

#[test]
fn a_watch_tells_each_acknowledged_write_once_while_every_server_is_killed_in_turn() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let writer = Writer::start(cluster.addresses());
    let servers = cluster.addresses();
    let end = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&end);
    let watcher = spawn(move || {
        block_on(async {
            let client = Client::connect(servers, patient()).await.unwrap();
            let spec = WatchSpec::prefix("").unwrap().from(2);
            let mut watch = client.watch(spec).await.unwrap();
            let mut told = Vec::new();
            loop {
                let changes = next(&mut watch).await;
                if changes.changes.iter().any(|change| change.key == b"the-last") {
                    assert!(has_ended.load(Ordering::SeqCst));
                    return told;
                }
                told.push(changes);
            }
        })
    });
    // The leader is among them, and the server that the watch is at.
    for id in cluster.ids() {
        writer.wait_for_more(&cluster, 30);
        cluster.kill(id);
        writer.wait_for_more(&cluster, 30);
        cluster.start_server(id);
        cluster.wait_for_leader();
    }
    let acknowledged = writer.stop();
    end.store(true, Ordering::SeqCst);
    block_on(async { connect(&cluster).await.set("the-last", 0, b"").await.unwrap() });
    let told = watcher.join().unwrap();

    let mut found = BTreeMap::new();
    let mut revision = 1;
    for changes in &told {
        assert_eq!(changes.revision, revision + 1, "no revision is missing, none comes twice");
        revision = changes.revision;
        let [change] = &changes.changes[..] else { panic!("{changes:?}") };
        found.insert(String::from_utf8(change.key.clone()).unwrap(), changes.revision);
    }
    for (key, version) in &acknowledged {
        assert_eq!(found.get(key), Some(version), "{key}");
    }
}

/// E6: transactions over two watched keys, and a connection that breaks at every byte.
#[test]
fn changes_of_one_revision_come_together_wherever_the_connection_breaks() {
    let mut cluster = Cluster::prepare_like(1, "127.0.0.1", "");
    let doors = cluster.put_behind_doors();
    cluster.start_server(1);
    cluster.wait_for_highest_format();
    block_on(async {
        let mut direct = connect(&cluster).await;
        let begin = direct.set("before", 0, b"").await.unwrap();
        for value in [b"1", b"2", b"3"] {
            let both = Transaction::new().set("k/a", 0, value).set("k/b", 0, value);
            direct.transaction(both).await.unwrap();
        }
        let client = Client::connect(doors.addresses(), patient()).await.unwrap();
        let watch = || async {
            let spec = WatchSpec::prefix("k/").unwrap().from(begin + 1).with_previous();
            client.watch(spec).await.unwrap()
        };
        // An undisturbed watch tells how many bytes there are.
        let start = doors.passed_bytes();
        let mut undisturbed = watch().await;
        let mut expected = Vec::new();
        for _ in 0..3 {
            expected.push(next(&mut undisturbed).await);
        }
        let length = doors.passed_bytes() - start;
        drop(undisturbed);
        let revisions: Vec<u64> = expected.iter().map(|changes| changes.revision).collect();
        assert_eq!(revisions, [begin + 1, begin + 2, begin + 3]);
        assert!(expected.iter().all(|changes| changes.changes.len() == 2));
        for bytes in 0..length {
            doors.break_next_after(bytes);
            let mut watch = watch().await;
            for whole in &expected {
                assert_eq!(next(&mut watch).await, *whole, "broken after {bytes} bytes");
            }
            assert!(doors.has_broken());
        }
    });
}

/// E18: one watch that is moved between all servers, one of which is far behind.
#[test]
fn a_watch_that_is_moved_between_servers_neither_repeats_nor_skips() {
    let settings = "[raft]\nelection_timeout_ms = [1500, 3000]\n";
    let mut cluster = Cluster::prepare_behind_gates(5, settings);
    let doors = cluster.put_behind_doors();
    cluster.start_members();
    cluster.wait_for_highest_format();
    let leader = cluster.wait_for_leader();
    let behind = leader % 5 + 1;
    let servers = cluster.addresses();
    let direct = move || Client::connect(servers.clone(), patient());
    let options = Options { mode: Mode::Any, ..patient() };
    let client = block_on(Client::connect(doors.addresses(), options)).unwrap();

    let first = block_on(async { direct().await.unwrap().set("first", 0, b"").await.unwrap() });
    cluster.isolate(&[behind]);
    let writer = Writer::start(vec![cluster.address(leader)]);
    writer.wait_for_more(&cluster, 1_000);
    let told = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&told);
    let ids = cluster.ids();
    let mover = {
        let doors = doors.clone();
        spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                for id in &ids {
                    doors.open_only(&[*id]);
                    // The time for which the watch stays at a server; it decides nothing.
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            doors.open_only(&ids);
        })
    };
    writer.wait_for_more(&cluster, 500);
    cluster.gates().heal();
    let acknowledged = writer.stop();
    let last = acknowledged.iter().map(|(_, version)| *version).max().unwrap();
    let found = block_on(async {
        let spec = WatchSpec::prefix("key").unwrap().from(first + 1);
        let mut watch = client.watch(spec).await.unwrap();
        take_to(&mut watch, last).await
    });
    told.store(true, Ordering::SeqCst);
    mover.join().unwrap();
    for (key, version) in &acknowledged {
        assert_eq!(found.get(key), Some(version), "{key}");
    }
}

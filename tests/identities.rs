//! Real servers whose data directories are gone, or older than what they acknowledged
//! (docs/adr/0024).

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::Cluster;
use common::clients::{Writer, block_on, connect, scan_all};

fn write(cluster: &Cluster, count: u64) {
    block_on(async {
        let mut client = connect(cluster).await;
        for number in 0..count {
            client.set(format!("kept{number}"), 0, b"value").await.unwrap();
        }
    });
}

fn assert_equal_stores(cluster: &Cluster) {
    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 5);
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
}

fn wait_for_role(cluster: &Cluster, id: u64, role: &str) {
    cluster.wait_for(role, || cluster.status(id).filter(|status| status["role"] == role));
}

fn wait_until_counted(cluster: &Cluster, id: u64) {
    let roles = ["follower", "leader"];
    cluster.wait_for("a server that is counted again", || {
        cluster.status(id).filter(|status| roles.contains(&status["role"].as_str()))
    });
}

fn kill_all(cluster: &mut Cluster) {
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
}

fn start_all(cluster: &mut Cluster) {
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
}

/// The place to which a test moves the directory of a server.
fn away(cluster: &Cluster, id: u64) -> PathBuf {
    cluster.data_dir(id).with_extension("away")
}

fn count(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

/// The three may have been the only ones with a committed entry, so the two with data may not go
/// on without them, and the three may not found a new cluster.
#[test]
fn a_majority_of_empty_servers_beside_two_with_data_elects_nobody_and_loses_nothing() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    write(&cluster, 50);
    cluster.wait_for_quiet();
    kill_all(&mut cluster);
    for id in 1..=3 {
        fs::rename(cluster.data_dir(id), away(&cluster, id)).unwrap();
    }
    let before: Vec<String> = cluster.ids().into_iter().map(|id| cluster.log(id)).collect();
    let since =
        |cluster: &Cluster, id: u64| cluster.log(id)[before[id as usize - 1].len()..].to_owned();
    start_all(&mut cluster);
    cluster.wait_for("three campaigns of both servers with data", || {
        let campaigns = |id| count(&since(&cluster, id), "started pre-vote");
        (campaigns(4) >= 3 && campaigns(5) >= 3).then_some(())
    });
    for id in 1..=3 {
        wait_for_role(&cluster, id, "rejoining");
        assert_eq!(count(&since(&cluster, id), "became voter"), 0, "{}", since(&cluster, id));
    }
    for id in cluster.ids() {
        assert_eq!(count(&since(&cluster, id), "became leader"), 0, "{}", since(&cluster, id));
    }

    // Two of the directories are found again.
    kill_all(&mut cluster);
    for id in 1..=2 {
        fs::remove_dir_all(cluster.data_dir(id)).unwrap();
        fs::rename(away(&cluster, id), cluster.data_dir(id)).unwrap();
    }
    start_all(&mut cluster);
    cluster.wait_for_leader();
    wait_until_counted(&cluster, 3);
    assert_eq!(scan_all(&cluster).len(), 50);
    assert_equal_stores(&cluster);
}

#[test]
fn two_empty_servers_of_five_rejoin_and_get_everything() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    write(&cluster, 50);
    cluster.wait_for_quiet();
    kill_all(&mut cluster);
    for id in 1..=2 {
        fs::remove_dir_all(cluster.data_dir(id)).unwrap();
    }
    start_all(&mut cluster);
    cluster.wait_for_leader();
    for id in 1..=2 {
        wait_until_counted(&cluster, id);
    }
    assert_eq!(scan_all(&cluster).len(), 50);
    assert_equal_stores(&cluster);
}

/// An operator restores one server from yesterday's copy of its directory.
#[test]
fn a_server_with_an_older_copy_of_its_directory_is_told_and_catches_up() {
    let mut cluster = Cluster::start();
    let first_leader = cluster.wait_for_leader();
    cluster.wait_for("format 2 on all servers", || {
        let mut ids = cluster.ids().into_iter();
        ids.all(|id| cluster.format(id) >= 2).then_some(())
    });
    let writer = Writer::start(cluster.addresses());
    writer.wait_for_more(&cluster, 50);
    let aged = cluster.ids().into_iter().find(|id| *id != first_leader).unwrap();
    cluster.kill(aged);
    let (path, copy) = (cluster.data_dir(aged), away(&cluster, aged));
    let copied = Command::new("cp").arg("-a").args([&path, &copy]).status().unwrap();
    assert!(copied.success());
    cluster.start_server(aged);
    writer.wait_for_more(&cluster, 50);

    cluster.kill(first_leader);
    cluster.wait_for("another leader", || {
        let leader = cluster.wait_for_leader();
        (leader != first_leader).then_some(leader)
    });
    writer.wait_for_more(&cluster, 50);
    cluster.start_server(first_leader);
    wait_until_counted(&cluster, first_leader);
    writer.wait_for_more(&cluster, 50);

    cluster.kill(aged);
    fs::remove_dir_all(&path).unwrap();
    fs::rename(&copy, &path).unwrap();
    cluster.start_server(aged);
    cluster.wait_for("the server to be told", || {
        (count(&cluster.log(aged), "has lost entries that it acknowledged") == 1).then_some(())
    });
    wait_until_counted(&cluster, aged);
    writer.wait_for_more(&cluster, 50);
    let acknowledged = writer.stop();
    let found = scan_all(&cluster);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        assert_eq!(item.map(|item| item.version), Some(*version), "{key}");
    }
    assert_equal_stores(&cluster);
}

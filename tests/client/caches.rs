use coracle::client::recipes::{Cache, View};
use coracle::client::{Client, Item, Mode, Options, Transaction};
use tokio::time::timeout;

use crate::common::clients::{Writer, block_on, connect, patient, running};
use crate::common::{Cluster, PATIENCE};

/// The keys of a copy in the form of a scan.
fn items(view: &View) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    view.iter().map(|(key, item)| (key.to_vec(), item.version, item.value.clone())).collect()
}

fn scanned(items: &[Item]) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    items.iter().map(|item| (item.key.clone(), item.version, item.value.clone())).collect()
}

#[test]
fn a_cache_is_the_store_at_its_revision_while_every_server_is_killed_in_turn() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    let runtime = running();
    let cache = runtime.block_on(async {
        let client = connect(&cluster).await;
        Cache::load(&client, "key").await.unwrap()
    });
    assert!(cache.view().is_empty());
    let writer = Writer::start(cluster.addresses());
    let mut views = Vec::new();
    for id in cluster.ids() {
        writer.wait_for_more(&cluster, 20);
        cluster.kill(id);
        views.push(cache.view());
        writer.wait_for_more(&cluster, 20);
        cluster.start_server(id);
        cluster.wait_for_leader();
    }
    writer.stop();
    runtime.block_on(async {
        let mut client = connect(&cluster).await;
        // A key that is not in the prefix, so that a note of progress has to come.
        let revision = client.set("other", 0, b"").await.unwrap();
        timeout(PATIENCE, cache.wait_for(revision)).await.unwrap().unwrap();
        let moment = client.scan_all("key").await.unwrap();
        assert_eq!(items(&cache.view()), scanned(&moment.items));
        // Each view is the store as it was at its revision.
        for view in views {
            let then = client.at(view.revision()).scan("key", 10_000, None).await.unwrap();
            assert_eq!(items(&view), scanned(&then.items), "at {}", view.revision());
        }
    });
}

/// E3: a client that is asleep over a compaction has the store's keys in the end.
#[test]
fn a_cache_that_slept_over_a_compaction_is_read_anew() {
    let mut cluster = Cluster::prepare();
    let doors = cluster.put_behind_doors();
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    block_on(async {
        let options = Options { mode: Mode::Any, ..patient() };
        let mut direct = Client::connect(cluster.addresses(), options).await.unwrap();
        direct.set("c/deleted", 0, b"").await.unwrap();
        let asleep = Client::connect(doors.addresses(), options).await.unwrap();
        let cache = Cache::load(&asleep, "c/").await.unwrap();
        let slept_at = cache.revision();
        // All its connections break, and no new one is taken.
        doors.open_only(&[]);
        direct.delete("c/deleted").await.unwrap();
        for value in 0..20_u8 {
            let set = Transaction::new().set("c/a", 0, &[value]).set("c/b", 0, &[value]);
            direct.transaction(set).await.unwrap();
        }
        let revision = direct.revision().await.unwrap();
        assert_eq!(direct.compact(revision).await, Ok(revision));
        assert_eq!(cache.revision(), slept_at);
        // Each server has compacted when it has applied a later write.
        let last = direct.set("c/last", 0, b"").await.unwrap();
        doors.open_only(&cluster.ids());
        timeout(PATIENCE, cache.wait_for(last)).await.unwrap().unwrap();
        let moment = direct.scan_all("c/").await.unwrap();
        assert_eq!(items(&cache.view()), scanned(&moment.items));
        assert_eq!(cache.get("c/deleted"), None);
    });
}

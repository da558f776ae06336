use std::time::{Duration, Instant};

use coracle::client::{ChangeKind, Error, LeaseLost, WatchSpec};

use crate::common::Cluster;
use crate::common::clients::{block_on, connect, running};

#[test]
fn a_lease_is_kept_alive_for_longer_than_its_time_while_leaders_are_killed() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    let runtime = running();
    // An election must fit in the time of the lease as the client counts it, so it is not short.
    let (mut client, lease, version) = runtime.block_on(async {
        let mut client = connect(&cluster).await;
        let lease = client.lease(20).await.unwrap();
        let version = client.set_with_lease("alive", 0, b"here", lease.id()).await.unwrap();
        (client, lease, version)
    });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(22) {
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        // The next leader serves before the killed one is back.
        runtime.block_on(client.revision()).unwrap();
        cluster.start_server(leader);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(lease.is_alive());
    runtime.block_on(async {
        assert_eq!(client.getm("alive").await.unwrap().version, version);
        assert_eq!(client.lease_info(lease.id()).await.unwrap().keys, [b"alive"]);
        assert_eq!(lease.revoke().await, Ok(true));
        assert_eq!(client.get("alive").await, Err(Error::NotFound));
    });
}

#[test]
fn keys_go_with_a_lease_that_nobody_renews_in_one_revision_and_not_early() {
    let cluster = Cluster::start();
    cluster.wait_for_leader();
    block_on(async {
        let mut client = connect(&cluster).await;
        let begun = Instant::now();
        let lease = client.lease(2).await.unwrap();
        let id = lease.id();
        for key in ["l/a", "l/b", "l/c"] {
            client.set_with_lease(key, 0, b"", id).await.unwrap();
        }
        // A write without a lease takes its key away from it.
        let detached = client.set("l/b", 0, b"stays").await.unwrap();
        let spec = WatchSpec::prefix("l/").unwrap().from(detached + 1);
        let mut watch = client.watch(spec).await.unwrap();
        lease.leave();
        let told = watch.next().await.unwrap().unwrap();
        let keys: Vec<&[u8]> = told.changes.iter().map(|change| &change.key[..]).collect();
        assert_eq!(keys, [b"l/a", b"l/c"]);
        assert!(told.changes.iter().all(|change| change.kind == ChangeKind::Expired));
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(client.renew(id).await, Err(Error::NoLease));
        assert_eq!(client.get("l/b").await.unwrap(), b"stays");
        let late = client.set_with_lease("l/a", 0, b"", id).await;
        assert_eq!(late, Err(Error::NoLease));
    });
}

#[test]
fn the_holder_of_a_lease_is_told_that_somebody_has_revoked_it() {
    let cluster = Cluster::start();
    cluster.wait_for_leader();
    block_on(async {
        let mut client = connect(&cluster).await;
        let lease = client.lease(1).await.unwrap();
        assert_eq!(client.revoke(lease.id()).await, Ok(true));
        assert_eq!(lease.lost().await, LeaseLost::Ended);
        assert_eq!(lease.revoke().await, Ok(false));
        assert_eq!(client.grant_as(7, 60).await, Ok(()));
        assert_eq!(client.grant_as(7, 60).await, Err(Error::LeaseExists));
        assert_eq!(client.renew(7).await, Ok(60));
    });
}

use std::time::Duration;

use coracle::client::blocking::{Cache, Client, Counter, Election, Lock};
use coracle::client::{Error, OperationResult, Transaction, WatchSpec};

use crate::common::clients::patient;
use crate::common::{Cluster, PATIENCE};

/// The calls of the blocking client, one after the other, through the death of a leader.
#[test]
fn the_blocking_client_does_what_the_other_one_does() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let mut client = Client::connect(cluster.addresses(), patient()).unwrap();
    let first = client.set("a", 0, b"1").unwrap();
    let mut watch = client.watch(WatchSpec::key("a").unwrap().from(first)).unwrap();
    assert_eq!(watch.next().unwrap().unwrap().revision, first);
    let cache = Cache::load(&client, "a").unwrap();
    let lease = client.lease(20).unwrap();
    client.set_with_lease("leased", 0, b"", lease.id()).unwrap();
    let lock = Lock::new("locks/blocking").unwrap().seconds(20);
    let guard = lock.acquire(&mut client).unwrap();

    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    let second = client.cas("a", 0, first, b"2").unwrap();
    assert_eq!(client.add("a", 0, b""), Err(Error::Exists { version: second }));
    assert_eq!(client.get("a").unwrap(), b"2");
    assert_eq!(client.getm("a").unwrap().version, second);
    assert_eq!(client.at(first).get("a").unwrap(), b"1");
    assert_eq!(watch.next_within(PATIENCE).unwrap().unwrap().revision, second);
    assert!(watch.next_within(Duration::from_millis(1)).is_none());
    cache.wait_for(second).unwrap();
    assert_eq!(cache.get("a").unwrap().value, b"2");
    let committed =
        client.transaction(Transaction::new().fence(guard.fence()).delete("a")).unwrap();
    assert_eq!(committed.results, [OperationResult::Deleted { was_there: true }]);
    cluster.start_server(leader);

    assert!(lease.is_alive() && guard.is_held());
    let mut other = client.sibling();
    assert!(lock.try_acquire(&mut other).unwrap().is_none());
    assert!(lock.acquire_within(&mut other, Duration::from_millis(100)).unwrap().is_none());
    guard.release().unwrap();
    assert!(lock.try_acquire(&mut other).unwrap().is_some());
    lease.revoke().unwrap();
    assert_eq!(client.get("leased"), Err(Error::NotFound));

    let mut counter = Counter::new("count").unwrap();
    assert_eq!(counter.add(&mut client, 3), Ok(3));
    let election = Election::new("elections/blocking").unwrap();
    let leadership = election.campaign(&mut client, b"me").unwrap();
    let mut observer = election.observe(&client).unwrap();
    assert_eq!(observer.wait().unwrap().unwrap().value, b"me");
    leadership.resign().unwrap();
    let (moment, mut later) = client.read_and_watch("count").unwrap();
    assert_eq!(moment.items.len(), 1);
    counter.add(&mut client, 1).unwrap();
    assert_eq!(later.next().unwrap().unwrap().revision, moment.revision + 1);
    other.close().unwrap();
    client.close().unwrap();
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coracle::client::recipes::Lock;
use coracle::client::{Client, Error, LeaseLost, Mode, Options, Transaction};
use futures_util::future::{join_all, ready};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::stopped::{Step, StoppedHolder};
use crate::common::clients::{block_on, connect, patient, running};
use crate::common::{Cluster, PATIENCE};

const CLIENTS: u64 = 6;
const TURNS: u64 = 8;

/// Raises a number by reading and writing it, which is right only under a lock.
async fn raise(servers: Vec<String>) {
    let mut client = Client::connect(servers, patient()).await.unwrap();
    let lock = Lock::new("locks/number").unwrap().seconds(20);
    let mut last_token = 0;
    for _ in 0..TURNS {
        let guard = lock.acquire(&mut client).await.unwrap();
        assert!(guard.token() > last_token, "tokens rise");
        last_token = guard.token();
        let number: u64 = match client.get("number").await {
            Ok(value) => String::from_utf8(value).unwrap().parse().unwrap(),
            Err(Error::NotFound) => 0,
            Err(error) => panic!("{error}"),
        };
        let next = (number + 1).to_string();
        let write = Transaction::new().fence(guard.fence()).set("number", 0, next.as_bytes());
        client.transaction(write).await.unwrap();
        // A try whose reply was lost with the leader may have been the one that released it.
        guard.release().await.unwrap();
    }
}

#[test]
fn a_lock_excludes_while_leaders_are_killed() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let servers = cluster.addresses();
    let raising = std::thread::spawn(move || {
        block_on(join_all((0..CLIENTS).map(|_| raise(servers.clone()))));
    });
    let number = |cluster: &Cluster| {
        block_on(async { connect(cluster).await.get("number").await })
            .map_or(0, |value| String::from_utf8(value).unwrap().parse().unwrap())
    };
    for part in 1..=3 {
        cluster.wait_for("further turns", || {
            (number(&cluster) >= 12 * part || raising.is_finished()).then_some(())
        });
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        cluster.start_server(leader);
    }
    raising.join().unwrap();
    assert_eq!(number(&cluster), CLIENTS * TURNS);
}

/// E13: a hand-over costs one revision however many wait, and the order is kept when the leader
/// dies in the middle.
#[test]
fn waiters_are_served_in_their_order_and_one_wakes_at_a_time() {
    const WAITERS: usize = 500;
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lock = Lock::new("locks/queue").unwrap().seconds(120);
    let servers = cluster.addresses();
    let (mut client, guard, mut arrivals) = runtime.block_on(async {
        let mut client = connect(&cluster).await;
        let guard = lock.acquire(&mut client).await.unwrap();
        let (_, arrivals) = client.read_and_watch("locks/queue/").await.unwrap();
        (client, guard, arrivals)
    });
    let mut waiters = Vec::new();
    let (ahead, mut on_turn) = mpsc::unbounded_channel();
    let (go_on, gate) = tokio::sync::watch::channel(0);
    for number in 0..WAITERS {
        let (servers, lock) = (servers.clone(), lock.clone().holder(number.to_string().as_bytes()));
        let (turns, ahead, mut gate) = (Arc::clone(&turns), ahead.clone(), gate.clone());
        waiters.push(runtime.spawn(async move {
            let mut client = Client::connect(servers, patient()).await.unwrap();
            let guard = lock.acquire(&mut client).await.unwrap();
            turns.lock().await.push((guard.token(), number));
            ahead.send(()).unwrap();
            gate.wait_for(|open| *open > number).await.unwrap();
            guard.release().await.unwrap()
        }));
        // Each comes behind the one before it.
        runtime.block_on(async {
            let place = timeout(PATIENCE, arrivals.next()).await.expect("it asks for a place");
            assert_eq!(place.unwrap().unwrap().changes.len(), 1);
        });
    }
    drop(arrivals);
    let (before, begun) = runtime.block_on(async {
        let begun = client.scan_all("locks/queue/").await.unwrap();
        assert_eq!(begun.items.len(), WAITERS + 1);
        guard.release().await.unwrap();
        (begun.revision, begun)
    });
    drop(begun);
    for number in 0..WAITERS {
        runtime.block_on(async {
            timeout(PATIENCE, on_turn.recv()).await.expect("the next one is woken").unwrap();
        });
        if number == WAITERS / 2 {
            let leader = cluster.wait_for_leader();
            cluster.kill(leader);
            cluster.start_server(leader);
        }
        go_on.send_modify(|open| *open += 1);
    }
    runtime.block_on(async {
        for waiter in waiters {
            waiter.await.unwrap();
        }
        // The holder's release, and one of each waiter: nobody wrote anything else.
        assert_eq!(client.revision().await.unwrap() - before, WAITERS as u64 + 1);
        let turns = turns.lock().await.clone();
        let numbers: Vec<usize> = turns.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..WAITERS).collect::<Vec<_>>());
        assert!(turns.windows(2).all(|two| two[0].0 < two[1].0), "tokens rise");
    });
}

/// E7: a waiter that was stopped for longer than its lease lasts does not get the lock.
#[test]
fn a_waiter_that_was_stopped_over_its_time_is_refused_and_the_next_one_holds() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let mut client = block_on(connect(&cluster));
    let lock = Lock::new("locks/e7").unwrap().seconds(60);
    let runtime = running();
    let guard = runtime.block_on(lock.acquire(&mut client)).unwrap();

    // It asks, and its runtime stands still as soon as its place is there.
    let (has_stopped, stopped) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let servers = cluster.addresses();
    let waiter = std::thread::spawn(move || {
        block_on(async {
            let mut client = Client::connect(servers, patient()).await.unwrap();
            let mut looker = client.sibling();
            let lock = Lock::new("locks/e7").unwrap().seconds(1);
            let stop = async {
                while looker.scan_all("locks/e7/").await.unwrap().items.len() < 2 {
                    tokio::task::yield_now().await;
                }
                has_stopped.send(()).unwrap();
                wait.recv().unwrap();
            };
            let (acquired, ()) = tokio::join!(lock.acquire(&mut client), stop);
            acquired.map(|guard| guard.token())
        })
    });
    stopped.recv().unwrap();
    cluster.wait_for("the place of the stopped waiter to be gone", || {
        let places = runtime.block_on(client.scan_all("locks/e7/")).unwrap().items;
        (places.len() == 1).then_some(())
    });
    runtime.block_on(guard.release()).unwrap();
    let next = runtime.block_on(lock.acquire(&mut client)).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(waiter.join().unwrap(), Err(Error::NoLease));
    assert!(next.is_held());
}

/// E8: a holder that was stopped over its time writes nothing any more.
#[test]
fn a_holder_that_was_stopped_over_its_time_is_fenced_off() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let stopped = StoppedHolder::start(cluster.addresses(), "locks/e8", 1, "fenced");
    assert!(matches!(stopped.next(), Step::Connected));
    stopped.go_on();
    let Step::Acquired(Ok(fence)) = stopped.next() else { panic!("nobody else holds it") };
    let runtime = running();
    runtime.block_on(async {
        let mut client = connect(&cluster).await;
        let lock = Lock::new("locks/e8").unwrap().seconds(60);
        let guard = lock.acquire(&mut client).await.unwrap();
        assert!(guard.token() > fence.token);
        let write = Transaction::new().fence(guard.fence()).set("fenced", 0, b"next");
        client.transaction(write).await.unwrap();
        stopped.go_on();
        match stopped.next() {
            Step::Written(Err(Error::Aborted { key, version: 0 })) => assert_eq!(key, fence.key),
            other => panic!("{other:?}"),
        }
        stopped.go_on();
        let Step::Lost(lost) = stopped.next() else { panic!("it was told nothing") };
        assert!(matches!(lost, LeaseLost::Ended | LeaseLost::Unconfirmed), "{lost}");
        assert_eq!(client.get("fenced").await.unwrap(), b"next");
        assert!(guard.is_held());
    });
    stopped.join();
}

/// E9: a holder whose connections are cut is told before the next one holds.
#[test]
fn a_holder_that_is_cut_off_is_told_before_the_next_one_holds() {
    let mut cluster = Cluster::prepare();
    let doors = cluster.put_behind_doors();
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_highest_format();
    let order = Arc::new(AtomicU64::new(0));
    block_on(async {
        let mut holder = Client::connect(doors.addresses(), patient()).await.unwrap();
        let lock = Lock::new("locks/e9").unwrap().seconds(3);
        let guard = lock.acquire(&mut holder).await.unwrap();
        doors.hold();
        // Past the doors: no server sends it elsewhere.
        let options = Options { mode: Mode::Any, ..patient() };
        let mut next = Client::connect(cluster.addresses(), options).await.unwrap();
        let lost = async {
            let lost = guard.lost().await;
            (lost, order.fetch_add(1, Ordering::SeqCst))
        };
        let held = async {
            let held = lock.acquire(&mut next).await.unwrap();
            (held, order.fetch_add(1, Ordering::SeqCst))
        };
        let ((lost, first), (held, second)) = tokio::join!(lost, held);
        assert_eq!(lost, LeaseLost::Unconfirmed);
        assert_eq!((first, second), (0, 1));
        assert!(held.token() > guard.token());
        assert!(!guard.is_held());
        doors.release();
    });
}

/// E17: a release, or an old `cas`, that is tried again hits nobody else's acquisition.
#[test]
fn a_release_that_is_tried_again_does_not_hit_the_next_holder() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    block_on(async {
        let mut client = connect(&cluster).await;
        let mut other = connect(&cluster).await;
        let lock = Lock::new("locks/e17").unwrap();
        let first = lock.acquire(&mut client).await.unwrap();
        let lease = first.lease().id();
        // The release whose reply is lost, and its second try after the lock went to another.
        assert_eq!(client.revoke(lease).await, Ok(true));
        let second = lock.acquire(&mut other).await.unwrap();
        assert_eq!(client.revoke(lease).await, Ok(false));
        assert_eq!(client.renew(lease).await, Err(Error::NoLease));
        assert_eq!(first.release().await, Ok(false));
        assert_eq!(other.getm(&second.fence().key).await.unwrap().version, second.token());
        assert_eq!(lock.try_acquire(&mut client).await.unwrap().map(|guard| guard.token()), None);

        let old = client.set("aba", 0, b"1").await.unwrap();
        client.delete("aba").await.unwrap();
        let new = client.set("aba", 0, b"1").await.unwrap();
        assert!(new > old);
        let late = client.cas("aba", 0, old, b"2").await;
        assert_eq!(late, Err(Error::VersionMismatch { version: new }));
        let late = client.transaction(Transaction::new().check("aba", old).delete("aba")).await;
        assert_eq!(late, Err(Error::Aborted { key: b"aba".to_vec(), version: new }));
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_no_place_behind() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    block_on(async {
        let mut client = connect(&cluster).await;
        let mut other = connect(&cluster).await;
        let lock = Lock::new("locks/given-up").unwrap().holder(b"the first");
        let guard = lock.try_acquire(&mut client).await.unwrap().unwrap();
        assert_eq!(lock.holder_of(&mut other).await.unwrap().unwrap(), b"the first");
        assert!(lock.try_acquire(&mut other).await.unwrap().is_none());
        let places = |places: usize| {
            let mut looker = client.sibling();
            async move {
                while looker.scan_all("locks/given-up/").await.unwrap().items.len() != places {
                    tokio::task::yield_now().await;
                }
            }
        };
        let given_up = lock.acquire_until(&mut other, places(2)).await.unwrap();
        assert!(given_up.is_none());
        let left = client.sibling().scan_all("locks/given-up/").await.unwrap();
        assert_eq!(left.items.len(), 1, "the place is gone when the call has returned");
        assert!(lock.acquire_until(&mut other, ready(())).await.unwrap().is_none());
        // A future that is dropped leaves in the background.
        tokio::select! {
            _ = lock.acquire(&mut other) => panic!("somebody holds it"),
            () = places(2) => {}
        }
        timeout(PATIENCE, places(1)).await.unwrap();
        drop(guard);
        timeout(PATIENCE, places(0)).await.unwrap();
        let stale = Options { mode: Mode::Stale, ..patient() };
        let mut stale = Client::connect(cluster.addresses(), stale).await.unwrap();
        let refused = lock.acquire(&mut stale).await.map(|guard| guard.token());
        assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
    });
}

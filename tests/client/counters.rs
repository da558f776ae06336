use coracle::client::Client;
use coracle::client::recipes::Counter;
use futures_util::future::join_all;

use crate::common::Cluster;
use crate::common::clients::{block_on, connect, patient};

const CLIENTS: i64 = 4;
const STEPS: i64 = 60;

/// Adds one `STEPS` times; returns the sums.
async fn count(servers: Vec<String>) -> Vec<i64> {
    let mut client = Client::connect(servers, patient()).await.unwrap();
    let mut counter = Counter::new("count").unwrap();
    let mut sums = Vec::new();
    for _ in 0..STEPS {
        sums.push(counter.add(&mut client, 1).await.unwrap());
    }
    sums
}

#[test]
fn a_counter_counts_each_call_once_while_leaders_are_killed() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let servers = cluster.addresses();
    let counting = std::thread::spawn(move || {
        block_on(join_all((0..CLIENTS).map(|_| count(servers.clone()))))
    });
    for part in 1..=3 {
        cluster.wait_for("further steps", || {
            let count = block_on(async {
                Counter::new("count").unwrap().get(&mut connect(&cluster).await).await.unwrap()
            });
            (count >= 50 * part || counting.is_finished()).then_some(())
        });
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        cluster.start_server(leader);
    }
    let mut sums = counting.join().unwrap().concat();
    sums.sort_unstable();
    assert_eq!(sums, (1..=CLIENTS * STEPS).collect::<Vec<_>>(), "each sum was returned once");
    block_on(async {
        let mut client = connect(&cluster).await;
        let mut counter = Counter::new("count").unwrap();
        assert_eq!(counter.add(&mut client, -240).await, Ok(0));
        assert_eq!(counter.add(&mut client, i64::MIN).await, Ok(i64::MIN));
        assert!(counter.add(&mut client, -1).await.is_err());
        assert_eq!(counter.get(&mut client).await, Ok(i64::MIN));
        client.set("count", 0, b"many").await.unwrap();
        assert!(counter.get(&mut client).await.is_err());
    });
}

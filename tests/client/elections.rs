use coracle::client::recipes::Election;
use coracle::client::{Client, Transaction};
use tokio::time::timeout;

use crate::common::clients::{block_on, connect, patient};
use crate::common::{Cluster, PATIENCE};

#[test]
fn candidates_lead_in_their_order_and_observers_see_each_while_leaders_of_the_cluster_are_killed() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let election = Election::new("elections/one").unwrap().seconds(30);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut observer = runtime.block_on(async {
        let client = connect(&cluster).await;
        let mut observer = election.observe(&client).await.unwrap();
        assert_eq!(observer.next().await.unwrap(), None);
        observer
    });
    let mut last_token = 0;
    for value in ["ada", "bob", "eve"] {
        let leadership = runtime.block_on(async {
            let mut client = connect(&cluster).await;
            let leadership = election.campaign(&mut client, value.as_bytes()).await.unwrap();
            let leader = election.leader(&mut client).await.unwrap().unwrap();
            assert_eq!((&leader.value[..], &leader.fence), (value.as_bytes(), leadership.fence()));
            leadership
        });
        assert!(leadership.token() > last_token);
        last_token = leadership.token();
        let killed = cluster.wait_for_leader();
        cluster.kill(killed);
        runtime.block_on(async {
            let seen = timeout(PATIENCE, observer.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(seen.value, value.as_bytes());
            let mut client = connect(&cluster).await;
            let write = Transaction::new().fence(leadership.fence()).set("led", 0, b"");
            client.transaction(write).await.unwrap();
            let fence = leadership.fence().clone();
            leadership.resign().await.unwrap();
            let late = Transaction::new().fence(&fence).set("led", 0, b"");
            assert!(client.transaction(late).await.is_err());
            let seen = timeout(PATIENCE, observer.next()).await.unwrap().unwrap();
            assert_eq!(seen, None);
        });
        cluster.start_server(killed);
    }
}

#[test]
fn the_next_candidate_leads_when_the_leader_has_died() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    let election = Election::new("elections/two").unwrap().seconds(1);
    // A process that dies takes its runtime with it, and nobody renews or revokes its lease.
    let dying = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, observer_client) = dying.block_on(async {
        let mut client = connect(&cluster).await;
        (election.campaign(&mut client, b"first").await.unwrap(), cluster.addresses())
    });
    let token = first.token();
    std::mem::forget(first);
    drop(dying);
    block_on(async {
        let mut client = Client::connect(observer_client, patient()).await.unwrap();
        let next = election.campaign(&mut client, b"second").await.unwrap();
        assert!(next.token() > token);
        assert_eq!(election.leader(&mut client).await.unwrap().unwrap().value, b"second");
    });
}

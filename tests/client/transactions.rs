use coracle::client::{Client, Error, OperationResult, Transaction};
use futures_util::future::join_all;

use crate::common::Cluster;
use crate::common::clients::{block_on, connect, patient};

const CLIENTS: u64 = 4;
const TRANSFERS: u64 = 60;

fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Both accounts, as of one moment, with their versions.
async fn accounts(client: &mut Client) -> [(i64, u64); 2] {
    let read = Transaction::new().getm("account/0").getm("account/1");
    let committed = client.transaction(read).await.unwrap();
    let account = |result: &OperationResult| match result {
        OperationResult::Item(Some(item)) => (number(&item.value), item.version),
        other => panic!("{other:?}"),
    };
    [account(&committed.results[0]), account(&committed.results[1])]
}

/// Moves money from one account to the other, `TRANSFERS` times. A transfer that was executed twice
/// would find its own mark.
async fn transfer(servers: Vec<String>, name: u64) {
    let mut client = Client::connect(servers, patient()).await.unwrap();
    for round in 0..TRANSFERS {
        let mark = format!("transfer/{name}/{round}");
        loop {
            let [(from, from_version), (to, to_version)] = accounts(&mut client).await;
            assert_eq!(from + to, 1_000, "a transaction is all there or not at all");
            let transaction = Transaction::new()
                .check("account/0", from_version)
                .check("account/1", to_version)
                .check(&mark, 0)
                .set("account/0", 0, (from - 1).to_string().as_bytes())
                .set("account/1", 0, (to + 1).to_string().as_bytes())
                .set(&mark, 0, b"done");
            match client.transaction(transaction).await {
                Ok(committed) => {
                    let stored = OperationResult::Stored { version: committed.revision };
                    assert_eq!(committed.results, [&stored; 3].map(Clone::clone));
                    break;
                }
                Err(Error::Aborted { key, .. }) => {
                    assert_ne!(key, mark.as_bytes(), "a transfer was executed twice");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn transactions_are_executed_once_and_whole_while_leaders_are_killed() {
    let mut cluster = Cluster::start();
    cluster.wait_for_highest_format();
    block_on(async {
        let mut client = connect(&cluster).await;
        let set = Transaction::new().set("account/0", 0, b"1000").set("account/1", 0, b"0");
        client.transaction(set).await.unwrap();
    });
    let servers = cluster.addresses();
    let transfers = std::thread::spawn(move || {
        block_on(async {
            join_all((0..CLIENTS).map(|name| transfer(servers.clone(), name))).await;
        });
    });
    for part in 1..=3 {
        // A few transfers between two deaths, so that each comes in the middle of some.
        cluster.wait_for("further transfers", || {
            let moved = block_on(async { accounts(&mut connect(&cluster).await).await[1].0 });
            (moved >= 50 * part || transfers.is_finished()).then_some(())
        });
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        cluster.start_server(leader);
    }
    transfers.join().unwrap();
    block_on(async {
        let mut client = connect(&cluster).await;
        let moved = (CLIENTS * TRANSFERS) as i64;
        let [(from, _), (to, _)] = accounts(&mut client).await;
        assert_eq!((from, to), (1_000 - moved, moved));
        assert_eq!(client.scan_all("transfer/").await.unwrap().items.len() as i64, moved);
    });
}

#[test]
fn a_transaction_sees_its_own_writes_and_a_failed_check_changes_nothing() {
    let cluster = Cluster::start();
    cluster.wait_for_highest_format();
    block_on(async {
        let mut client = connect(&cluster).await;
        let version = client.set("a", 0, b"1").await.unwrap();
        let transaction = Transaction::new()
            .check("a", version)
            .check("b", 0)
            .get("a")
            .set("a", 0, b"2")
            .get("a")
            .delete("a2")
            .getm("b");
        let committed = client.transaction(transaction).await.unwrap();
        assert_eq!(committed.revision, version + 1);
        let expected = [
            OperationResult::Value(Some(b"1".to_vec())),
            OperationResult::Stored { version: version + 1 },
            OperationResult::Value(Some(b"2".to_vec())),
            OperationResult::Deleted { was_there: false },
            OperationResult::Item(None),
        ];
        assert_eq!(committed.results, expected);

        let late = Transaction::new().check("b", 0).check("a", version).set("b", 0, b"x");
        let aborted = client.transaction(late).await;
        let (key, version) = (b"a".to_vec(), version + 1);
        assert_eq!(aborted, Err(Error::Aborted { key, version }));
        assert_eq!(client.get("b").await, Err(Error::NotFound));
        assert_eq!(client.revision().await, Ok(version));
        // A key that is written twice is refused before anything is done.
        let twice = Transaction::new().set("a", 0, b"3").set("a", 0, b"4");
        assert!(matches!(client.transaction(twice).await, Err(Error::Refused { .. })));
        assert_eq!(client.get("a").await.unwrap(), b"2");
        // The connection goes on, and history has what was.
        assert_eq!(client.at(version - 1).get("a").await.unwrap(), b"1");
        let future = client.at(version + 1).get("a").await;
        assert_eq!(future, Err(Error::Future { revision: version }));
        client.compact(version).await.unwrap();
        let gone = client.at(version - 1).get("a").await;
        assert_eq!(gone, Err(Error::Compacted { revision: version }));
    });
}

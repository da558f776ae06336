use crate::client::tests::{Act, Fake, client, hasty, patient, say, without_once};
use crate::client::{Error, Fence, Mode, OperationResult, Options, Transaction};

#[tokio::test]
async fn a_transaction_and_its_results_pass_as_the_protocol_says() {
    let begun = || say("OK");
    let queued = || say("QUEUED");
    let mut script = vec![begun()];
    script.extend((0..8).map(|_| queued()));
    script.push(say(
        "COMMITTED 9 7\r\nOK 9\r\nOK 9\r\nDELETED\r\nERR_NOT_FOUND\r\nVALUE 1\r\nx\r\n\
         ERR_NOT_FOUND\r\n\
         VALUE 9 5 2\r\nyz",
    ));
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let fence = Fence { key: b"lock/1".to_vec(), token: 7 };
    let transaction = Transaction::new()
        .fence(&fence)
        .set("a", 0, b"x")
        .set_with_lease("b", 5, b"yz", 12)
        .delete("c")
        .delete("d")
        .get("a")
        .get("c")
        .getm("b");
    let committed = client.transaction(transaction).await.unwrap();
    assert_eq!(committed.revision, 9);
    let [a, b, c, d, x, none, yz] = &committed.results[..] else {
        panic!("{committed:?}");
    };
    assert_eq!([a, b], [&OperationResult::Stored { version: 9 }; 2]);
    assert_eq!(c, &OperationResult::Deleted { was_there: true });
    assert_eq!(d, &OperationResult::Deleted { was_there: false });
    assert_eq!(x, &OperationResult::Value(Some(b"x".to_vec())));
    assert_eq!(none, &OperationResult::Value(None));
    let OperationResult::Item(Some(item)) = yz else { panic!("{yz:?}") };
    assert_eq!((&item.key[..], item.version, item.exptime), (&b"b"[..], 9, 5));

    let received = fake.received();
    assert_eq!(received[0], "begin\r\n");
    assert_eq!(received[1], "check lock/1 7\r\n");
    assert_eq!(received[2], "set a 0 1\r\nx\r\n");
    assert_eq!(received[3], "set b 5 2 lease 12\r\nyz\r\n");
    assert_eq!(received[4..8], ["delete c\r\n", "delete d\r\n", "get a\r\n", "get c\r\n"]);
    assert_eq!(received[8], "getm b\r\n");
    assert_eq!(without_once(&received[9]).0, "commit\r\n");
}

#[tokio::test]
async fn a_transaction_that_only_reads_uses_no_number() {
    let script = vec![
        say("OK"),
        say("QUEUED"),
        say("COMMITTED 4 1\r\nERR_COMPACTED 3"),
        say("OK"),
        say("COMMITTED 5 0"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let committed = client.transaction(Transaction::new().get("a")).await.unwrap();
    assert_eq!(committed.results, [OperationResult::Compacted { revision: 3 }]);
    assert_eq!(client.revision().await, Ok(5));
    assert_eq!(fake.received()[2], "commit\r\n");
}

#[tokio::test]
async fn a_check_that_does_not_hold_is_told_with_its_key() {
    let script = vec![say("OK"), say("QUEUED"), say("QUEUED"), say("ABORTED a 3")];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let transaction = Transaction::new().check("a", 2).delete("b");
    let aborted = client.transaction(transaction).await;
    assert_eq!(aborted, Err(Error::Aborted { key: b"a".to_vec(), version: 3 }));
}

/// A server from before transactions would execute what comes behind `begin`.
#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_know_begin() {
    let fake = Fake::start(vec![say("ERR_CMD_ERR unknown command; help lists them")]).await;
    let mut client = client(&[&fake], patient()).await;
    let refused = client.transaction(Transaction::new().set("a", 0, b"")).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert_eq!(fake.received(), ["begin\r\n"]);
}

#[tokio::test]
async fn a_command_that_is_refused_is_the_reason_for_the_refused_commit() {
    let script = vec![
        say("OK"),
        say("ERR_TOO_LARGE the value is over its limit"),
        say("ERR_CMD_ERR a command of the transaction was refused"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let refused = client.transaction(Transaction::new().set("a", 0, b"long")).await;
    let reply = "ERR_TOO_LARGE the value is over its limit".to_owned();
    assert_eq!(refused, Err(Error::Refused { reply }));
}

#[tokio::test]
async fn a_transaction_is_tried_again_under_its_number() {
    let script = vec![
        say("OK"),
        say("QUEUED"),
        Act::Close,
        say("OK"),
        say("QUEUED"),
        say("ERR_NO_LEADER"),
        say("OK"),
        say("QUEUED"),
        say("COMMITTED 3 1\r\nOK 3"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let committed = client.transaction(Transaction::new().set("a", 0, b"")).await.unwrap();
    assert_eq!(committed.revision, 3);
    let received = fake.received();
    assert_eq!(received[2], received[5]);
    assert_eq!(received[2], received[8]);
}

#[tokio::test]
async fn a_transaction_whose_reply_is_lost_is_in_doubt() {
    let fake = Fake::start(vec![say("OK"), say("QUEUED"), Act::Close, say("ERR_BUSY")]).await;
    let mut writer = client(&[&fake], hasty()).await;
    let lost = writer.transaction(Transaction::new().set("a", 0, b"")).await;
    assert!(matches!(lost, Err(Error::Unknown { .. })), "{lost:?}");
    // One that only reads has no effect that could be in doubt.
    let fake = Fake::start(vec![say("OK"), say("QUEUED"), Act::Close, say("ERR_BUSY")]).await;
    let mut reader = client(&[&fake], hasty()).await;
    let lost = reader.transaction(Transaction::new().get("a")).await;
    assert!(matches!(lost, Err(Error::Unavailable { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_key_that_the_protocol_cannot_express_is_told_before_anything_is_sent() {
    let fake = Fake::start(vec![say("OK")]).await;
    let mut client = client(&[&fake], patient()).await;
    let transaction = Transaction::new().check("a", 0).set("b\r\ndelete c", 0, b"").get("d");
    let refused = client.transaction(transaction).await;
    assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
    assert!(fake.received().is_empty());
}

#[tokio::test]
async fn each_connection_is_set_to_the_mode_before_anything_else() {
    let script = vec![say("OK"), say("VALUE 1\r\nx"), Act::Close, say("OK"), say("VALUE 1\r\ny")];
    let fake = Fake::start(script).await;
    let options = Options { mode: Mode::Any, ..patient() };
    let mut reader = client(&[&fake], options).await;
    assert_eq!(reader.get("a").await.unwrap(), b"x");
    assert_eq!(reader.get("a").await.unwrap(), b"y");
    assert_eq!(
        fake.received(),
        ["mode any\r\n", "get a\r\n", "get a\r\n", "mode any\r\n", "get a\r\n"]
    );

    // A server that does not know modes redirects, which is as good.
    let fake = Fake::start(vec![say("ERR_CMD_ERR unknown command"), say("VALUE 1\r\nx")]).await;
    let mut reader = client(&[&fake], Options { mode: Mode::Stale, ..patient() }).await;
    assert_eq!(reader.get("a").await.unwrap(), b"x");
    assert_eq!(fake.received()[0], "mode stale\r\n");
}

#[tokio::test]
async fn reads_at_a_revision_pass_as_the_protocol_says() {
    let script = vec![
        say("VALUE 1\r\nx"),
        say("VALUE 3 0 1\r\nx"),
        say("END"),
        say("ERR_COMPACTED 4"),
        say("ERR_FUTURE 9"),
        say("OK"),
        say("COMMITTED 9 0"),
        say("OK 8"),
        say("ERR_COMPACTED 8"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.at(3).get("a").await.unwrap(), b"x");
    assert_eq!(client.at(3).getm("a").await.unwrap().version, 3);
    assert!(client.at(3).scan("", 5, Some(b"a")).await.unwrap().items.is_empty());
    assert_eq!(client.at(3).get("a").await, Err(Error::Compacted { revision: 4 }));
    assert_eq!(client.at(10).get("a").await, Err(Error::Future { revision: 9 }));
    assert_eq!(client.compact(8).await, Ok(8));
    assert_eq!(client.compact(7).await, Ok(8));
    assert!(matches!(client.at(0).get("a").await, Err(Error::InvalidArgument(_))));
    let received = fake.received();
    assert_eq!(received[0], "get a at 3\r\n");
    assert_eq!(received[1], "getm a at 3\r\n");
    assert_eq!(received[2], "scan * 5 after a at 3\r\n");
    assert_eq!(received[4..7], ["get a at 10\r\n", "begin\r\n", "commit\r\n"]);
    assert_eq!(received[7], "compact 8\r\n");
}

/// The first server is behind: the write of the revision was acknowledged by another one.
#[tokio::test]
async fn a_read_at_a_revision_that_a_server_has_not_come_to_is_tried_again() {
    let script =
        vec![say("ERR_FUTURE 2"), say("OK"), say("COMMITTED 4 0"), say("KEY a 3 0 1\r\nx\r\nEND")];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.at(3).scan("", 5, None).await.unwrap().items.len(), 1);
    let scan = "scan * 5 at 3\r\n";
    assert_eq!(fake.received(), [scan, "begin\r\n", "commit\r\n", scan]);
}

/// The history may be shorter than the reading takes.
#[tokio::test]
async fn all_keys_are_read_at_one_revision_which_is_another_one_when_that_is_compacted() {
    let script = vec![
        say("OK"),
        say("COMMITTED 5 0"),
        say("KEY a 3 0 1\r\nx\r\nMORE"),
        say("ERR_COMPACTED 6"),
        say("OK"),
        say("COMMITTED 7 0"),
        say("KEY a 7 0 1\r\ny\r\nMORE"),
        say("KEY b 4 0 1\r\nz\r\nEND"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let moment = client.scan_all("").await.unwrap();
    assert_eq!(moment.revision, 7);
    let items: Vec<_> = moment.items.iter().map(|item| (&item.key[..], &item.value[..])).collect();
    assert_eq!(items, [(&b"a"[..], &b"y"[..]), (&b"b"[..], &b"z"[..])]);
    let received = fake.received();
    assert_eq!(received[3], "scan * 1000 after a at 5\r\n");
    assert_eq!(received[6], "scan * 1000 at 7\r\n");
}

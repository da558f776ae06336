use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::reader::{CheckTimes, Reader};
use super::{ChangeKind, Changes, Watch, WatchSpec};
use crate::client::tests::{Act, Fake, client, hasty, patient, say};
use crate::client::{Client, Error};
use crate::commands::KeyRange;
use crate::protocol::WatchRequest;

fn say_and_close(text: &str) -> Act {
    Act::SayAndClose(text.to_owned())
}

/// A change in short: the key, and the value if it was written.
fn short(changes: &Changes) -> (u64, Vec<String>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let each = changes.changes.iter().map(|change| match &change.kind {
        ChangeKind::Set { value, .. } => format!("{}={}", text(&change.key), text(value)),
        ChangeKind::Deleted => format!("{} deleted", text(&change.key)),
        ChangeKind::Expired => format!("{} expired", text(&change.key)),
    });
    (changes.revision, each.collect())
}

async fn next(watch: &mut Watch) -> (u64, Vec<String>) {
    short(&watch.next().await.unwrap().unwrap())
}

fn told(revision: u64, changes: &[&str]) -> (u64, Vec<String>) {
    (revision, changes.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn a_watch_passes_as_the_protocol_says() {
    let stream = "WATCHING 5\r\nPREV a 3 1\r\nw\r\nSET a 5 9 1\r\nx\r\nDELETED b 5\r\nEND 5\r\n\
                  END 8\r\nEXPIRED c 9\r\nEND 9\r\n";
    let fake = Fake::start(vec![Act::Say(stream.to_owned())]).await;
    let client = client(&[&fake], patient()).await;
    let spec = WatchSpec::prefix("").unwrap().from(5).with_previous().with_progress();
    let mut watch = client.watch(spec).await.unwrap();
    assert_eq!(watch.revision(), 4);
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(short(&first), told(5, &["a=x", "b deleted"]));
    let previous = first.changes[0].previous.as_ref().unwrap();
    assert_eq!((previous.version, &previous.value[..]), (3, &b"w"[..]));
    let ChangeKind::Set { exptime, .. } = first.changes[0].kind else { panic!("{first:?}") };
    assert_eq!(exptime, 9);
    assert_eq!(next(&mut watch).await, told(8, &[]));
    assert_eq!(next(&mut watch).await, told(9, &["c expired"]));
    assert_eq!(watch.revision(), 9);
    assert_eq!(fake.received(), ["watch prefix * from 5 prev\r\n"]);
}

#[tokio::test]
async fn a_watch_goes_on_behind_the_last_whole_revision() {
    let first = "WATCHING 5\r\nSET a 5 0 1\r\nx\r\nEND 5\r\nEND 6\r\nSET a 7 0 1\r\ny\r\n";
    let second = "WATCHING 7\r\nSET a 7 0 1\r\ny\r\nDELETED a2 7\r\nEND 7\r\n";
    let fake = Fake::start(vec![say_and_close(first), Act::Say(second.to_owned())]).await;
    let client = client(&[&fake], patient()).await;
    let mut watch = client.watch(WatchSpec::prefix("a").unwrap()).await.unwrap();
    assert_eq!(next(&mut watch).await, told(5, &["a=x"]));
    assert_eq!(next(&mut watch).await, told(7, &["a=y", "a2 deleted"]));
    assert_eq!(fake.received(), ["watch prefix a\r\n", "watch prefix a from 7\r\n"]);
}

#[tokio::test]
async fn a_server_that_repeats_or_tears_a_revision_is_left() {
    for wrong in [
        "WATCHING 6\r\nSET a 5 0 1\r\nx\r\nEND 5\r\n",
        "WATCHING 6\r\nSET a 6 0 1\r\nx\r\nSET a 7 0 1\r\nx\r\nEND 7\r\n",
        "WATCHING 6\r\nSET a 6 0 1\r\nx\r\nEND 7\r\n",
        "WATCHING 6\r\nEND 9\r\nSET a 8 0 1\r\nx\r\nEND 8\r\n",
        "WATCHING 6\r\nHELLO\r\n",
        "ERR_BUSY\r\n",
        "ERR_NO_LEADER\r\n",
    ] {
        let script = vec![
            say_and_close("WATCHING 5\r\nSET a 5 0 1\r\nw\r\nEND 5\r\n"),
            Act::Say(wrong.to_owned()),
            Act::Say("WATCHING 6\r\nSET a 10 0 1\r\ny\r\nEND 10\r\n".to_owned()),
        ];
        let fake = Fake::start(script).await;
        let client = client(&[&fake], patient()).await;
        let mut watch = client.watch(WatchSpec::key("a").unwrap().from(5)).await.unwrap();
        assert_eq!(next(&mut watch).await, told(5, &["a=w"]));
        assert_eq!(next(&mut watch).await, told(10, &["a=y"]), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_watch_that_is_compacted_ends_and_says_where_to_go_on() {
    let fake = Fake::start(vec![say("ERR_COMPACTED 9")]).await;
    let reader = client(&[&fake], patient()).await;
    let refused = reader.watch(WatchSpec::key("a").unwrap().from(3)).await.unwrap_err();
    assert_eq!(refused, Error::Compacted { revision: 9 });

    let stream = "WATCHING 3\r\nSET a 3 0 1\r\nx\r\nEND 3\r\nERR_COMPACTED 9\r\n";
    let fake = Fake::start(vec![say_and_close(stream)]).await;
    let reader = client(&[&fake], patient()).await;
    let mut watch = reader.watch(WatchSpec::key("a").unwrap().from(3)).await.unwrap();
    assert_eq!(next(&mut watch).await, told(3, &["a=x"]));
    assert_eq!(watch.next().await, Some(Err(Error::Compacted { revision: 9 })));
    assert_eq!(watch.next().await, None);
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_that_no_server_begins_is_not_begun() {
    let fake = Fake::start(vec![say("ERR_BUSY")]).await;
    let reader = client(&[&fake], hasty()).await;
    let refused = reader.watch(WatchSpec::key("a").unwrap()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    for reply in ["ERR_NOT_YET the format is too low", "ERR_CMD_ERR unknown command"] {
        let fake = Fake::start(vec![say(reply)]).await;
        let reader = client(&[&fake], patient()).await;
        let refused = reader.watch(WatchSpec::key("a").unwrap()).await.unwrap_err();
        assert!(matches!(refused, Error::NotYet { .. } | Error::Refused { .. }), "{refused:?}");
    }
}

/// A server with a history that ends each connection after a number of bytes.
async fn server_that_cuts(history: Vec<(u64, String)>, cut: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (history, cut) = (history.clone(), Arc::clone(&cut));
            tokio::spawn(async move {
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                    if line.starts_with("member list") {
                        stream.get_mut().write_all(b"ERR_CMD_ERR unknown\r\n").await.unwrap();
                    }
                    if let Some((_, from)) = line.trim_end().split_once(" from ") {
                        let from: u64 = from.parse().unwrap();
                        let rest = history.iter().filter(|(revision, _)| *revision >= from);
                        let text: String = rest.map(|(_, text)| text.as_str()).collect();
                        let text = format!("WATCHING {from}\r\n{text}");
                        // Each connection brings a byte more than the last one.
                        let bytes = cut.fetch_add(1, Ordering::SeqCst) as usize;
                        let sent = &text.as_bytes()[..bytes.min(text.len())];
                        let _ = stream.get_mut().write_all(sent).await;
                        if bytes < text.len() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// E6: a connection that is cut anywhere tears no revision, loses and repeats nothing.
#[tokio::test]
async fn a_stream_that_is_cut_at_every_byte_tells_each_revision_once_and_whole() {
    let history: Vec<(u64, String)> = (1..=4)
        .map(|revision| {
            let change = |key: &str| format!("SET {key} {revision} 0 2\r\n\r\n\r\n");
            (revision, format!("{}{}END {revision}\r\n", change("a"), change("b")))
        })
        .collect();
    let longest: usize = history.iter().map(|(_, text)| text.len()).sum::<usize>() + 20;
    for cut in 0..longest {
        let cuts = Arc::new(AtomicU64::new(cut as u64));
        let address = server_that_cuts(history.clone(), Arc::clone(&cuts)).await;
        let client = Client::connect([address], patient()).await.unwrap();
        let mut watch = client.watch(WatchSpec::prefix("").unwrap().from(1)).await.unwrap();
        for revision in 1..=4 {
            let whole = told(revision, &["a=\r\n", "b=\r\n"]);
            assert_eq!(next(&mut watch).await, whole, "cut after {cut} bytes");
        }
    }
}

/// Begins a watch that looks soon whether its server is cut off.
async fn suspicious(client: &Client, from: u64) -> Reader {
    let keys = KeyRange::prefix(bytes::Bytes::new());
    let request = WatchRequest { keys, from: Some(from), wants_previous: false };
    let mut reader = Reader::new(client.sibling(), request, false, Arc::default());
    reader.set_check_times(CheckTimes {
        silence: Duration::from_millis(20),
        patience: Duration::from_millis(50),
    });
    reader.begin(Some(Duration::from_secs(60))).await.unwrap();
    reader
}

#[tokio::test]
async fn a_watch_leaves_a_server_that_has_not_come_to_the_revision_of_the_cluster() {
    let cut_off =
        Fake::start(vec![say("WATCHING 5"), say("OK"), say("COMMITTED 9 0"), Act::Ignore]).await;
    let other = Fake::start(vec![Act::Say("WATCHING 5\r\nDELETED a 9\r\nEND 9\r\n".into())]).await;
    let client = client(&[&cut_off, &other], patient()).await;
    let mut reader = suspicious(&client, 5).await;
    assert_eq!(short(&reader.next().await.unwrap()), told(9, &["a deleted"]));
    assert_eq!(other.received(), ["watch prefix * from 5\r\n"]);
}

/// The cluster was restored from a backup: what the watch has told is not so any more.
#[tokio::test]
async fn a_watch_of_a_cluster_that_went_back_ends() {
    let script = vec![
        Act::Say("WATCHING 5\r\nDELETED a 8\r\nEND 8\r\n".into()),
        say("OK"),
        say("COMMITTED 3 0"),
    ];
    let fake = Fake::start(script).await;
    let client = client(&[&fake], patient()).await;
    let mut reader = suspicious(&client, 5).await;
    assert_eq!(short(&reader.next().await.unwrap()), told(8, &["a deleted"]));
    assert_eq!(reader.next().await, Err(Error::Future { revision: 3 }));
}

#[tokio::test]
async fn a_watch_that_the_protocol_cannot_express_is_not_sent() {
    for spec in [WatchSpec::key(""), WatchSpec::key("a b"), WatchSpec::prefix("*")] {
        assert!(matches!(spec, Err(Error::InvalidArgument(_))), "{spec:?}");
    }
    let fake = Fake::start(vec![say("WATCHING 5")]).await;
    let client = client(&[&fake], patient()).await;
    let refused = client.watch(WatchSpec::key("a").unwrap().from(0)).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument(_)), "{refused:?}");
    assert!(fake.received().is_empty());
}

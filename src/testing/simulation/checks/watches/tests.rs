use bytes::Bytes;

use super::*;
use crate::kv::{Command, KeyRange, Operation, Put, Transaction, TransactionOperation};
use crate::protocol::WatchPrevious;
use crate::testing::simulation::history::Server;
use crate::types::{Entry, Format, FormatInForce, LogIndex, Payload, Term};

fn put(key: &'static str, value: &'static str) -> TransactionOperation {
    TransactionOperation::Put(Put {
        key: key.into(),
        value: Some(value.into()),
        lease: Some(0),
        exptime: 0,
        wants_previous: false,
    })
}

/// A store of format 4: revision 2 sets `k1` and `k2`, revision 3 removes `k1`.
fn reference() -> ReferenceStore {
    let raise = |format| Payload::Format(FormatInForce::of(Format(format)).in_unwritten_log());
    let transaction = |then| {
        let transaction = Transaction { then, ..Transaction::default() };
        let operation = Operation::Transaction(transaction);
        Payload::Command(Command { once: None, store_bytes_max: 0, operation }.encode())
    };
    let keys = KeyRange::key("k1".into());
    let delete = TransactionOperation::Delete { keys, wants_previous: false };
    let payloads = [
        raise(2),
        raise(3),
        raise(4),
        transaction(vec![put("k1", "a"), put("k2", "b")]),
        transaction(vec![delete]),
    ];
    let entry =
        |(index, payload)| Entry { index: LogIndex(index), term: Term(1), stamp_ms: 10, payload };
    let entries: Vec<Entry> = (1..).zip(payloads).map(entry).collect();
    ReferenceStore::of(&entries)
}

fn set(key: &'static str, value: &'static str) -> WatchPart {
    let kind = WatchKind::Set { exptime: 0, value: value.into() };
    WatchPart::Event(WatchEvent { key: key.into(), revision: 2, kind, previous: None })
}

fn deleted() -> WatchPart {
    let previous = Some(WatchPrevious { revision: 2, value: "a".into() });
    let kind = WatchKind::Deleted;
    WatchPart::Event(WatchEvent { key: "k1".into(), revision: 3, kind, previous })
}

fn end(revision: u64) -> WatchPart {
    WatchPart::End { revision }
}

fn is_good(from: u64, is_last: bool, parts: &[WatchPart]) -> bool {
    is_good_of(false, from, is_last, parts)
}

/// The same of a server that was removed, or was not.
fn is_good_of(is_removed: bool, from: u64, is_last: bool, parts: &[WatchPart]) -> bool {
    let wants = WatchWish { key: Bytes::from("k"), is_prefix: true, wants_previous: true };
    let stream = WatchStream {
        watcher: 1,
        server: Server { id: 1, life: 1 },
        wants,
        from: Some(from),
        begun: Some(from),
        parts: parts.to_vec(),
        is_last,
    };
    check_stream(&reference(), &stream, 3, is_removed).is_ok()
}

#[test]
fn a_stream_is_the_history_from_its_start() {
    let all = [set("k1", "a"), set("k2", "b"), end(2), deleted(), end(3)];
    assert!(is_good(2, true, &all));
    assert!(is_good(1, true, &all));
    assert!(is_good(3, true, &all[3..]), "as one that goes on");
    assert!(is_good(2, false, &all[..1]), "the connection was lost");
    assert!(!is_good(2, true, &all[..3]), "it never comes to the end");
    assert!(!is_good(3, true, &all), "it comes again");
}

#[test]
fn a_stream_with_any_mistake_is_found() {
    assert!(!is_good(2, false, &[set("k2", "b"), set("k1", "a")]), "out of order");
    assert!(!is_good(2, false, &[set("k1", "a"), set("k1", "a")]), "twice");
    assert!(!is_good(2, false, &[set("k1", "b")]), "another value");
    assert!(!is_good(2, false, &[set("k1", "a"), end(2)]), "a revision is torn");
    assert!(!is_good(2, false, &[set("k1", "a"), set("k2", "b"), deleted()]), "without END");
    assert!(!is_good(2, false, &[end(3)]), "all is missing");
    assert!(!is_good(4, false, &[end(4)]), "the store never came so far");
    assert!(!is_good(4, false, &[end(2)]), "it goes back");
    let compacted = |revision| WatchPart::Ended(ErrorReply::Compacted { revision });
    assert!(!is_good(2, false, &[compacted(2)]), "all is kept from 1 on");
    assert!(is_good(1, false, &[compacted(1)]));
    let leaderless = [WatchPart::Ended(ErrorReply::NoLeader)];
    assert!(!is_good_of(false, 2, false, &leaderless), "a member goes on");
    assert!(is_good_of(true, 2, false, &leaderless));
}

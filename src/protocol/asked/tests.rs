use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::kv::RangeAnswer;

const CLOCK_MS: u64 = 10_000;

fn outcome(operations: Vec<OperationOutcome>) -> Arc<TransactionOutcome> {
    Arc::new(TransactionOutcome { revision: 9, clock_ms: CLOCK_MS, failed: None, operations })
}

fn read(record: Option<Record>) -> OperationOutcome {
    let records = record.map(|record| (Bytes::from("k"), record));
    let count = records.iter().count() as u64;
    OperationOutcome::Read(RangeAnswer { records: records.into_iter().collect(), count })
}

fn record(deadline_ms: Option<u64>) -> Record {
    Record::for_tests(b"k", b"value", 7, deadline_ms)
}

#[test]
fn a_transaction_is_answered_command_by_command() {
    use Queued::{Delete, Get, GetMeta, Set};
    let asked = Asked::Transaction(vec![Set, Delete, Delete, Get, Get, GetMeta, GetMeta, Get]);
    let delete = |deleted| OperationOutcome::Delete { deleted, previous: Vec::new() };
    let outcome = outcome(vec![
        OperationOutcome::Put { previous: None },
        delete(1),
        delete(0),
        read(Some(record(None))),
        read(None),
        read(Some(record(None))),
        read(Some(record(Some(CLOCK_MS + 1_001)))),
        OperationOutcome::Compacted { revision: 5 },
    ]);
    let meta = |exptime| Reply::Meta(Item { value: "value".into(), version: 7, exptime });
    let replies = vec![
        Reply::Stored { version: 9 },
        Reply::Deleted,
        Reply::Error(ErrorReply::NotFound),
        Reply::Value("value".into()),
        Reply::Error(ErrorReply::NotFound),
        meta(0),
        meta(2),
        Reply::Error(ErrorReply::Compacted { revision: 5 }),
    ];
    let expected = Reply::Committed { revision: 9, replies };
    assert_eq!(asked.reply_to_write(Outcome::Transaction(Arc::clone(&outcome))), expected);
    assert_eq!(asked.reply_to_read(Answer::Transaction(outcome)), expected);
}

#[test]
fn a_check_that_did_not_hold_is_named() {
    let failed = Some(FailedCompare { key: "k".into(), mod_revision: 4 });
    let outcome = TransactionOutcome { revision: 9, clock_ms: 0, failed, operations: Vec::new() };
    let reply =
        Asked::Transaction(vec![Queued::Set]).reply_to_read(Answer::Transaction(Arc::new(outcome)));
    assert_eq!(reply, Reply::Aborted { key: "k".into(), version: 4 });
}

/// A `once` whose number was used is answered with what is remembered, whatever was asked now.
#[test]
fn a_remembered_outcome_of_another_command_is_told() {
    let put = outcome(vec![OperationOutcome::Put { previous: None }, read(Some(record(None)))]);
    let replies = vec![Reply::Stored { version: 9 }, Reply::Value("value".into())];
    assert_eq!(
        Asked::Plain.reply_to_write(Outcome::Transaction(put)),
        Reply::Committed { revision: 9, replies }
    );
    let asked = Asked::Transaction(vec![Queued::Get]);
    assert_eq!(asked.reply_to_write(Outcome::Stored { version: 3 }), Reply::Stored { version: 3 });
}

#[test]
fn the_lease_of_the_question_is_in_the_reply() {
    let asked = Asked::Lease(77);
    let renewed = |seconds| asked.reply_to_write(Outcome::Renewed(vec![seconds]));
    assert_eq!(renewed(Some(30)), Reply::Lease { id: 77, seconds: 30 });
    assert_eq!(renewed(None), Reply::Error(ErrorReply::NoLease));
    let keys_of = |count: usize| {
        let keys = (0..count).map(|n| Bytes::from(n.to_string())).collect();
        match asked.reply_to_read(Answer::Lease { left: 3, ttl: 30, keys }) {
            Reply::LeaseKeys { id: 77, left: 3, keys, more } => (keys.len(), more),
            reply => panic!("{reply:?}"),
        }
    };
    assert_eq!(keys_of(0), (0, false));
    assert_eq!(keys_of(LEASE_KEYS_MAX), (LEASE_KEYS_MAX, false));
    assert_eq!(keys_of(LEASE_KEYS_MAX + 1), (LEASE_KEYS_MAX, true));
    assert_eq!(
        Asked::Plain.reply_to_write(Outcome::Granted { id: 5, ttl: 60 }),
        Reply::Lease { id: 5, seconds: 60 }
    );
}

#[test]
fn the_refusals_of_the_store_have_their_errors() {
    let error = |outcome| match Asked::Plain.reply_to_write(outcome) {
        Reply::Error(error) => error,
        reply => panic!("{reply:?}"),
    };
    assert_eq!(error(Outcome::NoLease), ErrorReply::NoLease);
    assert_eq!(error(Outcome::LeaseExists), ErrorReply::LeaseExists);
    assert_eq!(
        error(Outcome::AlreadyCompacted { revision: 8 }),
        ErrorReply::Compacted { revision: 8 }
    );
    assert_eq!(error(Outcome::Future { revision: 8 }), ErrorReply::Future { revision: 8 });
    assert_eq!(error(Outcome::Full), ErrorReply::Full);
    let of_read = |answer| Asked::Plain.reply_to_read(answer);
    assert_eq!(of_read(Answer::NoLease), Reply::Error(ErrorReply::NoLease));
    let compacted = Reply::Error(ErrorReply::Compacted { revision: 8 });
    assert_eq!(of_read(Answer::Compacted { revision: 8 }), compacted);
    let future = Reply::Error(ErrorReply::Future { revision: 8 });
    assert_eq!(of_read(Answer::Future { revision: 8 }), future);
}

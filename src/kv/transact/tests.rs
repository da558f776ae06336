//! Each rule of a transaction by an example; `kv::store::tests::model` tests them together.

use super::*;
use crate::kv::{Answer, Command, Operation, Outcome, Query, RECORD_OVERHEAD_BYTES, RangeQuery};
use crate::testing::store_model::{Log, delete as delete_command, set, set_for};

fn key(key: &'static str) -> KeyRange {
    KeyRange::key(Bytes::from(key))
}

fn prefix(prefix: &'static str) -> KeyRange {
    KeyRange::prefix(Bytes::from(prefix))
}

fn compare(keys: KeyRange, relation: Relation, target: CompareTarget) -> Compare {
    Compare { keys, relation, target }
}

fn put_operation(key: &'static str, value: &'static str) -> TransactionOperation {
    TransactionOperation::Put(full_put(key, value))
}

fn full_put(key: &'static str, value: &'static str) -> Put {
    let (key, value) = (Bytes::from(key), Some(Bytes::from(value)));
    Put { key, value, lease: Some(0), exptime: 0, wants_previous: true }
}

fn remove(keys: KeyRange) -> TransactionOperation {
    TransactionOperation::Delete { keys, wants_previous: true }
}

fn query(keys: KeyRange) -> TransactionOperation {
    TransactionOperation::Read(RangeQuery { keys, limit: 0, at: 0, is_count_only: false })
}

fn then(then: Vec<TransactionOperation>) -> Transaction {
    Transaction { then, ..Default::default() }
}

fn nested(transaction: Transaction) -> TransactionOperation {
    TransactionOperation::Nested(Box::new(transaction))
}

fn command(transaction: Transaction) -> Command {
    let operation = Operation::Transaction(transaction);
    Command { once: None, store_bytes_max: 0, operation }
}

impl Log {
    /// Executes a transaction.
    fn transact(&mut self, transaction: Transaction) -> TransactionOutcome {
        match self.apply(&command(transaction)) {
            Outcome::Transaction(outcome) => (*outcome).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn value(&self, key: &'static str) -> Option<Bytes> {
        match self.store.query(&Query::Get { key: Bytes::from(key), at: 0 }, 0).unwrap() {
            Answer::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// The values that a read has found.
fn values(outcome: &OperationOutcome) -> Vec<&[u8]> {
    match outcome {
        OperationOutcome::Read(answer) => {
            answer.records.iter().map(|(_, record)| record.value()).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The value of the record that a put has replaced.
fn previous(outcome: &OperationOutcome) -> Option<&[u8]> {
    match outcome {
        OperationOutcome::Put { previous } => previous.as_ref().map(|record| record.value()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_writes_have_one_revision_and_reads_see_those_before_them() {
    let mut log = Log::with_history();
    log.apply(&set("a", "old"));
    let outcome = log.transact(then(vec![
        query(prefix("")),
        put_operation("a", "new"),
        put_operation("b", "1"),
        query(prefix("")),
        remove(key("absent")),
    ]));
    assert_eq!((outcome.revision, outcome.failed), (3, None));
    assert_eq!(values(&outcome.operations[0]), [b"old"]);
    assert_eq!(previous(&outcome.operations[1]), Some(&b"old"[..]));
    assert_eq!(previous(&outcome.operations[2]), None);
    assert_eq!(values(&outcome.operations[3]), [&b"new"[..], b"1"]);
    let nothing = OperationOutcome::Delete { deleted: 0, previous: Vec::new() };
    assert_eq!(outcome.operations[4], nothing);
    let records = log.store.records();
    let (a, b) = (records.get(b"a").unwrap().unwrap(), records.get(b"b").unwrap().unwrap());
    assert_eq!((a.create_revision, a.mod_revision, a.version), (2, 3, 2));
    assert_eq!((b.create_revision, b.mod_revision, b.version), (3, 3, 1));
}

#[test]
fn a_transaction_that_changes_nothing_has_the_revision_before_it() {
    let mut log = Log::with_history();
    log.apply(&set("a", "1"));
    let outcome = log.transact(then(vec![query(key("a")), remove(key("absent"))]));
    assert_eq!(outcome.revision, 2);
    assert_eq!(log.apply(&set("a", "2")), Outcome::Stored { version: 3 });
}

#[test]
fn a_compare_is_of_any_field_by_any_relation() {
    use CompareTarget::{CreateRevision, Lease, ModRevision, Value, Version};
    use Relation::{Equal, Greater, Less, NotEqual};
    let mut log = Log::with_history();
    log.apply(&set("other", "1"));
    log.apply(&set("a", "1"));
    log.apply(&set("a", "m"));
    let mut holds = |keys: KeyRange, relation, target| {
        let mut transaction = then(Vec::new());
        transaction.compares.push(compare(keys, relation, target));
        log.transact(transaction).failed.is_none()
    };
    // The key `a`: created at 3, written at 4, version 2, lease 0, value m.
    let value = |value: &'static str| Value(Bytes::from(value));
    for (field, [less, same, more]) in [
        ("version", [1, 2, 3].map(Version)),
        ("create", [2, 3, 4].map(CreateRevision)),
        ("mod", [3, 4, 5].map(ModRevision)),
        ("value", ["l", "m", "mm"].map(value)),
    ] {
        let mut row = |relation| {
            [&less, &same, &more].map(|target| holds(key("a"), relation, target.clone()))
        };
        assert_eq!(row(Equal), [false, true, false], "{field}");
        assert_eq!(row(NotEqual), [true, false, true], "{field}");
        assert_eq!(row(Less), [false, false, true], "{field}");
        assert_eq!(row(Greater), [true, false, false], "{field}");
    }
    assert!(holds(key("a"), Equal, Lease(0)) && !holds(key("a"), Equal, Lease(1)));
    // All numbers of an absent key are 0, and no compare of its value holds.
    for target in [Version(0), CreateRevision(0), ModRevision(0), Lease(0)] {
        assert!(holds(key("b"), Equal, target.clone()), "{target:?}");
        assert!(holds(prefix("b"), Equal, target), "a range without keys");
    }
    for relation in [Equal, NotEqual, Less, Greater] {
        assert!(!holds(key("b"), relation, value("")), "{relation:?}");
    }
}

#[test]
fn a_compare_of_a_range_names_the_first_key_for_which_it_does_not_hold() {
    let mut log = Log::with_history();
    for key in ["p1", "p2", "p3", "q"] {
        log.apply(&set(key, "1"));
    }
    let outcome = |log: &mut Log, target| {
        let mut transaction = then(vec![query(key("q"))]);
        transaction.compares.push(compare(prefix("p"), Relation::Less, target));
        transaction.otherwise = vec![put_operation("failed", "1")];
        log.transact(transaction)
    };
    // q was written at 5.
    assert_eq!(outcome(&mut log, CompareTarget::ModRevision(5)).failed, None);
    let refused = outcome(&mut log, CompareTarget::ModRevision(3));
    assert_eq!(refused.failed, Some(FailedCompare { key: Bytes::from("p2"), mod_revision: 3 }));
    assert_eq!(refused.operations.len(), 1);
    assert_eq!(log.value("failed").unwrap(), "1", "the other branch is executed");
}

#[test]
fn a_delete_of_a_range_removes_all_its_keys_and_no_other() {
    let mut log = Log::with_history();
    for key in ["p", "p1", "p2", "q"] {
        log.apply(&set(key, key));
    }
    log.apply(&set_for("p3", "due", 1));
    log.pass(1_000);
    let outcome = log.transact(then(vec![remove(prefix("p"))]));
    let OperationOutcome::Delete { deleted: 3, previous } = &outcome.operations[0] else {
        panic!("{outcome:?}");
    };
    let previous: Vec<_> = previous.iter().map(|(key, record)| (key, record.value())).collect();
    assert!(previous.iter().all(|(key, value)| key == value), "{previous:?}");
    assert_eq!(previous.len(), 3);
    assert_eq!((log.store.keys(), log.value("q").unwrap()), (1, Bytes::from("q")));
}

#[test]
fn a_nested_transaction_is_judged_by_what_is_written_before_it() {
    let mut log = Log::with_history();
    let inner = |value: &'static str| Transaction {
        compares: vec![compare(key("a"), Relation::Equal, CompareTarget::Value(Bytes::from("1")))],
        then: vec![put_operation("b", value)],
        otherwise: vec![put_operation("c", value)],
    };
    let outcome = log.transact(then(vec![nested(inner("x")), put_operation("a", "1")]));
    let OperationOutcome::Nested(first) = &outcome.operations[0] else { panic!("{outcome:?}") };
    assert_eq!(first.failed, Some(FailedCompare { key: Bytes::from("a"), mod_revision: 0 }));
    assert_eq!((log.value("b"), log.value("c")), (None, Some(Bytes::from("x"))));
    let outcome = log.transact(then(vec![put_operation("a", "1"), nested(inner("y"))]));
    let OperationOutcome::Nested(second) = &outcome.operations[1] else { panic!("{outcome:?}") };
    assert_eq!((second.failed.as_ref(), second.revision, outcome.revision), (None, 3, 3));
    assert_eq!(log.value("b").unwrap(), "y");
}

#[test]
fn a_put_keeps_the_value_or_the_lease_of_a_key_that_is_there_only() {
    let mut log = Log::with_history();
    log.apply(&set_for("a", "1", 100));
    let keeping = |key| {
        let put = Put { value: None, lease: None, wants_previous: false, ..full_put(key, "") };
        vec![put_operation("z", "1"), TransactionOperation::Put(put)]
    };
    log.transact(then(keeping("a")));
    let record = log.store.records().get(b"a").unwrap().unwrap();
    assert_eq!((record.value(), record.version), (&b"1"[..], 2));
    assert_eq!(record.deadline_ms, None, "its time is that of the put");
    let store = log.store.clone();
    assert_eq!(log.apply(&command(then(keeping("b")))), Outcome::NoKey);
    assert_eq!(log.store.digest(), store.digest(), "nothing is executed");
    // Also when a nested one finds it out, after the others are executed.
    let transaction = then(vec![put_operation("y", "1"), nested(then(keeping("b")))]);
    assert_eq!(log.apply(&command(transaction)), Outcome::NoKey);
    assert_eq!(log.store.digest(), store.digest(), "nothing is executed");
    assert_eq!(log.store.revision(), store.revision());
}

#[test]
fn a_write_with_a_lease_that_is_not_there_is_refused_whole() {
    let mut log = Log::with_history();
    let leased = TransactionOperation::Put(Put { lease: Some(7), ..full_put("a", "1") });
    let outcome = log.apply(&command(then(vec![put_operation("b", "1"), leased])));
    assert_eq!((outcome, log.store.keys()), (Outcome::NoLease, 0));
}

#[test]
fn the_limit_of_the_store_holds_for_all_writes_together() {
    let mut log = Log::with_history();
    let bytes = RECORD_OVERHEAD_BYTES + 2;
    log.apply(&set("a", "1"));
    log.apply(&set("b", "1"));
    let mut limited = |operations: Vec<TransactionOperation>, keys_max| {
        let digest = log.store.digest();
        let outcome = log.apply(&command(then(operations)).limit(keys_max * bytes));
        assert_eq!(log.store.digest() == digest, outcome == Outcome::Full);
        outcome
    };
    let two = || vec![put_operation("c", "1"), put_operation("d", "1")];
    assert_eq!(limited(two(), 3), Outcome::Full);
    assert_eq!(limited(vec![nested(then(two()))], 3), Outcome::Full);
    // A delete makes room, wherever it stands.
    let more = |operation| [two(), vec![operation]].concat();
    assert!(matches!(limited(more(remove(key("a"))), 3), Outcome::Transaction(_)));
    // One that does not make the store larger is executed, even above the limit.
    assert_eq!(log.store.keys(), 3);
    let mut limited = |operations| log.apply(&command(then(operations)).limit(1));
    assert_eq!(limited(vec![put_operation("c", "11")]), Outcome::Full);
    assert!(matches!(limited(vec![put_operation("c", "2")]), Outcome::Transaction(_)));
    assert!(matches!(limited(vec![remove(key("c"))]), Outcome::Transaction(_)));
}

#[test]
fn a_read_at_a_revision_sees_it_and_one_out_of_the_history_refuses_all() {
    let mut log = Log::with_history();
    for value in ["1", "2", "3"] {
        log.apply(&set("a", value));
    }
    let at = |at| {
        TransactionOperation::Read(RangeQuery {
            keys: key("a"),
            limit: 0,
            at,
            is_count_only: false,
        })
    };
    let outcome = log.transact(then(vec![put_operation("a", "4"), at(4), at(3), query(key("a"))]));
    let found: Vec<_> = outcome.operations[1..].iter().flat_map(values).collect();
    assert_eq!(found, [b"3", b"2", b"4"]);
    let refused = |log: &mut Log, revision| {
        log.apply(&command(then(vec![put_operation("a", "5"), at(revision)])))
    };
    assert_eq!(refused(&mut log, 6), Outcome::Future { revision: 5 });
    let compact = Operation::Compact { revision: 4 };
    let compact = Command { once: None, store_bytes_max: 0, operation: compact };
    assert_eq!(log.apply(&compact), Outcome::Compacted { revision: 4 });
    assert_eq!(refused(&mut log, 3), Outcome::AlreadyCompacted { revision: 4 });
    assert_eq!(log.value("a").unwrap(), "4");
    assert_eq!(log.apply(&compact), Outcome::Compacted { revision: 4 });
    let read = Query::Transaction(then(vec![at(4), at(5), at(0)]));
    let Answer::Transaction(outcome) = log.store.query(&read, 0).unwrap() else { panic!() };
    let found: Vec<_> = outcome.operations.iter().flat_map(values).collect();
    assert_eq!((found, outcome.revision), (vec![&b"3"[..], b"4", b"4"], 5));
    let read = Query::Transaction(then(vec![at(0), at(3)]));
    assert_eq!(log.store.query(&read, 0), Ok(Answer::Compacted { revision: 4 }));
}

#[test]
fn a_retry_has_the_outcome_and_the_reads_of_the_first_try() {
    let mut log = Log::with_history();
    for key in ["a", "p1", "p2"] {
        log.apply(&set(key, "old"));
    }
    log.apply(&set_for("p3", "short", 1));
    let inner = Transaction {
        compares: vec![compare(key("a"), Relation::Equal, CompareTarget::Version(9))],
        otherwise: vec![query(prefix("")), remove(prefix("p"))],
        ..Default::default()
    };
    let transaction =
        then(vec![query(prefix("")), put_operation("a", "new"), nested(inner), query(prefix(""))]);
    let command = command(transaction).once("c", 1);
    let first = log.apply(&command);
    assert!(matches!(first, Outcome::Transaction(_)));
    log.apply(&set("a", "later"));
    log.apply(&delete_command("a"));
    log.apply(&set("p1", "later"));
    log.pass(5_000);
    assert_eq!(log.apply(&command), first);
    // Another transaction with the same number gets the outcomes, and no reads of its own.
    let other = self::command(then(vec![query(key("b"))])).once("c", 1);
    let Outcome::Transaction(other) = log.apply(&other) else { panic!() };
    let compacted = OperationOutcome::Compacted { revision: 1 };
    assert_eq!((other.revision, &other.operations[0]), (6, &compacted));
    // A history that is not kept any more cannot be read again.
    let compact = Operation::Compact { revision: log.store.revision() };
    log.apply(&Command { once: None, store_bytes_max: 0, operation: compact });
    let Outcome::Transaction(late) = log.apply(&command) else { panic!() };
    let compacted = OperationOutcome::Compacted { revision: log.store.revision() };
    assert_eq!((late.revision, late.operations.len()), (6, 4));
    assert_eq!([0, 1, 3].map(|place| &late.operations[place]), [&compacted; 3]);
}

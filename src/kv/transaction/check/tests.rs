use super::*;
use crate::kv::{Put, RangeQuery};

const LIMITS: TransactionLimits = TransactionLimits { ops_max: 4, bytes_max: 1_000 };

fn put(key: &'static str) -> TransactionOperation {
    let (key, value) = (Bytes::from(key), Some(Bytes::from("value")));
    TransactionOperation::Put(Put { key, value, lease: None, exptime: 0, wants_previous: false })
}

fn delete(keys: KeyRange) -> TransactionOperation {
    TransactionOperation::Delete { keys, wants_previous: false }
}

fn key(key: &'static str) -> KeyRange {
    KeyRange::key(Bytes::from(key))
}

fn prefix(prefix: &'static str) -> KeyRange {
    KeyRange::prefix(Bytes::from(prefix))
}

fn read() -> TransactionOperation {
    let keys = KeyRange::all();
    TransactionOperation::Read(RangeQuery { keys, limit: 0, at: 0, is_count_only: false })
}

fn both(then: Vec<TransactionOperation>, otherwise: Vec<TransactionOperation>) -> Transaction {
    Transaction { compares: Vec::new(), then, otherwise }
}

fn nested(
    then: Vec<TransactionOperation>,
    otherwise: Vec<TransactionOperation>,
) -> TransactionOperation {
    TransactionOperation::Nested(Box::new(both(then, otherwise)))
}

fn check(then: Vec<TransactionOperation>) -> Result<(), TransactionFault> {
    let limits = TransactionLimits { ops_max: 10, bytes_max: 10_000 };
    let checked = both(then.clone(), Vec::new()).check(&limits);
    assert_eq!(both(Vec::new(), then).check(&limits), checked, "the branches are alike");
    checked
}

const TWICE: Result<(), TransactionFault> = Err(TransactionFault::WrittenTwice);

#[test]
fn a_key_is_put_once() {
    assert_eq!(check(vec![put("a"), put("b"), read()]), Ok(()));
    assert_eq!(check(vec![put("a"), put("b"), put("a")]), TWICE);
}

#[test]
fn a_key_is_not_put_and_deleted_in_either_order() {
    for keys in [key("ab"), prefix("a"), KeyRange::all()] {
        assert_eq!(check(vec![put("ab"), delete(keys.clone())]), TWICE, "{keys:?}");
        assert_eq!(check(vec![delete(keys.clone()), put("ab")]), TWICE, "{keys:?}");
        assert_eq!(check(vec![nested(vec![put("ab")], vec![]), delete(keys.clone())]), TWICE);
        assert_eq!(check(vec![delete(keys), nested(vec![], vec![put("ab")])]), TWICE);
    }
    for keys in [key("a"), prefix("b"), KeyRange::between("b".into(), "a".into())] {
        assert_eq!(check(vec![put("ab"), delete(keys.clone())]), Ok(()), "{keys:?}");
        assert_eq!(check(vec![delete(keys.clone()), put("ab")]), Ok(()), "{keys:?}");
    }
}

#[test]
fn deletes_may_overlap_each_other() {
    assert_eq!(check(vec![delete(key("a")), delete(prefix("a")), delete(KeyRange::all())]), Ok(()));
}

#[test]
fn the_two_branches_of_a_transaction_may_write_the_same_key() {
    assert_eq!(both(vec![put("a")], vec![put("a")]).check(&LIMITS), Ok(()));
    assert_eq!(both(vec![put("a")], vec![delete(key("a"))]).check(&LIMITS), Ok(()));
    assert_eq!(check(vec![nested(vec![put("a")], vec![put("a")])]), Ok(()));
}

#[test]
fn a_write_of_either_branch_of_a_nested_transaction_counts_for_what_stands_around_it() {
    let (then, otherwise) = (nested(vec![put("a")], vec![]), nested(vec![], vec![put("a")]));
    for (first, second) in [
        (then.clone(), put("a")),
        (put("a"), otherwise.clone()),
        (then.clone(), then.clone()),
        (then, otherwise.clone()),
        (otherwise.clone(), nested(vec![nested(vec![], vec![put("a")])], vec![])),
    ] {
        assert_eq!(check(vec![first, second]), TWICE);
    }
    assert_eq!(check(vec![otherwise, put("b")]), Ok(()));
}

#[test]
fn compares_and_the_operations_of_each_branch_are_bounded_and_nested_ones_count() {
    let compare = Compare {
        keys: key("a"),
        relation: crate::kv::Relation::Equal,
        target: CompareTarget::Version(1),
    };
    let mut most = both(vec![read(); 4], vec![read(); 4]);
    most.compares = vec![compare.clone(); 4];
    assert_eq!(most.check(&LIMITS), Ok(()));
    let too_many = Err(TransactionFault::TooManyOperations { operations: 5, ops_max: 4 });
    most.compares.push(compare.clone());
    assert_eq!(most.check(&LIMITS), too_many);
    assert_eq!(both(vec![read(); 5], vec![]).check(&LIMITS), too_many);
    assert_eq!(both(vec![], vec![read(); 5]).check(&LIMITS), too_many);
    // The nested one itself, and the four that it holds.
    let mut inner = both(vec![read()], vec![read(); 2]);
    inner.compares = vec![compare];
    let outer =
        |inner: Transaction| both(vec![TransactionOperation::Nested(Box::new(inner))], vec![]);
    assert_eq!(outer(inner.clone()).check(&LIMITS), too_many);
    inner.then.clear();
    assert_eq!(outer(inner).check(&LIMITS), Ok(()));
}

#[test]
fn the_size_is_bounded_at_exactly_the_limit() {
    let bytes = 40 + (40 + 1 + 5) + (40 + 2);
    let transaction =
        both(vec![put("a"), delete(KeyRange::between("a".into(), "a".into()))], vec![]);
    assert_eq!(transaction.encoded_bytes_max(), bytes);
    let limits = |bytes_max| TransactionLimits { bytes_max, ..LIMITS };
    assert_eq!(transaction.check(&limits(bytes)), Ok(()));
    let error = TransactionFault::TooManyBytes { bytes, bytes_max: bytes - 1 };
    assert_eq!(transaction.check(&limits(bytes - 1)), Err(error));
}

#[test]
fn a_transaction_only_reads_when_nothing_in_it_writes() {
    assert!(both(vec![read()], vec![nested(vec![read()], vec![])]).is_read_only());
    for write in [put("a"), delete(key("a"))] {
        assert!(!both(vec![read()], vec![nested(vec![], vec![write])]).is_read_only());
    }
}

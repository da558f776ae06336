//! The commands of format 4.

use super::*;
use crate::kv::{
    Compare, CompareTarget, KeyRange, Put, RangeQuery, Relation, TRANSACTION_DEPTH_MAX,
    TransactionFault, TransactionOperation,
};

fn command(operation: Operation) -> Command {
    Command { once: None, store_bytes_max: 0, operation }
}

/// A transaction with every kind of compare, range and operation.
fn every_part() -> Transaction {
    let key = |text: &'static str| KeyRange::key(Bytes::from(text));
    let between = || KeyRange::between(Bytes::from("a"), Bytes::from("b"));
    let compare = |keys, relation, target| Compare { keys, relation, target };
    let put = |value: Option<&'static str>, lease, exptime, wants_previous| {
        let value = value.map(Bytes::from);
        TransactionOperation::Put(Put {
            key: Bytes::from("k"),
            value,
            lease,
            exptime,
            wants_previous,
        })
    };
    let nested =
        Transaction { then: vec![put(Some("v"), Some(0), 0, false)], ..Default::default() };
    Transaction {
        compares: vec![
            compare(key("k"), Relation::Equal, CompareTarget::Version(1)),
            compare(between(), Relation::NotEqual, CompareTarget::CreateRevision(2)),
            compare(
                KeyRange::from(Bytes::from("f")),
                Relation::Less,
                CompareTarget::ModRevision(3),
            ),
            compare(key("k"), Relation::Greater, CompareTarget::Value(Bytes::from("v"))),
            compare(key("k"), Relation::Equal, CompareTarget::Lease(4)),
        ],
        then: vec![
            put(None, None, 7, true),
            TransactionOperation::Delete { keys: between(), wants_previous: true },
        ],
        otherwise: vec![
            TransactionOperation::Read(RangeQuery {
                keys: key("k"),
                limit: 5,
                at: 6,
                is_count_only: true,
            }),
            TransactionOperation::Nested(Box::new(nested)),
        ],
    }
}

#[test]
fn the_bytes_of_every_operation_of_format_4_never_change() {
    let (key, value) = (Bytes::from("key"), Bytes::from("v"));
    let limits = HistoryLimits { keep_revisions: 100_000, bytes_max: 1 };
    let cases: [(Operation, &[u8]); 9] = [
        (
            Operation::Set { key: key.clone(), exptime: 0, value: value.clone(), lease: 9 },
            b"\x06\x96\xc0\x00\xc4\x03key\x00\xc4\x01v\x09",
        ),
        (
            Operation::Add { key: key.clone(), exptime: 0, value: value.clone(), lease: 9 },
            b"\x07\x96\xc0\x00\xc4\x03key\x00\xc4\x01v\x09",
        ),
        (
            Operation::Cas { key, exptime: 0, version: 3, value, lease: LEASE_ID_MAX },
            b"\x08\x97\xc0\x00\xc4\x03key\x00\x03\xc4\x01v\
              \xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            Operation::Transaction(every_part()),
            b"\x09\x93\xc0\x00\x93\
              \x95\
              \x93\x81\xa1k\xc4\x01k\x00\x81\xa1v\x01\
              \x93\x81\xa1b\x92\xc4\x01a\xc4\x01b\x01\x81\xa1c\x02\
              \x93\x81\xa1f\xc4\x01f\x02\x81\xa1m\x03\
              \x93\x81\xa1k\xc4\x01k\x03\x81\xa1b\xc4\x01v\
              \x93\x81\xa1k\xc4\x01k\x00\x81\xa1l\x04\
              \x92\
              \x81\xa1p\x95\xc4\x01k\xc0\xc0\x07\xc3\
              \x81\xa1d\x92\x81\xa1b\x92\xc4\x01a\xc4\x01b\xc3\
              \x92\
              \x81\xa1r\x94\x81\xa1k\xc4\x01k\x05\x06\xc3\
              \x81\xa1t\x93\x90\x91\x81\xa1p\x95\xc4\x01k\xc4\x01v\x00\x00\xc2\x90",
        ),
        (Operation::Grant { id: 9, ttl: 60, leases_max: 5 }, b"\x0a\x95\xc0\x00\x09\x3c\x05"),
        (Operation::Renew { ids: vec![9, 200] }, b"\x0b\x93\xc0\x00\x92\x09\xcc\xc8"),
        (Operation::Revoke { id: 9 }, b"\x0c\x93\xc0\x00\x09"),
        (Operation::Compact { revision: 300 }, b"\x0d\x93\xc0\x00\xcd\x01\x2c"),
        (Operation::SetHistory(limits), b"\x0e\x94\xc0\x00\xce\x00\x01\x86\xa0\x01"),
    ];
    for (operation, golden) in cases {
        let command = command(operation);
        assert_eq!(command.encode(), golden, "{command:?}");
        assert_eq!(decode(&Bytes::from_static(golden)), Ok(command));
    }
}

#[test]
fn the_operations_of_format_4_need_it_and_the_others_need_nothing() {
    let payload = command(Operation::Revoke { id: 9 }).encode();
    let later =
        CommandError::LaterFormat { operation: REVOKE, needed: Format(4), in_force: Format(3) };
    assert_eq!(Command::decode(&payload, Format(3)), Err(later));
    assert!(Command::decode(&payload, Format(4)).is_ok());
    let needed: Vec<_> = (0..=15).map(needed_format).collect();
    let (first, fourth) = (Some(Format(1)), Some(Format(4)));
    let expected = [&[None][..], &[first; 5], &[fourth; 9], &[None]].concat();
    assert_eq!(needed, expected);
}

#[test]
fn a_write_with_a_lease_has_one_encoding_only() {
    let set = |lease| {
        let (key, value) = (Bytes::from("key"), Bytes::from("v"));
        command(Operation::Set { key, exptime: 0, value, lease }).encode()
    };
    let mut payload = BytesMut::from(&set(1)[..]);
    *payload.last_mut().unwrap() = 0;
    let error = CommandError::Number { field: "lease", number: 0, min: 1, max: LEASE_ID_MAX };
    assert_eq!(decode(&payload.freeze()), Err(error));
    assert_eq!(set(0)[0], SET);
}

#[test]
fn numbers_at_their_bounds_pass_and_beyond_them_fail() {
    let number = |operation: u8, fields: &[u64]| {
        let mut payload = BytesMut::new();
        // Every command has nil and 0 before its own fields.
        payload.put_slice(&[operation, 0x92 + fields.len() as u8, 0xc0, 0]);
        for field in fields {
            rmp_serde::encode::write(&mut (&mut payload).writer(), field).unwrap();
        }
        match decode(&payload.freeze()) {
            Err(CommandError::Number { field, .. }) => Some(field),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        }
    };
    let ttl_max = *LEASE_TTL.end();
    for ttl in [1, ttl_max] {
        assert_eq!(number(GRANT, &[LEASE_ID_MAX, ttl, 0]), None);
    }
    for ttl in [0, ttl_max + 1] {
        assert_eq!(number(GRANT, &[0, ttl, 0]), Some("time to live"));
    }
    assert_eq!(number(GRANT, &[LEASE_ID_MAX + 1, 1, 0]), Some("lease"));
    assert_eq!(number(REVOKE, &[LEASE_ID_MAX]), None);
    for id in [0, LEASE_ID_MAX + 1] {
        assert_eq!(number(REVOKE, &[id]), Some("lease"));
        assert_eq!(
            decode(&renewal(&[1, id])),
            Err(CommandError::Number { field: "lease", number: id, min: 1, max: LEASE_ID_MAX })
        );
    }
    let most = vec![1; RENEWALS_MAX];
    assert!(decode(&renewal(&most)).is_ok());
    for ids in [vec![], [most, vec![1]].concat()] {
        let result = decode(&renewal(&ids));
        assert!(matches!(result, Err(CommandError::Length { .. })), "{}", ids.len());
    }
}

/// A `renew`, also one that no node would encode.
fn renewal(ids: &[u64]) -> Bytes {
    let mut payload = BytesMut::new();
    pack(RENEW, &RenewFields { once: None, store_bytes_max: 0, ids: ids.to_vec() }, &mut payload);
    payload.freeze()
}

/// A transaction, also one that no node would encode.
fn packed(transaction: &Transaction) -> Bytes {
    let transaction = TransactionFields::of(transaction);
    let mut payload = BytesMut::new();
    let fields = TransactionCommandFields { once: None, store_bytes_max: 0, transaction };
    pack(TRANSACTION, &fields, &mut payload);
    payload.freeze()
}

/// A transaction with this number of transactions in each other.
fn nested(depth: usize) -> Transaction {
    (1..depth).fold(Transaction::default(), |inner, _| Transaction {
        then: vec![TransactionOperation::Nested(Box::new(inner))],
        ..Default::default()
    })
}

#[test]
fn the_depth_of_transactions_is_bounded_and_the_decoder_does_not_follow_further() {
    assert!(decode(&packed(&nested(TRANSACTION_DEPTH_MAX))).is_ok());
    let result = decode(&packed(&nested(TRANSACTION_DEPTH_MAX + 1)));
    assert_eq!(result, Err(CommandError::Transaction(TransactionFault::TooDeep)));
    let result = decode(&packed(&nested(500)));
    assert!(matches!(result, Err(CommandError::Malformed(_))), "{result:?}");
}

#[test]
fn a_transaction_is_checked_when_it_is_decoded() {
    let put = |key: Vec<u8>, lease| {
        let (key, value) = (Bytes::from(key), Some(Bytes::new()));
        TransactionOperation::Put(Put { key, value, lease, exptime: 0, wants_previous: false })
    };
    let delete = |keys| TransactionOperation::Delete { keys, wants_previous: false };
    let decoded = |operations: Vec<TransactionOperation>| {
        // The check looks into a nested transaction, and into both of its branches.
        let inner = Transaction { otherwise: operations, ..Default::default() };
        let nested = vec![TransactionOperation::Nested(Box::new(inner))];
        decode(&packed(&Transaction { then: nested, ..Default::default() })).map(|_| ())
    };
    let longest = vec![b'k'; KEY_BYTES_MAX];
    let longer = [&longest[..], b"k"].concat();
    assert_eq!(decoded(vec![put(longest.clone(), Some(LEASE_ID_MAX))]), Ok(()));
    let behind = KeyRange::between(longest.clone().into(), longer.clone().into());
    assert_eq!(decoded(vec![delete(behind)]), Ok(()));
    for operation in [
        put(vec![], None),
        put(longer.clone(), None),
        delete(KeyRange::key(Bytes::new())),
        delete(KeyRange::from(longer.into())),
    ] {
        let result = decoded(vec![operation]);
        assert!(matches!(result, Err(CommandError::Length { .. })), "{result:?}");
    }
    let result = decoded(vec![put(vec![1], Some(LEASE_ID_MAX + 1))]);
    assert!(matches!(result, Err(CommandError::Number { .. })), "{result:?}");
    let twice = decoded(vec![put(vec![1], None), put(vec![1], None)]);
    assert_eq!(twice, Err(CommandError::Transaction(TransactionFault::WrittenTwice)));
}

#[test]
fn a_relation_of_no_number_is_an_error() {
    let mut payload = BytesMut::from(&packed(&every_part())[..]);
    let place = payload.windows(5).position(|bytes| bytes == b"k\x00\x81\xa1v").unwrap();
    payload[place + 1] = 4;
    let error = CommandError::Number { field: "relation", number: 4, min: 0, max: 3 };
    assert_eq!(decode(&payload.freeze()), Err(error));
}

use super::*;
use crate::kv::{KeyRange, Put, RangeQuery};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn encoded(operation: Operation) -> Bytes {
    Command { once: None, store_bytes_max: 0, operation }.encode()
}

fn put(key: &str) -> TransactionOperation {
    TransactionOperation::Put(Put {
        key: bytes(key),
        value: Some(bytes("v")),
        lease: Some(0),
        exptime: 0,
        wants_previous: false,
    })
}

#[test]
fn a_command_is_known_by_the_key_that_it_names_first() {
    let set = Operation::Set { key: bytes("a"), exptime: 0, value: bytes("b"), lease: 0 };
    assert_eq!(first_key_of(&encoded(set)), Some(bytes("a")));
    let then = vec![put("c"), put("d")];
    let transaction = Transaction { compares: Vec::new(), then, otherwise: Vec::new() };
    assert_eq!(first_key_of(&encoded(Operation::Transaction(transaction))), Some(bytes("c")));
    assert_eq!(first_key_of(&encoded(Operation::Renew { ids: vec![7] })), None);
    assert_eq!(first_key_of(&bytes("no command")), None);
}

#[test]
fn a_query_is_known_by_the_beginning_of_its_range() {
    assert_eq!(Query::Get { key: bytes("a"), at: 0 }.first_key(), Some(bytes("a")));
    let keys = KeyRange::prefix(bytes("p"));
    let range = RangeQuery { keys, limit: 0, at: 0, is_count_only: false };
    assert_eq!(Query::Range(range).first_key(), Some(bytes("p")));
    assert_eq!(Query::Leases.first_key(), None);
}

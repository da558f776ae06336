use super::*;

const LIMITS: TransactionLimits = TransactionLimits { ops_max: 3, bytes_max: 1000 };

fn set(key: &'static str, value: &'static str) -> Request {
    let operation = Operation::Set { key: key.into(), exptime: 9, value: value.into(), lease: 77 };
    Request::Write { operation, once: None, noreply: false }
}

fn delete(key: &'static str) -> Request {
    let operation = Operation::Delete { key: key.into() };
    Request::Write { operation, once: None, noreply: false }
}

fn check(key: &'static str, version: u64) -> Request {
    Request::Check { key: key.into(), version }
}

fn key(key: &'static str) -> KeyRange {
    KeyRange::key(key.into())
}

#[test]
fn the_commands_become_one_transaction() {
    let mut queue = TransactionQueue::default();
    let get = |at| Request::Read(Query::Get { key: "a".into(), at });
    let getm = Request::Read(Query::GetMeta { key: "b".into(), at: 0 });
    let limits = TransactionLimits { ops_max: 10, ..LIMITS };
    for request in [check("a", 0), set("a", "x"), get(0), check("b", 7), getm, delete("c"), get(3)]
    {
        assert_eq!(queue.push(request, &limits), Ok(()));
    }
    let (transaction, commands) = queue.finish(&limits).expect("nothing was refused");
    let compare = |name, version| Compare {
        keys: key(name),
        relation: Relation::Equal,
        target: CompareTarget::ModRevision(version),
    };
    let read = |name, at| {
        let query = RangeQuery { keys: key(name), limit: 0, at, is_count_only: false };
        TransactionOperation::Read(query)
    };
    let put = Put {
        key: "a".into(),
        value: Some("x".into()),
        lease: Some(77),
        exptime: 9,
        wants_previous: false,
    };
    let expected = Transaction {
        compares: vec![compare("a", 0), compare("b", 7)],
        then: vec![
            TransactionOperation::Put(put),
            read("a", 0),
            read("b", 0),
            TransactionOperation::Delete { keys: key("c"), wants_previous: false },
            read("a", 3),
        ],
        otherwise: Vec::new(),
    };
    assert_eq!(transaction, expected);
    let kinds = [Queued::Set, Queued::Get, Queued::GetMeta, Queued::Delete, Queued::Get];
    assert_eq!(commands, kinds);
}

#[test]
fn what_has_no_place_in_a_transaction_is_refused_and_spoils_it() {
    let once = Some(crate::kv::Once { client: "c".into(), seq: 1 });
    let operation = || Operation::Delete { key: "k".into() };
    let write = |operation| Request::Write { operation, once: None, noreply: false };
    let value = || Bytes::from_static(b"x");
    let add = Operation::Add { key: "k".into(), exptime: 0, value: value(), lease: 0 };
    let cas = Operation::Cas { key: "k".into(), exptime: 0, version: 1, value: value(), lease: 0 };
    let scan = Query::Scan { prefix: "p".into(), limit: 1, after: None, at: 0 };
    for request in [
        Request::Write { operation: operation(), once, noreply: false },
        Request::Write { operation: operation(), once: None, noreply: true },
        write(add),
        write(cas),
        write(Operation::Revoke { id: 1 }),
        Request::Read(scan),
        Request::Begin,
        Request::Ping,
        Request::Status,
    ] {
        let mut queue = TransactionQueue::default();
        queue.push(set("a", "x"), &LIMITS).expect("a set has a place");
        let refused = queue.push(request.clone(), &LIMITS);
        assert!(matches!(refused, Err(ErrorReply::CmdErr(_))), "{request:?}");
        assert_eq!(queue.push(set("b", "x"), &LIMITS), Ok(()), "a good command is told so");
        let empty = TransactionQueue::default().weight_bytes();
        assert_eq!(queue.weight_bytes(), empty, "and nothing is kept");
        assert!(matches!(queue.finish(&LIMITS), Err(ErrorReply::CmdErr(_))), "{request:?}");
    }
}

#[test]
fn number_and_size_are_bounded_as_the_commands_come() {
    let is_too_large = |result| matches!(result, Err(ErrorReply::TooLarge(_)));
    let mut queue = TransactionQueue::default();
    for name in ["a", "b", "c"] {
        assert_eq!(queue.push(set(name, "x"), &LIMITS), Ok(()));
        assert_eq!(queue.push(check(name, 1), &LIMITS), Ok(()), "compares are counted apart");
    }
    assert!(is_too_large(queue.push(set("d", "x"), &LIMITS)));
    assert!(matches!(queue.finish(&LIMITS), Err(ErrorReply::CmdErr(_))));

    let mut queue = TransactionQueue::default();
    queue.push(set("key", "value"), &LIMITS).expect("it is within the limits");
    let bytes_max = queue.transaction.encoded_bytes_max();
    let push = |bytes_max| {
        let limits = TransactionLimits { bytes_max, ..LIMITS };
        TransactionQueue::default().push(set("key", "value"), &limits)
    };
    assert_eq!(push(bytes_max), Ok(()));
    assert!(is_too_large(push(bytes_max - 1)));
}

#[test]
fn a_key_that_is_written_twice_is_refused_at_commit() {
    for (first, second, is_good) in [
        (set("a", "x"), set("b", "x"), true),
        (delete("a"), delete("a"), true),
        (set("a", "x"), set("a", "y"), false),
        (set("a", "x"), delete("a"), false),
    ] {
        let mut queue = TransactionQueue::default();
        queue.push(first.clone(), &LIMITS).expect("it is within the limits");
        queue.push(second.clone(), &LIMITS).expect("it is within the limits");
        let finished = queue.finish(&LIMITS);
        assert_eq!(finished.is_ok(), is_good, "{first:?} {second:?}");
        assert!(is_good || matches!(finished, Err(ErrorReply::CmdErr(_))));
    }
}

#[test]
fn the_values_that_wait_are_counted() {
    let mut queue = TransactionQueue::default();
    let before = queue.weight_bytes();
    queue.push(set("a", "0123456789"), &LIMITS).expect("it is within the limits");
    assert!(queue.weight_bytes() > before + 10);
}

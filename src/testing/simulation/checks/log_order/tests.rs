use super::*;
use crate::kv::{Command, Operation as Write};
use crate::types::{Entry, LogIndex, Payload, Term};

/// Entries 1 to 4: `a` is set, then `b` for a second, `a` is deleted, and time passes.
fn store() -> ReferenceStore {
    let set = |key: &str, exptime| Write::Set {
        key: Bytes::copy_from_slice(key.as_bytes()),
        exptime,
        value: Bytes::from("v"),
        lease: 0,
    };
    let delete = Write::Delete { key: Bytes::from("a") };
    let writes = [(10, Some(set("a", 0))), (20, Some(set("b", 1))), (30, Some(delete))];
    let entries: Vec<Entry> = (1..)
        .zip(writes.into_iter().chain([(1_020, None)]))
        .map(|(index, (stamp_ms, write))| {
            let command = |operation| Command { once: None, store_bytes_max: 0, operation };
            let payload =
                write.map_or(Payload::Noop, |write| Payload::Command(command(write).encode()));
            Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload }
        })
        .collect();
    ReferenceStore::of(&entries)
}

fn read(key: &'static str, at: (u64, u64), answer: Answer) -> Operation {
    let action = match answer {
        Answer::Page(..) => Action::Scan { limit: 5, after: None },
        _ => Action::Get,
    };
    let (invoked, returned) = at;
    let (client, key, clock_ms, latest_clock_ms) = (1, Bytes::from(key), 0, 2_000);
    Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms }
}

fn item(key: &'static str, version: u64, exptime: u64) -> Item {
    Item { key: key.into(), version, exptime, value: "v".into() }
}

fn is_good(history: &[Operation], committed: &[(u64, u64)]) -> bool {
    check(&store(), history, committed.iter().copied()).1.is_empty()
}

fn a(at: (u64, u64)) -> Operation {
    read("a", at, Answer::Value(1, "v".into()))
}

#[test]
fn a_read_is_not_older_than_an_earlier_answer() {
    let gone = |at| read("a", at, Answer::NotFound);
    assert!(is_good(&[a((1, 2)), gone((3, 4))], &[]));
    assert!(is_good(&[gone((1, 2)), a((3, 4))], &[]), "before it was set");
    assert!(is_good(&[gone((1, 4)), a((2, 3))], &[]));
    let expiring = read("b", (1, 2), Answer::Expiring(item("b", 2, 1)));
    assert!(!is_good(&[a((1, 2)), gone((3, 4)), a((5, 6))], &[]));
    assert!(is_good(&[expiring.clone(), a((3, 4))], &[]));
    assert!(is_good(&[expiring.clone(), a((3, 4))], &[(2, 2)]));
    assert!(
        !is_good(&[expiring, a((3, 5))], &[(2, 3)]),
        "a status has shown the commit of the deletion"
    );
}

#[test]
fn a_page_is_true_at_one_index() {
    let page = |items: &[Item]| read("", (1, 2), Answer::Page(items.to_vec(), false));
    assert!(is_good(&[page(&[])], &[]));
    assert!(is_good(&[page(&[item("a", 1, 0), item("b", 2, 1)])], &[]));
    assert!(is_good(&[page(&[item("b", 2, 1)])], &[]));
    assert!(!is_good(&[page(&[item("b", 2, 2)])], &[]), "longer than it was given");
    assert!(!is_good(&[page(&[item("a", 1, 0)])], &[(0, 2)]), "b was there by then");
    assert!(!is_good(&[page(&[item("b", 2, 1), item("a", 1, 0)])], &[]), "out of order");
}

#[test]
fn a_key_is_not_gone_before_its_time() {
    let mut gone = read("b", (3, 4), Answer::NotFound);
    assert!(is_good(&[gone.clone()], &[(1, 2)]));
    gone.latest_clock_ms = 1_019;
    assert!(!is_good(&[gone], &[(1, 2)]));
}

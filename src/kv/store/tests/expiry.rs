//! Keys and clients that fall due together: hidden at once, removed in bounded steps.

use super::*;
use crate::kv::StoreLoader;
use crate::kv::expiry::{COMMAND_REMOVALS_MAX, NOOP_REMOVALS_MAX};
use crate::kv::once::CLIENT_SILENCE_MS;

/// The number of keys and of clients that fall due together.
const CROWD: u64 = 5_000;
/// The time at which they are due.
const DUE_MS: u64 = CLIENT_SILENCE_MS;

/// A log of keys and clients that are all due at [`DUE_MS`], and of one key that stays.
fn crowd() -> Log {
    let mut log = Log::new();
    for place in 0..CROWD {
        let write = set_for(&format!("k{place:04}"), "v", DUE_MS / 1000);
        log.at(0).run(write.once(&format!("c{place:04}"), 1));
    }
    log.run(set("stays", "v"));
    log
}

/// The keys and clients that are stored, with the hidden ones.
fn stored(log: &Log) -> (u64, u64) {
    (log.store.records.stored_len(), log.store.clients() as u64)
}

fn reloaded(store: &Store) -> Store {
    let mut loader = StoreLoader::new();
    for block in store.snapshot_blocks() {
        loader.load(&block.unwrap()).unwrap();
    }
    loader.finish().unwrap()
}

#[test]
fn everything_that_is_due_is_hidden_at_once() {
    let mut log = crowd();
    let key = || "k4999".to_owned();
    assert_eq!(log.at(DUE_MS - 1).run(add(&key(), "x")), Exists { version: CROWD });
    log.at(DUE_MS).run(set("other", "v"));
    assert!(log.store.has_hidden() && stored(&log).0 > CROWD / 2);
    assert_eq!((log.store.keys(), log.store.next_deadline_ms()), (2, None));
    assert_eq!(log.store.bytes(), 2 * (RECORD_OVERHEAD_BYTES + 6));
    assert_eq!(log.get("k4999"), None);
    let get = Query::GetMeta { key: Bytes::from("k4999"), at: 0 };
    assert_eq!(log.store.query(&get, 0), Ok(Answer::NotFound));
    let scan = Query::Scan { prefix: Bytes::new(), limit: 10, after: None, at: 0 };
    let Ok(Answer::Scan { items, more }) = log.store.query(&scan, 0) else { panic!("no scan") };
    let keys: Vec<_> = items.iter().map(|(key, _)| &key[..]).collect();
    assert_eq!((keys, more), (vec![&b"other"[..], b"stays"], false));
    assert_eq!(log.run(delete(&key())), NotFound);
    assert_eq!(log.run(cas(&key(), CROWD, "x")), VersionMismatch { version: 0 });
    let version = log.next_index();
    assert_eq!(log.run(add(&key(), "new")), Stored { version });
    assert_eq!(log.get("k4999").unwrap(), "new");
    // Its client is forgotten as well: the same number is executed again.
    let version = log.next_index();
    assert_eq!(log.run(set("other", "w").once("c4999", 1)), Stored { version });
    assert_eq!(log.store.stored(), log.store.recomputed());
}

#[test]
fn an_entry_removes_a_bounded_number() {
    let mut log = crowd();
    log.at(DUE_MS).run(set("stays", "w"));
    let left = CROWD - COMMAND_REMOVALS_MAX;
    assert_eq!(stored(&log), (left + 1, left), "by a command");
    log.noop();
    let left = left - NOOP_REMOVALS_MAX;
    assert_eq!(stored(&log), (left + 1, left), "by a no-op");
    log.run(set("stays", &"v".repeat(10 * RECORD_OVERHEAD_BYTES as usize)));
    let left = left - COMMAND_REMOVALS_MAX - 10;
    assert_eq!(stored(&log), (left + 1, left), "by a command that writes more");
}

#[test]
fn no_ops_remove_everything_in_the_end() {
    let mut log = crowd();
    log.at(DUE_MS);
    let mut noops = 0;
    while noops == 0 || log.store.has_hidden() {
        log.noop();
        noops += 1;
    }
    assert_eq!(noops, CROWD / NOOP_REMOVALS_MAX);
    assert_eq!(stored(&log), (1, 0));
    assert_eq!(log.store.stored(), log.store.recomputed());
}

/// A node that has loaded a snapshot removes with each entry what every other node removes.
#[test]
fn a_store_that_is_loaded_while_keys_are_hidden_goes_on_like_the_original() {
    let mut log = crowd();
    log.at(DUE_MS).run(set("stays", "w"));
    let mut loaded = Log { store: reloaded(&log.store), stamp_ms: DUE_MS };
    assert_eq!(loaded.store, log.store);
    while log.store.has_hidden() {
        for log in [&mut log, &mut loaded] {
            log.noop();
            log.run(add("k0003", "again").once("c0003", 1));
        }
        assert_eq!(loaded.store.digest(), log.store.digest());
        assert_eq!(loaded.store, log.store);
    }
}

#[test]
fn hidden_keys_never_fill_the_store() {
    let mut log = crowd();
    let limit = log.store.bytes();
    assert_eq!(log.at(DUE_MS - 1).run(set("more", "v").limit(limit)), Full);
    log.at(DUE_MS);
    for place in 0..CROWD {
        let write = set(&format!("n{place:04}"), "v").limit(limit);
        assert!(matches!(log.run(write), Stored { .. }), "write {place}");
        assert!(log.store.stored().0 <= limit, "what is hidden is in memory as well");
    }
    assert_eq!(log.run(set("more", "v").limit(limit)), Full);
}

#[test]
fn hidden_clients_never_fill_the_table() {
    let mut log = Log { store: Store::with_clients_max(CROWD as usize), stamp_ms: 0 };
    for place in 0..CROWD {
        log.run(set("k", "v").once(&format!("c{place:04}"), 1));
    }
    assert_eq!(log.run(set("k", "v").once("new", 1)), Busy);
    log.at(DUE_MS);
    for place in 0..CROWD {
        let outcome = log.run(set("k", "v").once(&format!("n{place:04}"), 1));
        assert!(matches!(outcome, Stored { .. }), "client {place}: {outcome:?}");
    }
    assert_eq!(log.run(set("k", "v").once("new", 1)), Busy);
}

/// docs/bugs.md B71: a retry half a second later is not executed again, by whichever leader.
/// Before stamps were elapsed time, a leader whose wall clock was an hour ahead forgot every
/// client with its first entry.
#[test]
fn a_retry_after_a_failover_is_not_executed_again() {
    let mut log = Log::new();
    let version = 1;
    assert_eq!(log.at(0).run(set("k", "mine").once("me", 1)), Stored { version });
    log.at(10).run(set("k", "other"));
    log.noop(); // the first entry of the next leader has the last stamp
    assert_eq!(log.at(300).run(set("k", "mine").once("me", 1)), Stored { version });
    assert_eq!(log.get("k").unwrap(), "other");
}

//! Each rule of a lease by an example; `kv::store::tests::reference` tests them together.

use super::*;
use crate::kv::{
    Answer, ChangeKind, Command, HistoryLimits, KeyRange, Operation, Outcome, Put, Query,
    RECORD_OVERHEAD_BYTES, Store, Transaction, TransactionOperation, WatchBudget, WatchCursor,
    WatchFilter,
};
use crate::testing::store_model::{Log, delete, set, set_for};
use bytes::Bytes;

impl Leases {
    /// The leases as a snapshot would give them back: from the states of the leases, and the keys
    /// that are stored.
    pub(in crate::kv) fn rebuilt(
        &self,
        stored: impl Iterator<Item = (KeyBytes, Record, u64)>,
    ) -> Leases {
        let mut leases = Leases::default();
        leases.advance(self.clock_ms());
        for state in self.states_after(None) {
            leases.restore(state.unwrap());
        }
        for state in self.ended_after(None) {
            leases.restore_ended(state, OrdMap::new());
        }
        for (key, record, bytes) in stored.filter(|(_, record, _)| record.lease != 0) {
            assert!(leases.has_owner(&record), "{key:?} has a lease: {record:?}");
            leases.attach(&key, &record, bytes);
        }
        leases
    }

    /// Changes the time to live of a lease, and nothing else.
    pub(in crate::kv) fn change_ttl(&mut self, id: u64) {
        self.by_id.get_mut(&id).unwrap().ttl ^= 1;
    }
}

fn command(operation: Operation) -> Command {
    Command { once: None, store_bytes_max: 0, operation }
}

fn grant(id: u64, ttl: u64) -> Command {
    command(Operation::Grant { id, ttl, leases_max: 10 })
}

fn revoke(id: u64) -> Command {
    command(Operation::Revoke { id })
}

fn renew(ids: &[u64]) -> Command {
    command(Operation::Renew { ids: ids.to_vec() })
}

/// A `set` with a lease.
fn leased(key: &str, lease: u64, exptime: u64) -> Command {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::from("v"));
    command(Operation::Set { key, exptime, value, lease })
}

fn with_history() -> Log {
    Log::with_history()
}

/// The time left, the time to live and the keys of a lease.
fn lease(store: &Store, id: u64) -> Option<(u64, u64, Vec<Bytes>)> {
    match store.query(&Query::Lease { id, keys_max: 100 }, 0).unwrap() {
        Answer::Lease { left, ttl, keys } => Some((left, ttl, keys)),
        Answer::NoLease => None,
        other => panic!("{other:?}"),
    }
}

fn ids(store: &Store) -> Vec<u64> {
    match store.query(&Query::Leases, 0).unwrap() {
        Answer::Leases(ids) => ids,
        other => panic!("{other:?}"),
    }
}

fn keys_at(store: &Store, at: u64) -> Vec<Bytes> {
    let query = Query::Scan { prefix: Bytes::new(), limit: 10_000, after: None, at };
    match store.query(&query, 0).unwrap() {
        Answer::Scan { items, more: false } => items.into_iter().map(|(key, _)| key).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_is_granted_once_and_no_more_than_the_limit_are() {
    let mut log = with_history();
    assert_eq!(log.apply(&grant(7, 60)), Outcome::Granted { id: 7, ttl: 60 });
    assert_eq!(log.apply(&grant(7, 90)), Outcome::LeaseExists);
    assert_eq!(lease(&log.store, 7), Some((60, 60, vec![])));
    let limited = |id, leases_max| command(Operation::Grant { id, ttl: 1, leases_max });
    assert_eq!(log.apply(&limited(8, 1)), Outcome::Full);
    assert_eq!(log.apply(&limited(8, 2)), Outcome::Granted { id: 8, ttl: 1 });
    log.pass(1_000);
    assert_eq!(log.apply(&limited(9, 2)), Outcome::Granted { id: 9, ttl: 1 }, "8 is due");
    assert_eq!((ids(&log.store), log.store.status().leases), (vec![7, 9], 2));
    assert_eq!(log.store.revision(), 1, "no key has changed");
}

#[test]
fn the_store_chooses_the_same_free_id_on_every_server() {
    let chosen = |log: &mut Log| match log.apply(&grant(0, 60)) {
        Outcome::Granted { id, ttl: 60 } => id,
        other => panic!("{other:?}"),
    };
    let (mut one, mut other) = (with_history(), with_history());
    let first = chosen(&mut one);
    assert_eq!(chosen(&mut other), first);
    let second = chosen(&mut one);
    assert!(first != second && [first, second].iter().all(|id| *id > 0 && *id >> 63 == 0));
    // The index of the next entry would choose `third`, which is taken.
    let mut copy = Log::with_history();
    copy.store = one.store.clone();
    let third = chosen(&mut copy);
    let mut leases = one.store.records_mut().leases().clone();
    leases.grant(third, 1, 0);
    let seed = one.store.last_applied().0 + 1;
    assert_eq!(one.store.records().leases().free_id(seed), third);
    assert_ne!(leases.free_id(seed), third);
}

#[test]
fn a_renewal_begins_the_time_anew_and_none_revives_a_lease_that_is_due() {
    let mut log = with_history();
    log.apply(&grant(7, 10));
    log.apply(&grant(8, 5));
    log.apply(&leased("k", 7, 0));
    log.pass(4_000);
    let renewed = Outcome::Renewed(vec![Some(10), None, Some(5)]);
    assert_eq!(log.apply(&renew(&[7, 9, 8])), renewed);
    log.pass(5_000);
    assert_eq!(lease(&log.store, 7).unwrap().0, 5);
    // Lease 8 is due: the entry that hides it may be this very one.
    assert_eq!(log.apply(&renew(&[8, 7])), Outcome::Renewed(vec![None, Some(10)]));
    log.pass(9_999);
    assert_eq!(keys_at(&log.store, 0), ["k"]);
    assert_eq!(log.store.next_deadline_ms(), Some(log.store.clock_ms() + 1));
    log.pass(1);
    assert_eq!((keys_at(&log.store, 0).len(), lease(&log.store, 7)), (0, None));
    assert!(!log.store.has_hidden() && log.store.next_deadline_ms().is_none());
}

/// An entry ends one lease that has keys, so another one that is due is still there when the
/// command is executed.
#[test]
fn no_renewal_revives_a_lease_that_is_due_and_has_not_ended() {
    let mut log = with_history();
    for (id, key) in [(7, "a"), (8, "b")] {
        log.apply(&grant(id, 5));
        log.apply(&leased(key, id, 0));
    }
    log.advance(5_000);
    assert_eq!(log.apply(&renew(&[8])), Outcome::Renewed(vec![None]));
    assert_eq!((keys_at(&log.store, 0).len(), lease(&log.store, 8)), (0, None));
}

#[test]
fn the_keys_of_a_lease_go_in_one_revision_whether_it_is_due_or_revoked() {
    for is_revoked in [false, true] {
        let mut log = with_history();
        log.apply(&grant(7, 10));
        for key in ["a", "b", "c"] {
            log.apply(&leased(key, 7, 0));
        }
        log.apply(&set("d", "stays"));
        assert_eq!(lease(&log.store, 7).unwrap().2, ["a", "b", "c"]);
        if is_revoked {
            assert_eq!(log.apply(&revoke(7)), Outcome::Revoked);
            assert_eq!(log.apply(&revoke(7)), Outcome::NoLease);
        } else {
            log.pass(10_000);
        }
        assert_eq!((log.store.revision(), keys_at(&log.store, 0)), (6, vec![Bytes::from("d")]));
        assert_eq!(keys_at(&log.store, 5).len(), 4, "they were there a revision before");
        assert_eq!(log.apply(&set("a", "new")), Outcome::Stored { version: 7 });
        let record = log.store.records().get(b"a").unwrap().unwrap();
        assert_eq!((record.create_revision, record.version, record.lease), (7, 1, 0));
    }
}

#[test]
fn the_end_of_a_lease_without_keys_has_no_revision() {
    let mut log = with_history();
    log.apply(&grant(7, 10));
    log.apply(&leased("k", 7, 0));
    log.apply(&delete("k"));
    assert_eq!(log.apply(&revoke(7)), Outcome::Revoked);
    log.apply(&grant(8, 1));
    log.pass(1_000);
    assert_eq!((log.store.revision(), ids(&log.store)), (3, vec![]));
    assert!(!log.store.has_hidden());
}

#[test]
fn a_write_attaches_its_key_to_the_lease_that_it_names_and_to_no_other() {
    let mut log = with_history();
    assert_eq!(log.apply(&leased("k", 7, 0)), Outcome::NoLease);
    log.apply(&grant(7, 10));
    log.apply(&grant(8, 10));
    log.apply(&leased("k", 7, 0));
    log.apply(&leased("k", 8, 0));
    assert_eq!(lease(&log.store, 7).unwrap().2.len(), 0);
    assert_eq!(lease(&log.store, 8).unwrap().2, ["k"]);
    // A put of a transaction can keep the lease.
    let put = Put {
        key: Bytes::from("k"),
        value: Some(Bytes::from("w")),
        lease: None,
        exptime: 0,
        wants_previous: false,
    };
    let transaction =
        |put| Transaction { then: vec![TransactionOperation::Put(put)], ..Default::default() };
    log.apply(&command(Operation::Transaction(transaction(put))));
    assert_eq!(lease(&log.store, 8).unwrap().2, ["k"]);
    log.apply(&set("k", "v"));
    assert_eq!(lease(&log.store, 8).unwrap().2.len(), 0, "a put without a lease detaches");
    log.apply(&revoke(8));
    assert_eq!(keys_at(&log.store, 0), ["k"]);
}

#[test]
fn one_lease_ends_an_entry_and_the_others_that_are_due_hide_their_keys_at_once() {
    let mut log = with_history();
    for id in [9, 8, 7] {
        log.apply(&grant(id, 10));
        log.apply(&leased(&format!("k{id}"), id, 0));
    }
    let before = log.store.revision();
    log.pass(10_000);
    assert_eq!((keys_at(&log.store, 0).len(), log.store.keys(), log.store.bytes()), (0, 0, 0));
    assert!(log.store.has_hidden() && ids(&log.store).is_empty());
    assert_eq!((log.store.revision(), log.store.ending_leases()), (before + 1, 2));
    // At that revision they were hidden, too, and the one before it is as it was.
    log.pass(0);
    assert_eq!((log.store.revision(), log.store.ending_leases()), (before + 2, 1));
    assert_eq!((keys_at(&log.store, before + 1).len(), keys_at(&log.store, before).len()), (0, 3));
    // A write of a key whose lease is due and has not ended is that of a new key.
    assert_eq!(log.apply(&set("k9", "new")), Outcome::Stored { version: before + 3 });
    assert_eq!(keys_at(&log.store, before + 2).len(), 0);
    assert!(!log.store.has_hidden());
}

/// A lease with so many keys that an entry does not remove all of them.
fn crowd(keys: usize) -> Log {
    let mut log = with_history();
    log.apply(&grant(7, 10));
    for key in 0..keys {
        log.apply(&leased(&format!("k{key:05}"), 7, 0));
    }
    log
}

#[test]
fn leases_with_many_keys_end_one_after_the_other_and_not_in_one_go() {
    let mut log = crowd(3_000);
    for id in [5, 6] {
        log.apply(&grant(id, 10));
    }
    for key in 0..3_000 {
        for id in [5, 6] {
            log.apply(&leased(&format!("l{id}/{key:05}"), id, 0));
        }
    }
    assert_eq!(log.store.ending_leases(), 0, "none is due");
    log.pass(10_000);
    assert_eq!(log.store.ending_leases(), 1, "two are due");
}

#[test]
fn a_lease_with_many_keys_ends_at_once_and_they_are_removed_in_bounded_steps() {
    let mut log = crowd(3_000);
    let before = log.store.revision();
    assert_eq!(log.apply(&revoke(7)), Outcome::Revoked);
    assert_eq!((log.store.keys(), log.store.bytes(), log.store.revision()), (0, 0, before + 1));
    let stored = |log: &Log| log.store.records().stored_len();
    assert!(stored(&log) >= 2_900, "an entry with a command removes few");
    for left in [2_000, 1_000, 0] {
        assert!(log.store.has_hidden());
        assert_eq!((keys_at(&log.store, 0).len(), keys_at(&log.store, before).len()), (0, 3_000));
        log.pass(0);
        assert!(stored(&log) <= left, "{} of {left}", stored(&log));
    }
    assert_eq!((log.store.revision(), log.store.has_hidden()), (before + 1, false));
    assert_eq!(keys_at(&log.store, before).len(), 3_000);
}

#[test]
fn an_id_can_be_granted_again_while_keys_of_the_lease_before_are_stored() {
    let mut log = crowd(100);
    log.apply(&revoke(7));
    assert_eq!(log.apply(&grant(7, 10)), Outcome::Granted { id: 7, ttl: 10 });
    assert!(log.store.has_hidden());
    log.apply(&leased("k00099", 7, 0));
    log.apply(&leased("new", 7, 5));
    let record = log.store.records().get(b"k00099").unwrap().unwrap();
    assert_eq!((record.version, record.create_revision), (1, record.mod_revision));
    let expected = ["k00099", "new"].map(Bytes::from);
    assert_eq!(keys_at(&log.store, 0), expected);
    assert_eq!(lease(&log.store, 7).unwrap().2, expected);
    assert_eq!((log.store.keys(), log.store.bytes()), (2, 2 * (RECORD_OVERHEAD_BYTES + 1) + 6 + 3));
    log.pass(5_000);
    assert_eq!(keys_at(&log.store, 0), [expected[0].clone()]);
    log.pass(5_000);
    assert_eq!(log.store.records().stored_len(), 0);
    assert!(!log.store.has_hidden());
}

#[test]
fn an_id_whose_lease_is_due_and_has_not_ended_can_be_granted() {
    let mut log = with_history();
    for id in [7, 8] {
        log.apply(&grant(id, 10));
        log.apply(&leased(&format!("k{id}"), id, 0));
    }
    // At the next entry both are due; 7 ends with it, and 8 is still to end.
    log.advance(10_000);
    let before = log.store.revision();
    assert_eq!(log.apply(&grant(8, 10)), Outcome::Granted { id: 8, ttl: 10 });
    assert_eq!((log.store.revision(), keys_at(&log.store, 0).len()), (before + 1, 0));
    assert_eq!(lease(&log.store, 8), Some((10, 10, vec![])));
    log.apply(&leased("k8", 8, 0));
    assert_eq!(lease(&log.store, 8).unwrap().2, ["k8"]);
}

#[test]
fn a_key_with_a_time_of_its_own_counts_once_whichever_is_over_first() {
    let one = RECORD_OVERHEAD_BYTES + 3;
    for (exptime, ttl) in [(5, 10), (10, 5), (5, 5)] {
        let mut log = with_history();
        log.apply(&grant(7, ttl));
        // They are so many that an entry does not remove all of them.
        for key in 0..40 {
            log.apply(&leased(&format!("{key:02}"), 7, exptime));
        }
        log.apply(&set("ab", "c"));
        for _ in 0..4 {
            log.advance(2_500);
            log.apply(&renew(&[1]));
            let is_over = log.store.clock_ms() >= 1_000_000 + exptime.min(ttl) * 1_000;
            let keys = if is_over { 1 } else { 41 };
            let expected = (keys, keys * one, keys as usize);
            let store = &log.store;
            assert_eq!((store.keys(), store.bytes(), keys_at(store, 0).len()), expected);
        }
        log.pass(0);
        log.pass(0);
        assert_eq!((log.store.records().stored_len(), log.store.has_hidden()), (1, false));
        log.store.records().check_leases();
    }
}

#[test]
fn without_a_history_leases_end_all_the_same() {
    let mut log = crowd(100);
    log.apply(&command(Operation::SetHistory(HistoryLimits::NONE)));
    log.apply(&revoke(7));
    assert_eq!((log.store.keys(), log.store.revision()), (0, 102));
    log.apply(&set("k00050", "v"));
    log.pass(0);
    assert_eq!((log.store.records().stored_len(), log.store.has_hidden()), (1, false));
    assert_eq!(keys_at(&log.store, 0), ["k00050"]);
}

#[test]
fn a_grant_is_remembered_for_a_retry() {
    let mut log = with_history();
    let grant = grant(0, 60).once("c", 1);
    let first = log.apply(&grant);
    assert_eq!((log.apply(&grant), ids(&log.store).len()), (first, 1));
}

#[test]
fn the_limit_of_the_store_does_not_count_what_a_lease_hides() {
    let mut log = crowd(100);
    log.apply(&revoke(7));
    assert!(log.store.has_hidden());
    let bytes_max = RECORD_OVERHEAD_BYTES + 2;
    assert!(matches!(log.apply(&set("k", "v").limit(bytes_max)), Outcome::Stored { .. }));
    assert_eq!(log.apply(&set("l", "v").limit(bytes_max)), Outcome::Full);
}

#[test]
fn a_lease_that_is_not_what_was_written_decides_nothing() {
    let mut log = with_history();
    log.apply(&grant(7, 60));
    log.store.records_mut().leases_mut().change_ttl(7);
    let corrupted = Err(Corruption::Lease { id: 7 });
    assert_eq!(log.store.query(&Query::Lease { id: 7, keys_max: 0 }, 0), corrupted);
    assert!(log.store.records_mut().leases_mut().renew(7).is_err());
}

#[test]
fn the_events_of_a_lease_are_those_of_its_keys() {
    let mut log = crowd(3);
    log.apply(&set_for("z", "v", 1));
    let from = log.store.revision() + 1;
    log.apply(&revoke(7));
    log.pass(1_000);
    let (filter, budget) =
        (WatchFilter::all(KeyRange::all()), WatchBudget { bytes: 1_000, keys: 100 });
    let read = log.store.history_view().read(&WatchCursor::from(from), &filter, budget).unwrap();
    let changes: Vec<_> =
        read.events.into_iter().map(|event| (event.key, event.revision, event.kind)).collect();
    let key = |key: &'static str| Bytes::from(key);
    assert_eq!(
        changes,
        [
            (key("k00000"), from, ChangeKind::Delete),
            (key("k00001"), from, ChangeKind::Delete),
            (key("k00002"), from, ChangeKind::Delete),
            (key("z"), from + 1, ChangeKind::Expire),
        ]
    );
}

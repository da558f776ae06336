//! Each rule of the protocol by an example; `model` tests them together.

mod expiry;
mod model;
mod reference;

use bytes::Bytes;

use super::*;
use crate::kv::{Answer, CLIENT_SILENCE_MS, Query, RECORD_OVERHEAD_BYTES};
use crate::testing::store_model::{add, cas, delete, end, entry, noop, set, set_for};
use crate::types::{FormatInForce, Membership, NodeId, Term};

use Outcome::{Busy, Deleted, Ended, Exists, Full, NotFound, Stale, Stored, VersionMismatch};

impl Store {
    /// Size and digest, computed from the records.
    pub(in crate::kv) fn recomputed(&self) -> (u64, u64) {
        let (bytes, digest) = self.records.recomputed();
        let digest = digest.wrapping_add(self.clients.recomputed_digest());
        if self.counts_revisions() {
            (bytes, digest.wrapping_add(self.history.digest()))
        } else {
            (bytes, digest)
        }
    }

    /// Size and digest, as they are kept.
    pub(in crate::kv) fn stored(&self) -> (u64, u64) {
        (self.records.stored_bytes(), self.digest())
    }

    /// The history, to change it as a fault does, and its bounds.
    pub(in crate::kv) fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// The keys, to change them as a fault does.
    pub(in crate::kv) fn records_mut(&mut self) -> &mut Records {
        &mut self.records
    }

    /// The clients, to change them as a fault does.
    pub(in crate::kv) fn clients_mut(&mut self) -> &mut OnceTable {
        &mut self.clients
    }

    /// The number of clients that are not hidden.
    fn visible_clients(&self) -> usize {
        let clients = self.clients.stored_from(std::ops::Bound::Unbounded);
        clients
            .filter(|(_, c)| c.state().last_used_ms + CLIENT_SILENCE_MS > self.clock_ms())
            .count()
    }
}

/// A store with the log that it applies.
struct Log {
    store: Store,
    /// The stamp of the next entry.
    stamp_ms: u64,
}

impl Log {
    fn new() -> Log {
        Log { store: Store::new(), stamp_ms: 1_000_000 }
    }

    fn at(&mut self, stamp_ms: u64) -> &mut Log {
        self.stamp_ms = stamp_ms;
        self
    }

    fn next_index(&self) -> u64 {
        self.store.last_applied().0 + 1
    }

    /// Applies the command as the next entry.
    fn run(&mut self, command: Command) -> Outcome {
        let entry = entry(self.next_index(), self.stamp_ms, &command);
        self.store.apply(&entry).unwrap().expect("a command has an outcome")
    }

    fn noop(&mut self) {
        let entry = noop(self.next_index(), self.stamp_ms);
        assert_eq!(self.store.apply(&entry), Ok(None));
    }

    fn get(&self, key: &'static str) -> Option<Bytes> {
        match self.store.query(&Query::Get { key: Bytes::from(key), at: 0 }, 0).unwrap() {
            Answer::Value(value) => Some(value),
            _ => None,
        }
    }
}

#[test]
fn the_version_of_a_value_is_the_index_of_the_entry_that_wrote_it() {
    let mut log = Log::new();
    log.noop();
    assert_eq!(log.run(set("k", "1")), Stored { version: 2 });
    assert_eq!(log.run(set("other", "1")), Stored { version: 3 });
    assert_eq!(log.run(set("k", "2")), Stored { version: 4 });
    assert_eq!(log.get("k").unwrap(), "2");
}

#[test]
fn add_writes_only_an_absent_key() {
    let mut log = Log::new();
    assert_eq!(log.run(add("k", "1")), Stored { version: 1 });
    assert_eq!(log.run(add("k", "2")), Exists { version: 1 });
    assert_eq!(log.get("k").unwrap(), "1");
    assert_eq!(log.run(delete("k")), Deleted);
    assert_eq!(log.run(add("k", "3")), Stored { version: 4 });
}

#[test]
fn cas_writes_only_the_version_that_it_names() {
    let mut log = Log::new();
    assert_eq!(log.run(cas("k", 7, "x")), VersionMismatch { version: 0 });
    assert_eq!(log.run(cas("k", 0, "1")), Stored { version: 2 });
    assert_eq!(log.run(cas("k", 0, "x")), VersionMismatch { version: 2 });
    assert_eq!(log.run(cas("k", 1, "x")), VersionMismatch { version: 2 });
    assert_eq!(log.run(cas("k", 2, "2")), Stored { version: 5 });
    assert_eq!(log.run(cas("k", 2, "x")), VersionMismatch { version: 5 });
    assert_eq!(log.get("k").unwrap(), "2");
}

#[test]
fn delete_reports_if_the_key_was_present() {
    let mut log = Log::new();
    assert_eq!(log.run(delete("k")), NotFound);
    log.run(set("k", "1"));
    assert_eq!(log.run(delete("k")), Deleted);
    assert_eq!(log.run(delete("k")), NotFound);
    assert_eq!((log.store.keys(), log.store.bytes(), log.store.digest()), (0, 0, 0));
}

#[test]
fn a_key_expires_with_the_first_entry_stamped_at_its_deadline_and_not_before() {
    let mut log = Log::new();
    log.at(10_000).run(set_for("k", "v", 3));
    assert_eq!(log.store.next_deadline_ms(), Some(13_000));
    log.at(12_999).noop();
    assert!(log.get("k").is_some());
    log.at(13_000).noop();
    assert!(log.get("k").is_none());
    assert_eq!((log.store.keys(), log.store.next_deadline_ms()), (0, None));
}

#[test]
fn the_clock_of_a_reader_expires_nothing() {
    let mut log = Log::new();
    log.at(10_000).run(set_for("k", "v", 3));
    let query = Query::Get { key: Bytes::from("k"), at: 0 };
    assert_eq!(log.store.query(&query, u64::MAX), Ok(Answer::Value(Bytes::from("v"))));
}

#[test]
fn a_key_expires_before_the_command_of_the_entry_that_expires_it() {
    let mut log = Log::new();
    for key in ["added", "cased", "deleted"] {
        log.at(10_000).run(set_for(key, "old", 1));
    }
    assert_eq!(log.at(10_999).run(add("added", "new")), Exists { version: 1 });
    assert_eq!(log.at(11_000).run(add("added", "new")), Stored { version: 5 });

    let mut log = Log::new();
    log.at(10_000).run(set_for("cased", "old", 1));
    assert_eq!(log.at(11_000).run(cas("cased", 1, "new")), VersionMismatch { version: 0 });
    assert_eq!(log.run(cas("cased", 0, "new")), Stored { version: 3 });

    let mut log = Log::new();
    log.at(10_000).run(set_for("deleted", "old", 1));
    assert_eq!(log.at(11_000).run(delete("deleted")), NotFound);
}

#[test]
fn a_later_write_replaces_the_deadline() {
    let mut log = Log::new();
    log.at(10_000).run(set_for("for ever", "v", 1));
    log.run(set("for ever", "v"));
    log.run(set_for("longer", "v", 1));
    log.run(set_for("longer", "v", 2));
    log.run(set_for("shorter", "v", 9));
    log.run(set_for("shorter", "v", 1));
    log.at(11_000).noop();
    assert!(log.get("for ever").is_some());
    assert!(log.get("longer").is_some());
    assert!(log.get("shorter").is_none());
    log.at(12_000).noop();
    assert!(log.get("longer").is_none());
}

#[test]
fn a_refused_write_leaves_the_deadline_alone() {
    let mut log = Log::new();
    log.at(10_000).run(set_for("k", "v", 1));
    log.run(add("k", "v"));
    log.run(cas("k", 99, "v"));
    assert_eq!(log.store.next_deadline_ms(), Some(11_000));
}

#[test]
fn the_clock_never_falls_even_if_a_stamp_does() {
    // docs/bugs.md B74: a leader whose clock is slow must neither revive a key nor prolong it.
    let mut log = Log::new();
    log.at(10_000).run(set_for("first", "v", 1));
    log.at(9_000).run(set_for("second", "v", 1));
    assert_eq!(log.store.clock_ms(), 10_000);
    log.at(11_000).noop();
    assert_eq!(log.store.keys(), 0);
}

#[test]
fn a_new_leader_prolongs_nothing() {
    // docs/bugs.md B74: a deadline that starts again with every election never comes.
    let mut log = Log::new();
    log.at(10_000).run(set_for("k", "v", 2));
    for (term, stamp_ms) in [(2, 10_500), (3, 11_000), (4, 11_500)] {
        let index = LogIndex(log.next_index());
        let entry = Entry { index, term: Term(term), stamp_ms, payload: Payload::Noop };
        log.store.apply(&entry).unwrap();
        assert_eq!(log.store.next_deadline_ms(), Some(12_000));
    }
    log.at(12_000).noop();
    assert!(log.get("k").is_none());
}

#[test]
fn the_longest_exptime_saturates() {
    let mut log = Log::new();
    log.run(set_for("k", "v", u64::MAX));
    assert_eq!(log.store.next_deadline_ms(), Some(u64::MAX));
    log.at(u64::MAX - 1).noop();
    assert!(log.get("k").is_some());
}

#[test]
fn a_membership_entry_lets_time_pass_and_does_nothing_else() {
    let mut log = Log::new();
    log.at(10_000).run(set_for("k", "v", 1));
    let membership = Membership::seed([NodeId(1)]);
    let payload = Payload::Membership(membership);
    let entry = Entry { index: LogIndex(2), term: Term(1), stamp_ms: 11_000, payload };
    assert_eq!(log.store.apply(&entry), Ok(None));
    assert_eq!((log.store.last_applied(), log.store.keys()), (LogIndex(2), 0));
}

#[test]
fn a_retry_gets_the_remembered_outcome_and_is_not_executed_again() {
    let mut log = Log::new();
    assert_eq!(log.run(set("k", "1").once("me", 1)), Stored { version: 1 });
    assert_eq!(log.run(set("k", "1").once("me", 1)), Stored { version: 1 });
    log.run(set("k", "2"));
    assert_eq!(log.run(set("k", "1").once("me", 1)), Stored { version: 1 });
    assert_eq!(log.get("k").unwrap(), "2", "the retry did not undo the later write");
}

#[test]
fn a_retry_with_another_command_still_gets_the_remembered_outcome() {
    let mut log = Log::new();
    log.run(set("k", "1").once("me", 1));
    assert_eq!(log.run(delete("k").once("me", 1)), Stored { version: 1 });
    assert_eq!(log.run(cas("k", 99, "x").once("me", 1)), Stored { version: 1 });
    assert_eq!(log.get("k").unwrap(), "1");
}

#[test]
fn failures_are_remembered_even_when_a_retry_would_succeed() {
    let mut log = Log::new();
    log.run(set("k", "1"));
    assert_eq!(log.run(add("k", "2").once("a", 1)), Exists { version: 1 });
    assert_eq!(log.run(cas("k", 9, "2").once("c", 1)), VersionMismatch { version: 1 });
    assert_eq!(log.run(delete("absent").once("d", 1)), NotFound);
    log.run(delete("k"));
    log.run(set("absent", "now here"));
    assert_eq!(log.run(add("k", "2").once("a", 1)), Exists { version: 1 });
    assert_eq!(log.run(cas("k", 0, "2").once("c", 1)), VersionMismatch { version: 1 });
    assert_eq!(log.run(delete("absent").once("d", 1)), NotFound);
    assert_eq!(log.run(delete("absent").once("d", 2)), Deleted);
    assert_eq!(log.run(delete("absent").once("d", 2)), Deleted);
}

#[test]
fn a_lower_number_is_stale_and_gaps_are_allowed() {
    let mut log = Log::new();
    assert_eq!(log.run(set("k", "1").once("me", 10)), Stored { version: 1 });
    assert_eq!(log.run(set("k", "x").once("me", 9)), Stale);
    assert_eq!(log.run(set("k", "2").once("me", u64::MAX)), Stored { version: 3 });
    assert_eq!(log.run(set("k", "x").once("me", 10)), Stale);
    assert_eq!(log.run(set("k", "3").once("you", 1)), Stored { version: 5 });
    assert_eq!(log.get("k").unwrap(), "3");
}

#[test]
fn a_client_is_forgotten_after_an_hour_of_silence_by_the_clock_of_the_log() {
    let mut log = Log::new();
    log.at(10_000).run(set("k", "1").once("me", 5));
    let last = 10_000 + CLIENT_SILENCE_MS - 1;
    assert_eq!(log.at(last).run(set("k", "x").once("me", 5)), Stored { version: 1 });
    assert_eq!(log.at(last + CLIENT_SILENCE_MS - 1).run(set("k", "x").once("me", 4)), Stale);
    let spoke = last + CLIENT_SILENCE_MS - 1;
    log.at(spoke + CLIENT_SILENCE_MS).noop();
    assert_eq!(log.store.clients(), 0);
    assert_eq!(log.run(set("k", "2").once("me", 1)), Stored { version: 5 });
}

#[test]
fn silent_clients_ask_for_no_entry() {
    let mut log = Log::new();
    log.run(set("k", "1").once("me", 1));
    assert_eq!(log.store.next_deadline_ms(), None);
}

#[test]
fn one_client_too_many_is_refused_and_nothing_is_executed() {
    let mut log = Log { store: Store::with_clients_max(1), stamp_ms: 0 };
    log.run(set("k", "1").once("me", 1));
    assert_eq!(log.run(set("k", "x").once("you", 1)), Busy);
    assert_eq!(log.get("k").unwrap(), "1");
    assert_eq!(log.run(set("k", "2").once("me", 2)), Stored { version: 3 });
    assert_eq!(log.run(set("k", "3")), Stored { version: 4 });
    log.at(CLIENT_SILENCE_MS).noop();
    assert_eq!(log.run(set("k", "4").once("you", 1)), Stored { version: 6 });
}

/// The limit in bytes at which `keys` keys of one byte with values of one byte fit.
#[test]
fn a_full_table_refuses_new_names_only_and_an_end_makes_room() {
    let mut log = Log { store: Store::with_clients_max(2), ..Log::new() };
    log.run(set("k", "1").once("one", 1));
    log.run(set("k", "2").once("two", 1));
    for name in ["a", "b", "c"] {
        assert_eq!(log.run(set("k", "x").once(name, 1)), Busy);
    }
    assert_eq!(log.store.clients(), 2);
    // Known clients and commands without a name go on.
    assert_eq!(log.run(set("k", "3").once("two", 2)), Stored { version: 6 });
    assert_eq!(log.run(set("k", "4")), Stored { version: 7 });
    assert_eq!(log.run(end().once("nobody", 1)), Ended);
    assert_eq!(log.run(end().once("two", 1)), Stale);
    assert_eq!(log.run(end().once("two", 2)), Ended);
    assert_eq!(log.run(set("k", "5").once("a", 1)), Stored { version: 11 });
    assert_eq!(log.run(end().once("two", 2)), Ended, "a retry");
    assert_eq!((log.store.bytes(), log.store.digest()), log.store.recomputed());
}

/// An `end` gives up the protection: docs/protocol.md says when a client may send it.
#[test]
fn a_copy_of_a_command_that_comes_after_the_end_is_executed_again() {
    let mut log = Log::new();
    log.run(set("k", "1").once("me", 1));
    log.run(set("k", "1").once("me", 1));
    assert_eq!(log.run(end().once("me", 1)), Ended);
    assert_eq!(log.run(set("k", "1").once("me", 1)), Stored { version: 4 });
}

fn room_for(keys: u64) -> u64 {
    keys * (RECORD_OVERHEAD_BYTES + 2)
}

#[test]
fn a_write_that_would_exceed_the_limit_changes_nothing() {
    let mut log = Log::new();
    log.run(set("a", "1"));
    let before = log.store.digest();
    assert_eq!(log.run(set("b", "1").limit(room_for(2) - 1)), Full);
    assert_eq!(log.run(add("b", "1").limit(room_for(2) - 1)), Full);
    assert_eq!(log.run(cas("b", 0, "1").limit(room_for(2) - 1)), Full);
    assert_eq!(log.store.digest(), before);
    assert_eq!(log.run(set("b", "1").limit(room_for(2))), Stored { version: 5 });
    assert_eq!(log.store.bytes(), room_for(2));
}

#[test]
fn a_full_store_takes_writes_that_do_not_grow_it() {
    let mut log = Log::new();
    log.run(set("a", "1"));
    log.run(set("b", "1"));
    // The limit was lowered: the store is over it.
    let limit = room_for(1);
    assert_eq!(log.run(set("a", "2").limit(limit)), Stored { version: 3 });
    assert_eq!(log.run(set("a", "").limit(limit)), Stored { version: 4 });
    assert_eq!(log.run(set("a", "1").limit(limit)), Full, "it shrank, and may not grow again");
    assert_eq!(log.get("a").unwrap(), "");
    assert_eq!(log.run(delete("b").limit(limit)), Deleted);
    assert_eq!(log.run(set("a", "1").limit(limit)), Stored { version: 7 });
}

#[test]
fn an_expired_key_makes_room_for_the_entry_that_expires_it() {
    let mut log = Log::new();
    log.at(1000).run(set_for("a", "1", 1));
    assert_eq!(log.at(1999).run(set("b", "1").limit(room_for(1))), Full);
    assert_eq!(log.at(2000).run(set("b", "1").limit(room_for(1))), Stored { version: 3 });
}

#[test]
fn a_mismatch_is_reported_before_a_full_store() {
    let mut log = Log::new();
    log.run(set("k", "1"));
    assert_eq!(log.run(add("k", "22").limit(1)), Exists { version: 1 });
    assert_eq!(log.run(cas("k", 9, "22").limit(1)), VersionMismatch { version: 1 });
    assert_eq!(log.run(delete("absent").limit(1)), NotFound);
}

#[test]
fn a_full_store_uses_no_number_and_a_remembered_reply_wins_over_it() {
    let mut log = Log::new();
    assert_eq!(log.run(set("a", "1").once("me", 1)), Stored { version: 1 });
    assert_eq!(log.run(set("b", "1").once("me", 2).limit(1)), Full);
    assert_eq!(log.run(set("a", "22").once("me", 1).limit(1)), Stored { version: 1 });
    assert_eq!(log.run(set("b", "1").once("me", 2)), Stored { version: 4 });
    assert_eq!(log.run(set("c", "1").once("new", 1).limit(1)), Full);
    assert_eq!(log.store.clients(), 1);
    assert_eq!(log.run(set("c", "1").once("new", 1)), Stored { version: 6 });
}

#[test]
#[should_panic(expected = "each exactly once")]
fn an_entry_is_never_applied_twice() {
    let mut store = Store::new();
    store.apply(&noop(1, 0)).unwrap();
    let _ = store.apply(&noop(1, 0));
}

#[test]
#[should_panic(expected = "in the order of the log")]
fn an_entry_is_never_skipped() {
    let _ = Store::new().apply(&noop(2, 0));
}

#[test]
fn an_entry_that_does_not_decode_changes_nothing() {
    let mut log = Log::new();
    log.at(1000).run(set_for("k", "v", 1));
    let before = log.store.clone();
    let payload = Payload::Command(Bytes::from_static(b"\xfe"));
    let entry = Entry { index: LogIndex(2), term: Term(1), stamp_ms: 9000, payload };
    assert_eq!(
        log.store.apply(&entry),
        Err(ApplyError::Command(CommandError::UnknownOperation(0xfe)))
    );
    assert_eq!(log.store, before);
}

#[test]
fn a_format_is_in_force_from_its_entry_on() {
    let mut log = Log::new();
    assert_eq!(log.store.format(), Format::FIRST);
    log.run(set("k", "1"));
    let before = log.store.clone();
    let raise = Entry {
        payload: Payload::Format(FormatInForce::of(Format(2))),
        ..noop(log.next_index(), log.stamp_ms)
    };
    assert_eq!(log.store.apply(&raise), Ok(None));
    assert_eq!(log.store.format(), Format(2));
    log.run(set("k", "2"));
    assert_eq!(log.store.format(), Format(2));
    assert_eq!(before.format(), Format::FIRST, "a view of the store is of its own entry");
}

/// A store that is empty may have been written to: then versions go on above those that were given
/// (docs/adr/0029).
#[test]
fn versions_begin_with_one_only_where_the_log_has_no_command() {
    for (commands, raised, revision) in [
        (vec![], FormatInForce::of(Format(4)).in_unwritten_log(), 1),
        (vec![], FormatInForce::of(Format(4)), 1),
        (vec![set("k", "1"), delete("k")], FormatInForce::of(Format(4)), 3),
    ] {
        let mut log = Log::new();
        for command in commands {
            log.run(command);
        }
        let raise =
            Entry { payload: Payload::Format(raised), ..noop(log.next_index(), log.stamp_ms) };
        assert_eq!(log.store.apply(&raise), Ok(None));
        assert_eq!(log.store.revision(), revision);
    }
    let mut log = Log::new();
    assert_eq!(log.store.apply(&noop(log.next_index(), log.stamp_ms)), Ok(None));
    let raise = |raised| Entry { payload: Payload::Format(raised), ..noop(2, 0) };
    let mut marked = log.store.clone();
    assert_eq!(marked.apply(&raise(FormatInForce::of(Format(4)).in_unwritten_log())), Ok(None));
    assert_eq!(log.store.apply(&raise(FormatInForce::of(Format(4)))), Ok(None));
    assert_eq!((marked.revision(), log.store.revision()), (1, 2));
}

#[test]
fn the_format_tells_stores_apart_but_is_not_in_the_digest() {
    let mut log = Log::new();
    log.run(set("k", "1"));
    let raised = log.store.clone().in_format(Format(2));
    assert_ne!(raised, log.store);
    assert_eq!(raised.digest(), log.store.digest());
}

#[test]
fn a_store_from_a_backup_goes_on_above_the_revisions_of_the_lost_cluster() {
    let mut log = crate::testing::store_model::Log::with_history();
    for command in [set("a", "1"), set("b", "1"), delete("b"), set("a", "2")] {
        log.apply(&command);
    }
    assert!(log.store.bump_revision(1000));
    assert_eq!((log.store.revision(), log.store.compacted()), (1005, 1005));
    assert_eq!(log.store.stored(), log.store.recomputed());
    let get = |log: &crate::testing::store_model::Log, at| {
        log.store.query(&Query::Get { key: Bytes::from("a"), at }, 0).unwrap()
    };
    assert_eq!(get(&log, 5), Answer::Compacted { revision: 1005 });
    assert_eq!(get(&log, 1005), Answer::Value(Bytes::from("2")));
    assert_eq!(log.apply(&set("a", "3")), Stored { version: 1006 });
    assert_eq!(log.apply(&set("b", "4")), Stored { version: 1007 });
    assert_eq!(get(&log, 1005), Answer::Value(Bytes::from("2")));
    let blocks: Vec<_> = log.store.snapshot_blocks().map(Result::unwrap).collect();
    let mut loader = crate::kv::StoreLoader::new();
    blocks.iter().for_each(|block| loader.load(block).unwrap());
    assert_eq!(loader.finish(), Ok(log.store));
    let mut old = Store::new();
    assert!(!old.bump_revision(1000), "it counts no revisions");
}

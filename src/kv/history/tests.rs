use super::*;
use crate::kv::{ChangeKind, Store};
use crate::testing::store_model::{Log, delete, set};

#[test]
fn the_history_begins_with_format_4() {
    let log = Log::with_history();
    assert_eq!((log.store.history().revision(), log.store.history().compacted()), (1, 1));
    assert_eq!(log.store.history().limits(), HistoryLimits::default());
    assert!(!Store::new().history().keeps_changes());
}

#[test]
fn the_keys_that_are_gone_are_known_until_they_are_written_again() {
    let mut log = Log::with_history();
    log.apply(&set("k", "1"));
    assert_eq!(log.store.history().gone(b"k"), 0);
    log.apply(&delete("k"));
    assert_eq!(log.store.history().gone(b"k"), 2);
    log.apply(&set("k", "2"));
    assert_eq!(log.store.history().gone(b"k"), 0);
    let change = log.store.history().changes().get(3).unwrap();
    assert!(matches!(change.action, Action::Put { before: 2, previous: None, .. }), "{change:?}");
    assert_ne!(ChangeKind::Put, ChangeKind::Delete);
}

use super::*;
use crate::testing::store_model::{Log, delete, set, set_for};

const ALL: WatchBudget = WatchBudget { bytes: usize::MAX, keys: usize::MAX };

/// An event as a short text.
fn shown(event: &ChangeEvent) -> String {
    let kind = match event.kind {
        ChangeKind::Put => "+",
        ChangeKind::Delete => "-",
        ChangeKind::Expire => "x",
    };
    let value = |record: &Option<Record>| match record {
        Some(record) => String::from_utf8(record.value().to_vec()).unwrap(),
        None => String::new(),
    };
    let key = event.key.escape_ascii();
    let (value, previous) = (value(&event.record), value(&event.previous));
    format!("{}{kind}{key}={value}/{previous}", event.revision)
}

fn read(log: &Log, from: u64, filter: &WatchFilter) -> (Vec<String>, WatchRead) {
    let read = log.store.history_view().read(&WatchCursor::from(from), filter, ALL).unwrap();
    (read.events.iter().map(shown).collect(), read)
}

/// A store at revision 5.
fn log() -> Log {
    let mut log = Log::with_history();
    log.apply(&set("a", "1"));
    log.apply(&set("b", "2"));
    log.apply(&set("a", "3"));
    log.apply(&delete("a"));
    log
}

#[test]
fn a_watch_gets_each_change_of_its_keys_from_its_revision_on() {
    let (log, all) = (log(), WatchFilter::all(KeyRange::all()));
    let with_previous = WatchFilter { wants_previous: true, ..all.clone() };
    let (events, whole) = read(&log, 2, &all);
    assert_eq!(events, ["2+a=1/", "3+b=2/", "4+a=3/", "5-a=/"]);
    assert_eq!((whole.complete_to, whole.has_more), (5, false));
    assert_eq!(read(&log, 4, &with_previous).0, ["4+a=3/1", "5-a=/3"]);
    let a = WatchFilter::all(KeyRange::key(Bytes::from("a")));
    assert_eq!(read(&log, 3, &a).0, ["4+a=3/", "5-a=/"]);
    let only = WatchFilter { wants_puts: false, ..all.clone() };
    assert_eq!(read(&log, 1, &only).0, ["5-a=/"]);
    let only = WatchFilter { wants_removals: false, ..all };
    assert_eq!(read(&log, 1, &only).0, ["2+a=1/", "3+b=2/", "4+a=3/"]);
}

#[test]
fn a_watch_goes_on_where_it_was_in_a_later_view() {
    let (mut log, all) = (log(), WatchFilter::all(KeyRange::all()));
    let (_, first) = read(&log, 5, &all);
    let again = log.store.history_view().read(&first.cursor, &all, ALL).unwrap();
    assert_eq!((again.events.len(), again.complete_to), (0, 5));
    log.apply(&set_for("c", "4", 1));
    log.pass(2000);
    let view = log.store.history_view();
    let next = view.read(&again.cursor, &all, ALL).unwrap();
    let events: Vec<String> = next.events.iter().map(shown).collect();
    assert_eq!(events, ["6+c=4/", "7xc=/"]);
    assert_eq!(next.events[1].at_ms - next.events[0].at_ms, 2000);
}

#[test]
fn a_watch_from_the_future_waits() {
    let (mut log, all) = (log(), WatchFilter::all(KeyRange::all()));
    let (events, mut ahead) = read(&log, 8, &all);
    assert_eq!((events.len(), ahead.complete_to), (0, 7));
    for (revision, expected) in [(6, 0), (7, 0), (8, 1), (9, 1)] {
        log.apply(&set("k", "v"));
        let view = log.store.history_view();
        assert_eq!(view.revision(), revision);
        ahead = view.read(&ahead.cursor, &all, ALL).unwrap();
        assert_eq!(ahead.events.len(), expected, "revision {revision}");
    }
}

#[test]
fn a_budget_ends_a_read_and_the_next_one_goes_on() {
    let (log, all) = (log(), WatchFilter::all(KeyRange::all()));
    let view = log.store.history_view();
    for budget in [WatchBudget { bytes: 1, keys: 9 }, WatchBudget { bytes: 99, keys: 1 }] {
        let (mut cursor, mut events) = (WatchCursor::from(1), Vec::new());
        for complete_to in 2..=5 {
            let read = view.read(&cursor, &all, budget).unwrap();
            events.extend(read.events.iter().map(shown));
            assert_eq!(read.has_more, complete_to < 5, "{budget:?}");
            assert_eq!(read.complete_to, complete_to, "{budget:?}");
            cursor = read.cursor;
        }
        assert_eq!(events, ["2+a=1/", "3+b=2/", "4+a=3/", "5-a=/"], "{budget:?}");
    }
}

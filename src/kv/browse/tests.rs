use super::*;
use crate::kv::{Answer, Command, KeyRange, Operation, Query};
use crate::testing::store_model::{Log, delete, set, set_for};

fn versions(log: &Log, before: Option<u64>, limit: u64) -> (Vec<(u64, ChangeKind)>, bool) {
    let query = VersionsQuery { key: Bytes::from_static(b"k"), before, limit };
    match log.store.query(&Query::Versions(query), 0).unwrap() {
        Answer::Versions(found) => {
            let of = |version: &Version| {
                assert_eq!(version.record.is_some(), version.kind == ChangeKind::Put);
                (version.revision, version.kind)
            };
            (found.versions.iter().map(of).collect(), found.more)
        }
        other => panic!("expected versions, got {other:?}"),
    }
}

fn page(log: &Log, after: Option<&'static str>, limit: u64, at: u64) -> (Vec<Bytes>, bool, u64) {
    let keys = KeyRange::prefix(Bytes::from_static(b"p/"));
    let query = PageQuery { keys, after: after.map(Bytes::from), limit, at };
    match log.store.query(&Query::Page(query), 0).unwrap() {
        Answer::Page(Page { records, more, revision, .. }) => {
            (records.into_iter().map(|(key, _)| key).collect(), more, revision)
        }
        other => panic!("expected a page, got {other:?}"),
    }
}

#[test]
fn the_versions_of_a_key_go_back_over_removals_to_the_compacted_revision() {
    use ChangeKind::{Delete, Expire, Put};
    let mut log = Log::with_history();
    let empty = log.store.revision();
    let commands = [set("k", "1"), set("other", "x"), set("k", "2"), delete("k"), set("k", "3")];
    commands.iter().for_each(|command| _ = log.apply(command));
    log.apply(&set_for("k", "4", 1));
    log.pass(5_000);
    let [one, two, gone, three, four, expired] =
        [1, 3, 4, 5, 6, 7].map(|offset: u64| empty + offset);
    let all =
        [(expired, Expire), (four, Put), (three, Put), (gone, Delete), (two, Put), (one, Put)];
    assert_eq!(versions(&log, None, 100), (all.to_vec(), false));
    assert_eq!(versions(&log, None, 2), (all[..2].to_vec(), true));
    assert_eq!(versions(&log, Some(three), 2), (all[3..5].to_vec(), true));
    assert_eq!(versions(&log, Some(one), 2), (vec![], false));
    let compact = |revision| Command {
        once: None,
        store_bytes_max: 0,
        operation: Operation::Compact { revision },
    };
    log.apply(&compact(three));
    assert_eq!(versions(&log, None, 100), (all[..3].to_vec(), false));
}

#[test]
fn a_key_that_never_was_has_no_versions() {
    assert_eq!(versions(&Log::with_history(), None, 10), (vec![], false));
}

#[test]
fn pages_are_of_one_moment_and_in_the_order_of_the_keys() {
    let mut log = Log::with_history();
    for key in ["p/b", "p/a", "q", "p/c"] {
        log.apply(&set(key, "v"));
    }
    let then = log.store.revision();
    log.apply(&delete("p/b"));
    let now = log.store.revision();
    assert_eq!(page(&log, None, 2, then), (vec!["p/a".into(), "p/b".into()], true, then));
    assert_eq!(page(&log, Some("p/b"), 2, then), (vec!["p/c".into()], false, then));
    assert_eq!(page(&log, None, 9, 0), (vec!["p/a".into(), "p/c".into()], false, now));
}

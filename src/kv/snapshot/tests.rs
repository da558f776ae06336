use proptest::prelude::*;

use super::block::{ARRAY_32, CHANGES, CLIENTS_4, COUNT, GONE, HEAD, HEAD_4, KEYS_4};
use super::*;
use crate::commands::HistoryLimits;
use crate::kv::Store;
use crate::kv::change::Action;
use crate::testing::store_model::{Log, any_history, delete, entry, in_format_4, set, set_for};
use crate::types::Format;

fn store_of(history: &[crate::types::Entry]) -> Store {
    let mut store = Store::new();
    for entry in history {
        store.apply(entry).expect("histories decode");
    }
    store
}

fn blocks_of(store: &Store) -> Vec<Vec<u8>> {
    store.snapshot_blocks().map(|block| block.expect("nothing has changed it")).collect()
}

fn load(blocks: impl IntoIterator<Item = Vec<u8>>) -> Result<Store, SnapshotError> {
    let mut loader = StoreLoader::new();
    for block in blocks {
        loader.load(&block)?;
    }
    loader.finish()
}

fn some_blocks() -> Vec<Vec<u8>> {
    let history: Vec<_> = (1..=20)
        .map(|n| {
            let key = format!("key{n:02}");
            entry(n, 1000, &set_for(&key, "value", n % 3).once(&format!("client{}", n % 4), n))
        })
        .collect();
    blocks_of(&store_of(&history))
}

#[test]
fn a_large_store_has_many_blocks_of_bounded_size() {
    let value = "v".repeat(1000);
    let history: Vec<_> =
        (1..=1000).map(|n| entry(n, 0, &set(&format!("{n:04}"), &value))).collect();
    let store = store_of(&history);
    let blocks = blocks_of(&store);
    let largest = blocks.iter().map(Vec::len).max();
    assert!(blocks.len() > 4 && largest.unwrap() < SNAPSHOT_BLOCK_BYTES + 1100, "{largest:?}");
    assert_eq!(load(blocks), Ok(store));
}

#[test]
fn a_missing_a_repeated_and_a_misplaced_block_are_noticed() {
    let blocks = some_blocks();
    assert_eq!(blocks.len(), 3, "head, keys, clients");
    for gone in 0..blocks.len() {
        let mut rest = blocks.clone();
        rest.remove(gone);
        assert!(load(rest).is_err(), "without block {gone}");
        let mut twice = blocks.clone();
        twice.insert(gone, blocks[gone].clone());
        assert!(load(twice).is_err(), "block {gone} twice");
    }
    let mut turned = blocks.clone();
    turned.swap(1, 2);
    assert!(load(turned).is_err());
    let unknown = [blocks[0].clone(), vec![9]];
    assert_eq!(load(unknown), Err(SnapshotError::Kind(9)));
}

#[test]
fn the_bytes_are_the_same_in_every_version_of_the_program() {
    let store = store_of(&[entry(1, 5, &set("k", "v")), entry(2, 7, &set("l", "").once("c", 3))]);
    let blocks = blocks_of(&store);
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest: String = store.digest().to_be_bytes().map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(hex(&blocks[0]), format!("01dd00000001950207{}cf{digest}", "0201"));
    assert_eq!(hex(&blocks[1]), "02dd0000000294c4016bc4017601c094c4016cc40002c0");
    assert_eq!(hex(&blocks[2]), "03dd0000000195c4016303010207");
}

#[test]
fn one_more_element_in_any_record_is_refused() {
    let store = store_of(&[entry(1, 5, &set("k", "v").once("c", 3))]);
    let blocks = blocks_of(&store);
    assert_eq!(blocks.len(), 3, "head, keys, clients, each with one record");
    for (number, block) in blocks.iter().enumerate() {
        // The record's array begins after the block's kind and the count of records.
        assert!((0x90..0x9f).contains(&block[COUNT.end]));
        for more in [&b"\x01"[..], b"\xc0", b"\x90"] {
            let surplus = [&block[..], more].concat();
            let mut longer = surplus.clone();
            longer[COUNT.end] += 1;
            for changed in [surplus, longer] {
                let mut loader = StoreLoader::new();
                blocks[..number].iter().for_each(|block| loader.load(block).unwrap());
                let loaded = loader.load(&changed);
                assert!(matches!(loaded, Err(SnapshotError::Malformed(_))), "block {number}");
            }
        }
    }
}

#[test]
fn a_record_as_a_map_with_an_unknown_field_is_refused() {
    let mut block = vec![HEAD, ARRAY_32, 0, 0, 0, 1, 0x86];
    for name in ["last_applied", "clock_ms", "keys", "clients", "digest", "joint"] {
        block.push(0xa0 + name.len() as u8);
        block.extend_from_slice(name.as_bytes());
        block.push(0);
    }
    assert!(matches!(StoreLoader::new().load(&block), Err(SnapshotError::Malformed(_))));
}

/// A store with a history: keys that were written, overwritten and removed, some before the
/// compacted revision.
fn log_with_history() -> Log {
    let mut log = Log::with_history();
    for number in 0..40 {
        let key = format!("key{:02}", number % 7);
        log.apply(
            &set_for(&key, &format!("value {number}"), number % 3 * 100).once("c", number + 1),
        );
        if number % 5 == 0 {
            log.apply(&delete(&format!("key{:02}", number % 4)));
        }
    }
    log.apply(&delete("key05"));
    log.store.history_mut().set_limits(HistoryLimits { keep_revisions: 20, bytes_max: 0 });
    log.pass(0);
    log
}

#[test]
fn a_loaded_history_shares_the_records_as_the_original_does() {
    let log = log_with_history();
    let loaded = load(blocks_of(&log.store)).unwrap();
    assert_eq!(loaded, log.store);
    assert!(loaded.history().gone_len() > 0 && loaded.history().changes().len() > 15);
    let (mut of_keys, mut of_changes) = (0, 0);
    for (_, change) in loaded.history().changes().from(0) {
        let Action::Put { key, record, previous, .. } = &change.action else { continue };
        if let Some(stored) = loaded.records().stored(key) {
            of_keys += u32::from(stored.is(record));
        }
        let Some(previous) = previous else { continue };
        match loaded.history().changes().get(previous.change).map(|change| &change.action) {
            Some(Action::Put { record, .. }) => {
                assert!(record.is(previous));
                of_changes += 1;
            }
            other => assert_eq!(other, None, "a record that is older than the changes"),
        }
    }
    assert!(of_keys > 3 && of_changes > 3, "{of_keys} {of_changes}");
}

#[test]
fn blocks_of_format_4_are_refused_when_any_is_missing_repeated_or_misplaced() {
    let blocks = blocks_of(&log_with_history().store);
    let kinds: Vec<u8> = blocks.iter().map(|block| block[0]).collect();
    assert_eq!(kinds, [HEAD_4, KEYS_4, CHANGES, GONE, CLIENTS_4]);
    for gone in 0..blocks.len() {
        let mut rest = blocks.clone();
        rest.remove(gone);
        assert!(load(rest).is_err(), "without block {gone}");
        let mut twice = blocks.clone();
        twice.insert(gone, blocks[gone].clone());
        assert!(load(twice).is_err(), "block {gone} twice");
        let mut turned = blocks.clone();
        turned.swap(gone, (gone + 1) % blocks.len());
        assert!(load(turned).is_err(), "block {gone} turned");
    }
}

#[test]
fn blocks_are_refused_in_a_file_of_another_format() {
    let loader = |blocks: Vec<Vec<u8>>| {
        let mut loader = StoreLoader::new();
        blocks.iter().for_each(|block| loader.load(block).unwrap());
        loader
    };
    let with_history = || loader(blocks_of(&log_with_history().store));
    assert!(with_history().finish_in(Format(4)).is_ok());
    assert!(matches!(with_history().finish_in(Format(3)), Err(SnapshotError::Impossible(_))));
    assert!(loader(some_blocks()).finish_in(Format(3)).is_ok());
    let wrong = loader(some_blocks()).finish_in(Format(4));
    assert!(matches!(wrong, Err(SnapshotError::Impossible(_))));
}

#[test]
fn the_bytes_of_format_4_are_the_same_in_every_version_of_the_program() {
    let mut log = Log::with_history();
    log.apply(&set("k", "1"));
    log.apply(&set("k", "2"));
    log.apply(&delete("k"));
    log.apply(&set("l", "3"));
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let blocks: Vec<String> = blocks_of(&log.store).iter().map(hex).collect();
    assert_eq!(
        blocks[1..],
        [
            // [key, [value, create_revision, mod_revision, version, lease, deadline_ms, change]]
            "07dd0000000192c4016c97c40133050501 00c004".replace(' ', ""),
            "08dd00000004\
         9901c4016b02ce000f42400000 97c4013102020100c00100c0\
         9901c4016b03ce000f42400100 97c4013202030200c00201c0\
         9902c4016b04ce000f42400000 c002c0\
         9901c4016c05ce000f42400000 c000c0"
                .replace(' ', ""),
            "09dd0000000192c4016b03".to_owned(),
        ]
    );
}

proptest! {
    #[test]
    fn a_snapshot_of_any_store_with_a_history_is_that_store(
        history in any_history(), at in any::<prop::sample::Index>(), keep in 0u64..30,
    ) {
        let history = in_format_4(history);
        let at = at.index(history.len() + 1).max(1);
        let mut store = store_of(&history[..at]);
        let limits = HistoryLimits { keep_revisions: keep, bytes_max: 3000 };
        store.history_mut().set_limits(limits);
        let blocks = blocks_of(&store);
        let mut loaded = load(blocks.clone()).unwrap();
        prop_assert_eq!(loaded.stored(), loaded.recomputed());
        prop_assert!(blocks_of(&loaded) == blocks);
        prop_assert_eq!(&loaded, &store);
        for entry in &history[at..] {
            prop_assert_eq!(loaded.apply(entry), store.apply(entry));
        }
        prop_assert_eq!(loaded, store);
    }

    #[test]
    fn no_changed_byte_of_a_history_goes_unnoticed_and_none_makes_it_panic(
        block in 0usize..5, at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let mut blocks = blocks_of(&log_with_history().store);
        let original = load(blocks.clone()).unwrap();
        let at = at.index(blocks[block].len());
        blocks[block][at] ^= flip;
        // A number can be written in several ways; then it is the same store.
        if let Ok(loaded) = load(blocks) {
            let counts_its_own_time = block == 0;
            prop_assert!(loaded == original || counts_its_own_time);
        }
    }

    #[test]
    fn a_snapshot_of_any_store_is_that_store(history in any_history()) {
        let store = store_of(&history);
        let blocks = blocks_of(&store);
        let loaded = load(blocks.clone()).unwrap();
        prop_assert_eq!(loaded.stored(), loaded.recomputed());
        prop_assert_eq!(loaded.next_deadline_ms(), store.next_deadline_ms());
        prop_assert!(blocks_of(&loaded) == blocks);
        prop_assert_eq!(loaded, store);
    }

    #[test]
    fn a_loaded_store_goes_on_like_the_original(
        history in any_history(), at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(history.len() + 1);
        let mut store = store_of(&history[..at]);
        let mut loaded = load(blocks_of(&store)).unwrap();
        for entry in &history[at..] {
            prop_assert_eq!(loaded.apply(entry), store.apply(entry));
        }
        prop_assert_eq!(loaded, store);
    }

    #[test]
    fn no_changed_byte_goes_unnoticed_and_none_makes_it_panic(
        block in 0usize..3, at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let mut blocks = some_blocks();
        let original = load(blocks.clone()).unwrap();
        let at = at.index(blocks[block].len());
        blocks[block][at] ^= flip;
        // A number can be written in several ways; then it is the same store.
        if let Ok(loaded) = load(blocks) {
            let counts_its_own_time = block == 0;
            prop_assert!(loaded == original || counts_its_own_time);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(blocks in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let mut loader = StoreLoader::new();
        for mut block in std::iter::once(some_blocks()[0].clone()).chain(blocks) {
            if let Some(kind) = block.first_mut() {
                *kind %= 5;
            }
            if loader.load(&block).is_err() {
                break;
            }
        }
    }
}

/// An entry that was applied wrongly has changed the history as well: the snapshot of such a store
/// is that store again, also when the record has been replaced meanwhile.
#[test]
fn the_snapshot_of_a_store_that_has_diverged_is_whole() {
    let mut log = Log::with_history();
    log.apply(&set("key", "a"));
    let before = log.store.digest();
    assert!(log.store.diverge(0));
    assert_ne!(log.store.digest(), before);
    assert_eq!(load(blocks_of(&log.store)).as_ref(), Ok(&log.store));
    log.apply(&set("key", "b"));
    assert_eq!(load(blocks_of(&log.store)), Ok(log.store));
}

//! Tests of files of segments that become other segments.

use super::*;
use crate::storage::log::files::{spare_numbers, spare_path};
use crate::storage::log::pool::{POOL_FILES_MAX, files_max};

/// Adds batches until there are `segments` more segments. Returns the last index.
fn fill(storage: &mut Storage, from: u64, segments: u64) -> u64 {
    let end = storage.index.last_segment() + segments;
    let mut last = from;
    while storage.index.last_segment() < end {
        last += 1;
        storage.append(&entries(last..=last, 1)).unwrap();
        storage.sync().unwrap();
    }
    last
}

/// A log of which `segments` segments were compacted, and the index of its last entry.
fn compacted(disk: &SimDisk, segments: u64) -> (Storage, u64) {
    let (mut storage, _) = reopen(disk);
    storage.save_hard_state(term(1)).unwrap();
    let last = fill(&mut storage, 0, segments);
    storage.compact(LogIndex(last - 1)).unwrap();
    assert_eq!(storage.index.first_segment(), segments + 1);
    (storage, last)
}

#[test]
fn a_segment_from_the_pool_needs_no_growth_and_no_new_file() {
    let disk = SimDisk::new();
    let (mut storage, last) = compacted(&disk, 3);
    assert_eq!(spare_numbers(&disk, dir()).unwrap(), [1, 2, 3]);
    disk.record();
    let used = disk.used_bytes();
    let last = fill(&mut storage, last, 1);
    let operations = disk.record();
    let spare = spare_path(dir(), 3);
    let at = operations
        .iter()
        .position(|operation| matches!(operation, DiskOperation::Write(path, ..) if *path == spare))
        .expect("a header is written over the spare's");
    assert_eq!(
        operations[at..at + 4],
        [
            DiskOperation::Write(spare.clone(), 0, SEGMENT_BYTES as usize),
            DiskOperation::Sync(spare.clone()),
            DiskOperation::Rename(spare, segment(5)),
            DiskOperation::SyncDir(log_dir(dir())),
        ]
    );
    let is_create = |operation: &DiskOperation| matches!(operation, DiskOperation::Create(_));
    assert!(!operations.iter().any(is_create));
    fill(&mut storage, last, 2);
    assert_eq!(spare_numbers(&disk, dir()).unwrap(), [0; 0]);
    assert_eq!(disk.used_bytes(), used, "every write was over something");
    let log = all(&mut storage);
    drop(storage);
    let (mut storage, recovered) = reopen(&disk);
    assert_eq!((all(&mut storage), recovered.notes), (log, Vec::new()));
}

#[test]
fn a_pool_of_large_files_keeps_few_of_them() {
    assert_eq!([1536, 8 << 20, 32 << 20, 1 << 30].map(files_max), [32, 32, 8, 4]);
}

#[test]
fn the_pool_keeps_a_limited_number_of_files_and_no_large_ones() {
    let disk = SimDisk::new();
    let (mut storage, last) = compacted(&disk, POOL_FILES_MAX + 8);
    let most = POOL_FILES_MAX as usize;
    assert_eq!(spare_numbers(&disk, dir()).unwrap().len(), most);
    let mut large = entry(last + 1, 1);
    large.payload = Payload::Command(vec![1; 5000].into());
    fill(&mut storage, last, POOL_FILES_MAX + 1);
    assert_eq!(spare_numbers(&disk, dir()).unwrap(), [0; 0]);
    let last = storage.last().index.0;
    storage.append(&[Entry { index: LogIndex(last + 1), ..large }]).unwrap();
    storage.sync().unwrap();
    fill(&mut storage, last + 1, 1);
    let large = storage.index.last_segment() - 1;
    storage.compact(storage.last().index.prev()).unwrap();
    let kept = spare_numbers(&disk, dir()).unwrap();
    assert!(kept.len() == most && !kept.contains(&large), "{kept:?}");
    drop(storage);
    // A start keeps them, and of the other files only those that can be in the pool.
    disk.set_contents(&spare_path(dir(), 0), vec![0; 1536]);
    disk.set_contents(&spare_path(dir(), 900), vec![0; 1536]);
    drop(reopen(&disk));
    let found = spare_numbers(&disk, dir()).unwrap();
    assert_eq!(found, [&[0], &kept[..most - 1]].concat());
}

#[test]
fn a_reset_keeps_the_files_of_the_log_before() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    fill(&mut storage, 0, 2);
    storage.reset(LogPosition { term: Term(1), index: LogIndex(500) }).unwrap();
    assert_eq!(spare_numbers(&disk, dir()).unwrap(), [1, 2, 3]);
    fill(&mut storage, 500, 4);
    let log = all(&mut storage);
    drop(storage);
    assert_eq!(all(&mut reopen(&disk).0), log);
}

/// The numbers of segments that were cut off a log are used again, but not their files.
#[test]
fn a_segment_that_a_repair_cuts_off_is_not_recycled() {
    let options = StorageOptions { can_repair: true, has_majority_of_others: true, ..options() };
    for (damaged, offset) in [(5, 20), (6, 600), (7, 30)] {
        let disk = SimDisk::new();
        let (mut storage, last) = compacted(&disk, 4);
        fill(&mut storage, last, 5);
        drop(storage);
        assert_eq!(spare_numbers(&disk, dir()).unwrap(), [0; 0]);
        disk.flip_bit(&segment(damaged), offset, 3);
        let (mut storage, recovered) =
            Storage::open(Box::new(disk.clone()), dir(), options.clone()).unwrap();
        assert!(recovered.hard_state.is_rejoining);
        assert_eq!(spare_numbers(&disk, dir()).unwrap(), [0; 0]);
        let last = storage.last().index.0;
        fill(&mut storage, last, 5);
        let log = all(&mut storage);
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
        let (mut storage, recovered) = reopen(&disk);
        assert_eq!((all(&mut storage), recovered.notes), (log, Vec::new()));
    }
}

/// The power fails at every step while segments are created from files in the pool.
#[test]
fn a_power_cut_at_any_step_of_a_new_segment_leaves_the_log_before_it() {
    let whole = SimDisk::new();
    drop(compacted(&whole, 5));
    let steps = {
        let disk = whole.duplicate();
        let (mut storage, _) = reopen(&disk);
        let (before, last) = (disk.operations(), storage.last().index.0);
        fill(&mut storage, last, 3);
        disk.operations() - before
    };
    for step in 0..=steps {
        for crash in
            [Crash::LoseUnsynced, Crash::KeepUnsynced].into_iter().chain((0..6).map(Crash::Seeded))
        {
            let disk = whole.duplicate();
            let (mut storage, _) = reopen(&disk);
            let mut log = all(&mut storage);
            disk.cut_power_after(step);
            let mut synced = log.len();
            loop {
                let next = storage.last().index.0 + 1;
                log.extend(entries(next..=next, 1));
                if storage.append(&log[log.len() - 1..]).is_err() || storage.sync().is_err() {
                    break;
                }
                synced = log.len();
                if log.len() > 200 {
                    panic!("the power goes");
                }
            }
            drop(storage);
            disk.crash(crash);
            let (mut storage, _) = reopen(&disk);
            let found = all(&mut storage);
            assert!((synced..=log.len()).contains(&found.len()), "{step} {crash:?}");
            assert_eq!(found, log[..found.len()]);
            assert!(spare_numbers(&disk, dir()).unwrap().len() as u64 <= POOL_FILES_MAX);
            let last = storage.last().index.0;
            fill(&mut storage, last, 4);
            let log = all(&mut storage);
            drop(storage);
            assert_eq!(all(&mut reopen(&disk).0), log);
        }
    }
}

#[test]
fn a_directory_with_a_pool_file_and_no_identity_is_refused() {
    let disk = SimDisk::new();
    disk.create_dir_all(&log_dir(dir())).unwrap();
    disk.set_contents(&spare_path(dir(), 4), vec![0; 512]);
    assert!(matches!(open(&disk), Err(StorageError::FileMissing { .. })));
}

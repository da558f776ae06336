//! Tests with power cuts, full disks and failing syncs at every step.

use std::io::ErrorKind;

use super::*;

/// One call of the storage.
#[derive(Clone, Debug)]
enum Step {
    Save(HardState),
    Append(Vec<Entry>),
    Sync,
    RecordEnd,
    Compact(u64),
    Reset(LogPosition),
}

/// Calls that fill several segments, replace entries over three of them, more than once, and
/// compact and reset the log. From the first compaction on, new segments are made of files in
/// the pool.
fn script() -> Vec<Step> {
    use Step::{Append, Compact, RecordEnd, Reset, Save, Sync};
    vec![
        Save(term(1)),
        Append(entries(1..=3, 1)),
        Sync,
        Append(entries(4..=30, 1)),
        Append(entries(31..=32, 1)),
        Sync,
        RecordEnd,
        Save(term(2)),
        Append(entries(6..=9, 2)),
        Append(entries(10..=12, 2)),
        Sync,
        Save(term(4)),
        Append(entries(8..=8, 4)),
        Append(entries(7..=26, 4)),
        Sync,
        Compact(5),
        Append(entries(27..=28, 4)),
        Sync,
        RecordEnd,
        Append(entries(29..=31, 4)),
        Compact(25),
        Append(entries(30..=33, 4)),
        Reset(LogPosition { term: Term(4), index: LogIndex(50) }),
        Append(entries(51..=53, 4)),
        Sync,
        Append(entries(54..=75, 4)),
        Compact(53),
        Append(entries(76..=77, 4)),
        Sync,
        Append(entries(78..=84, 4)),
        Append(entries(82..=90, 4)),
        Sync,
        Compact(80),
        Append(entries(91..=93, 4)),
    ]
}

fn run(disk: &SimDisk, model: &mut Model, steps: &[Step]) -> Result<(), StorageError> {
    let (mut storage, _) = open(disk)?;
    for step in steps {
        match step {
            Step::Save(state) => model.save(&mut storage, *state)?,
            Step::Append(entries) => model.append(&mut storage, entries)?,
            Step::Sync => model.sync(&mut storage)?,
            Step::RecordEnd => storage.record_durable_end()?,
            Step::Compact(limit) => model.compact(&mut storage, LogIndex(*limit))?,
            Step::Reset(base) => model.reset(&mut storage, *base)?,
        }
    }
    Ok(())
}

/// Recovers the log, compares it with the model, and shows that it can be continued.
#[track_caller]
fn recover(disk: &SimDisk, model: &mut Model) {
    let (mut storage, recovered) = reopen(disk);
    model.check(&mut storage, &recovered);
    let last = storage.last();
    let next = recovered.hard_state.current_term.0 + 1;
    model.save(&mut storage, term(next)).unwrap();
    model.append(&mut storage, &entries(last.index.0 + 1..=last.index.0 + 2, next)).unwrap();
    model.sync(&mut storage).unwrap();
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    let (mut storage, recovered) = reopen(disk);
    model.check(&mut storage, &recovered);
    assert_eq!(recovered.notes, Vec::<String>::new(), "what was cut is gone for good");
}

fn operations_of_script() -> u64 {
    let disk = SimDisk::new();
    run(&disk, &mut Model::default(), &script()).unwrap();
    disk.operations()
}

fn crashes() -> impl Iterator<Item = Crash> {
    [Crash::LoseUnsynced, Crash::KeepUnsynced].into_iter().chain((0..6).map(Crash::Seeded))
}

#[test]
fn a_power_cut_after_any_operation_loses_nothing_that_was_synced() {
    let all = operations_of_script();
    for operations in 0..=all {
        for crash in crashes() {
            let (disk, mut model) = (SimDisk::new(), Model::default());
            disk.cut_power_after(operations);
            let result = run(&disk, &mut model, &script());
            assert_eq!(result.is_err(), operations < all, "no error comes from nowhere");
            disk.crash(crash);
            recover(&disk, &mut model);
        }
    }
}

#[test]
fn a_log_recovered_after_a_kill_at_any_operation_survives_a_later_power_cut() {
    for operations in 0..=operations_of_script() {
        let (disk, mut model) = (SimDisk::new(), Model::default());
        disk.cut_power_after(operations);
        let _ = run(&disk, &mut model, &script());
        disk.kill();
        let (mut storage, recovered) = reopen(&disk);
        model.check(&mut storage, &recovered);
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
        let (mut storage, recovered) = reopen(&disk);
        model.check(&mut storage, &recovered);
        drop(storage);
        recover(&disk, &mut model);
    }
}

#[test]
fn a_second_power_cut_during_recovery_loses_nothing_either() {
    for operations in (0..=operations_of_script()).step_by(3) {
        for seed in 0..3 {
            for second in 0..16 {
                let (disk, mut model) = (SimDisk::new(), Model::default());
                disk.cut_power_after(operations);
                let _ = run(&disk, &mut model, &script());
                disk.crash(Crash::Seeded(seed + operations));
                disk.cut_power_after(second);
                // The result is dropped: nothing relies on it.
                let _ = open(&disk);
                disk.crash(Crash::Seeded(seed + second));
                recover(&disk, &mut model);
            }
        }
    }
}

#[test]
fn what_a_restart_reads_is_durable_even_if_the_process_was_killed_before_its_sync() {
    let (disk, mut model) = (SimDisk::new(), Model::default());
    run(&disk, &mut model, &script()).unwrap();
    let (mut storage, recovered) = reopen(&disk);
    assert_eq!(all(&mut storage), model.newest(), "the kernel still has it");
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(reopen(&disk).1.log, recovered.log);
}

#[test]
fn what_a_restart_reads_is_durable_even_if_a_failed_sync_had_left_it_in_the_cache() {
    let count = {
        let disk = SimDisk::new();
        run(&disk, &mut Model::default(), &script()).unwrap();
        disk.syncs()
    };
    for nth in 1..=count {
        let (disk, mut model) = (SimDisk::new(), Model::default());
        disk.fail_sync(nth, ErrorKind::Other);
        run(&disk, &mut model, &script()).expect_err("a sync failed");
        let (mut storage, recovered) = reopen(&disk);
        model.check(&mut storage, &recovered);
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
        let (mut storage, recovered) = reopen(&disk);
        model.check(&mut storage, &recovered);
    }
}

#[test]
fn nothing_is_tried_after_an_error() {
    let (disk, mut model) = (SimDisk::new(), Model::default());
    let (mut storage, _) = reopen(&disk);
    model.save(&mut storage, term(1)).unwrap();
    storage.append(&entries(1..=2, 1)).unwrap();
    disk.fail_sync(1, ErrorKind::Other);
    assert!(matches!(storage.sync(), Err(StorageError::Io { action: "sync", .. })));
    disk.record();
    assert!(matches!(storage.sync(), Err(StorageError::Stopped)));
    assert!(matches!(storage.append(&entries(3..=3, 1)), Err(StorageError::Stopped)));
    assert!(matches!(storage.save_hard_state(term(2)), Err(StorageError::Stopped)));
    assert!(matches!(storage.record_durable_end(), Err(StorageError::Stopped)));
    let read = storage.read(LogIndex(1), LogIndex(1), 1);
    assert!(matches!(read, Err(StorageError::Stopped)));
    assert_eq!(disk.record(), []);
}

#[test]
fn a_full_disk_at_any_write_leaves_a_directory_that_starts_while_it_is_full() {
    let (first, all_writes) = {
        let disk = SimDisk::new();
        drop(reopen(&disk));
        let first = disk.writes();
        let disk = SimDisk::new();
        run(&disk, &mut Model::default(), &script()).unwrap();
        (first, disk.writes())
    };
    for nth in 1..=all_writes {
        let (disk, mut model) = (SimDisk::new(), Model::default());
        disk.fail_write(nth, ErrorKind::StorageFull);
        run(&disk, &mut model, &script()).expect_err("a write failed");
        if nth > first {
            disk.set_capacity(Some(disk.used_bytes()));
            let (mut storage, recovered) = reopen(&disk);
            model.check(&mut storage, &recovered);
        }
        disk.set_capacity(None);
        recover(&disk, &mut model);
    }
}

#[test]
fn a_disk_of_any_size_fills_up_without_harm() {
    let all_bytes = {
        let disk = SimDisk::new();
        run(&disk, &mut Model::default(), &script()).unwrap();
        disk.used_bytes()
    };
    for capacity in (0..all_bytes).step_by(97) {
        let (disk, mut model) = (SimDisk::new(), Model::default());
        disk.set_capacity(Some(capacity));
        run(&disk, &mut model, &script()).expect_err("the disk is too small");
        disk.crash(Crash::Seeded(capacity));
        disk.set_capacity(None);
        recover(&disk, &mut model);
    }
}

#[test]
fn a_segment_is_synced_before_the_next_and_has_its_name_before_its_records() {
    let (disk, mut model) = (SimDisk::new(), Model::default());
    let (mut storage, _) = reopen(&disk);
    model.save(&mut storage, term(1)).unwrap();
    disk.record();
    storage.append(&entries(1..=12, 1)).unwrap();
    let operations = disk.record();
    let log = log_dir(dir());
    let unfinished = log.join("00000002.segment.new");
    let at = operations
        .iter()
        .position(|operation| *operation == DiskOperation::Create(unfinished.clone()))
        .expect("a second segment was begun");
    assert_eq!(operations[at - 1], DiskOperation::Sync(segment(1)));
    assert_eq!(
        operations[at + 1..at + 5],
        [
            DiskOperation::Write(unfinished.clone(), 0, 512),
            DiskOperation::Sync(unfinished.clone()),
            DiskOperation::Rename(unfinished, segment(2)),
            DiskOperation::SyncDir(log),
        ]
    );
    let first_record = operations.iter().position(
        |operation| matches!(operation, DiskOperation::Write(path, ..) if *path == segment(2)),
    );
    assert!(first_record > Some(at + 4));
}

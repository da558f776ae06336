//! Tests with flipped bits and missing bytes and files. They are refused or harmless, but never
//! make the log silently shorter.

use proptest::prelude::*;

use super::*;
use crate::storage::little_endian::u32_at;
use crate::storage::log::header::SECTOR_BYTES;
use crate::storage::log::recovery::scan;
use crate::storage::log::sectors::{end_place_of, file_bytes_to, place_of};
use crate::testing::DirectoryContents;
use crate::testing::byte_mutation::mutation;

/// A log of three segments with entries that were replaced, its entries, and the offset of its
/// recorded durable end. With `has_more`, durable entries follow the recorded end.
fn small_log(has_more: bool) -> (SimDisk, Vec<Entry>, u64) {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(1..=8, 1)).unwrap();
    storage.sync().unwrap();
    storage.append(&entries(5..=16, 2)).unwrap();
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
    let recorded = storage.tail.synced();
    if has_more {
        storage.append(&entries(17..=18, 2)).unwrap();
        storage.sync().unwrap();
    }
    assert_eq!(storage.index.last_segment(), 3);
    let log = all(&mut storage);
    (disk, log, recorded)
}

/// Opens a copy of the disk. Returns the entries and the state, or the error.
fn attempt(disk: &SimDisk) -> Result<(Vec<Entry>, DurableState), StorageError> {
    let (mut storage, recovered) = open(&disk.duplicate())?;
    Ok((all(&mut storage), recovered))
}

#[test]
fn any_flipped_bit_before_the_durable_end_is_refused_or_harmless() {
    let (disk, log, _) = small_log(false);
    let (_, whole) = attempt(&disk).unwrap();
    // The scan does not read the id of the directory.
    let incarnation = incarnation::incarnation_path(dir());
    for path in disk.paths().into_iter().filter(|path| *path != incarnation) {
        let bytes = disk.contents(&path).len() as u64;
        // Most of all bits are padding of the two copies of the hard state.
        let step = if path == hard_state::hard_state_path(dir()) { 13 } else { 1 };
        for bit in (0..bytes * 8).step_by(step) {
            disk.flip_bit(&path, bit / 8, (bit % 8) as u32);
            if let Ok(scanned) = identity::check(&disk, dir(), None)
                .and_then(|found| scan(&disk, dir(), found.unwrap().0))
            {
                assert_eq!(scanned.summary, whole.log, "bit {bit} of {}", path.display());
                assert_eq!(scanned.loaded.newest.hard_state, whole.hard_state);
                if bit % 97 == 0 {
                    match attempt(&disk) {
                        Ok((entries, recovered)) => {
                            assert_eq!(entries, log);
                            assert_eq!(recovered.log, whole.log);
                        }
                        Err(error) => assert!(
                            matches!(error, StorageError::OtherOwner { .. }),
                            "the scan had no objection, but: {error}"
                        ),
                    }
                }
            }
            disk.flip_bit(&path, bit / 8, (bit % 8) as u32);
        }
    }
}

#[test]
fn any_flipped_bit_of_a_record_after_the_durable_end_is_refused() {
    let (disk, log, recorded) = small_log(true);
    let end = {
        let scanned = scan(&disk, dir(), NodeId(1)).unwrap();
        assert_eq!(scanned.summary, summary(&log));
        scanned.end
    };
    assert!(recorded < end);
    recycle(&disk, &segment(3));
    check_flips(&disk, &segment(3), recorded, end);
}

/// Checks that every bit of the records between two offsets matters, and no other bit.
#[track_caller]
fn check_flips(disk: &SimDisk, path: &Path, from: u64, to: u64) {
    let whole = scan(disk, dir(), NodeId(1)).unwrap().summary;
    for bit in place_of(from) * 8..end_place_of(to) * 8 {
        disk.flip_bit(path, bit / 8, (bit % 8) as u32);
        match scan(disk, dir(), NodeId(1)) {
            Ok(scanned) => {
                assert!(is_tag(bit / 8), "bit {bit} is cut");
                assert_eq!((scanned.summary, scanned.notes.len()), (whole.clone(), 0));
            }
            Err(StorageError::Damaged { .. }) => assert!(!is_tag(bit / 8), "bit {bit}"),
            Err(error) => panic!("bit {bit}: {error}"),
        }
        disk.flip_bit(path, bit / 8, (bit % 8) as u32);
    }
}

#[test]
fn a_flipped_bit_of_a_value_of_zeros_after_the_durable_end_is_refused() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let payload = Payload::Command(vec![0; 3 * SECTOR_BYTES as usize].into());
    storage.append(&[Entry { payload, ..entry(1, 1) }]).unwrap();
    storage.sync().unwrap();
    let (start, end) = (SEGMENT_HEADER_BYTES, storage.tail.end());
    drop(storage);
    let path = segment(1);
    check_flips(&disk, &path, start, end);
    // A torn write of the record is cut all the same.
    let whole = disk.contents(&path);
    for cut in end_place_of(start)..end_place_of(end) {
        disk.set_contents(&path, whole[..cut as usize].to_vec());
        let scanned = scan(&disk, dir(), NodeId(1)).unwrap();
        assert_eq!((scanned.records, scanned.end), (0, start), "byte {cut}");
    }
}

#[test]
fn a_record_whose_checksum_is_zero_is_not_taken_for_the_end() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let (salt, offset) = (storage.tail.salt(), storage.tail.end());
    let noop = |stamp_ms| Entry { stamp_ms, payload: Payload::Noop, ..entry(1, 1) };
    let checksum = |stamp_ms| {
        let mut bytes = Vec::new();
        record::encode(&noop(stamp_ms), true, salt, offset, &mut bytes);
        u32_at(&bytes, 0)
    };
    let stamp_ms = solve(checksum);
    assert_eq!(checksum(stamp_ms), 0);
    storage.append(&[noop(stamp_ms)]).unwrap();
    storage.sync().unwrap();
    drop(storage);
    let (mut storage, _) = reopen(&disk);
    assert_eq!(all(&mut storage), [noop(stamp_ms)]);
}

/// Returns a number whose checksum is 0. A CRC is linear: the checksum of a number is the
/// checksum of 0, changed by what each of its bits changes alone.
fn solve(checksum: impl Fn(u64) -> u32) -> u64 {
    let zero = checksum(0);
    // Numbers that change the checksum, and their changes, by the highest bit of the change.
    let mut changes: [Option<(u32, u64)>; 32] = [None; 32];
    let reduce = |changes: &[Option<(u32, u64)>; 32], mut change: u32, mut number: u64| {
        for (other, of) in changes.iter().rev().flatten() {
            if change ^ other < change {
                (change, number) = (change ^ other, number ^ of);
            }
        }
        (change, number)
    };
    for bit in 0..64 {
        let (change, number) = reduce(&changes, checksum(1 << bit) ^ zero, 1 << bit);
        if change != 0 {
            changes[change.ilog2() as usize] = Some((change, number));
        }
    }
    let (left, number) = reduce(&changes, zero, 0);
    assert_eq!(left, 0, "64 bits reach every checksum of 32");
    number
}

/// A file that ends within a sector does not contain that sector.
#[test]
fn a_tail_that_ends_at_any_byte_is_cut_after_the_durable_end_and_refused_before_it() {
    let (disk, log, recorded) = small_log(true);
    let whole = disk.contents(&segment(3));
    let end = scan(&disk, dir(), NodeId(1)).unwrap().end;
    for cut in SEGMENT_HEADER_BYTES..end_place_of(end) {
        disk.set_contents(&segment(3), whole[..cut as usize].to_vec());
        match attempt(&disk) {
            Ok((entries, recovered)) => {
                assert!(cut >= file_bytes_to(recorded), "byte {cut} is before the durable end");
                assert!((16..18).contains(&entries.len()));
                assert_eq!(entries, log[..entries.len()]);
                let on_boundary = recovered.notes.is_empty();
                assert!(on_boundary || recovered.notes[0].contains("torn write"));
            }
            Err(error) => {
                assert!(
                    cut < file_bytes_to(recorded),
                    "byte {cut} is after the durable end: {error}"
                );
                let text = error.to_string();
                assert!(text.contains("00000003.segment"), "{text}");
                assert!(text.contains("When a server refuses"), "{text}");
            }
        }
    }
}

/// A log of six entries. The recorded durable end is after the first two. The others are a batch
/// that begins in the first sector and ends in the second.
fn log_with_a_batch() -> (SimDisk, Vec<Entry>) {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(1..=2, 2)).unwrap();
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
    storage.append(&entries(3..=6, 2)).unwrap();
    storage.sync().unwrap();
    drop(storage);
    let places = &DirectoryContents::read(&disk, dir()).unwrap().segments[0];
    assert!(places[2].to < 1024 && places[3].from < 1024 && places[3].to > 1024);
    (disk, entries(1..=6, 2))
}

#[test]
fn a_torn_tail_is_reported_and_erased_and_does_not_come_back() {
    let (disk, log) = log_with_a_batch();
    let path = segment(1);
    let mut bytes = disk.contents(&path);
    // The first sector lacks the batch, the second sector is whole.
    let from = DirectoryContents::read(&disk, dir()).unwrap().segments[0][2].from as usize;
    bytes[from..1024].fill(0);
    disk.set_contents(&path, bytes);
    let before = verify(&disk, dir()).unwrap();
    assert!(before.notes[0].contains(&format!("torn write at byte {from}")), "{before:?}");
    let (storage, recovered) = reopen(&disk);
    assert_eq!(recovered.notes, before.notes);
    assert_eq!(recovered.log, summary(&log[..2]));
    drop(storage);
    let rest = &disk.contents(&path)[from..];
    assert!(rest.iter().all(|byte| *byte == 0), "erased, not stepped over");
}

#[test]
fn a_cut_that_was_interrupted_at_any_byte_is_finished() {
    let (disk, log) = log_with_a_batch();
    let path = segment(1);
    let mut torn = disk.contents(&path);
    torn[1024..].fill(0);
    disk.set_contents(&path, torn);
    recycle(&disk, &path);
    let torn = disk.contents(&path);
    let start = DirectoryContents::read(&disk, dir()).unwrap().segments[0][2].to as usize;
    let copy = disk.duplicate();
    copy.record();
    drop(reopen(&copy));
    // The last write to the segment erases. Before it the decision was saved.
    let erase = copy
        .record()
        .iter()
        .rposition(|operation| matches!(operation, DiskOperation::Write(at, ..) if *at == path))
        .unwrap();
    disk.cut_power_after(erase as u64);
    assert!(open(&disk).is_err());
    disk.crash(Crash::LoseUnsynced);
    for erased in 0..=torn.len() - start {
        let mut bytes = torn.clone();
        bytes[start..start + erased].fill(0);
        disk.set_contents(&path, bytes);
        let (entries, _) = attempt(&disk).unwrap();
        assert_eq!(entries, log[..3], "{erased} bytes erased");
    }
}

#[test]
fn damage_that_looks_torn_is_refused_when_a_later_batch_proves_that_it_was_whole() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let mut ends = vec![storage.tail.end()];
    for index in 1..=3 {
        storage.append(&entries(index..=index, 1)).unwrap();
        storage.sync().unwrap();
        ends.push(storage.tail.end());
    }
    drop(storage);
    let path = segment(1);
    for (from, to) in [(ends[0], ends[1]), (ends[1], ends[2]), (ends[0], ends[2])] {
        let copy = disk.duplicate();
        let mut bytes = copy.contents(&path);
        bytes[place_of(from) as usize..end_place_of(to) as usize].fill(0);
        copy.set_contents(&path, bytes);
        let error = open(&copy).err().expect("a synced record is gone");
        assert!(error.to_string().contains("was written after it was durable"), "{error}");
    }
}

#[test]
fn a_record_in_the_wrong_place_or_of_an_older_file_is_rejected() {
    let (disk, _, _) = small_log(true);
    let path = segment(3);
    let whole = disk.contents(&path);
    let header = SegmentHeader::decode(&whole).unwrap();
    for (salt, moved) in [(header.salt, 8), (header.salt ^ 1, 0)] {
        let at = SEGMENT_HEADER_BYTES;
        let bytes = &whole[place_of(at) as usize..];
        assert!(record::RecordHeader::decode(bytes, header.salt, at).is_some());
        assert_eq!(record::RecordHeader::decode(bytes, salt, at + moved), None);
    }
}

#[test]
fn any_missing_file_is_refused() {
    let (disk, _, _) = small_log(false);
    // A directory of format 1 needs no id.
    let is_needed = |path: &PathBuf| !path.ends_with("lock") && !path.ends_with("incarnation");
    for path in disk.paths().into_iter().filter(is_needed) {
        let copy = disk.duplicate();
        copy.lose(&path);
        let error = open(&copy).err().expect("a file is missing");
        let said = error.to_string();
        assert!(said.starts_with(&format!("{} is missing, but", path.display())), "{said}");
        let error = verify(&copy, dir()).expect_err("a file is missing");
        assert!(matches!(error, StorageError::FileMissing { .. }), "{error}");
    }
}

#[test]
fn a_missing_last_segment_is_refused_even_if_no_durable_end_was_recorded_in_it() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    storage.append(&entries(1..=12, 1)).unwrap();
    storage.sync().unwrap();
    assert_eq!(storage.index.last_segment(), 2);
    drop(storage);
    disk.lose(&segment(2));
    let said = open(&disk).err().unwrap().to_string();
    assert!(said.starts_with("data/1/log/00000002.segment is missing, but"), "{said}");
}

#[test]
fn an_older_copy_of_any_file_is_refused() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    storage.append(&entries(1..=3, 1)).unwrap();
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
    let older = disk.duplicate();
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(2..=5, 2)).unwrap();
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
    drop(storage);
    for path in [segment(1), hard_state::hard_state_path(dir())] {
        let copy = disk.duplicate();
        copy.set_contents(&path, older.contents(&path));
        let error = open(&copy).err().expect("the file is old");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn another_servers_segment_is_refused() {
    let (disk, _, _) = small_log(false);
    let other = SimDisk::new();
    let options = StorageOptions { node_id: NodeId(2), ..options() };
    drop(Storage::open(Box::new(other.clone()), dir(), options).unwrap());
    disk.set_contents(&segment(1), other.contents(&segment(1)));
    let error = open(&disk).err().expect("the segment is not ours");
    assert!(error.to_string().contains("of server 2"), "{error}");
}

#[test]
fn one_damaged_copy_of_the_hard_state_is_repaired_and_reported_and_two_are_refused() {
    let path = hard_state::hard_state_path(dir());
    for copy in 0..2 {
        let (disk, _, _) = small_log(false);
        disk.flip_bit(&path, copy * 4096 + 24, 0);
        let (storage, recovered) = reopen(&disk);
        assert_eq!(recovered.hard_state, term(2));
        let name = ["copy A is damaged", "copy B is damaged"][copy as usize];
        assert!(recovered.notes[0].contains(name), "{:?}", recovered.notes);
        drop(storage);
        assert_eq!(reopen(&disk).1.notes, Vec::<String>::new());
        disk.flip_bit(&path, 24, 0);
        disk.flip_bit(&path, 4096 + 24, 0);
        assert!(matches!(open(&disk), Err(StorageError::Damaged { .. })));
    }
}

#[test]
fn an_entry_that_rotted_after_the_start_is_not_handed_out() {
    let (disk, log, _) = small_log(false);
    let (mut storage, _) = reopen(&disk);
    disk.flip_bit(&segment(1), place_of(SEGMENT_HEADER_BYTES) + 45, 3);
    let error = storage.read(LogIndex(1), LogIndex(2), u64::MAX).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { offset: 520, .. }), "{error}");
    assert_eq!(log[0].index, LogIndex(1));
}

proptest! {
    #[test]
    fn any_change_of_any_file_before_the_durable_end_is_refused_or_harmless(
        which in any::<prop::sample::Index>(),
        mutation in mutation(),
    ) {
        let (disk, log, _) = small_log(false);
        let paths = disk.paths();
        let path = &paths[which.index(paths.len())];
        disk.set_contents(path, mutation.of(&disk.contents(path)));
        if let Ok((entries, recovered)) = attempt(&disk) {
            prop_assert_eq!(entries, log);
            prop_assert_eq!(recovered.hard_state, term(2));
        }
    }
}

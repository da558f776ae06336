//! Tests of a damaged log that the other servers can repair. The log ends where the damage
//! begins, and the server is rejoining, whatever happens in between (docs/adr/0009).

use proptest::prelude::*;

use super::*;
use crate::storage::hard_state::hard_state_path;
use crate::storage::log::files::read_header;
use crate::storage::log::record::{HEADER_BYTES, MAGIC_OFFSET};
use crate::storage::log::recovery::scan;
use crate::storage::log::sectors::{SectorOwner, end_place_of, place_of};
use crate::testing::byte_mutation::mutation;
use crate::testing::{DirectoryContents, RecordPlace};
use crate::types::ClusterState;

fn repairing() -> StorageOptions {
    StorageOptions { can_repair: true, has_majority_of_others: true, ..options() }
}

fn open_to_repair(disk: &SimDisk) -> Result<(Storage, DurableState), StorageError> {
    Storage::open(Box::new(disk.clone()), dir(), repairing())
}

/// A disk with a log of three segments, of which some entries were replaced. The last entries
/// are durable, but no durable end is recorded for them.
fn some_log() -> SimDisk {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(1..=8, 1)).unwrap();
    storage.sync().unwrap();
    storage.append(&entries(5..=16, 2)).unwrap();
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
    storage.append(&entries(17..=18, 2)).unwrap();
    storage.sync().unwrap();
    assert_eq!(storage.index.last_segment(), 3);
    disk
}

const LAST: LogPosition = LogPosition { term: Term(2), index: LogIndex(18) };

/// Writes a record with a payload of any kind and body over the log's last record.
fn replace_last_record(disk: &SimDisk, kind: u8, body: &[u8]) {
    let path = segment(3);
    let file = disk.open(&path, OpenMode::Read).unwrap();
    let header = read_header(&*file, &path).unwrap();
    let place = journal(disk).pop().unwrap();
    let offset = (512..).step_by(8).find(|offset| place_of(*offset) == place.from).unwrap();
    let entry = Entry { payload: Payload::Command(body.to_vec().into()), ..entry(18, 2) };
    let mut bytes = Vec::new();
    record::encode(&entry, true, header.salt, offset, &mut bytes);
    bytes[MAGIC_OFFSET + 2] = kind;
    let crc = crc32c::crc32c_append(record::seed(header.salt, offset), &bytes[4..HEADER_BYTES]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let mut tail =
        TailSegment::at(dir(), &header, disk.open(&path, OpenMode::Write).unwrap(), offset, LAST)
            .unwrap();
    tail.write(&bytes, u64::MAX).unwrap();
    tail.sync(LAST).unwrap();
}

/// The record is whole. If it were taken for damage, the log would be cut before it, and an
/// acknowledged entry would be lost here because an older version was started.
#[test]
fn a_whole_record_that_this_version_does_not_know_is_refused_and_not_repaired() {
    let joint = b"\x82\xa6voters\x92\x01\x02\xa8incoming\x92\x01\x03";
    for (kind, body) in [(3, &b"x"[..]), (2, joint), (0, b"x")] {
        let disk = some_log();
        replace_last_record(&disk, kind, body);
        let before = disk.contents(&segment(3));
        let error = open_to_repair(&disk).map(|_| ()).unwrap_err();
        assert!(matches!(error, StorageError::Unknown { .. }), "{kind}: {error}");
        assert!(error.to_string().contains("start a version that knows it"), "{error}");
        assert_eq!(disk.contents(&segment(3)), before);
    }
}

/// A record of the journal: its segment, the positions in the file at which it begins and ends,
/// and the log before it.
struct Place {
    segment: u64,
    from: u64,
    to: u64,
    before: Vec<LogPosition>,
}

fn journal(disk: &SimDisk) -> Vec<Place> {
    let contents = DirectoryContents::read(disk, dir()).unwrap();
    let mut log: Vec<LogPosition> = Vec::new();
    let mut places = Vec::new();
    for (number, records) in (1..).zip(&contents.segments) {
        for RecordPlace { from, to, position } in records {
            let before = log.clone();
            log.truncate(position.index.0 as usize - 1);
            log.push(*position);
            places.push(Place { segment: number, from: *from, to: *to, before });
        }
    }
    assert_eq!(log.last(), Some(&LAST));
    places
}

/// The log before the first record of a segment.
fn before_segment(journal: &[Place], number: u64) -> Vec<LogPosition> {
    journal.iter().find(|place| place.segment == number).unwrap().before.clone()
}

/// Opens a damaged log. The log must then be `kept`, and the server is rejoining and knows what
/// it lost.
#[track_caller]
fn check_repair(disk: &SimDisk, kept: &[LogPosition], what: &str) -> DurableState {
    let (mut storage, recovered) =
        open_to_repair(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    check_repaired(&mut storage, &recovered, kept, what);
    recovered
}

#[track_caller]
fn check_repaired(
    storage: &mut Storage,
    recovered: &DurableState,
    kept: &[LogPosition],
    what: &str,
) {
    let HardState { lost, is_end_known, .. } = recovered.hard_state;
    let state = HardState { is_rejoining: true, lost, is_end_known, ..term(2) };
    assert_eq!(recovered.hard_state, state, "{what}");
    let log = all(storage);
    assert_eq!(log.iter().map(Entry::position).collect::<Vec<_>>(), kept, "{what}");
    assert_eq!(recovered.log, summary(&log), "{what}");
}

/// Checks that the log stays whole, and that the server takes entries and is rejoining until a
/// hard state is saved that says otherwise.
#[track_caller]
fn check_later_starts(disk: &SimDisk, recovered: &DurableState) {
    verify(disk, dir()).expect("it is whole");
    disk.crash(Crash::LoseUnsynced);
    let (mut storage, again) = open_to_repair(disk).unwrap();
    assert_eq!(again.notes, Vec::<String>::new());
    assert_eq!((again.hard_state, &again.log), (recovered.hard_state, &recovered.log));
    let last = storage.last().index.0;
    storage.append(&entries(last + 1..=20, 2)).unwrap();
    storage.sync().unwrap();
    let log = all(&mut storage);
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    let (mut storage, again) = open_to_repair(disk).unwrap();
    assert_eq!(all(&mut storage), log);
    assert_eq!(again.hard_state, recovered.hard_state, "not before it is counted");
    storage.save_hard_state(term(2)).unwrap();
    drop(storage);
    let again = open_to_repair(disk).unwrap().1;
    assert_eq!(again.hard_state, term(2));
}

#[test]
fn any_flipped_bit_of_a_log_leaves_all_before_it_and_a_rejoining_server() {
    let disk = some_log();
    let journal = journal(&disk);
    for number in 1..=3 {
        let records = journal.iter().filter(|place| place.segment == number);
        let header = [(0, 512, before_segment(&journal, number))];
        let places = records.map(|place| (place.from, place.to, place.before.clone()));
        for (place, (from, to, kept)) in header.into_iter().chain(places).enumerate() {
            // Every bit of a few records is flipped, and some bits of all records.
            let step = if place % 5 == 4 { 1 } else { 53 };
            for bit in (from * 8..to * 8).step_by(step).filter(|bit| !is_tag(bit / 8)) {
                let copy = disk.duplicate();
                copy.flip_bit(&segment(number), bit / 8, (bit % 8) as u32);
                // Unused bytes, like the padding of a header, are checksummed, too.
                let what = format!("bit {bit} of segment {number}");
                let recovered = check_repair(&copy, &kept, &what);
                let HardState { is_end_known, lost, .. } = recovered.hard_state;
                assert!(!is_end_known || lost == LAST, "{what}: {lost}");
                // The damaged record may have been the only trace of its entry.
                let least = if number == 3 { LogIndex(16) } else { LAST.index };
                assert!(
                    recovered.hard_state.lost.index >= least,
                    "{what}: {:?}",
                    recovered.hard_state.lost
                );
                if bit % 7 == 0 {
                    check_later_starts(&copy, &recovered);
                }
            }
        }
    }
}

#[test]
fn a_note_names_file_byte_and_first_entry_lost() {
    let disk = some_log();
    let journal = journal(&disk);
    let place = &journal[1];
    disk.flip_bit(&segment(1), place.from + 50, 0);
    let recovered = check_repair(&disk, &place.before, "the second record");
    let [note] = &recovered.notes[..] else { panic!("one line: {:?}", recovered.notes) };
    let begin = format!("data/1/log/00000001.segment is damaged at byte {}: ", place.from);
    assert!(note.starts_with(&begin), "{note}");
    assert!(note.contains("ends before entry 2 from here on"), "{note}");
    assert!(note.contains("it had ended with entry 18@2"), "{note}");
    assert!(note.contains("votes only for a server that has all of that, until"), "{note}");
    assert_eq!(note.lines().count(), 1);
}

#[test]
fn a_log_that_ends_at_any_byte_before_its_durable_end_is_kept_as_far_as_it_goes() {
    let disk = some_log();
    let journal = journal(&disk);
    let recorded = hard_state::load(&disk, dir()).unwrap().newest.durable_end;
    for number in 1..=3 {
        let whole = disk.contents(&segment(number));
        let records: Vec<&Place> = journal.iter().filter(|p| p.segment == number).collect();
        let end =
            if number == 3 { end_place_of(recorded.offset) } else { records.last().unwrap().to };
        for cut in (512..end).step_by(7).chain(records.iter().map(|place| place.from)) {
            for zeros in [false, true] {
                let copy = disk.duplicate();
                let mut bytes = whole[..cut as usize].to_vec();
                if zeros {
                    bytes.resize(whole.len(), 0);
                }
                let sectors_end = bytes.len() / 512 * 512;
                let is_lost = |place: &&&Place| {
                    let place = place.from as usize..place.to as usize;
                    place.end > sectors_end || bytes[place.clone()] != whole[place]
                };
                // The last bytes of a record may be zeros.
                let Some(first) = records.iter().find(is_lost).filter(|place| place.from < end)
                else {
                    continue;
                };
                copy.set_contents(&segment(number), bytes.clone());
                let what = format!("byte {cut} of segment {number}");
                let recovered = check_repair(&copy, &first.before, &what);
                assert!(recovered.hard_state.lost.index >= LogIndex(16), "{what}");
                check_later_starts(&copy, &recovered);
            }
        }
    }
}

#[test]
fn any_missing_segments_leave_those_before_them() {
    let disk = some_log();
    let journal = journal(&disk);
    for missing in [&[1][..], &[2], &[3], &[1, 2], &[1, 3], &[2, 3], &[1, 2, 3]] {
        let copy = disk.duplicate();
        missing.iter().for_each(|number| copy.lose(&segment(*number)));
        let kept = before_segment(&journal, missing[0]);
        let recovered = check_repair(&copy, &kept, &format!("{missing:?} are missing"));
        assert!(recovered.notes[0].contains("is missing, but"), "{:?}", recovered.notes);
        let knows_all = !missing.contains(&3);
        // Segment 2 replaces entries of segment 1.
        let is_end_known = knows_all && !missing.contains(&1) || missing == [1, 2];
        assert_eq!(recovered.hard_state.is_end_known, is_end_known, "{missing:?}");
        assert_eq!(recovered.hard_state.lost.index.0, if knows_all { 18 } else { 16 });
        check_later_starts(&copy, &recovered);
    }
}

/// The power fails at every step of a repair, and again at every step of the next. The damaged
/// log is judged again, or it was cut and its server is rejoining.
#[test]
fn a_power_cut_at_any_step_of_a_repair_leaves_no_voter_with_a_cut_log() {
    let disk = some_log();
    let journal = journal(&disk);
    let damages: Vec<(u64, u64, Vec<LogPosition>)> = (1..=3)
        .map(|number| (number, 20, before_segment(&journal, number)))
        .chain([2, 9, 14, 19].map(|nth| {
            let place: &Place = &journal[nth];
            (place.segment, place.from + 41, place.before.clone())
        }))
        .collect();
    for (number, offset, kept) in damages {
        let damaged = disk.duplicate();
        damaged.flip_bit(&segment(number), offset, 0);
        let steps = {
            let copy = damaged.duplicate();
            let before = copy.operations();
            drop(open_to_repair(&copy).unwrap());
            copy.operations() - before
        };
        assert!(steps >= 8, "a record in two copies, the erasing, and the record again");
        for first in 0..=steps {
            for second in [0, 1, 2, 3, 5, 7, 9, 12, 40] {
                for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Seeded(second)] {
                    let copy = damaged.duplicate();
                    for operations in [first, second] {
                        copy.cut_power_after(operations);
                        drop(open_to_repair(&copy));
                        copy.crash(crash);
                        check_what_is_left(&copy);
                    }
                    let what = format!("{number}/{offset} {first} {second} {crash:?}");
                    check_repair(&copy, &kept, &what);
                }
            }
        }
    }
}

/// Checks that a log without damage is not the log of a voter.
#[track_caller]
fn check_what_is_left(disk: &SimDisk) {
    if let Ok(scanned) = scan(disk, dir(), NodeId(1)) {
        let newest = scanned.loaded.newest;
        assert!(newest.hard_state.is_rejoining, "{newest:?}");
    }
}

/// Only the process is killed, and the power fails some time later. A start must not act on a
/// record of the hard state that is only in the page cache.
#[test]
fn a_repair_or_compaction_whose_record_is_not_durable_removes_nothing() {
    let disk = some_log();
    let journal = journal(&disk);
    let damaged = disk.duplicate();
    damaged.flip_bit(&segment(1), journal[2].from, 0);
    for first in 0..=20 {
        for second in 0..=20 {
            let copy = damaged.duplicate();
            copy.cut_power_after(first);
            drop(open_to_repair(&copy));
            copy.kill();
            copy.cut_power_after(second);
            drop(open_to_repair(&copy));
            copy.crash(Crash::LoseUnsynced);
            check_what_is_left(&copy);
            check_repair(&copy, &journal[2].before, &format!("{first} {second}"));

            let copy = disk.duplicate();
            let (mut storage, _) = reopen(&copy);
            copy.cut_power_after(first);
            let _ = storage.compact(LogIndex(16));
            drop(storage);
            copy.kill();
            copy.cut_power_after(second);
            drop(open(&copy));
            copy.crash(Crash::LoseUnsynced);
            let (storage, recovered) = reopen(&copy);
            assert_eq!(recovered.hard_state, term(2));
            assert_eq!(storage.last(), LAST);
        }
    }
}

/// The recorded durable end, or the next record, shows that some record before it is not what was
/// written, but not which one. So nothing of the segment is kept.
#[test]
fn whole_records_that_contradict_the_durable_end_are_not_kept() {
    let disk = some_log();
    let journal = journal(&disk);
    let last = journal.last().unwrap();
    let at = journal.iter().find(|place| place.segment == 3).unwrap();
    let header = SegmentHeader::decode(&disk.contents(&segment(3))).unwrap();
    // The segment begins with a longer record, or with one that skips an entry.
    let next = at.before.len() as u64 + 1;
    for index in [next, next + 1] {
        let copy = disk.duplicate();
        let mut bytes = copy.contents(&segment(3));
        let payload = Payload::Command(vec![7; (last.to - at.from) as usize].into());
        let mut record = Vec::new();
        let wrong = Entry { payload, ..entry(index, 2) };
        record::encode(&wrong, true, header.salt, SEGMENT_HEADER_BYTES, &mut record);
        let sectors = SectorOwner::of(&header).encode(1, &record);
        bytes.resize(bytes.len().max(512 + sectors.len().next_multiple_of(512)), 0);
        bytes[512..][..sectors.len()].copy_from_slice(&sectors);
        copy.set_contents(&segment(3), bytes);
        let recovered = check_repair(&copy, &at.before, &format!("entry {index}"));
        check_later_starts(&copy, &recovered);
    }
}

#[test]
fn a_log_that_begins_after_a_snapshot_begins_there_again() {
    let disk = some_log();
    let (mut storage, _) = reopen(&disk);
    let base = storage.compact(LogIndex(16)).unwrap();
    let first = storage.index.first_segment();
    assert!(base.index > LogIndex(0) && first > 1);
    drop(storage);
    for is_missing in [false, true] {
        let copy = disk.duplicate();
        match is_missing {
            true => copy.lose(&segment(first)),
            false => copy.flip_bit(&segment(first), 30, 1),
        }
        let (mut storage, recovered) = open_to_repair(&copy).unwrap();
        assert_eq!((storage.base(), storage.last()), (base, base));
        assert!(recovered.hard_state.is_rejoining);
        assert_eq!(recovered.hard_state.lost, LAST);
        let next = base.index.0 + 1;
        storage.append(&entries(next..=next + 9, 2)).unwrap();
        storage.sync().unwrap();
        let log = all(&mut storage);
        drop(storage);
        copy.crash(Crash::LoseUnsynced);
        let (mut storage, again) = open_to_repair(&copy).unwrap();
        assert_eq!((storage.base(), all(&mut storage)), (base, log));
        assert_eq!(again.notes, Vec::<String>::new());
    }
}

/// A log that is damaged again while it is being repaired still knows the last entry that it
/// had.
#[test]
fn a_second_damage_forgets_nothing_of_the_first() {
    let disk = some_log();
    let journal = journal(&disk);
    disk.flip_bit(&segment(1), journal[4].from, 0);
    check_repair(&disk, &journal[4].before, "the first");
    disk.flip_bit(&segment(1), journal[2].from, 0);
    let recovered = check_repair(&disk, &journal[2].before, "the second");
    assert_eq!(recovered.hard_state.lost, LAST);
}

/// The log must end as an undamaged log would, from the first whole record after the damage on
/// (docs/adr/0019).
#[test]
fn the_end_is_known_when_everything_after_the_damage_is_whole() {
    let disk = some_log();
    let journal = journal(&disk);
    let flip = |copy: &SimDisk, nth: usize| {
        copy.flip_bit(&segment(journal[nth].segment), journal[nth].from + 41, 0);
    };
    let last = journal.len() - 1;
    let first_of_third = journal.iter().position(|place| place.segment == 3).unwrap();
    assert!(first_of_third + 2 < last);
    let is_known = |damaged: &[usize]| {
        let copy = disk.duplicate();
        damaged.iter().for_each(|nth| flip(&copy, *nth));
        let recovered = check_repair(&copy, &journal[damaged[0]].before, &format!("{damaged:?}"));
        check_later_starts(&copy, &recovered);
        let HardState { is_end_known, lost, .. } = recovered.hard_state;
        assert!(!is_end_known || lost == LAST, "{lost}");
        is_end_known
    };
    assert!(is_known(&[0]), "the first record");
    assert!(is_known(&[2]), "the middle of the first segment");
    assert!(is_known(&[2, 3]), "two records, one after the other");
    assert!(is_known(&[first_of_third - 1]), "the end of the second segment");
    assert!(is_known(&[first_of_third]), "the last segment");
    assert!(is_known(&[last - 1]), "the last batch, before its last record");
    assert!(!is_known(&[last]), "the last record may have been followed by others");
    assert!(!is_known(&[last - 1, last]));
    assert!(!is_known(&[0, 2]), "a second damage, with a whole record between");
    assert!(!is_known(&[2, first_of_third + 1]));
    assert!(!is_known(&[5]), "entry 5 is replaced later, after the damage");
}

#[test]
fn the_end_is_not_known_when_the_log_ends_before_its_durable_end() {
    let disk = some_log();
    let journal = journal(&disk);
    let first_of_third = journal.iter().find(|place| place.segment == 3).unwrap();
    // The last segment is cut at its first record, where whole sectors end.
    let bytes = disk.contents(&segment(3))[..512].to_vec();
    disk.set_contents(&segment(3), bytes);
    disk.flip_bit(&segment(1), journal[2].from + 41, 0);
    assert!(first_of_third.from >= 512);
    let recovered = check_repair(&disk, &journal[2].before, "two damages");
    assert!(!recovered.hard_state.is_end_known);
}

/// A torn write after the end was never acknowledged.
#[test]
fn the_end_is_known_before_a_torn_tail() {
    let disk = some_log();
    let places = journal(&disk);
    let (mut storage, _) = reopen(&disk);
    storage
        .append(&[Entry { payload: Payload::Command(vec![7; 900].into()), ..entry(19, 2) }])
        .unwrap();
    let tail = storage.index.last_segment();
    drop(storage);
    // The write reached the disk without one of its sectors.
    disk.crash(Crash::KeepUnsynced);
    let mut bytes = disk.contents(&segment(tail));
    let end = places.last().unwrap().to as usize;
    let at = if tail == 3 { end.next_multiple_of(512) + 512 } else { 1024 };
    bytes[at..at + 512].fill(0);
    disk.set_contents(&segment(tail), bytes);
    assert!(reopen(&disk.duplicate()).1.notes[0].contains("a torn write"));
    disk.flip_bit(&segment(1), places[2].from + 41, 0);
    let recovered = check_repair(&disk, &places[2].before, "torn and damaged");
    assert!(recovered.hard_state.is_end_known);
    assert_eq!(recovered.hard_state.lost, LAST);
}

#[test]
fn a_second_repair_never_learns_where_the_log_ended() {
    let disk = some_log();
    let journal = journal(&disk);
    let last = journal.last().unwrap();
    disk.flip_bit(&segment(3), last.from + 41, 0);
    let first = check_repair(&disk, &last.before, "the last record");
    assert!(!first.hard_state.is_end_known);
    disk.flip_bit(&segment(1), journal[2].from + 41, 0);
    let second = check_repair(&disk, &journal[2].before, "the third record");
    assert!(!second.hard_state.is_end_known, "the end of the rest is not that of the whole");
    assert_eq!(second.hard_state.lost, first.hard_state.lost, "and the furthest counts");

    let disk = some_log();
    disk.flip_bit(&segment(2), 20, 0);
    let kept = before_segment(&journal, 2);
    assert!(check_repair(&disk, &kept, "a header").hard_state.is_end_known);
    disk.flip_bit(&segment(1), journal[1].from + 41, 0);
    let second = check_repair(&disk, &journal[1].before, "the second record");
    assert!(second.hard_state.is_end_known);
    assert_eq!(second.hard_state.lost, LAST, "and the furthest counts");
}

#[test]
fn a_damaged_hard_state_or_identity_is_refused_although_other_servers_can_repair_the_log() {
    let disk = some_log();
    let path = hard_state_path(dir());
    let copy = disk.duplicate();
    copy.flip_bit(&path, 24, 0);
    copy.flip_bit(&path, 4096 + 24, 0);
    assert!(matches!(open_to_repair(&copy), Err(StorageError::Damaged { .. })));
    let copy = disk.duplicate();
    copy.flip_bit(&identity::identity_path(dir()), 3, 0);
    assert!(matches!(open_to_repair(&copy), Err(StorageError::Damaged { .. })));
    for path in [path, identity::identity_path(dir())] {
        let copy = disk.duplicate();
        copy.lose(&path);
        assert!(matches!(open_to_repair(&copy), Err(StorageError::FileMissing { .. })));
    }
}

/// The hard state is an older copy and the log is damaged. A record after the damage tells that
/// a vote may be forgotten.
#[test]
fn a_hard_state_older_than_a_lost_entry_is_refused() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    storage.append(&entries(1..=3, 1)).unwrap();
    storage.sync().unwrap();
    let older = disk.contents(&hard_state_path(dir()));
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(4..=5, 2)).unwrap();
    storage.sync().unwrap();
    drop(storage);
    disk.flip_bit(&segment(1), place_of(SEGMENT_HEADER_BYTES) + 2, 0);
    disk.set_contents(&hard_state_path(dir()), older);
    let error = open_to_repair(&disk).err().unwrap();
    assert!(matches!(error, StorageError::HardStateStale { .. }), "{error}");
}

/// The servers.toml of a cluster of one that has grown still lists one server.
#[test]
fn a_cluster_that_has_grown_repairs_a_log_whatever_its_settings_say() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let members = Payload::Membership(Membership::seed([1, 2, 3].map(NodeId)));
    storage.append(&[Entry { payload: members, ..entry(1, 1) }]).unwrap();
    storage.append(&entries(2..=2, 1)).unwrap();
    storage.sync().unwrap();
    let end = storage.tail.end();
    drop(storage);
    disk.flip_bit(&segment(1), end_place_of(end) - 20, 0);
    let grown = StorageOptions { has_majority_of_others: false, ..repairing() };
    let opened = Storage::open(Box::new(disk), dir(), grown);
    assert!(opened.unwrap().1.hard_state.is_rejoining);
}

/// A compacted log may say nothing about the members, and one that ends before the damage may say
/// what is no longer so: the newest snapshot knows better than both, and than the settings.
#[test]
fn the_members_in_the_newest_snapshot_decide_about_a_log_that_knows_less() {
    for (voters, is_repaired) in [(vec![1, 2, 3], true), (vec![1, 2], false)] {
        for logged in [None, Some(if is_repaired { vec![1, 2] } else { vec![1, 2, 3] })] {
            let disk = SimDisk::new();
            let (mut storage, _) = reopen(&disk);
            storage.save_hard_state(term(1)).unwrap();
            let seed = |ids: &[u64]| Membership::seed(ids.iter().copied().map(NodeId));
            let first = logged.map_or(Payload::Noop, |ids| Payload::Membership(seed(&ids)));
            storage.append(&[Entry { payload: first, ..entry(1, 1) }]).unwrap();
            storage.append(&entries(2..=8, 1)).unwrap();
            storage.sync().unwrap();
            let end = storage.tail.end();
            drop(storage);
            let snapshots = SnapshotFiles::open(Box::new(disk.clone()), dir()).unwrap();
            let membership = Some((LogIndex(3), seed(&voters)));
            let state = ClusterState { membership, ..ClusterState::default() };
            let last = LogPosition { term: Term(1), index: LogIndex(6) };
            let head = SnapshotHead { cluster: options().cluster, last, stamp_ms: 60, state };
            snapshots.write(&head, [Ok::<_, StorageError>(vec![0])].into_iter()).unwrap();
            disk.flip_bit(&segment(1), end_place_of(end) - 20, 0);
            let settings = StorageOptions { has_majority_of_others: !is_repaired, ..repairing() };
            let opened = Storage::open(Box::new(disk), dir(), settings);
            match opened {
                Ok((_, recovered)) => assert!(is_repaired && recovered.hard_state.is_rejoining),
                Err(error) => {
                    assert!(!is_repaired, "{voters:?}: {error}");
                    assert!(matches!(error, StorageError::Irreparable { .. }), "{error}");
                }
            }
        }
    }
}

#[test]
fn the_log_of_a_small_cluster_is_left_as_it_is() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let members = Payload::Membership(Membership::seed([NodeId(1), NodeId(2)]));
    storage.append(&[Entry { payload: members, ..entry(1, 1) }]).unwrap();
    storage.append(&entries(2..=2, 1)).unwrap();
    storage.sync().unwrap();
    let end = storage.tail.end();
    drop(storage);
    disk.flip_bit(&segment(1), end_place_of(end) - 20, 0);
    disk.record();
    for options in [options(), repairing()] {
        let error = Storage::open(Box::new(disk.clone()), dir(), options).err().unwrap();
        assert!(matches!(error, StorageError::Irreparable { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("00000001.segment is damaged at byte"), "{said}");
        assert!(said.contains("put back a backup") && said.contains("--join"), "{said}");
    }
    let changes = disk
        .record()
        .into_iter()
        .filter(|operation| !matches!(operation, DiskOperation::CreateDir(_)));
    assert_eq!(changes.count(), 0, "nothing was changed");
}

proptest! {
    /// A changed file that is not part of the log is refused. A changed log is whole, or it is a
    /// prefix of the journal and its server is rejoining.
    #[test]
    fn any_change_of_any_file_leaves_a_whole_log_or_a_rejoining_server_with_a_part_of_it(
        which in any::<prop::sample::Index>(),
        mutation in mutation(),
    ) {
        let disk = some_log();
        let journal = journal(&disk);
        let paths = disk.paths();
        let path = &paths[which.index(paths.len())];
        disk.set_contents(path, mutation.of(&disk.contents(path)));
        let Ok((mut storage, recovered)) = open_to_repair(&disk) else {
            prop_assert!(!path.starts_with(log_dir(dir())), "{} is repaired", path.display());
            return Ok(());
        };
        let log: Vec<LogPosition> = all(&mut storage).iter().map(Entry::position).collect();
        drop(storage);
        // No durable end is recorded for the last batch: a cut leaves no trace of it.
        let recorded = LAST.index.0 as usize - 2;
        if recovered.hard_state.is_rejoining {
            let lost = recovered.hard_state.lost.index.0;
            prop_assert!(log.len() >= LAST.index.0 as usize || lost >= 16);
            prop_assert!(journal.iter().any(|place| place.before == log) || log.len() == 18);
        } else {
            prop_assert!(log.len() >= recorded, "{} entries of a voter", log.len());
            prop_assert_eq!(log.last().unwrap().term, LAST.term);
        }
        prop_assert!(verify(&disk, dir()).is_ok());
        prop_assert_eq!(open_to_repair(&disk).unwrap().1.log, recovered.log);
    }
}

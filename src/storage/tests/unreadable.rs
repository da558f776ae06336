//! Directories of a format that this server does not read.

use std::collections::BTreeMap;

use super::*;
use crate::storage::disk::OpenMode;
use crate::storage::log::files::{open_segment, read_header};
use crate::storage::log::record::{HEADER_BYTES, MAGIC_OFFSET};
use crate::storage::{SnapshotFiles, SnapshotHead, StoppedServer};
use crate::types::{ClusterState, Format, FormatInForce};

const TERM: Term = Term(1);

fn open_reading(disk: &SimDisk, formats: FormatRange) -> Result<(), StorageError> {
    // The server could repair a damaged log, so a refusal is not for want of others.
    let options =
        StorageOptions { formats, can_repair: true, has_majority_of_others: true, ..options() };
    Storage::open(Box::new(disk.clone()), dir(), options).map(|_| ())
}

fn newer(format: u32) -> FormatInForce {
    FormatInForce::read(Format(format), &format!("0.{format}.0"))
}

/// A log with these entries, of one segment.
fn log_of(payloads: &[Payload]) -> SimDisk {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(HardState { current_term: TERM, ..HardState::default() }).unwrap();
    for (index, payload) in (1..).map(LogIndex).zip(payloads) {
        let payload = payload.clone();
        storage.append(&[Entry { index, term: TERM, stamp_ms: 0, payload }]).unwrap();
    }
    storage.sync().unwrap();
    drop(storage);
    disk
}

fn command() -> Payload {
    Payload::Command(b"a command".to_vec().into())
}

fn add_snapshot(disk: &SimDisk, index: u64, format: FormatInForce) {
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), dir()).unwrap();
    let last = LogPosition { index: LogIndex(index), term: TERM };
    let state = ClusterState { format, ..ClusterState::default() };
    let head = SnapshotHead { cluster: "coracle".into(), last, stamp_ms: 0, state };
    snapshots.write(&head, [Ok::<_, StorageError>(vec![1, 2, 3])].into_iter()).unwrap();
}

fn contents(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let contents = |path: PathBuf| (path.clone(), disk.contents(&path));
    disk.paths().into_iter().map(contents).collect()
}

/// Checks that a server that reads `formats` is refused, with a sentence that names the program.
#[track_caller]
fn check_refused(disk: &SimDisk, formats: FormatRange, parts: &[&str]) {
    let (before, operations) = (contents(disk), disk.operations());
    let error = open_reading(disk, formats).expect_err("it is refused");
    assert!(matches!(error, StorageError::Unreadable { .. }), "{error}");
    let said = error.to_string();
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(contents(disk), before, "nothing is changed");
    assert_eq!(disk.operations(), operations, "not even written again");
}

#[test]
fn a_log_of_a_later_format_is_refused_and_left_as_it_is() {
    let second = log_of(&[command(), Payload::Format(newer(2)), command()]);
    let parts = ["data/1/log has format 2", "start version 0.2.0 or a later one"];
    check_refused(&second, FormatRange::FIRST_ONLY, &parts);
    open_reading(&second, FormatRange::OWN).expect("this version reads it");
    let fifth = log_of(&[Payload::Format(newer(2)), Payload::Format(newer(5)), command()]);
    check_refused(&fifth, FormatRange::OWN, &["has format 5", "start version 0.5.0"]);
}

/// The entries up to the damage are of a format that this server does not read. A repair would cut
/// entries that it does not understand.
#[test]
fn a_damaged_log_of_a_later_format_is_not_repaired() {
    let payloads = vec![Payload::Format(newer(2)); 1].into_iter().chain(vec![command(); 40]);
    let disk = log_of(&payloads.collect::<Vec<_>>());
    disk.flip_bit(&segment(1), 1000, 3);
    check_refused(&disk, FormatRange::FIRST_ONLY, &["has format 2", "0.2.0"]);
}

#[test]
fn a_format_that_was_superseded_before_it_was_committed_does_not_count() {
    let disk = log_of(&[command(), Payload::Format(newer(5))]);
    let (mut storage, _) = {
        let any = FormatRange { lowest: Format(1), highest: Format(5) };
        let options = StorageOptions { formats: any, ..options() };
        Storage::open(Box::new(disk.clone()), dir(), options).unwrap()
    };
    let index = LogIndex(2);
    storage.append(&[Entry { index, term: TERM, stamp_ms: 0, payload: command() }]).unwrap();
    storage.sync().unwrap();
    drop(storage);
    open_reading(&disk, FormatRange::OWN).expect("its log has format 1");
}

#[test]
fn a_format_that_is_no_longer_read_is_refused() {
    let disk = log_of(&[command()]);
    let newer_only = FormatRange { lowest: Format(2), highest: Format(3) };
    check_refused(&disk, newer_only, &["has format 1", "start an older version first", "0.1.0"]);
}

#[test]
fn a_snapshot_of_a_later_format_is_refused_and_left_as_it_is() {
    let disk = log_of(&[command(), command()]);
    add_snapshot(&disk, 1, FormatInForce::default());
    open_reading(&disk, FormatRange::FIRST_ONLY).expect("all of it has format 1");
    add_snapshot(&disk, 2, newer(2));
    let name = "00000000000000000002-1.snapshot has format 2";
    check_refused(&disk, FormatRange::FIRST_ONLY, &[name, "start version 0.2.0"]);
    open_reading(&disk, FormatRange::OWN).expect("this version reads it");
}

/// Adds a record that this version does not know to the log of one segment.
fn add_unknown_record(disk: &SimDisk, payloads: &[Payload]) {
    let bytes = |payload: &Payload| record::record_bytes(payload.body().len() as u64);
    let offset = SEGMENT_HEADER_BYTES + payloads.iter().map(bytes).sum::<u64>();
    let path = segment(1);
    let file = open_segment(disk, &path, OpenMode::Write).unwrap();
    let header = read_header(&*file, &path).unwrap();
    let last = LogPosition { index: LogIndex(payloads.len() as u64), term: TERM };
    let (index, payload) = (last.index.next(), command());
    let mut bytes = Vec::new();
    let entry = Entry { index, term: TERM, stamp_ms: 0, payload };
    record::encode(&entry, true, header.salt, offset, &mut bytes);
    bytes[MAGIC_OFFSET + 2] = 99;
    let crc = crc32c::crc32c_append(record::seed(header.salt, offset), &bytes[4..HEADER_BYTES]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let mut tail = TailSegment::at(dir(), &header, file, offset, last).unwrap();
    tail.write(&bytes, u64::MAX).unwrap();
    tail.sync(last).unwrap();
}

#[test]
fn an_unknown_entry_of_a_later_format_is_refused_by_the_name_of_its_program() {
    let payloads = [command(), Payload::Format(newer(7)), command()];
    let disk = log_of(&payloads);
    add_unknown_record(&disk, &payloads);
    check_refused(&disk, FormatRange::OWN, &["data/1/log", "has format 7", "version 0.7.0"]);
    // No entry before it says what format it has.
    let payloads = [command(), command()];
    let disk = log_of(&payloads);
    add_unknown_record(&disk, &payloads);
    let error = open_reading(&disk, FormatRange::OWN).unwrap_err();
    assert!(matches!(error, StorageError::Unknown { .. }), "{error}");
    // The log was compacted, and the snapshot says it.
    add_snapshot(&disk, 1, newer(7));
    check_refused(&disk, FormatRange::OWN, &["1.snapshot has format 7", "version 0.7.0"]);
}

#[test]
fn inspecting_a_directory_of_a_later_format_says_the_same() {
    let disk = log_of(&[Payload::Format(newer(5)), command()]);
    let expected = open_reading(&disk, FormatRange::OWN).unwrap_err().to_string();
    let operations = disk.operations();
    let dumped = dump(&disk, dir(), (LogIndex(1), LogIndex(9)), &mut |_| Ok(()));
    let verified = verify(&disk, dir()).map(|_| ());
    let stopped = StoppedServer::open(&disk, dir()).map(|_| ());
    for inspected in [dumped, verified, stopped] {
        assert_eq!(inspected.unwrap_err().to_string(), expected);
    }
    assert_eq!(disk.operations(), operations);
}

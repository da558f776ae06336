//! Tests of the storage on a simulated disk, and a model of the logs that a crash may leave. The
//! tests of the parts share the model.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::log::sectors::SectorOwner;
use super::*;
use crate::testing::{Crash, DiskOperation, SimDisk};
use crate::types::{Membership, Payload, Term, TermRuns};

mod crash;
mod damage;
mod format;
mod random;
mod recycle;
mod repair;
mod torn;
mod unreadable;

const DIR: &str = "data/1";
/// Size of a segment in bytes; it is small, so that a few entries fill several segments.
const SEGMENT_BYTES: u64 = 1536;

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn segment(number: u64) -> PathBuf {
    segment_path(dir(), number)
}

fn options() -> StorageOptions {
    StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: SEGMENT_BYTES,
        can_repair: false,
        has_majority_of_others: false,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    }
}

fn open(disk: &SimDisk) -> Result<(Storage, DurableState), StorageError> {
    Storage::open(Box::new(disk.clone()), dir(), options())
}

fn reopen(disk: &SimDisk) -> (Storage, DurableState) {
    open(disk).expect("the directory is whole")
}

/// An entry that differs for every index and term. Its body has no zeros.
fn entry(index: u64, term: u64) -> Entry {
    let payload = match index % 7 {
        0 => Payload::Noop,
        3 => Payload::Membership(Membership::seed([NodeId(index), NodeId(term), NodeId(1000)])),
        _ => {
            let seed = (index * 31 + term * 17) as u8;
            let length = 20 + (index * 37 + term * 11) % 200;
            Payload::Command((0..length).map(|at| (seed ^ at as u8) | 1).collect())
        }
    };
    Entry { index: LogIndex(index), term: Term(term), stamp_ms: 1000 * term + index, payload }
}

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    indexes.map(|index| entry(index, term)).collect()
}

fn term(term: u64) -> HardState {
    HardState {
        current_term: Term(term),
        voted_for: Some(NodeId(term % 3 + 1)),
        is_rejoining: term.is_multiple_of(5),
        ..HardState::default()
    }
}

fn all(storage: &mut Storage) -> Vec<Entry> {
    let first = storage.base().index.next();
    storage.read(first, LogIndex(u64::MAX), u64::MAX).expect("the log can be read")
}

/// The summary that recovery must return for a log with these entries.
fn summary(log: &[Entry]) -> LogSummary {
    summary_after(LogPosition::default(), log)
}

fn summary_after(base: LogPosition, log: &[Entry]) -> LogSummary {
    let runs = TermRuns::starting_after(base);
    let mut summary = LogSummary { runs, ..LogSummary::default() };
    for entry in log {
        summary.runs.push(entry.position());
        summary.cluster.append(entry.index, &entry.payload);
        summary.last_stamp_ms = entry.stamp_ms;
    }
    summary
}

/// The logs that may be on the disk: everything that was synced, and any prefix of the records
/// that were not, in the order of writing. The log may begin later after a compaction, and anew
/// after a reset.
#[derive(Clone)]
struct Model {
    base: LogPosition,
    synced: Vec<Entry>,
    unsynced: Vec<Entry>,
    saved: HardState,
    unsaved: Option<HardState>,
    /// Upper bound of the base.
    compacted_to: LogIndex,
    reset_to: Option<LogPosition>,
}

impl Default for Model {
    fn default() -> Model {
        let saved = HardState { is_rejoining: true, ..HardState::default() };
        Model {
            base: LogPosition::default(),
            synced: Vec::new(),
            unsynced: Vec::new(),
            saved,
            unsaved: None,
            compacted_to: LogIndex(0),
            reset_to: None,
        }
    }
}

impl Model {
    fn put(&self, log: &mut Vec<Entry>, entry: &Entry) {
        log.truncate((entry.index.0 - self.base.index.0) as usize - 1);
        log.push(entry.clone());
    }

    fn newest(&self) -> Vec<Entry> {
        let mut log = self.synced.clone();
        self.unsynced.iter().for_each(|entry| self.put(&mut log, entry));
        log
    }

    fn last(&self) -> LogPosition {
        summary_after(self.base, &self.newest()).runs.last()
    }

    fn append(&mut self, storage: &mut Storage, entries: &[Entry]) -> Result<(), StorageError> {
        self.unsynced.extend_from_slice(entries);
        storage.append(entries)
    }

    fn sync(&mut self, storage: &mut Storage) -> Result<(), StorageError> {
        storage.sync()?;
        self.synced = self.newest();
        self.unsynced.clear();
        Ok(())
    }

    fn save(&mut self, storage: &mut Storage, state: HardState) -> Result<(), StorageError> {
        self.unsaved = Some(state);
        storage.save_hard_state(state)?;
        self.saved = state;
        self.unsaved = None;
        Ok(())
    }

    fn compact(&mut self, storage: &mut Storage, limit: LogIndex) -> Result<(), StorageError> {
        self.compacted_to = self.compacted_to.max(limit);
        let before = self.base;
        let base = storage.compact(limit)?;
        assert_eq!(base, storage.base());
        assert!(base == before || base.index <= limit, "{base} is after {limit}");
        self.begin_after(base);
        Ok(())
    }

    fn reset(&mut self, storage: &mut Storage, base: LogPosition) -> Result<(), StorageError> {
        self.reset_to = Some(base);
        storage.reset(base)?;
        *self = Model { base, saved: self.saved, ..Model::default() };
        Ok(())
    }

    /// Removes the entries up to `base` from the log.
    fn begin_after(&mut self, base: LogPosition) {
        let is_left = |entry: &Entry| entry.index > base.index;
        self.synced.retain(is_left);
        self.unsynced.retain(is_left);
        self.base = base;
    }

    /// Compares the recovered log with the model. From then on the log is durable.
    #[track_caller]
    fn check(&mut self, storage: &mut Storage, recovered: &DurableState) {
        let (base, log) = (storage.base(), all(storage));
        assert_eq!(recovered.log, summary_after(base, &log), "the summary is that of the entries");
        let is_reset = self.reset_to == Some(base) && log.is_empty();
        if !is_reset {
            let is_allowed = base == self.base || base.index <= self.compacted_to;
            assert!(is_allowed && base.index >= self.base.index, "it begins after {base}");
            assert!(summary_after(self.base, &self.newest()).runs.contains(base));
            self.begin_after(base);
            self.check_entries(&log);
        }
        let state = recovered.hard_state;
        assert!(state == self.saved || Some(state) == self.unsaved, "{state:?} was never saved");
        *self = Model { base, synced: log, saved: state, ..Model::default() };
    }

    #[track_caller]
    fn check_entries(&self, log: &[Entry]) {
        let mut possible = self.synced.clone();
        let mut found = possible == log;
        for entry in &self.unsynced {
            self.put(&mut possible, entry);
            found |= possible == log;
        }
        assert!(found, "{:?} is no log that this crash can leave", positions(log));
    }
}

/// True when this byte of a segment's file belongs to the tag of a sector.
fn is_tag(place: u64) -> bool {
    place >= 512 && place % 512 < 8
}

/// Turns the file of a segment into one that was another segment's before. Its blank sectors
/// hold what the earlier segment left: records of the same entries.
fn recycle(disk: &SimDisk, path: &Path) {
    let header = SegmentHeader::decode(&disk.contents(path)).unwrap();
    let earlier = SegmentHeader { number: header.number - 1, salt: header.salt ^ 1, ..header };
    let mut records = Vec::new();
    for entry in entries(1..=60, 1) {
        let offset = SEGMENT_HEADER_BYTES + records.len() as u64;
        record::encode(&entry, true, earlier.salt, offset, &mut records);
    }
    let earlier = SectorOwner::of(&earlier).encode(1, &records);
    let mut bytes = disk.contents(path);
    bytes.resize(bytes.len().max(SEGMENT_BYTES as usize), 0);
    let sectors = bytes[512..].chunks_exact_mut(512).zip(earlier.chunks_exact(512));
    for (sector, earlier) in sectors.filter(|(sector, _)| sector.iter().all(|byte| *byte == 0)) {
        sector.copy_from_slice(earlier);
    }
    disk.set_contents(path, bytes);
}

fn positions(log: &[Entry]) -> Vec<String> {
    log.iter().map(|entry| entry.position().to_string()).collect()
}

#[test]
fn a_new_directory_is_empty_and_its_server_is_rejoining() {
    let disk = SimDisk::new();
    let (storage, recovered) = reopen(&disk);
    let hard_state = HardState { is_rejoining: true, ..HardState::default() };
    assert_eq!(recovered, DurableState { hard_state, ..DurableState::default() });
    assert_eq!(storage.last(), LogPosition::default());
    drop(storage);
    assert_eq!(reopen(&disk).1, recovered, "until a voter's hard state is saved");
}

#[test]
fn entries_and_hard_state_are_there_after_a_restart() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(3)).unwrap();
    storage.append(&entries(1..=40, 3)).unwrap();
    storage.sync().unwrap();
    drop(storage);
    let (mut storage, recovered) = reopen(&disk);
    assert_eq!(recovered.hard_state, term(3));
    assert_eq!(recovered.log, summary(&entries(1..=40, 3)));
    assert_eq!(all(&mut storage), entries(1..=40, 3));
    assert_eq!(storage.last(), LogPosition { term: Term(3), index: LogIndex(40) });
}

#[test]
fn the_real_disk_keeps_a_log_and_locks_its_directory() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data/1");
    let open = || Storage::open(Box::new(RealDisk), &dir, options());
    let (mut storage, _) = open().unwrap();
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(1..=30, 1)).unwrap();
    storage.append(&entries(12..=50, 2)).unwrap();
    storage.sync().unwrap();
    assert!(matches!(open(), Err(StorageError::Locked { .. })));
    assert!(matches!(verify(&RealDisk, &dir), Err(StorageError::Locked { .. })));
    drop(storage);
    let (mut storage, recovered) = open().unwrap();
    let expected = [entries(1..=11, 1), entries(12..=50, 2)].concat();
    assert_eq!(recovered.log, summary(&expected));
    assert_eq!(all(&mut storage), expected);
}

#[test]
fn superseding_entries_replace_all_entries_from_there_on() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(9)).unwrap();
    let mut expected = Vec::new();
    for (indexes, term) in [(1..=30, 1), (25..=26, 2), (3..=20, 4), (21..=22, 4), (1..=9, 5)] {
        let new = entries(indexes, term);
        storage.append(&new).unwrap();
        new.iter().for_each(|entry| Model::default().put(&mut expected, entry));
        assert_eq!(all(&mut storage), expected, "before a restart");
    }
    storage.sync().unwrap();
    drop(storage);
    let (mut storage, recovered) = reopen(&disk);
    assert_eq!(recovered.log, summary(&expected));
    assert_eq!(all(&mut storage), expected, "after a restart");
}

#[test]
fn reads_begin_and_end_where_they_are_asked_to() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    storage.append(&entries(1..=30, 1)).unwrap();
    storage.append(&entries(20..=60, 2)).unwrap();
    let log = all(&mut storage);
    for from in 0..=62 {
        for to in 0..=62 {
            let expected: Vec<Entry> = log
                .iter()
                .filter(|_| from > 0)
                .filter(|entry| (from..=to).contains(&entry.index.0))
                .cloned()
                .collect();
            assert_eq!(
                storage.read(LogIndex(from), LogIndex(to), u64::MAX).unwrap(),
                expected,
                "from {from} to {to}"
            );
        }
    }
}

#[test]
fn a_read_stops_before_its_bytes_but_not_before_the_first_entry() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    storage.append(&entries(1..=30, 1)).unwrap();
    let log = all(&mut storage);
    let mut sum = 0;
    for (count, entry) in log.iter().enumerate() {
        sum += entry.weight_bytes();
        for (bytes_max, expected) in [(sum - 1, count.max(1)), (sum, count + 1)] {
            let read = storage.read(LogIndex(1), LogIndex(30), bytes_max).unwrap();
            assert_eq!(read, log[..expected], "{bytes_max} bytes");
        }
    }
    assert_eq!(storage.read(LogIndex(5), LogIndex(9), 0).unwrap(), log[4..5]);
}

#[test]
fn an_entry_larger_than_a_segment_and_than_a_read_is_kept() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let mut log = entries(1..=5, 1);
    log[2].payload = Payload::Command(Bytes::from(vec![7; 300_000]));
    storage.append(&log).unwrap();
    storage.sync().unwrap();
    assert_eq!(all(&mut storage), log);
    drop(storage);
    assert_eq!(all(&mut reopen(&disk).0), log);
}

#[test]
fn a_long_segment_is_read_by_its_points() {
    let disk = SimDisk::new();
    let large = StorageOptions { segment_bytes: 8 << 20, ..options() };
    let open = || Storage::open(Box::new(disk.clone()), dir(), large.clone()).unwrap().0;
    let mut storage = open();
    storage.save_hard_state(term(2)).unwrap();
    for start in (1..=3000).step_by(100) {
        storage.append(&entries(start..=start + 99, 1)).unwrap();
    }
    storage.append(&entries(700..=720, 2)).unwrap();
    storage.append(&entries(721..=2500, 2)).unwrap();
    storage.sync().unwrap();
    let expected = [entries(1..=699, 1), entries(700..=2500, 2)].concat();
    for restarted in [false, true] {
        if restarted {
            drop(storage);
            storage = open();
        }
        assert_eq!(all(&mut storage), expected);
        for at in [1, 699, 700, 1500, 2500] {
            let read = storage.read(LogIndex(at), LogIndex(at), u64::MAX).unwrap();
            assert_eq!(read, expected[at as usize - 1..at as usize]);
        }
    }
}

#[test]
fn a_batch_is_one_write_a_page_and_a_sync_of_nothing_new_is_skipped() {
    let disk = SimDisk::new();
    let large = StorageOptions { segment_bytes: 8 << 20, ..options() };
    let (mut storage, _) = Storage::open(Box::new(disk.clone()), dir(), large).unwrap();
    storage.save_hard_state(term(1)).unwrap();
    // The first batch also writes zeros ahead.
    storage.append(&entries(1..=1, 1)).unwrap();
    storage.sync().unwrap();
    let length = disk.contents(&segment(1)).len();
    disk.record();
    for batch in [2..=3, 4..=100] {
        storage.append(&entries(batch, 1)).unwrap();
        storage.sync().unwrap();
        storage.sync().unwrap();
        storage.append(&[]).unwrap();
        storage.sync().unwrap();
    }
    let pages = sectors::end_place_of(storage.tail.end()) / 4096 + 1;
    let operations = disk.record();
    let (writes, syncs): (Vec<_>, Vec<_>) =
        operations.iter().partition(|operation| matches!(operation, DiskOperation::Write(..)));
    assert_eq!((writes.len() as u64, syncs.len()), (1 + pages, 2));
    for write in writes {
        let DiskOperation::Write(_, offset, bytes) = write else { unreachable!() };
        assert_eq!(offset / 4096, (offset + *bytes as u64 - 1) / 4096, "{write:?}");
        // A page is written as a whole when it is begun; a sector always is.
        assert!(offset % 4096 != 0 || *bytes == 4096, "{write:?}");
        assert!(offset % 512 == 0 && bytes % 512 == 0, "{write:?}");
    }
    assert_eq!(disk.contents(&segment(1)).len(), length, "the file was prewritten");
}

#[test]
fn a_hard_state_costs_two_syncs_when_it_is_new_and_none_otherwise() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    let syncs = disk.syncs();
    storage.save_hard_state(term(1)).unwrap();
    assert_eq!(disk.syncs(), syncs + 2);
    storage.save_hard_state(term(1)).unwrap();
    storage.record_durable_end().unwrap();
    assert_eq!(disk.syncs(), syncs + 2);
}

#[test]
fn another_servers_or_clusters_directory_is_refused() {
    let disk = SimDisk::new();
    drop(reopen(&disk));
    for other in [
        StorageOptions { node_id: NodeId(2), ..options() },
        StorageOptions { cluster: "other".into(), ..options() },
    ] {
        let error = Storage::open(Box::new(disk.clone()), dir(), other).err().unwrap();
        assert!(matches!(error, StorageError::OtherOwner { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("belongs to server 1 of cluster \"coracle\""), "{text}");
    }
}

#[test]
fn one_process_holds_a_directory() {
    let disk = SimDisk::new();
    let (storage, _) = reopen(&disk);
    assert!(matches!(open(&disk), Err(StorageError::Locked { .. })));
    assert!(matches!(verify(&disk, dir()), Err(StorageError::Locked { .. })));
    drop(storage);
    reopen(&disk);
}

#[test]
#[should_panic(expected = "term 2 is saved before")]
fn an_entry_above_the_saved_term_is_a_mistake_of_the_caller() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(1)).unwrap();
    let _ = storage.append(&entries(1..=1, 2));
}

#[test]
fn dump_reads_out_the_log_and_verify_counts_it() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    let mut log = entries(1..=3, 1);
    log[0].payload = Payload::Command(Bytes::from_static(b"a\x00\"\n"));
    log[1].payload = Payload::Command(Bytes::from(vec![b'x'; 49]));
    storage.append(&log).unwrap();
    storage.append(&[Entry { payload: Payload::Noop, ..entry(4, 1) }]).unwrap();
    storage.append(&[Entry { payload: Payload::Noop, ..entry(4, 2) }]).unwrap();
    storage.sync().unwrap();
    drop(storage);
    disk.record();
    let last = LogPosition { term: Term(2), index: LogIndex(4) };
    let dumped = |from, to| {
        let (mut heads, mut entries) = (0, Vec::new());
        dump(&disk, dir(), (LogIndex(from), LogIndex(to)), &mut |part| {
            match part {
                Dumped::Head { hard_state, last: found, notes } => {
                    assert_eq!((hard_state, found, notes), (term(2), last, &[][..]));
                    heads += 1;
                }
                Dumped::Entry(entry) => entries.push(entry.clone()),
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(heads, 1);
        entries
    };
    log.push(Entry { payload: Payload::Noop, ..entry(4, 2) });
    assert_eq!(dumped(0, u64::MAX), log);
    assert_eq!(dumped(2, 2), log[1..2]);
    let full = &mut |_: Dumped<'_>| Err(std::io::Error::other("full"));
    let error = dump(&disk, dir(), (LogIndex(0), LogIndex(1)), full).unwrap_err();
    assert!(error.to_string().contains("the output") && error.to_string().contains("full"));
    let report = verify(&disk, dir()).unwrap();
    assert_eq!((report.segments, report.records, report.superseded), (1, 5, 1));
    assert_eq!(report.last, last);
    assert_eq!(disk.record(), [], "neither changes anything");
    let missing = verify(&disk, Path::new("data")).unwrap_err();
    assert!(matches!(missing, StorageError::NotADataDirectory { .. }), "{missing}");
}

/// A leader that was deposed and leads again brings back superseded entries: their records come
/// after the records that had superseded them (simulation, seed 20455).
#[test]
fn a_compaction_keeps_superseded_entries_that_came_back() {
    let disk = SimDisk::new();
    let (mut storage, _) = reopen(&disk);
    storage.save_hard_state(term(2)).unwrap();
    let mut last = 0;
    while storage.index.last_segment() < 3 {
        last += 1;
        storage.append(&[entry(last, 2)]).unwrap();
    }
    // The third segment begins after `end`.
    let end = last - 1;
    storage.save_hard_state(term(3)).unwrap();
    storage.append(&entries(end - 1..=end, 3)).unwrap();
    storage.save_hard_state(term(4)).unwrap();
    storage.append(&entries(end - 1..=end, 2)).unwrap();
    storage.append(&entries(last..=last + 40, 4)).unwrap();
    storage.sync().unwrap();
    let base = storage.compact(LogIndex(end)).unwrap();
    assert!(LogIndex(0) < base.index && base.index < LogIndex(end - 1), "{base}");
    let before = all(&mut storage);
    drop(storage);
    let (mut storage, recovered) = reopen(&disk);
    assert_eq!((recovered.log.runs.base(), all(&mut storage)), (base, before));
}

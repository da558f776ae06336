//! Tests of every state in which a crash can leave a batch, in a new file and in one that was
//! another segment's before, and of damage that resembles such a state.

use super::log::header::SECTOR_BYTES;
use super::log::sectors::{PAYLOAD_BYTES, SectorOwner, end_place_of, place_of, sector_of};
use super::*;

/// Entries with records of some hundred bytes. One has a value with more than a sector of zeros,
/// and one has a record that is only a header.
fn batch(first: u64) -> Vec<Entry> {
    let mut batch = entries(first..=first + 4, 1);
    let command = |bytes: Vec<u8>| Payload::Command(bytes.into());
    batch[1].payload = command([vec![0; 1400], vec![1]].concat());
    batch[2].payload = Payload::Noop;
    batch[3].payload = command(vec![0; 700]);
    batch
}

fn large() -> StorageOptions {
    StorageOptions { segment_bytes: 5120, ..options() }
}

/// A synced log of one segment, with another batch at its end that may be lost.
struct Case {
    disk: SimDisk,
    /// The bytes of the segment's file before the last batch.
    before: Vec<u8>,
    /// The bytes of the file after the last batch.
    after: Vec<u8>,
    log: Vec<Entry>,
    /// Number of entries of the log before the last batch.
    synced: usize,
}

impl Case {
    fn new(is_recycled: bool) -> Case {
        let disk = SimDisk::new();
        let options = large();
        let open = || Storage::open(Box::new(disk.clone()), dir(), options.clone()).unwrap().0;
        let mut storage = open();
        storage.save_hard_state(term(1)).unwrap();
        let first = entries(1..=2, 1);
        storage.append(&first).unwrap();
        storage.sync().unwrap();
        storage.record_durable_end().unwrap();
        drop(storage);
        if is_recycled {
            let mut bytes = disk.contents(&segment(1));
            bytes.resize(options.segment_bytes as usize, 0);
            disk.set_contents(&segment(1), bytes);
            recycle(&disk, &segment(1));
        }
        let mut storage = open();
        // This batch is synced, but no durable end is recorded for it: when it is lost together
        // with the next batch, nothing tells of it.
        let second = entries(3..=3, 1);
        storage.append(&second).unwrap();
        storage.sync().unwrap();
        let before = disk.contents(&segment(1));
        storage.append(&batch(4)).unwrap();
        storage.sync().unwrap();
        let after = disk.contents(&segment(1));
        let log = all(&mut storage);
        drop(storage);
        assert_eq!(before.len(), after.len());
        Case { disk, before, after, log, synced: 3 }
    }

    /// The sectors that the last batch changed.
    fn sectors(&self) -> Vec<usize> {
        let count = self.after.len() / SECTOR_BYTES as usize;
        (0..count)
            .filter(|at| self.sector(&self.before, *at) != self.sector(&self.after, *at))
            .collect()
    }

    fn sector<'a>(&self, bytes: &'a [u8], at: usize) -> &'a [u8] {
        &bytes[at * SECTOR_BYTES as usize..][..SECTOR_BYTES as usize]
    }

    /// The file after the batch, with these sectors as they were before it.
    fn without(&self, lost: &[usize]) -> Vec<u8> {
        let mut bytes = self.after.clone();
        for at in lost {
            let place = at * SECTOR_BYTES as usize;
            bytes[place..place + SECTOR_BYTES as usize]
                .copy_from_slice(self.sector(&self.before, *at));
        }
        bytes
    }

    /// Starts with this file as the segment.
    fn open_with(&self, bytes: Vec<u8>) -> Result<(Storage, DurableState, SimDisk), StorageError> {
        let copy = self.disk.duplicate();
        copy.set_contents(&segment(1), bytes);
        Storage::open(Box::new(copy.clone()), dir(), large())
            .map(|(storage, recovered)| (storage, recovered, copy))
    }
}

/// The tail is torn and is cut, whichever sectors of the batch reached the disk, and whether
/// values are zeros or not. The bytes that were cut do not come back.
#[test]
fn a_start_keeps_the_entries_before_the_first_missing_sector_of_a_batch() {
    for is_recycled in [false, true] {
        let case = Case::new(is_recycled);
        let sectors = case.sectors();
        assert!((6..10).contains(&sectors.len()), "{sectors:?}");
        let mut lengths = std::collections::BTreeSet::new();
        for chosen in 0..1_u32 << sectors.len() {
            let lost: Vec<usize> = (0..)
                .zip(&sectors)
                .filter(|(bit, _)| chosen & 1 << bit != 0)
                .map(|(_, at)| *at)
                .collect();
            let opened = case.open_with(case.without(&lost));
            let (mut storage, recovered, disk) =
                opened.unwrap_or_else(|error| panic!("{is_recycled}, {lost:?} are lost: {error}"));
            let found = all(&mut storage);
            // The log goes on as far as no sector is missing.
            let first_lost = lost.first().map_or(u64::MAX, |at| *at as u64);
            let whole = whole_before(&case.log, first_lost).max(case.synced);
            assert_eq!(found, case.log[..whole], "{is_recycled}, {lost:?} are lost");
            lengths.insert(whole);
            assert!(recovered.notes.iter().all(|note| note.contains("torn write")));
            let next = entries(whole as u64 + 1..=whole as u64 + 1, 1);
            storage.append(&next).unwrap();
            storage.sync().unwrap();
            drop(storage);
            let (mut storage, recovered) =
                Storage::open(Box::new(disk), dir(), large()).expect("it was made whole");
            assert_eq!(recovered.notes, Vec::<String>::new());
            assert_eq!(all(&mut storage), [&case.log[..whole], &next].concat());
        }
        // The record that is only a header ends in the same sector as the fourth record.
        assert!(lengths.len() >= 5 && lengths.contains(&3) && lengths.contains(&8));
    }
}

/// Number of entries whose records end before that sector.
fn whole_before(log: &[Entry], sector: u64) -> usize {
    let mut offset = SEGMENT_HEADER_BYTES;
    log.iter()
        .take_while(|entry| {
            offset += record::record_bytes(entry.payload.body().len() as u64);
            sector_of(offset - 1) < sector
        })
        .count()
}

/// The bytes that an earlier segment may have left in a sector of the file.
fn earlier_sector(sector: u64, seed: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|at| seed.wrapping_mul(at as u8)).collect();
    let header =
        SegmentHeader { number: 0, salt: 1, node_id: NodeId(1), prev: LogPosition::default() };
    SectorOwner::of(&header).encode(sector, &payload)
}

/// A sector before the recorded durable end, or before a batch that was written later, is blank
/// or as it was before: the disk lost a write, though it said that the write was durable.
#[test]
fn a_sector_that_was_durable_and_is_blank_is_refused() {
    for is_recorded in [true, false] {
        let case = Case::new(true);
        let (mut storage, _, disk) = case.open_with(case.after.clone()).unwrap();
        let batch_end = storage.tail.end();
        storage.append(&entries(9..=9, 1)).unwrap();
        storage.sync().unwrap();
        if is_recorded {
            storage.record_durable_end().unwrap();
        }
        let end = if is_recorded { storage.tail.end() } else { batch_end };
        drop(storage);
        let whole = disk.contents(&segment(1));
        let begin = if is_recorded { 1 } else { case.sectors()[0] as u64 };
        for lost in begin..=sector_of(end - 1) {
            let at = (lost * SECTOR_BYTES) as usize;
            let before = case.sector(&case.before, lost as usize).to_vec();
            for content in [vec![0; 512], earlier_sector(lost, 0), earlier_sector(lost, 7), before]
            {
                let mut bytes = whole.clone();
                if bytes[at..at + content.len()] == content[..] {
                    continue;
                }
                // The last sector holds the later batch, or the only trace of it.
                if !is_recorded && lost == sector_of(end - 1) && batch_end % PAYLOAD_BYTES != 8 {
                    continue;
                }
                bytes[at..at + content.len()].copy_from_slice(&content);
                let copy = disk.duplicate();
                copy.set_contents(&segment(1), bytes);
                let Err(error) = Storage::open(Box::new(copy), dir(), large()) else {
                    panic!("recorded: {is_recorded}, sector {lost} is cut");
                };
                assert!(!matches!(error, StorageError::Io { .. }), "{error}");
            }
        }
    }
}

/// Any bit of a batch that may be acknowledged is flipped. A tag says nothing that the records
/// in its sector do not say.
#[test]
fn a_flipped_bit_in_a_recycled_file_is_refused_or_harmless() {
    let case = Case::new(true);
    let end = record_end(&case.log);
    for bit in 512 * 8..case.after.len() * 8 {
        if bit % 8 != bit / 8 % 8 {
            // One bit of each byte is flipped.
            continue;
        }
        let mut bytes = case.after.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let place = (bit / 8) as u64;
        match case.open_with(bytes) {
            Ok((mut storage, recovered, _)) => {
                assert_eq!(all(&mut storage), case.log, "byte {place}");
                assert!(is_tag(place) || place >= end_place_of(end), "byte {place}");
                // Bytes that nobody wrote are erased, and a note says so.
                assert!(recovered.notes.is_empty() || place >= end_place_of(end));
            }
            Err(error) => {
                let is_next = place / SECTOR_BYTES == end_place_of(end) / SECTOR_BYTES;
                assert!(place < end_place_of(end) && !is_tag(place) || is_next, "{error}");
            }
        }
    }
}

fn record_end(log: &[Entry]) -> u64 {
    let bytes = |entry: &Entry| record::record_bytes(entry.payload.body().len() as u64);
    SEGMENT_HEADER_BYTES + log.iter().map(bytes).sum::<u64>()
}

/// Eight zeros are not the end of the log when other bytes follow them in the same sector.
#[test]
fn zeros_over_the_beginning_of_a_record_are_damage() {
    let case = Case::new(true);
    let at = place_of(record_end(&case.log[..3])) as usize;
    for (bytes, is_cut) in [(8, false), (40, false), (at.next_multiple_of(512) - at, true)] {
        let mut file = case.after.clone();
        file[at..at + bytes].fill(0);
        match case.open_with(file) {
            Ok((mut storage, ..)) => {
                assert!(is_cut, "{bytes} zeros are cut");
                assert_eq!(all(&mut storage), case.log[..3]);
            }
            Err(error) => assert!(!is_cut, "{bytes} zeros: {error}"),
        }
    }
}

//! What a node's disk would still hold if nothing survived that was not synced.
//!
//! Read by the book (docs/internals/log_format.md), and not by the code of
//! `storage`, which is what is to be checked. A journal only grows, so each look
//! goes on where the last one ended; after a crash it begins anew.

use std::path::PathBuf;

use crate::testing::SimDisk;
use crate::types::{Entry, HardState, LogIndex, LogPosition, NodeId, Term};

/// Where the records of a segment begin.
const SEGMENT_HEADER_BYTES: usize = 512;
const RECORD_HEADER_BYTES: usize = 40;
const TRAILER: &[u8] = b"end.";
const HARD_STATE_BYTES: usize = 4096;
/// The flag of a newcomer in a hard state.
const NEWCOMER: u32 = 2;

/// What stands at an index: the entry's term, and a number for the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub term: Term,
    checksum: u32,
}

impl Slot {
    pub fn of(entry: &Entry) -> Slot {
        let (kind, stamp_ms) = (entry.payload.kind(), entry.stamp_ms.to_le_bytes());
        Slot { term: entry.term, checksum: checksum(kind, stamp_ms, &entry.payload.body()) }
    }
}

fn checksum(kind: u8, stamp_ms: [u8; 8], body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(u32::from(kind), &stamp_ms);
    crc32c::crc32c_append(head, body)
}

/// See the module.
pub(super) struct Durable {
    disk: SimDisk,
    dir: PathBuf,
    /// The generation of the disk that the rest is of.
    generation: Option<(u64, u64)>,
    hard_state: Option<HardState>,
    /// A hard state, and the later one that takes it back.
    regress: Option<(HardState, HardState)>,
    log: Vec<Slot>,
    segment: u64,
    offset: usize,
}

impl Durable {
    pub fn new(disk: SimDisk, dir: PathBuf) -> Durable {
        Durable {
            disk,
            dir,
            generation: None,
            hard_state: None,
            regress: None,
            log: Vec::new(),
            segment: 1,
            offset: SEGMENT_HEADER_BYTES,
        }
    }

    /// Term and vote; none on a disk that has nothing.
    pub fn hard_state(&mut self) -> Option<HardState> {
        self.look();
        self.hard_state
    }

    /// Two hard states, one after the other, that no memory could have: a lower
    /// term, or another vote in the same one.
    pub fn regress(&mut self) -> Option<(HardState, HardState)> {
        self.look();
        self.regress
    }

    /// All of it is about to be lost.
    pub fn forget(&mut self) {
        self.generation = None;
        self.hard_state = None;
    }

    /// A part of the log is gone.
    pub fn read_again(&mut self) {
        self.generation = None;
    }

    /// What stands at index 1, and behind.
    pub fn log(&mut self) -> &[Slot] {
        self.look();
        &self.log
    }

    fn look(&mut self) {
        let generation = self.disk.generation();
        if self.generation == Some(generation) {
            return;
        }
        if self.generation.is_none_or(|(life, _)| life != generation.0) {
            self.log.clear();
            (self.segment, self.offset) = (1, SEGMENT_HEADER_BYTES);
        }
        self.generation = Some(generation);
        let before = self.hard_state;
        self.hard_state =
            self.disk.look_at_durable(&self.dir.join("hard_state"), hard_state).flatten();
        self.regress = self.regress.or(before.zip(self.hard_state).filter(|(old, new)| {
            let has_changed = old.voted_for.is_some() && old.voted_for != new.voted_for;
            old.current_term > new.current_term
                || (old.current_term == new.current_term && has_changed)
        }));
        self.look_at_log();
    }

    fn look_at_log(&mut self) {
        loop {
            let (log, offset) = (&mut self.log, &mut self.offset);
            let is_there = |segment| self.dir.join(format!("log/{segment:08}.segment"));
            self.disk.look_at_durable(&is_there(self.segment), |bytes| {
                while let Some(record) = Record::read(bytes, *offset) {
                    // It supersedes what stood at its index, and all behind.
                    log.truncate((record.index as usize).saturating_sub(1));
                    log.push(record.slot);
                    *offset += record.bytes;
                }
            });
            if self.disk.look_at_durable(&is_there(self.segment + 1), |_| ()).is_none() {
                return;
            }
            (self.segment, self.offset) = (self.segment + 1, SEGMENT_HEADER_BYTES);
        }
    }
}

/// A record that is whole.
struct Record {
    index: u64,
    slot: Slot,
    bytes: usize,
}

impl Record {
    /// The record at `offset` of a segment.
    fn read(segment: &[u8], offset: usize) -> Option<Record> {
        let header = segment.get(offset..)?.get(..RECORD_HEADER_BYTES)?;
        let seed = crc32c::crc32c_append(
            crc32c::crc32c(segment.get(12..16)?),
            &(offset as u64).to_le_bytes(),
        );
        if u32_at(header, 0) != crc32c::crc32c_append(seed, &header[4..]) {
            return None;
        }
        let body_bytes = u32_at(header, 4) as usize;
        let bytes = (RECORD_HEADER_BYTES + body_bytes + TRAILER.len()).next_multiple_of(8);
        let record = segment.get(offset..offset + bytes)?;
        let body = &record[RECORD_HEADER_BYTES..][..body_bytes];
        if u32_at(header, 8) != crc32c::crc32c_append(seed, body) || !record.ends_with(TRAILER) {
            return None;
        }
        let stamp_ms = u64_at(header, 32).to_le_bytes();
        let slot =
            Slot { term: Term(u64_at(header, 24)), checksum: checksum(header[14], stamp_ms, body) };
        Some(Record { index: u64_at(header, 16), slot, bytes })
    }
}

/// The newer copy of those that are whole.
fn hard_state(bytes: &[u8]) -> Option<HardState> {
    let copies = bytes.chunks_exact(HARD_STATE_BYTES).filter(|copy| {
        let (content, crc) = copy.split_at(HARD_STATE_BYTES - 4);
        crc32c::crc32c(content) == u32_at(crc, 0)
    });
    let newest = copies.max_by_key(|copy| u64_at(copy, 16))?;
    let voted_for = u64_at(newest, 32);
    Some(HardState {
        current_term: Term(u64_at(newest, 24)),
        voted_for: (voted_for != 0).then_some(NodeId(voted_for)),
        is_newcomer: u32_at(newest, 12) & NEWCOMER != 0,
    })
}

/// The end of a log, as §5.4.1 compares it.
pub(super) fn last(log: &[Slot]) -> LogPosition {
    LogPosition {
        term: log.last().map_or(Term(0), |slot| slot.term),
        index: LogIndex(log.len() as u64),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

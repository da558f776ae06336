//! The hard state on disk: term and vote in one record (B01), kept twice.
//!
//! A save writes and syncs copy A, then copy B, and only then returns. So
//! whichever copy a crash tears or a disk loses, the other still holds the
//! newest state that anybody was told of.
//!
//! The record also holds the seal: how far the log was known to be durable. It
//! only ever lags behind the truth, and it is what tells a log that lost
//! acknowledged entries from one that lost a write nobody was told of.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::record::{u32_at, u64_at};
use super::segment::{SEGMENT_HEADER_BYTES, install};
use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

pub(super) const COPY_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"CORAHARD";
const FORMAT_VERSION: u32 = 2;
/// What stands behind the seal is being cut.
const CUTTING: u32 = 1;
/// The server is rejoining.
const REJOINING: u32 = 2;
/// The log is being reset.
const RESETTING: u32 = 4;
const CRC_OFFSET: usize = COPY_BYTES - 4;
const COPY_NAMES: [&str; 2] = ["A", "B"];

/// How far the log was known to be durable. A place in the journal, not in the
/// log: the journal only grows, so a seal stays true when entries are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// The segment.
    pub segment: u64,
    /// Where its durable records end.
    pub offset: u64,
    /// The end of the log there.
    pub last: LogPosition,
    /// Whatever stands behind the seal is void, in its segment and in all later
    /// ones: recovery has decided to cut it, and was erasing.
    pub cutting: bool,
}

impl Seal {
    /// The seal of an empty log.
    pub const START: Seal = Seal {
        segment: 1,
        offset: SEGMENT_HEADER_BYTES,
        last: LogPosition { term: Term(0), index: LogIndex(0) },
        cutting: false,
    };

    /// The seal of a log that begins so, without entries.
    pub fn at_begin_of(start: LogStart) -> Seal {
        Seal { segment: start.first_segment, last: start.base, ..Seal::START }
    }
}

/// Where the log begins (docs/adr/0008): one record with term and vote, so that
/// the base and the segment behind it change together (B55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogStart {
    /// The segments before are void: a crash came before they were removed.
    pub first_segment: u64,
    /// The last entry that is no longer in the log.
    pub base: LogPosition,
    /// The first segment is being made, to replace all before: whatever has its
    /// name is void, too.
    pub resetting: bool,
}

impl LogStart {
    /// That of a new server.
    pub const FIRST: LogStart = LogStart {
        first_segment: 1,
        base: LogPosition { term: Term(0), index: LogIndex(0) },
        resetting: false,
    };
}

/// One copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// Rises with every save.
    pub sequence: u64,
    pub hard_state: HardState,
    pub start: LogStart,
    pub seal: Seal,
    /// What a rejoining server is known to have had: see `LogSummary::lost`.
    pub lost: LogPosition,
}

impl Copy {
    /// That of a new server.
    pub const FIRST: Copy = Copy {
        sequence: 1,
        hard_state: HardState { current_term: Term(0), voted_for: None, is_rejoining: true },
        start: LogStart::FIRST,
        seal: Seal::START,
        lost: LogPosition { term: Term(0), index: LogIndex(0) },
    };

    /// That of a server that begins with a snapshot up to `base` (docs/adr/0011). It is
    /// not rejoining: a person says that its cluster begins here.
    pub fn restored(base: LogPosition) -> Copy {
        let start = LogStart { base, ..LogStart::FIRST };
        Copy {
            hard_state: HardState { current_term: base.term, voted_for: None, is_rejoining: false },
            start,
            seal: Seal::at_begin_of(start),
            ..Copy::FIRST
        }
    }

    pub fn encode(&self) -> [u8; COPY_BYTES] {
        let mut bytes = [0; COPY_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let flags = [
            (self.seal.cutting, CUTTING),
            (self.hard_state.is_rejoining, REJOINING),
            (self.start.resetting, RESETTING),
        ];
        let flags: u32 = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        let voted_for = self.hard_state.voted_for.map_or(0, |node| node.0);
        let numbers = [
            self.sequence,
            self.hard_state.current_term.0,
            voted_for,
            self.seal.segment,
            self.seal.offset,
            self.seal.last.index.0,
            self.seal.last.term.0,
            self.start.first_segment,
            self.start.base.index.0,
            self.start.base.term.0,
            self.lost.index.0,
            self.lost.term.0,
        ];
        for (place, number) in bytes[16..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
        bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The inverse; what is wrong with the bytes otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Copy, String> {
        let Some(bytes) = bytes.first_chunk::<COPY_BYTES>() else {
            return Err("the file ends before it".into());
        };
        let is_whole = u32_at(bytes, CRC_OFFSET) == crc32c::crc32c(&bytes[..CRC_OFFSET]);
        if !is_whole && !mutant!(B61c) {
            return Err("it does not match its checksum".into());
        }
        if bytes[0..8] != MAGIC || u32_at(bytes, 8) != FORMAT_VERSION {
            return Err(format!("it is no hard state of format version {FORMAT_VERSION}"));
        }
        let flags = u32_at(bytes, 12);
        let voted_for = u64_at(bytes, 32);
        Ok(Copy {
            sequence: u64_at(bytes, 16),
            hard_state: HardState {
                current_term: Term(u64_at(bytes, 24)),
                voted_for: (voted_for != 0).then_some(NodeId(voted_for)),
                is_rejoining: flags & REJOINING != 0,
            },
            start: LogStart {
                first_segment: u64_at(bytes, 72),
                base: LogPosition {
                    index: LogIndex(u64_at(bytes, 80)),
                    term: Term(u64_at(bytes, 88)),
                },
                resetting: flags & RESETTING != 0,
            },
            seal: Seal {
                segment: u64_at(bytes, 40),
                offset: u64_at(bytes, 48),
                last: LogPosition {
                    index: LogIndex(u64_at(bytes, 56)),
                    term: Term(u64_at(bytes, 64)),
                },
                cutting: flags & CUTTING != 0,
            },
            lost: LogPosition {
                index: LogIndex(u64_at(bytes, 96)),
                term: Term(u64_at(bytes, 104)),
            },
        })
    }
}

/// Where the hard state stands.
pub(super) fn hard_state_path(dir: &Path) -> PathBuf {
    dir.join("hard_state")
}

/// Makes the file of a new server, durably.
pub(super) fn create(disk: &dyn Disk, dir: &Path, copy: &Copy) -> Result<(), StorageError> {
    let copy = copy.encode();
    install(disk, &hard_state_path(dir), &[copy, copy].concat())
}

/// What was read of the file.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The newest valid copy.
    pub newest: Copy,
    /// Which copies are not equal to it, and so are to be rewritten first.
    stale: Option<usize>,
    /// What a person should know.
    pub note: Option<String>,
}

/// Reads both copies; of one that is not valid, what is wrong with it.
pub(super) fn copies(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<[Result<Copy, String>; 2], StorageError> {
    let path = hard_state_path(dir);
    let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
    let mut bytes = vec![0; 2 * COPY_BYTES];
    let read = file.read_at(0, &mut bytes).during("read", &path)?;
    let bytes = &bytes[..read];
    let second = bytes.get(COPY_BYTES..).unwrap_or_default();
    Ok([Copy::decode(bytes), Copy::decode(second)])
}

/// Reads the file and changes nothing.
pub(super) fn load(disk: &dyn Disk, dir: &Path) -> Result<Loaded, StorageError> {
    let path = hard_state_path(dir);
    let [a, b] = copies(disk, dir)?;
    let (newest, stale, damage) = match (a, b) {
        (Ok(a), Ok(b)) if a == b => (a, None, None),
        (Ok(a), Ok(b)) if a.sequence >= b.sequence => (a, Some(1), None),
        (Ok(_), Ok(b)) => (b, Some(0), None),
        (Ok(a), Err(what)) => (a, Some(1), Some(what)),
        (Err(what), Ok(b)) => (b, Some(0), Some(what)),
        (Err(what), Err(_)) => {
            return Err(damaged(&path, 0, format!("neither copy is valid, the first: {what}")));
        }
    };
    let note = damage.zip(stale).map(|(what, copy)| {
        format!(
            "{}: copy {} is damaged ({what}); the other copy holds term {} and is used",
            path.display(),
            COPY_NAMES[copy],
            newest.hard_state.current_term
        )
    });
    Ok(Loaded { newest, stale, note })
}

/// The file of a running server.
pub(super) struct HardStateFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// What both copies hold.
    current: Copy,
}

impl HardStateFile {
    /// Opens the file to write and makes both copies hold what was loaded.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        loaded: &Loaded,
    ) -> Result<HardStateFile, StorageError> {
        let path = hard_state_path(dir);
        if mutant!(B67b) {
            install(disk, &path, &[loaded.newest.encode(), loaded.newest.encode()].concat())?;
        }
        let mut file = disk.open(&path, OpenMode::Write).during("open", &path)?;
        // What was read may come from the page cache of a process that was
        // killed before its sync.
        file.sync_data().during("sync", &path)?;
        let mut opened = HardStateFile { path, file, current: loaded.newest };
        if let Some(copy) = loaded.stale {
            opened.write_copy(copy)?;
        }
        Ok(opened)
    }

    /// What is durable.
    pub fn current(&self) -> Copy {
        self.current
    }

    /// Makes term, vote and seal durable.
    pub fn save(&mut self, hard_state: HardState, seal: Seal) -> Result<(), StorageError> {
        let is_new_term = hard_state.current_term > self.current.hard_state.current_term;
        if mutant!(B01a) && is_new_term {
            let current_term = self.current.hard_state.current_term;
            self.save(HardState { current_term, ..hard_state }, seal)?;
        }
        let voted_for = hard_state.voted_for.filter(|_| !(mutant!(B01b) && is_new_term));
        let hard_state = HardState { voted_for, ..hard_state };
        // Who is counted again has all that it is known to have had.
        let lost = if hard_state.is_rejoining { self.current.lost } else { LogPosition::default() };
        self.save_copy(Copy { hard_state, seal, lost, ..self.current })
    }

    /// Makes it durable where the log begins, and how far it reaches.
    pub fn save_start(&mut self, start: LogStart, seal: Seal) -> Result<(), StorageError> {
        self.save_copy(Copy { start, seal, ..self.current })
    }

    /// Decides, in one record, that a damaged log ends at `seal` or begins anew at
    /// `start`, and that the server is rejoining from here on: there is no moment at
    /// which a log that was cut is that of a voter (docs/adr/0009).
    pub fn save_repair(
        &mut self,
        start: LogStart,
        seal: Seal,
        lost: LogPosition,
    ) -> Result<(), StorageError> {
        let lost = lost.max(self.current.lost);
        let cut = Copy { start, seal, lost, ..self.current };
        if mutant!(B61e) {
            return self.save_copy(cut);
        }
        if mutant!(B61f) {
            self.save_copy(cut)?;
        }
        let hard_state = HardState { is_rejoining: true, ..self.current.hard_state };
        self.save_copy(Copy { hard_state, ..cut })
    }

    fn save_copy(&mut self, copy: Copy) -> Result<(), StorageError> {
        self.current = Copy { sequence: self.current.sequence + 1, ..copy };
        self.write_copy(0)?;
        self.write_copy(1)
    }

    fn write_copy(&mut self, copy: usize) -> Result<(), StorageError> {
        let offset = (copy * COPY_BYTES) as u64;
        self.file.write_at(offset, &self.current.encode()).during("write", &self.path)?;
        if mutant!(S4) && copy == 0 {
            return Ok(());
        }
        match mutant!(B35) {
            true => Ok(()),
            false => self.file.sync_data().during("sync", &self.path),
        }
    }
}

//! The hard state on disk: term and vote in one record (docs/bugs.md B01), kept twice.
//!
//! A save writes and syncs copy A, then copy B, and only then returns. So when a crash tears one
//! copy, or a disk loses it, the other still holds the newest state that was acknowledged.
//!
//! The record also holds the durable end: the place up to which the log was known to be durable.
//! It may be behind the real one, but never ahead of it. It tells a log that lost acknowledged
//! entries from a log that lost only an unacknowledged write.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::durable_names::create_file;
use super::error::{DecodeError, IoContext, StorageError, damaged, unknown};
use super::little_endian::{u32_at, u64_at};
use super::log::header::SEGMENT_HEADER_BYTES;
use super::presence::Presence;
use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

/// Size of one copy in bytes.
pub(crate) const COPY_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"CORAHARD";
const FORMAT_VERSION: u32 = 3;
/// Flag of a log that is being cut after the durable end.
const CUTTING: u32 = 1;
/// Flag of a server that is rejoining.
const REJOINING: u32 = 2;
/// Flag of a log that is being reset.
const RESETTING: u32 = 4;
/// Flag of a server that is known to have lost exactly the entries up to `lost`.
const END_KNOWN: u32 = 8;
/// Offset at which the numbers of a copy end; zeros follow.
const NUMBERS_END: usize = 112;
const CRC_OFFSET: usize = COPY_BYTES - 4;
/// Names of the copies in messages for people.
const COPY_NAMES: [&str; 2] = ["A", "B"];

/// The place up to which the log was known to be durable. It is a place in the journal, not in
/// the log: the journal only grows, so the place stays durable when entries are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DurableEnd {
    /// Number of the segment.
    pub segment: u64,
    /// The offset at which the durable records of the segment end.
    pub offset: u64,
    /// The last entry of the log there.
    pub last: LogPosition,
    /// True while everything after this place, in its segment and in all later ones, is being
    /// erased: recovery has decided to cut the log here.
    pub cutting: bool,
}

impl DurableEnd {
    /// The durable end of an empty log.
    pub const START: DurableEnd = DurableEnd {
        segment: 1,
        offset: SEGMENT_HEADER_BYTES,
        last: LogPosition { term: Term(0), index: LogIndex(0) },
        cutting: false,
    };

    /// The durable end of a log that begins at `start` and has no entries.
    pub fn at_start(start: LogStart) -> DurableEnd {
        DurableEnd { segment: start.first_segment, last: start.base, ..DurableEnd::START }
    }
}

/// The place where the log begins, after a snapshot (docs/adr/0008). It is in one record with
/// term and vote, so that the base and the first segment change together (docs/bugs.md B55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogStart {
    /// Number of the first segment. A segment with a lower number is no longer part of the log:
    /// a crash came before it was removed.
    pub first_segment: u64,
    /// The last entry before the log, which a snapshot covers.
    pub base: LogPosition,
    /// True while the first segment is being created, to replace all segments before it. A file
    /// that already has its name is not part of the log either.
    pub resetting: bool,
}

impl LogStart {
    /// The start of the log of a new server.
    pub const FIRST: LogStart = LogStart {
        first_segment: 1,
        base: LogPosition { term: Term(0), index: LogIndex(0) },
        resetting: false,
    };
}

/// One copy of the hard state, with all that is in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HardStateCopy {
    /// Number of the save; rises by one with every save.
    pub sequence: u64,
    /// Term and vote, and for a rejoining server the entries that it has lost.
    pub hard_state: HardState,
    /// The place where the log begins.
    pub start: LogStart,
    /// The place up to which the log was known to be durable.
    pub durable_end: DurableEnd,
}

impl HardStateCopy {
    /// The hard state of a new server.
    pub const FIRST: HardStateCopy = HardStateCopy {
        sequence: 1,
        hard_state: HardState {
            current_term: Term(0),
            voted_for: None,
            is_rejoining: true,
            lost: LogPosition { term: Term(0), index: LogIndex(0) },
            is_end_known: false,
        },
        start: LogStart::FIRST,
        durable_end: DurableEnd::START,
    };

    /// The hard state of a server that begins with a snapshot up to `base` (restored from a
    /// backup: docs/adr/0011). It is not rejoining: a person says that its cluster begins here.
    pub fn restored(base: LogPosition) -> HardStateCopy {
        let start = LogStart { base, ..LogStart::FIRST };
        HardStateCopy {
            hard_state: HardState { current_term: base.term, ..HardState::default() },
            start,
            durable_end: DurableEnd::at_start(start),
            ..HardStateCopy::FIRST
        }
    }

    /// Returns the bytes of the copy.
    pub fn encode(&self) -> [u8; COPY_BYTES] {
        let mut bytes = [0; COPY_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let flags = [
            (self.durable_end.cutting, CUTTING),
            (self.hard_state.is_rejoining, REJOINING),
            (self.start.resetting, RESETTING),
            (self.hard_state.is_end_known, END_KNOWN),
        ];
        let flags: u32 = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        let voted_for = self.hard_state.voted_for.map_or(0, |node| node.0);
        let numbers = [
            self.sequence,
            self.hard_state.current_term.0,
            voted_for,
            self.durable_end.segment,
            self.durable_end.offset,
            self.durable_end.last.index.0,
            self.durable_end.last.term.0,
            self.start.first_segment,
            self.start.base.index.0,
            self.start.base.term.0,
            self.hard_state.lost.index.0,
            self.hard_state.lost.term.0,
        ];
        for (place, number) in bytes[16..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
        bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Returns the copy with these bytes, or a sentence that says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<HardStateCopy, DecodeError> {
        let Some(bytes) = bytes.first_chunk::<COPY_BYTES>() else {
            return Err(DecodeError::Damaged("the file ends before it".into()));
        };
        let is_whole = u32_at(bytes, CRC_OFFSET) == crc32c::crc32c(&bytes[..CRC_OFFSET]);
        if !is_whole {
            return Err(DecodeError::Damaged("it does not match its checksum".into()));
        }
        if bytes[0..8] != MAGIC {
            return Err(DecodeError::Damaged("it is no hard state".into()));
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            let what = format!("a hard state of format version {version}, not {FORMAT_VERSION}");
            return Err(DecodeError::Unknown(what));
        }
        let flags = u32_at(bytes, 12);
        let has_more = bytes[NUMBERS_END..CRC_OFFSET].iter().any(|byte| *byte != 0);
        if flags & !(CUTTING | REJOINING | RESETTING | END_KNOWN) != 0 || has_more {
            let what = "the hard state has other flags or more numbers";
            return Err(DecodeError::Unknown(what.into()));
        }
        let voted_for = u64_at(bytes, 32);
        Ok(HardStateCopy {
            sequence: u64_at(bytes, 16),
            hard_state: HardState {
                current_term: Term(u64_at(bytes, 24)),
                voted_for: (voted_for != 0).then_some(NodeId(voted_for)),
                is_rejoining: flags & REJOINING != 0,
                lost: LogPosition {
                    index: LogIndex(u64_at(bytes, 96)),
                    term: Term(u64_at(bytes, 104)),
                },
                is_end_known: flags & END_KNOWN != 0,
            },
            start: LogStart {
                first_segment: u64_at(bytes, 72),
                base: LogPosition {
                    index: LogIndex(u64_at(bytes, 80)),
                    term: Term(u64_at(bytes, 88)),
                },
                resetting: flags & RESETTING != 0,
            },
            durable_end: DurableEnd {
                segment: u64_at(bytes, 40),
                offset: u64_at(bytes, 48),
                last: LogPosition {
                    index: LogIndex(u64_at(bytes, 56)),
                    term: Term(u64_at(bytes, 64)),
                },
                cutting: flags & CUTTING != 0,
            },
        })
    }
}

/// The path of the hard state.
pub(crate) fn hard_state_path(dir: &Path) -> PathBuf {
    dir.join("hard_state")
}

/// Creates the file of a new server, durably.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    copy: &HardStateCopy,
) -> Result<(), StorageError> {
    let copy = copy.encode();
    create_file(disk, &hard_state_path(dir), &[copy, copy].concat())
}

/// The content of the file.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The newest valid copy.
    pub newest: HardStateCopy,
    /// Number of the copy, 0 or 1, that differs from it and has to be rewritten.
    stale: Option<usize>,
    /// A sentence for people when a copy is damaged.
    pub note: Option<String>,
}

/// Reads both copies. For a copy that is not valid it returns what is wrong with it.
pub(crate) fn copies(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<[Result<HardStateCopy, DecodeError>; 2], StorageError> {
    let path = hard_state_path(dir);
    let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
    let mut bytes = vec![0; 2 * COPY_BYTES];
    let read = file.read_at(0, &mut bytes).during("read", &path)?;
    let bytes = &bytes[..read];
    let second = bytes.get(COPY_BYTES..).unwrap_or_default();
    Ok([HardStateCopy::decode(bytes), HardStateCopy::decode(second)])
}

/// Reads the file and changes nothing.
pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Loaded, StorageError> {
    let path = hard_state_path(dir);
    let [a, b] = copies(disk, dir)?;
    let (newest, stale, damage) = match (a, b) {
        // Whatever the other copy says: a newer version wrote one that may be the newest.
        (Err(DecodeError::Unknown(what)), _) => return Err(unknown(&path, 0, what)),
        (_, Err(DecodeError::Unknown(what))) => {
            return Err(unknown(&path, COPY_BYTES as u64, what));
        }
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

/// The part of a log that a server has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The furthest position that is known to have been in the log.
    pub position: LogPosition,
    /// True when the log ended there: this server has acknowledged nothing after it
    /// (docs/adr/0019).
    pub is_end: bool,
}

/// The hard state's file in a running server.
pub(crate) struct HardStateFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// The content of both copies.
    current: HardStateCopy,
}

impl HardStateFile {
    /// Checks that the file is still where it was opened.
    pub(super) fn check_presence(&self, presence: &Presence) -> Result<(), StorageError> {
        presence.check_one(&self.path, &*self.file)
    }

    /// Opens the file for writing and makes both copies equal to what was loaded.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        loaded: &Loaded,
    ) -> Result<HardStateFile, StorageError> {
        let path = hard_state_path(dir);
        let mut file = disk.open(&path, OpenMode::Write).during("open", &path)?;
        // The bytes may have been read from the page cache, because the process that wrote them
        // was killed before its sync.
        file.sync_data().during("sync", &path)?;
        let mut opened = HardStateFile { path, file, current: loaded.newest };
        if let Some(copy) = loaded.stale {
            opened.write_copy(copy)?;
        }
        Ok(opened)
    }

    /// The durable state.
    pub fn current(&self) -> HardStateCopy {
        self.current
    }

    /// Makes term, vote and durable end durable, in one record.
    pub fn save(
        &mut self,
        hard_state: HardState,
        durable_end: DurableEnd,
    ) -> Result<(), StorageError> {
        self.save_copy(HardStateCopy { hard_state, durable_end, ..self.current })
    }

    /// Makes the start of the log and its durable end durable, in one record.
    pub fn save_start(
        &mut self,
        start: LogStart,
        durable_end: DurableEnd,
    ) -> Result<(), StorageError> {
        self.save_copy(HardStateCopy { start, durable_end, ..self.current })
    }

    /// Decides, in one record, that a damaged log ends at `durable_end` or begins anew at
    /// `start`, and that the server is rejoining from now on. So at no point in time is a log
    /// that was cut the log of a voter (repair by the other servers: docs/adr/0009). A server
    /// that is rejoining already and does not know where its log ended never learns it.
    pub fn save_repair(
        &mut self,
        start: LogStart,
        durable_end: DurableEnd,
        Lost { position, is_end }: Lost,
    ) -> Result<(), StorageError> {
        let before = self.current.hard_state;
        let lost = position.max(before.lost);
        let is_end_known = is_end && (before.is_end_known || !before.is_rejoining);
        let hard_state = HardState { is_rejoining: true, lost, is_end_known, ..before };
        self.save_copy(HardStateCopy { hard_state, start, durable_end, ..self.current })
    }

    fn save_copy(&mut self, copy: HardStateCopy) -> Result<(), StorageError> {
        self.current = HardStateCopy { sequence: self.current.sequence + 1, ..copy };
        self.write_copy(0)?;
        self.write_copy(1)
    }

    fn write_copy(&mut self, copy: usize) -> Result<(), StorageError> {
        let offset = (copy * COPY_BYTES) as u64;
        self.file.write_at(offset, &self.current.encode()).during("write", &self.path)?;
        self.file.sync_data().during("sync", &self.path)
    }
}

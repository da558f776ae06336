//! The contents of a node's disk that would be left if everything that is not synced were lost.
//!
//! The files are read by their description (docs/internals/log_format.md, docs/adr/0008) and not
//! by the code of `storage`, which is the code under test. A log only grows, so each read goes on
//! where the last one ended. It begins anew after a crash, or when a snapshot has replaced the
//! log.
//!
//! A log that begins after a base is completed here: the entries before it come from the
//! [`Archive`], by their position. An index and a term identify all entries up to them (Log
//! Matching, §5.3).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use xxhash_rust::xxh3::xxh3_128;

use crate::kv::StoreLoader;
use crate::testing::SimDisk;
use crate::types::{
    Entry, HardState, LogIndex, LogPosition, Membership, NodeId, Payload, SnapshotId, Term,
};

/// The size of a segment's header; the records follow it.
const SEGMENT_HEADER_BYTES: usize = 512;
/// The size of a sector, which a disk writes as a whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;
/// The size of the tag at the beginning of a sector.
const TAG_BYTES: usize = 8;
const PAYLOAD_BYTES: usize = SECTOR_BYTES - TAG_BYTES;
const RECORD_HEADER_BYTES: usize = 40;
const HARD_STATE_BYTES: usize = 4096;
/// The flag of a rejoining node in a hard state.
const REJOINING: u32 = 2;
/// The flag of a log that a snapshot is replacing.
const RESETTING: u32 = 4;
/// The flag of a rejoining node that knows the end of the log that it lost.
const END_KNOWN: u32 = 8;
const FRAME_HEADER_BYTES: usize = 12;
/// The kind of the entries that say the format.
const FORMAT: u8 = 3;
/// The kinds of the entries that say the members.
const MEMBERSHIPS: [u8; 2] = [2, 5];
/// The last frame of a snapshot: its header, the number of frames, the digest.
const FOOT_BYTES: usize = FRAME_HEADER_BYTES + 24;

/// An entry: its term and kind, and a checksum of the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub term: Term,
    kind: u8,
    checksum: u32,
}

impl Slot {
    pub fn of(entry: &Entry) -> Slot {
        let (kind, stamp_ms) = (entry.payload.kind(), entry.stamp_ms.to_le_bytes());
        let checksum = checksum(kind, stamp_ms, &entry.payload.body());
        Slot { term: entry.term, kind, checksum }
    }

    /// True of an entry that puts the next format in force.
    pub fn is_format(&self) -> bool {
        self.kind == FORMAT
    }

    /// True of an entry that says the members.
    pub fn is_membership(&self) -> bool {
        MEMBERSHIPS.contains(&self.kind)
    }
}

fn checksum(kind: u8, stamp_ms: [u8; 8], body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(u32::from(kind), &stamp_ms);
    crc32c::crc32c_append(head, body)
}

/// All entries and snapshots that were ever seen on any node.
#[derive(Default)]
pub(super) struct Archive {
    /// The entry at each position, and the term of the entry before it.
    entries: BTreeMap<LogPosition, (Slot, Term)>,
    /// The members that an entry says.
    memberships: BTreeMap<LogPosition, Arc<Membership>>,
    snapshots: BTreeMap<LogPosition, Contents>,
}

impl Archive {
    /// Keeps the entry that was seen first at a position. Another check ensures that there is never
    /// a different one.
    pub fn add(&mut self, index: LogIndex, slot: Slot, prev_term: Term) {
        let position = LogPosition { term: slot.term, index };
        self.entries.entry(position).or_insert((slot, prev_term));
    }

    /// Keeps the members that an entry says.
    pub fn add_membership(&mut self, entry: &Entry) {
        if let Payload::Membership(membership) = &entry.payload {
            let known = self.memberships.entry(entry.position());
            known.or_insert_with(|| Arc::new(membership.clone()));
        }
    }

    /// The members that the entry at a position says.
    pub fn membership(&self, at: LogPosition) -> Option<Arc<Membership>> {
        self.memberships.get(&at).cloned()
    }

    /// All entries up to and including the one at `last`.
    fn history(&self, last: LogPosition) -> Option<Vec<Slot>> {
        let mut slots = Vec::with_capacity(last.index.0 as usize);
        let mut at = last;
        while at.index > LogIndex(0) {
            let (slot, prev_term) = self.entries.get(&at)?;
            slots.push(*slot);
            at = LogPosition { term: *prev_term, index: at.index.prev() };
        }
        slots.reverse();
        Some(slots)
    }

    /// The digest of the store in each snapshot.
    pub fn snapshots(&self) -> impl Iterator<Item = (LogPosition, u64)> {
        self.snapshots.iter().map(|(last, contents)| (*last, contents.store_digest))
    }
}

/// The contents of a valid snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contents {
    id: SnapshotId,
    /// The digest of the store that is loaded from it.
    store_digest: u64,
}

/// The place in the log's files up to which records were read.
#[derive(Clone, Copy)]
struct ReadTo {
    segment: u64,
    offset: usize,
}

/// The durable contents of one node's disk.
pub(super) struct Durable {
    archive: Arc<Mutex<Archive>>,
    disk: SimDisk,
    dir: PathBuf,
    /// The generation of the disk at the last read.
    generation: Option<(u64, u64)>,
    hard_state: Option<HardState>,
    /// A hard state, and a later one that contradicts it.
    regress: Option<(HardState, HardState)>,
    /// The beginning of the log, once it was read.
    start: Option<Start>,
    /// The entries of the log from index 1 on, including those before its base.
    log: Vec<Slot>,
    read_to: ReadTo,
    /// The valid snapshots.
    snapshots: BTreeMap<PathBuf, Contents>,
    /// The newest snapshot when the log does not reach it, and the entries that it contains: a
    /// start would replace the log by it.
    instead: Option<(LogPosition, Vec<Slot>)>,
    /// True when a snapshot was damaged, so that one may be missing.
    has_damaged_snapshot: bool,
    /// True when snapshots may be those of a store that differs from all others.
    may_differ: bool,
    /// True when the log was cut at damage, so that positions after it are written again.
    was_cut: bool,
    /// A contradiction among the files.
    complaint: Option<String>,
}

impl Durable {
    pub fn new(disk: SimDisk, dir: PathBuf, archive: Arc<Mutex<Archive>>) -> Durable {
        Durable {
            archive,
            disk,
            dir,
            generation: None,
            hard_state: None,
            regress: None,
            start: None,
            log: Vec::new(),
            read_to: ReadTo { segment: 1, offset: SEGMENT_HEADER_BYTES },
            snapshots: BTreeMap::new(),
            instead: None,
            has_damaged_snapshot: false,
            may_differ: false,
            was_cut: false,
            complaint: None,
        }
    }

    /// The term and the vote; `None` on an empty disk.
    pub fn hard_state(&mut self) -> Option<HardState> {
        self.read_disk();
        self.hard_state
    }

    /// The term and the vote on another disk with this directory.
    pub fn hard_state_of(&self, image: &SimDisk) -> Option<HardState> {
        let path = self.dir.join("hard_state");
        let copy = image.look_at_durable(&path, newest_copy).flatten();
        copy.map(|(hard_state, _)| hard_state)
    }

    /// Two successive hard states that contradict each other: the later one has a lower term, or
    /// another vote in the same term.
    pub fn regress(&mut self) -> Option<(HardState, HardState)> {
        self.read_disk();
        self.regress
    }

    /// A contradiction among the snapshots and the base of the log, if there is one.
    pub fn complaint(&mut self) -> Option<&str> {
        self.read_disk();
        self.complaint.as_deref()
    }

    /// The contents of the disk are about to be lost.
    pub fn forget(&mut self) {
        self.generation = None;
        self.hard_state = None;
        self.has_damaged_snapshot = false;
        self.may_differ = false;
        self.was_cut = false;
    }

    /// A part of the log is lost, and its positions are written again: the log is read from its
    /// beginning next time.
    pub fn read_again(&mut self) {
        self.generation = None;
        self.may_differ = false;
        self.was_cut = true;
    }

    /// A snapshot is damaged. The node removes it when it finds the damage.
    pub fn on_rot(&mut self) {
        self.has_damaged_snapshot = true;
    }

    /// The store of the node may differ from that of all others from now on, and so may the
    /// snapshots that it takes; or it does not after all.
    pub fn on_divergence(&mut self, may_differ: bool) {
        self.read_disk();
        self.may_differ = may_differ;
    }

    /// True when the store of the node may differ from that of all others.
    pub fn may_differ(&self) -> bool {
        self.may_differ
    }

    /// The entries from index 1 on: those of the log and those before it, or those in the snapshot
    /// that replaces the log.
    pub fn log(&mut self) -> &[Slot] {
        self.read_disk();
        self.instead.as_ref().map_or(&self.log, |(_, history)| history)
    }

    /// The last index in the newest snapshot; 0 without one.
    pub fn newest_snapshot(&mut self) -> LogIndex {
        self.read_disk();
        let indexes = self.snapshots.values().map(|contents| contents.id.last.index);
        indexes.max().unwrap_or_default()
    }

    /// True when the disk has a snapshot.
    pub fn has_snapshot(&mut self, id: SnapshotId) -> bool {
        self.read_disk();
        self.snapshots.values().any(|contents| contents.id == id)
    }

    /// True when the disk has a snapshot, with these bytes at `offset`.
    pub fn has_chunk(&mut self, id: SnapshotId, offset: u64, bytes: &[u8]) -> bool {
        self.read_disk();
        let Some((path, _)) = self.snapshots.iter().find(|(_, contents)| contents.id == id) else {
            return false;
        };
        let at = offset as usize..offset as usize + bytes.len();
        self.disk.look_at_durable(path, |file| file.get(at) == Some(bytes)) == Some(true)
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().expect("the checker does not panic")
    }

    fn read_disk(&mut self) {
        let generation = self.disk.generation();
        if self.generation == Some(generation) {
            return;
        }
        if self.generation.is_none_or(|(life, _)| life != generation.0) {
            self.start = None;
            self.snapshots.clear();
        }
        if self.was_cut {
            self.start = None;
        }
        self.generation = Some(generation);
        self.complaint = None;
        let before = self.hard_state;
        let copy = self.disk.look_at_durable(&self.dir.join("hard_state"), newest_copy).flatten();
        self.hard_state = copy.map(|(hard_state, _)| hard_state);
        self.regress = self.regress.or(before.zip(self.hard_state).filter(|(old, new)| {
            let has_changed = old.voted_for.is_some() && old.voted_for != new.voted_for;
            old.current_term > new.current_term
                || (old.current_term == new.current_term && has_changed)
        }));
        let start = copy.map_or(Start::FIRST, |(_, start)| start);
        self.read_log(start);
        self.read_snapshots();
        self.check_base(start);
    }

    fn read_log(&mut self, start: Start) {
        if self.start != Some(start) {
            // A compaction changes no entry.
            let was_resetting = self.start.is_none_or(|start| start.is_resetting);
            let goes_on = !start.is_resetting && !was_resetting && self.is_in_log(start.base);
            if !goes_on || self.read_to.segment < start.first_segment {
                self.log = self.history(start.base);
                self.read_to =
                    ReadTo { segment: start.first_segment, offset: SEGMENT_HEADER_BYTES };
            }
            self.start = Some(start);
        }
        // The first segment of a new log is not there yet, and the earlier ones do not count.
        if !start.is_resetting {
            self.read_segments();
        }
    }

    fn read_segments(&mut self) {
        let archive = Arc::clone(&self.archive);
        let mut archive = archive.lock().expect("the checker does not panic");
        loop {
            let (log, offset) = (&mut self.log, &mut self.read_to.offset);
            let path_of = |segment| self.dir.join(format!("log/{segment:08}.segment"));
            self.disk.look_at_durable(&path_of(self.read_to.segment), |bytes| {
                let Some(records) = Records::from(bytes, *offset) else { return };
                while let Some(record) = records.read(*offset) {
                    // It replaces the entry at its index, and all after it.
                    log.truncate((record.index.0 as usize).saturating_sub(1));
                    archive.add(record.index, record.slot, last(log).term);
                    if record.slot.is_membership()
                        && let Some(entry) = records.entry(*offset)
                    {
                        archive.add_membership(&entry);
                    }
                    log.push(record.slot);
                    *offset += record.bytes;
                }
            });
            if self.disk.look_at_durable(&path_of(self.read_to.segment + 1), |_| ()).is_none() {
                return;
            }
            let segment = self.read_to.segment + 1;
            self.read_to = ReadTo { segment, offset: SEGMENT_HEADER_BYTES };
        }
    }

    /// A snapshot never changes once it has its name.
    fn read_snapshots(&mut self) {
        let paths = self.disk.durable_paths(&self.dir.join("snapshot"));
        self.snapshots.retain(|path, _| paths.contains(path));
        for path in paths {
            let Some(last) = position(&path).filter(|_| !self.snapshots.contains_key(&path)) else {
                continue;
            };
            let contents =
                self.disk.look_at_durable(&path, |bytes| contents(last, bytes)).flatten();
            let Some(contents) = contents else {
                self.complaint = Some(format!("{} is not whole", path.display()));
                continue;
            };
            let known = match self.may_differ {
                true => contents,
                false => *self.archive().snapshots.entry(last).or_insert(contents),
            };
            if known != contents {
                self.complaint = Some(format!("{contents:?} is not {known:?} of another node"));
            }
            self.snapshots.insert(path, contents);
        }
    }

    /// "the last included index and term ... the entry immediately preceding" the log (§7): the log
    /// goes on from a snapshot that the disk has, or a snapshot replaces the log.
    fn check_base(&mut self, start: Start) {
        let mut positions: Vec<LogPosition> =
            self.snapshots.values().map(|contents| contents.id.last).collect();
        positions.sort_unstable_by_key(|last| std::cmp::Reverse(last.index));
        let newest = positions.first().copied().unwrap_or_default();
        let base = start.base;
        if newest.index < base.index && !self.has_damaged_snapshot {
            self.complaint = Some(format!(
                "the log begins behind {base}, and the newest snapshot reaches {newest}"
            ));
        }
        if let Some(older) = positions.get(1)
            && older.index < base.index
            && newest != base
            && !self.has_damaged_snapshot
        {
            self.complaint = Some(format!(
                "the log begins behind {base}; if {newest} is damaged, it does not go on from \
                 {older}"
            ));
        }
        if newest.index <= base.index || self.is_in_log(newest) {
            self.instead = None;
        } else if self.instead.as_ref().is_none_or(|(last, _)| *last != newest) {
            self.instead = Some((newest, self.history(newest)));
        }
    }

    /// Adds the entries of all segments that this disk has ever held.
    fn read_former_segments(&mut self) {
        let (mut terms, mut all) = (BTreeMap::new(), Vec::new());
        for segment in self.disk.written_files() {
            all.extend(entries(&segment, &mut terms));
        }
        // The archive keeps what is added first.
        all.sort_by_key(|written| !written.is_sure);
        for Written { entry, prev_term, .. } in all {
            let mut archive = self.archive();
            archive.add(entry.index, Slot::of(&entry), prev_term);
            archive.add_membership(&entry);
        }
    }

    fn is_in_log(&self, at: LogPosition) -> bool {
        match at.index.0.checked_sub(1) {
            None => true,
            Some(place) => self.log.get(place as usize).is_some_and(|slot| slot.term == at.term),
        }
    }

    fn history(&mut self, to: LogPosition) -> Vec<Slot> {
        let mut history = self.archive().history(to);
        if history.is_none() {
            // Nobody has looked at this disk for a while.
            self.read_former_segments();
            history = self.archive().history(to);
        }
        history.unwrap_or_else(|| {
            self.complaint = Some(format!("nobody ever had the entry {to}, or all before it"));
            Vec::new()
        })
    }
}

/// An entry in a segment.
#[derive(Debug)]
pub(crate) struct Written {
    pub entry: Entry,
    /// The term of the entry before it.
    pub prev_term: Term,
    /// True when the segment itself has that term. It has not when the entry replaces others that
    /// begin in an earlier segment: then that term is the one that was read last.
    pub is_sure: bool,
}

/// All entries in a segment, in the order in which they were written. `terms` holds the terms of
/// the log up to here.
pub(crate) fn entries(segment: &[u8], terms: &mut BTreeMap<LogIndex, Term>) -> Vec<Written> {
    let Some(header) = segment.get(..SEGMENT_HEADER_BYTES) else { return Vec::new() };
    let base = (LogIndex(u64_at(header, 32)), Term(u64_at(header, 40)));
    let mut own = BTreeMap::from([base]);
    let (mut entries, mut offset) = (Vec::new(), SEGMENT_HEADER_BYTES);
    let Some(records) = Records::from(segment, offset) else { return entries };
    while let Some(record) = records.read(offset) {
        let before = record.index.prev();
        let sure = own.get(&before).copied();
        own.insert(record.index, record.slot.term);
        let prev_term = sure.or_else(|| terms.get(&before).copied());
        entries.extend(records.entry(offset).zip(prev_term).map(|(entry, prev_term)| Written {
            entry,
            prev_term,
            is_sure: sure.is_some(),
        }));
        offset += record.bytes;
    }
    terms.append(&mut own);
    entries
}

/// The tag of a sector that was written for the segment with this header.
pub(crate) fn sector_tag(header: &[u8], sector: usize) -> Option<[u8; TAG_BYTES]> {
    // The number of the segment, and the id of the node.
    let crc = crc32c::crc32c(header.get(16..32)?);
    let crc = crc32c::crc32c_append(crc, &(sector as u64).to_le_bytes());
    let mut tag = [0; TAG_BYTES];
    tag[..4].copy_from_slice(&header[16..20]);
    tag[4..].copy_from_slice(&crc.to_le_bytes());
    Some(tag)
}

/// The payloads of successive sectors that were written for a segment.
struct Records {
    salt: [u8; 4],
    /// The offset of the first payload, counted over the header and all payloads.
    begin: usize,
    bytes: Vec<u8>,
}

impl Records {
    /// The payloads from the sector on that contains `offset`.
    fn from(segment: &[u8], offset: usize) -> Option<Records> {
        let first = (offset - SEGMENT_HEADER_BYTES) / PAYLOAD_BYTES + 1;
        let salt = *segment.get(12..)?.first_chunk()?;
        let mut bytes = Vec::new();
        let sectors = segment.get(first * SECTOR_BYTES..).unwrap_or_default();
        for (at, sector) in (first..).zip(sectors.chunks_exact(SECTOR_BYTES)) {
            match sector.strip_prefix(&sector_tag(segment, at)?) {
                Some(payload) => bytes.extend_from_slice(payload),
                None => break,
            }
        }
        let begin = SEGMENT_HEADER_BYTES + (first - 1) * PAYLOAD_BYTES;
        Some(Records { salt, begin, bytes })
    }

    fn read(&self, offset: usize) -> Option<Record> {
        Record::read(self.bytes.get(offset - self.begin..)?, self.salt, offset)
    }

    /// The entry in the record at `offset`.
    fn entry(&self, offset: usize) -> Option<Entry> {
        self.read(offset)?.entry(&self.bytes[offset - self.begin..])
    }
}

/// A valid record.
struct Record {
    index: LogIndex,
    slot: Slot,
    bytes: usize,
}

impl Record {
    /// The record at the beginning of `bytes`, which are those at `offset`.
    fn read(bytes: &[u8], salt: [u8; 4], offset: usize) -> Option<Record> {
        let header = bytes.get(..RECORD_HEADER_BYTES)?;
        let seed = crc32c::crc32c_append(crc32c::crc32c(&salt), &(offset as u64).to_le_bytes());
        if u32_at(header, 0) != crc32c::crc32c_append(seed, &header[4..]) {
            return None;
        }
        let body_bytes = u32_at(header, 4) as usize;
        let record = bytes.get(..(RECORD_HEADER_BYTES + body_bytes).next_multiple_of(8))?;
        let (body, padding) = record[RECORD_HEADER_BYTES..].split_at(body_bytes);
        let is_whole = u32_at(header, 8) == crc32c::crc32c_append(seed, body);
        if !is_whole || padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        let bytes = record.len();
        let stamp_ms = u64_at(header, 32).to_le_bytes();
        let (term, kind) = (Term(u64_at(header, 24)), header[14]);
        let slot = Slot { term, kind, checksum: checksum(kind, stamp_ms, body) };
        Some(Record { index: LogIndex(u64_at(header, 16)), slot, bytes })
    }

    /// The entry in the record.
    fn entry(&self, record: &[u8]) -> Option<Entry> {
        let body = &record[RECORD_HEADER_BYTES..][..u32_at(record, 4) as usize];
        let payload = Payload::decode(record[14], body.to_vec().into()).ok()?;
        let (index, term) = (self.index, self.slot.term);
        Some(Entry { index, term, stamp_ms: u64_at(record, 32), payload })
    }
}

/// The beginning of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Start {
    first_segment: u64,
    base: LogPosition,
    is_resetting: bool,
}

impl Start {
    const FIRST: Start = Start {
        first_segment: 1,
        base: LogPosition { term: Term(0), index: LogIndex(0) },
        is_resetting: false,
    };
}

/// The newer one of the valid copies.
fn newest_copy(bytes: &[u8]) -> Option<(HardState, Start)> {
    let copies = bytes.chunks_exact(HARD_STATE_BYTES).filter(|copy| {
        let (content, crc) = copy.split_at(HARD_STATE_BYTES - 4);
        crc32c::crc32c(content) == u32_at(crc, 0)
    });
    let newest = copies.max_by_key(|copy| u64_at(copy, 16))?;
    let (flags, voted_for) = (u32_at(newest, 12), u64_at(newest, 32));
    let hard_state = HardState {
        current_term: Term(u64_at(newest, 24)),
        voted_for: (voted_for != 0).then_some(NodeId(voted_for)),
        is_rejoining: flags & REJOINING != 0,
        lost: LogPosition { index: LogIndex(u64_at(newest, 96)), term: Term(u64_at(newest, 104)) },
        is_end_known: flags & END_KNOWN != 0,
    };
    let start = Start {
        first_segment: u64_at(newest, 72),
        base: LogPosition { index: LogIndex(u64_at(newest, 80)), term: Term(u64_at(newest, 88)) },
        is_resetting: flags & RESETTING != 0,
    };
    Some((hard_state, start))
}

/// The position of the last entry in a snapshot, by the file's name; `None` for other files.
fn position(path: &Path) -> Option<LogPosition> {
    let name = path.file_name()?.to_str()?.strip_suffix(".snapshot")?;
    let (index, term) = name.split_once('-')?;
    Some(LogPosition { index: LogIndex(index.parse().ok()?), term: Term(term.parse().ok()?) })
}

/// The contents of a snapshot file, if it is valid.
fn contents(last: LogPosition, bytes: &[u8]) -> Option<Contents> {
    let (frames, foot) = bytes.split_at_checked(bytes.len().checked_sub(FOOT_BYTES)?)?;
    let digest = xxh3_128(frames);
    let (mut rest, mut number, mut loader) = (frames, 0_u64, StoreLoader::new());
    while !rest.is_empty() {
        let (header, rest_bytes) = rest.split_at_checked(FRAME_HEADER_BYTES)?;
        let (body, rest_bytes) = rest_bytes.split_at_checked(u32_at(header, 4) as usize)?;
        let seed = crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), &header[..4]);
        if crc32c::crc32c_append(seed, body) != u32_at(header, 8) {
            return None;
        }
        if header.starts_with(b"body") {
            loader.load(body).ok()?;
        }
        (rest, number) = (rest_bytes, number + 1);
    }
    let promised = &foot[FRAME_HEADER_BYTES..];
    let is_whole = promised[..8] == number.to_le_bytes() && promised[8..] == digest.to_le_bytes();
    let store = loader.finish().ok()?;
    (is_whole && store.last_applied() == last.index).then_some(Contents {
        id: SnapshotId { last, bytes: bytes.len() as u64, digest },
        store_digest: store.digest(),
    })
}

/// The last membership in a log, as the position of its entry.
pub(super) fn newest(log: &[Slot]) -> Option<LogPosition> {
    let place = log.iter().rposition(Slot::is_membership)?;
    Some(LogPosition { term: log[place].term, index: LogIndex(place as u64 + 1) })
}

/// The end of a log, which §5.4.1 compares.
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

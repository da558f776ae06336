//! The log and the hard state on disk.
//!
//! The log is a *journal*: records are only ever added. A record whose index is
//! not behind the log's end supersedes what stood at that index and behind, so
//! a truncation (5.3: a follower deletes entries that conflict) is never a step
//! of its own that a crash could leave half done. The journal is cut into
//! segment files, which are those of earlier segments, or prewritten with zeros, so
//! that most syncs are of an overwrite, which is cheaper than an append. It begins behind
//! a *base*, the last entry that a snapshot stands for. docs/internals/log_format.md draws
//! every byte; docs/adr/0003-the-log-on-disk.md and 0013-recycled-segments.md say why.
//!
//! Everything here blocks and knows no actor. Files are reached only through
//! [`Disk`]. An error of any write or sync ends the [`Storage`]: nothing is
//! retried, because after a failed sync nobody knows what the disk holds (B62).
//!
//! ```text
//! <data_dir>/<id>/lock                     held while a process uses the directory
//!                 identity                 whose directory it is; made last
//!                 hard_state               term, vote and the seal, twice
//!                 log/00000003.segment     the journal
//!                 log/00000002.spare       a file for the next segment
//! ```

use std::path::{Path, PathBuf};

mod catalog;
mod disk;
mod dump;
mod error;
mod hard_state;
mod identity;
mod record;
mod recovery;
#[cfg(any(test, feature = "testing"))]
mod remains;
mod repair;
mod restore;
mod sectors;
mod segment;
mod snapshot;
mod spares;
mod tail;
#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, DiskLock, OpenMode, RealDisk};
pub use dump::{VerifyReport, dump, verify};
pub use error::StorageError;
#[cfg(any(test, feature = "testing"))]
pub use remains::{Place, RecordPlace, Remains};
pub use restore::restore;
pub use snapshot::{
    SNAPSHOT_FORMAT_VERSION, SnapshotFile, SnapshotHead, SnapshotPart, SnapshotPieces, Snapshots,
    read_snapshot,
};

use crate::types::{Entry, HardState, LogIndex, LogPosition, LogSummary, NodeId};
use catalog::Catalog;
use error::IoContext;
use hard_state::{HardStateFile, LogStart, Seal};
use identity::Identity;
use recovery::Scanned;
use segment::{SEGMENT_HEADER_BYTES, SegmentHeader, UNFINISHED, log_dir, segment_path, sync_names};
use spares::Spares;
use tail::TailSegment;

/// What [`Storage::open`] has to know.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// The cluster's name; a directory of another cluster is refused.
    pub cluster: String,
    /// The server; a directory of another one is refused.
    pub node_id: NodeId,
    /// A new segment begins when a record would not fit into so many bytes. A
    /// larger record has a segment of its own.
    pub segment_bytes: u64,
    /// The others are a majority without this server: when its log is damaged, it is cut
    /// where the damage begins, and the server is rejoining until it has caught up with
    /// them (docs/adr/0009). Else it is refused.
    pub can_repair: bool,
}

/// What a data directory held. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log, without its entries.
    pub log: LogSummary,
    /// Sentences for the server's log: what was cut, what was repaired.
    pub notes: Vec<String>,
}

/// The open data directory of one server.
pub struct Storage {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    node_id: NodeId,
    origin: Option<u128>,
    /// How long the file of a segment is, unless a record is longer.
    file_bytes_max: u64,
    hard_state: HardStateFile,
    catalog: Catalog,
    spares: Spares,
    tail: TailSegment,
    /// An operation failed: what the disk holds is unknown from there on.
    failed: bool,
    /// Last, so that it is let go of only when all files are closed.
    _lock: DiskLock,
}

impl Storage {
    /// Opens a data directory, and makes it when it is not there. What is handed
    /// out is durable by then, whatever ended the process before.
    ///
    /// # Errors
    /// When another process holds it, when it is another server's, and when it
    /// is damaged and cannot be repaired; such damage is left as it is.
    pub fn open(
        disk: Box<dyn Disk>,
        dir: &Path,
        options: StorageOptions,
    ) -> Result<(Storage, Recovered), StorageError> {
        let StorageOptions { cluster, node_id, segment_bytes, can_repair } = options;
        let owner = Identity { cluster, node_id, origin: None };
        let log_dir = log_dir(dir);
        disk.create_dir_all(&log_dir).during("make the directory", &log_dir)?;
        let lock = take_lock(&*disk, dir)?;
        let identified = identity::check(&*disk, dir, Some(&owner))?;
        if identified.is_none() {
            initialise(&*disk, dir, &owner)?;
        }
        let scanned = scan_or_repair(&*disk, dir, node_id, can_repair)?;
        let recovered = Recovered {
            hard_state: scanned.loaded.newest.hard_state,
            log: scanned.summary.clone(),
            notes: scanned.notes.clone(),
        };
        // First of all: what it says is void is void only when that is durable.
        let mut hard_state = HardStateFile::open(&*disk, dir, &scanned.loaded)?;
        let start = scanned.loaded.newest.start;
        let file_bytes_max = tail::ordinary_file_bytes(segment_bytes);
        let mut spares = Spares::open(&*disk, dir, start.first_segment, file_bytes_max)?;
        clear_away(&*disk, dir, &scanned, &mut spares)?;
        let (tail, catalog) = if start.resetting {
            begin_log(&*disk, dir, node_id, &mut hard_state, &mut spares)?
        } else {
            settle(&*disk, dir, scanned, &mut hard_state)?
        };
        let dir = dir.to_owned();
        let storage = Storage {
            disk,
            dir,
            node_id,
            origin: identified.and_then(|(_, origin)| origin),
            file_bytes_max,
            hard_state,
            catalog,
            spares,
            tail,
            failed: false,
            _lock: lock,
        };
        Ok((storage, recovered))
    }

    /// The digest of the snapshot that the directory was restored from, if it was
    /// (docs/adr/0011).
    pub fn origin(&self) -> Option<u128> {
        self.origin
    }

    /// The position that the log begins behind; 0@0 until it was compacted.
    pub fn base(&self) -> LogPosition {
        self.catalog.runs().base()
    }

    /// The position of the last entry, durable or not.
    pub fn last(&self) -> LogPosition {
        self.catalog.runs().last()
    }

    /// Writes entries of consecutive indexes; they are durable after
    /// [`Storage::sync`]. When they begin at or below the last index they replace
    /// what stands there and behind.
    ///
    /// # Errors
    /// When a write fails, and ever after.
    ///
    /// # Panics
    /// When they leave a gap, when terms fall, and when a term is above that of
    /// the saved hard state: it is to be saved first.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        self.guarded(|storage| storage.write_records(entries))
    }

    /// Makes all that was appended durable; without anything new it does nothing.
    ///
    /// # Errors
    /// When the sync fails, and ever after.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.guarded(|storage| storage.tail.sync(storage.catalog.runs().last()))
    }

    /// Makes a term and vote durable, in one record; does nothing when they are.
    ///
    /// # Errors
    /// When a write or sync fails, and ever after.
    pub fn save_hard_state(&mut self, hard_state: HardState) -> Result<(), StorageError> {
        self.guarded(|storage| {
            if storage.hard_state.current().hard_state == hard_state {
                return Ok(());
            }
            storage.hard_state.save(hard_state, storage.synced_seal())
        })
    }

    /// Records, durably, how far the log is durable, so that a later start knows
    /// damage before that place for what it is. Does nothing when that is known.
    ///
    /// # Errors
    /// When a write or sync fails, and ever after.
    pub fn seal(&mut self) -> Result<(), StorageError> {
        self.guarded(|storage| {
            let current = storage.hard_state.current();
            let seal = storage.synced_seal();
            if current.seal == seal || mutant!(S1) {
                return Ok(());
            }
            storage.hard_state.save(current.hard_state, seal)
        })
    }

    /// Entries from `from` to `to`, both included, until their
    /// `Entry::weight_bytes` would exceed `bytes_max`, but at least one; none when
    /// `from` is not in the log. Entries that are not yet durable count too.
    ///
    /// # Errors
    /// When the disk cannot be read or gives back something else than was
    /// written, and ever after.
    pub fn read(
        &mut self,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.guarded(|storage| storage.catalog.read(&*storage.disk, from, to, bytes_max))
    }

    /// Lets go of whole segments whose entries all come at or before `limit`, up to
    /// which a durable snapshot has to stand for them. Returns where the log
    /// begins now.
    ///
    /// # Errors
    /// When a write, a sync, a renaming or a removal fails, and ever after.
    pub fn compact(&mut self, limit: LogIndex) -> Result<LogPosition, StorageError> {
        self.guarded(|storage| {
            let start = storage.catalog.start_at_latest(limit);
            let void = storage.catalog.first_segment()..start.first_segment;
            if !void.is_empty() {
                if mutant!(B65b) {
                    storage.spares.take(&*storage.disk, &storage.dir, void.clone())?;
                }
                // The decision first: from here on they are void, whatever their names.
                storage.hard_state.save_start(start, storage.synced_seal())?;
                storage.catalog.compact(start);
                if !mutant!(B65b) {
                    storage.spares.take(&*storage.disk, &storage.dir, void)?;
                }
            }
            Ok(start.base)
        })
    }

    /// Replaces the whole log by one without entries that begins behind `base`,
    /// which a durable snapshot has to stand for: the log does not hold it (§7).
    ///
    /// # Errors
    /// When a write, a sync or a removal fails, and ever after.
    ///
    /// # Panics
    /// When the log holds `base`: that is a compaction.
    pub fn reset(&mut self, base: LogPosition) -> Result<(), StorageError> {
        assert!(!self.catalog.runs().contains(base), "a log that reaches a snapshot goes on");
        self.guarded(|storage| {
            let void = storage.catalog.first_segment()..=storage.catalog.last_segment();
            let start = LogStart {
                first_segment: storage.catalog.last_segment() + 1,
                base,
                resetting: true,
            };
            // The decision first, and in one record: a crash at any place behind it is
            // finished by the next start.
            storage.hard_state.save_start(start, Seal::at_begin_of(start))?;
            (storage.tail, storage.catalog) = begin_log(
                &*storage.disk,
                &storage.dir,
                storage.node_id,
                &mut storage.hard_state,
                &mut storage.spares,
            )?;
            storage.spares.take(&*storage.disk, &storage.dir, void)
        })
    }

    /// Nothing is tried after an error (B62).
    fn guarded<T>(
        &mut self,
        operation: impl FnOnce(&mut Storage) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.failed {
            return Err(StorageError::Stopped);
        }
        let result = operation(self);
        self.failed = result.is_err();
        result
    }

    fn synced_seal(&self) -> Seal {
        Seal {
            segment: self.catalog.last_segment(),
            offset: self.tail.synced,
            last: self.tail.synced_last,
            cutting: false,
        }
    }

    fn write_records(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let current_term = self.hard_state.current().hard_state.current_term;
        let mut buffer = Vec::new();
        let mut expected = entries.first().map(|entry| entry.index);
        for entry in entries {
            assert_eq!(Some(entry.index), expected, "appended entries have consecutive indexes");
            expected = Some(entry.index.next());
            assert!(
                entry.term <= current_term,
                "term {} is saved before an entry of it is appended",
                entry.term
            );
            let record_bytes = record::record_bytes(entry.payload.body().len() as u64);
            let mut offset = self.tail.end + buffer.len() as u64;
            let is_empty = offset == SEGMENT_HEADER_BYTES;
            if !is_empty && !tail::fits(offset + record_bytes, self.file_bytes_max) {
                self.write_tail(&mut buffer)?;
                self.begin_segment()?;
                offset = self.tail.end;
            }
            if let Err(what) = self.catalog.add_record(entry.position(), offset) {
                panic!("the caller appends what a log can hold: {what}");
            }
            let batch_start = offset == self.tail.synced;
            record::encode(entry, batch_start, self.tail.salt, offset, &mut buffer);
        }
        self.write_tail(&mut buffer)
    }

    fn write_tail(&mut self, buffer: &mut Vec<u8>) -> Result<(), StorageError> {
        if !buffer.is_empty() {
            self.tail.write(buffer, self.file_bytes_max)?;
            buffer.clear();
        }
        Ok(())
    }

    /// Ends the last segment and begins the next. All of a segment is durable
    /// before another one is there: that is why only the last can be torn.
    fn begin_segment(&mut self) -> Result<(), StorageError> {
        let last = self.catalog.runs().last();
        if !mutant!(B65) {
            self.tail.sync(last)?;
        }
        let header = SegmentHeader {
            number: self.catalog.last_segment() + 1,
            salt: self.disk.salt(),
            node_id: self.node_id,
            prev: last,
        };
        let file = self.spares.create_segment(&*self.disk, &self.dir, &header)?;
        self.tail = TailSegment::new(&self.dir, &header, file)?;
        self.catalog.add_segment(&header);
        // From here on the file is known to exist: without it the server does
        // not start, even if nothing in it is ever sealed.
        let hard_state = self.hard_state.current().hard_state;
        self.hard_state.save(hard_state, self.synced_seal())
    }
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<DiskLock, StorageError> {
    let path = dir.join("lock");
    disk.lock(&path).during("lock", &path)?.ok_or(StorageError::Locked { path })
}

/// Makes the files of a new server: the identity last, so that a directory that
/// has one has everything, and one without has nothing that anybody was told of.
fn initialise(disk: &dyn Disk, dir: &Path, owner: &Identity) -> Result<(), StorageError> {
    refuse_remains(disk, dir)?;
    let header = SegmentHeader {
        number: 1,
        salt: disk.salt(),
        node_id: owner.node_id,
        prev: LogPosition::default(),
    };
    segment::create_segment(disk, dir, &header)?;
    hard_state::create(disk, dir, &hard_state::Copy::FIRST)?;
    sync_ancestors(disk, dir)?;
    identity::create(disk, dir, owner)
}

/// Makes it durable that the directory is there.
fn sync_ancestors(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    for ancestor in dir.ancestors().skip(1).filter(|_| !mutant!(B63b)) {
        match disk.sync_dir(ancestor) {
            // What we may not even open is not where we have made anything.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            synced => synced.during("sync the directory", ancestor)?,
        }
    }
    Ok(())
}

/// Without an identity there may be what an earlier [`initialise`] had made when
/// it was interrupted: an empty log and a blank hard state. Anything else shows
/// that the identity was lost, and perhaps more.
fn refuse_remains(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let missing = |evidence: &str| StorageError::FileMissing {
        path: identity::identity_path(dir),
        evidence: evidence.into(),
    };
    if !spares::numbers(disk, dir)?.is_empty() {
        return Err(missing("there was a log"));
    }
    for number in segment::segment_numbers(disk, dir)? {
        let path = segment_path(dir, number);
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let bytes = file.bytes().during("look at", &path)?;
        if number > 1 || bytes > SEGMENT_HEADER_BYTES {
            return Err(missing("there is a log"));
        }
    }
    if snapshot::is_any_there(disk, dir).during("list", dir)? {
        return Err(missing("there are snapshots"));
    }
    let names = disk.list(dir).during("list", dir)?;
    if names.iter().any(|name| name == "hard_state") {
        let newest = hard_state::load(disk, dir)?.newest;
        if newest != hard_state::Copy::FIRST {
            return Err(missing("there is the hard state of a server that ran"));
        }
    }
    Ok(())
}

/// Makes the first segment of a log that is being reset, and the catalog of it.
/// From its end on the log is the new one for good.
fn begin_log(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    hard_state: &mut HardStateFile,
    spares: &mut Spares,
) -> Result<(TailSegment, Catalog), StorageError> {
    let start = LogStart { resetting: false, ..hard_state.current().start };
    let (number, prev) = (start.first_segment, start.base);
    let header = SegmentHeader { number, salt: disk.salt(), node_id, prev };
    let file = spares.create_segment(disk, dir, &header)?;
    let tail = TailSegment::new(dir, &header, file)?;
    let mut catalog = Catalog::new(dir, start);
    catalog.add_segment(&header);
    hard_state.save_start(start, Seal::at_begin_of(start))?;
    Ok((tail, catalog))
}

/// Reads and judges everything; with `can_repair`, a damaged log is one that ends
/// before the damage.
fn scan_or_repair(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    can_repair: bool,
) -> Result<Scanned, StorageError> {
    let (damaged, damage) = match recovery::survey(disk, dir, node_id)? {
        (scanned, None) => return Ok(scanned),
        (damaged, Some(damage)) => (damaged, damage),
    };
    if !can_repair {
        return Err(StorageError::Irreparable { damage: damage.finding() });
    }
    let note = repair::decide(disk, dir, node_id, &damaged, &damage)?;
    let mut scanned = recovery::scan(disk, dir, node_id)?;
    scanned.notes = damaged.notes;
    scanned.notes.push(note);
    Ok(scanned)
}

/// Removes what a crash left of files that were being made, and lets go of the segments
/// that the hard state says are void.
fn clear_away(
    disk: &dyn Disk,
    dir: &Path,
    scanned: &Scanned,
    spares: &mut Spares,
) -> Result<(), StorageError> {
    let first_segment = scanned.loaded.newest.start.first_segment;
    // What was cut off has numbers that are to come again.
    let is_old = |number: &u64| *number < first_segment || mutant!(S8);
    let (old, cut_off): (Vec<u64>, Vec<u64>) = scanned.void.iter().partition(|n| is_old(n));
    spares.take(disk, dir, old)?;
    for number in cut_off {
        let path = segment_path(dir, number);
        disk.remove(&path).during("remove", &path)?;
    }
    for dir in [dir, &log_dir(dir)] {
        let names = disk.list(dir).during("list", dir)?;
        for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
            let path = dir.join(name);
            disk.remove(&path).during("remove", &path)?;
        }
        // Also for the sake of names that were made but not synced.
        sync_names(disk, dir)?;
    }
    Ok(())
}

/// Makes durable what the scan has read, and erases a torn tail.
fn settle(
    disk: &dyn Disk,
    dir: &Path,
    scanned: Scanned,
    hard_state: &mut HardStateFile,
) -> Result<(TailSegment, Catalog), StorageError> {
    let hard = scanned.loaded.newest;
    let number = scanned.catalog.last_segment();
    let path = segment_path(dir, number);
    let (header, mut file) = tail::make_durable(disk, dir, hard.seal, number, scanned.end)?;
    let last = scanned.summary.runs.last();
    let mut seal = Seal { segment: number, offset: scanned.end, last, cutting: false };
    if scanned.torn_to.is_some() {
        // The decision is durable before the first byte goes, so that a crash in
        // between cannot make the rest look like something else.
        seal.cutting = true;
        hard_state.save(hard.hard_state, seal)?;
        seal.cutting = false;
    }
    // Erased, not stepped over, so that no later crash can bring it back (B28). What is zero
    // already in the last record's sector may be so in the page cache only.
    if !mutant!(S2) {
        let erase_to = scanned.torn_to.unwrap_or_else(|| sectors::file_bytes_to(scanned.end));
        tail::erase(&mut *file, scanned.end, erase_to).during("erase", &path)?;
        file.sync_data().during("sync", &path)?;
    }
    if !mutant!(S1) {
        hard_state.save(hard.hard_state, seal)?;
    }
    let tail = TailSegment::at(dir, &header, file, scanned.end, last)?;
    Ok((tail, scanned.catalog))
}

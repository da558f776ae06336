//! The log and the hard state on disk.
//!
//! The log is a *journal*: records are only ever added. A record whose index is not after the
//! end of the log supersedes the entry at its index and all entries after that. So a truncation
//! (§5.3: a follower deletes entries that conflict) is never a step of its own that a crash
//! could leave half done. The journal is cut into segment files. A new segment takes over the
//! file of an earlier one, or its file is prewritten with zeros, so that most syncs are of an
//! overwrite, which is cheaper than an append. The journal begins after a *base*, the last entry
//! that a snapshot covers. docs/internals/log_format.md draws every byte;
//! docs/adr/0003-the-log-on-disk.md and 0013-recycled-segments.md say why.
//!
//! Everything here blocks and knows no actor. Files are reached only through [`Disk`]. An error
//! of any write or sync ends the [`Storage`]: nothing is retried, because after a failed sync
//! nobody knows what the disk holds (docs/bugs.md B62).
//!
//! ```text
//! <data_dir>/<id>/lock                     held while a process uses the directory
//!                 identity                 whose directory it is; created last
//!                 incarnation              the id of this data directory
//!                 cluster_id               the id of its cluster, once that is known
//!                 hard_state               term, vote and durable end, twice
//!                 log/00000003.segment     the journal
//!                 log/00000002.spare       a file of the pool, for a segment to come
//!                 snapshot/                snapshot files
//!                 members                  what the server learned when it joined
//!                 hold                     is there while the server holds the format
//!                 diverged                 the mark of a server whose store differs
//!                 diverged-1200/           log and snapshots of a store that differed
//! ```
//!
//! | module | content |
//! |---|---|
//! | `disk` | the interface to the disk, and the real disk |
//! | `durable_names` | files that are created or renamed durably |
//! | `directory`, `identity` | the lock and the owner of a data directory |
//! | `checked_text` | small files of text with a checksum |
//! | `incarnation`, `cluster_id` | the ids of a data directory and of its cluster |
//! | `hold` | the hold of the format |
//! | `members` | what a server learned of the cluster that it joined |
//! | `examine` | a data directory is read before anything in it is changed |
//! | `diverged` | a store that differs is marked, and set aside |
//! | `presence` | notices that a data directory is gone |
//! | `hard_state` | term, vote and durable end |
//! | `log` | segment files, their records, recovery and repair |
//! | `snapshot` | snapshot files: written, read, received |
//! | `restore` | a data directory from a backup |
//! | `inspect` | a stopped server's directory: `dump`, `verify`, and its log for `recover` |

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

mod checked_text;
mod cluster_id;
mod directory;
mod disk;
pub(crate) mod diverged;
pub(crate) mod durable_names;
pub(crate) mod error;
mod examine;
pub(crate) mod hard_state;
mod hold;
pub(crate) mod identity;
pub(crate) mod incarnation;
mod inspect;
mod little_endian;
pub(crate) mod log;
mod members;
mod presence;
mod restore;
pub(crate) mod snapshot;
#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, DiskLock, Named, OpenMode, RealDisk};
pub use error::StorageError;
pub use hard_state::Lost;
pub use inspect::{Dumped, StoppedServer, VerifyReport, dump, verify};
pub use members::{JoinedCluster, keep_joined, read_joined};
pub use restore::{NewServer, restore, restore_bodies};
pub use snapshot::{
    IncomingSnapshot, SNAPSHOT_FORMAT_VERSION, SnapshotChunks, SnapshotFile, SnapshotFiles,
    SnapshotHead, read_snapshot, write_snapshot,
};

use crate::types::{
    ClusterId, Divergence, Entry, FormatRange, HardState, Incarnation, LogIndex, LogPosition,
    LogSummary, NodeId,
};
use directory::{initialise, take_lock};
use durable_names::{UNFINISHED, sync_dir};
use error::IoContext;
use examine::examine;
use hard_state::{DurableEnd, HardStateFile, LogStart, hard_state_path};
use identity::Identity;
use log::files::{log_dir, segment_numbers, segment_path};
use log::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use log::index::RecordIndex;
use log::pool::SegmentPool;
use log::recovery::Scanned;
use log::tail::{self, TailSegment};
use log::{record, repair, sectors};
use presence::Presence;

/// The settings of [`Storage::open`].
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// The cluster's name; a directory of another cluster is refused.
    pub cluster: String,
    /// The server; a directory of another server is refused.
    pub node_id: NodeId,
    /// Maximum size of a segment in bytes. A new segment begins when a record would not fit. A
    /// larger record has a segment of its own.
    pub segment_bytes: u64,
    /// True to repair a damaged log when the other servers are a majority without this one: it is
    /// cut where the damage begins, and the server is rejoining until it has caught up with them
    /// (repair by the other servers: docs/adr/0009). Otherwise a damaged log is refused.
    pub can_repair: bool,
    /// True when the other servers are a majority without this one, as far as the settings say. It
    /// counts while the log says nothing about the members.
    pub has_majority_of_others: bool,
    /// The id of the data directory, if it is new.
    pub new_incarnation: Incarnation,
    /// The formats that this server reads; a directory of another format is refused.
    pub formats: FormatRange,
}

/// The state that a data directory held. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurableState {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log, without its entries.
    pub log: LogSummary,
    /// Sentences for the server's log that say what was cut and what was repaired.
    pub notes: Vec<String>,
}

/// The open data directory of one server.
pub struct Storage {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    node_id: NodeId,
    /// The digest of the snapshot that the directory was restored from, if it was.
    restore_id: Option<u128>,
    incarnation: Incarnation,
    cluster_id: Option<ClusterId>,
    joined: Option<JoinedCluster>,
    is_held: bool,
    /// Maximum length of a segment's file in bytes, unless it holds one longer record.
    file_bytes_max: u64,
    hard_state: HardStateFile,
    index: RecordIndex,
    pool: SegmentPool,
    tail: TailSegment,
    /// True after an operation failed: from then on it is unknown what the disk holds.
    failed: bool,
    /// It holds the lock, and is the last field, so that the lock is released after all files
    /// are closed.
    presence: Presence,
}

impl Storage {
    /// Opens a data directory, which is created if it does not exist. The state that is returned
    /// is durable, whatever ended the process before.
    ///
    /// # Errors
    /// When another process holds the directory, when it is another server's, when it has a format
    /// that this server does not read, and when it is damaged and cannot be repaired. Then nothing
    /// in it is changed.
    pub fn open(
        disk: Box<dyn Disk>,
        dir: &Path,
        options: StorageOptions,
    ) -> Result<(Storage, DurableState), StorageError> {
        let node_id = options.node_id;
        disk.create_dir_all(dir).during("make the directory", dir)?;
        let mut presence = Presence::new(dir, take_lock(&*disk, dir)?);
        presence.hold(&*disk, dir)?;
        let Opened { scanned, restore_id, incarnation, cluster_id, joined } =
            examine_or_create(&*disk, dir, &options)?;
        let log_dir = log_dir(dir);
        disk.create_dir_all(&log_dir).during("make the directory", &log_dir)?;
        presence.hold(&*disk, &log_dir)?;
        let state = DurableState {
            hard_state: scanned.loaded.newest.hard_state,
            log: scanned.summary.clone(),
            notes: scanned.notes.clone(),
        };
        // The hard state is made durable first: only then may anything be removed that it says
        // is no longer part of the log.
        let mut hard_state = HardStateFile::open(&*disk, dir, &scanned.loaded)?;
        let start = scanned.loaded.newest.start;
        let file_bytes_max = tail::ordinary_file_bytes(options.segment_bytes);
        let mut pool = SegmentPool::open(&*disk, dir, start.first_segment, file_bytes_max)?;
        remove_obsolete_files(&*disk, dir, &scanned, &mut pool)?;
        let (tail, index) = if start.resetting {
            begin_log(&*disk, dir, node_id, &mut hard_state, &mut pool)?
        } else {
            make_durable(&*disk, dir, scanned, &mut hard_state)?
        };
        let is_held = hold::is_there(&*disk, dir)?;
        let dir = dir.to_owned();
        let storage = Storage {
            disk,
            dir,
            node_id,
            restore_id,
            incarnation,
            cluster_id,
            joined,
            is_held,
            file_bytes_max,
            hard_state,
            index,
            pool,
            tail,
            failed: false,
            presence,
        };
        Ok((storage, state))
    }

    /// The digest of the snapshot that the directory was restored from, if it was
    /// (docs/adr/0011).
    pub fn restore_id(&self) -> Option<u128> {
        self.restore_id
    }

    /// The id of the data directory.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The facts that the server learned of its cluster when it joined; `None` if it was one of
    /// the first members.
    pub fn joined(&self) -> Option<&JoinedCluster> {
        self.joined.as_ref()
    }

    /// The id of the directory's cluster, when it is known.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// Keeps the id of the cluster, which is committed, durably.
    ///
    /// # Errors
    /// When the disk fails, or an earlier operation has failed.
    pub fn keep_cluster_id(&mut self, cluster_id: ClusterId) -> Result<(), StorageError> {
        self.guarded(|storage| {
            if storage.cluster_id != Some(cluster_id) {
                cluster_id::create(&*storage.disk, &storage.dir, cluster_id)?;
                storage.cluster_id = Some(cluster_id);
            }
            Ok(())
        })
    }

    /// True when a person has asked this server to hold the format of its cluster.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Sets or removes the hold, durably.
    ///
    /// # Errors
    /// When the disk fails, or an earlier operation has failed.
    pub fn set_held(&mut self, is_held: bool) -> Result<(), StorageError> {
        self.guarded(|storage| {
            hold::set(&*storage.disk, &storage.dir, is_held)?;
            storage.is_held = is_held;
            Ok(())
        })
    }

    /// Marks the directory, durably: the next start moves its log and its snapshots aside
    /// (docs/adr/0025). Returns the error with which the server ends, which is that of the disk if
    /// the disk fails. Nothing more is done after it.
    pub fn mark_diverged(&mut self, divergence: Divergence) -> StorageError {
        let marked = self.guarded(|storage| {
            diverged::mark(&*storage.disk, &storage.dir, &divergence)?;
            let data_dir = storage.dir.clone();
            Err::<Infallible, StorageError>(StorageError::Diverged { divergence, data_dir })
        });
        match marked {
            Err(error) => error,
        }
    }

    /// The position after which the log begins; 0@0 until it was compacted.
    pub fn base(&self) -> LogPosition {
        self.index.runs().base()
    }

    /// The position of the last entry, durable or not.
    pub fn last(&self) -> LogPosition {
        self.index.runs().last()
    }

    /// Writes entries of consecutive indexes. They are durable after [`Storage::sync`]. When
    /// they begin at or below the last index, they replace the entries from there on.
    ///
    /// # Errors
    /// When a write fails, or an earlier operation has failed.
    ///
    /// # Panics
    /// When the entries leave a gap, when terms fall, and when a term is above that of the saved
    /// hard state, which has to be saved first.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        self.guarded(|storage| storage.write_records(entries))
    }

    /// Makes all entries that were appended durable. It does nothing when they are.
    ///
    /// # Errors
    /// When the sync fails, or an earlier operation has failed.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.guarded(|storage| storage.tail.sync(storage.index.runs().last()))
    }

    /// Makes a term and vote durable, in one record. It does nothing when they are.
    ///
    /// # Errors
    /// When a write or sync fails, or an earlier operation has failed.
    pub fn save_hard_state(&mut self, hard_state: HardState) -> Result<(), StorageError> {
        self.guarded(|storage| {
            if storage.hard_state.current().hard_state == hard_state {
                return Ok(());
            }
            storage.hard_state.save(hard_state, storage.durable_end())
        })
    }

    /// Records, durably, the place up to which the log is durable, so that a later start
    /// recognises damage before that place. It does nothing when the place is recorded.
    ///
    /// # Errors
    /// When a write or sync fails, or an earlier operation has failed.
    pub fn record_durable_end(&mut self) -> Result<(), StorageError> {
        self.guarded(|storage| {
            let current = storage.hard_state.current();
            let durable_end = storage.durable_end();
            if current.durable_end == durable_end {
                return Ok(());
            }
            storage.hard_state.save(current.hard_state, durable_end)
        })
    }

    /// Reads the entries from `from` to `to`, both included, until their [`Entry::weight_bytes`]
    /// would exceed `bytes_max`, but at least one. Returns no entries when `from` is not in the
    /// log. Entries that are not durable yet are read, too.
    ///
    /// # Errors
    /// When the disk cannot be read or returns other bytes than were written, or an earlier
    /// operation has failed.
    pub fn read(
        &mut self,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.guarded(|storage| storage.index.read(&*storage.disk, from, to, bytes_max))
    }

    /// Removes whole segments from the beginning of the log whose entries all come at or before
    /// `limit`. A durable snapshot has to cover the entries up to `limit`. Returns the new base
    /// of the log.
    ///
    /// # Errors
    /// When a write, a sync, a renaming or a removal fails, or an earlier operation has failed.
    pub fn compact(&mut self, limit: LogIndex) -> Result<LogPosition, StorageError> {
        self.guarded(|storage| {
            let start = storage.index.start_at_latest(limit);
            let obsolete = storage.index.first_segment()..start.first_segment;
            if !obsolete.is_empty() {
                // The decision is saved first. From then on these segments are not part of the
                // log, whatever their names.
                storage.hard_state.save_start(start, storage.durable_end())?;
                storage.index.compact(start);
                storage.pool.recycle(&*storage.disk, &storage.dir, obsolete)?;
            }
            Ok(start.base)
        })
    }

    /// Replaces the whole log by one without entries that begins after `base`, an entry that the
    /// log does not hold and that a durable snapshot covers (§7).
    ///
    /// # Errors
    /// When a write, a sync, a renaming or a removal fails, or an earlier operation has failed.
    ///
    /// # Panics
    /// When the log holds `base`: that is a compaction.
    pub fn reset(&mut self, base: LogPosition) -> Result<(), StorageError> {
        assert!(!self.index.runs().contains(base), "a log that reaches a snapshot goes on");
        self.guarded(|storage| {
            let obsolete = storage.index.first_segment()..=storage.index.last_segment();
            let start =
                LogStart { first_segment: storage.index.last_segment() + 1, base, resetting: true };
            // The decision is saved first, and in one record: a start completes it after a crash
            // at any later step.
            storage.hard_state.save_start(start, DurableEnd::at_start(start))?;
            storage.begin_log_anew(obsolete)
        })
    }

    /// Decides, durably, that this server is rejoining because it has lost `lost` of its past, and
    /// returns its new hard state. With `base` the log begins anew after that entry. It is one
    /// record: a start after a crash finds the old log of a voter, or completes the new one
    /// (docs/adr/0019).
    ///
    /// # Errors
    /// When the term is older than what was lost, when a write, a sync, a renaming or a removal
    /// fails, or an earlier operation has failed.
    pub fn rejoin(
        &mut self,
        base: Option<LogPosition>,
        lost: Lost,
    ) -> Result<HardState, StorageError> {
        self.guarded(|storage| {
            let current = storage.hard_state.current().hard_state.current_term;
            if lost.position.term > current {
                let (path, last) = (hard_state_path(&storage.dir), lost.position);
                return Err(StorageError::HardStateStale { path, current, last });
            }
            let Some(base) = base else {
                let (start, end) = (storage.hard_state.current().start, storage.durable_end());
                storage.hard_state.save_repair(start, end, lost)?;
                return Ok(storage.hard_state.current().hard_state);
            };
            let obsolete = storage.index.first_segment()..=storage.index.last_segment();
            let first_segment = storage.index.last_segment() + 1;
            let start = LogStart { first_segment, base, resetting: true };
            storage.hard_state.save_repair(start, DurableEnd::at_start(start), lost)?;
            storage.begin_log_anew(obsolete)?;
            Ok(storage.hard_state.current().hard_state)
        })
    }

    /// Creates the log that the hard state says is being reset, and lets go of the old one.
    fn begin_log_anew(&mut self, obsolete: RangeInclusive<u64>) -> Result<(), StorageError> {
        (self.tail, self.index) =
            begin_log(&*self.disk, &self.dir, self.node_id, &mut self.hard_state, &mut self.pool)?;
        self.pool.recycle(&*self.disk, &self.dir, obsolete)
    }

    /// Lets [`Storage::check_presence`] watch the directory of the snapshots as well.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn watch_snapshots(&mut self, snapshots: &SnapshotFiles) -> Result<(), StorageError> {
        self.presence.hold(&*self.disk, snapshots.dir())
    }

    /// Checks that a restart would find what is written here: that the directories, the lock
    /// file, the hard state and the last segment are still where they were opened, and that no
    /// other segment of the log was removed.
    ///
    /// # Errors
    /// When one of them is gone, or an earlier operation has failed.
    pub fn check_presence(&mut self) -> Result<(), StorageError> {
        self.guarded(|storage| {
            let presence = &storage.presence;
            presence.check()?;
            storage.hard_state.check_presence(presence)?;
            storage.tail.check_presence(presence)?;
            let there = segment_numbers(&*storage.disk, &storage.dir)?;
            let mut needed = storage.index.first_segment()..=storage.index.last_segment();
            match needed.find(|number| there.binary_search(number).is_err()) {
                Some(number) => Err(presence.gone(&segment_path(&storage.dir, number))),
                None => Ok(()),
            }
        })
    }

    /// Runs an operation unless an earlier one failed: nothing is tried after an error
    /// (docs/bugs.md B62).
    fn guarded<T>(
        &mut self,
        operation: impl FnOnce(&mut Storage) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.failed {
            return Err(StorageError::Stopped);
        }
        let result = operation(self).map_err(|error| match self.presence.check() {
            // A file was not found because its directory is gone, which says more.
            Err(gone @ StorageError::Gone { .. }) if error.is_not_found() => gone,
            _ => error,
        });
        self.failed = result.is_err();
        result
    }

    /// The place up to which the log is durable, recorded or not.
    fn durable_end(&self) -> DurableEnd {
        DurableEnd {
            segment: self.index.last_segment(),
            offset: self.tail.synced(),
            last: self.tail.synced_last(),
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
            let mut offset = self.tail.end() + buffer.len() as u64;
            let is_empty = offset == SEGMENT_HEADER_BYTES;
            if !is_empty && !tail::fits(offset + record_bytes, self.file_bytes_max) {
                self.write_tail(&mut buffer)?;
                self.begin_segment()?;
                offset = self.tail.end();
            }
            if let Err(what) = self.index.add_record(entry.position(), offset) {
                panic!("the caller appends what a log can hold: {what}");
            }
            let batch_start = offset == self.tail.synced();
            record::encode(entry, batch_start, self.tail.salt(), offset, &mut buffer);
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

    /// Ends the last segment and begins the next. All of a segment is durable before the next
    /// one exists, so only the last segment can be torn.
    fn begin_segment(&mut self) -> Result<(), StorageError> {
        let last = self.index.runs().last();
        self.tail.sync(last)?;
        let header = SegmentHeader {
            number: self.index.last_segment() + 1,
            salt: self.disk.salt(),
            node_id: self.node_id,
            prev: last,
        };
        let file = self.pool.create_segment(&*self.disk, &self.dir, &header)?;
        self.tail = TailSegment::new(&self.dir, &header, file)?;
        self.index.add_segment(&header);
        // From now on the file is known to exist: without it the server does not start, even if
        // no record in it is ever recorded as durable.
        let hard_state = self.hard_state.current().hard_state;
        self.hard_state.save(hard_state, self.durable_end())
    }
}

/// Creates the first segment of a log that is being reset, and its index. On return the new log
/// is durable.
fn begin_log(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    hard_state: &mut HardStateFile,
    pool: &mut SegmentPool,
) -> Result<(TailSegment, RecordIndex), StorageError> {
    let start = LogStart { resetting: false, ..hard_state.current().start };
    let (number, prev) = (start.first_segment, start.base);
    let header = SegmentHeader { number, salt: disk.salt(), node_id, prev };
    let file = pool.create_segment(disk, dir, &header)?;
    let tail = TailSegment::new(dir, &header, file)?;
    let mut index = RecordIndex::new(dir, start);
    index.add_segment(&header);
    hard_state.save_start(start, DurableEnd::at_start(start))?;
    Ok((tail, index))
}

/// A data directory whose lock is taken.
struct Opened {
    scanned: Scanned,
    restore_id: Option<u128>,
    incarnation: Incarnation,
    cluster_id: Option<ClusterId>,
    joined: Option<JoinedCluster>,
}

/// Reads and checks the whole directory, and creates it if it is new. Until everything is checked,
/// nothing is changed. Then a marked directory is set aside, and a damaged log repaired.
fn examine_or_create(
    disk: &dyn Disk,
    dir: &Path,
    options: &StorageOptions,
) -> Result<Opened, StorageError> {
    let StorageOptions { node_id, new_incarnation, formats, has_majority_of_others, .. } = *options;
    let owner = Identity { cluster: options.cluster.clone(), node_id, restore_id: None };
    let identified = identity::check(disk, dir, Some(&owner))?;
    let joined = members::read_of(disk, dir, &owner)?;
    if identified.is_none() {
        initialise(disk, dir, &owner, new_incarnation)?;
    }
    let mut examined = examine(disk, dir, node_id, formats)?;
    let incarnation = incarnation::read(disk, dir, examined.format())?;
    let cluster_id = cluster_id::read(disk, dir)?;
    let told = diverged::set_aside(disk, dir, node_id, &examined, has_majority_of_others)?;
    if told.is_some() {
        examined = examine(disk, dir, node_id, formats)?;
    }
    if let Some(damage) = examined.damage.as_ref().filter(|_| !options.can_repair) {
        return Err(StorageError::Irreparable { damage: damage.finding() });
    }
    let mut scanned =
        repair::repair_if_damaged(disk, dir, node_id, has_majority_of_others, examined)?;
    scanned.notes.extend(told);
    let incarnation = match incarnation {
        Some(incarnation) => incarnation,
        None => incarnation::create(disk, dir, new_incarnation)?,
    };
    let restore_id = identified.and_then(|(_, restore_id)| restore_id);
    Ok(Opened { scanned, restore_id, incarnation, cluster_id, joined })
}

/// Removes files that were being created when a crash came, and segments that are no longer part
/// of the log, as the hard state says.
fn remove_obsolete_files(
    disk: &dyn Disk,
    dir: &Path,
    scanned: &Scanned,
    pool: &mut SegmentPool,
) -> Result<(), StorageError> {
    let first_segment = scanned.loaded.newest.start.first_segment;
    // The numbers of segments that were cut off are used again, so their files are not.
    let (old, cut_off): (Vec<u64>, Vec<u64>) =
        scanned.obsolete.iter().partition(|number| **number < first_segment);
    pool.recycle(disk, dir, old)?;
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
        // The sync also makes names durable that were created but not synced.
        sync_dir(disk, dir)?;
    }
    Ok(())
}

/// Makes the log that the scan has read durable, and erases a torn tail.
fn make_durable(
    disk: &dyn Disk,
    dir: &Path,
    scanned: Scanned,
    hard_state: &mut HardStateFile,
) -> Result<(TailSegment, RecordIndex), StorageError> {
    let hard = scanned.loaded.newest;
    let number = scanned.index.last_segment();
    let path = segment_path(dir, number);
    let (header, mut file) = tail::make_durable(disk, dir, hard.durable_end, number, scanned.end)?;
    let last = scanned.summary.runs.last();
    let offset = scanned.end;
    let mut durable_end = DurableEnd { segment: number, offset, last, cutting: false };
    if scanned.torn_to.is_some() {
        // The decision is durable before the first byte is erased, so that a crash in between
        // cannot make the rest look like something else.
        durable_end.cutting = true;
        hard_state.save(hard.hard_state, durable_end)?;
        durable_end.cutting = false;
    }
    // The tail is erased, not stepped over, so that no later crash can bring it back
    // (docs/bugs.md B28). The bytes after the last record in its sector are erased, too: they
    // may be zero in the page cache only.
    let erase_to = scanned.torn_to.unwrap_or_else(|| sectors::file_bytes_to(scanned.end));
    tail::erase(&mut *file, scanned.end, erase_to).during("erase", &path)?;
    file.sync_data().during("sync", &path)?;
    hard_state.save(hard.hard_state, durable_end)?;
    let tail = TailSegment::at(dir, &header, file, scanned.end, last)?;
    Ok((tail, scanned.index))
}

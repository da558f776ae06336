//! Snapshot files (docs/adr/0008, docs/internals/snapshot_format.md).
//!
//! A file is a head, bodies, and a foot, each in a frame with a checksum. The
//! foot has the digest of all before it, and stands at the file's end: so a file
//! that was cut, has a hole, or is made of two, is none. What is in the bodies is
//! the business of whoever wrote them.
//!
//! ```text
//! <data_dir>/<id>/snapshot/00000000000000100000-3.snapshot    up to entry 100000@3
//!                          ...-3.<digest>.part                 being received
//! ```

mod part;
mod pieces;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::record::u32_at;
use super::segment::UNFINISHED;
use crate::types::{LogIndex, LogPosition, Membership, SnapshotId, Term};

pub use part::SnapshotPart;
pub use pieces::SnapshotPieces;

/// The version of the format of snapshot files.
pub const SNAPSHOT_FORMAT_VERSION: u32 = 1;
const FRAME_HEADER_BYTES: usize = 12;
const HEAD: [u8; 4] = *b"head";
const BODY: [u8; 4] = *b"body";
const FOOT: [u8; 4] = *b"foot";
/// Frames and digest.
const FOOT_BYTES: usize = 24;
/// More than any body has: a key and a value of the largest size, and what is
/// around them.
const BODY_BYTES_MAX: usize = 80 * 1024 * 1024;
/// So much is written between two syncs. One sync of it all would hold up those
/// of the log for as long as it takes.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;

/// What a snapshot stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The name of the cluster.
    pub cluster: String,
    /// The last entry that is in it.
    pub last: LogPosition,
    /// That entry's stamp.
    pub stamp_ms: u64,
    /// The members in force at `last`, and the entry that says so; `None` before
    /// the first such entry.
    pub membership: Option<(LogIndex, Membership)>,
}

/// A snapshot as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// What it stands for.
    pub head: SnapshotHead,
    /// Its size.
    pub bytes: u64,
    /// Of all before the foot: equal files, and only they, have equal digests.
    pub digest: u128,
}

impl SnapshotFile {
    /// Which it is.
    pub fn id(&self) -> SnapshotId {
        SnapshotId { last: self.head.last, bytes: self.bytes, digest: self.digest }
    }
}

/// The snapshots of one server.
pub struct Snapshots {
    disk: Box<dyn Disk>,
    dir: PathBuf,
}

impl Snapshots {
    /// So many files are kept: the newest, and one in case it is damaged.
    pub const KEPT: usize = 2;

    /// Opens the directory of a server's snapshots, and makes it when it is not
    /// there. The data directory has to be locked.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn open(disk: Box<dyn Disk>, data_dir: &Path) -> Result<Snapshots, StorageError> {
        let snapshots = Snapshots::at(disk, data_dir);
        let dir = &snapshots.dir;
        snapshots.disk.create_dir_all(dir).during("make the directory", dir)?;
        snapshots.disk.sync_dir(data_dir).during("sync the directory", data_dir)?;
        snapshots.remove_where(|name| name.ends_with(UNFINISHED))?;
        Ok(snapshots)
    }

    /// Those of a directory as it is.
    pub(super) fn at(disk: Box<dyn Disk>, data_dir: &Path) -> Snapshots {
        Snapshots { disk, dir: data_dir.join("snapshot") }
    }

    /// The positions of all snapshots, newest first, by their names.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<LogPosition>, StorageError> {
        let names = self.disk.list(&self.dir).during("list", &self.dir)?;
        let mut found: Vec<LogPosition> = names.iter().filter_map(|name| position(name)).collect();
        found.sort_unstable_by_key(|last| std::cmp::Reverse(last.index));
        Ok(found)
    }

    /// Writes a snapshot; it is durable on return, and only the two newest are
    /// kept.
    ///
    /// # Errors
    /// When a write or sync fails; there is no new snapshot then.
    pub fn write(
        &self,
        head: &SnapshotHead,
        mut bodies: impl Iterator<Item = Vec<u8>>,
    ) -> Result<SnapshotFile, StorageError> {
        self.write_with(head, |writer| bodies.try_for_each(|body| writer.frame(BODY, &body)))
    }

    /// Writes the snapshot in the file `source`, which belongs to nobody, as one of
    /// `cluster`, which has no members yet (docs/adr/0011).
    pub(super) fn adopt(&self, source: &Path, cluster: &str) -> Result<SnapshotFile, StorageError> {
        let found = read_snapshot(&*self.disk, source, |_| Ok::<(), StorageError>(()))?;
        let (cluster, membership) = (cluster.to_owned(), None);
        let head = SnapshotHead { cluster, membership, ..found.head.clone() };
        self.write_with(&head, |writer| {
            let copied = read_snapshot(&*self.disk, source, |body| writer.frame(BODY, body))?;
            if copied.id() != found.id() {
                return Err(damaged(source, 0, "it changed while it was read"));
            }
            Ok(())
        })
    }

    fn write_with(
        &self,
        head: &SnapshotHead,
        add_bodies: impl FnOnce(&mut Writer) -> Result<(), StorageError>,
    ) -> Result<SnapshotFile, StorageError> {
        let path = self.path(head.last);
        let unfinished = self.dir.join(format!("{}{UNFINISHED}", name(head.last)));
        let mut writer = Writer::create(&*self.disk, unfinished.clone())?;
        writer.frame(HEAD, &encode_head(head))?;
        add_bodies(&mut writer)?;
        let (bytes, digest) = writer.finish()?;
        self.disk.rename(&unfinished, &path).during("rename to", &path)?;
        self.sync_dir()?;
        self.remove_old()?;
        Ok(SnapshotFile { head: head.clone(), bytes, digest })
    }

    /// Reads a snapshot from its first to its last byte, and hands out its bodies
    /// one by one. Whatever they were good for is worth nothing before this
    /// returns: only then is the file known to be whole.
    ///
    /// # Errors
    /// When it cannot be read or is damaged, and what `take` returns.
    pub fn read<E: From<StorageError>>(
        &self,
        last: LogPosition,
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<SnapshotFile, E> {
        read_snapshot(&*self.disk, &self.path(last), take)
    }

    /// Checks that a snapshot is of this cluster.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_owner(&self, file: &SnapshotFile, cluster: &str) -> Result<(), StorageError> {
        if file.head.cluster == cluster {
            return Ok(());
        }
        Err(StorageError::OtherSnapshot {
            path: self.path(file.head.last),
            found: file.head.cluster.clone(),
            cluster: cluster.to_owned(),
        })
    }

    /// The error of a log that begins behind `base` when no snapshot reaches that.
    pub fn missing(&self, base: LogPosition) -> StorageError {
        StorageError::SnapshotMissing { path: self.dir.clone(), base }
    }

    /// Removes a snapshot that has turned out to be damaged.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn remove(&self, last: LogPosition) -> Result<(), StorageError> {
        let damaged = name(last);
        self.remove_where(|name| name == damaged)
    }

    /// Removes what is only a part of a snapshot: there is no room for the rest.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn remove_unfinished(&self) -> Result<(), StorageError> {
        self.remove_where(|name| name.ends_with(UNFINISHED) || name.ends_with(part::PART))
    }

    fn path(&self, last: LogPosition) -> PathBuf {
        self.dir.join(name(last))
    }

    fn remove_old(&self) -> Result<(), StorageError> {
        let old: Vec<String> = self.list()?.into_iter().skip(Snapshots::KEPT).map(name).collect();
        self.remove_where(|name| old.iter().any(|old| old == name))
    }

    fn remove_where(&self, is_worthless: impl Fn(&str) -> bool) -> Result<(), StorageError> {
        for name in self.disk.list(&self.dir).during("list", &self.dir)? {
            if is_worthless(&name) {
                let path = self.dir.join(name);
                self.disk.remove(&path).during("remove", &path)?;
            }
        }
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        if mutant!(B63c) {
            return Ok(());
        }
        self.disk.sync_dir(&self.dir).during("sync the directory", &self.dir)
    }
}

/// Whether a data directory has snapshots, whole or not.
pub(super) fn is_any_there(disk: &dyn Disk, data_dir: &Path) -> std::io::Result<bool> {
    match disk.list(&data_dir.join("snapshot")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        names => Ok(names?.iter().any(|name| position(name).is_some())),
    }
}

fn name(last: LogPosition) -> String {
    format!("{:020}-{}.snapshot", last.index.0, last.term)
}

/// The position in a snapshot's name; `None` for other files.
pub(super) fn position(file_name: &str) -> Option<LogPosition> {
    let (index, term) = file_name.strip_suffix(".snapshot")?.split_once('-')?;
    let last = LogPosition { index: LogIndex(index.parse().ok()?), term: Term(term.parse().ok()?) };
    (name(last) == file_name).then_some(last)
}

fn encode_head(head: &SnapshotHead) -> Vec<u8> {
    let mut body = SNAPSHOT_FORMAT_VERSION.to_le_bytes().to_vec();
    rmp_serde::encode::write(&mut body, head)
        .expect("numbers and text always encode to MessagePack in memory");
    body
}

fn decode_head(body: &[u8]) -> Result<SnapshotHead, String> {
    let Some((version, head)) = body.split_first_chunk::<4>() else {
        return Err("its head is too short".into());
    };
    let version = u32::from_le_bytes(*version);
    if version != SNAPSHOT_FORMAT_VERSION {
        return Err(format!(
            "the snapshot has format version {version}, this server knows {SNAPSHOT_FORMAT_VERSION}"
        ));
    }
    rmp_serde::from_slice(head).map_err(|error| format!("its head does not decode: {error}"))
}

/// The checksum of a frame; the frame's number is in it, so that none can stand
/// in another's place.
fn checksum(number: u64, kind: [u8; 4], body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), &kind);
    crc32c::crc32c_append(head, body)
}

/// A file in the making.
struct Writer {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    offset: u64,
    synced: u64,
    frames: u64,
    digest: Xxh3,
}

impl Writer {
    fn create(disk: &dyn Disk, path: PathBuf) -> Result<Writer, StorageError> {
        let file = disk.open(&path, OpenMode::Create).during("create", &path)?;
        Ok(Writer { path, file, offset: 0, synced: 0, frames: 0, digest: Xxh3::new() })
    }

    fn frame(&mut self, kind: [u8; 4], body: &[u8]) -> Result<(), StorageError> {
        let length = u32::try_from(body.len())
            .ok()
            .filter(|length| *length as usize <= BODY_BYTES_MAX)
            .expect("a block has some records, and the largest record is far below the limit");
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
        frame.extend_from_slice(&kind);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&checksum(self.frames, kind, body).to_le_bytes());
        frame.extend_from_slice(body);
        self.file.write_at(self.offset, &frame).during("write", &self.path)?;
        self.digest.update(&frame);
        self.offset += frame.len() as u64;
        self.frames += 1;
        if self.offset - self.synced >= SYNC_EVERY_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.synced = self.offset;
        self.file.sync_data().during("sync", &self.path)
    }

    /// Size and digest.
    fn finish(mut self) -> Result<(u64, u128), StorageError> {
        let digest = self.digest.digest128();
        let mut foot = self.frames.to_le_bytes().to_vec();
        foot.extend_from_slice(&digest.to_le_bytes());
        self.frame(FOOT, &foot)?;
        self.sync()?;
        Ok((self.offset, digest))
    }
}

/// Reads a file as [`Snapshots::read`] does, wherever it is.
///
/// # Errors
/// Likewise.
pub fn read_snapshot<E: From<StorageError>>(
    disk: &dyn Disk,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<SnapshotFile, E> {
    let mut reader = Reader::open(disk, path)?;
    let first = reader.frame()?;
    if first.kind != HEAD {
        return Err(reader.damaged("it does not begin with a head").into());
    }
    let head = decode_head(&first.body).map_err(|what| reader.damaged(what))?;
    loop {
        let (frames, digest) = (reader.frames, reader.digest.digest128());
        let frame = reader.frame()?;
        match frame.kind {
            BODY => take(&frame.body)?,
            FOOT => {
                reader.check_foot(&frame.body, frames, digest)?;
                return Ok(SnapshotFile { head, bytes: reader.offset, digest });
            }
            _ => return Err(reader.damaged("this is no body and no foot").into()),
        }
    }
}

struct Reader {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    bytes: u64,
    offset: u64,
    frames: u64,
    digest: Xxh3,
}

struct Frame {
    header: [u8; FRAME_HEADER_BYTES],
    kind: [u8; 4],
    body: Vec<u8>,
}

impl Reader {
    fn open(disk: &dyn Disk, path: &Path) -> Result<Reader, StorageError> {
        let path = path.to_owned();
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let bytes = file.bytes().during("look at", &path)?;
        Ok(Reader { path, file, bytes, offset: 0, frames: 0, digest: Xxh3::new() })
    }

    fn damaged(&self, what: impl Into<String>) -> StorageError {
        damaged(&self.path, self.offset, what)
    }

    fn frame(&mut self) -> Result<Frame, StorageError> {
        let header = self.header(self.offset)?;
        let kind = [header[0], header[1], header[2], header[3]];
        // Before anything is allocated on the word of a length.
        let end = self.end_of(self.offset, &header)?;
        let length = u32_at(&header, 4) as usize;
        let mut body = vec![0; length];
        let body_at = self.offset + FRAME_HEADER_BYTES as u64;
        let read = self.file.read_at(body_at, &mut body).during("read", &self.path)?;
        let is_whole = checksum(self.frames, kind, &body) == u32_at(&header, 8);
        if read < length || !(is_whole || mutant!(B57)) {
            return Err(self.damaged("a frame does not match its checksum"));
        }
        self.digest.update(&header);
        self.digest.update(&body);
        self.offset = end;
        self.frames += 1;
        Ok(Frame { header, kind, body })
    }

    fn header(&self, offset: u64) -> Result<[u8; FRAME_HEADER_BYTES], StorageError> {
        let mut header = [0; FRAME_HEADER_BYTES];
        if self.file.read_at(offset, &mut header).during("read", &self.path)? < header.len() {
            return Err(self.damaged("the snapshot ends in the middle"));
        }
        Ok(header)
    }

    /// Where the frame ends that has this header.
    fn end_of(&self, offset: u64, header: &[u8; FRAME_HEADER_BYTES]) -> Result<u64, StorageError> {
        let length = u32_at(header, 4) as usize;
        let end = offset + (FRAME_HEADER_BYTES + length) as u64;
        if length > BODY_BYTES_MAX || end > self.bytes {
            return Err(self.damaged(format!("a frame of {length} bytes does not fit here")));
        }
        Ok(end)
    }

    /// Where the frame at `offset` ends, by its unchecked header.
    fn frame_end(&self, offset: u64) -> Result<u64, StorageError> {
        self.end_of(offset, &self.header(offset)?)
    }

    fn check_foot(&self, foot: &[u8], frames: u64, digest: u128) -> Result<(), StorageError> {
        let mut expected = frames.to_le_bytes().to_vec();
        expected.extend_from_slice(&digest.to_le_bytes());
        let is_checked = !mutant!(B56) && !mutant!(B57);
        if foot.len() != FOOT_BYTES || (foot != expected && is_checked) {
            return Err(self.damaged("the snapshot does not match its digest"));
        }
        if self.offset != self.bytes {
            return Err(self.damaged("something stands behind the snapshot's end"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

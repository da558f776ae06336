//! The format of a snapshot file: a head, bodies and a foot, each in a frame with a checksum.
//! docs/internals/snapshot_format.md draws it.
//!
//! The foot has the digest of everything before it, and the file ends with it. So a truncated,
//! sparse or spliced file fails the digest in the foot and is rejected.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::durable_names::{UNFINISHED, rename};
use crate::storage::error::{DecodeError, IoContext, StorageError, damaged, unreadable_here};
use crate::storage::little_endian::u32_at;
use crate::types::{
    ClusterId, ClusterState, Format, FormatInForce, FormatRange, LogIndex, LogPosition, Membership,
    SINCE_BYTES_MAX, SeedMembership, SnapshotId, decode_exact,
};

/// The version of the newest layout of snapshot files.
pub const SNAPSHOT_FORMAT_VERSION: u32 = 5;
/// The layout of format 1.
const FIRST_VERSION: u32 = 2;
/// The layout of format 2.
const SECOND_VERSION: u32 = 3;
/// The layout of format 3. The next one has the same head, and other blocks.
const THIRD_VERSION: u32 = 4;
/// Size of a frame's header in bytes.
const FRAME_HEADER_BYTES: usize = 12;
const HEAD: [u8; 4] = *b"head";
const BODY: [u8; 4] = *b"body";
const FOOT: [u8; 4] = *b"foot";
/// Maximum size of a frame's body in bytes. It is more than a key and a value of the largest
/// size need with their encoding.
const BODY_BYTES_MAX: usize = 80 * 1024 * 1024;
/// Number of bytes that are written between two syncs. One sync of the whole file would delay
/// the syncs of the log for as long as it takes.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;

/// The head of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The name of the cluster.
    pub cluster: String,
    /// The last entry that is in the snapshot.
    pub last: LogPosition,
    /// The stamp of that entry, in milliseconds.
    pub stamp_ms: u64,
    /// The facts about the cluster at `last`.
    pub state: ClusterState,
}

impl SnapshotHead {
    /// The version of the file's layout, which follows from the format in force at `last`.
    pub fn version(&self) -> u32 {
        version_of(self.state.format.format)
    }
}

/// The version of the layout of files of a format.
fn version_of(format: Format) -> u32 {
    match format {
        Format(0 | 1) => FIRST_VERSION,
        Format(2) => SECOND_VERSION,
        Format(3) => THIRD_VERSION,
        _ => SNAPSHOT_FORMAT_VERSION,
    }
}

/// A head in layout 2, of format 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstHead {
    cluster: String,
    last: LogPosition,
    stamp_ms: u64,
    membership: Option<(LogIndex, SeedMembership)>,
}

/// A head in layout 3, of format 2, without the format, which comes before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondHead {
    cluster: String,
    last: LogPosition,
    stamp_ms: u64,
    membership: Option<(LogIndex, SeedMembership)>,
    cluster_id: Option<ClusterId>,
}

/// A head in layout 4, from format 3 on, without the format, which comes before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    cluster: String,
    last: LogPosition,
    stamp_ms: u64,
    membership: Option<(LogIndex, Membership)>,
    cluster_id: Option<ClusterId>,
}

/// A snapshot as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The head.
    pub head: SnapshotHead,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The digest of everything before the foot. Files are equal exactly when their digests are.
    pub digest: u128,
}

impl SnapshotFile {
    /// The id of the snapshot.
    pub fn id(&self) -> SnapshotId {
        SnapshotId { last: self.head.last, bytes: self.bytes, digest: self.digest }
    }
}

pub(super) fn encode_head(head: &SnapshotHead) -> Vec<u8> {
    let SnapshotHead { cluster, last, stamp_ms, state } = head.clone();
    let ClusterState { membership, format, cluster_id } = state;
    let mut body = head.version().to_le_bytes().to_vec();
    if head.version() > FIRST_VERSION {
        encode_format(&format, &mut body);
    }
    let encoded = match head.version() {
        FIRST_VERSION => {
            let membership = membership.map(to_seed);
            let head = FirstHead { cluster, last, stamp_ms, membership };
            rmp_serde::encode::write(&mut body, &head)
        }
        SECOND_VERSION => {
            let membership = membership.map(to_seed);
            let head = SecondHead { cluster, last, stamp_ms, membership, cluster_id };
            rmp_serde::encode::write(&mut body, &head)
        }
        _ => {
            let head = Head { cluster, last, stamp_ms, membership, cluster_id };
            rmp_serde::encode::write(&mut body, &head)
        }
    };
    encoded.expect("numbers and text always encode to MessagePack in memory");
    body
}

pub(super) fn decode_head(body: &[u8]) -> Result<SnapshotHead, DecodeError> {
    let Some((version, head)) = body.split_first_chunk::<4>() else {
        return Err(DecodeError::Damaged("its head is too short".into()));
    };
    let unknown = |error| DecodeError::Unknown(format!("its head does not decode: {error}"));
    let version = u32::from_le_bytes(*version);
    if version == FIRST_VERSION {
        let FirstHead { cluster, last, stamp_ms, membership } =
            decode_exact(head).map_err(unknown)?;
        let membership = membership.map(from_seed);
        let state = ClusterState { membership, ..ClusterState::default() };
        return Ok(SnapshotHead { cluster, last, stamp_ms, state });
    }
    let known = || {
        DecodeError::Unknown(format!(
            "the snapshot has layout {version}, and this server knows {FIRST_VERSION} to \
             {SNAPSHOT_FORMAT_VERSION}"
        ))
    };
    if version < FIRST_VERSION {
        return Err(known());
    }
    let (format, head) = decode_format(head).ok_or_else(known)?;
    if format.format > FormatRange::OWN.highest {
        return Err(DecodeError::Newer(format));
    }
    if version != version_of(format.format) {
        return Err(known());
    }
    if version == SECOND_VERSION {
        let SecondHead { cluster, last, stamp_ms, membership, cluster_id } =
            decode_exact(head).map_err(unknown)?;
        let state = ClusterState { membership: membership.map(from_seed), format, cluster_id };
        return Ok(SnapshotHead { cluster, last, stamp_ms, state });
    }
    let Head { cluster, last, stamp_ms, membership, cluster_id } =
        decode_exact(head).map_err(unknown)?;
    if let Some(fault) = membership.as_ref().and_then(|(_, membership)| membership.fault()) {
        return Err(DecodeError::Unknown(format!("its head has no members of a cluster: {fault}")));
    }
    let state = ClusterState { membership, format, cluster_id };
    Ok(SnapshotHead { cluster, last, stamp_ms, state })
}

fn to_seed((index, membership): (LogIndex, Membership)) -> (LogIndex, SeedMembership) {
    (index, SeedMembership { voters: membership.voters })
}

fn from_seed((index, seed): (LogIndex, SeedMembership)) -> (LogIndex, Membership) {
    (index, Membership::seed(seed.voters))
}

/// Appends the format of a snapshot. From layout 3 on, every layout has it right after the number
/// of the layout, for ever. So a program that does not know a layout can name one that does.
fn encode_format(in_force: &FormatInForce, out: &mut Vec<u8>) {
    let text = in_force.text();
    let length = u8::try_from(text.len()).expect("the text has at most SINCE_BYTES_MAX bytes");
    out.extend_from_slice(&in_force.format.0.to_le_bytes());
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

/// Returns the format, and the bytes after it.
fn decode_format(bytes: &[u8]) -> Option<(FormatInForce, &[u8])> {
    let (format, bytes) = bytes.split_first_chunk::<4>()?;
    let (length, bytes) = bytes.split_first()?;
    let (text, bytes) = bytes.split_at_checked(usize::from(*length))?;
    let text = std::str::from_utf8(text).ok()?;
    let format = Format(u32::from_le_bytes(*format));
    let is_valid = format >= Format::FIRST && text.len() <= SINCE_BYTES_MAX;
    is_valid.then(|| (FormatInForce::read(format, text), bytes))
}

/// The checksum of a frame. It covers the number of the frame, so that no frame passes for
/// another.
fn checksum(number: u64, kind: [u8; 4], body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), &kind);
    crc32c::crc32c_append(head, body)
}

/// A writer of the frames of one file.
pub(super) struct FrameWriter {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Number of bytes that were written.
    offset: u64,
    /// Number of bytes that were synced.
    synced: u64,
    /// Number of frames that were written.
    frames: u64,
    /// The digest of everything that was written.
    digest: Xxh3,
}

impl FrameWriter {
    /// Creates the file and writes its head.
    pub(super) fn create(
        disk: &dyn Disk,
        path: PathBuf,
        head: &SnapshotHead,
    ) -> Result<FrameWriter, StorageError> {
        let file = disk.open(&path, OpenMode::Create).during("create", &path)?;
        let mut writer =
            FrameWriter { path, file, offset: 0, synced: 0, frames: 0, digest: Xxh3::new() };
        writer.frame(HEAD, &encode_head(head))?;
        Ok(writer)
    }

    /// Writes a body.
    pub(super) fn body(&mut self, body: &[u8]) -> Result<(), StorageError> {
        self.frame(BODY, body)
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

    /// Writes the foot and syncs the file. Returns its size in bytes and its digest.
    pub(super) fn finish(mut self) -> Result<(u64, u128), StorageError> {
        let digest = self.digest.digest128();
        let mut foot = self.frames.to_le_bytes().to_vec();
        foot.extend_from_slice(&digest.to_le_bytes());
        self.frame(FOOT, &foot)?;
        self.sync()?;
        Ok((self.offset, digest))
    }
}

/// Writes a snapshot to a file of its own, which is durable on return.
///
/// # Errors
/// When the disk fails, and the errors of `bodies`.
pub fn write_snapshot<E: From<StorageError>>(
    disk: &dyn Disk,
    path: &Path,
    head: &SnapshotHead,
    mut bodies: impl Iterator<Item = Result<Vec<u8>, E>>,
) -> Result<SnapshotFile, E> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let mut writer = FrameWriter::create(disk, unfinished.clone(), head)?;
    bodies.try_for_each(|body| Ok::<(), E>(writer.body(&body?)?))?;
    let (bytes, digest) = writer.finish()?;
    rename(disk, &unfinished, path)?;
    Ok(SnapshotFile { head: head.clone(), bytes, digest })
}

/// Reads a snapshot file from its first to its last byte, and hands its bodies to `take` one by
/// one. The bodies must not be used before this returns: only then is the file known to be
/// whole.
///
/// # Errors
/// When the file cannot be read, is damaged or has a format that this program does not read, and
/// the errors of `take`.
pub fn read_snapshot<E: From<StorageError>>(
    disk: &dyn Disk,
    path: &Path,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<SnapshotFile, E> {
    read_snapshot_of(FormatRange::OWN, disk, path, take)
}

/// Reads the head of a snapshot file, and nothing else.
pub(super) fn read_head(
    formats: FormatRange,
    disk: &dyn Disk,
    path: &Path,
) -> Result<SnapshotHead, StorageError> {
    FrameReader::open(disk, path)?.head(formats)
}

/// Reads a snapshot file as [`read_snapshot`] does, for a server that reads `formats`.
pub(super) fn read_snapshot_of<E: From<StorageError>>(
    formats: FormatRange,
    disk: &dyn Disk,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<SnapshotFile, E> {
    let mut reader = FrameReader::open(disk, path)?;
    let head = reader.head(formats)?;
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

/// A reader of the frames of one file.
pub(super) struct FrameReader {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Size of the file in bytes.
    bytes: u64,
    /// The position in the file of the next frame.
    offset: u64,
    /// Number of the next frame, from 0.
    frames: u64,
    /// The digest of the frames that were read.
    digest: Xxh3,
}

/// A frame whose checksum is right.
struct Frame {
    header: [u8; FRAME_HEADER_BYTES],
    kind: [u8; 4],
    body: Vec<u8>,
}

impl FrameReader {
    /// Opens a file.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<FrameReader, StorageError> {
        let path = path.to_owned();
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let bytes = file.bytes().during("look at", &path)?;
        Ok(FrameReader { path, file, bytes, offset: 0, frames: 0, digest: Xxh3::new() })
    }

    /// Size of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns an error that says where the file is damaged, and how.
    pub(super) fn damaged(&self, what: impl Into<String>) -> StorageError {
        damaged(&self.path, self.offset, what)
    }

    /// Returns the bytes of frame `number`, which begins at `offset`: its header and its body.
    pub(super) fn frame_at(&mut self, number: u64, offset: u64) -> Result<Vec<u8>, StorageError> {
        (self.frames, self.offset) = (number, offset);
        let Frame { header, body, .. } = self.frame()?;
        let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads the first frame.
    fn head(&mut self, formats: FormatRange) -> Result<SnapshotHead, StorageError> {
        let first = self.frame()?;
        if first.kind != HEAD {
            return Err(self.damaged("it does not begin with a head"));
        }
        // The frame is whole, so what does not decode was written so.
        let head = decode_head(&first.body).map_err(|error| error.at(&self.path, 0))?;
        if !formats.contains(head.state.format.format) {
            return Err(unreadable_here(&self.path, head.state.format, formats));
        }
        Ok(head)
    }

    /// Reads the next frame and checks it.
    fn frame(&mut self) -> Result<Frame, StorageError> {
        let header = self.header(self.offset)?;
        let kind = [header[0], header[1], header[2], header[3]];
        // The length is checked before a buffer of that length is allocated.
        let end = self.end_of(self.offset, &header)?;
        let length = u32_at(&header, 4) as usize;
        let mut body = vec![0; length];
        let body_at = self.offset + FRAME_HEADER_BYTES as u64;
        let read = self.file.read_at(body_at, &mut body).during("read", &self.path)?;
        let is_whole = checksum(self.frames, kind, &body) == u32_at(&header, 8);
        if read < length || !is_whole {
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

    /// Returns the position at which the frame with this header ends.
    fn end_of(&self, offset: u64, header: &[u8; FRAME_HEADER_BYTES]) -> Result<u64, StorageError> {
        let length = u32_at(header, 4) as usize;
        let end = offset + (FRAME_HEADER_BYTES + length) as u64;
        if length > BODY_BYTES_MAX || end > self.bytes {
            return Err(self.damaged(format!("a frame of {length} bytes does not fit here")));
        }
        Ok(end)
    }

    /// Returns the position at which the frame at `offset` ends, as its unchecked header says.
    pub(super) fn frame_end(&self, offset: u64) -> Result<u64, StorageError> {
        self.end_of(offset, &self.header(offset)?)
    }

    fn check_foot(&self, foot: &[u8], frames: u64, digest: u128) -> Result<(), StorageError> {
        let mut expected = frames.to_le_bytes().to_vec();
        expected.extend_from_slice(&digest.to_le_bytes());
        if foot != expected {
            return Err(self.damaged("the snapshot does not match its digest"));
        }
        if self.offset != self.bytes {
            return Err(self.damaged("something stands behind the snapshot's end"));
        }
        Ok(())
    }
}

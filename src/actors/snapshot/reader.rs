//! SnapshotReaderActor: reads chunks of snapshots, for peers and for backups
//! (docs/adr/0008, docs/adr/0011).
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`ReadSnapshotRequest`] | ReplicatorActor | [`SnapshotRead`] | the sender |
//! | [`QuerySnapshots`] | RaftActor | [`SnapshotsQueried`] | the sender |
//! | [`WriterReport`] | SnapshotWriterActor | | |
//! | [`Probe`] | ProberActor | | |
//! | a file is damaged or gone | | [`SnapshotUnreadable`] | SnapshotWriterActor |
//! | an error of the disk | | [`StorageFailed`] | `node` |
//!
//! It owns the files that are open to be read: the one of the last chunk for a peer, and the
//! one that a client fetches. It changes no file. It runs on an arbiter of its own,
//! because the disk blocks, and serves while SnapshotWriterActor writes.
//!
//! A damaged file is not offered again once the damage is found; the writer removes it and
//! tells RaftActor. Any other error of the disk ends the process.

use std::cmp::Reverse;
use std::io;

use actix::{Actor, Context, Handler, Recipient};
use bytes::Bytes;

use crate::actors::messages::lifecycle::{Probe, StorageFailed};
use crate::actors::messages::snapshots::{
    QuerySnapshots, ReadSnapshotRequest, SnapshotRead, SnapshotUnreadable, SnapshotsQueried,
    StoredSnapshot, WriterReport,
};
use crate::protocol::{SnapshotAnswer, SnapshotQuery};
use crate::raft::ReadSnapshot;
use crate::storage::{SnapshotChunks, SnapshotFile, SnapshotFiles, StorageError};
use crate::types::{LogIndex, LogPosition, SnapshotId};

/// The recipients of SnapshotReaderActor's messages.
#[derive(Clone, Debug)]
pub struct SnapshotReaderPorts {
    /// SnapshotWriterActor.
    pub writer: Recipient<SnapshotUnreadable>,
    /// Ends the process.
    pub fatal: Recipient<StorageFailed>,
}

/// The actor that reads snapshots.
pub struct SnapshotReaderActor {
    /// `None` after an error.
    snapshots: Option<SnapshotFiles>,
    ports: SnapshotReaderPorts,
    /// The files that are known to have been whole, newest first, at most
    /// [`SnapshotFiles::KEPT`]. The writer may have pruned one of them already.
    files: Vec<StoredSnapshot>,
    /// The file of the last chunk for a peer.
    open: Option<(SnapshotId, SnapshotChunks)>,
    /// The snapshot that a client fetches.
    fetched: Option<Fetched>,
}

/// A snapshot that a client fetches for a backup. It stays open, so that it can be read to
/// its end even when two newer ones have taken its place. Otherwise the backup of a large
/// store under load would never end.
struct Fetched {
    id: SnapshotId,
    /// The number of its file.
    number: u64,
    chunks: SnapshotChunks,
    /// True when it was read since the writer last saved a snapshot or found no room for
    /// one. If it was not, the client is taken to have left.
    was_used: bool,
}

impl SnapshotReaderActor {
    /// A reader of `snapshots`, of which `files` were found to be whole at the start.
    pub fn new(
        snapshots: SnapshotFiles,
        files: Vec<SnapshotFile>,
        ports: SnapshotReaderPorts,
    ) -> SnapshotReaderActor {
        let files = files.into_iter().map(|file| StoredSnapshot { file, number: 0 }).collect();
        SnapshotReaderActor { snapshots: Some(snapshots), ports, files, open: None, fetched: None }
    }
}

impl Actor for SnapshotReaderActor {
    type Context = Context<Self>;
}

impl Handler<ReadSnapshotRequest> for SnapshotReaderActor {
    type Result = ();

    fn handle(&mut self, message: ReadSnapshotRequest, _ctx: &mut Context<Self>) {
        let ReadSnapshotRequest { read, reply_to } = message;
        let ReadSnapshot { ticket, snapshot, offset, bytes_max } = read;
        let piece = loop {
            let is_wanted =
                |known: &&StoredSnapshot| snapshot.is_none_or(|id| known.file.id() == id);
            let Some(stored) = self.files.iter().find(is_wanted).cloned() else { break None };
            match self.read_chunk(&stored, offset, bytes_max) {
                Some(bytes) => break Some((stored.file.id(), bytes)),
                None if self.snapshots.is_none() => return,
                None => {} // it is unreadable; perhaps there is another one
            }
        };
        reply_to.do_send(SnapshotRead { ticket, piece, offset });
    }
}

impl Handler<QuerySnapshots> for SnapshotReaderActor {
    type Result = ();

    fn handle(&mut self, message: QuerySnapshots, _ctx: &mut Context<Self>) {
        let QuerySnapshots { ticket, query, reply_to } = message;
        let answer = match query {
            SnapshotQuery::Find { index } => self.find(index).map(SnapshotAnswer::Found),
            SnapshotQuery::Read { last, digest, offset, bytes_max } => self
                .fetch(last, digest, offset, bytes_max)
                .map(|bytes| SnapshotAnswer::Piece(Bytes::from(bytes))),
        };
        let answer = answer.unwrap_or(SnapshotAnswer::NotFound);
        reply_to.do_send(SnapshotsQueried { ticket, answer });
    }
}

impl Handler<Probe> for SnapshotReaderActor {
    type Result = ();

    fn handle(&mut self, Probe { mailbox }: Probe, _ctx: &mut Context<Self>) {
        mailbox.end();
    }
}

impl Handler<WriterReport> for SnapshotReaderActor {
    type Result = ();

    fn handle(&mut self, report: WriterReport, _ctx: &mut Context<Self>) {
        match report {
            WriterReport::Received(stored) => self.add_file(stored),
            WriterReport::Written(stored) => {
                self.add_file(stored);
                self.close_if_abandoned();
            }
            WriterReport::NoRoom => self.close_if_abandoned(),
        }
    }
}

impl SnapshotReaderActor {
    /// Adds a file, and forgets as many old ones as were pruned.
    fn add_file(&mut self, stored: StoredSnapshot) {
        let last = stored.file.head.last;
        self.files.retain(|known| known.file.head.last != last);
        self.files.push(stored);
        self.files.sort_unstable_by_key(|known| Reverse(known.file.head.last.index));
        self.files.truncate(SnapshotFiles::KEPT);
        self.open = None;
    }

    /// Closes the snapshot that a client fetches if the client seems to have left. A pruned
    /// file takes up room on the disk for as long as it is open.
    fn close_if_abandoned(&mut self) {
        let is_abandoned = |fetched: &mut Fetched| !std::mem::take(&mut fetched.was_used);
        drop(self.fetched.take_if(is_abandoned));
    }

    /// Returns the newest snapshot if it reaches `index`, and holds it open from here on.
    fn find(&mut self, index: LogIndex) -> Option<SnapshotId> {
        let reaches = |known: &&StoredSnapshot| known.file.head.last.index >= index;
        let stored = self.files.first().filter(reaches)?.clone();
        let id = stored.file.id();
        if self.fetched.as_ref().is_none_or(|fetched| fetched.id != id) {
            self.open_to_fetch(&stored)?;
        }
        Some(id)
    }

    fn open_to_fetch(&mut self, stored: &StoredSnapshot) -> Option<()> {
        let (last, number) = (stored.file.head.last, stored.number);
        let chunks = self.attempt(last, number, |_, snapshots| snapshots.chunks(&stored.file))?;
        self.fetched = Some(Fetched { id: stored.file.id(), number, chunks, was_used: true });
        Some(())
    }

    /// Returns exactly `bytes_max` bytes, unless the file ends: so the client knows where the
    /// next chunk begins before this one has arrived. Returns `None` when the snapshot is gone
    /// or damaged.
    fn fetch(
        &mut self,
        last: LogPosition,
        digest: u128,
        offset: u64,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let is_wanted = |id: SnapshotId| (id.last, id.digest) == (last, digest);
        if self.fetched.as_ref().is_none_or(|fetched| !is_wanted(fetched.id)) {
            let stored = self.files.iter().find(|known| is_wanted(known.file.id()))?.clone();
            self.open_to_fetch(&stored)?;
        }
        let mut fetched = self.fetched.take()?;
        let bytes = self.attempt(last, fetched.number, |_, _| {
            read_exactly(&mut fetched.chunks, offset, bytes_max)
        })?;
        // A client that has read the end needs no more.
        if !bytes.is_empty() {
            self.fetched = Some(Fetched { was_used: true, ..fetched });
        }
        Some(bytes)
    }

    /// Reads a chunk for a peer. Returns `None` when the file is gone or damaged.
    fn read_chunk(
        &mut self,
        stored: &StoredSnapshot,
        offset: u64,
        bytes_max: u64,
    ) -> Option<Bytes> {
        let StoredSnapshot { file, number } = stored;
        self.attempt(file.head.last, *number, |this, snapshots| {
            let id = file.id();
            let mut chunks = match this.open.take() {
                Some((open, chunks)) if open == id => chunks,
                _ => snapshots.chunks(file)?,
            };
            let chunk = chunks.chunk(offset, bytes_max as usize)?;
            this.open = Some((id, chunks));
            Ok(Bytes::from(chunk))
        })
    }

    /// Executes an operation on the file with this position and number. Returns `None` after
    /// an error. A file that is damaged, or cannot be found, is no longer offered; after any
    /// other error the disk is not used again.
    fn attempt<T>(
        &mut self,
        last: LogPosition,
        number: u64,
        operation: impl FnOnce(&mut SnapshotReaderActor, &SnapshotFiles) -> Result<T, StorageError>,
    ) -> Option<T> {
        let snapshots = self.snapshots.take()?;
        match operation(self, &snapshots) {
            Ok(done) => {
                self.snapshots = Some(snapshots);
                return Some(done);
            }
            Err(error) if is_of_the_file(&error) => {
                self.snapshots = Some(snapshots);
                self.forget(last, number, error);
            }
            Err(error) => {
                log::error!("{error}; this server stops");
                self.ports.fatal.do_send(StorageFailed { error });
            }
        }
        None
    }

    /// Forgets a file that cannot be read, and tells the writer. A file that was pruned or
    /// replaced while it was open is not in the list any more, and is not reported.
    fn forget(&mut self, last: LogPosition, number: u64, error: StorageError) {
        let is_it = |known: &StoredSnapshot| (known.file.head.last, known.number) == (last, number);
        if self.files.iter().any(is_it) {
            self.files.retain(|known| !is_it(known));
            self.ports.writer.do_send(SnapshotUnreadable { last, number, error });
        }
    }
}

/// True for an error of one file, and not of the disk: the file is damaged, or was pruned
/// before it could be opened.
fn is_of_the_file(error: &StorageError) -> bool {
    match error {
        StorageError::Damaged { .. } | StorageError::Unknown { .. } => true,
        StorageError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Reads `bytes_max` bytes, or fewer at the end of the file.
fn read_exactly(
    chunks: &mut SnapshotChunks,
    offset: u64,
    bytes_max: usize,
) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max {
        let chunk = chunks.chunk(offset + bytes.len() as u64, bytes_max - bytes.len())?;
        if chunk.is_empty() {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(bytes_max);
    Ok(bytes)
}

#[cfg(test)]
mod tests;

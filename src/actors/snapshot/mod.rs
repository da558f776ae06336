//! SnapshotActor: the only one that touches snapshot files (docs/adr/0008).
//!
//! | in | from | answer |
//! | --- | --- | --- |
//! | [`WriteSnapshot`] | KvActor | [`SnapshotWritten`] to RaftActor |
//! | [`ReadSnapshotRequest`] | ReplicatorActor | [`SnapshotRead`] |
//! | [`ReceiveSnapshot`] | RaftActor | [`PieceReceived`] or [`SnapshotReceived`] |
//! | [`QuerySnapshots`] | RaftActor | [`SnapshotsQueried`] |
//! | [`DropStore`] | KvActor | |
//!
//! It owns the [`SnapshotFiles`] and runs on an arbiter of its own, because it blocks:
//! on the disk, and on encoding or decoding a whole store. Nobody waits for it but
//! with a message: while it writes, the node applies, reads and keeps its heartbeats.
//!
//! A snapshot is only an offer: until its file has its final name, and all of it is
//! durable, nothing relies on it. So a full disk costs nothing but the snapshot, which
//! is tried again later. Any other error of the disk ends the process, as one of the
//! log does. A file that has rotted is removed; the core is told, and has another
//! one taken. The end of the process does not wait for it: who comes next removes what
//! is not finished.

use std::time::Instant;

use actix::{Actor, Context, Handler, Recipient};
use bytes::Bytes;

use crate::actors::messages::lifecycle::StorageFailed;
use crate::actors::messages::snapshots::{
    DropStore, PieceReceived, QuerySnapshots, ReadSnapshotRequest, SnapshotLost, SnapshotRead,
    SnapshotReceived, SnapshotWritten, SnapshotsQueried, WriteSnapshot,
};
use crate::kv::{SnapshotError, Store, StoreLoader};
use crate::protocol::{SnapshotAnswer, SnapshotQuery};
use crate::raft::{InstallSnapshot, ReadSnapshot, ReceiveSnapshot};
use crate::storage::{
    IncomingSnapshot, SnapshotChunks, SnapshotFile, SnapshotFiles, SnapshotHead, StorageError,
};
use crate::types::{LogIndex, LogPosition, NodeId, SnapshotId, SnapshotPoint};

/// Where SnapshotActor sends.
#[derive(Clone, Debug)]
pub struct SnapshotPorts {
    /// RaftActor.
    pub written: Recipient<SnapshotWritten>,
    /// RaftActor.
    pub piece: Recipient<PieceReceived>,
    /// RaftActor.
    pub received: Recipient<SnapshotReceived>,
    /// RaftActor.
    pub lost: Recipient<SnapshotLost>,
    /// Ends the process.
    pub fatal: Recipient<StorageFailed>,
}

/// See the module.
pub struct SnapshotActor {
    /// `None` after an error.
    snapshots: Option<SnapshotFiles>,
    /// The name of the cluster, for the heads.
    cluster: String,
    node_id: NodeId,
    ports: SnapshotPorts,
    /// Those that are known to have been whole, newest first.
    files: Vec<SnapshotFile>,
    /// The one that was last read from.
    open: Option<(SnapshotId, SnapshotChunks)>,
    /// The one that a client fetches.
    fetched: Option<Fetched>,
    /// The one that is being received.
    part: Option<IncomingSnapshot>,
    /// The one that was received last: what still comes of it is superfluous.
    completed: Option<SnapshotId>,
}

/// A snapshot that a client fetches for a backup. It stays open, and so it can be read
/// to its end even when two newer ones have taken its place: else the backup of a large
/// store under load would never end.
struct Fetched {
    id: SnapshotId,
    pieces: SnapshotChunks,
    /// Since the last snapshot was written. Nobody waits for a client that has left.
    was_used: bool,
}

/// Why a snapshot cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, or is damaged.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The file is whole, but no store comes out of it.
    #[error("{0}")]
    Store(#[from] SnapshotError),
}

/// Reads a snapshot from its first to its last byte, and makes the store of it.
///
/// # Errors
/// When it cannot be read, is damaged, or holds no store.
pub fn load(
    snapshots: &SnapshotFiles,
    last: LogPosition,
) -> Result<(SnapshotFile, Store), LoadError> {
    let mut loader = StoreLoader::new();
    let file = snapshots.read(last, |block| loader.load(block).map_err(LoadError::from))?;
    Ok((file, loader.finish()?))
}

impl SnapshotActor {
    /// Takes the snapshots as they were opened; `files` are those that were found to
    /// be whole.
    pub fn new(
        snapshots: SnapshotFiles,
        files: Vec<SnapshotFile>,
        (cluster, node_id): (String, NodeId),
        ports: SnapshotPorts,
    ) -> SnapshotActor {
        SnapshotActor {
            snapshots: Some(snapshots),
            cluster,
            node_id,
            ports,
            files,
            open: None,
            fetched: None,
            part: None,
            completed: None,
        }
    }
}

impl Actor for SnapshotActor {
    type Context = Context<Self>;
}

impl Handler<WriteSnapshot> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, message: WriteSnapshot, _ctx: &mut Context<Self>) {
        let WriteSnapshot { point, stamp_ms, store } = message;
        let SnapshotPoint { last, membership } = point;
        let head = SnapshotHead { cluster: self.cluster.clone(), last, stamp_ms, membership };
        let began = Instant::now();
        let written = self.attempt(|this, snapshots| {
            let file = snapshots.write(&head, store.snapshot_blocks())?;
            this.add_file(file.clone());
            Ok(file)
        });
        if let Some(file) = &written {
            log::info!(
                "took snapshot node={} last_included_index={} last_included_term={} bytes={} \
                 seconds={:.3}",
                self.node_id,
                last.index,
                last.term,
                file.bytes,
                began.elapsed().as_secs_f64()
            );
        }
        let is_abandoned = |fetched: &mut Fetched| !std::mem::take(&mut fetched.was_used);
        drop(self.fetched.take_if(is_abandoned));
        if self.snapshots.is_some() {
            let bytes = written.map(|file| file.bytes);
            self.ports.written.do_send(SnapshotWritten { last, bytes });
        }
    }
}

impl Handler<ReadSnapshotRequest> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, message: ReadSnapshotRequest, _ctx: &mut Context<Self>) {
        let ReadSnapshotRequest { read, reply_to } = message;
        let ReadSnapshot { ticket, snapshot, offset, bytes_max } = read;
        let piece = loop {
            let is_wanted = |file: &&SnapshotFile| snapshot.is_none_or(|id| file.id() == id);
            let Some(file) = self.files.iter().find(is_wanted).cloned() else { break None };
            match self.read_piece(&file, offset, bytes_max) {
                Some(bytes) => break Some((file.id(), bytes)),
                None if self.snapshots.is_none() => return,
                None => {} // it is damaged; perhaps there is another one
            }
        };
        reply_to.do_send(SnapshotRead { ticket, piece, offset });
    }
}

impl Handler<QuerySnapshots> for SnapshotActor {
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

impl Handler<ReceiveSnapshot> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, message: ReceiveSnapshot, _ctx: &mut Context<Self>) {
        let ReceiveSnapshot { from, term, piece } = message;
        let (request_seq, snapshot) = (piece.request_seq, piece.snapshot);
        if self.completed == Some(snapshot) {
            return; // the core has it, and says so at the next request
        }
        let Some(received) = self.attempt(|this, snapshots| this.take_piece(snapshots, &piece))
        else {
            return;
        };
        if received < snapshot.bytes {
            let answer = PieceReceived { from, term, request_seq, snapshot, received };
            self.ports.piece.do_send(answer);
            return;
        }
        match self.complete(snapshot) {
            Some((file, store)) => {
                let SnapshotHead { last, stamp_ms, membership, .. } = file.head;
                let point = SnapshotPoint { last, membership };
                let answer = SnapshotReceived { from, term, request_seq, point, stamp_ms, store };
                self.ports.received.do_send(answer);
            }
            // It was not what was offered: from the beginning, then.
            None => {
                let answer = PieceReceived { from, term, request_seq, snapshot, received: 0 };
                self.ports.piece.do_send(answer);
            }
        }
    }
}

impl Handler<DropStore> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, message: DropStore, _ctx: &mut Context<Self>) {
        drop(message.store);
    }
}

impl SnapshotActor {
    /// Of those that are kept, and no more of them than are.
    fn add_file(&mut self, file: SnapshotFile) {
        self.files.retain(|known| known.head.last != file.head.last);
        self.files.push(file);
        self.files.sort_unstable_by_key(|file| std::cmp::Reverse(file.head.last.index));
        self.files.truncate(SnapshotFiles::KEPT);
        self.open = None;
    }

    /// The newest snapshot, if it reaches `index`; it is held open from here on.
    fn find(&mut self, index: LogIndex) -> Option<SnapshotId> {
        let file = self.files.first().filter(|file| file.head.last.index >= index)?.clone();
        let id = file.id();
        if self.fetched.as_ref().is_none_or(|fetched| fetched.id != id) {
            self.open_to_fetch(&file)?;
        }
        Some(id)
    }

    fn open_to_fetch(&mut self, file: &SnapshotFile) -> Option<()> {
        let opened = self.attempt(|_, snapshots| match snapshots.chunks(file) {
            Err(error @ StorageError::Damaged { .. }) => Ok(Err(error)),
            pieces => Ok(Ok(pieces?)),
        })?;
        let pieces = opened.map_err(|damage| self.lose(file.head.last, &damage)).ok()?;
        self.fetched = Some(Fetched { id: file.id(), pieces, was_used: true });
        Some(())
    }

    /// Exactly so many bytes, unless the file ends: so who fetches knows where the next
    /// piece begins before this one is there. `None` when the snapshot is gone, or
    /// of no use any more.
    fn fetch(
        &mut self,
        last: LogPosition,
        digest: u128,
        offset: u64,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let is_wanted = |id: SnapshotId| (id.last, id.digest) == (last, digest);
        if self.fetched.as_ref().is_none_or(|fetched| !is_wanted(fetched.id)) {
            let file = self.files.iter().find(|file| is_wanted(file.id()))?.clone();
            self.open_to_fetch(&file)?;
        }
        let mut fetched = self.fetched.take()?;
        let read =
            self.attempt(|_, _| match read_exactly(&mut fetched.pieces, offset, bytes_max) {
                Err(error @ StorageError::Damaged { .. }) => Ok(Err(error)),
                bytes => Ok(Ok(bytes?)),
            })?;
        let bytes = read.map_err(|damage| self.lose(last, &damage)).ok()?;
        // Behind its end there is nothing more to come for.
        if !bytes.is_empty() {
            self.fetched = Some(Fetched { was_used: true, ..fetched });
        }
        Some(bytes)
    }

    /// `None` when the file is of no use any more.
    fn read_piece(&mut self, file: &SnapshotFile, offset: u64, bytes_max: u64) -> Option<Bytes> {
        let read = self.attempt(|this, snapshots| {
            let id = file.id();
            let mut pieces = match this.open.take() {
                Some((open, pieces)) if open == id => pieces,
                _ => match snapshots.chunks(file) {
                    Err(error @ StorageError::Damaged { .. }) => return Ok(Err(error)),
                    pieces => pieces?,
                },
            };
            let piece = match pieces.chunk(offset, bytes_max as usize) {
                Err(error @ StorageError::Damaged { .. }) => return Ok(Err(error)),
                piece => piece?,
            };
            this.open = Some((id, pieces));
            Ok(Ok(Bytes::from(piece)))
        })?;
        read.map_err(|damage| self.lose(file.head.last, &damage)).ok()
    }

    /// Removes a file that has rotted, so that none of the two that are kept is a
    /// damaged one.
    fn lose(&mut self, last: LogPosition, damage: &StorageError) {
        log::error!("{damage}; the snapshot is removed, and another one will be taken");
        self.files.retain(|known| known.head.last != last);
        if self.attempt(|_, snapshots| snapshots.remove(last)).is_some() {
            self.ports.lost.do_send(SnapshotLost { last });
        }
    }

    /// How much of the piece's snapshot is there then.
    fn take_piece(
        &mut self,
        snapshots: &SnapshotFiles,
        piece: &InstallSnapshot,
    ) -> Result<u64, StorageError> {
        let is_other = |part: &IncomingSnapshot| part.id() != piece.snapshot && !mutant!(B56);
        if self.part.as_ref().is_none_or(is_other) {
            self.part = Some(snapshots.receive(piece.snapshot)?);
            self.completed = None;
        }
        let Some(part) = &mut self.part else { return Ok(0) };
        part.write_chunk(piece.offset, &piece.bytes)?;
        Ok(part.received())
    }

    /// Verifies what was received, gives it its name, and loads it.
    fn complete(&mut self, id: SnapshotId) -> Option<(SnapshotFile, Store)> {
        let part = self.part.take()?;
        let began = Instant::now();
        let loaded = self.attempt(|this, snapshots| {
            let loaded = snapshots.complete(part).map_err(LoadError::from).and_then(|file| {
                let (file, store) = load(snapshots, file.head.last)?;
                this.add_file(file.clone());
                Ok((file, store))
            });
            match loaded {
                Ok(loaded) => Ok(Some(loaded)),
                Err(LoadError::Storage(error @ StorageError::Io { .. })) => Err(error),
                Err(error) => {
                    log::error!("a snapshot that was received is of no use: {error}");
                    snapshots.remove(id.last)?;
                    Ok(None)
                }
            }
        })??;
        log::info!(
            "received snapshot node={} last_included_index={} bytes={} seconds={:.3}",
            self.node_id,
            id.last.index,
            id.bytes,
            began.elapsed().as_secs_f64()
        );
        self.completed = Some(id);
        Some(loaded)
    }

    /// Every use of the disk. `None` after an error: a full disk is no reason to end,
    /// for nothing relies on what was being written; after any other there is no
    /// further use.
    fn attempt<T>(
        &mut self,
        operation: impl FnOnce(&mut SnapshotActor, &SnapshotFiles) -> Result<T, StorageError>,
    ) -> Option<T> {
        let snapshots = self.snapshots.take()?;
        let fatal = match operation(self, &snapshots) {
            Ok(done) => {
                self.snapshots = Some(snapshots);
                return Some(done);
            }
            Err(error) if error.is_disk_full() && !mutant!(B67c) => {
                log::warn!("no room for a snapshot, it is tried again later: {error}");
                self.part = None;
                snapshots.remove_unfinished().err()
            }
            Err(error) => Some(error),
        };
        match fatal {
            None => self.snapshots = Some(snapshots),
            Some(error) => {
                log::error!("{error}; this server stops");
                self.ports.fatal.do_send(StorageFailed { error });
            }
        }
        None
    }
}

fn read_exactly(
    pieces: &mut SnapshotChunks,
    offset: u64,
    bytes_max: usize,
) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max {
        let piece = pieces.chunk(offset + bytes.len() as u64, bytes_max - bytes.len())?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(bytes_max);
    Ok(bytes)
}

#[cfg(test)]
mod tests;

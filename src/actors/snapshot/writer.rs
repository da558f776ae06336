//! SnapshotWriterActor: saves and receives snapshots, and removes files. Nothing else
//! changes the directory of the snapshots (docs/adr/0008).
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`StoreCommand`]: `WriteSnapshot` | KvActor | [`SnapshotWritten`] | RaftActor |
//! | [`StoreCommand`]: `DropStore` | KvActor | | |
//! | [`ReceiveSnapshot`] | RaftActor | [`PieceReceived`], [`SnapshotReceived`] | RaftActor |
//! | [`SnapshotUnreadable`] | SnapshotReaderActor | [`SnapshotLost`] | RaftActor |
//! | [`Probe`] | ProberActor | | |
//! | a file was stored | | [`WriterReport`] | SnapshotReaderActor |
//! | an error of the disk, a snapshot of an unknown format | | [`StorageFailed`] | `node` |
//! | a record that is not what was written | | [`StoreCorrupted`] | RaftActor |
//!
//! It owns the snapshot that is being received. It runs on an arbiter of its own, because it
//! blocks: on the disk, and while it encodes or decodes a whole store. The node applies,
//! reads and keeps its heartbeats meanwhile.
//!
//! Nothing relies on a snapshot until its file has its final name and all of it is durable.
//! So a full disk costs nothing but the snapshot, which is tried again later; a leader that
//! sent it is told that it is refused. Any other
//! error of the disk ends the process, like an error of the log. So does a received snapshot of
//! a format that this server does not read: nothing of it is kept, and nobody gets an answer.
//! A damaged file is removed and reported to the core, which orders another snapshot. The
//! process ends without waiting for this actor: the next start removes unfinished files.

use std::time::Instant;

use actix::{Actor, Context, Handler, Recipient};
use log::Level;

use super::load::{LoadError, load};
use crate::actors::messages::kv::StoreCorrupted;
use crate::actors::messages::lifecycle::{Probe, StorageFailed};
use crate::actors::messages::snapshots::{
    PieceReceived, SnapshotLost, SnapshotReceived, SnapshotUnreadable, SnapshotWritten,
    StoreCommand, StoredSnapshot, WriteSnapshot, WriterReport,
};
use crate::kv::{Corruption, Store};
use crate::logging::{BURST, LogLimit, ONCE};
use crate::metrics::SnapshotMetrics;
use crate::raft::{InstallSnapshot, ReceiveSnapshot, SnapshotRefusal};
use crate::storage::{IncomingSnapshot, SnapshotFile, SnapshotFiles, SnapshotHead, StorageError};
use crate::types::{LogPosition, NodeId, SnapshotId, SnapshotPoint};

/// The recipients of SnapshotWriterActor's messages.
#[derive(Clone, Debug)]
pub struct SnapshotWriterPorts {
    /// RaftActor.
    pub written: Recipient<SnapshotWritten>,
    /// RaftActor.
    pub piece: Recipient<PieceReceived>,
    /// RaftActor.
    pub received: Recipient<SnapshotReceived>,
    /// RaftActor.
    pub lost: Recipient<SnapshotLost>,
    /// RaftActor.
    pub corrupted: Recipient<StoreCorrupted>,
    /// SnapshotReaderActor.
    pub reader: Recipient<WriterReport>,
    /// Ends the process.
    pub fatal: Recipient<StorageFailed>,
}

/// The actor that stores snapshots.
pub struct SnapshotWriterActor {
    /// `None` after an error.
    snapshots: Option<SnapshotFiles>,
    /// The name of the cluster, for the heads of files.
    cluster: String,
    node_id: NodeId,
    ports: SnapshotWriterPorts,
    /// The snapshot that is being received.
    incoming: Option<IncomingSnapshot>,
    /// The snapshot that was received last. Chunks of it that still come are superfluous.
    completed: Option<SnapshotId>,
    /// The files that were stored last, at most [`SnapshotFiles::KEPT`], each with its
    /// number. A file that is older than this actor is not among them.
    stored: Vec<(LogPosition, u64)>,
    /// The number of the file that was stored last; 0 before the first.
    last_number: u64,
    /// Bounds the lines about snapshots that came to nothing.
    failures: LogLimit<Failure>,
    metrics: SnapshotMetrics,
}

/// The reason why a snapshot came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    NoRoom,
    Useless,
}

impl SnapshotWriterActor {
    /// A writer of `snapshots`. The name of the cluster and the node go into the heads of new
    /// files.
    pub fn new(
        snapshots: SnapshotFiles,
        (cluster, node_id): (String, NodeId),
        ports: SnapshotWriterPorts,
    ) -> SnapshotWriterActor {
        SnapshotWriterActor {
            snapshots: Some(snapshots),
            cluster,
            node_id,
            ports,
            incoming: None,
            completed: None,
            stored: Vec::new(),
            last_number: 0,
            failures: LogLimit::new(ONCE, BURST),
            metrics: SnapshotMetrics::default(),
        }
    }

    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: SnapshotMetrics) -> SnapshotWriterActor {
        SnapshotWriterActor { metrics, ..self }
    }
}

impl Actor for SnapshotWriterActor {
    type Context = Context<Self>;
}

impl Handler<StoreCommand> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, command: StoreCommand, _ctx: &mut Context<Self>) {
        match command {
            StoreCommand::Write(order) => self.write(*order),
            StoreCommand::Drop(order) => drop(order.store),
        }
    }
}

impl Handler<ReceiveSnapshot> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, message: ReceiveSnapshot, _ctx: &mut Context<Self>) {
        let ReceiveSnapshot { from, term, piece } = message;
        let (request_seq, snapshot) = (piece.request_seq, piece.snapshot);
        if self.completed == Some(snapshot) {
            return; // the core has it, and says so at the next request
        }
        let received = self
            .attempt(|this, snapshots| this.take_chunk(snapshots, &piece))
            .ok_or(SnapshotRefusal::NoRoom);
        let completed = match received {
            Ok(received) if received < snapshot.bytes => Err(Ok(received)),
            Ok(_) => self.complete(snapshot).map_err(Err),
            Err(refusal) => Err(Err(refusal)),
        };
        match completed {
            _ if self.snapshots.is_none() => {}
            Ok((file, store)) => {
                let SnapshotHead { last, stamp_ms, state, .. } = file.head.clone();
                let point = SnapshotPoint { last, cluster: state };
                let answer = SnapshotReceived { from, term, request_seq, point, stamp_ms, store };
                // The reader first: the second rule in snapshot/mod.rs.
                self.metrics.on_received(file.bytes);
                let stored = self.number(file);
                self.ports.reader.do_send(WriterReport::Received(stored));
                self.ports.received.do_send(answer);
            }
            Err(received) => {
                let answer = PieceReceived { from, term, request_seq, snapshot, received };
                self.ports.piece.do_send(answer);
            }
        }
    }
}

impl Handler<Probe> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, Probe { mailbox }: Probe, _ctx: &mut Context<Self>) {
        mailbox.end();
    }
}

impl Handler<SnapshotUnreadable> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotUnreadable, _ctx: &mut Context<Self>) {
        let SnapshotUnreadable { last, number, error } = message;
        if self.stored.iter().any(|(stored, newer)| *stored == last && *newer > number) {
            return; // another file has taken its name since
        }
        if self.attempt(|_, snapshots| remove(snapshots, last, &error)) == Some(true) {
            self.ports.lost.do_send(SnapshotLost { last });
        }
    }
}

impl SnapshotWriterActor {
    fn write(&mut self, order: WriteSnapshot) {
        let WriteSnapshot { point, stamp_ms, store } = order;
        let SnapshotPoint { last, cluster: state } = point;
        let head = SnapshotHead { cluster: self.cluster.clone(), last, stamp_ms, state };
        let began = Instant::now();
        let mut corruption = None;
        let written = self.attempt(|_, snapshots| {
            let blocks = store.snapshot_blocks().map(|block| block.map_err(WriteError::Corrupted));
            match snapshots.write(&head, blocks) {
                Ok(file) => Ok(Some(file)),
                Err(WriteError::Storage(error)) => Err(error),
                Err(WriteError::Corrupted(found)) => {
                    corruption = Some(found);
                    Ok(None)
                }
            }
        });
        if let Some(found) = corruption {
            // The file has no final name, and never gets it. The node ends.
            self.ports.corrupted.do_send(StoreCorrupted { what: found.to_string() });
            return;
        }
        let written = written.flatten();
        if let Some(file) = &written {
            self.metrics.on_saved(file.bytes, began.elapsed());
            self.failures.forget(|_| true);
            log::info!(
                node = self.node_id,
                last_included_index = last.index,
                last_included_term = last.term,
                bytes = file.bytes,
                seconds = began.elapsed().as_secs_f64(),
                left_out = self.failures.take_left_out();
                "took snapshot"
            );
        }
        if self.snapshots.is_none() {
            return;
        }
        let bytes = written.as_ref().map(|file| file.bytes);
        let report = match written {
            Some(file) => WriterReport::Written(self.number(file)),
            None => {
                self.metrics.on_failed();
                WriterReport::NoRoom
            }
        };
        // The reader first: the second rule in snapshot/mod.rs.
        self.ports.reader.do_send(report);
        self.ports.written.do_send(SnapshotWritten { last, bytes });
    }

    /// Gives the next number to a file that has just got its name.
    fn number(&mut self, file: SnapshotFile) -> StoredSnapshot {
        self.last_number += 1;
        let last = file.head.last;
        self.stored.retain(|(stored, _)| *stored != last);
        self.stored.push((last, self.last_number));
        if self.stored.len() > SnapshotFiles::KEPT {
            self.stored.remove(0);
        }
        StoredSnapshot { file, number: self.last_number }
    }

    /// Stores a chunk. Returns the number of bytes of its snapshot that are there afterwards.
    fn take_chunk(
        &mut self,
        snapshots: &SnapshotFiles,
        piece: &InstallSnapshot,
    ) -> Result<u64, StorageError> {
        let is_other = |incoming: &IncomingSnapshot| incoming.id() != piece.snapshot;
        if self.incoming.as_ref().is_none_or(is_other) {
            self.incoming = Some(snapshots.receive(piece.snapshot)?);
            self.completed = None;
        }
        let Some(incoming) = &mut self.incoming else { return Ok(0) };
        incoming.write_chunk(piece.offset, &piece.bytes)?;
        Ok(incoming.received())
    }

    /// Verifies the bytes that were received, gives the file its final name, and loads it.
    ///
    /// # Errors
    /// When there is no room for it, or it is not the snapshot that was offered, or cannot be
    /// decoded. Nothing of it is left. After an error of the disk the result is of no use.
    fn complete(&mut self, id: SnapshotId) -> Result<(SnapshotFile, Store), SnapshotRefusal> {
        let incoming = self.incoming.take().ok_or(SnapshotRefusal::Unusable)?;
        let began = Instant::now();
        let loaded = self.attempt(|this, snapshots| {
            let completed = snapshots.complete(incoming).map_err(LoadError::from);
            match completed.and_then(|file| load(snapshots, file.head.last)) {
                Ok(loaded) => Ok(Some(loaded)),
                Err(LoadError::Storage(
                    error @ (StorageError::Io { .. } | StorageError::Unreadable { .. }),
                )) => Err(error),
                Err(error) => {
                    let (level, left_out) = this.failures.level(Level::Error, Failure::Useless);
                    let detail = error.to_string();
                    log::log!(
                        level, left_out, detail;
                        "a snapshot that was received is of no use"
                    );
                    snapshots.remove(id.last)?;
                    Ok(None)
                }
            }
        });
        let loaded = loaded.ok_or(SnapshotRefusal::NoRoom)?.ok_or(SnapshotRefusal::Unusable)?;
        self.failures.forget(|_| true);
        log::info!(
            node = self.node_id,
            last_included_index = id.last.index,
            bytes = id.bytes,
            seconds = began.elapsed().as_secs_f64(),
            left_out = self.failures.take_left_out();
            "received snapshot"
        );
        self.completed = Some(id);
        Ok(loaded)
    }

    /// Executes an operation on the disk. Returns `None` after an error. A full disk is no
    /// reason to end, because nothing relies on the file that was being written. After any
    /// other error the disk is not used again.
    fn attempt<T>(
        &mut self,
        operation: impl FnOnce(&mut SnapshotWriterActor, &SnapshotFiles) -> Result<T, StorageError>,
    ) -> Option<T> {
        let snapshots = self.snapshots.take()?;
        let fatal = match operation(self, &snapshots) {
            Ok(done) => {
                self.snapshots = Some(snapshots);
                return Some(done);
            }
            Err(error) if error.is_disk_full() => {
                let (level, left_out) = self.failures.level(Level::Warn, Failure::NoRoom);
                let detail = error.to_string();
                log::log!(
                    level, left_out, detail;
                    "no room for a snapshot, it is tried again later"
                );
                self.incoming = None;
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

/// The reason why a snapshot cannot be written.
enum WriteError {
    Storage(StorageError),
    Corrupted(Corruption),
}

impl From<StorageError> for WriteError {
    fn from(error: StorageError) -> WriteError {
        WriteError::Storage(error)
    }
}

/// Removes the snapshot up to `last`, which is damaged or missing, so that both files that
/// are kept are whole. Returns false when it was pruned before: then nothing is lost.
fn remove(
    snapshots: &SnapshotFiles,
    last: LogPosition,
    error: &StorageError,
) -> Result<bool, StorageError> {
    let newer = snapshots.list()?.iter().filter(|other| other.index > last.index).count();
    if newer >= SnapshotFiles::KEPT {
        return Ok(false);
    }
    log::error!("{error}; the snapshot is removed, and another one will be taken");
    snapshots.remove(last)?;
    Ok(true)
}

#[cfg(test)]
mod tests;

//! The chunks of a snapshot that wait until the connection has nothing else to send.

use std::collections::VecDeque;

use crate::raft::{Envelope, Rpc};

/// Maximum number of bytes of the chunks that wait. The window of a snapshot's install is
/// smaller; more can come only when an install starts again, and the chunks above the limit
/// are lost as they would be on a broken connection.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The waiting chunks of one connection, oldest first.
#[derive(Default)]
pub(super) struct ChunkQueue {
    chunks: VecDeque<Envelope>,
    bytes: usize,
}

impl ChunkQueue {
    /// Adds a chunk, or drops it when it does not fit in [`BYTES_MAX`].
    pub fn push(&mut self, chunk: Envelope) {
        let bytes = chunk_bytes(&chunk);
        if self.bytes + bytes <= BYTES_MAX {
            self.bytes += bytes;
            self.chunks.push_back(chunk);
        }
    }

    /// The number of chunks that wait.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Removes the oldest chunk.
    pub fn pop(&mut self) -> Option<Envelope> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk_bytes(&chunk);
        Some(chunk)
    }
}

/// Number of bytes of a snapshot in a message; 0 in every message but its chunks.
pub(super) fn chunk_bytes(envelope: &Envelope) -> usize {
    match &envelope.rpc {
        Rpc::InstallSnapshot(chunk) => chunk.bytes.len(),
        _ => 0,
    }
}

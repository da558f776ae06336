//! The connection of a session, and the session's part of the memory of all clients.

use bytes::{Bytes, BytesMut};

use crate::actors::io::connection::Connection;
use crate::actors::io::memory::{MemoryBudget, Reservation};
use crate::actors::io::output::Output;
use crate::actors::messages::watch::{SharedMemory, WatchText};
use crate::net::Stream;
use crate::protocol::{SessionIo, Sink};

/// Minimum cost of a session, in bytes: its actor and its place in the runtime, small
/// buffers, and the kernel's bookkeeping.
pub const SESSION_BYTES: u64 = 8 * 1024;

/// A connection whose memory is counted.
pub(super) struct CountedConnection {
    pub(super) connection: Connection,
    memory: Reservation,
    /// The text of a watch that is unsent, if others share it: it is counted once for all.
    shared: Option<Shared>,
}

struct Shared {
    bytes: usize,
    _held: SharedMemory,
}

impl CountedConnection {
    /// The connection over `stream`, with the minimum of memory.
    pub(super) fn new(stream: Stream, memory: &MemoryBudget) -> CountedConnection {
        CountedConnection {
            connection: Connection::new(stream, 0).within(memory.clone()),
            memory: memory.reserve(SESSION_BYTES),
            shared: None,
        }
    }

    /// Notes that this text comes next into the output, in which there is hardly anything.
    pub(super) fn hold_shared(&mut self, text: &WatchText) {
        let bytes = text.bytes.len();
        self.shared = text.held.clone().map(|held| Shared { bytes, _held: held });
    }
}

impl SessionIo for CountedConnection {
    type Output = Output;

    fn input(&mut self) -> &mut BytesMut {
        self.connection.input()
    }

    fn output(&mut self) -> &mut Output {
        self.connection.output()
    }

    fn unsent_bytes(&self) -> usize {
        self.connection.unsent_bytes()
    }

    fn held_bytes(&self) -> usize {
        // Hardly anything but that text is in the output.
        let shared = self.shared.as_ref().map_or(0, |shared| shared.bytes);
        self.connection.held_bytes() - shared.min(self.connection.unsent_bytes())
    }

    fn set_memory(&mut self, bytes: u64) {
        if self.connection.unsent_bytes() == 0 {
            self.shared = None;
        }
        self.memory.set(SESSION_BYTES.max(bytes));
    }

    fn free_memory(&self) -> u64 {
        self.memory.budget().free_bytes()
    }
}

impl Sink for Output {
    fn put_slice(&mut self, bytes: &[u8]) {
        Output::put_slice(self, bytes);
    }

    fn put_bytes(&mut self, bytes: Bytes) {
        Output::put_bytes(self, bytes);
    }
}

//! The two halves of a stream as an actor holds them: the input that it has read and the
//! output that it is about to write.
//!
//! SessionActor, PeerLinkActor and PeerSessionActor have one. The pump (`pump.rs`) in the
//! actor's context moves the bytes. Reading is armed by hand: an actor that has enough to
//! do leaves the rest in the kernel, and TCP slows a fast sender. Everything unsent is
//! counted ([`Connection::unsent_bytes`]); the bound on it is the actor's.
//!
//! Both halves stay in one place for as long as the connection lives, so a read or a write
//! allocates nothing. Dropping a [`Connection`] closes it at once.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{self, Poll, Waker, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::actors::io::fair_queue::{FairQueue, Permit};
use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::output::{Output, Writer};
use crate::net::Stream;

/// Maximum number of bytes that one read takes from the kernel.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Minimum room of a read in bytes: the cost of an idle connection.
const READ_BYTES_MIN: usize = 1024;
/// Maximum size in bytes of an input that is copied into a smaller buffer while a connection
/// with a budget waits.
const SMALL_INPUT_BYTES: usize = 4 * 1024;
/// Maximum capacity in bytes that an empty input keeps.
const INPUT_KEPT_BYTES_MAX: usize = 4 * READ_BYTES_MAX;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A stream: the input that was read, the output that is to be written, and the state of
/// its pump.
pub struct Connection {
    /// The number that tells this connection from the others of the same actor.
    generation: u64,
    /// `None` when nothing more comes.
    reader: Option<Reader>,
    /// `None` when nothing more can be sent.
    writer: Option<Writer>,
    input: BytesMut,
    /// Room of the next read in bytes, if the budget allows it.
    read_bytes: usize,
    /// The budget that bounds a read; `None` for a connection between nodes.
    memory: Option<MemoryBudget>,
    /// Its access to the queue of turns; `None` when it takes no turns.
    permit: Option<Permit>,
    /// True when the last read took all the room it had: the kernel may have more.
    has_more: bool,
    /// True while a read is armed.
    is_reading: bool,
    output: Output,
    /// Bytes that the kernel has taken since the beginning.
    sent_bytes: u64,
    /// Bytes that were read since the beginning.
    received_bytes: u64,
    /// True when the kernel had no room for more, at the last attempt or at an earlier one that
    /// nobody was told of yet.
    is_refused: bool,
    pump: PumpState,
}

/// The state of the pump of a connection.
enum PumpState {
    /// It has not been started.
    Absent,
    /// It is being polled or is about to be.
    Running,
    /// It waits, and has to be woken when there is other work than what it waits for.
    Waiting(Waker),
}

/// A step of a connection that its actor has to hear of.
pub(super) enum Progress {
    /// Bytes were added to the input.
    Read,
    /// All output is written.
    Written,
    /// The other side will send no more, or the connection is broken.
    End(io::Result<()>),
}

impl Connection {
    /// A connection over `stream`. `generation` differs from that of every earlier
    /// connection of the same actor.
    pub fn new(stream: Stream, generation: u64) -> Connection {
        Connection {
            generation,
            reader: Some(stream.reader),
            writer: Some(stream.writer),
            input: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            memory: None,
            permit: None,
            has_more: false,
            is_reading: false,
            output: Output::default(),
            sent_bytes: 0,
            received_bytes: 0,
            is_refused: false,
            pump: PumpState::Absent,
        }
    }

    /// Bounds each read by the free bytes of `memory`, but for a small buffer. The actor
    /// counts the bytes in `on_read`.
    #[must_use]
    pub fn within(mut self, memory: MemoryBudget) -> Connection {
        self.memory = Some(memory);
        self
    }

    /// Lets it read and write only in its turns.
    pub fn take_turns(&mut self, queue: &FairQueue) {
        self.permit = Some(queue.permit());
    }

    /// Bytes that it holds, small buffers not counted: the input that was not taken yet, and
    /// the unsent output.
    pub fn held_bytes(&self) -> usize {
        let input_bytes = match self.input.len() {
            small if small <= SMALL_INPUT_BYTES => small,
            // Capacity beyond that was never touched and costs nothing.
            large => self.input.capacity().min(large + READ_BYTES_MAX),
        };
        input_bytes + self.output.len()
    }

    /// The bytes that were read and not taken yet.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The bytes to write; `arm_write` sends them.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Bytes that the kernel has not yet taken.
    pub fn unsent_bytes(&self) -> usize {
        self.output.len()
    }

    /// Bytes that the kernel has taken since the beginning. While the number rises, the
    /// other side reads.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Bytes that were read since the beginning.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// True when the kernel has not taken all that it was offered since the last call: the other
    /// side does not read as fast as it is sent to. Output that waits for its turn was not offered.
    pub fn take_refusal(&mut self) -> bool {
        std::mem::take(&mut self.is_refused)
    }

    /// Tells the other side that nothing more comes, while its input can still be read.
    /// Unsent output is dropped.
    pub fn end_output(&mut self) {
        self.writer = None;
    }

    /// The number that tells this connection from the others of the same actor.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// True when the last read took all the room it had: the kernel may have more.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Arms a read. Returns false when one was armed already.
    pub(super) fn begin_read(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reading, true)
    }

    /// Wakes the pump. Returns true when there is none yet: the caller starts it.
    pub(super) fn wake_pump(&mut self) -> bool {
        match std::mem::replace(&mut self.pump, PumpState::Running) {
            PumpState::Absent => true,
            PumpState::Running => false,
            // After a handler the pump would be polled anyway, when the mailbox is drained;
            // after a timer or another future of the context it would not.
            PumpState::Waiting(waker) => {
                waker.wake();
                false
            }
        }
    }

    /// Returns true when the connection may work now. Otherwise the task is woken when it
    /// may.
    pub(super) fn poll_turn(&self, task: &task::Context<'_>) -> bool {
        self.permit.as_ref().is_none_or(|permit| permit.poll_turn(task))
    }

    /// Notes that the pump is being polled.
    pub(super) fn on_pump_runs(&mut self) {
        self.pump = PumpState::Running;
    }

    /// Notes that the pump waits in `task`.
    pub(super) fn on_pump_waits(&mut self, task: &task::Context<'_>) {
        self.pump = PumpState::Waiting(task.waker().clone());
    }

    /// Moves at most `turn_bytes` bytes, and subtracts from it the bytes that it moved.
    pub(super) fn poll_progress(
        &mut self,
        turn_bytes: &mut usize,
        task: &mut task::Context<'_>,
    ) -> Poll<Progress> {
        if let Poll::Ready(progress) = self.poll_write(turn_bytes, task) {
            return Poll::Ready(progress);
        }
        let is_wanted = self.is_reading || !self.output.is_empty();
        if *turn_bytes == 0 && is_wanted {
            // The pump is polled again after all other work that there is now.
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.is_reading {
            return self.poll_read(turn_bytes, task);
        }
        Poll::Pending
    }

    fn poll_read(
        &mut self,
        turn_bytes: &mut usize,
        task: &mut task::Context<'_>,
    ) -> Poll<Progress> {
        let Some(reader) = &mut self.reader else { return Poll::Pending };
        if self.input.is_empty() && self.input.capacity() > INPUT_KEPT_BYTES_MAX {
            self.input = BytesMut::new();
        }
        let free = self.memory.as_ref().map(MemoryBudget::free_bytes);
        let free = free.and_then(|free| usize::try_from(free).ok()).unwrap_or(usize::MAX);
        let read_bytes = self.read_bytes.min(free.max(READ_BYTES_MIN));
        self.input.reserve(read_bytes);
        // Without a budget the whole capacity is used.
        let room = match self.memory {
            None => self.input.capacity() - self.input.len(),
            Some(_) => read_bytes,
        };
        let mut buffer = (&mut self.input).limit(room);
        let Poll::Ready(result) = pin!(reader.read_buf(&mut buffer)).poll(task) else {
            self.wait_with_little();
            return Poll::Pending;
        };
        self.is_reading = false;
        Poll::Ready(match result {
            Ok(0) => {
                self.reader = None;
                Progress::End(Ok(()))
            }
            Ok(read) => {
                self.received_bytes += read as u64;
                self.has_more = read == room;
                *turn_bytes = turn_bytes.saturating_sub(read);
                // Grows with a busy connection, and shrinks again with an idle one.
                self.read_bytes = (read * 2).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
                Progress::Read
            }
            Err(error) => self.broken(error),
        })
    }

    /// Shrinks the buffer of a connection with a budget while it waits for input.
    fn wait_with_little(&mut self) {
        let is_small = self.input.len() <= SMALL_INPUT_BYTES;
        let spare = self.input.capacity() - self.input.len();
        if self.memory.is_some() && is_small && spare > READ_BYTES_MIN {
            self.input = BytesMut::from(&self.input[..]);
        }
    }

    /// Writes output. It is pending also when there is nothing to write.
    fn poll_write(
        &mut self,
        turn_bytes: &mut usize,
        task: &mut task::Context<'_>,
    ) -> Poll<Progress> {
        let Some(writer) = self.writer.as_mut().filter(|_| !self.output.is_empty()) else {
            return Poll::Pending;
        };
        while !self.output.is_empty() {
            if *turn_bytes == 0 {
                return Poll::Pending;
            }
            let written = self.output.poll_write(Pin::new(writer), *turn_bytes, task);
            self.is_refused |= written.is_pending();
            match ready!(written) {
                Ok(0) => return Poll::Ready(self.broken(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.sent_bytes += written as u64;
                    *turn_bytes -= written;
                }
                Err(error) => return Poll::Ready(self.broken(error)),
            }
        }
        Poll::Ready(Progress::Written)
    }

    fn broken(&mut self, error: io::Error) -> Progress {
        self.reader = None;
        self.writer = None;
        Progress::End(Err(error))
    }
}

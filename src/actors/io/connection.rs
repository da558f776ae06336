//! The two halves of a stream as an actor holds them: what it reads, what it is
//! about to write, and a `Pump` in the actor's context that moves both.
//!
//! Not an actor: the part that SessionActor, PeerLinkActor and PeerSessionActor
//! have in common. Reading is armed by hand, so an actor that has enough to do
//! leaves the rest in the kernel, and a fast sender is slowed by TCP itself.
//! The context polls the pump when it has drained its mailbox, so all that one
//! drain puts leaves with one system call. Everything unsent is counted
//! ([`Connection::unsent_bytes`]); the bound on it is the actor's.
//!
//! In one turn a pump moves no more than `TURN_BYTES`, then the other actors of
//! the thread have theirs. The kernel takes and gives megabytes at once: a few
//! hundred clients that fetch large values, or send as fast as they can, would
//! keep a leader from its heartbeats and cost it its leadership.
//!
//! A connection has one pump for as long as it lives, and both halves stay where
//! they are: to read and to write costs no allocation. Dropping a [`Connection`]
//! closes it at once; its pump ends when it is next polled.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{self, Poll, Waker, ready};

use actix::{Actor, ActorFuture, ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::actors::io::fair_queue::{FairQueue, Permit};
use crate::actors::io::memory::MemoryBudget;
use crate::net::Stream;

/// An actor that has a [`Connection`]. After [`ConnectedActor::on_end`] nothing
/// more is called.
pub trait ConnectedActor: Actor<Context = Context<Self>> {
    /// Its connection; `None` when it has none at the moment.
    fn connection(&mut self) -> Option<&mut Connection>;

    /// Bytes came and stand in [`Connection::input`]. Arm the next read with
    /// [`arm_read`] when more are wanted.
    fn on_read(&mut self, ctx: &mut Context<Self>);

    /// All output is written: there is room again.
    fn on_written(&mut self, ctx: &mut Context<Self>);

    /// The other side will send no more (`Ok`), or the connection is broken.
    /// After `Ok` it can still be written to.
    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>);
}

/// How much one read takes from the kernel at the most, in bytes.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The least room that a read offers, in bytes: what an idle connection costs.
const READ_BYTES_MIN: usize = 1024;
/// An input up to this size is copied, so that a connection within a budget keeps no
/// larger buffer than it needs while it waits.
const SMALL_INPUT_BYTES: usize = 4 * 1024;
/// What one connection moves in one turn, read and written, in bytes; but a read is
/// not cut short.
const TURN_BYTES: usize = 32 * 1024;
/// From this size on, a piece of output is not copied but sent from where it is.
pub const UNCOPIED_BYTES_MIN: usize = 4 * 1024;
/// Empty output that has grown beyond this, in bytes, is given back.
const OUTPUT_KEPT_BYTES_MAX: usize = 4 * 1024;
/// An empty input that has grown beyond this, in bytes, is given back.
const INPUT_KEPT_BYTES_MAX: usize = 4 * READ_BYTES_MAX;
/// From this size on, copied output is closed off, so that what follows does not
/// move it when the buffer has to grow.
const COPIED_BYTES_MAX: usize = 64 * 1024;
/// Slices handed to one `writev`.
const WRITE_SLICES_MAX: usize = 16;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// See the module.
pub struct Connection {
    /// Tells this connection from the others of the same actor.
    generation: u64,
    /// `None` when nothing more comes.
    reader: Option<Reader>,
    /// `None` when nothing more can be sent.
    writer: Option<Writer>,
    input: BytesMut,
    /// How much room the next read has, in bytes, if the budget allows it.
    read_bytes: usize,
    /// A read takes no more than is free of it.
    memory: Option<MemoryBudget>,
    /// It works only in its turns.
    ticket: Option<Permit>,
    /// The last read took all the room it had: more may be waiting in the kernel.
    has_more: bool,
    /// A read is armed.
    is_reading: bool,
    output: Output,
    /// What the kernel has taken of all output so far.
    sent_bytes: u64,
    pump: PumpState,
}

/// Where the [`Pump`] of a connection is.
enum PumpState {
    /// Not begun.
    Absent,
    /// It is being polled, or will be.
    Running,
    /// It waits, and has to be woken if there is something else to do than what
    /// it waits for.
    Waiting(Waker),
}

/// What a [`Pump`] has to tell.
enum Progress {
    Read,
    Written,
    End(io::Result<()>),
}

impl Connection {
    /// Takes a stream. `generation` differs from that of every earlier
    /// connection of the same actor.
    pub fn new(stream: Stream, generation: u64) -> Connection {
        Connection {
            generation,
            reader: Some(stream.reader),
            writer: Some(stream.writer),
            input: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            memory: None,
            ticket: None,
            has_more: false,
            is_reading: false,
            output: Output::default(),
            sent_bytes: 0,
            pump: PumpState::Absent,
        }
    }

    /// Lets it read no more than is free of `memory`, or a small buffer's worth: who pays
    /// for it says so in [`ConnectedActor::on_read`].
    #[must_use]
    pub fn within(mut self, memory: MemoryBudget) -> Connection {
        self.memory = Some(memory);
        self
    }

    /// Lets it read and write only when the fair_queue lets it through.
    pub fn take_turns(&mut self, fair_queue: &FairQueue) {
        self.ticket = Some(fair_queue.ticket());
    }

    /// What it holds beside small buffers, in bytes: what was read and not yet taken,
    /// and what is unsent.
    pub fn held_bytes(&self) -> usize {
        let input_bytes = match self.input.len() {
            small if small <= SMALL_INPUT_BYTES => small,
            // Not what an allocator may have put aside behind it, which is not touched.
            large => self.input.capacity().min(large + READ_BYTES_MAX),
        };
        input_bytes + self.output.bytes
    }

    /// What was read and not yet taken.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be written; [`arm_write`] sends it.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Bytes that the kernel has not yet taken.
    pub fn unsent_bytes(&self) -> usize {
        self.output.bytes
    }

    /// Bytes that the kernel has taken since the beginning: while they rise, the
    /// other side reads.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Tells the other side that nothing more comes, while what it still sends
    /// can be read. What is unsent stays unsent.
    pub fn end_output(&mut self) {
        self.writer = None;
    }

    /// `turn_bytes` is what is left of [`TURN_BYTES`].
    fn poll_progress(
        &mut self,
        turn_bytes: &mut usize,
        task: &mut task::Context<'_>,
    ) -> Poll<Progress> {
        if let Poll::Ready(progress) = self.poll_write(turn_bytes, task) {
            return Poll::Ready(progress);
        }
        let is_wanted = self.is_reading || !self.output.is_empty();
        if *turn_bytes == 0 && is_wanted {
            // Behind all who have something to do now.
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
        // All that is there anyway, if it need not be counted.
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
                self.has_more = read == room;
                *turn_bytes = turn_bytes.saturating_sub(read);
                // Grows with a busy connection, and shrinks again with an idle one.
                self.read_bytes = (read * 2).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
                Progress::Read
            }
            Err(error) => self.broken(error),
        })
    }

    /// While it waits, a connection within a budget has no room for what may come.
    fn wait_with_little(&mut self) {
        let is_small = self.input.len() <= SMALL_INPUT_BYTES;
        let spare = self.input.capacity() - self.input.len();
        if self.memory.is_some() && is_small && spare > READ_BYTES_MIN {
            self.input = BytesMut::from(&self.input[..]);
        }
    }

    /// Pending, too, when there is nothing to write.
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
            match ready!(self.output.poll_write(Pin::new(writer), *turn_bytes, task)) {
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

/// Output in the order of writing: small pieces are copied together, large ones
/// are kept as they are.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Output {
    /// Adds a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.bytes += bytes.len();
    }

    /// Adds `bytes`, without a copy when they are many.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < UNCOPIED_BYTES_MIN {
            self.put_slice(&bytes);
            return;
        }
        self.bytes += bytes.len();
        self.end_tail();
        self.pieces.push_back(bytes);
    }

    /// Lets `write` append to the output in place.
    pub fn put_with<R>(&mut self, write: impl FnOnce(&mut BytesMut) -> R) -> R {
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.bytes += self.tail.len() - before;
        if self.tail.len() >= COPIED_BYTES_MAX {
            self.end_tail();
        }
        result
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Writes what it can of the first `bytes`, and lets go of it.
    fn poll_write(
        &mut self,
        writer: Pin<&mut Writer>,
        bytes: usize,
        task: &mut task::Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = if self.pieces.is_empty() {
            ready!(writer.poll_write(task, &self.tail[..self.tail.len().min(bytes)]))
        } else {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
            let pieces = self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
            let (mut count, mut left) = (0, bytes);
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                let taken = piece.len().min(left);
                *slice = IoSlice::new(&piece[..taken]);
                count += 1;
                left -= taken;
                if left == 0 {
                    break;
                }
            }
            ready!(writer.poll_write_vectored(task, &slices[..count]))
        };
        if let Ok(written) = written {
            self.advance(written);
        }
        Poll::Ready(written)
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut left = written;
        while let Some(first) = self.pieces.front_mut() {
            let taken = left.min(first.len());
            first.advance(taken);
            left -= taken;
            if !first.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.tail.advance(left);
        if self.tail.is_empty() && self.tail.capacity() > OUTPUT_KEPT_BYTES_MAX {
            self.tail = BytesMut::new();
        }
    }
}

/// Starts a read, unless one is under way or the connection is gone.
pub fn arm_read<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    if !std::mem::replace(&mut connection.is_reading, true) {
        run_pump(connection, ctx);
    }
}

/// Starts a read, as [`arm_read`] does, that takes nothing before every other
/// actor of this thread that has something to do had its turn. An actor that
/// hands over what it reads without a window of its own arms its reads with this:
/// else a socket that always has more would fill the receivers' mailboxes before
/// they run at all.
///
/// After a read that left nothing in the kernel no such turn has to be arranged:
/// that more has come is learnt only when all sockets are looked at, after the
/// turns of those who have something to do now.
pub fn arm_read_after_others<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    if actor.connection().is_none_or(|connection| !connection.has_more) {
        return arm_read(actor, ctx);
    }
    let turn = tokio::task::yield_now().into_actor(actor);
    ctx.spawn(turn.map(|(), actor, ctx| arm_read(actor, ctx)));
}

/// Starts a write of all the output, unless there is none, or the connection is
/// gone. It leaves when the mailbox is drained.
pub fn arm_write<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    if !connection.output.is_empty() {
        run_pump(connection, ctx);
    }
}

fn run_pump<A: ConnectedActor>(connection: &mut Connection, ctx: &mut Context<A>) {
    match std::mem::replace(&mut connection.pump, PumpState::Running) {
        PumpState::Absent => {
            let generation = connection.generation;
            ctx.spawn(Pump { generation, actor: PhantomData });
        }
        PumpState::Running => {}
        // In a handler it would be polled anyway, behind the mailbox; in a timer
        // or another future of the context it would not.
        PumpState::Waiting(waker) => waker.wake(),
    }
}

/// Moves the bytes of one connection and tells its actor.
struct Pump<A> {
    generation: u64,
    actor: PhantomData<fn(A)>,
}

impl<A: ConnectedActor> ActorFuture<A> for Pump<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        let mut turn_bytes = TURN_BYTES;
        let mut is_turn = false;
        loop {
            let Some(connection) = actor.connection().filter(|c| c.generation == self.generation)
            else {
                return Poll::Ready(());
            };
            is_turn = is_turn || connection.ticket.as_ref().is_none_or(|t| t.poll_turn(task));
            if !is_turn {
                connection.pump = PumpState::Waiting(task.waker().clone());
                return Poll::Pending;
            }
            connection.pump = PumpState::Running;
            match connection.poll_progress(&mut turn_bytes, task) {
                Poll::Ready(Progress::Read) => actor.on_read(ctx),
                Poll::Ready(Progress::Written) => actor.on_written(ctx),
                Poll::Ready(Progress::End(end)) => actor.on_end(end, ctx),
                Poll::Pending => {
                    connection.pump = PumpState::Waiting(task.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

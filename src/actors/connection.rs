//! The two halves of a stream as an actor holds them: at most one read and one
//! write under way, each a future of the actor's own context.
//!
//! Not an actor: the part that SessionActor, PeerLinkActor and PeerSessionActor
//! have in common. Reading is armed by hand, so an actor that has enough to do
//! leaves the rest in the kernel, and a fast sender is slowed by TCP itself.
//! What is written gathers while a write is under way and leaves with the next
//! one, so a burst of small replies costs one system call. Everything unsent is
//! counted ([`Connection::unsent_bytes`]); the bound on it is the actor's.
//!
//! Dropping a [`Connection`] closes it at once: a read or a write that waits for
//! a stalled peer ends, and what it held of the socket and of the output goes
//! with it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::net::Stream;

/// An actor that has a [`Connection`]. After [`ConnectedActor::on_end`] nothing
/// more is called.
pub trait ConnectedActor: Actor<Context = Context<Self>> {
    /// Its connection; `None` when it has none at the moment.
    fn connection(&mut self) -> Option<&mut Connection>;

    /// Bytes came and stand in [`Connection::input`]. Arm the next read with
    /// [`arm_read`] when more are wanted.
    fn on_read(&mut self, ctx: &mut Context<Self>);

    /// A write ended: there is room again. What gathered meanwhile is already
    /// on its way.
    fn on_written(&mut self, ctx: &mut Context<Self>);

    /// The other side will send no more (`Ok`), or the connection is broken.
    /// After `Ok` it can still be written to.
    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>);
}

/// How much one read takes from the kernel at the most, in bytes.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The least room that a read offers, in bytes: what an idle connection costs.
const READ_BYTES_MIN: usize = 2 * 1024;
/// From this size on, a piece of output is not copied but sent from where it is.
const UNCOPIED_BYTES_MIN: usize = 4 * 1024;
/// An empty input that has grown beyond this, in bytes, is given back.
const INPUT_KEPT_BYTES_MAX: usize = 4 * READ_BYTES_MAX;
/// From this size on, copied output is closed off, so that what follows does not
/// move it when the buffer has to grow.
const COPIED_BYTES_MAX: usize = 64 * 1024;
/// Slices handed to one `writev`.
const WRITE_SLICES_MAX: usize = 64;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// See the module.
pub struct Connection {
    /// Tells this connection from the one before it in late completions.
    generation: u64,
    reader: Option<Reader>,
    writer: Option<Writer>,
    input: BytesMut,
    read_bytes: usize,
    output: Output,
    /// Of all output so far, what was handed to a write.
    handed_bytes: u64,
    /// What the kernel has not yet taken of the write under way, which counts
    /// it down as it goes.
    writing_bytes: Rc<Cell<usize>>,
    output_ended: bool,
    /// Ends the read and the write under way: their futures own their halves of
    /// the stream meanwhile, and belong to the actor's context.
    closed: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.closed.cancel();
    }
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
            output: Output::default(),
            handed_bytes: 0,
            writing_bytes: Rc::default(),
            output_ended: false,
            closed: CancellationToken::new(),
        }
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
        self.writing_bytes.get() + self.output.bytes
    }

    /// Bytes that the kernel has taken since the beginning: while they rise, the
    /// other side reads.
    pub fn sent_bytes(&self) -> u64 {
        self.handed_bytes - self.writing_bytes.get() as u64
    }

    /// Tells the other side that nothing more comes, while what it still sends
    /// can be read. A write under way is the last.
    pub fn end_output(&mut self) {
        self.output_ended = true;
        self.writer = None;
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

    fn take(&mut self) -> VecDeque<Bytes> {
        self.end_tail();
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }
}

/// Starts a read, unless one is under way or the connection is gone.
pub fn arm_read<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    let Some(mut reader) = connection.reader.take() else { return };
    let mut input = std::mem::take(&mut connection.input);
    if input.is_empty() && input.capacity() > INPUT_KEPT_BYTES_MAX {
        input = BytesMut::new();
    }
    let (generation, room) = (connection.generation, connection.read_bytes);
    let closed = connection.closed.clone();
    let read = async move {
        input.reserve(room);
        let result = closed.run_until_cancelled(reader.read_buf(&mut input)).await?;
        Some((reader, input, result))
    };
    let done = read.into_actor(actor).map(move |read, actor, ctx| {
        let Some((reader, input, result)) = read else { return };
        let Some(connection) = actor.connection().filter(|c| c.generation == generation) else {
            return;
        };
        connection.input = input;
        match result {
            Ok(0) => actor.on_end(Ok(()), ctx),
            Ok(read) => {
                connection.reader = Some(reader);
                // Grows with a busy connection, and shrinks again with an idle one.
                connection.read_bytes = (read * 2).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
                actor.on_read(ctx);
            }
            Err(error) => actor.on_end(Err(error), ctx),
        }
    });
    ctx.spawn(done);
}

/// Starts a read, as [`arm_read`] does, after every other actor of this thread
/// that has something to do had its turn. An actor that hands over what it reads
/// without a window of its own arms its reads with this: else a socket that
/// always has more would fill the receivers' mailboxes before they run at all.
pub fn arm_read_after_others<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let turn = tokio::task::yield_now().into_actor(actor);
    ctx.spawn(turn.map(|(), actor, ctx| arm_read(actor, ctx)));
}

/// Starts a write of all the output, unless one is under way, there is none, or
/// the connection is gone.
pub fn arm_write<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    if connection.output.is_empty() {
        return;
    }
    let Some(mut writer) = connection.writer.take() else { return };
    connection.handed_bytes += connection.output.bytes as u64;
    connection.writing_bytes.set(connection.output.bytes);
    let pieces = connection.output.take();
    let (generation, unwritten) = (connection.generation, Rc::clone(&connection.writing_bytes));
    let closed = connection.closed.clone();
    let write = async move {
        let write = write_all(&mut writer, pieces, &unwritten);
        let result = closed.run_until_cancelled(write).await?;
        Some((writer, result))
    };
    let done = write.into_actor(actor).map(move |written, actor, ctx| {
        let Some((writer, result)) = written else { return };
        let Some(connection) = actor.connection().filter(|c| c.generation == generation) else {
            return;
        };
        match result {
            Ok(()) => {
                connection.writer = Some(writer).filter(|_| !connection.output_ended);
                arm_write(actor, ctx);
                actor.on_written(ctx);
            }
            Err(error) => actor.on_end(Err(error), ctx),
        }
    });
    ctx.spawn(done);
}

async fn write_all(
    writer: &mut Writer,
    mut pieces: VecDeque<Bytes>,
    unwritten: &Cell<usize>,
) -> io::Result<()> {
    while !pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            pieces.iter().take(WRITE_SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        unwritten.set(unwritten.get() - written);
        while written > 0 {
            let first = pieces.front_mut().expect("no more is written than was given");
            let taken = written.min(first.len());
            first.advance(taken);
            written -= taken;
            if first.is_empty() {
                pieces.pop_front();
            }
        }
    }
    writer.flush().await
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

//! The pump of a connection: a future in its actor's context that moves the bytes.
//!
//! The context polls the pump when it has drained its mailbox, so everything that one drain
//! put into the output leaves with one system call.
//!
//! In one turn a pump moves at most `TURN_BYTES`, then all other work of the thread has its
//! turn. The kernel takes and gives megabytes at once: without the bound, a few hundred
//! clients that fetch large values would keep a leader from its heartbeats and cost it its
//! leadership.
//!
//! A connection has one pump for as long as it lives. When the connection is dropped, the
//! pump ends at its next poll.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};

use actix::{Actor, ActorFuture, ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::actors::io::connection::{Connection, Progress};

/// Maximum number of bytes that one connection reads and writes in one turn. A read is not
/// cut short by it.
const TURN_BYTES: usize = 32 * 1024;

/// An actor that has a [`Connection`]. Nothing more is called after
/// [`ConnectedActor::on_end`].
pub trait ConnectedActor: Actor<Context = Context<Self>> {
    /// The connection; `None` while the actor has none.
    fn connection(&mut self) -> Option<&mut Connection>;

    /// Bytes were added to [`Connection::input`]. The actor arms the next read with
    /// [`arm_read`] when it wants more.
    fn on_read(&mut self, ctx: &mut Context<Self>);

    /// All output is written: there is room again.
    fn on_written(&mut self, ctx: &mut Context<Self>);

    /// The other side will send no more (`Ok`), or the connection is broken. After `Ok` it
    /// can still be written to.
    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>);
}

/// Starts a read, unless one is under way or the connection is gone.
pub fn arm_read<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    if connection.begin_read() {
        run_pump(connection, ctx);
    }
}

/// Starts a read as [`arm_read`] does, after every other actor of this thread that has work
/// had its turn.
///
/// An actor that hands over what it reads without a window of its own arms its reads with
/// this. Otherwise a socket that always has more would fill the receivers' mailboxes before
/// they run at all. No turn has to be arranged when the last read left nothing in the
/// kernel: new input is noticed only when all sockets are polled, after the turns of all
/// actors that have work now.
pub fn arm_read_after_others<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    if actor.connection().is_none_or(|connection| !connection.has_more()) {
        return arm_read(actor, ctx);
    }
    let turn = tokio::task::yield_now().into_actor(actor);
    ctx.spawn(turn.map(|(), actor, ctx| arm_read(actor, ctx)));
}

/// Starts a write of all output, unless there is none or the connection is gone. The output
/// leaves when the mailbox is drained.
pub fn arm_write<A: ConnectedActor>(actor: &mut A, ctx: &mut Context<A>) {
    let Some(connection) = actor.connection() else { return };
    if connection.unsent_bytes() > 0 {
        run_pump(connection, ctx);
    }
}

fn run_pump<A: ConnectedActor>(connection: &mut Connection, ctx: &mut Context<A>) {
    if connection.wake_pump() {
        ctx.spawn(Pump { generation: connection.generation(), actor: PhantomData });
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
            let Some(connection) = actor.connection().filter(|c| c.generation() == self.generation)
            else {
                return Poll::Ready(());
            };
            is_turn = is_turn || connection.poll_turn(task);
            if !is_turn {
                connection.on_pump_waits(task);
                return Poll::Pending;
            }
            connection.on_pump_runs();
            match connection.poll_progress(&mut turn_bytes, task) {
                Poll::Ready(Progress::Read) => actor.on_read(ctx),
                Poll::Ready(Progress::Written) => actor.on_written(ctx),
                Poll::Ready(Progress::End(end)) => actor.on_end(end, ctx),
                Poll::Pending => {
                    connection.on_pump_waits(task);
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

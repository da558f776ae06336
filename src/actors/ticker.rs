//! TickerActor: time, as a message.
//!
//! A timer of RaftActor's own would starve while its mailbox is full (actix
//! drains the mailbox before it looks at timers); a `Tick` takes its place in the
//! queue. After a pause of the process there is one tick, not all that were
//! missed: a node that slept must first hear what the others have to say.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Recipient};

use super::raft::Tick;

/// See the module.
pub struct TickerActor {
    interval: Duration,
    raft: Recipient<Tick>,
}

impl TickerActor {
    /// Sends a [`Tick`] to `raft` every `interval`.
    pub fn new(interval: Duration, raft: Recipient<Tick>) -> TickerActor {
        TickerActor { interval, raft }
    }
}

impl Actor for TickerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.interval, |ticker, ctx| {
            if !ticker.raft.connected() {
                ctx.stop();
                return;
            }
            ticker.raft.do_send(Tick);
        });
    }
}

//! TickerActor: time, as a message.
//!
//! A timer of RaftActor's own would starve while its mailbox is full (actix
//! drains the mailbox before it looks at timers); a `Tick` takes its place in the
//! queue. After a pause of the process (SIGSTOP, a sleeping machine) the ticks that
//! were missed are not made up for: a node that slept must first hear what the
//! others have to say, before it takes its own silence for theirs (bugs.md B83).
//! `run_interval` would send all of them at once.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Recipient};
use tokio::time::Instant;

use crate::actors::messages::lifecycle::Tick;

/// A thread that is busy is a little late now and then, and ticks must keep the
/// time all the same: so many may be overdue. More is a pause.
const OVERDUE_TICKS_MAX: u32 = 2;

/// See the module.
pub struct TickerActor {
    interval: Duration,
    raft: Recipient<Tick>,
    /// When the next one is due.
    next: Instant,
}

impl TickerActor {
    /// Sends a [`Tick`] to `raft` every `interval`.
    pub fn new(interval: Duration, raft: Recipient<Tick>) -> TickerActor {
        TickerActor { interval, raft, next: Instant::now() + interval }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let wait = self.next.saturating_duration_since(Instant::now());
        ctx.run_later(wait, |ticker, ctx| {
            if !ticker.raft.connected() {
                ctx.stop();
                return;
            }
            ticker.raft.do_send(Tick);
            ticker.next += ticker.interval;
            let now = Instant::now();
            if ticker.next + ticker.interval * OVERDUE_TICKS_MAX < now && !mutant!(B83) {
                ticker.next = now + ticker.interval;
            }
            ticker.arm(ctx);
        });
    }
}

impl Actor for TickerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.arm(ctx);
    }
}

#[cfg(test)]
mod tests;

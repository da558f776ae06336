//! TickerActor: sends the time to RaftActor as a message.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | a timer | | [`Tick`] | RaftActor |
//!
//! A timer of RaftActor's own would starve while its mailbox is full, because actix drains
//! the mailbox before it looks at timers. A `Tick` waits in the mailbox instead, like
//! every other message.
//!
//! Ticks that were missed in a pause of the process (SIGSTOP, a sleeping machine) are not
//! sent later. A node that was paused must first receive the messages of the others, before
//! it concludes that they were silent (docs/bugs.md B83). `run_interval` would send all
//! missed ticks at once.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Recipient};
use tokio::time::Instant;

use crate::actors::messages::lifecycle::Tick;
use crate::metrics::MainThreadMetrics;

/// Maximum number of overdue ticks that are sent later. A busy thread is a little late now
/// and then, and ticks must keep the time all the same. More overdue ticks mean a pause.
const OVERDUE_TICKS_MAX: u32 = 2;

/// The actor that sends ticks.
pub struct TickerActor {
    interval: Duration,
    raft: Recipient<Tick>,
    /// The time at which the next tick is due.
    next: Instant,
    metrics: MainThreadMetrics,
}

impl TickerActor {
    /// Sends a [`Tick`] to `raft` every `interval`.
    pub fn new(interval: Duration, raft: Recipient<Tick>) -> TickerActor {
        let metrics = MainThreadMetrics::default();
        TickerActor { interval, raft, next: Instant::now() + interval, metrics }
    }

    /// Measures by how much its own timer comes late.
    #[must_use]
    pub fn with_metrics(self, metrics: MainThreadMetrics) -> TickerActor {
        TickerActor { metrics, ..self }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let wait = self.next.saturating_duration_since(Instant::now());
        ctx.run_later(wait, |ticker, ctx| {
            if !ticker.raft.connected() {
                ctx.stop();
                return;
            }
            ticker.raft.do_send(Tick);
            let due = ticker.next;
            ticker.next += ticker.interval;
            let now = Instant::now();
            if ticker.next + ticker.interval * OVERDUE_TICKS_MAX < now {
                ticker.next = now + ticker.interval;
            }
            ticker.metrics.on_late(now.saturating_duration_since(due));
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

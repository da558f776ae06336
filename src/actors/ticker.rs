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

use super::raft::Tick;

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
mod tests {
    use super::*;
    use crate::testing::{probe, settle};

    const INTERVAL: Duration = Duration::from_millis(10);

    /// Lets so much time pass, nearly all of it at once. The rest goes in small
    /// steps: a timer that is overdue fires a millisecond later.
    async fn pass(intervals: u32) {
        const STEPS: u32 = 5;
        const STEP: Duration = Duration::from_millis(1);
        tokio::time::advance(INTERVAL * intervals - STEP * STEPS).await;
        for _ in 0..STEPS {
            settle().await;
            tokio::time::advance(STEP).await;
        }
        settle().await;
    }

    #[actix::test]
    async fn ticks_keep_the_time_but_for_what_was_slept() {
        tokio::time::pause();
        let (raft, ticks) = probe();
        TickerActor::new(INTERVAL, raft).start();
        settle().await;
        tokio::time::advance(Duration::from_millis(2)).await;
        for intervals in [1, 1, 2, 3, 1] {
            pass(intervals).await;
            assert_eq!(ticks.drain().len() as u32, intervals, "a little late");
        }
        pass(500).await;
        assert_eq!(ticks.drain().len(), 1, "after a pause");
        pass(1).await;
        assert_eq!(ticks.drain().len(), 1, "and on as before");
    }
}

//! Delays LogActor's completions on their way to RaftActor.
//!
//! In production they go from one thread to another, and a sync takes time: meanwhile the node
//! goes on, and may replace entries that are being written. The simulated disk completes at once,
//! so its completions are delayed instead, in their order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use rand::RngExt;

use crate::actors::messages::log::LogPersisted;
use crate::testing::simulation::world::{Machine, World};

/// The time between two looks at a disk that is stalled.
const STALL_POLL: Duration = Duration::from_millis(3);

/// The actor between LogActor and RaftActor.
pub(crate) struct DelayedCompletions {
    world: Rc<World>,
    machine: Rc<Machine>,
    to: Recipient<LogPersisted>,
    waiting: VecDeque<LogPersisted>,
    /// The stall of the disk that holds back the first completion.
    held_by: Option<u64>,
}

impl DelayedCompletions {
    /// Returns an address that passes completions on to `to` after a delay, or `to` itself when
    /// the plan has no delays.
    pub(crate) fn interpose(
        world: &Rc<World>,
        machine: &Rc<Machine>,
        to: Recipient<LogPersisted>,
    ) -> Recipient<LogPersisted> {
        if world.plan.sync_ms_max == 0 {
            return to;
        }
        let (world, machine) = (Rc::clone(world), Rc::clone(machine));
        DelayedCompletions { world, machine, to, waiting: VecDeque::new(), held_by: None }
            .start()
            .recipient()
    }

    fn pass_on_later(&self, ctx: &mut Context<Self>) {
        let is_fault_free = self.world.phase.is_fault_free.get();
        let ms_max = if is_fault_free { 1 } else { self.world.plan.sync_ms_max };
        let ms = self.world.random(|rng| rng.random_range(1..=ms_max));
        ctx.run_later(Duration::from_millis(ms), DelayedCompletions::pass_on);
    }

    fn pass_on(&mut self, ctx: &mut Context<Self>) {
        // The completion is released when the stall that held it ends, even if the next stall has
        // begun.
        if let Some(stall) = self.machine.disk_stall()
            && *self.held_by.get_or_insert(stall) == stall
        {
            ctx.run_later(STALL_POLL, DelayedCompletions::pass_on);
            return;
        }
        self.held_by = None;
        if let Some(completion) = self.waiting.pop_front() {
            self.to.do_send(completion);
        }
        if !self.waiting.is_empty() {
            self.pass_on_later(ctx);
        }
    }
}

impl Actor for DelayedCompletions {
    type Context = Context<Self>;
}

impl Handler<LogPersisted> for DelayedCompletions {
    type Result = ();

    fn handle(&mut self, completion: LogPersisted, ctx: &mut Context<Self>) {
        self.waiting.push_back(completion);
        if self.waiting.len() == 1 {
            self.pass_on_later(ctx);
        }
    }
}

//! The way of LogActor's answers to RaftActor. In production it leads from one
//! thread to another, and a sync takes its time: meanwhile the node goes on, and may
//! replace what is being written. Here the disk is done at once, so its answers come
//! late instead, in their order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use rand::RngExt;

use super::world::Machine;
use super::world::World;
use crate::actors::messages::log::LogPersisted;

/// How often a disk that stands still is looked at again.
const STALL_POLL: Duration = Duration::from_millis(3);

/// See the module.
pub(super) struct LateAnswers {
    world: Rc<World>,
    machine: Rc<Machine>,
    to: Recipient<LogPersisted>,
    waiting: VecDeque<LogPersisted>,
    /// The stall of the disk that holds the first of them back.
    held_by: Option<u64>,
}

impl LateAnswers {
    /// Puts itself between LogActor and `to`.
    pub(super) fn on_the_way(
        world: &Rc<World>,
        machine: &Rc<Machine>,
        to: Recipient<LogPersisted>,
    ) -> Recipient<LogPersisted> {
        if world.plan.sync_ms_max == 0 {
            return to;
        }
        let (world, machine) = (Rc::clone(world), Rc::clone(machine));
        LateAnswers { world, machine, to, waiting: VecDeque::new(), held_by: None }
            .start()
            .recipient()
    }

    fn pass_on_later(&self, ctx: &mut Context<Self>) {
        let ms_max = if self.world.is_peace.get() { 1 } else { self.world.plan.sync_ms_max };
        let ms = self.world.random(|rng| rng.random_range(1..=ms_max));
        ctx.run_later(Duration::from_millis(ms), LateAnswers::pass_on);
    }

    fn pass_on(&mut self, ctx: &mut Context<Self>) {
        // It is out as soon as that stall is over, even if the next has begun.
        if let Some(stall) = self.machine.disk_stall()
            && *self.held_by.get_or_insert(stall) == stall
        {
            ctx.run_later(STALL_POLL, LateAnswers::pass_on);
            return;
        }
        self.held_by = None;
        if let Some(answer) = self.waiting.pop_front() {
            self.to.do_send(answer);
        }
        if !self.waiting.is_empty() {
            self.pass_on_later(ctx);
        }
    }
}

impl Actor for LateAnswers {
    type Context = Context<Self>;
}

impl Handler<LogPersisted> for LateAnswers {
    type Result = ();

    fn handle(&mut self, answer: LogPersisted, ctx: &mut Context<Self>) {
        self.waiting.push_back(answer);
        if self.waiting.len() == 1 {
            self.pass_on_later(ctx);
        }
    }
}

//! Faults of the memory and of the program that simulated nodes suffer: KvActor takes orders to
//! spoil its store.

use actix::{Context, Handler};

use crate::actors::kv::KvActor;
use crate::actors::messages::kv::{Corrupt, LookForCorruption, StoreFault};
use crate::kv::{Scrub, ScrubBudget};

impl Handler<Corrupt> for KvActor {
    type Result = bool;

    fn handle(&mut self, message: Corrupt, _ctx: &mut Context<Self>) -> bool {
        let Corrupt { fault, seed } = message;
        match fault {
            StoreFault::FlippedBit => self.store.flip_bit(seed),
            StoreFault::Divergence => self.store.diverge(seed),
        }
    }
}

impl Handler<LookForCorruption> for KvActor {
    type Result = bool;

    fn handle(&mut self, _message: LookForCorruption, _ctx: &mut Context<Self>) -> bool {
        let all = ScrubBudget { records: u64::MAX, bytes: u64::MAX };
        !self.has_ended && self.store.scrub(&mut Scrub::default(), all).is_err()
    }
}

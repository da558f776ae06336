//! Faults of a node's memory, and of its program (docs/adr/0025): a bit of a record flips, or one
//! store differs from all others. The node has to stop by itself, and comes back with what the
//! others have. Nobody reads a wrong value from a record whose bit has flipped.
//!
//! A store that differs may give wrong answers until the stores are compared. So the clients are
//! quiesced as long as its node lives, whatever its role is: every server answers them.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use super::targeted::TargetedFaults;
use crate::actors::messages::kv::{Corrupt, LookForCorruption, StoreFault};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::world::{Machine, Sample};

/// A node with a flipped bit has to stop within this time. It walks its whole store ten times a
/// second.
const WALK: Duration = Duration::from_secs(1);
/// A node whose store differs has to stop within this time, while a leader leads and entries come.
const COMPARISON: Duration = Duration::from_secs(5);
/// The longest time that a node may take to answer a message of a test.
const PATIENCE: Duration = Duration::from_millis(100);
/// A node whose store differs is found in this time, or its store is written again by then.
const END_MAX: Duration = Duration::from_secs(30);
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

impl TargetedFaults {
    /// Spoils a record of some node, and waits for its end.
    pub(super) async fn spoil_memory(&mut self, fault: StoreFault) -> bool {
        if !self.calm_down() {
            return false;
        }
        let is_spoilt = self.spoil_some_memory(fault).await;
        self.world.phase.is_quiesced.set(false);
        self.world.network.set_conditions(self.world.plan.network);
        is_spoilt
    }

    async fn spoil_some_memory(&mut self, fault: StoreFault) -> bool {
        let Some(leader) = self.settled_leader().await else { return false };
        let is_leader = self.world.random(|rng| rng.random_bool(0.3));
        let chosen =
            if is_leader { Some(leader.id) } else { self.others(leader.id).first().copied() };
        let Some(id) = chosen else { return false };
        let machine = Rc::clone(&self.world.machines[&id]);
        if fault == StoreFault::Divergence {
            self.world.phase.is_quiesced.set(true);
            let timeout_ms = self.world.plan.settings.limits.request_timeout_ms;
            sleep(Duration::from_millis(timeout_ms + 100)).await;
        }
        let life = machine.lives.get();
        if !self.are_all_equal(&leader).await
            || !self.world.may_lose_data()
            || !self.world.wire.is_raised()
            || machine.lives.get() != life
        {
            return false;
        }
        let seed = self.world.random(|rng| rng.random());
        let kv = machine.memory.kv.borrow().clone();
        let Some(kv) = kv else { return false };
        // The node may have saved the store, or found the fault and ended, before its answer is
        // seen here.
        machine.memory.on_fault(life, fault);
        if fault == StoreFault::Divergence {
            self.world.wire.on_divergence(id, true);
        }
        let answer = timeout(PATIENCE, kv.send(Corrupt { fault, seed })).await;
        if matches!(answer, Ok(Ok(false))) {
            self.world.wire.on_divergence(id, false);
        }
        if !matches!(answer, Ok(Ok(true))) {
            return false;
        }
        self.world.note_data_loss(id, u64::MAX);
        self.world.trace.say(&format_args!("{fault:?} in the memory of n{id}"));
        match fault {
            StoreFault::FlippedBit => self.expect_walk_to_find(&machine, life).await,
            StoreFault::Divergence => {
                self.expect_comparison_to_find(&machine, &leader).await;
                self.wait_for_end(&machine, life).await;
            }
        }
        true
    }

    /// True when all nodes are up, in the leader's term, and behind it by little.
    async fn are_all_equal(&mut self, leader: &Sample) -> bool {
        let samples = self.poll().await;
        let is_good = |sample: &Sample| {
            sample.term == leader.term
                && sample.role != "rejoining"
                && sample.last_applied + 20 >= leader.last_applied
        };
        let leads = |sample: &Sample| sample.id == leader.id && sample.role == "leader";
        let members = self.world.members();
        let of_members = samples.iter().filter(|sample| members.contains(&sample.id));
        of_members.clone().count() == members.len()
            && of_members.clone().all(is_good)
            && samples.iter().any(leads)
    }

    /// The node finds the record in time, unless it was written again.
    async fn expect_walk_to_find(&self, machine: &Machine, life: u64) {
        let begin = machine.uptime();
        while machine.lives.get() == life && machine.is_up() && !machine.is_paused() {
            sleep(INTERVAL).await;
            if machine.uptime() < begin + WALK {
                continue;
            }
            let kv = machine.memory.kv.borrow().clone();
            let Some(kv) = kv else { return };
            let answer = timeout(PATIENCE, kv.send(LookForCorruption)).await;
            if matches!(answer, Ok(Ok(true))) {
                let what = format!("n{} has a flipped bit and goes on for {WALK:?}", machine.id);
                self.world.violate(Check::Memory, what);
            }
            return;
        }
    }

    /// The stores may not be compared before other machines are back.
    async fn wait_for_end(&self, machine: &Machine, life: u64) {
        let deadline = Instant::now() + END_MAX;
        while machine.lives.get() == life && machine.is_up() && Instant::now() < deadline {
            sleep(INTERVAL).await;
        }
    }

    /// The stores are compared in time, unless the record was written again.
    async fn expect_comparison_to_find(&mut self, machine: &Machine, leader: &Sample) {
        let (begin, life) = (Instant::now(), machine.lives.get());
        while machine.lives.get() == life && machine.is_up() {
            sleep(INTERVAL).await;
            let samples = self.poll().await;
            let leads = |sample: &Sample| {
                (sample.id, sample.term, sample.role.as_str()) == (leader.id, leader.term, "leader")
            };
            if !samples.iter().any(leads) || samples.len() < self.world.members().len() {
                return;
            }
            let Some(own) = samples.iter().find(|sample| sample.id == machine.id) else { return };
            let other = samples
                .iter()
                .find(|other| other.id != own.id && other.last_applied == own.last_applied);
            let Some(other) = other else { continue };
            if other.store_digest == own.store_digest {
                return;
            }
            if begin.elapsed() > COMPARISON {
                let what = format!("nobody notices that two stores differ: {own:?}, {other:?}");
                return self.world.violate(Check::Memory, what);
            }
        }
    }
}

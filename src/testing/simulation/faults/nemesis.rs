//! Inflicts the faults of the plan, one after the other, at random times.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use super::{disk, topology};
use crate::actors::messages::kv::StoreFault;
use crate::testing::simulation::checks::wire::Promise;
use crate::testing::simulation::cluster::{AFTERMATH_MS, after, crash, wipe};
use crate::testing::simulation::network::NetworkConditions;
use crate::testing::simulation::plan::Fault;
use crate::testing::simulation::workload::leave_names;
use crate::testing::simulation::world::{CLOCK_ERRORS_MS, Machine, World, host};

/// Inflicts faults for as long as the plan says, or until the seed has failed.
pub(crate) async fn run(world: &Rc<World>) {
    let end = Instant::now() + Duration::from_millis(world.plan.trouble_ms);
    let mut targeted = TargetedFaults::new(world, end);
    while Instant::now() < end && !world.has_failed() {
        let pause_ms = world.random(|rng| rng.random_range(1..=world.plan.fault_pause_ms_max));
        sleep(Duration::from_millis(pause_ms)).await;
        let fault = draw(world);
        if inflict(world, &mut targeted, fault).await {
            world.count(fault);
        }
    }
}

fn draw(world: &World) -> Fault {
    let all: u32 = world.plan.faults.iter().map(|(_, weight)| weight).sum();
    let mut at = world.random(|rng| rng.random_range(0..all));
    for (fault, weight) in &world.plan.faults {
        if at < *weight {
            return *fault;
        }
        at -= weight;
    }
    unreachable!("the weights sum up to what was drawn from")
}

fn some(world: &World, ids: &[u64]) -> u64 {
    ids[world.random(|rng| rng.random_range(0..ids.len()))]
}

/// Inflicts a fault. Returns false when that is not possible now.
async fn inflict(world: &Rc<World>, targeted: &mut TargetedFaults, fault: Fault) -> bool {
    let up = world.up();
    if up.is_empty() {
        return false;
    }
    let id = some(world, &up);
    world.trace.say(&format_args!("{fault:?}, n{id} if it is for one"));
    if fault.is_targeted() {
        return inflict_targeted(world, targeted, fault).await;
    }
    if fault.is_of_network() {
        return inflict_on_network(world, fault, id);
    }
    let machine = Rc::clone(&world.machines[&id]);
    match fault {
        Fault::Kill => crash(world, id, false),
        Fault::PowerLoss => crash(world, id, true),
        Fault::Blackout => up.iter().for_each(|id| crash(world, *id, true)),
        Fault::Strike => world.wire.strike(Some(world.random(Promise::draw))),
        Fault::Stop => machine.stop(),
        Fault::Pause => pause(world, machine),
        Fault::SlowDisk => slow_down(world, machine),
        Fault::Clock => {
            let most_ms = world.random(|rng| CLOCK_ERRORS_MS[rng.random_range(0..5)]);
            machine.clock.set_offset_ms(world.random(|rng| rng.random_range(-most_ms..=most_ms)));
        }
        Fault::WriteError | Fault::SyncError | Fault::ReadError | Fault::DiskCut => {
            disk::spoil(world, &machine, fault);
        }
        Fault::ManyNames => return leave_names(world),
        Fault::DiskFull => disk::fill(world, machine, 8_000),
        Fault::Rot => return disk::rot(world, id),
        Fault::Wipe => {
            if !world.may_lose_data() {
                return false;
            }
            wipe(world, id);
        }
        fault => unreachable!("{fault:?} is a targeted fault, or one of the network"),
    }
    true
}

async fn inflict_targeted(world: &Rc<World>, targeted: &mut TargetedFaults, fault: Fault) -> bool {
    match fault {
        Fault::IsolateLeader => targeted.isolate_leader().await,
        Fault::KillLeader => targeted.kill_leader().await,
        Fault::SlowLeader => {
            let Some(leader) = targeted.leader_when(|_| true).await else { return false };
            slow_down(world, Rc::clone(&world.machines[&leader.id]));
            true
        }
        Fault::Overthrow => targeted.overthrow().await,
        Fault::Withhold => targeted.withhold().await,
        Fault::Revolve => targeted.revolve().await,
        Fault::Hinge => targeted.hinge().await,
        Fault::ElectUnnoticed => targeted.elect_unnoticed().await,
        Fault::PauseLeader => targeted.pause_leader().await,
        Fault::Reconnect => targeted.reconnect().await,
        Fault::RestartAll => targeted.restart_all().await,
        Fault::Absence => targeted.absence(),
        Fault::Interrupt => targeted.interrupt().await,
        Fault::StuckFollower => targeted.stick_follower().await,
        Fault::StalledQuorum => targeted.stall_quorum().await,
        Fault::Amnesia => targeted.amnesia().await,
        Fault::ScatteredDamage => targeted.scatter_damage().await,
        Fault::FlippedBit => targeted.spoil_memory(StoreFault::FlippedBit).await,
        Fault::Divergence => targeted.spoil_memory(StoreFault::Divergence).await,
        Fault::AgedDisk => targeted.age_disk().await,
        Fault::WipeMajority => targeted.wipe_majority().await,
        fault => unreachable!("{fault:?} is not a targeted fault"),
    }
}

/// Inflicts a fault of the network. `id` is the hub of a star.
fn inflict_on_network(world: &Rc<World>, fault: Fault, id: u64) -> bool {
    let all: Vec<u64> = world.serving();
    match fault {
        Fault::Silence => return world.network.silence_some_connection(),
        Fault::Storm => storm(world),
        Fault::Partition => {
            let is_in = |_: &u64| world.random(|rng| rng.random_bool(0.5));
            let (side, other): (Vec<u64>, Vec<u64>) = all.iter().partition(|id| is_in(id));
            topology::cut_between(world, &side, &other);
        }
        Fault::OneWay => cut_one_way(world, &all),
        Fault::Chain => topology::cut_to_chain(world, &all),
        Fault::Star => topology::cut_to_star(world, id),
        Fault::Heal => world.network.heal(),
        Fault::Break => {
            let times = world.random(|rng| rng.random_range(1..=6));
            return (0..times).any(|_| world.network.break_some_connection());
        }
        fault => unreachable!("{fault:?} is not a fault of the network"),
    }
    true
}

/// Pauses a process for up to 3 s.
fn pause(world: &Rc<World>, machine: Rc<Machine>) {
    let ms = world.random(|rng| [20, 300, 3_000][rng.random_range(0..3)]);
    let ms = world.random(|rng| rng.random_range(1..=ms));
    machine.pause(true);
    let world = Rc::clone(world);
    after(ms, move || {
        if !world.phase.is_over.get() {
            machine.pause(false);
        }
    });
}

/// Cuts some lines in one direction: between two nodes, or between a client and a node.
fn cut_one_way(world: &World, all: &[u64]) {
    for _ in 0..world.random(|rng| rng.random_range(1..=all.len())) {
        let to = host(some(world, all));
        let is_client = world.random(|rng| rng.random_bool(0.2));
        let from = match is_client {
            true => {
                format!("c{}", some(world, &(1..=world.plan.clients.moving).collect::<Vec<_>>()))
            }
            false => host(some(world, all)),
        };
        match world.random(|rng| rng.random_bool(0.5)) {
            true => world.network.cut(&from, &to),
            false => world.network.cut(&to, &from),
        }
    }
}

/// Makes the network slow for up to 3 s.
fn storm(world: &Rc<World>) {
    let delay_ms_max = world.random(|rng| [20, 60, 150][rng.random_range(0..3)]);
    world.network.set_conditions(NetworkConditions { delay_ms_max, ..world.plan.network });
    let calmed = Rc::clone(world);
    after(world.random(|rng| rng.random_range(100..=3_000)), move || {
        if !calmed.phase.is_fault_free.get() {
            calmed.network.set_conditions(calmed.plan.network);
        }
    });
}

/// Stalls a disk many times for a short time, or once for a long time.
fn slow_down(world: &Rc<World>, machine: Rc<Machine>) {
    let (times, busy_ms) = world
        .random(|rng| [(1, AFTERMATH_MS), (1, 600), (20, 60), (100, 8)][rng.random_range(0..4)]);
    let world = Rc::clone(world);
    actix::spawn(async move {
        for _ in 0..times {
            if world.phase.is_fault_free.get() {
                break;
            }
            machine.stall_disk(true);
            let ms = world.random(|rng| rng.random_range(1..=busy_ms));
            sleep(Duration::from_millis(ms)).await;
            machine.stall_disk(false);
            sleep(Duration::from_millis(1)).await;
        }
    });
}

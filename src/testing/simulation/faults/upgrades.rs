//! Upgrades, downgrades and holds while the cluster runs (docs/adr/0023).

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use crate::testing::simulation::cluster::crash;
use crate::testing::simulation::plan::Fault;
use crate::testing::simulation::upgrade::{HOLD, Program};
use crate::testing::simulation::world::{Machine, World};
use crate::types::Format;

/// Takes one step after the other until the faults end.
pub(crate) async fn run(world: Rc<World>) {
    let plan = world.plan.upgrade;
    while plan.has_steps() {
        let pause_ms = world.random(|rng| rng.random_range(1..=plan.pause_ms_max));
        sleep(Duration::from_millis(pause_ms)).await;
        if world.phase.is_fault_free.get() || world.has_failed() {
            return;
        }
        // A machine that goes on being restarted can keep the others from the election.
        if !world.phase.is_election_due.get() {
            step(&world);
        }
    }
}

fn step(world: &Rc<World>) {
    let plan = world.plan.upgrade;
    let ids = world.serving();
    let id = ids[world.random(|rng| rng.random_range(0..ids.len()))];
    let machine = &world.machines[&id];
    let fault = match machine.programs.next.get() {
        _ if plan.has_holds && world.random(|rng| rng.random_bool(0.3)) => Fault::Hold,
        Program::Old => Fault::Upgrade,
        Program::New if plan.has_downgrades && may_go_back(world, id) => Fault::Downgrade,
        Program::New => return,
    };
    world.trace.say(&format_args!("{fault:?}, n{id}"));
    world.count(fault);
    match fault {
        Fault::Hold => turn_hold(world, machine),
        Fault::Upgrade => machine.programs.next.set(Program::New),
        _ => machine.programs.next.set(Program::Old),
    }
    end_in_some_way(world, machine);
}

/// True when a machine may get the old program: as long as format 1 is in force on its disk, and
/// sometimes later. Then the program has to refuse its directory.
fn may_go_back(world: &World, id: u64) -> bool {
    let is_early = world.wire.format_on_disk(id) == Format::FIRST;
    is_early || world.random(|rng| rng.random_bool(0.1))
}

/// Sets the hold of a machine, or releases it, while its process is down.
fn turn_hold(world: &World, machine: &Machine) {
    let path = world.data_dir(machine.id).join(HOLD);
    match machine.disk.paths().contains(&path) {
        true => machine.disk.lose(&path),
        false => machine.disk.set_contents(&path, Vec::new()),
    }
}

/// Ends the process of a machine. It is started again a little later.
fn end_in_some_way(world: &Rc<World>, machine: &Machine) {
    match world.random(|rng| rng.random_range(0..4)) {
        0 => crash(world, machine.id, false),
        1 => crash(world, machine.id, true),
        _ => machine.stop(),
    }
}

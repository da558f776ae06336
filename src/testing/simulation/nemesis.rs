//! Does what the plan says that goes wrong, and mends it at the end.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::aim::Aim;
use super::has_failed;
use super::network::Weather;
use super::oracle::Promise;
use super::plan::Fault;
use super::world::{Machine, World, host};

/// What was begun in trouble goes on for so long at the most: the longest pause, or
/// the longest time that a disk stands still.
const AFTERMATH_MS: u64 = 4_000;

/// Makes trouble for as long as the plan says.
pub(super) async fn run(world: &Rc<World>) {
    let end = Instant::now() + Duration::from_millis(world.plan.trouble_ms);
    let mut aim = Aim::new(world, end);
    while Instant::now() < end && !has_failed(world) {
        let pause_ms = world.random(|rng| rng.random_range(1..=world.plan.fault_pause_ms_max));
        sleep(Duration::from_millis(pause_ms)).await;
        let fault = draw(world);
        if inflict(world, &mut aim, fault).await {
            world.count(fault);
        }
    }
}

/// Waits until nothing that the trouble began can still happen.
pub(super) async fn calm_down(world: &World) {
    sleep(Duration::from_millis(world.plan.trouble_ms.min(AFTERMATH_MS))).await;
}

/// From here on nothing goes wrong: lines are whole, disks good, nodes up.
pub(super) fn make_peace(world: &Rc<World>) {
    world.trace.say(&"peace");
    mend(world);
    world.machines.keys().for_each(|id| world.start(*id));
}

/// The same, but a minority may be down, until [`end_absence`]. A majority has to do,
/// whichever it is: who lacks the longest log, or the highest term, has to get along
/// without those that have it.
pub(super) fn make_peace_but_for_some(world: &Rc<World>) {
    world.trace.say(&"peace");
    mend(world);
    for id in draw_absent(world) {
        world.trace.say(&format_args!("n{id} stays away"));
        world.machines[&id].is_away.set(true);
        world.crash(id, false);
    }
    world.machines.keys().for_each(|id| world.start(*id));
}

/// All are back.
pub(super) fn end_absence(world: &Rc<World>) {
    for (id, machine) in &world.machines {
        machine.is_away.set(false);
        world.start(*id);
    }
}

fn mend(world: &Rc<World>) {
    world.is_peace.set(true);
    world.network.heal();
    world.network.set_weather(Weather {
        delay_ms_min: 0,
        delay_ms_max: 2,
        spike_probability: 0.0,
        spike_ms_max: 0,
        tear_probability: 0.0,
    });
    world.oracle.strike(None);
    for (id, machine) in &world.machines {
        machine.pause(false);
        machine.stall_disk(false);
        machine.is_away.set(false);
        world.mend_disk(*id);
    }
}

/// Some of those that the others can do without: with who has no vote they are no
/// majority.
fn draw_absent(world: &World) -> Vec<u64> {
    let has_vote = |id: &u64| {
        let is_forgetful = world.forgetful.get().is_some_and(|(of, _)| of == *id);
        !is_forgetful && world.participants.borrow().contains(id)
    };
    let mut voters: Vec<u64> = world.machines.keys().copied().filter(has_vote).collect();
    let quorum_size = world.machines.len() / 2 + 1;
    let most = voters.len().saturating_sub(quorum_size);
    let absent = world.random(|rng| rng.random_range(0..=most));
    (0..absent)
        .map(|_| voters.remove(world.random(|rng| rng.random_range(0..voters.len()))))
        .collect()
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

/// False when it cannot be done now.
async fn inflict(world: &Rc<World>, aim: &mut Aim, fault: Fault) -> bool {
    let up = world.up();
    let all: Vec<u64> = world.machines.keys().copied().collect();
    if up.is_empty() {
        return false;
    }
    let id = some(world, &up);
    let machine = Rc::clone(&world.machines[&id]);
    world.trace.say(&format_args!("{fault:?}, n{id} if it is for one"));
    match fault {
        Fault::Kill => world.crash(id, false),
        Fault::PowerLoss => world.crash(id, true),
        Fault::Blackout => up.iter().for_each(|id| world.crash(*id, true)),
        Fault::Strike => world.oracle.strike(Some(world.random(Promise::draw))),
        Fault::Stop => machine.stop(),
        Fault::Pause => {
            let ms = world.random(|rng| [20, 300, 3_000][rng.random_range(0..3)]);
            let ms = world.random(|rng| rng.random_range(1..=ms));
            machine.pause(true);
            let world = Rc::clone(world);
            after(ms, move || {
                if !world.is_over.get() {
                    machine.pause(false);
                }
            });
        }
        Fault::SlowDisk => slow_down(world, machine),
        Fault::SlowLeader => match aim.leader_when(|_| true).await {
            Some(leader) => slow_down(world, Rc::clone(&world.machines[&leader.id])),
            None => return false,
        },
        Fault::IsolateLeader => return aim.isolate_leader().await,
        Fault::Overthrow => return aim.overthrow().await,
        Fault::Withhold => return aim.withhold().await,
        Fault::KillLeader => return aim.kill_leader().await,
        Fault::Revolve => return aim.revolve().await,
        Fault::Hinge => return aim.hinge().await,
        Fault::Usurp => return aim.usurp().await,
        Fault::Doze => return aim.doze().await,
        Fault::Reconnect => return aim.reconnect().await,
        Fault::RestartAll => return aim.restart_all().await,
        Fault::Absence => return aim.absence(),
        Fault::Interrupt => return aim.interrupt().await,
        Fault::Silence => return world.network.silence_some_connection(),
        Fault::Storm => storm(world),
        Fault::Partition => {
            let is_in = |_: &u64| world.random(|rng| rng.random_bool(0.5));
            let (side, other): (Vec<u64>, Vec<u64>) = all.iter().partition(|id| is_in(id));
            world.cut_between(&side, &other);
        }
        Fault::OneWay => {
            for _ in 0..world.random(|rng| rng.random_range(1..=all.len())) {
                let to = host(some(world, &all));
                let client = world.random(|rng| rng.random_bool(0.2));
                let from = match client {
                    true => {
                        format!("c{}", some(world, &(1..=world.plan.clients).collect::<Vec<_>>()))
                    }
                    false => host(some(world, &all)),
                };
                match world.random(|rng| rng.random_bool(0.5)) {
                    true => world.network.cut(&from, &to),
                    false => world.network.cut(&to, &from),
                }
            }
        }
        Fault::Chain => world.cut_to_chain(&all),
        Fault::Star => world.cut_to_star(id),
        Fault::Heal => world.network.heal(),
        Fault::Break => {
            let times = world.random(|rng| rng.random_range(1..=6));
            return (0..times).any(|_| world.network.break_some_connection());
        }
        Fault::Clock => {
            let most_ms = world.random(|rng| [50, 5_000, 1_200_000][rng.random_range(0..3)]);
            machine.clock.set_offset_ms(world.random(|rng| rng.random_range(-most_ms..=most_ms)));
        }
        Fault::WriteError | Fault::SyncError | Fault::ReadError | Fault::DiskCut => {
            spoil_disk(world, &machine, fault);
        }
        Fault::DiskFull => {
            let (room, ms) =
                world.random(|rng| (rng.random_range(0..=2_000), rng.random_range(100..=8_000)));
            machine.fill_disk(Some(room));
            after(ms, move || machine.fill_disk(None));
        }
        Fault::Rot => return world.rot(id),
        Fault::Wipe => {
            if !world.may_forget() {
                return false;
            }
            world.wipe(id);
        }
    }
    true
}

/// The network is slow for a while.
fn storm(world: &Rc<World>) {
    let delay_ms_max = world.random(|rng| [20, 60, 150][rng.random_range(0..3)]);
    world.network.set_weather(Weather { delay_ms_max, ..world.plan.weather });
    let calmed = Rc::clone(world);
    after(world.random(|rng| rng.random_range(100..=3_000)), move || {
        if !calmed.is_peace.get() {
            calmed.network.set_weather(calmed.plan.weather);
        }
    });
}

pub(super) fn after(ms: u64, then: impl FnOnce() + 'static) {
    actix::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        then();
    });
}

/// The disk fails once: in the life that is, or in the recovery of the next.
fn spoil_disk(world: &Rc<World>, machine: &Machine, fault: Fault) {
    let nth = world.random(|rng| rng.random_range(1..=8));
    let operations = world.random(|rng| rng.random_range(0..=20));
    match world.random(|rng| rng.random_range(0..4)) {
        0 => world.crash(machine.id, false),
        1 => world.crash(machine.id, true),
        _ => {}
    }
    machine.spoil_disk(fault, |disk| match fault {
        Fault::WriteError => disk.fail_write(nth, io::ErrorKind::Other),
        Fault::SyncError => disk.fail_sync(nth, io::ErrorKind::Other),
        Fault::ReadError => disk.fail_read(nth),
        _ => disk.cut_power_after(operations),
    });
}

/// The disk is busy again and again, or once for long.
fn slow_down(world: &Rc<World>, machine: Rc<Machine>) {
    let (times, busy_ms) = world
        .random(|rng| [(1, AFTERMATH_MS), (1, 600), (20, 60), (100, 8)][rng.random_range(0..4)]);
    let world = Rc::clone(world);
    actix::spawn(async move {
        for _ in 0..times {
            if world.is_peace.get() {
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

//! Operators change the members while all other faults go on (docs/adr/0026 to 0028): they add,
//! remove and replace servers, hand the leadership over, drain servers, and move them to other
//! addresses. A crash often follows, while the change is under way. Machines whose servers were
//! removed stop, or stay, or come back with their old disk or with an empty one.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::testing::simulation::cluster::{after, choose_way_to_start, crash, start, wipe};
use crate::testing::simulation::members::{MembersPlan, Step};
use crate::testing::simulation::workload::operator::{Operator, Reply, takes_a_voter};
use crate::testing::simulation::world::{CLIENT_PORT, Machine, Place, World, host};
use crate::types::{Membership, NodeId};

/// The time between two looks for machines whose servers were removed.
const INTERVAL: Duration = Duration::from_millis(50);
/// The longest time between the beginning of a change and the crash that follows it, in
/// milliseconds.
const CRASH_MS_MAX: u64 = 100;
/// The longest time after which the machine of an added server starts, in milliseconds.
const JOIN_MS_MAX: u64 = 1_500;
/// The step from one port to the next of a machine that moves.
const MOVE: u16 = 10;

/// Starts all operators of the plan. They end with the faults.
pub(crate) fn start_all(world: &Rc<World>) -> Vec<JoinHandle<()>> {
    let Some(plan) = world.plan.members.clone() else { return Vec::new() };
    actix::spawn(dismiss_all(Rc::clone(world)));
    let operate = |number| actix::spawn(operate(Rc::clone(world), plan.clone(), number));
    (1..=plan.operators).map(operate).collect()
}

async fn operate(world: Rc<World>, plan: MembersPlan, number: u64) {
    let mut operator = Operator::new(&world, number);
    loop {
        let pause_ms = world.random(|rng| rng.random_range(1..=plan.pause_ms_max));
        sleep(Duration::from_millis(pause_ms)).await;
        if world.phase.is_fault_free.get() || world.has_failed() {
            return;
        }
        // Members with addresses come some time after the beginning.
        let is_early = world.membership().is_seed() && world.random(|rng| rng.random_bool(0.9));
        if !is_early && !world.phase.is_election_due.get() {
            let step = draw(&world, &plan);
            take(&world, &plan, &mut operator, step).await;
        }
    }
}

fn draw(world: &World, plan: &MembersPlan) -> Step {
    let all: u32 = plan.steps.iter().map(|(_, weight)| weight).sum();
    let mut at = world.random(|rng| rng.random_range(0..all));
    for (step, weight) in &plan.steps {
        if at < *weight {
            return *step;
        }
        at -= weight;
    }
    unreachable!("the weights sum up to what was drawn from")
}

async fn take(world: &Rc<World>, plan: &MembersPlan, operator: &mut Operator, step: Step) {
    match step {
        Step::Add | Step::AddLearner | Step::Replace => add(world, plan, operator, step).await,
        Step::Move => move_one(world, operator).await,
        Step::MoveAll => move_all(world),
        Step::Drain => drain(world, operator).await,
        Step::WipeLearner => wipe_learner(world),
        _ => {
            let Some(command) = command(world, step) else { return };
            // One loss at a time is what the servers survive.
            if takes_a_voter(&command) && !world.data.losses.borrow().is_empty() {
                return;
            }
            let reply = operator.execute(&command).await;
            follow_up(world, plan, &reply);
        }
    }
}

/// The command for a step that concerns no new machine; `None` when there is nothing to do.
fn command(world: &World, step: Step) -> Option<String> {
    let membership = world.membership();
    let can_lose = if world.random(|rng| rng.random_bool(0.8)) { " can-lose 0" } else { "" };
    let learner = if world.random(|rng| rng.random_bool(0.4)) { " learner" } else { "" };
    let ids: Vec<NodeId> = membership.ids().into_iter().collect();
    let learners: Vec<NodeId> =
        ids.iter().copied().filter(|id| membership.is_learner(*id)).collect();
    let voters: Vec<NodeId> = membership.voters.iter().copied().collect();
    let leader = leader(world);
    Some(match step {
        Step::AddMistyped => {
            format!("member add nowhere:9001 nowhere:{CLIENT_PORT}{learner}")
        }
        Step::Remove => format!("member remove {}{can_lose}", some(world, &ids)?),
        Step::RemoveLeader => format!("member remove {}{can_lose}", leader?),
        Step::Promote => format!("member promote {}", some(world, &learners)?),
        Step::Demote => format!("member demote {}{can_lose}", some(world, &voters)?),
        Step::Cancel => format!("member cancel {}", change_under_way(world)?),
        Step::Transfer => match world.random(|rng| rng.random_range(0..3)) {
            0 => "leader transfer".to_owned(),
            1 => format!("leader transfer to {}", some(world, &ids)?),
            _ => format!("leader transfer avoid {}", some(world, &ids)?),
        },
        step => unreachable!("{step:?} is more than a command"),
    })
}

/// Adds a spare machine, alone or in the place of a member, and starts it: before the command, some
/// time after it, or never.
async fn add(world: &Rc<World>, plan: &MembersPlan, operator: &mut Operator, step: Step) {
    let membership = world.membership();
    let is_free = |machine: &&Rc<Machine>| {
        machine.site.place.get() == Place::Spare && NodeId(machine.id) > membership.last_id
    };
    let Some(machine) = world.machines.values().find(is_free).cloned() else { return };
    let (id, addresses) = (machine.id, addresses(&machine));
    let command = match step {
        Step::Add => format!("member add {addresses} id {id}"),
        Step::AddLearner => format!("member add {addresses} id {id} learner"),
        _ => {
            let ids: Vec<NodeId> = membership.ids().into_iter().collect();
            let Some(old) = some(world, &ids) else { return };
            if !world.data.losses.borrow().is_empty() {
                return;
            }
            format!("member replace {old} {addresses} id {id} can-lose 0")
        }
    };
    if world.random(|rng| rng.random_bool(0.3)) {
        put_to_service(world, id);
    }
    let reply = operator.execute(&command).await;
    let is_there = !matches!(reply, Reply::Refused(_)) && world.random(|rng| rng.random_bool(0.9));
    if is_there {
        let joining = Rc::clone(world);
        let delay_ms = world.random(|rng| rng.random_range(0..=JOIN_MS_MAX));
        after(delay_ms, move || put_to_service(&joining, id));
    }
    follow_up(world, plan, &reply);
}

/// Starts the node of a machine that stands by.
pub(crate) fn put_to_service(world: &Rc<World>, id: u64) {
    let machine = &world.machines[&id];
    if machine.site.place.get() == Place::Spare {
        machine.site.place.set(Place::Serving);
        start(world, id);
    }
}

fn addresses(machine: &Machine) -> String {
    let host = host(machine.id);
    format!("{host}:{} {host}:{CLIENT_PORT}", machine.site.peer_port.get())
}

/// Crashes a node just after a change has begun, often the leader.
fn follow_up(world: &Rc<World>, plan: &MembersPlan, reply: &Reply) {
    let is_begun = matches!(reply, Reply::Begun(_) | Reply::Unknown);
    if !is_begun || !world.random(|rng| rng.random_bool(plan.crash_probability)) {
        return;
    }
    let delay_ms = world.random(|rng| rng.random_range(0..=CRASH_MS_MAX));
    let crashing = Rc::clone(world);
    after(delay_ms, move || {
        let world = &crashing;
        if world.phase.is_fault_free.get() {
            return;
        }
        let up = world.up();
        let any = some(world, &up);
        let is_leader = world.random(|rng| rng.random_bool(0.7));
        let id = if is_leader { leader(world).or(any) } else { any };
        if let Some(id) = id {
            crash(world, id, world.random(|rng| rng.random_bool(0.5)));
        }
    });
}

/// A machine comes back at another port. Its hello says so, or an operator does.
async fn move_one(world: &Rc<World>, operator: &mut Operator) {
    let serving = world.serving();
    let may_move = |id: &u64| is_proven(world, *id) && finds_all(world, *id);
    // One that does not know the id of the cluster believes nobody who has moved.
    if !world.members().into_iter().all(|id| is_proven(world, id)) {
        return;
    }
    let Some(id) = some(world, &serving).filter(may_move) else { return };
    relocate(world, id);
    if world.random(|rng| rng.random_bool(0.5)) {
        note_in_files(world, id);
    }
    end_in_some_way(world, id);
    if world.random(|rng| rng.random_bool(0.3)) {
        let address = world.peer_address(id);
        operator.execute(&format!("member update {id} log {address}")).await;
    }
}

/// All machines get other ports, and files that say so, as when all containers are created anew.
fn move_all(world: &Rc<World>) {
    let serving = world.serving();
    if !serving.iter().all(|id| is_proven(world, *id) && finds_all(world, *id)) {
        return;
    }
    for id in &serving {
        relocate(world, *id);
        note_in_files(world, *id);
    }
    *world.operators.listed.borrow_mut() = world.members().into_iter().collect();
    serving.into_iter().for_each(|id| end_in_some_way(world, id));
}

/// True when the log says where each member is, also that of node `id` on its disk. Two servers
/// that have both moved, each with an old file, find each other only when the one that moved last
/// has the address of the other: a server that was cut off when that one moved must not move.
fn finds_all(world: &World, id: u64) -> bool {
    let known = [world.membership(), world.wire.members_on_disk(id)];
    let is_found = |other: &u64| {
        let place = world.peer_address(*other);
        let says_so = |membership: &Arc<Membership>| {
            membership.members.get(&NodeId(*other)).is_none_or(|member| member.peer == place)
        };
        known.iter().all(says_so)
    };
    world.members().iter().all(is_found)
}

/// True when a node can prove whose server it is: it knows the id of the cluster, and the log has
/// addresses. Nobody is believed who says that it has moved, and cannot prove it.
fn is_proven(world: &World, id: u64) -> bool {
    let samples = world.samples.borrow();
    let newest = samples.iter().rev().find(|sample| sample.id == id);
    !world.membership().is_seed() && newest.is_some_and(|sample| sample.cluster_id != "none")
}

fn note_in_files(world: &World, id: u64) {
    let port = world.machines[&id].site.peer_port.get();
    world.operators.ports_in_files.borrow_mut().insert(id, port);
}

fn relocate(world: &World, id: u64) {
    let port = &world.machines[&id].site.peer_port;
    port.set(port.get() + MOVE);
    world.trace.say(&format_args!("n{id} moves to port {}", port.get()));
}

fn end_in_some_way(world: &Rc<World>, id: u64) {
    match world.random(|rng| rng.random_range(0..3)) {
        0 => world.machines[&id].stop(),
        1 => crash(world, id, false),
        _ => crash(world, id, true),
    }
}

async fn drain(world: &Rc<World>, operator: &Operator) {
    let serving = world.serving();
    let Some(id) = some(world, &serving) else { return };
    let word = if world.random(|rng| rng.random_bool(0.5)) { "drain" } else { "undrain" };
    let answer = operator.ask(id, word).await;
    let answer = answer.map_or_else(|| "unknown".to_owned(), |lines| lines.join(" "));
    world.trace.say(&format_args!("n{id}: {word}: {answer}"));
    world.operators.count(word, &answer);
}

/// A learner loses its disk. It is no loss for the voters.
fn wipe_learner(world: &Rc<World>) {
    let serving = world.serving();
    let is_learner = |id: &u64| world.may_lose_learner(*id);
    let learners: Vec<u64> = serving.into_iter().filter(is_learner).collect();
    if let Some(id) = some(world, &learners) {
        wipe(world, id);
    }
}

/// Decides what becomes of the machines whose servers were removed, until the faults end.
async fn dismiss_all(world: Rc<World>) {
    while !world.phase.is_fault_free.get() {
        sleep(INTERVAL).await;
        for id in world.serving() {
            if world.is_removed(id) && world.operators.dismissed.borrow_mut().insert(id) {
                dismiss(&world, id);
            }
        }
    }
}

fn dismiss(world: &Rc<World>, id: u64) {
    world.trace.say(&format_args!("n{id} was removed"));
    // Nothing depends any more on what it has lost.
    world.data.losses.borrow_mut().remove(&id);
    let delay_ms = world.random(|rng| rng.random_range(0..=3_000));
    let dismissed = Rc::clone(world);
    match world.random(|rng| rng.random_range(0..4)) {
        0 => {} // It stays.
        1 => after(delay_ms, move || retire(&dismissed, id)),
        2 => after(delay_ms, move || {
            retire(&dismissed, id);
            let back_ms = dismissed.random(|rng| rng.random_range(0..=3_000));
            after(back_ms, move || bring_back(&dismissed, id));
        }),
        _ => after(delay_ms, move || {
            retire(&dismissed, id);
            dismissed.wire.on_wipe(id);
            dismissed.machines[&id].lose_everything();
            choose_way_to_start(&dismissed, &dismissed.machines[&id]);
            bring_back(&dismissed, id);
        }),
    }
}

fn retire(world: &Rc<World>, id: u64) {
    world.machines[&id].site.place.set(Place::Retired);
    crash(world, id, world.random(|rng| rng.random_bool(0.5)));
}

/// A machine whose server was removed starts again.
fn bring_back(world: &Rc<World>, id: u64) {
    if !world.phase.is_fault_free.get() {
        world.trace.say(&format_args!("n{id} comes back, although it was removed"));
        world.machines[&id].site.place.set(Place::Serving);
        start(world, id);
    }
}

/// The number of the change that is under way in some log.
fn change_under_way(world: &World) -> Option<u64> {
    let open = world.open_memberships();
    open.iter().find_map(|membership| membership.change.as_ref().map(|change| change.number.0))
}

/// The leader of the highest term, by the statuses.
pub(crate) fn leader(world: &World) -> Option<u64> {
    let samples = world.samples.borrow();
    let newest = samples.iter().rev().take(100);
    newest.filter(|sample| sample.role == "leader").max_by_key(|s| s.term).map(|sample| sample.id)
}

fn some<T: Copy>(world: &World, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[world.random(|rng| rng.random_range(0..all.len()))])
}

//! The actions on the cluster: start, crash and replace nodes, end all faults.

use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use rand::RngExt;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use super::checks::expected_start::{self, ExpectedStart, Verdict};
use super::checks::violation::Check;
use super::faults::delayed_completions::DelayedCompletions;
use super::network::NetworkConditions;
use super::plan::Fault;
use super::upgrade::{HOLD, Program};
use super::workload::operator::Operator;
use super::world::{CLIENT_PORT, Machine, PEER_PORT, Place, ProcessEnd, Tasks, World, host};
use crate::config::{Server, Settings};
use crate::node::{self, Answers, Environment, NodeError, Placement, RandomIds, Surroundings};
use crate::raft::StopReason;
use crate::storage::{JoinedCluster, StorageError, keep_joined, read_joined};
use crate::testing::{Crash, SimDisk};
use crate::types::{Address, BootId, ClusterId, Incarnation, Member, NodeId};

/// The time after which a server that joins asks again whether it is a member.
const JOIN_INTERVAL: Duration = Duration::from_millis(100);

/// The limit of open files of a simulated node: more than any of them opens.
const OPEN_FILES_MAX: u64 = 1 << 20;

/// The longest time for which a fault goes on after the faults are over, in milliseconds: the
/// longest pause, or the longest stall of a disk.
pub(crate) const AFTERMATH_MS: u64 = 4_000;

/// Connects the wire checker with the network: it sees all frames from now on. A violation that
/// it finds is reported, and a node that it has chosen for a power loss loses its power.
pub(crate) fn attach_wire_checker(world: &Rc<World>) {
    world.network.set_tap(PEER_PORT, Box::new(world.wire.clone()));
    let world = Rc::clone(world);
    actix::spawn(async move {
        loop {
            world.wire.has_news().await;
            world.report_wire_violation();
            if let Some(NodeId(id)) = world.wire.take_struck() {
                crash(&world, id, true);
            }
        }
    });
}

/// Starts the node of a machine that has none.
pub(crate) fn start(world: &Rc<World>, id: u64) {
    let machine = Rc::clone(&world.machines[&id]);
    let is_to_run = machine.site.place.get() == Place::Serving && !machine.site.is_away.get();
    if machine.is_up() || !is_to_run {
        return;
    }
    machine.lives.set(machine.lives.get() + 1);
    let program = machine.programs.next.get();
    machine.programs.running.set(program);
    let life = machine.lives.get();
    machine.memory.on_start(life);
    world.trace.say(&format_args!("n{id} starts, life {life}, {program:?} program"));
    world.network.power_on(&host(id));
    world.wire.on_start(id);
    let log_set = Rc::new(LocalSet::new());
    let environment = environment(world, &machine, &log_set);
    let main = run_node(world, &machine, environment);
    let log = async move { log_set.run_until(std::future::pending()).await };
    machine.begin_life(Tasks { main: Box::pin(main), log: Box::pin(log) });
    let world = Rc::clone(world);
    actix::spawn(async move {
        if let Some(end) = std::future::poll_fn(|cx| machine.poll(cx)).await {
            on_end(&world, &machine, &end);
        }
    });
}

fn environment(world: &Rc<World>, machine: &Rc<Machine>, log_set: &Rc<LocalSet>) -> Environment {
    let answers: Answers = {
        let (world, machine) = (Rc::clone(world), Rc::clone(machine));
        Rc::new(move |to| DelayedCompletions::interpose(&world, &machine, to))
    };
    Environment {
        network: Rc::new(world.network.host(&host(machine.id))),
        clock: Arc::new(machine.clock.clone()),
        disk: Box::new(machine.disk.clone()),
        placement: Placement::Inline { blocking: Rc::clone(log_set), answers },
        surroundings: Surroundings {
            seed: world.random(|rng| rng.random()),
            formats: machine.programs.running.get().formats(),
            random: RandomIds {
                new_cluster_id: ClusterId(world.random(|rng| rng.random())),
                new_incarnation: Incarnation(world.random(|rng| rng.random())),
                boot: BootId(world.random(|rng| rng.random())),
            },
            is_new_cluster: world.is_new_cluster(),
        },
        open_files_max: OPEN_FILES_MAX,
    }
}

/// The process of a node, from its start to its end.
fn run_node(
    world: &Rc<World>,
    machine: &Rc<Machine>,
    environment: Environment,
) -> impl Future<Output = ProcessEnd> + use<> {
    let (id, mut settings) = (machine.id, settings(world, machine));
    let joins = Rc::clone(machine);
    let stop = machine.new_stop_request();
    let (disk, dir): (SimDisk, PathBuf) = (machine.disk.clone(), world.data_dir(id).to_owned());
    let world = Rc::downgrade(world);
    let run = async move {
        if let Err(error) = join(&world, &joins, &mut settings).await {
            return ProcessEnd::Refused(NodeError::Storage(error));
        }
        let expected = ExpectedStart::of(&disk, &dir);
        if let Some(world) = world.upgrade().filter(|_| !expected.is_good() || expected.is_marked())
        {
            world.wire.on_damaged_start(id);
        }
        let mut node = match node::start(&settings, NodeId(id), environment).await {
            Ok(node) => node,
            Err(error) => return ProcessEnd::Refused(error),
        };
        if let Some(world) = world.upgrade() {
            world.machines[&id].set_memory(node.memory());
            *world.machines[&id].memory.kv.borrow_mut() = Some(node.kv());
            expected_start::check_start(&world, &world.machines[&id], &expected);
            world.wire.on_opened(id, world.machines[&id].programs.running.get().formats());
        }
        let failure = {
            let stopped = std::pin::pin!(stop.notified());
            match select(std::pin::pin!(node.failed()), stopped).await {
                Either::Left((error, _)) => Some(error),
                Either::Right(_) => None,
            }
        };
        match failure {
            Some(error) => ProcessEnd::Failed(error),
            None => {
                node.stop().await;
                ProcessEnd::Stopped
            }
        }
    };
    async move { LocalSet::new().run_until(run).await }
}

/// The settings of a node that starts now: its servers.toml, which may be old, but has the node's
/// own address.
fn settings(world: &World, machine: &Machine) -> Settings {
    let mut settings = world.plan.settings.clone();
    let ports = world.operators.ports_in_files.borrow();
    for server in settings.servers.values_mut() {
        move_to(server, ports.get(&server.id.0).copied().unwrap_or(PEER_PORT));
    }
    list_all(world, &mut settings);
    if let Some(server) = settings.servers.get_mut(&NodeId(machine.id)) {
        move_to(server, machine.site.peer_port.get());
    }
    settings
}

/// Adds the machines that new files list to the servers of a node.
fn list_all(world: &World, settings: &mut Settings) {
    let ports = world.operators.ports_in_files.borrow();
    for id in world.operators.listed.borrow().iter() {
        let port = ports.get(id).copied().unwrap_or(PEER_PORT);
        settings.servers.insert(NodeId(*id), server(&world.machines[id], port));
    }
}

fn server(machine: &Machine, port: u16) -> Server {
    let address = |port| Address { host: host(machine.id), port };
    let (peer, client) = (address(port), address(CLIENT_PORT));
    Server {
        id: NodeId(machine.id),
        client_listen: client.clone(),
        log_listen: peer.clone(),
        advertised: Member { peer, client },
        http_listen: None,
        data_dir: machine.site.dir.clone(),
    }
}

/// Gives a node that joins the settings of one that knows its cluster: from its directory, or,
/// once it is a member, from the others. Until then it waits.
async fn join(
    world: &Weak<World>,
    machine: &Machine,
    settings: &mut Settings,
) -> Result<(), StorageError> {
    let (disk, id) = (&machine.disk, NodeId(machine.id));
    if !machine.site.is_joining.get() {
        return Ok(());
    }
    let joined = loop {
        if let Some(joined) = read_joined(disk, &machine.site.dir)? {
            break joined;
        }
        let joined = world.upgrade().and_then(|world| answer(&world, settings, id));
        if let Some(joined) = joined {
            keep_joined(disk, &machine.site.dir, &joined)?;
            continue;
        }
        machine.site.is_asking.set(true);
        sleep(JOIN_INTERVAL).await;
    };
    machine.site.is_asking.set(false);
    let of_member = |(id, member): (NodeId, Member)| {
        let (client_listen, log_listen) = (member.client.clone(), member.peer.clone());
        let data_dir = machine.site.dir.with_file_name(id.to_string());
        let http_listen = None;
        (id, Server { id, advertised: member, client_listen, log_listen, http_listen, data_dir })
    };
    settings.servers = joined.members.into_iter().map(of_member).collect();
    if let Some(world) = world.upgrade() {
        list_all(&world, settings);
    }
    // The command that has added it may have had a mistake in its addresses.
    settings.servers.insert(id, server(machine, machine.site.peer_port.get()));
    Ok(())
}

/// The answer of the others to a server that is a member: who the members are.
fn answer(world: &World, settings: &Settings, id: NodeId) -> Option<JoinedCluster> {
    let (position, membership) = world.wire.committed_membership()?;
    if membership.is_seed() || !membership.is_member(id) {
        return None;
    }
    Some(JoinedCluster {
        id,
        cluster: settings.cluster.clone(),
        cluster_id: Some(cluster_id(world)?),
        promise: settings.raft.promise(),
        members: membership.members.clone(),
        at: position.index,
    })
}

/// The id of the cluster, as statuses say it.
fn cluster_id(world: &World) -> Option<ClusterId> {
    let samples = world.samples.borrow();
    let id = |text: &str| u128::from_str_radix(text, 16).ok().map(ClusterId);
    samples.iter().rev().find_map(|sample| id(&sample.cluster_id))
}

fn move_to(server: &mut Server, port: u16) {
    server.advertised.peer.port = port;
    server.log_listen.port = port;
}

/// Cleans up after a process that has ended by itself, and has it started again later.
fn on_end(world: &Rc<World>, machine: &Rc<Machine>, end: &ProcessEnd) {
    let id = machine.id;
    world.note_misled();
    let fault = machine.disk_fault.get();
    let crash =
        (fault == Some(Fault::DiskCut)).then(|| Crash::Seeded(world.random(|rng| rng.random())));
    match end {
        ProcessEnd::Stopped => world.trace.say(&format_args!("n{id} stopped")),
        ProcessEnd::Refused(error) => {
            world.trace.say(&format_args!("n{id} did not start: {error}"));
        }
        ProcessEnd::Failed(error) => world.trace.say(&format_args!("n{id} failed: {error}")),
    }
    match end {
        ProcessEnd::Refused(error) | ProcessEnd::Failed(error) if is_unreadable(error) => {
            expected_start::check_unreadable(world, machine, error);
            // People read the sentence.
            machine.programs.next.set(Program::New);
        }
        ProcessEnd::Failed(error) if is_of_memory(error) => {
            expected_start::check_memory_end(world, machine, error);
        }
        ProcessEnd::Refused(NodeError::Storage(error)) => {
            expected_start::check_end(world, machine, error, true);
        }
        ProcessEnd::Failed(NodeError::Storage(error)) => {
            expected_start::check_end(world, machine, error, false);
        }
        ProcessEnd::Refused(error) | ProcessEnd::Failed(error) => {
            world.violate(Check::NodeLives, format!("n{id}: {error}"))
        }
        ProcessEnd::Stopped => {}
    }
    end_life(world, id, crash);
    match end {
        ProcessEnd::Refused(error) | ProcessEnd::Failed(error) if is_unreadable(error) => {
            start_later(world, id);
        }
        // A failed operation may succeed at the next start. Damage stays.
        ProcessEnd::Refused(NodeError::Storage(error))
            if !matches!(error, StorageError::Io { .. }) =>
        {
            replace_later(world, id);
        }
        _ => start_later(world, id),
    }
}

/// True when a program says that it does not read the format of its cluster.
fn is_unreadable(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Stopped(StopReason::Unreadable { .. })
            | NodeError::Storage(StorageError::Unreadable { .. })
    )
}

/// True when a node says that its store is not what it should be.
fn is_of_memory(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Stopped(StopReason::Diverged { .. } | StopReason::Corrupted { .. })
            | NodeError::Storage(StorageError::Diverged { .. })
    )
}

/// Ends the life of a node. All memory of its clients is free then.
fn end_life(world: &World, id: u64, crash: Option<Crash>) {
    let memory_bytes = world.machines[&id].end_life(crash);
    world.wire.on_end(id);
    if memory_bytes != 0 {
        world.violate(
            Check::Bounds,
            format!("n{id} has ended, and {memory_bytes} bytes of its memory count as taken"),
        );
    }
}

/// Ends the life of a node at once. With `is_power_lost` a part of the data that its disk had
/// not made durable is lost, by chance.
pub(crate) fn crash(world: &Rc<World>, id: u64, is_power_lost: bool) {
    let machine = &world.machines[&id];
    if !machine.is_up() {
        return;
    }
    world.note_misled();
    let crash = is_power_lost.then(|| match world.random(|rng| rng.random_range(0..4)) {
        0 => Crash::LoseUnsynced,
        1 => Crash::KeepUnsynced,
        _ => Crash::Seeded(world.random(|rng| rng.random())),
    });
    if is_power_lost {
        world.network.power_off(&host(id));
    }
    world.trace.say(&format_args!("n{id} crashes {crash:?}"));
    end_life(world, id, crash);
    start_later(world, id);
}

/// Runs `then` after `ms` milliseconds.
pub(crate) fn after(ms: u64, then: impl FnOnce() + 'static) {
    actix::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        then();
    });
}

/// Starts a node that is down after a random time.
fn start_later(world: &Rc<World>, id: u64) {
    if world.phase.is_agreed.get() {
        return;
    }
    let down_ms_max = world.plan.down_ms_max;
    let down_ms = world.random(|rng| rng.random_range(0..=down_ms_max));
    let (world, life) = (Rc::clone(world), world.machines[&id].lives.get());
    after(down_ms, move || {
        if world.machines[&id].lives.get() == life {
            start(&world, id);
        }
    });
}

/// Replaces the disk of a node that refuses it, after a random time.
fn replace_later(world: &Rc<World>, id: u64) {
    let down_ms_max = 3 * world.plan.down_ms_max;
    let down_ms = world.random(|rng| rng.random_range(0..=down_ms_max));
    let (world, life) = (Rc::clone(world), world.machines[&id].lives.get());
    after(down_ms, move || {
        if world.machines[&id].lives.get() == life {
            replace_disk(&world, id);
        }
    });
}

/// Gives a node that is down, and does not start with its disk, a new one.
fn replace_disk(world: &Rc<World>, id: u64) {
    world.trace.say(&format_args!("n{id} gets another disk"));
    wipe(world, id);
    start(world, id);
}

/// Crashes a node, and replaces its disk by an empty one.
pub(crate) fn wipe(world: &Rc<World>, id: u64) {
    let machine = &world.machines[&id];
    crash(world, id, false);
    world.note_data_loss(id, machine.lives.get());
    world.wire.on_wipe(id);
    machine.lose_everything();
    if world.plan.members.is_some() && !world.phase.is_agreed.get() {
        choose_way_to_start(world, machine);
    }
}

/// A machine with an empty disk starts with a servers.toml, or with the word whom to ask for the
/// members.
pub(crate) fn choose_way_to_start(world: &World, machine: &Machine) {
    let has_use = has_useful_file(world, machine);
    let is_asking = !world.membership().is_seed() && world.random(|rng| rng.random_bool(0.5));
    machine.site.is_joining.set(!has_use || is_asking);
}

/// True when an empty server can find its cluster by its servers.toml. Only founders have one that
/// lists them, and it is of use only while it has all that can lead, where they are: an empty
/// server believes nobody else, and nobody who says that it has moved.
fn has_useful_file(world: &World, machine: &Machine) -> bool {
    let ports = world.operators.ports_in_files.borrow();
    let is_founder = |id: &NodeId| id.0 <= world.plan.nodes;
    let is_found = |id: &NodeId| {
        let port = ports.get(&id.0).copied().unwrap_or(PEER_PORT);
        is_founder(id) && world.machines[&id.0].site.peer_port.get() == port
    };
    let can_lead = world.membership().all_voters();
    is_founder(&NodeId(machine.id)) && world.plan.nodes > 1 && can_lead.iter().all(is_found)
}

/// Members that do not know the cluster's id, and whose servers.toml has become useless since they
/// started, come back with the word whom to ask for the members, as their operator would have it.
/// Such a member is empty, or was away since the first moments of the cluster.
fn replace_useless_files(world: &Rc<World>) {
    if world.plan.members.is_none() || world.membership().is_seed() {
        return;
    }
    let is_lost = |id: &u64| {
        let samples = world.samples.borrow();
        let newest = samples.iter().rev().find(|sample| sample.id == *id);
        newest.is_some_and(|sample| sample.cluster_id == "none")
    };
    for id in world.members().into_iter().filter(is_lost) {
        let machine = &world.machines[&id];
        if machine.site.is_joining.get() || has_useful_file(world, machine) {
            continue;
        }
        world.trace.say(&format_args!("n{id} asks for the members"));
        crash(world, id, false);
        machine.site.is_joining.set(true);
        start(world, id);
    }
}

/// Waits until nothing that a fault has begun can still happen.
pub(crate) async fn wait_for_aftermath(world: &World) {
    sleep(Duration::from_millis(world.plan.trouble_ms.min(AFTERMATH_MS))).await;
}

/// Ends all faults: lines are whole, disks good, and all nodes start.
pub(crate) fn end_faults(world: &Rc<World>) {
    world.trace.say(&"fault-free");
    mend(world);
    world.serving().into_iter().for_each(|id| start(world, id));
}

/// Ends all faults, but keeps a minority down until [`end_absence`]. Any majority has to suffice:
/// a node that lacks the longest log or the highest term has to get along without the nodes that
/// have them.
pub(crate) fn end_faults_but_absence(world: &Rc<World>) {
    world.trace.say(&"fault-free");
    mend(world);
    let absent = draw_absent(world);
    for id in &absent {
        world.trace.say(&format_args!("n{id} stays away"));
        world.machines[id].site.is_away.set(true);
        crash(world, *id, false);
    }
    if world.plan.members.is_some() && !absent.is_empty() {
        actix::spawn(end_absence_in_need(Rc::clone(world)));
    }
    world.serving().into_iter().for_each(|id| start(world, id));
}

/// Starts the nodes that were kept down when a membership comes to light that needs one of them: it
/// was in the memory of a leader only, when they were drawn. Or when nobody can be elected without
/// them for a second: a server that is a learner by its own log has the latest one, and those whose
/// logs count it as a voter need its vote.
async fn end_absence_in_need(world: Rc<World>) {
    let mut looks = 0;
    while !world.phase.has_recovered.get() && !world.has_failed() {
        sleep(Duration::from_millis(100)).await;
        let is_here = |id: u64| world.machines.get(&id).is_some_and(|m| !m.site.is_away.get());
        looks = if world.wire.can_elect(is_here) { 0 } else { looks + 1 };
        if !world.is_quorum(is_here) || looks > 10 {
            world.trace.say(&"those who stayed away are needed");
            return end_absence(&world);
        }
    }
}

/// Starts the nodes that were kept down.
pub(crate) fn end_absence(world: &Rc<World>) {
    for (id, machine) in &world.machines {
        machine.site.is_away.set(false);
        start(world, *id);
    }
}

fn mend(world: &Rc<World>) {
    world.phase.is_fault_free.set(true);
    world.network.heal();
    world.network.set_conditions(NetworkConditions {
        delay_ms_min: 0,
        delay_ms_max: 2,
        spike_probability: 0.0,
        spike_ms_max: 0,
        tear_probability: 0.0,
    });
    world.wire.strike(None);
    for id in world.serving() {
        let machine = &world.machines[&id];
        machine.pause(false);
        machine.stall_disk(false);
        machine.site.is_away.set(false);
        mend_disk(world, id);
        finish_upgrade(world, id);
    }
    replace_useless_files(world);
}

/// Gives a machine the new program, and releases its hold.
fn finish_upgrade(world: &Rc<World>, id: u64) {
    let machine = &world.machines[&id];
    machine.programs.next.set(Program::New);
    let hold = world.data_dir(id).join(HOLD);
    let is_held = machine.disk.paths().contains(&hold);
    if is_held || machine.programs.running.get() == Program::Old {
        crash(world, id, false);
        machine.disk.lose(&hold);
        start(world, id);
    }
}

/// Ends the faults of a node's disk. The disk is no longer full. If it has damage that matters, the
/// node repairs the damage at a restart, or gets another disk.
fn mend_disk(world: &Rc<World>, id: u64) {
    let machine = &world.machines[&id];
    machine.fill_disk(None);
    machine.disk.mend();
    match ExpectedStart::of(&machine.disk, world.data_dir(id)).verdict() {
        Verdict::Starts => {}
        Verdict::Refuses => replace_disk(world, id),
        Verdict::Either | Verdict::Repairs => {
            crash(world, id, false);
            start(world, id);
        }
    }
}

/// Draws nodes that the other voters can do without, whichever membership is in force. A node that
/// has lost data, or that has never taken part, has no vote and does not count.
fn draw_absent(world: &World) -> Vec<u64> {
    let has_vote = |id: &u64| {
        let has_lost_data = world.data.losses.borrow().contains_key(id);
        !has_lost_data && world.data.participants.borrow().contains(id)
    };
    let mut voters: Vec<u64> = world.members().into_iter().filter(has_vote).collect();
    let most = voters.len().saturating_sub(world.quorum_size());
    let absent = world.random(|rng| rng.random_range(0..=most));
    let mut away = Vec::new();
    for _ in 0..absent {
        let id = voters.remove(world.random(|rng| rng.random_range(0..voters.len())));
        let is_there = |other: u64| has_vote(&other) && other != id && !away.contains(&other);
        if world.plan.members.is_none() || world.is_quorum(is_there) {
            away.push(id);
        }
    }
    away
}

/// The longest time in which the changes of members come to an end once all servers are there and
/// the last one no longer comes nearer to the first. By the settings of some plans it comes nearer
/// by a hundred entries a second, and lacks ten thousand.
const SETTLING: Duration = Duration::from_secs(60);

/// Brings the changes of members to an end: starts the servers that are members, and takes back
/// what concerns servers that do not exist.
pub(crate) async fn settle_members(world: &Rc<World>) {
    if world.plan.members.is_none() {
        return;
    }
    world.operators.is_over.set(true);
    let (mut begin, mut least_lag) = (Instant::now(), u64::MAX);
    let mut operator = Operator::calm(world);
    while !world.has_failed() {
        replace_useless_files(world);
        let lag = lag(world);
        if lag < least_lag {
            (begin, least_lag) = (Instant::now(), lag);
        }
        let waits = match next_to_settle(world) {
            Settling::Done => return,
            Settling::Waits(waits) => waits,
            Settling::Starts(id) => {
                world.machines[&id].site.place.set(Place::Serving);
                start(world, id);
                continue;
            }
            Settling::Commands(command) => {
                operator.execute(&command).await;
                command
            }
        };
        if begin.elapsed() > SETTLING {
            let what = format!("the members do not settle within {SETTLING:?}: {waits}");
            world.violate(Check::Membership, what);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The number of entries that the last member lacks of those that the first one has, as far as they
/// have said.
fn lag(world: &World) -> u64 {
    let samples = world.samples.borrow();
    let last = |id: &u64| {
        let newest = samples.iter().rev().find(|sample| sample.id == *id);
        newest.map_or(0, |sample| sample.last_log_index)
    };
    let ends: Vec<u64> = world.members().iter().map(last).collect();
    ends.iter().max().unwrap_or(&0) - ends.iter().min().unwrap_or(&0)
}

/// The next thing to do until no change of members is under way.
enum Settling {
    Done,
    Waits(String),
    Starts(u64),
    Commands(String),
}

fn next_to_settle(world: &World) -> Settling {
    let open = world.open_memberships();
    let place = |id: NodeId| world.machines.get(&id.0).map(|machine| machine.site.place.get());
    for membership in &open {
        let change = membership.change.as_ref();
        let is_machine = |id: NodeId| {
            let named = membership.members.get(&id).map(|member| member.peer.host.as_str());
            membership.is_voter(id) || named == Some(host(id.0).as_str())
        };
        let mut ids = membership.ids().into_iter();
        let absent = ids.find(|id| place(*id) != Some(Place::Serving) || !is_machine(*id));
        let Some(id) = absent else {
            if let Some(change) = change {
                // A learner that is elsewhere than the log says, and does not find the others
                // either, never catches up; and nothing else is changed meanwhile.
                if moved_member(world).is_some_and(|moved| !membership.is_voter(NodeId(moved))) {
                    return Settling::Commands(format!("member cancel {}", change.number));
                }
                return Settling::Waits(format!("{:?} in {membership:?}", change.what));
            }
            continue;
        };
        if place(id).is_some() && is_machine(id) {
            return Settling::Starts(id.0);
        }
        return Settling::Commands(match change {
            Some(change) => format!("member cancel {}", change.number),
            None => format!("member remove {id} can-lose 0"),
        });
    }
    if let Some(moved) = moved_member(world) {
        let port = world.machines[&moved].site.peer_port.get();
        return Settling::Commands(format!("member update {moved} log {}:{port}", host(moved)));
    }
    match world.are_members_settled() {
        true => Settling::Done,
        false => Settling::Waits(format!("{open:?}")),
    }
}

/// A member that is not where the log says. It writes that itself when it is heard by the leader.
fn moved_member(world: &World) -> Option<u64> {
    let membership = world.membership();
    let has_moved = |id: &u64| {
        let member = membership.members.get(&NodeId(*id));
        member.is_some_and(|member| member.peer.port != world.machines[id].site.peer_port.get())
    };
    world.members().into_iter().find(has_moved)
}

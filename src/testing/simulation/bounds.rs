//! That queues have bounds, as far as can be seen from outside a node: what is
//! under way from one to another, and on how many connections (bugs.md B36, B80); that
//! what was taken of a node's memory comes back (B29); and that a log has one: what the
//! settings let it keep, and no more (§7).

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::check::Check;
use super::client::SimClient;
use super::history::Action;
use super::statuses;
use super::world::Machine;
use super::world::World;
use super::world::host;
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::node::SNAPSHOT_WINDOW_BYTES;
use crate::testing::{DirectoryContents, RecordPlace};
use crate::types::ENTRY_OVERHEAD_BYTES;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connections to one peer that a node holds: the one in use, and one that it is
/// about to give up.
const CONNECTIONS_MAX: usize = 2;

/// What is not entries: heartbeats, votes and the questions of a rejoining node, for as
/// long as a node takes to see that its peer is silent. A hundred bytes each, one a
/// tick of 5 ms for two seconds, and as much again.
const SMALL_MESSAGES_BYTES_MAX: u64 = 80 * 1024;

/// Looks at all nodes for ever.
pub(super) async fn watch(world: Rc<World>) {
    loop {
        sleep(INTERVAL).await;
        for from in world.machines.keys() {
            for to in world.machines.keys().filter(|to| *to != from) {
                check(&world, *from, *to);
            }
        }
    }
}

/// By then a node has let go of clients that left without reading.
const MEMORY_BACK_MAX: Duration = Duration::from_secs(60);

/// The clients are done, and all that they sent is applied: what they took comes back,
/// but for what every connection costs, whatever happened before.
pub(super) async fn watch_memory_come_back(world: &World) {
    let deadline = Instant::now() + MEMORY_BACK_MAX;
    loop {
        let statuses = statuses(world).await;
        let is_back = |used: u64| used.is_multiple_of(SESSION_BYTES);
        if statuses.iter().flatten().all(|sample| is_back(sample.memory_bytes_used)) {
            return;
        }
        if Instant::now() > deadline {
            let used = statuses.iter().flatten().map(|s| (s.id, s.memory_bytes_used));
            let used: Vec<_> = used.collect();
            world.violate(Check::Bounds, format!("nothing is under way, and is taken: {used:?}"));
            return;
        }
        sleep(INTERVAL).await;
    }
}

fn check(world: &World, from: u64, to: u64) {
    let load = world.network.load(&host(from), &host(to));
    let limits = &world.plan.settings.limits;
    // Entries in their frames take at most twice what they weigh: the least are small.
    let window_bytes = limits.peer_inflight_bytes_max + limits.frame_bytes_max();
    let snapshot_bytes = SNAPSHOT_WINDOW_BYTES + SNAPSHOT_WINDOW_BYTES / 4;
    let unread_bytes_max = 2 * window_bytes + snapshot_bytes + SMALL_MESSAGES_BYTES_MAX;
    if load.connections > CONNECTIONS_MAX || load.unread_bytes as u64 > unread_bytes_max {
        world.violate(Check::Bounds, format!("from n{from} to n{to}: {load:?}"));
    }
}

/// When snapshots are taken more seldom, peace is too short to see to it.
const AGED_ENTRIES_MAX: u64 = 50;

/// Lets the log grow until each node must have taken two snapshots: what a transfer
/// has held back is free by then.
pub(super) async fn age(world: &World, client: &mut SimClient) {
    let entries_max = world.plan.settings.snapshot.entries_max;
    if entries_max > AGED_ENTRIES_MAX {
        return;
    }
    for number in 0..3 * entries_max {
        client.execute(0, Action::Set(format!("aged-{number}").into())).await;
    }
}

/// All nodes are equal, and nobody writes.
pub(super) fn check_disks(world: &World) {
    for machine in world.machines.values() {
        check_files(world, machine);
        if world.plan.settings.snapshot.entries_max <= AGED_ENTRIES_MAX {
            check_log(world, machine);
        }
    }
}

/// Two snapshots, and what is being written or was last received; four spare files for
/// segments.
fn check_files(world: &World, machine: &Machine) {
    let paths = machine.disk.paths();
    let count = |dir: &str, extension: &str| {
        let is_one = |path: &&std::path::PathBuf| {
            path.starts_with(world.data_dir(machine.id).join(dir))
                && path.extension().is_some_and(|found| found == extension)
        };
        paths.iter().filter(is_one).count()
    };
    let most = [
        ("snapshot", "snapshot", 2),
        ("snapshot", "new", 1),
        ("snapshot", "part", 1),
        ("log", "spare", 4),
    ];
    if most.into_iter().any(|(dir, extension, most)| count(dir, extension) > most) {
        world.violate(Check::Bounds, format!("n{} keeps {paths:?}", machine.id));
    }
}

/// The first record of the next segment with which the log could begin: what was in the
/// log before it was never superseded.
fn next_beginning(remains: &DirectoryContents) -> Option<RecordPlace> {
    (1..remains.segments.len()).find_map(|place| {
        let (before, behind) = remains.segments.split_at(place);
        let prev = before.iter().rev().find_map(|records| records.last())?;
        let lowest_index = behind.iter().flatten().map(|record| record.position.index).min()?;
        let first = behind[0].first().copied()?;
        (prev.position.index < lowest_index).then_some(first)
    })
}

/// The first segment is needed: its last entry is one that the log is to keep, or the
/// older of two snapshots does not stand for it. What has come since the last snapshot
/// does not count: it takes one to compact the log.
fn check_log(world: &World, machine: &Machine) {
    let settings = &world.plan.settings;
    let dir = world.data_dir(machine.id);
    let Ok(remains) = DirectoryContents::read(&machine.disk.undamaged(), dir) else { return };
    let [_, older] = remains.snapshots[..] else {
        // One that has rotted was removed, or the last transfer brought the only one.
        return;
    };
    let Some(next) = next_beginning(&remains) else { return };
    // Before as much has come as the last one weighs, no snapshot is taken.
    let heaviest = machine.disk.largest_renamed("snapshot") / ENTRY_OVERHEAD_BYTES;
    let entries = settings.snapshot.entries_max.max(heaviest);
    let since_last = entries + settings.limits.proposals_pending_max as u64;
    let kept = settings.log.keep_entries + since_last;
    let is_kept = next.position.index.0 + kept > remains.last().index.0;
    let is_uncovered = next.position.index.0 + since_last > older.index.0;
    if !is_kept && !is_uncovered {
        world.violate(
            Check::Bounds,
            format!(
                "n{} keeps a log from {} to {} behind the snapshots {:?}; the second segment \
                 begins with {}",
                machine.id,
                remains.base,
                remains.last(),
                remains.snapshots,
                next.position
            ),
        );
    }
}

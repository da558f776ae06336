//! Bounds, as far as they can be observed from outside a node:
//!
//! - the bytes under way from one node to another, and the connections (docs/bugs.md B36, B80);
//! - the memory that clients have used, which is returned (docs/bugs.md B29);
//! - the log and the files of a node, which hold what the settings permit (§7).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::status_poller::ask_all;
use super::violation::Check;
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::node::SNAPSHOT_WINDOW_BYTES;
use crate::storage::log::header::{SECTOR_BYTES, SEGMENT_HEADER_BYTES};
use crate::storage::log::pool::POOL_FILES_MAX;
use crate::testing::simulation::world::{Machine, Sample, World, host};
use crate::testing::{DirectoryContents, RecordPlace};
use crate::types::ENTRY_OVERHEAD_BYTES;

/// The time between two checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of connections from a node to a peer: the one in use, and one that it is about to
/// give up.
const CONNECTIONS_MAX: usize = 2;

/// Maximum size of the messages without entries that are under way: heartbeats, votes and those of
/// a rejoining node, for as long as a node needs to notice that its peer is silent. Each has about
/// a hundred bytes. One per tick of 5 ms for two seconds is 40 KB; twice that is permitted.
const SMALL_MESSAGES_BYTES_MAX: u64 = 80 * 1024;

/// Checks the connections of all nodes for ever.
pub(crate) async fn watch(world: Rc<World>) {
    loop {
        sleep(INTERVAL).await;
        let serving = world.serving();
        for from in &serving {
            for to in serving.iter().filter(|to| *to != from) {
                check(&world, *from, *to);
            }
        }
    }
}

/// The longest time that a node keeps the memory of clients that left without reading.
const MEMORY_BACK_MAX: Duration = Duration::from_secs(60);

/// Checks that the memory of clients is returned once they are done and all their commands are
/// applied, except the constant amount of each open connection.
pub(crate) async fn watch_memory_come_back(world: &World) {
    let deadline = Instant::now() + MEMORY_BACK_MAX;
    loop {
        let statuses = ask_all(world).await;
        let is_back = |used: u64| is_of_sessions(world, used);
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

/// True when a node's memory is what its open connections take, and its peers beyond those in the
/// file with which it has started.
fn is_of_sessions(world: &World, used: u64) -> bool {
    if world.plan.members.is_none() {
        return used.is_multiple_of(SESSION_BYTES);
    }
    let (limits, most) = (&world.plan.settings.limits, world.plan.machines() as usize);
    let reserved = |servers: usize, more: u64| {
        let peer_bytes = limits.replication_bytes(servers + 1) - limits.replication_bytes(servers);
        let free_bytes = limits.client_bytes(servers).saturating_sub(limits.client_bytes_min());
        (more * peer_bytes).min(free_bytes)
    };
    let is_rest = |reserved: u64| {
        used.checked_sub(reserved).is_some_and(|rest| rest.is_multiple_of(SESSION_BYTES))
    };
    (1..=most).any(|servers| (0..=most as u64).any(|more| is_rest(reserved(servers, more))))
}

fn check(world: &World, from: u64, to: u64) {
    let load = world.network.load(&host(from), &host(to));
    let limits = &world.plan.settings.limits;
    // Entries in frames take at most twice their weight; that is reached by small ones.
    let window_bytes = limits.peer_inflight_bytes_max + limits.own_frame_bytes_max();
    let snapshot_bytes = SNAPSHOT_WINDOW_BYTES + SNAPSHOT_WINDOW_BYTES / 4;
    let unread_bytes_max = 2 * window_bytes + snapshot_bytes + SMALL_MESSAGES_BYTES_MAX;
    if load.connections > CONNECTIONS_MAX || load.unread_bytes as u64 > unread_bytes_max {
        world.violate(Check::Bounds, format!("from n{from} to n{to}: {load:?}"));
    }
}

/// Maximum size of a leader's log in units, each as large as the newest snapshot or
/// `[snapshot] bytes_max`: four are kept for followers that are behind, and one comes while the
/// next snapshot is written (docs/adr/0017, docs/operations.md).
const LOG_UNITS_MAX: u64 = 5;
/// Maximum number of segments that a log has beyond its entries: segments are dropped whole.
const SEGMENTS_MAX: u64 = 4;

/// Maximum number of bytes of a segment that hold no entry: its header, and the rest of its last
/// sector.
const SEGMENT_OVERHEAD_BYTES: u64 = SEGMENT_HEADER_BYTES + SECTOR_BYTES;

/// Checks that a leader with a good disk keeps no more of its log than the settings permit,
/// however little a follower does with it (docs/bugs.md C1).
pub(crate) fn check_leader_log(world: &World, leader: &Sample) {
    let (machine, settings) = (&world.machines[&leader.id], &world.plan.settings);
    if machine.disk_stall().is_some() || machine.was_full.get() {
        return;
    }
    let dir = world.data_dir(leader.id).join("log");
    // Files that are kept for new segments have a bound of their own. These segments are smaller
    // than a servers.toml may ask for, so their headers and the rest of their last sectors take as
    // much as their entries. The bound is for the entries.
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|found| found == "segment");
    let paths = machine.disk.paths();
    let segments = paths.iter().filter(|path| path.parent() == Some(&dir)).filter(is_segment);
    let bytes = segments.map(|path| machine.disk.file_bytes(path));
    let log_bytes: u64 = bytes.map(|bytes| bytes.saturating_sub(SEGMENT_OVERHEAD_BYTES)).sum();
    let snapshot_bytes = machine.disk.largest_renamed("snapshot");
    let unit = settings.snapshot.bytes_max.max(snapshot_bytes);
    let entry_bytes = settings.limits.value_bytes_max as u64 + 2 * ENTRY_OVERHEAD_BYTES;
    let uncommitted = leader.last_log_index - leader.commit_index;
    let entries = settings.log.keep_entries + uncommitted;
    let beyond = SEGMENTS_MAX * (settings.log.segment_bytes + entry_bytes);
    let most = LOG_UNITS_MAX * unit + entries * entry_bytes + beyond;
    if log_bytes > most {
        let what = format!(
            "n{} leads with a log of {log_bytes} bytes, more than {most}: the largest snapshot \
             has {snapshot_bytes} bytes; {leader:?}",
            leader.id
        );
        world.violate(Check::Bounds, what);
    }
}

/// The bounds of the log are checked in seeds that take a snapshot at least every this many
/// entries. With rarer ones the fault-free phase is too short to compact the log.
pub(crate) const AGED_ENTRIES_MAX: u64 = 50;

/// Checks the files of all nodes, while they are equal and there are no writes.
pub(crate) fn check_disks(world: &World) {
    for machine in world.members().iter().map(|id| &world.machines[id]) {
        check_files(world, machine);
        if world.plan.settings.snapshot.entries_max <= AGED_ENTRIES_MAX {
            check_log(world, machine);
        }
    }
}

/// Checks that a node keeps at most two snapshots, two damaged ones for people to look at, one that
/// it writes, one that it receives, and a bounded number of files in the segment pool.
fn check_files(world: &World, machine: &Machine) {
    let paths = machine.disk.paths();
    let dir = world.data_dir(machine.id);
    let count = |child: &str, is_damaged: bool, extension: &str| {
        let is_one = |path: &&PathBuf| {
            path.starts_with(dir.join(child))
                && is_set_aside(path) == is_damaged
                && path.extension().is_some_and(|found| found == extension)
        };
        paths.iter().filter(is_one).count()
    };
    let most = [
        ("snapshot", false, "snapshot", 2),
        ("snapshot", true, "snapshot", 2),
        ("snapshot", false, "new", 1),
        ("snapshot", false, "part", 1),
        ("log", false, "spare", POOL_FILES_MAX as usize),
    ];
    let is_above =
        |(child, is_damaged, extension, most)| count(child, is_damaged, extension) > most;
    if most.into_iter().any(is_above) {
        world.violate(Check::Bounds, format!("n{} keeps {paths:?}", machine.id));
    }
}

/// True for a damaged snapshot that a start has found and kept aside.
pub(crate) fn is_set_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("damaged-"))
}

/// The first record of the earliest later segment with which the log could begin: no record from
/// there on replaces an entry before it.
fn next_beginning(directory: &DirectoryContents) -> Option<RecordPlace> {
    (1..directory.segments.len()).find_map(|place| {
        let (before, after) = directory.segments.split_at(place);
        let prev = before.iter().rev().find_map(|records| records.last())?;
        let lowest_index = after.iter().flatten().map(|record| record.position.index).min()?;
        let first = after[0].first().copied()?;
        (prev.position.index < lowest_index).then_some(first)
    })
}

/// Checks that the first segment is needed: the log has to keep the segment's last entry, or the
/// older of the two snapshots does not contain that entry. Entries since the last snapshot do not
/// count, because only a snapshot compacts the log.
///
/// Where snapshots are sent at a limited rate, a follower may still catch up after one when the
/// leader takes its last: its hold keeps the log, and no later snapshot ends that. What a hold may
/// keep is checked by [`check_leader_log`].
fn check_log(world: &World, machine: &Machine) {
    let settings = &world.plan.settings;
    if settings.snapshot.bytes_per_second_max > 0 {
        return;
    }
    let dir = world.data_dir(machine.id);
    let Ok(directory) = DirectoryContents::read(&machine.disk.undamaged(), dir) else { return };
    let [_, older] = directory.snapshots[..] else {
        // A damaged snapshot was removed, or an install brought the only one.
        return;
    };
    let Some(next) = next_beginning(&directory) else { return };
    // No snapshot is taken before the log since the last one is as large as the last one.
    let heaviest = machine.disk.largest_renamed("snapshot") / ENTRY_OVERHEAD_BYTES;
    let entries = settings.snapshot.entries_max.max(heaviest);
    let since_last = entries + settings.limits.proposals_pending_max as u64;
    let kept = settings.log.keep_entries + since_last;
    let is_kept = next.position.index.0 + kept > directory.last().index.0;
    let is_uncovered = next.position.index.0 + since_last > older.index.0;
    if !is_kept && !is_uncovered {
        world.violate(
            Check::Bounds,
            format!(
                "n{} keeps a log from {} to {} behind the snapshots {:?}; the second segment \
                 begins with {}",
                machine.id,
                directory.base,
                directory.last(),
                directory.snapshots,
                next.position
            ),
        );
    }
}

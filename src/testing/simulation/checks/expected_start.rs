//! The expected result of a start, from the disk that the node starts with.
//!
//! - It refuses to start if and only if its identity or its hard state is damaged, or no intact
//!   snapshot fits its log in a cluster of one or two. In a larger cluster it then begins anew,
//!   as a rejoining node (docs/adr/0019).
//! - It starts as a rejoining node, with the log before the damage, when its log is damaged
//!   (docs/adr/0009).
//! - It starts with everything otherwise, however the power failed, and even on a full disk.
//!
//! The expectation does not come from the storage under test: the simulated disk knows which bytes
//! are damaged, and [`DirectoryContents`] reads the directory as it would be without the damage.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::violation::{Check, Violation};
use crate::node::NodeError;
use crate::storage::StorageError;
use crate::storage::diverged::mark_path;
use crate::testing::simulation::upgrade::Program;
use crate::testing::simulation::world::{Machine, World};
use crate::testing::{DirectoryContents, RecordPlace, Region, SimDisk};
use crate::types::{Format, HardState, LogPosition, NodeId};

/// The expected result of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No damage matters: the node starts with everything.
    Starts,
    /// The damage is in a place where it may matter: the node starts with everything, or repairs
    /// its log.
    Either,
    /// Durable data of the log is damaged: the node starts with the log before the damage.
    Repairs,
    /// Other durable data is damaged: the node refuses to start.
    Refuses,
}

/// The expectation of a start from a given disk.
pub(crate) struct ExpectedStart {
    verdict: Verdict,
    directory: DirectoryContents,
    /// The permitted results of the start.
    options: Vec<StartOption>,
    /// True when the directory is marked: the store of its node was not what it should be.
    is_marked: bool,
}

impl ExpectedStart {
    /// The expectation for a disk as it is now.
    pub(crate) fn of(disk: &SimDisk, dir: &Path) -> ExpectedStart {
        // If it cannot be read even without the damage, the node itself is at fault.
        let directory = DirectoryContents::read(&disk.undamaged(), dir).unwrap_or_default();
        let rot = disk.rot();
        let options = options(&directory, dir, &rot);
        let verdict = match judge(&directory, dir, &rot) {
            Verdict::Refuses => Verdict::Refuses,
            _ if directory.is_complete && options.iter().all(StartOption::is_barred) => {
                Verdict::Either
            }
            verdict => verdict,
        };
        let is_marked = disk.paths().contains(&mark_path(dir));
        ExpectedStart { verdict, directory, options, is_marked }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// True when the log and the snapshots are to be moved aside.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// The directory without its damage.
    pub(crate) fn into_directory(self) -> DirectoryContents {
        self.directory
    }

    /// True when no damage matters.
    pub(crate) fn is_good(&self) -> bool {
        self.verdict == Verdict::Starts
    }

    /// Checks that the directory after the start, `now`, is one of the permitted results.
    fn check(&self, now: &DirectoryContents) -> Result<(), Violation> {
        let before = &self.directory;
        if self.verdict == Verdict::Refuses {
            let what = "it starts although its disk is damaged".to_owned();
            return Err(Violation { check: Check::NodeLives, what });
        }
        if self.is_marked {
            return check_new_beginning(now);
        }
        let was_taken = |now| self.options.iter().any(|option| option.was_taken(before, now));
        if !before.is_complete || was_taken(now) || self.was_torn_record_kept(now) {
            return Ok(());
        }
        let check = match self.options.iter().find(|option| option.is_log_right(now)) {
            Some(option) if !option.is_snapshot_right(now) => Check::Snapshot,
            Some(_) => Check::DurableVote,
            None => Check::DurableAcknowledgement,
        };
        let what = format!(
            "it starts ({:?}) with {:?}, the snapshots {:?} and a log from {} to {}, and had {:?}, \
             {:?} and a log from {} to {}",
            self.verdict,
            now.hard_states,
            now.snapshots,
            now.base,
            now.last(),
            before.hard_states,
            before.snapshots,
            before.base,
            before.last()
        );
        Err(Violation { check, what })
    }

    /// True when the record of a torn write was kept as well. Its missing sector would hold
    /// nothing but zeros, as the record does there, and a flipped bit makes the sector count. The
    /// record matches its checksums, and nobody has acknowledged its entry.
    fn was_torn_record_kept(&self, now: &DirectoryContents) -> bool {
        let before = &self.directory;
        let mut without = now.clone();
        let has_more = without.segments.last_mut().is_some_and(|records| records.pop().is_some());
        let is_torn = before.has_tail && self.verdict == Verdict::Either;
        is_torn && has_more && self.options.iter().any(|option| option.was_taken(before, &without))
    }
}

/// Checks that a node whose directory was marked starts with nothing, as a rejoining node.
fn check_new_beginning(now: &DirectoryContents) -> Result<(), Violation> {
    let is_rejoining = now.hard_states.iter().flatten().all(|state| state.is_rejoining);
    if is_rejoining && now.last() == LogPosition::default() && now.snapshots.is_empty() {
        return Ok(());
    }
    let what = format!("it starts with what its store was made of: {now:?}");
    Err(Violation { check: Check::Memory, what })
}

/// A permitted result of a start.
struct StartOption {
    /// True when the node repairs its log, and starts as a rejoining node.
    is_repair: bool,
    /// The directory with the log that is left.
    directory: DirectoryContents,
    /// The snapshot that the store is loaded from, or 0@0 without one; `None` when no store fits
    /// the log.
    beginning: Option<LogPosition>,
}

impl StartOption {
    fn new(
        is_repair: bool,
        directory: DirectoryContents,
        damaged: &BTreeSet<LogPosition>,
    ) -> StartOption {
        let beginning = beginning(&directory, damaged);
        StartOption { is_repair, directory, beginning }
    }

    /// True when the log is damaged, and the members that the rest of it says can do nothing
    /// without the node.
    fn is_beyond_repair(&self, world: &World, id: u64) -> bool {
        let last = self.directory.last().index.0 as usize;
        self.is_repair && !world.wire.in_force_on_disk(id, last).is_quorum_without(NodeId(id))
    }

    /// True when no intact snapshot fits the log.
    fn is_barred(&self) -> bool {
        self.beginning.is_none()
    }

    /// True when the log has to begin anew after the snapshot.
    fn wants_new_log(&self) -> bool {
        self.beginning.is_some_and(|beginning| {
            beginning != LogPosition::default() && !self.directory.contains(beginning)
        })
    }

    fn was_taken(&self, before: &DirectoryContents, now: &DirectoryContents) -> bool {
        let is_known = |state: &HardState| before.hard_states.contains(&Some(*state));
        let is_repaired = |state: &HardState| {
            let HardState { is_rejoining, lost, is_end_known, .. } = *state;
            before.hard_states.iter().flatten().any(|known| {
                lost >= known.lost
                    && *state == HardState { is_rejoining, lost, is_end_known, ..*known }
            })
        };
        let is_right = |state: &HardState| match self.is_repair || self.is_barred() {
            false => is_known(state),
            true => state.is_rejoining && is_repaired(state),
        };
        if self.is_barred() {
            // Either the log begins anew, or it stays and lacks what a damaged snapshot held.
            let is_new = now.last() == now.base;
            return (is_new || now.segments == self.directory.segments)
                && now.hard_states.iter().flatten().all(is_right);
        }
        self.is_log_right(now)
            && self.is_snapshot_right(now)
            && now.hard_states.iter().flatten().all(is_right)
    }

    /// True when the log is the expected one, or is empty after a snapshot that it did not
    /// reach.
    fn is_log_right(&self, now: &DirectoryContents) -> bool {
        let Some(beginning) = self.beginning else { return false };
        match self.wants_new_log() {
            false => now.segments == self.directory.segments && now.base == self.directory.base,
            // Entries after the base of such a log would have been written by this start.
            true => now.base == beginning && now.last() == beginning,
        }
    }

    /// True when the store comes from an intact snapshot, and the newer ones, which are damaged,
    /// are removed.
    fn is_snapshot_right(&self, now: &DirectoryContents) -> bool {
        Some(now.snapshots.first().copied().unwrap_or_default()) == self.beginning
    }
}

/// True when damage at these bytes would permit a start that refuses because no intact snapshot
/// fits the log.
pub(crate) fn may_bar_start(
    directory: &DirectoryContents,
    dir: &Path,
    rot: &[(PathBuf, u64)],
) -> bool {
    options(directory, dir, rot).iter().any(StartOption::is_barred)
}

fn options(directory: &DirectoryContents, dir: &Path, rot: &[(PathBuf, u64)]) -> Vec<StartOption> {
    let damaged = damaged_snapshots(directory, dir, rot);
    let whole = StartOption::new(false, directory.clone(), &damaged);
    let cut = DirectoryContents { segments: kept(directory, dir, rot), ..directory.clone() };
    let cut = StartOption::new(true, cut, &damaged);
    match judge(directory, dir, rot) {
        Verdict::Starts => vec![whole],
        Verdict::Either => vec![whole, cut],
        Verdict::Repairs | Verdict::Refuses => vec![cut],
    }
}

/// The records that a repair keeps. A segment with a damaged header is dropped, except the first
/// one, which begins anew.
fn kept(
    directory: &DirectoryContents,
    dir: &Path,
    rot: &[(PathBuf, u64)],
) -> Vec<Vec<RecordPlace>> {
    let places =
        rot.iter().filter_map(|(path, offset)| match directory.region(dir, path, *offset) {
            Region::Header(segment) => Some((segment, 0)),
            Region::Record(segment)
            | Region::Next(segment)
            | Region::Tail(segment)
            | Region::Padding(segment) => Some((segment, *offset)),
            _ => None,
        });
    let Some((segment, offset)) = places.min() else { return directory.segments.clone() };
    let mut kept = directory.segments[..=(segment - directory.first_segment) as usize].to_vec();
    if offset == 0 && segment > directory.first_segment {
        kept.pop();
    } else if let Some(last) = kept.last_mut() {
        last.retain(|record| record.to <= offset);
    }
    kept
}

fn judge(directory: &DirectoryContents, dir: &Path, rot: &[(PathBuf, u64)]) -> Verdict {
    let mut copies = directory.hard_states;
    let (mut in_tail, mut elsewhere, mut damaged) = (0, 0, 0);
    for (path, offset) in rot {
        match directory.region(dir, path, *offset) {
            Region::Identity => return Verdict::Refuses,
            Region::Header(_) | Region::Record(_) => damaged += 1,
            Region::HardState(copy) => copies[copy] = None,
            Region::Tail(_) => in_tail += 1,
            Region::Next(_) | Region::Padding(_) => elsewhere += 1,
            Region::SectorTag | Region::Snapshot(_) | Region::Unused => {}
        }
    }
    if directory.is_complete && copies == [None, None] {
        return Verdict::Refuses;
    }
    if damaged > 0 {
        return Verdict::Repairs;
    }
    // One damaged byte in an unwritten sector after that of the last record is cut, or not even
    // seen. Several of them, or one in a torn write or at the place of the next record, may look
    // like a record that was valid.
    let is_harmless = elsewhere == 0 && (in_tail == 0 || in_tail == 1 && !directory.has_tail);
    match directory.is_complete && is_harmless || rot.is_empty() {
        true => Verdict::Starts,
        false => Verdict::Either,
    }
}

fn damaged_snapshots(
    directory: &DirectoryContents,
    dir: &Path,
    rot: &[(PathBuf, u64)],
) -> BTreeSet<LogPosition> {
    let places = rot.iter().map(|(path, offset)| directory.region(dir, path, *offset));
    let snapshot = |place| if let Region::Snapshot(last) = place { Some(last) } else { None };
    places.filter_map(snapshot).collect()
}

/// The snapshot that the store begins with: the newest intact one, if the log reaches back to it,
/// or none, if the log was never compacted. There is no such beginning when a newer snapshot is
/// damaged and the log does not reach it: that one may have been confirmed.
fn beginning(
    directory: &DirectoryContents,
    damaged: &BTreeSet<LogPosition>,
) -> Option<LogPosition> {
    let is_intact = |last: &&LogPosition| !damaged.contains(last);
    let newest = directory.snapshots.iter().find(is_intact).copied().unwrap_or_default();
    let newer = directory.snapshots.iter().take_while(|last| **last != newest);
    let is_known = newer.into_iter().all(|last| directory.contains(*last));
    (newest.index >= directory.base.index && is_known).then_some(newest)
}

/// Checks the directory of a node that has just started.
pub(crate) fn check_start(world: &World, machine: &Machine, expected: &ExpectedStart) {
    let (id, dir) = (machine.id, world.data_dir(machine.id));
    let now = match DirectoryContents::read(&machine.disk.duplicate(), dir) {
        Ok(now) => now,
        Err(error) => {
            return world.violate(Check::NodeLives, format!("n{id} starts with that: {error}"));
        }
    };
    if let Err(Violation { check, what }) = expected.check(&now) {
        return world.violate(check, format!("n{id}: {what}; rotten is {:?}", machine.disk.rot()));
    }
    note_repair(world, machine, expected, &now);
    check_memory(world, machine, &now);
    machine.durable_end.set((now.last_segment(), now.end_of(now.last_segment())));
}

/// Notes that a node with a damaged log has lost the entries after the damage in its last life,
/// or that nothing that matters was lost.
fn note_repair(
    world: &World,
    machine: &Machine,
    expected: &ExpectedStart,
    now: &DirectoryContents,
) {
    let id = machine.id;
    let is_suspect = world.data.losses.borrow().get(&id) == Some(&u64::MAX);
    let is_rejoining = now.hard_states.iter().flatten().all(|state| state.is_rejoining);
    if is_suspect && is_rejoining {
        let life_before = machine.lives.get() - 1;
        world.note_data_loss(id, life_before);
        machine.lost_in_life.set(life_before);
        let (now, before) = (now.last(), expected.directory.last());
        world.trace.say(&format_args!("n{id} starts with its log up to {now} of {before}"));
        world.wire.on_repair(id);
        if expected.is_marked {
            machine.memory.on_new_beginning(machine.lives.get());
        }
    } else {
        world.wire.on_whole_start(id);
        if is_suspect && expected.is_good() && !machine.memory.may_be_on_disk.get() {
            world.data.losses.borrow_mut().remove(&id);
        }
    }
}

/// Checks that a node remembers what its statuses have said: it applies only entries on its disk,
/// and a leader was elected with a durable vote of its own. The vote of a follower need not be
/// durable yet.
fn check_memory(world: &World, machine: &Machine, now: &DirectoryContents) {
    let (id, last) = (machine.id, now.last().index.0);
    let samples = world.samples.borrow();
    let own =
        samples.iter().filter(|sample| sample.id == id && sample.life > machine.lost_in_life.get());
    let forgotten = own.clone().find(|sample| sample.last_applied > last);
    let voter = own.clone().find(|sample| sample.role == "leader");
    if let Some(sample) = forgotten {
        let what = format!("n{id} starts with a log that ends at {last}, but was {sample:?}");
        world.violate(Check::DurableAcknowledgement, what);
    }
    if let (Some(sample), Some(HardState { is_rejoining: true, .. })) = (voter, now.hard_states[0])
    {
        world.violate(Check::DurableVote, format!("n{id} is new again, but was {sample:?}"));
    }
}

/// Checks that a node was right to end with this error; `is_start` when it has not started.
pub(crate) fn check_end(world: &World, machine: &Machine, error: &StorageError, is_start: bool) {
    let (id, fault) = (machine.id, machine.disk_fault.get());
    let expected = ExpectedStart::of(&machine.disk, world.data_dir(id));
    let is_right = match error {
        StorageError::Io { source, path, .. } if source.kind() == ErrorKind::StorageFull => {
            // A full disk stops a node that writes, and never one that only starts
            // (docs/bugs.md B67). A snapshot can wait, but a new log after one cannot.
            let is_for_snapshot = path.starts_with(world.data_dir(id).join("snapshot"));
            let wants_new_log = expected.options.iter().any(StartOption::wants_new_log)
                || expected.directory.is_resetting;
            let is_for_start = is_start && expected.directory.is_complete && !wants_new_log;
            machine.was_full.get() && !is_for_start && !is_for_snapshot
        }
        StorageError::Io { .. } => fault.is_some(),
        // Only damage makes the log begin after the last entry of every intact snapshot.
        StorageError::SnapshotMissing { .. } => {
            expected.options.iter().any(StartOption::is_barred)
                && machine.has_damaged_snapshot.get()
        }
        // A cluster of one or two may have grown behind the damage. The server cannot know that.
        StorageError::Irreparable { .. } => {
            is_start && expected.options.iter().any(|option| option.is_beyond_repair(world, id))
        }
        // A damaged log may end a life, but does not prevent the next one.
        _ if is_start => expected.verdict == Verdict::Refuses,
        _ => !expected.is_good(),
    };
    if !is_right {
        let what = format!("n{id} ended although its disk is good ({fault:?}): {error}");
        world.violate(Check::NodeLives, what);
    }
}

/// Checks that a node was right to say that its store is not what it should be.
pub(crate) fn check_memory_end(world: &World, machine: &Machine, error: &NodeError) {
    if !machine.memory.is_to_blame(machine.lives.get()) {
        let what = format!("n{} ended although its memory is good: {error}", machine.id);
        world.violate(Check::Memory, what);
    }
}

/// Checks that a node was right to say that it does not read the format of its cluster.
pub(crate) fn check_unreadable(world: &World, machine: &Machine, error: &NodeError) {
    let is_old = machine.programs.running.get() == Program::Old;
    // A leader may have written the entry of a raise, and have ended before it sent the entry.
    let is_raised =
        world.wire.is_raise_known() || world.wire.format_on_disk(machine.id) > Format::FIRST;
    if !is_old || world.plan.nodes > 1 && !is_raised {
        let what = format!("n{} ended although it reads the format: {error}", machine.id);
        world.violate(Check::NodeLives, what);
    }
}

#[cfg(test)]
mod tests;

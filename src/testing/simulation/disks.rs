//! What was done to the disks, and what a node has to make of it.
//!
//! A node refuses to start if and only if its identity or its hard state is not there
//! as it was written, or no snapshot that is whole goes with its log; when its log is not
//! as it was written, it starts as a rejoining node, with all that stands before the damage
//! (docs/adr/0009); it starts with all of it otherwise, however the power went, and
//! whether there is room or not. Nobody here
//! asks the storage what it thinks: the simulated disk knows which bytes are rotten,
//! and [`DirectoryContents`] reads what would be there if none were.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use super::check::{Check, Violation};
use super::oracle::{SECTOR_BYTES, mark_of_sector};
use super::plan::Fault;
use super::world::{Machine, World};
use crate::storage::StorageError;
use crate::testing::{Crash, DirectoryContents, RecordPlace, Region, SimDisk};
use crate::types::{HardState, LogPosition, NodeId};

/// What a start has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is wrong that matters.
    Starts,
    /// What is wrong with the log looks like something that could matter, or not.
    Either,
    /// Something in the log that was durable is not what it was.
    Repairs,
    /// Something else that was durable is not what it was.
    Refuses,
}

/// A disk as a start finds it.
pub(super) struct Prospect {
    verdict: Verdict,
    remains: DirectoryContents,
    /// The ways in which the node may start with it.
    ways: Vec<Way>,
}

impl Prospect {
    /// Of the disk as it is now.
    pub(super) fn of(disk: &SimDisk, dir: &Path) -> Prospect {
        // What cannot be read even without the rot is nobody's fault but the node's.
        let remains = DirectoryContents::read(&disk.undamaged(), dir).unwrap_or_default();
        let rot = disk.rot();
        let ways = ways(&remains, dir, &rot);
        let verdict = match judge(&remains, dir, &rot) {
            _ if remains.is_complete && ways.iter().all(Way::is_barred) => Verdict::Refuses,
            verdict => verdict,
        };
        Prospect { verdict, remains, ways }
    }

    /// Nothing is rotten but what does not matter.
    pub(super) fn is_good(&self) -> bool {
        self.verdict == Verdict::Starts
    }

    /// Whether a start was right to make this of it.
    fn check(&self, now: &DirectoryContents) -> Result<(), Violation> {
        let before = &self.remains;
        if self.verdict == Verdict::Refuses {
            let what = "it starts although its disk is damaged".to_owned();
            return Err(Violation { check: Check::NodeLives, what });
        }
        if !before.is_complete || self.ways.iter().any(|way| way.was_taken(before, now)) {
            return Ok(());
        }
        let check = match self.ways.iter().find(|way| way.is_log_right(now)) {
            Some(way) if !way.is_snapshot_right(now) => Check::Snapshot,
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
}

/// A way in which a node may start.
struct Way {
    /// As a rejoining node, with a log that was cut.
    is_repair: bool,
    /// What there is of it.
    remains: DirectoryContents,
    /// The snapshot that the store is loaded from, 0@0 for none; `None` when no store
    /// goes with the log.
    beginning: Option<LogPosition>,
}

impl Way {
    fn new(is_repair: bool, remains: DirectoryContents, rotten: &BTreeSet<LogPosition>) -> Way {
        let beginning = beginning(&remains, rotten);
        Way { is_repair, remains, beginning }
    }

    /// No snapshot that is whole goes with the log.
    fn is_barred(&self) -> bool {
        self.beginning.is_none()
    }

    /// The log has to begin anew behind the snapshot.
    fn wants_log(&self) -> bool {
        self.beginning.is_some_and(|beginning| {
            beginning != LogPosition::default() && !self.remains.contains(beginning)
        })
    }

    fn was_taken(&self, before: &DirectoryContents, now: &DirectoryContents) -> bool {
        let is_known = |state: &HardState| before.hard_states.contains(&Some(*state));
        let is_right = |state: &HardState| match self.is_repair {
            false => is_known(state),
            true => {
                let voter = HardState { is_rejoining: false, ..*state };
                state.is_rejoining && (is_known(state) || is_known(&voter))
            }
        };
        self.is_log_right(now)
            && self.is_snapshot_right(now)
            && now.hard_states.iter().flatten().all(is_right)
    }

    /// The log that there was, or none behind a snapshot that it did not reach.
    fn is_log_right(&self, now: &DirectoryContents) -> bool {
        let Some(beginning) = self.beginning else { return false };
        match self.wants_log() {
            false => now.segments == self.remains.segments && now.base == self.remains.base,
            // What stands behind the base of such a log was written since.
            true => now.base == beginning && now.last() == beginning,
        }
    }

    /// The store comes from a snapshot that is whole, and the damaged ones before which
    /// it would have come are gone.
    fn is_snapshot_right(&self, now: &DirectoryContents) -> bool {
        Some(now.snapshots.first().copied().unwrap_or_default()) == self.beginning
    }
}

fn ways(remains: &DirectoryContents, dir: &Path, rot: &[(PathBuf, u64)]) -> Vec<Way> {
    let rotten = rotten_snapshots(remains, dir, rot);
    let whole = Way::new(false, remains.clone(), &rotten);
    let cut = DirectoryContents { segments: kept(remains, dir, rot), ..remains.clone() };
    let cut = Way::new(true, cut, &rotten);
    match judge(remains, dir, rot) {
        Verdict::Starts => vec![whole],
        Verdict::Either => vec![whole, cut],
        Verdict::Repairs | Verdict::Refuses => vec![cut],
    }
}

/// What a damaged log is cut to. A segment without its header is nothing, but for the
/// first, which begins anew.
fn kept(remains: &DirectoryContents, dir: &Path, rot: &[(PathBuf, u64)]) -> Vec<Vec<RecordPlace>> {
    let places = rot.iter().filter_map(|(path, offset)| match remains.region(dir, path, *offset) {
        Region::Header(segment) => Some((segment, 0)),
        Region::Record(segment)
        | Region::Next(segment)
        | Region::Tail(segment)
        | Region::Padding(segment) => Some((segment, *offset)),
        _ => None,
    });
    let Some((segment, offset)) = places.min() else { return remains.segments.clone() };
    let mut kept = remains.segments[..=(segment - remains.first_segment) as usize].to_vec();
    if offset == 0 && segment > remains.first_segment {
        kept.pop();
    } else if let Some(last) = kept.last_mut() {
        last.retain(|record| record.to <= offset);
    }
    kept
}

fn judge(remains: &DirectoryContents, dir: &Path, rot: &[(PathBuf, u64)]) -> Verdict {
    let mut copies = remains.hard_states;
    let (mut behind, mut elsewhere, mut damaged) = (0, 0, 0);
    for (path, offset) in rot {
        match remains.region(dir, path, *offset) {
            Region::Identity => return Verdict::Refuses,
            Region::Header(_) | Region::Record(_) => damaged += 1,
            Region::HardState(copy) => copies[copy] = None,
            Region::Tail(_) => behind += 1,
            Region::Next(_) | Region::Padding(_) => elsewhere += 1,
            Region::SectorTag | Region::Snapshot(_) | Region::Unused => {}
        }
    }
    if remains.is_complete && copies == [None, None] {
        return Verdict::Refuses;
    }
    if damaged > 0 {
        return Verdict::Repairs;
    }
    // One wrong byte where nothing was written, in a sector behind the last record's, is
    // cut or not even seen; more of them, or one in a torn write or where the next record
    // would begin, may look like a record that was whole.
    let is_harmless = elsewhere == 0 && (behind == 0 || behind == 1 && !remains.has_tail);
    match remains.is_complete && is_harmless || rot.is_empty() {
        true => Verdict::Starts,
        false => Verdict::Either,
    }
}

fn rotten_snapshots(
    remains: &DirectoryContents,
    dir: &Path,
    rot: &[(PathBuf, u64)],
) -> BTreeSet<LogPosition> {
    let places = rot.iter().map(|(path, offset)| remains.region(dir, path, *offset));
    let snapshot = |place| if let Region::Snapshot(last) = place { Some(last) } else { None };
    places.filter_map(snapshot).collect()
}

/// Where the store begins: with the newest snapshot that is whole, if the log reaches
/// back to it; with none, if the log was never compacted. But a newer one that is
/// damaged, and that the log does not reach, may have been confirmed.
fn beginning(remains: &DirectoryContents, rotten: &BTreeSet<LogPosition>) -> Option<LogPosition> {
    let is_whole = |last: &&LogPosition| !rotten.contains(last);
    let newest = remains.snapshots.iter().find(is_whole).copied().unwrap_or_default();
    let damaged = remains.snapshots.iter().take_while(|last| **last != newest);
    let is_known = damaged.into_iter().all(|last| remains.contains(*last));
    (newest.index >= remains.base.index && is_known).then_some(newest)
}

impl World {
    pub(super) fn data_dir(&self, id: u64) -> &Path {
        &self.plan.settings.servers[&NodeId(id)].data_dir
    }

    /// The node has opened its directory: it must have been right to, and must
    /// have all that was there.
    pub(super) fn check_start(&self, machine: &Machine, prospect: &Prospect) {
        let (id, dir) = (machine.id, self.data_dir(machine.id));
        let now = match DirectoryContents::read(&machine.disk.duplicate(), dir) {
            Ok(now) => now,
            Err(error) => {
                return self.violate(Check::NodeLives, format!("n{id} starts with that: {error}"));
            }
        };
        if let Err(Violation { check, what }) = prospect.check(&now) {
            return self
                .violate(check, format!("n{id}: {what}; rotten is {:?}", machine.disk.rot()));
        }
        self.check_repair(machine, prospect, &now);
        self.check_memory(machine, &now);
        machine.sealed.set((now.last_segment(), now.end_of(now.last_segment())));
    }

    /// A node whose log was damaged has forgotten what stood behind the damage, from this
    /// life on; or it has not, for there was nothing that mattered.
    fn check_repair(&self, machine: &Machine, prospect: &Prospect, now: &DirectoryContents) {
        let id = machine.id;
        let is_suspect = self.forgetful.get() == Some((id, u64::MAX));
        let is_rejoining = now.hard_states.iter().flatten().all(|state| state.is_rejoining);
        if is_suspect && is_rejoining {
            let life_before = machine.lives.get() - 1;
            self.forgetful.set(Some((id, life_before)));
            machine.wiped.set(life_before);
            let (now, before) = (now.last(), prospect.remains.last());
            self.trace.say(&format_args!("n{id} starts with its log up to {now} of {before}"));
            self.oracle.on_repair(id);
        } else {
            self.oracle.on_whole_start(id);
            if is_suspect && prospect.is_good() {
                self.forgetful.set(None);
            }
        }
    }

    /// What a node told of itself it must remember: it applies only what its disk
    /// holds, and was elected with a vote of its own that was durable (a follower's
    /// need not be yet).
    fn check_memory(&self, machine: &Machine, now: &DirectoryContents) {
        let (id, last) = (machine.id, now.last().index.0);
        let samples = self.samples.borrow();
        let own =
            samples.iter().filter(|sample| sample.id == id && sample.life > machine.wiped.get());
        let forgotten = own.clone().find(|sample| sample.last_applied > last);
        let voter = own.clone().find(|sample| sample.role == "leader");
        if let Some(sample) = forgotten {
            let what = format!("n{id} starts with a log that ends at {last}, but was {sample:?}");
            self.violate(Check::DurableAcknowledgement, what);
        }
        if let (Some(sample), Some(HardState { is_rejoining: true, .. })) =
            (voter, now.hard_states[0])
        {
            self.violate(Check::DurableVote, format!("n{id} is new again, but was {sample:?}"));
        }
    }

    /// Whether a node was right to end with this error.
    pub(super) fn check_end(&self, machine: &Machine, error: &StorageError, is_start: bool) {
        let (id, fault) = (machine.id, machine.disk_fault.get());
        let prospect = Prospect::of(&machine.disk, self.data_dir(id));
        let is_right = match error {
            StorageError::Io { source, path, .. } if source.kind() == ErrorKind::StorageFull => {
                // It wants room for what is new, and never for what it has (B67).
                // A snapshot can wait, but a log that is to begin behind one cannot.
                let is_for_snapshot = path.starts_with(self.data_dir(id).join("snapshot"));
                let wants_log =
                    prospect.ways.iter().any(Way::wants_log) || prospect.remains.is_resetting;
                let is_for_start = is_start && prospect.remains.is_complete && !wants_log;
                machine.was_full.get() && !is_for_start && !is_for_snapshot
            }
            StorageError::Io { .. } => fault.is_some(),
            // Only rot makes the log begin behind what no snapshot reaches.
            StorageError::SnapshotMissing { .. } => {
                prospect.ways.iter().any(Way::is_barred) && machine.has_snapshot_rotted.get()
            }
            // A damaged log ends a life, but does not keep the next from beginning.
            _ if is_start => prospect.verdict == Verdict::Refuses,
            _ => !prospect.is_good(),
        };
        if !is_right {
            let what = format!("n{id} ended although its disk is good ({fault:?}): {error}");
            self.violate(Check::NodeLives, what);
        }
    }

    /// Whether this machine may lose what it was told is durable: one member at a
    /// time may forget, once all have taken part (docs/adr/0005).
    pub(super) fn may_forget(&self) -> bool {
        let have_all_taken_part = self.participants.borrow().len() as u64 == self.plan.nodes;
        self.plan.nodes > 1 && self.forgetful.get().is_none() && have_all_taken_part
    }

    /// A data directory is gone, with its disk, and there is a new one.
    pub(super) fn wipe(self: &Rc<World>, id: u64) {
        let machine = &self.machines[&id];
        self.crash(id, false);
        self.forgetful.set(Some((id, machine.lives.get())));
        self.oracle.on_wipe(id);
        machine.lose_everything();
    }

    /// Somebody will see that the node refuses its disk, and give it a new one.
    pub(super) fn replace_later(self: &Rc<World>, id: u64) {
        let down_ms_max = 3 * self.plan.down_ms_max;
        let down_ms = self.random(|rng| rng.random_range(0..=down_ms_max));
        let (world, life) = (Rc::clone(self), self.machines[&id].lives.get());
        actix::spawn(async move {
            sleep(Duration::from_millis(down_ms)).await;
            if world.machines[&id].lives.get() == life {
                world.replace(id);
            }
        });
    }

    /// The disk of a node that is down, and will not start with it, is replaced.
    pub(super) fn replace(self: &Rc<World>, id: u64) {
        self.trace.say(&format_args!("n{id} gets another disk"));
        self.wipe(id);
        self.start(id);
    }

    /// Peace: no disk is full, or rotten in a way that matters.
    pub(super) fn mend_disk(self: &Rc<World>, id: u64) {
        let machine = &self.machines[&id];
        machine.fill_disk(None);
        machine.disk.mend();
        match Prospect::of(&machine.disk, self.data_dir(id)).verdict {
            Verdict::Starts => {}
            Verdict::Refuses => self.replace(id),
            Verdict::Either | Verdict::Repairs => {
                self.crash(id, false);
                self.start(id);
            }
        }
    }

    /// Something on a disk rots; false when nothing can, now.
    pub(super) fn rot(self: &Rc<World>, id: u64) -> bool {
        let machine = &self.machines[&id];
        if self.random(|rng| rng.random_bool(0.3)) && self.rot_snapshot(machine) {
            return true;
        }
        let may_forget = self.may_forget();
        if !may_forget || self.random(|rng| rng.random_bool(0.1)) {
            return self.rot_one_copy(machine);
        }
        let remains = Prospect::of(&machine.disk, self.data_dir(id)).remains;
        if !remains.is_complete {
            return false;
        }
        self.forgetful.set(Some((id, u64::MAX)));
        match self.random(|rng| rng.random_range(0..8)) {
            0..2 => self.lose_writes(machine, &remains),
            2 => self.misdirect_a_write(machine, &remains),
            3 => self.flip_anywhere(machine, &remains),
            _ => self.flip_in_record(machine, &remains),
        }
        match self.random(|rng| rng.random_range(0..4)) {
            0 => self.crash(id, false),
            1 => self.crash(id, true),
            2 => {
                // And once more, while it is being repaired.
                self.crash(id, true);
                let operations = self.random(|rng| rng.random_range(0..=20));
                machine.spoil_disk(Fault::DiskCut, |disk| disk.cut_power_after(operations));
            }
            _ => {}
        }
        true
    }

    /// Of the two copies of the hard state one is enough; but not while the other
    /// is being written.
    fn rot_one_copy(self: &Rc<World>, machine: &Machine) -> bool {
        self.crash(machine.id, false);
        let dir = self.data_dir(machine.id);
        let Prospect { verdict, remains, .. } = Prospect::of(&machine.disk, dir);
        let (Verdict::Starts, [Some(_), Some(_)], true) =
            (verdict, remains.hard_states, machine.disk.rot().is_empty())
        else {
            return false;
        };
        let offset = self.random(|rng| {
            let most = [72, 4096][rng.random_range(0..2)];
            rng.random_range(0..2) * 4096 + rng.random_range(0..most)
        });
        self.flip(machine, &dir.join("hard_state"), offset);
        true
    }

    /// A bit of a snapshot flips; when none that is whole goes with the log then, that is
    /// the loss of a member.
    fn rot_snapshot(self: &Rc<World>, machine: &Machine) -> bool {
        let (id, dir) = (machine.id, self.data_dir(machine.id));
        let paths: Vec<PathBuf> = machine.disk.paths();
        let in_dir = |path: &&PathBuf| {
            path.starts_with(dir.join("snapshot"))
                && path.extension().is_some_and(|e| e == "snapshot")
        };
        let paths: Vec<&PathBuf> = paths.iter().filter(in_dir).collect();
        if paths.is_empty() {
            return false;
        }
        let path = paths[self.random(|rng| rng.random_range(0..paths.len()))];
        let bytes = machine.disk.contents(path).len();
        let offset = self.random(|rng| rng.random_range(0..bytes)) as u64;
        // First on another disk: what it comes to must be allowed.
        let rotten = machine.disk.duplicate();
        rotten.flip_bit(path, offset, 0);
        let mut rot = machine.disk.rot();
        rot.extend(rotten.rot());
        let remains = Prospect::of(&machine.disk, dir).remains;
        let is_fatal = ways(&remains, dir, &rot).iter().any(Way::is_barred);
        if is_fatal && !self.may_forget() {
            return false;
        }
        if is_fatal {
            self.forgetful.set(Some((id, u64::MAX)));
        }
        machine.has_snapshot_rotted.set(true);
        self.oracle.on_snapshot_rot(id);
        self.flip(machine, path, offset);
        match self.random(|rng| rng.random_range(0..3)) {
            0 => self.crash(id, false),
            1 => self.crash(id, true),
            _ => {}
        }
        true
    }

    fn flip(&self, machine: &Machine, path: &Path, offset: u64) {
        let bit = self.random(|rng| rng.random_range(0..8));
        self.trace.say(&format_args!("bit {bit} of byte {offset} of {} flips", path.display()));
        machine.disk.flip_bit(path, offset, bit);
    }

    /// A bit of any file.
    fn flip_anywhere(&self, machine: &Machine, remains: &DirectoryContents) {
        let paths = remains.paths(self.data_dir(machine.id));
        let path = &paths[self.random(|rng| rng.random_range(0..paths.len()))];
        let bytes = machine.disk.contents(path).len();
        let offset = self.random(|rng| rng.random_range(0..bytes)) as u64;
        self.flip(machine, path, offset);
    }

    /// A bit of a record, mostly of one of the last.
    fn flip_in_record(&self, machine: &Machine, remains: &DirectoryContents) {
        let Some((path, record)) = self.some_record(machine, remains, u64::MAX) else {
            return self.flip_anywhere(machine, remains);
        };
        let offset = self.random(|rng| rng.random_range(record.from..record.to));
        self.flip(machine, &path, offset);
    }

    /// The last writes that were sealed are not there, though the disk said so.
    fn lose_writes(&self, machine: &Machine, remains: &DirectoryContents) {
        let (_, sealed_to) = machine.sealed.get();
        let Some((path, record)) = self.some_record(machine, remains, sealed_to) else {
            return self.flip_anywhere(machine, remains);
        };
        self.trace.say(&format_args!(
            "{} has lost bytes {} to {sealed_to}",
            path.display(),
            record.from
        ));
        let before = match self.random(|rng| rng.random_bool(0.5)) {
            true => vec![0; (sealed_to - record.from) as usize],
            false => earlier_life(&machine.disk.contents(&path), record.from, sealed_to),
        };
        machine.disk.damage(&path, record.from, &before);
    }

    /// What was written for one place stands in another.
    fn misdirect_a_write(&self, machine: &Machine, remains: &DirectoryContents) {
        let (_, sealed_to) = machine.sealed.get();
        let one = self.some_record(machine, remains, sealed_to);
        let other = self.some_record(machine, remains, sealed_to);
        let (Some((path, one)), Some((_, other))) = (one, other) else {
            return self.flip_anywhere(machine, remains);
        };
        if one == other {
            return self.flip_anywhere(machine, remains);
        }
        self.trace.say(&format_args!("{}: {other:?} is written over {one:?}", path.display()));
        let contents = machine.disk.contents(&path);
        let bytes = &contents[other.from as usize..other.to as usize];
        let room = (sealed_to - one.from).min(bytes.len() as u64) as usize;
        machine.disk.damage(&path, one.from, &bytes[..room]);
    }

    /// A record of the segment that was the last one at the start; those of other
    /// segments are no different.
    fn some_record(
        &self,
        machine: &Machine,
        remains: &DirectoryContents,
        to: u64,
    ) -> Option<(PathBuf, RecordPlace)> {
        let (segment, _) = machine.sealed.get();
        let records = remains.records(segment);
        let count = records.partition_point(|record| record.to <= to);
        let near = self.random(|rng| [1, 4, count][rng.random_range(0..3)]).min(count);
        let back = self.random(|rng| rng.random_range(1..=near.max(1)));
        let record = records.get(count.checked_sub(back)?)?;
        let place = (segment - remains.first_segment) as usize;
        let path = remains.paths(self.data_dir(machine.id)).swap_remove(place);
        Some((path, *record))
    }
}

/// What stood in a part of a segment's file before it was written, if the file was that of
/// the segment before.
fn earlier_life(segment: &[u8], from: u64, to: u64) -> Vec<u8> {
    let mut header = segment[..SECTOR_BYTES].to_vec();
    let number = u64::from_le_bytes(*header[16..].first_chunk().expect("it is a header"));
    header[16..24].copy_from_slice(&(number - 1).to_le_bytes());
    let (from, to) = (from as usize, (to as usize).next_multiple_of(SECTOR_BYTES));
    let mut bytes = vec![0; to - from];
    for place in (from.next_multiple_of(SECTOR_BYTES)..to).step_by(SECTOR_BYTES) {
        let sector = &mut bytes[place - from..][..SECTOR_BYTES];
        sector.fill(b'?');
        let mark = mark_of_sector(&header, place / SECTOR_BYTES).expect("it is a header");
        sector[..mark.len()].copy_from_slice(&mark);
    }
    bytes
}

impl Machine {
    /// Spoils the disk for the rest of this life.
    pub(super) fn spoil_disk(&self, fault: Fault, spoil: impl FnOnce(&SimDisk)) {
        self.disk_fault.set(Some(fault));
        spoil(&self.disk);
    }

    /// The disk has so much room and no more, or as much as one likes.
    pub(super) fn fill_disk(&self, room: Option<u64>) {
        self.is_full.set(room.is_some());
        self.was_full.set(self.was_full.get() || room.is_some());
        self.disk.set_capacity(room.map(|room| self.disk.used_bytes() + room));
    }

    fn lose_everything(&self) {
        for path in self.disk.paths() {
            self.disk.lose(&path);
        }
        // The names are durably gone.
        self.disk.crash(Crash::KeepUnsynced);
        self.wiped.set(self.lives.get());
        self.sealed.set((0, 0));
        self.has_snapshot_rotted.set(false);
    }
}

#[cfg(test)]
#[path = "disks_tests.rs"]
mod tests;

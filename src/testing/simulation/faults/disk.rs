//! Faults of disks: errors, and damage to what was durable.
//!
//! Damage that matters comes to one member at a time, once all have taken part (docs/adr/0005).
//! `scattered_damage` damages several logs at once, and leaves the longest whole.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rand::RngExt;

use crate::testing::simulation::checks::bounds::is_set_aside;
use crate::testing::simulation::checks::expected_start::{ExpectedStart, Verdict, may_bar_start};
use crate::testing::simulation::checks::wire::{SECTOR_BYTES, sector_tag};
use crate::testing::simulation::cluster::{after, crash};
use crate::testing::simulation::plan::Fault;
use crate::testing::simulation::world::{Machine, World};
use crate::testing::{DirectoryContents, RecordPlace};

/// Lets an operation of the disk fail once, in this life or in the recovery of the next.
pub(super) fn spoil(world: &Rc<World>, machine: &Machine, fault: Fault) {
    let nth = world.random(|rng| rng.random_range(1..=8));
    let operations = world.random(|rng| rng.random_range(0..=20));
    match world.random(|rng| rng.random_range(0..4)) {
        0 => crash(world, machine.id, false),
        1 => crash(world, machine.id, true),
        _ => {}
    }
    machine.spoil_disk(fault, |disk| match fault {
        Fault::WriteError => disk.fail_write(nth, io::ErrorKind::Other),
        Fault::SyncError => disk.fail_sync(nth, io::ErrorKind::Other),
        Fault::ReadError => disk.fail_read(nth),
        _ => disk.cut_power_after(operations),
    });
}

/// Leaves a disk up to 2,000 bytes for up to `ms_max` milliseconds.
pub(super) fn fill(world: &World, machine: Rc<Machine>, ms_max: u64) {
    let (room, ms) =
        world.random(|rng| (rng.random_range(0..=2_000), rng.random_range(100..=ms_max)));
    machine.fill_disk(Some(room));
    after(ms, move || machine.fill_disk(None));
}

/// Damages something on a disk. Returns false when nothing may be damaged now.
pub(super) fn rot(world: &Rc<World>, id: u64) -> bool {
    let machine = &world.machines[&id];
    if world.random(|rng| rng.random_bool(0.3)) && rot_snapshot(world, machine) {
        return true;
    }
    let may_lose_data = world.may_lose_data();
    if !may_lose_data || world.random(|rng| rng.random_bool(0.1)) {
        return rot_one_copy(world, machine);
    }
    let directory = ExpectedStart::of(&machine.disk, world.data_dir(id)).into_directory();
    if !directory.is_complete {
        return false;
    }
    world.note_data_loss(id, u64::MAX);
    match world.random(|rng| rng.random_range(0..8)) {
        0..2 => lose_writes(world, machine, &directory),
        2 => misdirect_a_write(world, machine, &directory),
        3 => flip_anywhere(world, machine, &directory),
        _ => flip_in_record(world, machine, &directory),
    }
    match world.random(|rng| rng.random_range(0..4)) {
        0 => crash(world, id, false),
        1 => crash(world, id, true),
        2 => {
            // The power fails once more, during the repair.
            crash(world, id, true);
            let operations = world.random(|rng| rng.random_range(0..=20));
            machine.spoil_disk(Fault::DiskCut, |disk| disk.cut_power_after(operations));
        }
        _ => {}
    }
    true
}

/// Damages one of the two copies of the hard state: the other one is enough, unless it is being
/// written.
fn rot_one_copy(world: &Rc<World>, machine: &Machine) -> bool {
    crash(world, machine.id, false);
    let dir = world.data_dir(machine.id);
    let expected = ExpectedStart::of(&machine.disk, dir);
    let verdict = expected.verdict();
    let (Verdict::Starts, [Some(_), Some(_)], true) =
        (verdict, expected.into_directory().hard_states, machine.disk.rot().is_empty())
    else {
        return false;
    };
    let offset = world.random(|rng| {
        let most = [72, 4096][rng.random_range(0..2)];
        rng.random_range(0..2) * 4096 + rng.random_range(0..most)
    });
    flip(world, machine, &dir.join("hard_state"), offset);
    true
}

/// Flips a bit of a snapshot, or of every one. If no intact snapshot fits the log then, this is the
/// loss of the member's data.
fn rot_snapshot(world: &Rc<World>, machine: &Machine) -> bool {
    let (id, dir) = (machine.id, world.data_dir(machine.id));
    let paths: Vec<PathBuf> = machine.disk.paths();
    let is_snapshot = |path: &&PathBuf| {
        path.starts_with(dir.join("snapshot"))
            && path.extension().is_some_and(|e| e == "snapshot")
            && !is_set_aside(path)
    };
    let mut paths: Vec<&PathBuf> = paths.iter().filter(is_snapshot).collect();
    if paths.is_empty() {
        return false;
    }
    if world.random(|rng| rng.random_bool(0.7)) {
        paths = vec![paths[world.random(|rng| rng.random_range(0..paths.len()))]];
    }
    // The bits flip on a copy first, to see whether the result is permitted.
    let damaged = machine.disk.duplicate();
    let mut places = Vec::new();
    for path in paths {
        let bytes = machine.disk.contents(path).len();
        let offset = world.random(|rng| rng.random_range(0..bytes)) as u64;
        damaged.flip_bit(path, offset, 0);
        places.push((path, offset));
    }
    let mut rot = machine.disk.rot();
    rot.extend(damaged.rot());
    let directory = ExpectedStart::of(&machine.disk, dir).into_directory();
    let is_fatal = may_bar_start(&directory, dir, &rot);
    if is_fatal && !world.may_lose_data() {
        return false;
    }
    if is_fatal {
        world.note_data_loss(id, u64::MAX);
    }
    machine.losses.has_damaged_snapshot.set(true);
    world.wire.on_snapshot_rot(id);
    places.iter().for_each(|(path, offset)| flip(world, machine, path, *offset));
    match world.random(|rng| rng.random_range(0..3)) {
        0 => crash(world, id, false),
        1 => crash(world, id, true),
        _ => {}
    }
    true
}

pub(super) fn flip(world: &World, machine: &Machine, path: &Path, offset: u64) {
    let bit = world.random(|rng| rng.random_range(0..8));
    world.trace.say(&format_args!("bit {bit} of byte {offset} of {} flips", path.display()));
    machine.disk.archive();
    machine.disk.flip_bit(path, offset, bit);
}

/// Flips a bit of any file.
fn flip_anywhere(world: &World, machine: &Machine, directory: &DirectoryContents) {
    let paths = directory.paths(world.data_dir(machine.id));
    let path = &paths[world.random(|rng| rng.random_range(0..paths.len()))];
    let bytes = machine.disk.contents(path).len();
    let offset = world.random(|rng| rng.random_range(0..bytes)) as u64;
    flip(world, machine, path, offset);
}

/// Flips a bit of a record, mostly of one of the last.
fn flip_in_record(world: &World, machine: &Machine, directory: &DirectoryContents) {
    let Some((path, record)) = some_record(world, machine, directory, u64::MAX) else {
        return flip_anywhere(world, machine, directory);
    };
    let offset = world.random(|rng| rng.random_range(record.from..record.to));
    flip(world, machine, &path, offset);
}

/// Loses the last writes before the durable end, though the disk has confirmed them.
fn lose_writes(world: &World, machine: &Machine, directory: &DirectoryContents) {
    let (_, durable_to) = machine.losses.durable_end.get();
    let Some((path, record)) = some_record(world, machine, directory, durable_to) else {
        return flip_anywhere(world, machine, directory);
    };
    world.trace.say(&format_args!(
        "{} has lost bytes {} to {durable_to}",
        path.display(),
        record.from
    ));
    let before = match world.random(|rng| rng.random_bool(0.5)) {
        true => vec![0; (durable_to - record.from) as usize],
        false => contents_of_former_segment(&machine.disk.contents(&path), record.from, durable_to),
    };
    machine.disk.damage(&path, record.from, &before);
}

/// Writes a record to the place of another one.
fn misdirect_a_write(world: &World, machine: &Machine, directory: &DirectoryContents) {
    let (_, durable_to) = machine.losses.durable_end.get();
    let one = some_record(world, machine, directory, durable_to);
    let other = some_record(world, machine, directory, durable_to);
    let (Some((path, one)), Some((_, other))) = (one, other) else {
        return flip_anywhere(world, machine, directory);
    };
    if one == other {
        return flip_anywhere(world, machine, directory);
    }
    world.trace.say(&format_args!("{}: {other:?} is written over {one:?}", path.display()));
    let contents = machine.disk.contents(&path);
    let bytes = &contents[other.from as usize..other.to as usize];
    let room = (durable_to - one.from).min(bytes.len() as u64) as usize;
    machine.disk.damage(&path, one.from, &bytes[..room]);
}

/// Draws a record that ends at or before offset `to`, from the segment that was the last one at
/// the start. Records of other segments are no different.
fn some_record(
    world: &World,
    machine: &Machine,
    directory: &DirectoryContents,
    to: u64,
) -> Option<(PathBuf, RecordPlace)> {
    let (segment, _) = machine.losses.durable_end.get();
    let records = directory.records(segment);
    let count = records.partition_point(|record| record.to <= to);
    let near = world.random(|rng| [1, 4, count][rng.random_range(0..3)]).min(count);
    let back = world.random(|rng| rng.random_range(1..=near.max(1)));
    let record = records.get(count.checked_sub(back)?)?;
    let place = (segment - directory.first_segment) as usize;
    let path = directory.paths(world.data_dir(machine.id)).swap_remove(place);
    Some((path, *record))
}

/// The bytes in a part of a segment's file before they were written, if the file was recycled
/// from that of the segment before: sectors with that segment's tag.
fn contents_of_former_segment(segment: &[u8], from: u64, to: u64) -> Vec<u8> {
    let mut header = segment[..SECTOR_BYTES].to_vec();
    let number = u64::from_le_bytes(*header[16..].first_chunk().expect("it is a header"));
    header[16..24].copy_from_slice(&(number - 1).to_le_bytes());
    let (from, to) = (from as usize, (to as usize).next_multiple_of(SECTOR_BYTES));
    let mut bytes = vec![0; to - from];
    for place in (from.next_multiple_of(SECTOR_BYTES)..to).step_by(SECTOR_BYTES) {
        let sector = &mut bytes[place - from..][..SECTOR_BYTES];
        sector.fill(b'?');
        let tag = sector_tag(&header, place / SECTOR_BYTES).expect("it is a header");
        sector[..tag.len()].copy_from_slice(&tag);
    }
    bytes
}

//! A file: the bytes that a process sees, the bytes that are durable, and the bytes that are
//! rotten in either.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::StdRng;

/// Size of a sector in bytes. The disk writes a sector whole or not at all.
const SECTOR_BYTES: usize = 512;

/// The part of the unsynced writes that survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// No unsynced write survives.
    LoseUnsynced,
    /// Every unsynced write survives.
    KeepUnsynced,
    /// Chance decides. Of the bytes of each file nothing survives, everything, a prefix of the
    /// writes, or some of the sectors; of the changes of names a prefix survives.
    Seeded(u64),
}

/// A file of the simulated disk.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The current name, for the record of operations.
    path: PathBuf,
    /// The content that a process sees.
    cached: Image,
    /// The content that survives a loss of power.
    durable: Image,
    /// The writes that are in `cached` only, in their order: offset and bytes.
    unsynced: Vec<(usize, Vec<u8>)>,
}

/// The content of a file. Some bytes may not be what was written.
#[derive(Clone, Debug, Default)]
struct Image {
    bytes: Vec<u8>,
    /// The changed bits of every byte that is not what was written. A write of such a byte makes
    /// it good again.
    rot: BTreeMap<usize, u8>,
}

impl Image {
    fn new(bytes: Vec<u8>) -> Image {
        Image { bytes, rot: BTreeMap::new() }
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset..end].copy_from_slice(bytes);
        if !self.rot.is_empty() {
            self.rot.retain(|at, _| !(offset..end).contains(at));
        }
    }

    /// Changes bits of a byte, if there is such a byte.
    fn change(&mut self, offset: usize, bits: u8) {
        let Some(byte) = self.bytes.get_mut(offset) else { return };
        *byte ^= bits;
        let wrong = self.rot.entry(offset).or_default();
        *wrong ^= bits;
        if *wrong == 0 {
            self.rot.remove(&offset);
        }
    }

    /// The bytes that were written, without the rot.
    fn as_written(&self) -> Cow<'_, [u8]> {
        let mut bytes = Cow::Borrowed(&self.bytes[..]);
        for (offset, wrong) in &self.rot {
            bytes.to_mut()[*offset] ^= wrong;
        }
        bytes
    }
}

impl File {
    /// An empty file.
    pub(super) fn new(path: PathBuf) -> File {
        File { path, ..File::default() }
    }

    /// A file whose content is durable.
    pub(super) fn durable(path: PathBuf, bytes: Vec<u8>) -> File {
        File::of_image(path, Image::new(bytes))
    }

    fn of_image(path: PathBuf, image: Image) -> File {
        File { path, cached: image.clone(), durable: image, unsynced: Vec::new() }
    }

    /// A copy of the file as a process sees it, all of it durable.
    pub(super) fn duplicate(&self) -> File {
        File::of_image(self.path.clone(), self.cached.clone())
    }

    /// A copy as [`File::duplicate`] makes it, without the rot.
    pub(super) fn duplicate_undamaged(&self) -> File {
        File::durable(self.path.clone(), self.written())
    }

    /// A copy of what would be left under the name `path` if all unsynced writes were lost.
    pub(super) fn duplicate_durable(&self, path: PathBuf) -> File {
        File::of_image(path, self.durable.clone())
    }

    /// The current name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file in the record of operations.
    pub(super) fn set_path(&mut self, path: &Path) {
        self.path = path.to_owned();
    }

    /// The bytes that a process sees.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.cached.bytes
    }

    /// The length that a process sees, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.cached.bytes.len() as u64
    }

    /// The bytes that a process would see if none were rotten.
    pub(super) fn written(&self) -> Vec<u8> {
        self.cached.as_written().into_owned()
    }

    /// The bytes that are durable, without the rot.
    pub(super) fn written_durably(&self) -> Cow<'_, [u8]> {
        self.durable.as_written()
    }

    /// The positions of the rotten bytes that a process sees.
    pub(super) fn rot(&self) -> impl Iterator<Item = u64> {
        self.cached.rot.keys().map(|offset| *offset as u64)
    }

    /// Changes bits of a byte, in the cache and on the disk.
    pub(super) fn change(&mut self, offset: usize, bits: u8) {
        self.cached.change(offset, bits);
        self.durable.change(offset, bits);
    }

    /// Writes bytes to the cache.
    pub(super) fn write(&mut self, offset: usize, bytes: Vec<u8>) {
        self.cached.put(offset, &bytes);
        self.unsynced.push((offset, bytes));
    }

    /// Makes the writes durable. When the sync `fails`, they never become durable, though the
    /// process still sees them.
    pub(super) fn sync(&mut self, fails: bool) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            if !fails {
                self.durable.put(offset, &bytes);
            }
        }
    }

    /// Loses the power. `rng` is given for a seeded crash.
    pub(super) fn crash(&mut self, crash: Crash, rng: Option<&mut StdRng>) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let durable = &mut self.durable;
        match (crash, rng) {
            (Crash::KeepUnsynced, _) => {
                unsynced.iter().for_each(|(offset, bytes)| durable.put(*offset, bytes));
            }
            (_, Some(rng)) => match rng.random_range(0..4) {
                0 => {}
                1 => unsynced.iter().for_each(|(offset, bytes)| durable.put(*offset, bytes)),
                2 => keep_prefix(durable, &unsynced, rng),
                _ => keep_sectors(durable, &unsynced, rng),
            },
            _ => {}
        }
        self.cached.clone_from(&self.durable);
    }
}

/// Returns the number of bytes, at most `bytes`, of a write at `offset` that end with a sector.
/// It is the whole `length` of the write when `bytes` reaches it.
pub(super) fn whole_sectors(offset: usize, bytes: usize, length: usize) -> usize {
    match bytes < length {
        true => ((offset + bytes) / SECTOR_BYTES * SECTOR_BYTES).saturating_sub(offset),
        false => length,
    }
}

/// Keeps a prefix of the bytes that were written, in the order of writing and in whole sectors.
fn keep_prefix(durable: &mut Image, unsynced: &[(usize, Vec<u8>)], rng: &mut StdRng) {
    // Most of a write may be zeros ahead of the records: the prefix ends before them.
    let length =
        |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |at| at + 1);
    let all: usize = unsynced.iter().map(|(_, bytes)| length(bytes)).sum();
    let mut left = rng.random_range(0..=all);
    for (offset, bytes) in unsynced {
        let kept = left.min(bytes.len());
        durable.put(*offset, &bytes[..whole_sectors(*offset, kept, bytes.len())]);
        left -= kept;
        if left == 0 {
            break;
        }
    }
}

/// Keeps or loses each sector of each write at random. The system writes whole sectors from its
/// cache, so a sector that loses one write also loses all later ones.
fn keep_sectors(durable: &mut Image, unsynced: &[(usize, Vec<u8>)], rng: &mut StdRng) {
    let mut settled = BTreeSet::new();
    for (offset, bytes) in unsynced {
        let mut start = 0;
        while start < bytes.len() {
            let sector_end = (offset + start + 1).next_multiple_of(SECTOR_BYTES) - offset;
            let end = sector_end.min(bytes.len());
            let sector = (offset + start) / SECTOR_BYTES;
            if rng.random_bool(0.5) && !settled.contains(&sector) {
                durable.put(offset + start, &bytes[start..end]);
            } else {
                settled.insert(sector);
            }
            start = end;
        }
    }
}

//! A file: what a process sees of it, what of that is durable, and what is rotten
//! in either.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rand::RngExt;
use rand::rngs::StdRng;

use super::{Crash, SECTOR_BYTES};

#[derive(Debug, Default)]
pub(super) struct File {
    /// Its current name, for the record of operations.
    pub(super) path: PathBuf,
    pub(super) cached: Image,
    pub(super) durable: Image,
    /// Writes between the two, in order.
    pub(super) unsynced: Vec<(usize, Vec<u8>)>,
}

/// Bytes, some of which are not what was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// What is wrong with which byte: the bits that have changed. Whoever writes it
    /// again makes it good.
    pub(super) rot: BTreeMap<usize, u8>,
}

impl Image {
    pub(super) fn new(bytes: Vec<u8>) -> Image {
        Image { bytes, rot: BTreeMap::new() }
    }

    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
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
    pub(super) fn change(&mut self, offset: usize, bits: u8) {
        let Some(byte) = self.bytes.get_mut(offset) else { return };
        *byte ^= bits;
        let wrong = self.rot.entry(offset).or_default();
        *wrong ^= bits;
        if *wrong == 0 {
            self.rot.remove(&offset);
        }
    }

    /// What was written.
    pub(super) fn as_written(&self) -> Cow<'_, [u8]> {
        let mut bytes = Cow::Borrowed(&self.bytes[..]);
        for (offset, wrong) in &self.rot {
            bytes.to_mut()[*offset] ^= wrong;
        }
        bytes
    }
}

impl File {
    pub(super) fn durable(path: PathBuf, image: Image) -> File {
        File { path, cached: image.clone(), durable: image, unsynced: Vec::new() }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: Vec<u8>) {
        self.cached.put(offset, &bytes);
        self.unsynced.push((offset, bytes));
    }

    /// What the process sees of its writes, the disk has; unless the sync fails:
    /// then it never gets it.
    pub(super) fn sync(&mut self, fails: bool) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            if !fails {
                self.durable.put(offset, &bytes);
            }
        }
    }

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

/// So much of a write of `bytes` at `offset` that it ends with a sector, or all of it.
pub(super) fn whole_sectors(offset: usize, bytes: usize, length: usize) -> usize {
    match bytes < length {
        true => ((offset + bytes) / SECTOR_BYTES * SECTOR_BYTES).saturating_sub(offset),
        false => length,
    }
}

/// Keeps the first so many bytes of what was written, in the order of writing, by whole
/// sectors.
fn keep_prefix(durable: &mut Image, unsynced: &[(usize, Vec<u8>)], rng: &mut StdRng) {
    // Most of a write may be zeros ahead of the records: cut where it matters.
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

/// Keeps each sector of each write, or not. The system writes whole sectors out of
/// its cache: one that was last written before a write is without all later ones,
/// too.
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

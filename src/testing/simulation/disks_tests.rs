//! The verdict over a damaged disk, held against what the storage really does.

use proptest::prelude::*;

use super::*;
use crate::storage::{Storage, StorageOptions};
use crate::types::{Entry, LogIndex, Payload, Term};

const DIR: &str = "data/1";

fn open(disk: &SimDisk) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        cluster: "c".into(),
        node_id: NodeId(1),
        segment_bytes: 4096,
        can_repair: true,
    };
    Storage::open(Box::new(disk.clone()), Path::new(DIR), options).map(|(storage, _)| storage)
}

/// Batches of entries of some sizes, over segments; the last is not sealed.
fn disk_of(sizes: &[usize], is_torn: bool, seed: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut storage = open(&disk).unwrap();
    let state = HardState { current_term: Term(1), voted_for: None, is_rejoining: false };
    storage.save_hard_state(state).unwrap();
    for (index, size) in (1..).zip(sizes) {
        let payload = Payload::Command(vec![index as u8 & 1; *size].into());
        let entry = Entry { index: LogIndex(index), term: Term(1), stamp_ms: 7, payload };
        storage.append(&[entry]).unwrap();
        if index % 3 != 0 && !(is_torn && index == sizes.len() as u64) {
            storage.sync().unwrap();
        }
    }
    drop(storage);
    disk.crash(Crash::Seeded(seed));
    disk
}

proptest! {
    #[test]
    fn a_directory_that_the_power_left_starts(
        sizes in prop::collection::vec(0..1500_usize, 0..12),
        seed in any::<u64>(),
    ) {
        let disk = disk_of(&sizes, true, seed);
        let prospect = Prospect::of(&disk, Path::new(DIR));
        prop_assert!(prospect.is_good());
        prop_assert!(open(&disk).is_ok());
        let now = Prospect::of(&disk, Path::new(DIR));
        prop_assert_eq!(now.remains.segments, prospect.remains.segments);
        prop_assert!(!now.remains.has_tail, "it is cut");
    }

    #[test]
    fn the_storage_agrees_with_the_verdict(
        sizes in prop::collection::vec(0..1500_usize, 1..12),
        is_torn in any::<bool>(),
        seed in any::<u64>(),
        flips in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u32),
            0..3,
        ),
    ) {
        let disk = disk_of(&sizes, is_torn, seed);
        let dir = Path::new(DIR);
        let paths = Prospect::of(&disk, dir).remains.paths(dir);
        for (path, at, bit) in flips {
            let path = &paths[path.index(paths.len())];
            let offset = at.index(disk.contents(path).len()) as u64;
            disk.flip_bit(path, offset, bit);
        }
        let prospect = Prospect::of(&disk, dir);
        match open(&disk) {
            Err(error) => prop_assert_eq!(prospect.verdict, Verdict::Refuses, "{}", error),
            Ok(_) => {
                let now = DirectoryContents::read(&disk.duplicate(), dir).unwrap();
                let checked = prospect.check(&now);
                prop_assert!(checked.is_ok(), "{:?}, {:?}", checked, disk.rot());
            }
        }
    }
}

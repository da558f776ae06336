//! The expected start from a damaged disk, compared with what the storage really does.

use proptest::prelude::*;

use super::*;
use crate::storage::{Storage, StorageOptions};
use crate::testing::Crash;
use crate::types::{Divergence, Entry, FormatRange, Incarnation, LogIndex, NodeId, Payload, Term};

const DIR: &str = "data/1";

fn open(disk: &SimDisk) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        cluster: "c".into(),
        node_id: NodeId(1),
        segment_bytes: 4096,
        can_repair: true,
        has_majority_of_others: true,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    };
    Storage::open(Box::new(disk.clone()), Path::new(DIR), options).map(|(storage, _)| storage)
}

/// A disk with entries of these sizes in several segments. The last write is not synced.
fn disk_of(sizes: &[usize], is_torn: bool, seed: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut storage = open(&disk).unwrap();
    let state = HardState { current_term: Term(1), ..HardState::default() };
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
    fn a_directory_after_a_power_loss_starts(
        sizes in prop::collection::vec(0..1500_usize, 0..12),
        seed in any::<u64>(),
    ) {
        let disk = disk_of(&sizes, true, seed);
        let expected = ExpectedStart::of(&disk, Path::new(DIR));
        prop_assert!(expected.is_good());
        prop_assert!(open(&disk).is_ok());
        let now = ExpectedStart::of(&disk, Path::new(DIR));
        prop_assert_eq!(now.directory.segments, expected.directory.segments);
        prop_assert!(!now.directory.has_tail, "it is cut");
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
        let paths = ExpectedStart::of(&disk, dir).directory.paths(dir);
        for (path, at, bit) in flips {
            let path = &paths[path.index(paths.len())];
            let offset = at.index(disk.contents(path).len()) as u64;
            disk.flip_bit(path, offset, bit);
        }
        let expected = ExpectedStart::of(&disk, dir);
        match open(&disk) {
            Err(error) => prop_assert_eq!(expected.verdict, Verdict::Refuses, "{}", error),
            Ok(_) => {
                let now = DirectoryContents::read(&disk.duplicate(), dir).unwrap();
                let checked = expected.check(&now);
                prop_assert!(checked.is_ok(), "{:?}, {:?}", checked, disk.rot());
            }
        }
    }
}

#[test]
fn a_marked_directory_begins_anew_and_not_with_what_it_had() {
    let disk = disk_of(&[10, 20, 30, 40], false, 1);
    let found = "its store differs".to_owned();
    let mut storage = open(&disk).unwrap();
    let _ = storage.mark_diverged(Divergence { index: LogIndex(3), found });
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    let read = || DirectoryContents::read(&disk, Path::new(DIR)).unwrap();
    let (expected, unchanged) = (ExpectedStart::of(&disk, Path::new(DIR)), read());
    assert!(expected.is_marked());
    assert_eq!(expected.check(&unchanged).unwrap_err().check, Check::Memory);
    drop(open(&disk).unwrap());
    assert_eq!(expected.check(&read()), Ok(()));
}

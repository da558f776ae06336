use super::*;
use crate::storage::{Storage, StorageOptions};
use crate::testing::{Crash, SimDisk};
use crate::types::{FormatRange, Incarnation, NodeId};

fn dir() -> &'static Path {
    Path::new("data/1")
}

fn open(disk: &SimDisk) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1 << 16,
        can_repair: true,
        has_majority_of_others: true,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    };
    Ok(Storage::open(Box::new(disk.clone()), dir(), options)?.0)
}

#[test]
fn golden_bytes_of_a_cluster_id() {
    let encoded = LINES.encode([ClusterId(0xabc).to_string()]);
    assert_eq!(
        encoded,
        "coracle 1\ncluster_id 00000000000000000000000000000abc\ncrc32c 0d87c251\n"
    );
}

#[test]
fn the_id_of_the_cluster_survives_a_power_cut_once_it_is_kept() {
    let disk = SimDisk::new();
    let mut storage = open(&disk).unwrap();
    assert_eq!(storage.cluster_id(), None);
    storage.keep_cluster_id(ClusterId(7)).unwrap();
    storage.keep_cluster_id(ClusterId(7)).unwrap();
    assert_eq!(storage.cluster_id(), Some(ClusterId(7)));
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(open(&disk).unwrap().cluster_id(), Some(ClusterId(7)));
}

#[test]
fn a_damaged_id_of_the_cluster_is_refused() {
    let disk = SimDisk::new();
    open(&disk).unwrap().keep_cluster_id(ClusterId(7)).unwrap();
    disk.flip_bit(&cluster_id_path(dir()), 20, 1);
    assert!(matches!(open(&disk), Err(StorageError::Damaged { .. })));
}

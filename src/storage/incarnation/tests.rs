use super::*;
use crate::storage::{
    DurableState, SnapshotFiles, SnapshotHead, Storage, StorageError, StorageOptions,
};
use crate::testing::{Crash, SimDisk};
use crate::types::{
    ClusterState, Entry, FormatRange, HardState, LogIndex, LogPosition, NodeId, Payload, Term,
};

fn dir() -> &'static Path {
    Path::new("data/1")
}

fn open(disk: &SimDisk, new: u128) -> Result<(Storage, DurableState), StorageError> {
    let options = StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1 << 16,
        can_repair: true,
        has_majority_of_others: true,
        new_incarnation: Incarnation(new),
        formats: FormatRange::OWN,
    };
    Storage::open(Box::new(disk.clone()), dir(), options)
}

fn incarnation(disk: &SimDisk, new: u128) -> Incarnation {
    open(disk, new).expect("the directory is whole").0.incarnation()
}

/// A directory whose log has the entries `payloads` of term 1.
fn directory_with(payloads: Vec<Payload>) -> SimDisk {
    let disk = SimDisk::new();
    let (mut storage, found) = open(&disk, 5).unwrap();
    let voter = HardState { current_term: Term(1), is_rejoining: false, ..found.hard_state };
    storage.save_hard_state(voter).unwrap();
    for (index, payload) in (1..).map(LogIndex).zip(payloads) {
        storage.append(&[Entry { index, term: Term(1), stamp_ms: 0, payload }]).unwrap();
    }
    storage.sync().unwrap();
    drop(storage);
    disk
}

fn second_format() -> FormatInForce {
    FormatInForce::of(Format(2))
}

#[test]
fn golden_bytes_of_an_incarnation() {
    let encoded = LINES.encode([Incarnation(0xabc).to_string()]);
    assert_eq!(
        encoded,
        "coracle 1\nincarnation 00000000000000000000000000000abc\ncrc32c 7a4ba503\n"
    );
}

#[test]
fn a_directory_keeps_the_id_that_it_got_when_it_was_created() {
    let disk = SimDisk::new();
    for new in 7..10 {
        assert_eq!(incarnation(&disk, new), Incarnation(7));
        disk.crash(Crash::LoseUnsynced);
    }
}

/// Version 0.1.0 has made the directory.
#[test]
fn a_directory_of_format_1_without_an_id_gets_one_durably() {
    let disk = directory_with(vec![Payload::Noop]);
    disk.lose(&incarnation_path(dir()));
    for new in 8..10 {
        assert_eq!(incarnation(&disk, new), Incarnation(8));
        disk.crash(Crash::LoseUnsynced);
    }
}

#[test]
fn a_power_cut_while_the_id_is_created_leaves_it_whole_or_not_at_all() {
    for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Seeded(3)] {
        for operations in 0..40 {
            let disk = directory_with(vec![Payload::Noop]);
            disk.lose(&incarnation_path(dir()));
            disk.cut_power_after(operations);
            let first = open(&disk, 8).ok().map(|(storage, _)| storage.incarnation());
            disk.crash(crash);
            let second = incarnation(&disk, 9);
            assert!(first.is_none_or(|first| first == second), "after {operations}");
        }
    }
}

#[test]
fn a_directory_of_format_2_without_its_id_is_refused_and_left_as_it_is() {
    let in_log = directory_with(vec![Payload::Format(second_format()), Payload::Noop]);
    let in_snapshot = directory_with(vec![Payload::Noop]);
    let snapshots = SnapshotFiles::open(Box::new(in_snapshot.clone()), dir()).unwrap();
    let state = ClusterState { format: second_format(), ..ClusterState::default() };
    let last = LogPosition { index: LogIndex(1), term: Term(1) };
    let head = SnapshotHead { cluster: "coracle".into(), last, stamp_ms: 0, state };
    snapshots.write(&head, std::iter::empty::<Result<Vec<u8>, StorageError>>()).unwrap();
    for disk in [in_log, in_snapshot] {
        assert_eq!(incarnation(&disk, 8), Incarnation(5));
        disk.lose(&incarnation_path(dir()));
        let operations = disk.operations();
        let said = open(&disk, 8).err().expect("it is refused").to_string();
        let expected =
            "data/1/incarnation is missing, but the log or a snapshot there has format 2";
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(disk.operations(), operations, "nothing was changed");
    }
}

#[test]
fn a_damaged_id_is_refused() {
    let disk = directory_with(vec![Payload::Noop]);
    let whole = disk.contents(&incarnation_path(dir()));
    for offset in 0..whole.len() {
        disk.flip_bit(&incarnation_path(dir()), offset as u64, offset as u32 % 8);
        let error = open(&disk, 8).err().expect("it is refused");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        disk.set_contents(&incarnation_path(dir()), whole[..offset].to_vec());
        let error = open(&disk, 8).err().expect("it is refused");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        disk.set_contents(&incarnation_path(dir()), whole.clone());
    }
    assert_eq!(incarnation(&disk, 8), Incarnation(5));
}

use super::*;
use crate::storage::{DurableState, SnapshotHead, Storage, StorageOptions};
use crate::testing::memberships::joint;
use crate::testing::{Crash, SimDisk};
use crate::types::{
    ClusterId, ClusterState, Entry, Format, FormatInForce, FormatRange, HardState, Incarnation,
    LogIndex, LogPosition, Membership, Payload, Term,
};

const BASE: LogPosition = LogPosition { term: Term(4), index: LogIndex(90) };

fn source() -> &'static Path {
    Path::new("data/1/snapshot/00000000000000000090-4.snapshot")
}

fn dir() -> &'static Path {
    Path::new("new/2")
}

/// A disk with a backup, and with the directory that new data directories are created in.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    for dir in ["data/1", "new"].map(Path::new) {
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(dir).unwrap();
        disk.sync_dir(dir.parent().unwrap()).unwrap();
    }
    disk.sync_dir(Path::new("")).unwrap();
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    let voters = [1, 2, 3].map(NodeId);
    let head = SnapshotHead {
        cluster: "old".into(),
        last: BASE,
        stamp_ms: 77,
        state: ClusterState {
            membership: Some((LogIndex(2), Membership::seed(voters))),
            ..ClusterState::default()
        },
    };
    snapshots.write(&head, bodies().into_iter().map(Ok::<_, StorageError>)).unwrap();
    disk
}

fn bodies() -> Vec<Vec<u8>> {
    vec![vec![7; 700], Vec::new(), b"a last one".to_vec()]
}

fn restored(disk: &SimDisk, cluster: &str) -> Result<SnapshotFile, StorageError> {
    restore(disk, source(), dir(), owner(cluster, 2))
}

fn owner(cluster: &str, node: u64) -> NewServer<'_> {
    NewServer { cluster, node_id: NodeId(node), incarnation: Incarnation(77) }
}

fn open(disk: &SimDisk) -> Result<(Storage, DurableState), StorageError> {
    let options = StorageOptions {
        cluster: "new".into(),
        node_id: NodeId(2),
        segment_bytes: 1 << 16,
        can_repair: true,
        has_majority_of_others: true,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    };
    Storage::open(Box::new(disk.clone()), dir(), options)
}

/// Checks that the directory is a restored one, and that its log can be continued.
#[track_caller]
fn check(disk: &SimDisk, restore_id: Option<u128>) {
    let (mut storage, recovered) = open(disk).unwrap();
    assert_eq!((storage.base(), storage.last()), (BASE, BASE));
    assert!(
        storage.restore_id().is_some()
            && restore_id.is_none_or(|_| storage.restore_id() == restore_id)
    );
    let hard_state = HardState { current_term: Term(4), ..HardState::default() };
    assert_eq!(recovered.hard_state, hard_state);
    assert_eq!(recovered.notes, Vec::<String>::new());
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), dir()).unwrap();
    let mut found = Vec::new();
    let file = snapshots.read(BASE, |body| {
        found.push(body.to_vec());
        Ok::<_, StorageError>(())
    });
    let head = file.unwrap().head;
    assert_eq!((head.cluster.as_str(), head.state.membership), ("new", None));
    assert_eq!((head.last, head.stamp_ms), (BASE, 77));
    assert_eq!(found, bodies());
    storage.save_hard_state(HardState { current_term: Term(5), ..hard_state }).unwrap();
    let index = LogIndex(91);
    let entry = Entry { index, term: Term(5), stamp_ms: 78, payload: Payload::Noop };
    storage.append(&[entry]).unwrap();
    storage.sync().unwrap();
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(open(disk).unwrap().0.last().index, index);
}

#[test]
fn a_restored_directory_begins_after_the_backup_under_its_own_name() {
    let disk = disk();
    let file = restored(&disk, "new").unwrap();
    disk.crash(Crash::LoseUnsynced);
    check(&disk, Some(file.digest));
}

#[test]
fn the_same_backup_gives_every_server_the_same_restore_id() {
    let (one, other) = (disk(), disk());
    let first = restored(&one, "new").unwrap();
    let second = restore(&other, source(), Path::new("new/3"), owner("new", 3)).unwrap();
    assert_eq!(first, second);
    assert_ne!(restored(&disk(), "newer").unwrap().digest, first.digest);
}

/// A directory without the snapshot counts as empty, and a directory without the identity is
/// refused. A directory never passes for a restored one when something is missing.
#[test]
fn a_power_cut_during_a_restore_never_leaves_a_part_that_passes_for_the_whole() {
    let whole = disk();
    let before = whole.operations();
    restored(&whole, "new").unwrap();
    let all = whole.operations() - before;
    let crashes = [Crash::LoseUnsynced, Crash::KeepUnsynced];
    for (operations, crash) in (0..=all).flat_map(|at| crashes.map(|crash| (at, crash))) {
        let disk = disk();
        disk.cut_power_after(operations);
        assert_eq!(restored(&disk, "new").is_ok(), operations == all, "after {operations}");
        disk.crash(crash);
        match open(&disk) {
            Ok((storage, recovered)) if storage.base() == LogPosition::default() => {
                assert!(recovered.hard_state.is_rejoining && storage.restore_id().is_none());
            }
            Ok((storage, _)) => {
                drop(storage);
                check(&disk, None);
            }
            Err(StorageError::FileMissing { .. }) => {}
            Err(error) => panic!("after {operations} operations: {error}"),
        }
    }
}

#[test]
fn a_directory_that_is_not_empty_is_not_touched() {
    let disk = disk();
    restored(&disk, "new").unwrap();
    let before: Vec<_> = disk.paths().iter().map(|path| disk.contents(path)).collect();
    let error = restored(&disk, "new").unwrap_err();
    assert!(error.to_string().starts_with("new/2 is not empty: "), "{error}");
    assert!(before.iter().eq(&disk.paths().iter().map(|p| disk.contents(p)).collect::<Vec<_>>()));
}

#[test]
fn a_cluster_of_the_same_name_is_refused() {
    let disk = disk();
    let paths = disk.paths();
    let error = restored(&disk, "old").unwrap_err();
    assert!(error.to_string().contains("give the new one another name"), "{error}");
    assert_eq!(disk.paths(), paths);
}

#[test]
fn a_damaged_backup_makes_no_directory() {
    for offset in 0..disk().contents(source()).len() as u64 {
        let disk = disk();
        let paths = disk.paths();
        disk.flip_bit(source(), offset, (offset % 8) as u32);
        let error = restored(&disk, "new").unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        assert_eq!(disk.paths(), paths);
    }
}

/// A backup of a cluster of this format, which has an id.
fn disk_of_format(format: FormatInForce) -> SimDisk {
    let disk = disk();
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    let cluster_id = Some(ClusterId(9));
    let membership = match format.format {
        Format(1 | 2) => Membership::seed([1, 2, 3].map(NodeId)),
        _ => joint(),
    };
    let membership = Some((LogIndex(40), membership));
    let state = ClusterState { format, cluster_id, membership };
    let head = SnapshotHead { cluster: "old".into(), last: BASE, stamp_ms: 77, state };
    snapshots.write(&head, bodies().into_iter().map(Ok::<_, StorageError>)).unwrap();
    disk
}

#[test]
fn a_restored_directory_keeps_the_format_and_gets_ids_of_its_own() {
    for format in [1, 2, 3].map(|format| FormatInForce::of(Format(format))) {
        let disk = disk_of_format(format.clone());
        let file = restored(&disk, "new").unwrap();
        let expected = ClusterState { format, ..ClusterState::default() };
        assert_eq!(file.head.state, expected, "no members, and no id of a cluster");
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(open(&disk).unwrap().0.incarnation(), Incarnation(77));
        check(&disk, Some(file.digest));
    }
}

#[test]
fn a_backup_of_a_later_format_makes_no_directory_and_names_the_program() {
    let disk = disk_of_format(FormatInForce::read(Format(5), "0.5.0"));
    let paths = disk.paths();
    let said = restored(&disk, "new").unwrap_err().to_string();
    assert!(said.contains("has format 5") && said.contains("start version 0.5.0"), "{said}");
    assert_eq!(disk.paths(), paths);
}

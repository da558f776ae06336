//! The recovery of a node over a simulated disk.

use std::path::Path;

use super::super::environment::RandomIds;
use super::*;
use crate::kv::{Command, Operation};
use crate::storage::StorageError;
use crate::storage::log::pool::files_max;
use crate::testing::{Crash, SimDisk};
use crate::types::{
    BootId, ClusterId, ClusterState, Entry, FormatRange, Incarnation, Membership, Payload,
};

mod lost_files;
mod own_addresses;

fn settings() -> Settings {
    settings_of(&[1, 2, 3])
}

fn settings_of(ids: &[u64]) -> Settings {
    let servers: String = ids
        .iter()
        .map(|id| {
            let (client, log) = (9000 + 2 * id, 9001 + 2 * id);
            format!(
                "[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\n\
                 client_port = {client}\nlog_port = {log}\n"
            )
        })
        .collect();
    let mut settings =
        Settings::parse(Path::new("servers.toml"), &servers, &Default::default()).unwrap();
    // Smaller than a settings file may ask for, because the entries here are small.
    settings.log.segment_bytes = 4000;
    settings
}

fn surroundings() -> Surroundings {
    let random = RandomIds {
        new_cluster_id: ClusterId(1),
        new_incarnation: Incarnation(1),
        boot: BootId(1),
    };
    Surroundings { seed: 1, formats: FormatRange::OWN, random, is_new_cluster: false }
}

fn start(disk: &SimDisk) -> Result<Recovered, StorageError> {
    let settings = settings();
    recover(&settings, &settings.servers[&NodeId(1)], Box::new(disk.clone()), &surroundings())
}

/// The sentence that refuses to start a server whose settings list these servers.
fn refusal(disk: &SimDisk, ids: &[u64]) -> Option<String> {
    let settings = settings_of(ids);
    let server = &settings.servers[&NodeId(1)];
    let recovered = recover(&settings, server, Box::new(disk.clone()), &surroundings()).unwrap();
    let checked = check_not_alone_and_blank(&settings, server, &recovered);
    checked.err().map(|error| error.to_string())
}

/// A server that has lost its disk, and the list of its peers, looks like a new cluster.
/// Else most segments between two snapshots of a large store would be new files, each written
/// twice.
#[test]
fn files_of_as_much_log_as_comes_between_two_snapshots_are_kept() {
    let text = "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1\nlog_port = 2\n";
    let defaults = Settings::parse(Path::new("servers.toml"), text, &Default::default()).unwrap();
    let segment_bytes = defaults.log.segment_bytes;
    assert_eq!(files_max(segment_bytes) * segment_bytes, defaults.snapshot.bytes_max);
}

#[test]
fn a_server_without_data_and_peers_founds_no_cluster_by_itself() {
    let disk = SimDisk::new();
    let said = refusal(&disk, &[1]).expect("it is alone and blank");
    for part in ["servers.toml lists no server but 1", "--new-cluster", "lost its disk"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(refusal(&disk, &[1]).is_some(), "the directory that it made is no data");
    assert_eq!(refusal(&disk, &[1, 2]), None, "it asks the others");
}

#[test]
fn a_server_alone_with_data_starts() {
    let disk = SimDisk::new();
    assert!(refusal(&disk, &[1]).is_some());
    let settings = settings_of(&[1]);
    let server = &settings.servers[&NodeId(1)];
    let mut recovered =
        recover(&settings, server, Box::new(disk.clone()), &surroundings()).unwrap();
    let hard_state = HardState { current_term: Term(1), ..recovered.hard_state };
    recovered.storage.save_hard_state(hard_state).unwrap();
    drop(recovered);
    assert_eq!(refusal(&disk, &[1]), None);
}

fn entry(index: u64, term: u64) -> Entry {
    let key = format!("key{}", index % 7).into_bytes().into();
    let operation = Operation::Set { key, exptime: 0, value: vec![1; 100].into(), lease: 0 };
    let payload = Payload::Command(Command { once: None, store_bytes_max: 0, operation }.encode());
    Entry { index: LogIndex(index), term: Term(term), stamp_ms: index * 10, payload }
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

fn cluster_state() -> ClusterState {
    let membership = Membership::seed([1, 2, 3].map(NodeId));
    ClusterState { membership: Some((LogIndex(2), membership)), ..ClusterState::default() }
}

fn store(entries: u64) -> Store {
    let mut store = Store::new();
    (1..=entries).for_each(|index| {
        store.apply(&entry(index, 1)).unwrap();
    });
    store
}

fn write_snapshot(snapshots: &SnapshotFiles, last: LogPosition) {
    let stamp_ms = last.index.0 * 10;
    let cluster = "coracle".to_owned();
    let head = SnapshotHead { cluster, last, stamp_ms, state: cluster_state() };
    snapshots
        .write(
            &head,
            store(last.index.0)
                .snapshot_blocks()
                .map(|block| Ok::<_, StorageError>(block.unwrap())),
        )
        .unwrap();
}

/// A disk with a log of this number of entries of term 1, and snapshots up to these indexes.
fn disk_with(entries: u64, snapshots: &[u64]) -> SimDisk {
    let disk = SimDisk::new();
    let mut recovered = start(&disk).unwrap();
    let hard_state = HardState { current_term: Term(1), ..recovered.hard_state };
    recovered.storage.save_hard_state(hard_state).unwrap();
    for index in 1..=entries {
        recovered.storage.append(&[entry(index, 1)]).unwrap();
    }
    recovered.storage.sync().unwrap();
    snapshots.iter().for_each(|index| write_snapshot(&recovered.snapshots, at(*index, 1)));
    disk
}

fn compact(disk: &SimDisk, limit: u64) -> LogPosition {
    start(disk).unwrap().storage.compact(LogIndex(limit)).unwrap()
}

fn snapshot_path(disk: &SimDisk, nth: usize) -> std::path::PathBuf {
    let is_snapshot = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".snapshot");
    disk.paths().into_iter().filter(is_snapshot).nth(nth).unwrap()
}

/// The positions when the newest snapshot is the nth file.
fn positions(disk: &SimDisk, newest: LogPosition, nth: usize, older: u64) -> SnapshotPositions {
    let newest_bytes = disk.contents(&snapshot_path(disk, nth)).len() as u64;
    SnapshotPositions { newest, newest_bytes, older: LogIndex(older) }
}

#[test]
fn a_start_goes_on_from_the_newest_snapshot() {
    let disk = disk_with(100, &[40, 80]);
    let base = compact(&disk, 40);
    assert!(base.index > LogIndex(0));
    let recovered = start(&disk).unwrap();
    assert_eq!(recovered.store, store(80));
    assert_eq!(recovered.positions, positions(&disk, at(80, 1), 1, 40));
    assert_eq!((recovered.log.runs.base(), recovered.log.runs.last()), (base, at(100, 1)));
    assert_eq!(recovered.log.cluster.newest(), &cluster_state(), "it is before the log");
    assert_eq!(recovered.files[0].head.last, at(80, 1));
}

#[test]
fn the_snapshot_before_replaces_a_newest_one_that_is_damaged() {
    let disk = disk_with(100, &[40, 80]);
    as_voter(&disk);
    let base = compact(&disk, 40);
    disk.flip_bit(&snapshot_path(&disk, 1), 100, 2);
    let recovered = start(&disk).unwrap();
    assert_eq!(recovered.store, store(40));
    assert_eq!(recovered.positions, positions(&disk, at(40, 1), 0, 0));
    assert_eq!(recovered.log.runs.base(), base);
    assert_eq!(recovered.snapshots.list().unwrap(), [at(40, 1)], "the other one has no say");
    assert_eq!(aside(&disk), [aside_name(80)]);
    assert!(!recovered.hard_state.is_rejoining);
}

/// Ways to lose both snapshots, the ones that are damaged and those that are removed; and whether
/// the end of what the node had acknowledged is known.
const LOSSES: [(&[usize], &[usize], bool); 3] =
    [(&[0, 1], &[], true), (&[1], &[0], true), (&[], &[0, 1], false)];

/// A disk whose log begins after entry 40 and ends with entry 100, and whose snapshots are lost.
fn without_snapshots(rotten: &[usize], removed: &[usize]) -> SimDisk {
    let disk = disk_with(100, &[40, 80]);
    as_voter(&disk);
    compact(&disk, 40);
    let paths: Vec<_> = (0..2).map(|nth| snapshot_path(&disk, nth)).collect();
    rotten.iter().for_each(|nth| disk.flip_bit(&paths[*nth], 100, 2));
    removed.iter().for_each(|nth| disk.lose(&paths[*nth]));
    disk
}

fn as_voter(disk: &SimDisk) {
    let mut recovered = start(disk).unwrap();
    let voter =
        HardState { current_term: Term(1), voted_for: Some(NodeId(2)), ..Default::default() };
    recovered.storage.save_hard_state(voter).unwrap();
}

/// The names of the damaged snapshots that were kept.
fn aside(disk: &SimDisk) -> Vec<String> {
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let names = disk.paths().iter().map(name).collect::<Vec<_>>();
    names.into_iter().filter(|name| name.starts_with("damaged-")).collect()
}

fn aside_name(index: u64) -> String {
    format!("damaged-{index:020}-1.snapshot")
}

/// The node has term and vote, no entry, no store, and knows what it had acknowledged.
fn check_has_begun_anew(recovered: &Recovered, is_end_known: bool) {
    let expected = HardState {
        current_term: Term(1),
        voted_for: Some(NodeId(2)),
        is_rejoining: true,
        lost: at(100, 1),
        is_end_known,
    };
    assert_eq!(recovered.hard_state, expected);
    assert_eq!((recovered.storage.base(), recovered.storage.last()), (at(0, 0), at(0, 0)));
    assert_eq!(recovered.log, LogSummary::default());
    assert_eq!(recovered.store, Store::new());
    assert_eq!(recovered.positions, SnapshotPositions::default());
    assert_eq!(recovered.snapshots.list().unwrap(), []);
}

#[test]
fn a_node_that_lost_its_snapshots_begins_anew_and_is_rejoining() {
    for (rotten, removed, is_end_known) in LOSSES {
        let disk = without_snapshots(rotten, removed);
        for _ in 0..2 {
            check_has_begun_anew(&start(&disk).unwrap(), is_end_known);
            let expected: Vec<_> = rotten.iter().map(|nth| aside_name([40, 80][*nth])).collect();
            assert_eq!(aside(&disk), expected);
            disk.crash(Crash::LoseUnsynced);
        }
        let recovered = start(&disk).unwrap();
        write_snapshot(&recovered.snapshots, at(120, 1));
        drop(recovered);
        let recovered = start(&disk).unwrap();
        assert_eq!((recovered.storage.base(), recovered.store), (at(120, 1), store(120)));
        assert!(recovered.hard_state.is_rejoining, "until the core says otherwise");
    }
}

/// The power fails at every step of such a start, and again at every step of the next.
#[test]
fn a_power_cut_at_any_step_of_beginning_anew_leaves_the_same_node() {
    for (rotten, removed, is_end_known) in LOSSES {
        let lost = without_snapshots(rotten, removed);
        let steps = {
            let copy = lost.duplicate();
            let before = copy.operations();
            drop(start(&copy).unwrap());
            copy.operations() - before
        };
        assert!(steps >= 10, "the decision in two copies, the new segment, and the names");
        for first in 0..=steps {
            for second in [0, 1, 3, 6, 10, 40] {
                for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Seeded(first)] {
                    let copy = lost.duplicate();
                    for operations in [first, second] {
                        copy.cut_power_after(operations);
                        drop(start(&copy));
                        copy.crash(crash);
                    }
                    check_has_begun_anew(&start(&copy).unwrap(), is_end_known);
                }
            }
        }
    }
}

#[test]
fn at_most_two_damaged_snapshots_are_kept() {
    let disk = disk_with(100, &[]);
    for index in [10, 20, 30, 40, 50] {
        let recovered = start(&disk).unwrap();
        write_snapshot(&recovered.snapshots, at(index, 1));
        drop(recovered);
        disk.flip_bit(&snapshot_path(&disk, 0), 100, 2);
        drop(start(&disk).unwrap());
    }
    assert_eq!(aside(&disk), [aside_name(40), aside_name(50)]);
}

#[test]
fn nobody_can_bring_back_the_snapshots_of_a_cluster_of_two() {
    for (rotten, removed, _) in LOSSES {
        let disk = disk_with(100, &[40, 80]);
        compact(&disk, 40);
        let paths: Vec<_> = (0..2).map(|nth| snapshot_path(&disk, nth)).collect();
        rotten.iter().for_each(|nth| disk.flip_bit(&paths[*nth], 100, 2));
        removed.iter().for_each(|nth| disk.lose(&paths[*nth]));
        let before = disk.paths();
        let mut settings = settings();
        settings.servers.remove(&NodeId(3));
        let server = settings.servers[&NodeId(1)].clone();
        // Neither the log nor a snapshot says who the members are.
        let error =
            recover(&settings, &server, Box::new(disk.clone()), &surroundings()).err().unwrap();
        assert!(matches!(error, StorageError::SnapshotMissing { .. }), "{error}");
        assert_eq!(disk.paths(), before, "nothing was changed");
    }
}

/// Its bytes are whole: another version has written it.
#[test]
fn a_snapshot_that_does_not_decode_is_no_damage() {
    for is_log_enough in [true, false] {
        let disk = disk_with(100, &[40]);
        if !is_log_enough {
            compact(&disk, 40);
        }
        let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
        let (cluster, last) = ("coracle".to_owned(), at(80, 1));
        let head = SnapshotHead { cluster, last, stamp_ms: 800, state: cluster_state() };
        snapshots.write(&head, [Ok::<_, StorageError>(vec![99, 1, 2, 3])].into_iter()).unwrap();
        let before = disk.paths();
        let error = start(&disk).err().unwrap();
        assert!(matches!(error, StorageError::Unknown { .. }), "{error}");
        assert_eq!(disk.paths(), before);
    }
}

#[test]
fn a_whole_log_needs_no_snapshot() {
    let disk = disk_with(100, &[40, 80]);
    (0..2).for_each(|nth| disk.flip_bit(&snapshot_path(&disk, nth), 100, 2));
    let recovered = start(&disk).unwrap();
    assert_eq!((recovered.store, recovered.log.runs.last()), (store(0), at(100, 1)));
    assert_eq!(recovered.snapshots.list().unwrap(), []);
    assert_eq!(aside(&disk).len(), 2);
}

/// The snapshot was received and acknowledged, and the log had not been told yet.
#[test]
fn a_node_that_lost_a_snapshot_that_its_log_does_not_reach_is_rejoining() {
    let disk = disk_with(20, &[10]);
    as_voter(&disk);
    let recovered = start(&disk).unwrap();
    write_snapshot(&recovered.snapshots, at(50, 1));
    drop(recovered);
    disk.flip_bit(&snapshot_path(&disk, 1), 100, 2);
    for _ in 0..2 {
        let recovered = start(&disk).unwrap();
        assert_eq!((recovered.store, recovered.storage.last()), (store(10), at(20, 1)));
        let HardState { is_rejoining, lost, is_end_known, .. } = recovered.hard_state;
        assert_eq!((is_rejoining, lost, is_end_known), (true, at(50, 1), true));
        assert_eq!(aside(&disk), [aside_name(50)]);
    }
}

/// The snapshot was put back by hand from an old copy: the log begins after it.
#[test]
fn a_log_begins_anew_after_a_snapshot_from_before_its_beginning() {
    let disk = disk_with(100, &[10, 40, 80]);
    let base = compact(&disk, 40);
    (0..2).for_each(|_| disk.lose(&snapshot_path(&disk, 0)));
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    write_snapshot(&snapshots, at(5, 1));
    assert!(base.index > LogIndex(5));
    let recovered = start(&disk).unwrap();
    assert_eq!(snapshots.list().unwrap(), [at(5, 1)]);
    assert_eq!((recovered.storage.base(), recovered.storage.last()), (at(5, 1), at(5, 1)));
    assert_eq!((recovered.store, recovered.hard_state.lost), (store(5), at(100, 1)));
    assert!(recovered.hard_state.is_rejoining && !recovered.hard_state.is_end_known);
}

/// The crash came when the snapshot had its name and the log had not been told. The entries
/// of the log after the snapshot were never committed (§7).
/// The settings are those of the two servers that the cluster began with. The compacted log says
/// nothing about the members, and the snapshot says that there are three.
#[test]
fn a_cluster_that_has_grown_replaces_lost_snapshots_whatever_its_settings_say() {
    let disk = disk_with(100, &[40, 80]);
    compact(&disk, 40);
    (0..2).for_each(|_| disk.lose(&snapshot_path(&disk, 0)));
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    write_snapshot(&snapshots, at(5, 1));
    let settings = settings_of(&[1, 2]);
    let server = settings.servers[&NodeId(1)].clone();
    let recovered = recover(&settings, &server, Box::new(disk.clone()), &surroundings()).unwrap();
    assert!(recovered.hard_state.is_rejoining);
    assert_eq!(recovered.storage.base(), at(5, 1));
}

#[test]
fn an_installation_that_a_crash_interrupted_is_finished() {
    for (entries, last) in [(20, at(50, 1)), (60, at(50, 3)), (0, at(50, 1))] {
        let disk = disk_with(entries, &[]);
        {
            let mut recovered = start(&disk).unwrap();
            let hard_state = HardState { current_term: Term(3), ..recovered.hard_state };
            recovered.storage.save_hard_state(hard_state).unwrap();
            write_snapshot(&recovered.snapshots, last);
        }
        for _ in 0..2 {
            let recovered = start(&disk).unwrap();
            assert_eq!((recovered.log.runs.base(), recovered.log.runs.last()), (last, last));
            assert_eq!((recovered.store, recovered.positions.newest), (store(50), last));
            assert_eq!(
                (recovered.log.last_stamp_ms, recovered.hard_state.current_term),
                (500, Term(3))
            );
            drop(recovered.storage);
            disk.crash(Crash::LoseUnsynced);
        }
    }
}

#[test]
fn a_snapshot_of_another_cluster_is_refused() {
    let disk = disk_with(10, &[]);
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    let (cluster, last) = ("other".to_owned(), at(5, 1));
    let head = SnapshotHead { cluster, last, stamp_ms: 50, state: ClusterState::default() };
    snapshots
        .write(&head, store(5).snapshot_blocks().map(|block| Ok::<_, StorageError>(block.unwrap())))
        .unwrap();
    assert!(matches!(start(&disk), Err(StorageError::OtherSnapshot { .. })));
}

#[test]
fn a_list_of_servers_that_differs_from_the_log_is_warned_of_with_both_lists() {
    let settings = settings();
    let mut log = LogSummary::default();
    assert_eq!(other_members(&settings, &log), None, "the log says nothing yet");
    let mut members = |ids: &[u64]| {
        let voters = ids.iter().copied().map(NodeId);
        log.cluster.append(LogIndex(2), &Payload::Membership(Membership::seed(voters)));
        other_members(&settings, &log)
    };
    assert_eq!(members(&[1, 2, 3]), None);
    let told = members(&[1, 2, 4]).unwrap();
    assert!(told.contains("servers 1, 2, 3") && told.contains("members 1, 2, 4"), "{told}");
    assert!(told.contains("the log counts") && told.lines().count() == 1, "{told}");
}

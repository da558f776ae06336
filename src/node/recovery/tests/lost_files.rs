//! Every file of a data directory is removed, emptied and cut, one after the other. A start goes on
//! with everything that the server had, or rejoins, or refuses and changes nothing. No start is a
//! voter that has less. docs/operations.md has the table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::storage::{JoinedCluster, keep_joined};
use crate::testing::memberships::member;
use crate::types::{Divergence, Format, FormatInForce};

const DIR: &str = "data/1";
/// The last entry of the log.
const LAST: u64 = 100;

/// The faults of a file, as the table says them.
const FAULTS: [&str; 3] = ["missing", "empty", "cut in half"];

fn payload(format: u32, index: u64) -> Payload {
    match index {
        3 if format > 1 => Payload::Format(FormatInForce::of(Format(format))),
        _ => entry(index, 1).payload,
    }
}

fn state(format: u32) -> ClusterState {
    ClusterState { format: FormatInForce::of(Format(format)), ..cluster_state() }
}

fn store_of(format: u32, last: u64) -> Store {
    let mut store = Store::new();
    for index in 1..=last {
        let entry = Entry { payload: payload(format, index), ..entry(index, 1) };
        store.apply(&entry).unwrap();
    }
    store
}

/// The facts that the server learned when it joined, which is possible from format 3 on.
fn joined() -> JoinedCluster {
    JoinedCluster {
        id: NodeId(1),
        cluster: "coracle".into(),
        cluster_id: Some(ClusterId(9)),
        promise: None,
        members: [1, 2, 3].map(|id| (NodeId(id), member(id))).into(),
        at: LogIndex(1),
    }
}

/// A voter with several segments, a file in the pool, two snapshots and a hold.
fn voter(format: u32) -> SimDisk {
    let disk = SimDisk::new();
    if format > 2 {
        keep_joined(&disk, Path::new(DIR), &joined()).unwrap();
    }
    let mut recovered = start(&disk).unwrap();
    let voter =
        HardState { current_term: Term(1), voted_for: Some(NodeId(2)), ..HardState::default() };
    recovered.storage.save_hard_state(voter).unwrap();
    recovered.storage.set_held(true).unwrap();
    for index in 1..=LAST {
        let entry = Entry { payload: payload(format, index), ..entry(index, 1) };
        recovered.storage.append(&[entry]).unwrap();
    }
    recovered.storage.sync().unwrap();
    for last in [40, 80] {
        let (cluster, last) = ("coracle".to_owned(), at(last, 1));
        let stamp_ms = last.index.0 * 10;
        let head = SnapshotHead { cluster, last, stamp_ms, state: state(format) };
        let blocks = store_of(format, last.index.0).snapshot_blocks();
        let blocks = blocks.map(|block| Ok::<_, StorageError>(block.unwrap()));
        recovered.snapshots.write(&head, blocks).unwrap();
    }
    recovered.storage.compact(LogIndex(40)).unwrap();
    recovered.storage.record_durable_end().unwrap();
    drop(recovered);
    disk.crash(Crash::LoseUnsynced);
    disk
}

/// The result of a start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// A voter with everything that it had.
    Whole { has_new_id: bool, is_held: bool },
    /// It rejoins. It votes meanwhile if it knows where its log ended.
    Rejoins { votes: bool },
    /// It is a server that never had anything.
    Blank,
    /// It does not start, and nothing was changed.
    Refused,
}

impl Outcome {
    fn cell(&self) -> &'static str {
        match self {
            Outcome::Whole { has_new_id: false, is_held: true } => "goes on",
            Outcome::Whole { has_new_id: true, .. } => "goes on, with a new id",
            Outcome::Whole { is_held: false, .. } => "goes on, without the hold",
            Outcome::Rejoins { votes: true } => "rejoins, votes meanwhile",
            Outcome::Rejoins { votes: false } => "rejoins",
            Outcome::Blank => "rejoins as an empty server",
            Outcome::Refused => "refused",
        }
    }
}

fn contents(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let content = |path: PathBuf| (path.clone(), disk.contents(&path));
    disk.paths().into_iter().map(content).collect()
}

/// Starts the server, and checks that the result is one of those that are allowed.
fn outcome(disk: &SimDisk, format: u32, fault: &str) -> Outcome {
    let before = contents(disk);
    let mut surroundings = surroundings();
    surroundings.random.new_incarnation = Incarnation(2);
    let settings = settings();
    let server = &settings.servers[&NodeId(1)];
    let mut recovered = match recover(&settings, server, Box::new(disk.clone()), &surroundings) {
        Ok(recovered) => recovered,
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("data/1") && said.contains('`'), "{fault}: {said}");
            assert_eq!(contents(disk), before, "{fault}: refused, and changed: {said}");
            return Outcome::Refused;
        }
    };
    let HardState { current_term, voted_for, is_rejoining, lost, is_end_known } =
        recovered.hard_state;
    if is_rejoining && current_term == Term(0) {
        assert_eq!(recovered.storage.last(), at(0, 0), "{fault}");
        assert_eq!(recovered.store, Store::new(), "{fault}");
        return Outcome::Blank;
    }
    assert_eq!((current_term, voted_for), (Term(1), Some(NodeId(2))), "{fault}: its vote");
    if is_rejoining {
        assert!(!is_end_known || lost == at(LAST, 1), "{fault}: it had {LAST}, not {lost}");
        return Outcome::Rejoins { votes: is_end_known };
    }
    assert_eq!(recovered.log.runs.last(), at(LAST, 1), "{fault}: a voter that has less");
    assert_eq!(recovered.log.cluster.newest(), &state(format), "{fault}");
    while recovered.store.last_applied() < LogIndex(LAST) {
        let next = recovered.store.last_applied().next();
        for entry in recovered.storage.read(next, LogIndex(LAST), 1 << 20).unwrap() {
            recovered.store.apply(&entry).unwrap();
        }
    }
    assert_eq!(recovered.store, store_of(format, LAST), "{fault}: a voter that has less");
    Outcome::Whole {
        has_new_id: recovered.storage.incarnation() != Incarnation(1),
        is_held: recovered.storage.is_held(),
    }
}

/// The file's name in the table, for each file of a directory in the order of the paths.
fn named(disk: &SimDisk) -> Vec<(PathBuf, String)> {
    let paths = disk.paths();
    let of = |suffix: &str| {
        let has_suffix = |path: &&PathBuf| path.to_string_lossy().ends_with(suffix);
        paths.iter().filter(has_suffix).cloned().collect::<Vec<_>>()
    };
    let (segments, snapshots) = (of(".segment"), of(".snapshot"));
    let name = |path: &PathBuf| {
        let below = path.strip_prefix(DIR).unwrap().to_string_lossy();
        let place = |all: &[PathBuf]| all.iter().position(|other| other == path);
        match (place(&segments), place(&snapshots)) {
            (Some(0), _) => "log/: the first segment".to_owned(),
            (Some(place), _) if place + 1 == segments.len() => "log/: the last segment".to_owned(),
            (Some(_), _) => "log/: a segment between".to_owned(),
            (_, Some(0)) => "snapshot/: the older file".to_owned(),
            (_, Some(_)) => "snapshot/: the newest file".to_owned(),
            _ if below.ends_with(".spare") => "log/: a file of the pool".to_owned(),
            _ => below.into_owned(),
        }
    };
    paths.iter().map(|path| (path.clone(), name(path))).collect()
}

fn inflict(disk: &SimDisk, path: &Path, fault: &str) {
    let whole = disk.contents(path);
    match fault {
        "missing" => disk.lose(path),
        "empty" => disk.set_contents(path, Vec::new()),
        _ => disk.set_contents(path, whole[..whole.len() / 2].to_vec()),
    }
}

/// Removes a directory with everything in it.
fn remove_dir(disk: &SimDisk, dir: &Path) {
    for name in disk.list(dir).unwrap() {
        let path = dir.join(name);
        if disk.list(&path).is_ok() {
            remove_dir(disk, &path);
        } else {
            disk.remove(&path).unwrap();
        }
    }
    disk.sync_dir(dir).unwrap();
    disk.remove_dir(dir).unwrap();
    disk.sync_dir(dir.parent().unwrap()).unwrap();
}

/// The outcomes by the name of the file and the fault, for each format.
type Table = BTreeMap<(String, &'static str), [Vec<Outcome>; 2]>;

fn table() -> Table {
    let mut table = Table::new();
    for (column, format) in [1, 3].into_iter().enumerate() {
        let whole = voter(format);
        assert_eq!(
            outcome(&whole.duplicate(), format, "none"),
            Outcome::Whole { has_new_id: false, is_held: true }
        );
        let marked = whole.duplicate();
        let found = "the store differs".to_owned();
        start(&marked).unwrap().storage.mark_diverged(Divergence { index: LogIndex(90), found });
        marked.kill();
        let files = named(&whole).into_iter().map(|file| (&whole, file));
        let mark = named(&marked).into_iter().filter(|(_, name)| name == "diverged");
        for (disk, (path, name)) in files.chain(mark.map(|file| (&marked, file))) {
            for fault in FAULTS {
                let copy = disk.duplicate();
                inflict(&copy, &path, fault);
                let found = outcome(&copy, format, &format!("{} {fault}", path.display()));
                let known = &mut table.entry((name.clone(), fault)).or_default()[column];
                if !known.contains(&found) {
                    known.push(found);
                }
            }
        }
        for (below, name) in [("log", "log/"), ("snapshot", "snapshot/"), ("", "everything")] {
            let copy = whole.duplicate();
            remove_dir(&copy, &Path::new(DIR).join(below));
            let found = outcome(&copy, format, &format!("{name} removed"));
            table.entry((name.to_owned(), "missing")).or_default()[column].push(found);
        }
    }
    table
}

fn rows(table: &Table) -> Vec<String> {
    let mut names: Vec<&String> = table.keys().map(|(name, _)| name).collect();
    names.dedup();
    let cell = |name: &String, fault: &'static str| {
        let Some([first, second]) = table.get(&(name.clone(), fault)) else { return "".into() };
        let said = |outcomes: &[Outcome]| {
            outcomes.iter().map(Outcome::cell).collect::<Vec<_>>().join(" or ")
        };
        match first.is_empty() || said(first) == said(second) {
            true => said(second),
            false => format!("format 1: {}; later: {}", said(first), said(second)),
        }
    };
    let row = |name: &String| {
        let cells = FAULTS.map(|fault| cell(name, fault));
        format!("| {name} | {} |", cells.join(" | "))
    };
    names.into_iter().map(row).collect()
}

#[test]
fn a_start_without_a_file_goes_on_whole_or_rejoins_or_is_refused() {
    let rows = rows(&table());
    let documented = include_str!("../../../../docs/operations.md");
    let missing: Vec<&String> = rows.iter().filter(|row| !documented.contains(*row)).collect();
    assert!(
        missing.is_empty(),
        "docs/operations.md lacks rows of this table:\n{}",
        rows.join("\n")
    );
}

/// The directories of two servers of one cluster.
#[test]
fn directories_that_were_swapped_are_refused_and_left_as_they_are() {
    for (path, id) in [(DIR, 2), ("data/2", 1)] {
        let disk = SimDisk::new();
        let settings = settings();
        for server in settings.servers.values() {
            drop(recover(&settings, server, Box::new(disk.clone()), &surroundings()).unwrap());
        }
        let before = contents(&disk);
        let mut server = settings.servers[&NodeId(id)].clone();
        server.data_dir = path.into();
        let error = recover(&settings, &server, Box::new(disk.clone()), &surroundings());
        let error = error.err().expect("it is another server's");
        assert!(matches!(error, StorageError::OtherOwner { .. }), "{error}");
        assert_eq!(contents(&disk), before);
    }
}

/// The storage cannot see it: its own disk has no evidence. The peers remember (docs/adr/0024).
#[test]
fn a_directory_that_was_set_back_starts_as_it_was() {
    let disk = voter(2);
    let yesterday = disk.durable_image();
    let mut recovered = start(&disk).unwrap();
    let entry = Entry { payload: payload(2, LAST + 1), ..entry(LAST + 1, 1) };
    recovered.storage.append(&[entry]).unwrap();
    recovered.storage.sync().unwrap();
    drop(recovered);
    disk.crash(Crash::LoseUnsynced);
    disk.return_to(&yesterday);
    let whole = Outcome::Whole { has_new_id: false, is_held: true };
    assert_eq!(outcome(&disk, 2, "set back"), whole);
}

/// The name is the same, and so is the directory's format. Only the peers can tell, by the id of
/// the cluster (docs/adr/0024).
#[test]
fn a_directory_of_another_cluster_of_the_same_name_is_its_own_cluster() {
    let disk = voter(2);
    let recovered = start(&disk).unwrap();
    assert_eq!(recovered.log.cluster.newest().cluster_id, None);
    drop(recovered);
    let other = SimDisk::new();
    let mut recovered = start(&other).unwrap();
    let voter = HardState { current_term: Term(1), ..HardState::default() };
    recovered.storage.save_hard_state(voter).unwrap();
    let payload = Payload::ClusterId(ClusterId(9));
    let entry = Entry { payload, ..entry(1, 1) };
    recovered.storage.append(&[entry]).unwrap();
    recovered.storage.sync().unwrap();
    drop(recovered);
    let recovered = start(&other).unwrap();
    assert_eq!(recovered.log.cluster.newest().cluster_id, Some(ClusterId(9)));
    assert!(!recovered.hard_state.is_rejoining);
}

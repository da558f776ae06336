//! The command line and real files of formats that this program reads, and of one that it does not
//! (docs/adr/0023).

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Cluster, code, coracle, serve_to_its_end};
use coracle::kv::Store;
use coracle::node::survivor::Survivor;
use coracle::storage::{
    RealDisk, SnapshotFiles, SnapshotHead, Storage, StorageError, StorageOptions, read_snapshot,
    write_snapshot,
};
use coracle::types::{
    ClusterId, ClusterState, Entry, Format, FormatInForce, FormatRange, HardState, Incarnation,
    LogIndex, LogPosition, Membership, NodeId, Payload, Term,
};
use tempfile::TempDir;

const TERM: Term = Term(1);

fn format(format: u32) -> FormatInForce {
    FormatInForce { format: Format(format), since: format!("0.{format}.0") }
}

fn members() -> Payload {
    Payload::Membership(Membership::seed([1, 2, 3].map(NodeId)))
}

/// Makes the directory of a voter with these entries.
fn make_directory(dir: &Path, payloads: Vec<Payload>) {
    let options = StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1 << 20,
        can_repair: false,
        new_incarnation: Incarnation(5),
        formats: FormatRange::OWN,
    };
    let (mut storage, _) = Storage::open(Box::new(RealDisk), dir, options).unwrap();
    storage.save_hard_state(HardState { current_term: TERM, ..HardState::default() }).unwrap();
    for (index, payload) in (1..).map(LogIndex).zip(payloads) {
        storage.append(&[Entry { index, term: TERM, stamp_ms: 0, payload }]).unwrap();
    }
    storage.sync().unwrap();
    storage.record_durable_end().unwrap();
}

fn make_backup(path: &Path, state: ClusterState) {
    let last = LogPosition { index: LogIndex(0), term: TERM };
    let head = SnapshotHead { cluster: "old".into(), last, stamp_ms: 0, state };
    let blocks = Store::new().snapshot_blocks();
    let error = |error| StorageError::Damaged {
        path: path.to_owned(),
        offset: 0,
        what: format!("{error}"),
    };
    write_snapshot(&RealDisk, path, &head, blocks.map(|block| block.map_err(error))).unwrap();
}

/// The content of every file below a directory.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

/// Checks that a command was refused in one sentence that names the program.
#[track_caller]
fn check_refused(output: &Output) {
    assert_eq!(code(output), 1, "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("has format 4") && said.contains("start version 0.4.0"), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing before the sentence");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

#[test]
fn a_directory_of_a_later_format_is_refused_by_every_command_and_left_as_it_is() {
    let cluster = Cluster::prepare_like(3, "127.0.0.1", "cluster = \"coracle\"\n");
    let (config, dir) = (cluster.config(), cluster.data_dir(1));
    make_directory(&dir, vec![members(), Payload::Format(format(4)), Payload::Noop]);
    let before = contents(&dir);
    let (status, said) = serve_to_its_end(&config, &["--id", "1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has format 4") && said.contains("start version 0.4.0"), "{said}");
    let dir = text(&dir);
    check_refused(&coracle(&["log", "dump", "--data-dir", dir]));
    check_refused(&coracle(&["log", "verify", "--data-dir", dir]));
    check_refused(&coracle(&["recover", "plan", dir]));
    assert_eq!(contents(Path::new(dir)), before);
}

#[test]
fn a_backup_of_a_later_format_is_refused_by_every_command() {
    let temporary = TempDir::new().unwrap();
    let cluster = Cluster::prepare_like(3, "127.0.0.1", "cluster = \"new\"\n");
    let (config, backup) = (cluster.config(), temporary.path().join("backup"));
    make_backup(&backup, ClusterState { format: format(4), ..ClusterState::default() });
    let before = contents(temporary.path());
    check_refused(&coracle(&["snapshot", "inspect", text(&backup)]));
    let config = text(&config);
    check_refused(&coracle(&["snapshot", "restore", text(&backup), "--all", "--config", config]));
    assert_eq!(contents(temporary.path()), before);
    assert!(cluster.ids().into_iter().all(|id| !cluster.data_dir(id).exists()), "none is made");
}

#[test]
fn inspect_shows_the_format_and_the_id_of_the_cluster_when_the_backup_names_them() {
    let temporary = TempDir::new().unwrap();
    let backup = temporary.path().join("backup");
    let inspect = |arguments: &[&str]| {
        let output = coracle(&[&["snapshot", "inspect", text(&backup)], arguments].concat());
        assert_eq!(code(&output), 0, "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    make_backup(&backup, ClusterState::default());
    assert!(!inspect(&[]).contains("\nformat ") && !inspect(&["--json"]).contains("cluster_id"));
    let cluster_id = Some(ClusterId(0xabc));
    make_backup(&backup, ClusterState { format: format(2), cluster_id, ..Default::default() });
    let id = "00000000000000000000000000000abc";
    let said = inspect(&[]);
    let end = format!("\nformat 2\nformat_since 0.2.0\ncluster_id {id}\n");
    assert!(said.starts_with("format_version 3\n") && said.ends_with(&end), "{said}");
    let said = inspect(&["--json"]);
    let end = format!("\"format\":2,\"format_since\":\"0.2.0\",\"cluster_id\":\"{id}\"}}\n");
    assert!(said.ends_with(&end), "{said}");
}

#[test]
fn a_recovered_cluster_keeps_the_format_and_has_an_id_of_its_own() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("1");
    let cluster_id = Payload::ClusterId(ClusterId(9));
    make_directory(&dir, vec![members(), Payload::Format(format(2)), cluster_id]);
    let survivor = Survivor::read(&dir).unwrap();
    let (backup, _) = survivor.new_paths();
    let restored = survivor.found("coracle", "new", Incarnation(77)).unwrap();
    let expected = ClusterState { format: format(2), ..ClusterState::default() };
    assert_eq!(restored.head.state, expected, "no members, and no id of a cluster");
    let saved = read_snapshot(&RealDisk, &backup, |_| Ok::<(), StorageError>(())).unwrap();
    assert_eq!((saved.head.state.cluster_id, saved.head.state.format), (None, format(2)));
    let incarnation = fs::read_to_string(dir.join("incarnation")).unwrap();
    assert!(incarnation.contains(&Incarnation(77).to_string()), "{incarnation}");
    let listed = SnapshotFiles::open(Box::new(RealDisk), &dir).unwrap().list().unwrap();
    assert_eq!(listed, [restored.head.last]);
}

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
    Change, ChangeKind, ClusterId, ClusterState, Entry, Format, FormatInForce, FormatRange,
    HardState, Incarnation, LogIndex, LogPosition, Member, Membership, NodeId, Payload, Term,
};
use tempfile::TempDir;

const TERM: Term = Term(1);

fn format(format: u32) -> FormatInForce {
    FormatInForce::read(Format(format), &format!("0.{format}.0"))
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
        has_majority_of_others: false,
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
    assert!(said.contains("has format 5") && said.contains("start version 0.5.0"), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing before the sentence");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

#[test]
fn a_directory_of_a_later_format_is_refused_by_every_command_and_left_as_it_is() {
    let cluster = Cluster::prepare_like(3, "127.0.0.1", "cluster = \"coracle\"\n");
    let (config, dir) = (cluster.config(), cluster.data_dir(1));
    make_directory(&dir, vec![members(), Payload::Format(format(5)), Payload::Noop]);
    let before = contents(&dir);
    let (status, said) = serve_to_its_end(&config, &["--id", "1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has format 5") && said.contains("start version 0.5.0"), "{said}");
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
    make_backup(&backup, ClusterState { format: format(5), ..ClusterState::default() });
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

/// A joint membership with addresses, as an operator sees it in the log and in a backup.
#[test]
fn members_with_addresses_are_shown_of_a_log_and_of_a_backup() {
    let temporary = TempDir::new().unwrap();
    let (dir, backup) = (temporary.path().join("1"), temporary.path().join("backup"));
    let raised = [2, 3].map(|number| Payload::Format(format(number)));
    let [second, third] = raised;
    make_directory(&dir, vec![members(), second, third, Payload::Membership(replacing())]);
    let output = coracle(&["log", "dump", "--data-dir", text(&dir)]);
    assert_eq!(code(&output), 0, "{output:?}");
    let dumped = String::from_utf8(output.stdout).unwrap();
    assert!(dumped.contains("index=1 term=1 stamp_ms=0 kind=membership bytes=12 voters=1,2,3\n"));
    let line = dumped.lines().last().unwrap();
    let addresses = "1=h1:9001/h1:9000,2=h2:9001/h2:9000,3=h3:9001/h3:9000,6=h6:9001/h6:9000,\
                     7=h7:9001/h7:9000";
    let expected = format!(
        "voters=1,2,6 outgoing=1,2,3 learners=7 addresses={addresses} last_id=7 \
         change=\"4: replace 3 by 6\" removed=5@2"
    );
    assert!(line.ends_with(&expected), "{line}");

    let membership = Some((LogIndex(4), replacing()));
    let state = ClusterState { membership, format: format(3), cluster_id: Some(ClusterId(9)) };
    make_backup(&backup, state);
    let inspect = |arguments: &[&str]| {
        let output = coracle(&[&["snapshot", "inspect", text(&backup)], arguments].concat());
        assert_eq!(code(&output), 0, "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = inspect(&[]);
    let end = format!(
        "\noutgoing 1,2,3\nlearners 7\naddresses {addresses}\nchange 4: replace 3 by 6\n\
         last_id 7\nremoved 5@2\n"
    );
    assert!(said.contains("\nmembership 1,2,6\n") && said.ends_with(&end), "{said}");
    let said = inspect(&["--json"]);
    let end = "\"change\":\"4: replace 3 by 6\",\"last_id\":7,\"removed\":\"5@2\"}\n";
    assert!(said.ends_with(end), "{said}");
}

/// 3 is being replaced by 6; 7 is a learner, and 5 was removed.
fn replacing() -> Membership {
    let member = |id: u64| {
        let address = |port: u16| format!("h{id}:{port}").parse().unwrap();
        (NodeId(id), Member { peer: address(9001), client: address(9000) })
    };
    Membership {
        voters: [1, 2, 6].map(NodeId).into(),
        outgoing: [1, 2, 3].map(NodeId).into(),
        members: [1, 2, 3, 6, 7].map(member).into(),
        change: Some(Change {
            number: LogIndex(4),
            what: ChangeKind::Replace { old: NodeId(3), new: NodeId(6) },
        }),
        last_id: NodeId(7),
        removed: [(NodeId(5), LogIndex(2))].into(),
        ..Membership::default()
    }
}

/// Makes the directory of server 1 with this membership as its last entry, and returns what the
/// command line says about it.
fn recover(membership: Membership, arguments: &[&str]) -> (i32, String) {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("1");
    let [second, third] = [2, 3].map(|number| Payload::Format(format(number)));
    make_directory(&dir, vec![members(), second, third, Payload::Membership(membership)]);
    let dir = text(&dir);
    let arguments: Vec<&str> =
        arguments.iter().map(|word| if *word == "DIR" { dir } else { word }).collect();
    let output = coracle(&arguments);
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    (code(&output), String::from_utf8(said).unwrap())
}

/// One of the three voters before the change, and one of the three after it, is no quorum. Neither
/// are all of one half.
#[test]
fn a_plan_counts_both_halves_of_a_joint_membership() {
    let (exit, plan) = recover(replacing(), &["recover", "plan", "DIR"]);
    assert_eq!(exit, 0, "{plan}");
    assert!(plan.contains("voters: 1 2 6, and before 1 2 3. Not whole: 2 3 6."), "{plan}");
    assert!(plan.contains("--lose-what-these-alone-had 2,3,6"), "{plan}");
    let alone = Membership { outgoing: [1].map(NodeId).into(), ..replacing() };
    let (_, plan) = recover(alone, &["recover", "plan", "DIR"]);
    assert!(plan.contains("Not whole: 2 6."), "it is all of one half: {plan}");
    let alone = Membership { voters: [1].map(NodeId).into(), ..replacing() };
    let alone = Membership { outgoing: [].into(), ..alone };
    let (_, plan) = recover(alone, &["recover", "plan", "DIR"]);
    assert!(
        plan.contains("nothing is lost. Start these servers."),
        "learners lack nothing: {plan}"
    );
}

#[test]
fn a_removed_server_is_no_survivor_unless_somebody_says_so() {
    let removed = Membership {
        voters: [2, 6].map(NodeId).into(),
        outgoing: [].into(),
        change: None,
        removed: [(NodeId(1), LogIndex(4)), (NodeId(3), LogIndex(4))].into(),
        members: replacing()
            .members
            .into_iter()
            .filter(|(id, _)| ![1, 3].contains(&id.0))
            .collect(),
        ..replacing()
    };
    let (_, plan) = recover(removed.clone(), &["recover", "plan", "DIR"]);
    assert!(plan.contains("removed by entry 4; whole; the longest"), "{plan}");
    assert!(plan.trim_end().ends_with("--was-removed-at 4"), "{plan}");
    let apply = ["recover", "apply", "DIR", "--new-cluster", "new"];
    let all = [&apply[..], &["--lose-what-these-alone-had", "2,6"]].concat();
    let (exit, said) = recover(removed.clone(), &all);
    assert!(exit == 1 && said.contains("entry 4 has removed from the cluster"), "{said}");
    let (_, said) = recover(removed.clone(), &[&all[..], &["--was-removed-at", "3"]].concat());
    assert!(said.contains("give --was-removed-at 4"), "{said}");
    // Nobody types the name, so it comes no further.
    let (_, said) = recover(removed, &[&all[..], &["--was-removed-at", "4"]].concat());
    assert!(said.contains("type the old cluster's name to go on"), "{said}");
}

/// The members of the old cluster, and their ids, do not matter: the new one begins with its own.
#[test]
fn a_cluster_that_is_recovered_in_the_middle_of_a_change_has_no_members_yet() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("1");
    let [second, third] = [2, 3].map(|number| Payload::Format(format(number)));
    make_directory(&dir, vec![members(), second, third, Payload::Membership(replacing())]);
    let survivor = Survivor::read(&dir).unwrap();
    assert_eq!(survivor.membership(), replacing());
    let restored = survivor.found("coracle", "new", Incarnation(77)).unwrap();
    let expected = ClusterState { format: format(3), ..ClusterState::default() };
    assert_eq!(restored.head.state, expected);
}

//! Backups of clusters of real processes, saved under load, inspected and restored
//! (docs/adr/0011).

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use common::clients::{block_on, connect, patient};
use common::{Cluster, code, serve_to_its_end};
use coracle::actors::snapshot::load::LoadError;
use coracle::client::Client;
use coracle::kv::{Answer, Query, Store, StoreLoader};
use coracle::storage::{RealDisk, SnapshotFile, read_snapshot};
use tempfile::TempDir;

const RAFT: &str = "[raft]\nelection_timeout_ms = [300, 600]\n";
/// Snapshots are taken often, so that a newer one is taken while one is being fetched.
const SNAPSHOTS: &str = "[snapshot]\nentries_max = 200\n";

#[test]
fn a_backup_under_load_becomes_a_new_cluster_that_is_equal_to_the_cut() {
    let old = start("old", SNAPSHOTS);
    let leader = old.wait_for_leader();
    let mut client = old.connect(leader).unwrap();
    let once = client.ask("once tester 7 set counter 0 1\r\n1\r\n").unwrap();
    assert!(once.starts_with("OK "), "{once}");
    assert!(client.ask("set mortal 5000 1\r\nm\r\n").unwrap().starts_with("OK "));
    let large = "v".repeat(20_000);
    for number in 0..100 {
        let set = format!("set large{number:03} 0 20000\r\n{large}\r\n");
        assert!(client.ask(&set).unwrap().starts_with("OK "));
    }
    let writers: Vec<Writer> =
        (0..3).map(|number| Writer::start(number, old.addresses())).collect();
    for writer in &writers {
        old.wait_for("writes", || (writer.acknowledged().len() >= 100).then_some(()));
    }

    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup");
    let before: Vec<_> = writers.iter().map(Writer::acknowledged).collect();
    let saved = said(&old.coracle(&["snapshot", "save", text(&file)]), 0);
    let sent: Vec<usize> = writers.iter().map(Writer::sent).collect();
    assert!(writers.into_iter().map(Writer::stop).all(|after| after > 0));

    let (snapshot, store) = load(&file);
    assert!(saved.contains(&format!("digest={:032x} ", snapshot.digest)), "{saved}");
    let cut = scan(&store);
    for (writer, (before, sent)) in before.iter().zip(sent).enumerate() {
        assert_is_a_cut(&cut, writer, before, sent);
    }

    let mut new = Cluster::prepare_like(3, "127.0.0.1", &settings("new", SNAPSHOTS));
    let restored = said(&new.coracle(&["snapshot", "restore", text(&file), "--all"]), 0);
    let origins: Vec<&str> = restored.lines().filter_map(|l| l.split("origin=").nth(1)).collect();
    assert!(origins.len() == 3 && origins.iter().all(|o| *o == origins[0]), "{restored}");
    for id in new.ids() {
        new.start_server(id);
    }
    let leader = new.wait_for_leader();
    assert_eq!(scan_all(&new), cut);
    let mut client = new.connect(leader).unwrap();
    let retried = client.ask("once tester 7 set counter 0 1\r\n2\r\n").unwrap();
    assert_eq!(retried, once, "remembered over the restore");
    assert_eq!(client.ask("get counter\r\n").unwrap(), "VALUE 1\r\n1\r\n");
    let mortal = client.ask("getm mortal\r\n").unwrap();
    let left: u64 = mortal.split(' ').nth(2).unwrap().parse().unwrap();
    assert!((1..=5000).contains(&left), "{mortal}");
    let next = client.ask("set next 0 1\r\nn\r\n").unwrap();
    let version: u64 = next.trim_end().strip_prefix("OK ").unwrap().parse().unwrap();
    assert!(version > store.status().revision, "revisions only rise");
    assert!(cut.values().all(|(old, _)| *old < version), "and versions are revisions");
    assert_goes_on(&mut new, leader);
}

/// All keys that a writer added before the backup are in the cut, and no key without all
/// those that the writer added earlier.
fn assert_is_a_cut(cut: &Content, writer: usize, before: &[(String, u64)], sent: usize) {
    for (key, version) in before {
        let found = cut.get(key).map(|(version, _)| *version);
        assert_eq!(found, Some(*version), "{key} was acknowledged before");
    }
    let prefix = format!("writer{writer}-");
    let there = cut.keys().filter(|key| key.starts_with(&prefix)).count();
    assert!((before.len()..=sent).contains(&there), "what was not sent is not there");
    let first: Vec<String> = (0..there).map(|number| key(writer, number)).collect();
    assert!(first.iter().all(|key| cut.contains_key(key)), "a cut has no holes");
}

/// A restored cluster goes on as any other does: it takes snapshots and elects a leader.
fn assert_goes_on(cluster: &mut Cluster, leader: u64) {
    let mut client = cluster.connect(leader).unwrap();
    for number in 0..500 {
        assert!(client.ask(&format!("set more{number} 0 1\r\nm\r\n")).unwrap().starts_with("OK "));
    }
    let expected = scan_all(cluster);
    cluster.kill(leader);
    cluster.wait_for_leader();
    cluster.start_server(leader);
    cluster.wait_for_leader();
    assert_eq!(scan_all(cluster), expected);
    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 3);
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
}

/// Clients may have seen revisions that the lost cluster made after the backup.
#[test]
fn a_restored_cluster_can_begin_above_the_revisions_that_were_lost() {
    let old = start("old", "");
    old.wait_for_leader();
    old.wait_for_highest_format();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup");
    assert_eq!(code(&old.coracle(&["set", "key", "value"])), 0);
    said(&old.coracle(&["snapshot", "save", text(&file)]), 0);
    let revision = load(&file).1.revision();
    let mut new = Cluster::prepare_like(3, "127.0.0.1", &settings("new", ""));
    let restore = ["snapshot", "restore", text(&file), "--all", "--bump-revision", "1000"];
    let restored = said(&new.coracle(&restore), 0);
    let origins: Vec<&str> = restored.lines().filter_map(|l| l.split("origin=").nth(1)).collect();
    assert!(origins.len() == 3 && origins.iter().all(|o| *o == origins[0]), "{restored}");
    for id in new.ids() {
        new.start_server(id);
    }
    let leader = new.wait_for_leader();
    let mut client = new.connect(leader).unwrap();
    assert_eq!(client.ask("get key\r\n").unwrap(), "VALUE 5\r\nvalue\r\n");
    let compacted = format!("ERR_COMPACTED {}\r\n", revision + 1000);
    assert_eq!(client.ask(&format!("get key at {}\r\n", revision + 1)).unwrap(), compacted);
    assert_eq!(client.ask("set key 0 1\r\nv\r\n").unwrap(), format!("OK {}\r\n", revision + 1001));
    let at = format!("get key at {}\r\n", revision + 1000);
    assert_eq!(client.ask(&at).unwrap(), "VALUE 5\r\nvalue\r\n");
}

#[test]
fn nobody_joins_a_restored_cluster_by_mistake() {
    let mut old = start("old", "");
    old.wait_for_leader();
    let directory = TempDir::new().unwrap();
    let files = ["first", "second"].map(|name| directory.path().join(name));
    for file in &files {
        assert_eq!(code(&old.coracle(&["set", "key", text(file)])), 0);
        said(&old.coracle(&["snapshot", "save", text(file)]), 0);
    }
    old.kill(3);
    let mut new = Cluster::prepare_like(3, "127.0.0.1", &settings("new", ""));
    let first = ["snapshot", "restore", text(&files[0])];
    said(&new.coracle(&[&first[..], &["--id", "1", "--id", "2"]].concat()), 0);
    new.start_server(1);
    new.start_server(2);
    new.wait_for_leader();

    // A server of the old cluster starts with the new servers.toml.
    let old_data = old.data_dir(3).parent().unwrap().to_owned();
    let arguments = ["--id", "3", "--data-dir", text(&old_data)];
    let (status, message) = serve_to_its_end(&new.config(), &arguments);
    assert_eq!(status.code(), Some(1));
    assert!(message.contains("belongs to server 3 of cluster \"old\""), "{message}");

    // A server of the old cluster starts with the addresses of the new one. It finds its own by
    // those in its log, and refuses the new one.
    let config = fs::read_to_string(new.config()).unwrap();
    let mistaken = config.replace(
        "cluster = \"new\"",
        &format!("cluster = \"old\"\ndata_dir = \"{}\"", old_data.display()),
    );
    fs::write(new.config(), mistaken).unwrap();
    new.start_server(3);
    let refused = "this server is of cluster \"old\" and the dialling one of cluster \"new\"";
    new.wait_for("the old server to refuse", || new.log(3).contains(refused).then_some(()));
    new.kill(3);
    fs::write(new.config(), config).unwrap();

    // A server starts that was restored from another backup.
    let second = ["snapshot", "restore", text(&files[1]), "--id", "3"];
    said(&new.coracle(&second), 0);
    new.start_server(3);
    let refused = "restore all servers from the same file";
    new.wait_for("the other backup to be refused", || new.log(3).contains(refused).then_some(()));
    new.kill(3);
    fs::remove_dir_all(new.data_dir(3)).unwrap();

    // A server that starts empty gets everything from the others.
    new.start_server(3);
    new.wait_for_leader();
    let statuses = new.wait_for_quiet();
    assert_eq!(statuses.len(), 3);
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
    let value = said(&new.coracle(&["get", "key"]), 0);
    assert_eq!(value.trim_end(), text(&files[0]), "and not what the second backup holds");
}

#[test]
fn a_backup_that_cannot_be_taken_or_restored_is_refused_in_one_sentence() {
    let cluster = start("old", "");
    cluster.wait_for_leader();
    cluster.wait_until_named();
    for (key, exptime) in [("a", "0"), ("b", "1000"), ("bb", "0")] {
        assert_eq!(code(&cluster.coracle(&["set", key, "value", "--exptime", exptime])), 0);
    }
    // The command line has released its names; a client that does not close leaves one behind.
    block_on(async { connect(&cluster).await.set("bb", 0, b"value").await.unwrap() });
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup");
    said(&cluster.coracle(&["snapshot", "save", text(&file)]), 0);
    let again = cluster.coracle(&["snapshot", "save", text(&file)]);
    assert_refused(&again, 2, "--force");
    let bytes = fs::read(&file).unwrap();
    said(&cluster.coracle(&["snapshot", "save", text(&file), "--force"]), 0);
    assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was written since");
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");

    let facts = said(&inspect(&file, &[]), 0);
    for fact in ["cluster old\n", "membership 1,2,3\n", "keys 3\n", "clients 1\n"] {
        assert!(facts.contains(fact), "{facts}");
    }
    assert!(facts.contains(&format!("bytes {}\n", bytes.len())), "{facts}");
    let revision = load(&file).1.revision();
    assert!(facts.contains(&format!("revision {revision}\ncompacted_revision 1\n")), "{facts}");
    let json = said(&inspect(&file, &["--json"]), 0);
    assert!(json.starts_with("{\"format_version\":5,\"cluster\":\"old\","), "{json}");
    let keys = said(&inspect(&file, &["--keys"]), 0);
    let names: Vec<&str> = keys.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["a", "b", "bb"]);
    assert_eq!(said(&inspect(&file, &["--keys", "bb"]), 0).lines().count(), 1);

    let same = cluster.coracle(&["snapshot", "restore", text(&file), "--all"]);
    assert_refused(&same, 1, "give the new one another name");
    let new = Cluster::prepare_like(1, "127.0.0.1", &settings("new", ""));
    let restore = ["snapshot", "restore", text(&file), "--id", "1"];
    assert_refused(&new.coracle(&["snapshot", "restore", text(&file), "--id", "9"]), 2, "9");
    assert_eq!(code(&new.coracle(&["snapshot", "restore", text(&file)])), 2, "which of them?");

    let mut damaged = bytes.clone();
    damaged[200] ^= 4;
    fs::write(&file, damaged).unwrap();
    for output in [inspect(&file, &[]), new.coracle(&restore)] {
        assert_refused(&output, 1, "is damaged at byte ");
    }
    assert!(!new.data_dir(1).exists());
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_refused(&inspect(&file, &[]), 1, "is damaged at byte ");
    fs::write(&file, bytes).unwrap();
    said(&new.coracle(&restore), 0);
    assert_refused(&new.coracle(&restore), 1, "is not empty");
    let nobody = new.coracle(&["snapshot", "save", text(&file), "--force", "--timeout-ms", "500"]);
    assert_refused(&nobody, 3, "no leader answered");
    assert!(file.exists(), "what was there stays");
}

/// A client that adds one key after the other until it is stopped.
struct Writer {
    stop: Arc<AtomicBool>,
    progress: Arc<Mutex<Progress>>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Progress {
    /// Number of keys that were sent.
    sent: usize,
    /// The keys that were acknowledged, with their versions.
    acknowledged: Vec<(String, u64)>,
}

impl Writer {
    fn start(writer: usize, servers: Vec<String>) -> Writer {
        let (stop, progress) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, told) = (Arc::clone(&stop), Arc::<Mutex<Progress>>::clone(&progress));
        let write = async move || {
            let mut client = Client::connect(servers, patient()).await.unwrap();
            for number in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                told.lock().unwrap().sent += 1;
                let key = key(writer, number);
                let version = client.add(&key, 0, key.as_bytes()).await.unwrap();
                told.lock().unwrap().acknowledged.push((key, version));
            }
        };
        let thread = std::thread::spawn(move || block_on(write()));
        Writer { stop, progress, thread }
    }

    fn sent(&self) -> usize {
        self.progress.lock().unwrap().sent
    }

    fn acknowledged(&self) -> Vec<(String, u64)> {
        self.progress.lock().unwrap().acknowledged.clone()
    }

    /// Stops the client; returns the number of keys that were acknowledged.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.progress.lock().unwrap().acknowledged.len()
    }
}

fn key(writer: usize, number: usize) -> String {
    format!("writer{writer}-{number:06}")
}

fn settings(cluster: &str, tables: &str) -> String {
    format!("cluster = \"{cluster}\"\n{tables}{RAFT}")
}

/// Starts three servers.
fn start(name: &str, tables: &str) -> Cluster {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &settings(name, tables));
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    cluster
}

fn load(path: &Path) -> (SnapshotFile, Store) {
    let mut loader = StoreLoader::new();
    let file = read_snapshot(&RealDisk, path, |block| loader.load(block).map_err(LoadError::from));
    (file.unwrap(), loader.finish().unwrap())
}

type Content = BTreeMap<String, (u64, Vec<u8>)>;

fn scan(store: &Store) -> Content {
    let (prefix, mut after, mut found) = (Bytes::new(), None, BTreeMap::new());
    loop {
        let query = Query::Scan { prefix: prefix.clone(), limit: 10_000, after, at: 0 };
        let Ok(Answer::Scan { items, more }) = store.query(&query, 0) else { panic!("not a scan") };
        after = items.last().map(|(key, _)| key.clone());
        found.extend(items.into_iter().map(|(key, item)| {
            (String::from_utf8(key.to_vec()).unwrap(), (item.version, item.value.to_vec()))
        }));
        if !more {
            return found;
        }
    }
}

fn scan_all(cluster: &Cluster) -> Content {
    block_on(async {
        let mut client = connect(cluster).await;
        let (mut after, mut found): (Option<Vec<u8>>, Content) = (None, BTreeMap::new());
        loop {
            let page = client.scan("", 1_000, after.as_deref()).await.unwrap();
            after = page.items.last().map(|item| item.key.clone());
            found.extend(
                page.items
                    .into_iter()
                    .map(|item| (String::from_utf8(item.key).unwrap(), (item.version, item.value))),
            );
            if !page.more {
                return found;
            }
        }
    })
}

/// Runs `coracle snapshot inspect`, which needs no servers.
fn inspect(file: &Path, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coracle"));
    command.args(["snapshot", "inspect"]).arg(file).args(arguments).output().unwrap()
}

/// Returns the text on standard output. Nothing is on standard error, for progress bars are
/// shown on terminals only.
#[track_caller]
fn said(output: &Output, expected: i32) -> String {
    assert_eq!(code(output), expected, "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The command was refused in one sentence that contains `part`.
#[track_caller]
fn assert_refused(output: &Output, expected: i32, part: &str) {
    assert_eq!(code(output), expected, "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("coracle: ") && said.lines().count() == 1, "{said}");
    assert!(said.contains(part), "{said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

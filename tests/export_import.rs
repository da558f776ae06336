//! Keys of clusters of real processes as lines of JSON, exported and imported (docs/adr/0033).

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::clients::{block_on, connect, patient};
use common::{Cluster, code};
use coracle::client::{Client, Error, Transaction, WatchSpec};

/// Several batches of an import, and several pages of an export.
const KEYS: usize = 5_000;

fn start(servers: usize, tables: &str) -> Cluster {
    let settings = format!("{tables}\n[raft]\nelection_timeout_ms = [300, 600]\n");
    let mut cluster = Cluster::prepare_like(servers, "127.0.0.1", &settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    cluster.wait_until_named();
    cluster
}

/// The lines of a file of so many keys, each with its line end.
fn lines(keys: usize) -> Vec<String> {
    let first =
        "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":1,\"prefix\":\"\"}";
    let key = |number| format!("{{\"key\":\"key{number:06}\",\"value\":\"value {number}\"}}\n");
    let mut lines = vec![format!("{first}\n")];
    lines.extend((0..keys).map(key));
    lines.push(format!("{{\"end\":true,\"keys\":{keys}}}\n"));
    lines
}

/// Writes a file for the cluster.
fn file(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.config().with_file_name(name);
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn printed(output: &Output, exit_code: i32) -> String {
    assert_eq!(code(output), exit_code, "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one sentence with which a command has failed.
#[track_caller]
fn said(output: &Output, exit_code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(code(output), exit_code, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn import(cluster: &Cluster, path: &Path, more: &[&str]) -> Output {
    let arguments = [&["import", path.to_str().unwrap()], more].concat();
    cluster.coracle(&arguments)
}

/// The numbers in the summary of an import: written, unchanged.
#[track_caller]
fn counts(output: &Output) -> (usize, usize) {
    let summary = printed(output, 0);
    let number = |name: &str| {
        let word = summary.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{summary}"))
    };
    (number("written="), number("unchanged="))
}

/// The lines of an export without their versions, and without the first and the last.
fn exported(cluster: &Cluster) -> Vec<String> {
    let text = printed(&cluster.coracle(&["export"]), 0);
    let mut lines: Vec<String> = text.lines().map(without_version).collect();
    assert!(lines.remove(0).starts_with("{\"format\":\"coracle-export\""), "{text}");
    let last = lines.pop().expect("there is a last line");
    assert_eq!(last, format!("{{\"end\":true,\"keys\":{}}}", lines.len()));
    lines
}

fn without_version(line: &str) -> String {
    let Some((before, after)) = line.split_once(",\"version\":") else { return line.to_owned() };
    format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

/// Number of times that each key was set since the store was empty.
fn times_set(cluster: &Cluster) -> BTreeMap<Vec<u8>, usize> {
    block_on(async {
        let mut client = connect(cluster).await;
        let last = client.revision().await.unwrap();
        let spec = WatchSpec::prefix("").unwrap().from(2).with_progress();
        let mut watch = client.watch(spec).await.unwrap();
        let mut times = BTreeMap::new();
        while let Some(told) = watch.next().await {
            let told = told.unwrap();
            for change in told.changes.into_iter().filter(|_| told.revision <= last) {
                *times.entry(change.key).or_default() += 1;
            }
            if told.revision >= last {
                break;
            }
        }
        times
    })
}

/// An import that reads what a test writes to it.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
}

impl Running {
    fn start(cluster: &Cluster) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coracle"));
        command.arg("import").arg("--config").arg(cluster.config());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary can be started");
        let input = process.stdin.take();
        Running { process, input }
    }

    fn write(&mut self, lines: &[String]) {
        let input = self.input.as_mut().expect("it is open until the end");
        input.write_all(lines.concat().as_bytes()).expect("it reads its input");
    }

    fn kill(mut self) {
        self.process.kill().expect("our child can be killed");
        self.process.wait().expect("our child can be waited for");
    }

    fn end(mut self) -> Output {
        self.input = None;
        self.process.wait_with_output().expect("our child can be waited for")
    }
}

/// The number of keys of a server.
fn keys(cluster: &Cluster, id: u64) -> usize {
    cluster.status(id).map_or(0, |status| status["keys"].parse().expect("it is a number"))
}

#[test]
fn keys_of_all_kinds_come_into_another_cluster_as_they_were() {
    let old = start(3, "");
    let many = file(&old, "many", &lines(KEYS).concat());
    assert_eq!(counts(&import(&old, &many, &[])), (KEYS, 0));
    let all_bytes: Vec<u8> = (0..=255).collect();
    block_on(async {
        let mut client = connect(&old).await;
        client.set(b"\xff\xfe", 0, &all_bytes).await.unwrap();
        client.set("a\"\\{}", 0, b"two\nlines").await.unwrap();
        client.set("caf\u{e9}", 0, b"").await.unwrap();
        client.set("mortal", 5_000, b"m").await.unwrap();
        client.set("user/1", 0, &[b'u'; 300_000]).await.unwrap();
        client.close().await.unwrap();
    });
    let path = old.config().with_file_name("export");
    let export = ["export", "--output", path.to_str().unwrap()];
    let summary = printed(&old.coracle(&export), 0);
    assert!(summary.contains(&format!(" keys={} ", KEYS + 5)), "{summary}");
    assert!(said(&old.coracle(&export), 2).contains("--force replaces it"));
    let user = printed(&old.coracle(&["export", "user/"]), 0);
    assert!(user.lines().next().unwrap().ends_with(",\"prefix\":\"user/\"}"), "{user}");
    assert_eq!(user.lines().count(), 3);

    // This one takes small transactions only.
    let new = start(1, "[limits]\ntransaction_ops_max = 5\n");
    assert_eq!(counts(&import(&new, &path, &[])), (KEYS + 5, 0));
    let is_mortal = |line: &&String| line.contains("mortal");
    let (before, after) = (exported(&old), exported(&new));
    let immortal = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !is_mortal(line)).cloned().collect()
    };
    assert!(immortal(&before) == immortal(&after), "the stores differ");
    let mortal = after.iter().find(is_mortal).expect("it has not expired");
    let (_, left) = mortal.split_once("\"expires_in_s\":").expect("it still expires");
    assert!((1..=5_000).contains(&left.trim_end_matches('}').parse().unwrap()), "{mortal}");
    assert_eq!(counts(&import(&new, &path, &[])), (0, KEYS + 5), "it is there");
    assert_eq!(
        printed(&import(&new, &path, &["--json"]), 0).split(",\"seconds\"").next().unwrap(),
        format!("{{\"keys\":{0},\"written\":0,\"unchanged\":{0}", KEYS + 5)
    );
}

#[test]
fn an_import_again_changes_nothing_but_what_others_have_changed() {
    let cluster = start(1, "");
    let path = file(&cluster, "many", &lines(KEYS).concat());
    assert_eq!(counts(&import(&cluster, &path, &[])), (KEYS, 0));
    let revision = |cluster: &Cluster| cluster.status(1).unwrap()["revision"].clone();
    let before = revision(&cluster);
    assert_eq!(counts(&import(&cluster, &path, &[])), (0, KEYS));
    assert_eq!(revision(&cluster), before, "no watcher hears of it");

    let change = |key: &str| printed(&cluster.coracle(&["set", key, "other"]), 0);
    let value = |key: &str| printed(&cluster.coracle(&["get", key]), 0);
    change("key000007");
    change("unknown");
    printed(&cluster.coracle(&["delete", "key000300"]), 0);
    assert_eq!(counts(&import(&cluster, &path, &["--only-missing"])), (1, KEYS - 1));
    assert_eq!(value("key000007"), "other");
    assert_eq!(value("key000300"), "value 300");
    // The store has no key with this prefix, so nothing is compared until a write is refused.
    let first = lines(0)[0].replace("\"prefix\":\"\"", "\"prefix\":\"none/\"");
    let line = |key: &str| format!("{{\"key\":\"{key}\",\"value\":\"x\"}}\n");
    let one = [&first, &line("key000007"), "{\"end\":true,\"keys\":1}\n"].concat();
    let one = file(&cluster, "one", &one);
    assert_eq!(counts(&import(&cluster, &one, &["--only-missing"])), (0, 1));
    let two = [&first, &line("key000007"), &line("new"), "{\"end\":true,\"keys\":2}\n"].concat();
    let two = file(&cluster, "two", &two);
    assert_eq!(counts(&import(&cluster, &two, &["--only-missing"])), (1, 1));
    assert_eq!(value("key000007"), "other");
    assert_eq!(counts(&import(&cluster, &path, &[])), (1, KEYS - 1));
    assert_eq!(value("key000007"), "value 7");
    assert_eq!(value("unknown"), "other", "an import removes nothing");
}

#[test]
fn nothing_is_written_of_a_file_that_was_cut_or_has_a_bad_line() {
    let cluster = start(1, "[limits]\nvalue_bytes_max = 1000\n");
    let good = lines(KEYS);
    let cut = file(&cluster, "cut", &good[..KEYS].concat());
    let refused = said(&import(&cluster, &cut, &[]), 1);
    assert!(refused.contains("/cut: it ends after line 5000 without the last line"), "{refused}");
    let mut bad = good.clone();
    bad[4_000] = "{\"key\":\"key003999\",\"value\":}\n".into();
    let bad = file(&cluster, "bad", &bad.concat());
    let refused = said(&import(&cluster, &bad, &[]), 1);
    assert!(refused.contains("/bad: line 4001, column 28: expected value"), "{refused}");
    assert_eq!(keys(&cluster, 1), 0);

    // Standard input cannot be read twice.
    let output = cluster.coracle_with_input(&["import"], good[..KEYS].concat().as_bytes());
    let refused = said(&output, 1);
    assert!(refused.contains("standard input: it ends after line 5000"), "{refused}");
    assert!(refused.contains(&format!("; {} keys were written", KEYS - 1)), "{refused}");
    assert_eq!(keys(&cluster, 1), KEYS - 1);
    let output = cluster.coracle_with_input(&["import", "-"], good.concat().as_bytes());
    assert_eq!(counts(&output), (1, KEYS - 1), "the same import goes on");

    let large = format!("{{\"key\":\"large\",\"value\":\"{}\"}}\n", "x".repeat(1001));
    let large = [&good[0], &large[..], "{\"end\":true,\"keys\":1}\n"].concat();
    let refused = said(&import(&cluster, &file(&cluster, "large", &large), &[]), 2);
    assert!(refused.contains("line 2: the server refused the command: ERR_TOO_LARGE"), "{refused}");
}

#[test]
fn an_import_that_was_killed_is_repeated_and_writes_every_key_once() {
    let cluster = start(3, "");
    let leader = cluster.wait_for_leader();
    let lines = lines(KEYS);
    for part in [1_000, 3_000] {
        let before = keys(&cluster, leader);
        let mut running = Running::start(&cluster);
        running.write(&lines[..part]);
        cluster.wait_for("new keys", || (keys(&cluster, leader) > before).then_some(()));
        running.kill();
        cluster.wait_for_quiet();
        assert!(keys(&cluster, leader) < KEYS);
    }
    let (written, unchanged) =
        counts(&import(&cluster, &file(&cluster, "all", &lines.concat()), &[]));
    assert!(written > 0 && unchanged > 0 && written + unchanged == KEYS, "{written} {unchanged}");
    let times = times_set(&cluster);
    assert_eq!(times.len(), KEYS);
    assert!(times.values().all(|times| *times == 1), "a key was written twice");
}

#[test]
fn an_import_goes_on_when_the_leader_is_killed() {
    let mut cluster = start(3, "");
    let leader = cluster.wait_for_leader();
    let lines = lines(KEYS);
    let mut running = Running::start(&cluster);
    running.write(&lines[..2_000]);
    cluster.wait_for("keys", || (keys(&cluster, leader) > 0).then_some(()));
    cluster.kill(leader);
    running.write(&lines[2_000..]);
    assert_eq!(counts(&running.end()), (KEYS, 0));
    let times = times_set(&cluster);
    assert_eq!(times.len(), KEYS);
    assert!(times.values().all(|times| *times == 1), "a key was written twice");
    assert_eq!(exported(&cluster).len(), KEYS);
}

/// Each transaction writes the first and the last key, which are pages apart.
#[test]
fn an_export_is_of_one_revision_while_writes_go_on() {
    let mut cluster = start(3, "");
    let path = file(&cluster, "many", &lines(KEYS).concat());
    assert_eq!(counts(&import(&cluster, &path, &[])), (KEYS, 0));
    let addresses = cluster.addresses();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        block_on(async {
            let mut client = Client::connect(addresses, patient()).await?;
            let mut number = 0;
            while !stopped.load(Ordering::SeqCst) {
                number += 1;
                let value = format!("at {number}");
                let both = Transaction::new().set("a-first", 0, value.as_bytes());
                client.transaction(both.set("z-last", 0, value.as_bytes())).await?;
            }
            Ok::<u64, Error>(number)
        })
    });
    let value = |line: &str| line.split("\"value\":").nth(1).unwrap().to_owned();
    let (mut seen, mut is_one_dead) = (Vec::new(), false);
    while seen.len() < 4 {
        if seen.len() == 2 && !is_one_dead {
            cluster.kill(cluster.wait_for_leader());
            is_one_dead = true;
        }
        let keys = exported(&cluster);
        let (first, last) = (&keys[0], &keys[keys.len() - 1]);
        if first.contains("a-first") {
            assert_eq!(value(first), value(last), "the keys are of one revision");
            assert_eq!(keys.len(), KEYS + 2);
            if seen.last() != Some(&value(first)) {
                seen.push(value(first));
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    assert!(writer.join().unwrap().unwrap() >= 4);
}

/// Starts an export that is held up within its first page, because nobody reads more than the first
/// byte of it.
fn start_held_up(cluster: &Cluster) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coracle"));
    command.arg("export").arg("--config").arg(cluster.config());
    let mut export = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    export.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    export
}

#[test]
fn an_export_goes_on_at_its_revision_when_the_leader_is_killed() {
    let mut cluster = start(3, "");
    let path = file(&cluster, "many", &lines(KEYS).concat());
    assert_eq!(counts(&import(&cluster, &path, &[])), (KEYS, 0));
    let export = start_held_up(&cluster);
    cluster.kill(cluster.wait_for_leader());
    cluster.wait_for_leader();
    printed(&cluster.coracle(&["delete", "key004999"]), 0);
    printed(&cluster.coracle(&["set", "key004998", "later"]), 0);
    let text = printed(&export.wait_with_output().unwrap(), 0);
    let exported: Vec<String> = text.lines().skip(1).map(without_version).collect();
    let expected: Vec<String> = lines(KEYS).iter().skip(1).map(|it| it.trim().into()).collect();
    assert!(exported == expected, "the export differs");
}

/// The export is held up by its reader while more is written than the history keeps.
#[test]
fn an_export_whose_revision_is_compacted_says_what_to_do() {
    let cluster = start(1, "[history]\nkeep_revisions = 10\n");
    let path = file(&cluster, "many", &lines(KEYS).concat());
    assert_eq!(counts(&import(&cluster, &path, &[])), (KEYS, 0));
    let export = start_held_up(&cluster);
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..100_u32 {
            client.set("more", 0, &number.to_le_bytes()).await.unwrap();
        }
        client.close().await.unwrap();
    });
    let output = export.wait_with_output().unwrap();
    let refused = said(&output, 1);
    assert!(refused.contains("was compacted while it was exported"), "{refused}");
    assert!(refused.contains("`coracle snapshot save FILE`"), "{refused}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("\"end\""), "it is told from a whole one");
}

//! Real processes that lose snapshots or a majority of their data, and what brings them back
//! (docs/adr/0019).

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::clients::{Writer, block_on, connect, scan_all};
use common::{Cluster, code};

const RAFT: &str = "[raft]\nelection_timeout_ms = [300, 600]\n";

fn prepare(cluster: &str) -> Cluster {
    Cluster::prepare_like(3, "127.0.0.1", &format!("cluster = \"{cluster}\"\n{RAFT}"))
}

fn start(cluster: &mut Cluster) {
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    cluster.wait_for_leader();
}

fn write(cluster: &Cluster, prefix: &str, count: u64) {
    block_on(async {
        let mut client = connect(cluster).await;
        for number in 0..count {
            client.set(format!("{prefix}{number}"), 0, b"value").await.unwrap();
        }
    });
}

fn keys(cluster: &Cluster, prefix: &str) -> usize {
    scan_all(cluster).iter().filter(|item| item.key.starts_with(prefix.as_bytes())).count()
}

/// Runs the command line without a servers.toml.
fn coracle(arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut process = Command::new(env!("CARGO_BIN_EXE_coracle"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // A command that refuses closes its input.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    process.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert_eq!(code(output), 0, "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, part: &str) {
    assert_ne!(code(output), 0, "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(part), "{said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Does what the output of `recover apply` says comes next, on the new cluster's machines.
fn do_what_is_next(out: &str, new: &mut Cluster, survivor: u64, recovered: &Path) {
    fs::create_dir_all(new.data_dir(survivor).parent().unwrap()).unwrap();
    fs::rename(recovered, new.data_dir(survivor)).unwrap();
    let mut commands = 0;
    for line in out.lines().filter_map(|line| line.strip_prefix("  coracle ")) {
        let words: Vec<&str> = line.split(' ').collect();
        commands += 1;
        if words[0] != "serve" {
            assert_eq!(code(&new.coracle(&words)), 0, "{line}");
        }
    }
    assert_eq!(commands, 3, "two servers to restore, one to start: {out}");
    start(new);
}

#[test]
fn a_cluster_begins_anew_with_the_one_disk_of_three_that_is_left() {
    let mut old = prepare("old");
    start(&mut old);
    write(&old, "kept", 200);
    let running = text(&old.data_dir(1)).to_owned();
    assert_refused(&coracle(&["recover", "plan", &running], ""), "is locked by another process");
    old.ids().into_iter().for_each(|id| old.kill(id));
    let dirs: Vec<PathBuf> = (1..=3).map(|id| old.data_dir(id)).collect();
    let [one, two, three] = [0, 1, 2].map(|place| text(&dirs[place]));
    let all = said(&coracle(&["recover", "plan", one, two, three], ""));
    assert!(all.contains("nothing is lost. Start these servers."), "{all}");

    for id in [2, 3] {
        fs::remove_dir_all(old.data_dir(id)).unwrap();
    }
    let before = listing(&dirs[0]);
    let plan = said(&coracle(&["recover", "plan", one], ""));
    assert_eq!(listing(&dirs[0]), before, "it only reads");
    assert!(plan.contains("whole; the longest") && plan.contains("Not whole: 2 3."), "{plan}");
    let next = plan.lines().find_map(|line| line.strip_prefix("next: coracle ")).unwrap();
    let next = next.replace("NAME", "new");
    let apply: Vec<&str> = next.split(' ').collect();
    assert_refused(&coracle(&apply, "other\n"), "the cluster is called \"old\"");
    let careless = ["recover", "apply", one, "--new-cluster", "new"];
    assert_refused(&coracle(&careless, "old\n"), "what servers 2 3 alone had would be given up");
    let same: Vec<&str> = apply.iter().map(|w| if *w == "new" { "old" } else { w }).collect();
    assert_refused(&coracle(&same, "old\n"), "give the new one another name");
    assert_eq!(listing(&dirs[0]), before, "nothing was changed");
    let backup = format!("{one}.recovered");
    assert!(!Path::new(&backup).exists());
    fs::write(&backup, "something").unwrap();
    assert_refused(&coracle(&apply, "old\n"), "is there already, from an earlier attempt");
    fs::remove_file(backup).unwrap();
    let out = said(&coracle(&apply, "old\n"));
    assert_eq!(listing(Path::new(&format!("{one}.before"))), before, "the old directory is kept");

    let mut new = prepare("new");
    do_what_is_next(&out, &mut new, 1, &dirs[0]);
    assert_eq!(keys(&new, "kept"), 200);
    write(&new, "more", 10);
    let statuses = new.wait_for_quiet();
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
}

/// Servers 1 and 2 have lost the same entries, the last ones, which server 3 never had.
#[test]
fn a_cluster_begins_anew_when_a_majority_has_lost_the_same_entries() {
    let mut old = prepare("old");
    start(&mut old);
    write(&old, "kept", 50);
    old.wait_for_quiet();
    old.kill(3);
    old.wait_for_leader();
    write(&old, "lost", 50);
    old.ids().into_iter().filter(|id| *id != 3).for_each(|id| old.kill(id));
    let first_lost = said(&coracle(&["log", "dump", "--data-dir", text(&old.data_dir(1))], ""));
    assert!(first_lost.contains("lost49"), "{first_lost}");
    for id in [1, 2] {
        let path = old.data_dir(id).join("log/00000001.segment");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(5).position(|window| window == b"lost0").unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[at..=end].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(&path, bytes).unwrap();
    }
    let dirs: Vec<PathBuf> = (1..=3).map(|id| old.data_dir(id)).collect();
    let [one, two, three] = [0, 1, 2].map(|place| text(&dirs[place]));
    let plan = said(&coracle(&["recover", "plan", one, two, three], ""));
    assert!(plan.contains("damaged: ") && plan.contains("Not whole: 1 2."), "{plan}");
    let lose = ["--new-cluster", "new", "--lose-what-these-alone-had", "1,2"];
    let damaged = [&["recover", "apply", one, "--with", three][..], &lose].concat();
    assert_refused(&coracle(&damaged, "old\n"), "take another survivor");
    let next = plan.lines().find_map(|line| line.strip_prefix("next: coracle ")).unwrap();
    let next = next.replace("NAME", "new");
    let out = said(&coracle(&next.split(' ').collect::<Vec<_>>(), "old\n"));
    let mut new = prepare("new");
    do_what_is_next(&out, &mut new, 3, &dirs[2]);
    assert_eq!((keys(&new, "kept"), keys(&new, "lost")), (50, 0));
}

#[test]
fn the_shorter_log_of_two_survivors_is_refused() {
    let mut old = Cluster::prepare_like(5, "127.0.0.1", &format!("cluster = \"old\"\n{RAFT}"));
    start(&mut old);
    write(&old, "kept", 20);
    old.wait_for_quiet();
    old.kill(5);
    old.wait_for_leader();
    write(&old, "more", 20);
    old.ids().into_iter().filter(|id| *id != 5).for_each(|id| old.kill(id));
    let [one, five] = [1, 5].map(|id| text(&old.data_dir(id)).to_owned());
    let lose = ["--new-cluster", "new", "--lose-what-these-alone-had", "2,3,4"];
    let shorter = [&["recover", "apply", &five, "--with", &one][..], &lose].concat();
    assert_refused(&coracle(&shorter, "old\n"), "give --not-the-longest");
    let anyway = [&shorter[..], &["--not-the-longest"]].concat();
    said(&coracle(&anyway, "old\n"));
}

/// Both snapshots of two followers of five are damaged, and their logs begin after them.
#[test]
fn two_followers_of_five_that_lose_both_snapshots_under_load_come_back_by_themselves() {
    let tables = "[snapshot]\nentries_max = 200\n[log]\nkeep_entries = 10\n\
                  segment_bytes = 70000\n[limits]\nvalue_bytes_max = 1024\n";
    let mut cluster = Cluster::prepare_with(tables);
    start(&mut cluster);
    let writer = Writer::start(cluster.addresses());
    let has_compacted = |cluster: &Cluster, id: u64| {
        let log = cluster.data_dir(id).join("log");
        snapshots(cluster, id).len() == 2 && !log.join("00000001.segment").exists()
    };
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..600 {
            client.set(format!("large{number}"), 0, &[b'x'; 1000]).await.unwrap();
        }
    });
    cluster.wait_for("compacted logs", || {
        cluster.ids().iter().all(|id| has_compacted(&cluster, *id)).then_some(())
    });
    let leader = cluster.wait_for_leader();
    let followers: Vec<u64> =
        cluster.ids().into_iter().filter(|id| *id != leader).take(2).collect();
    for id in &followers {
        cluster.kill(*id);
        for path in snapshots(&cluster, *id) {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    for id in &followers {
        cluster.start_server(*id);
    }
    for id in &followers {
        cluster.wait_for("the server to be counted again", || {
            cluster.status(*id).filter(|status| status["role"] == "follower")
        });
        let log = cluster.log(*id);
        let told = log.lines().filter(|line| line.contains("begins anew with nothing")).count();
        assert_eq!(told, 1, "{log}");
    }
    writer.wait_for_more(&cluster, 50);
    let acknowledged = writer.stop();
    let found = scan_all(&cluster);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        assert_eq!(item.map(|item| item.version), Some(*version), "{key}");
    }
    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 5);
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
}

fn snapshots(cluster: &Cluster, id: u64) -> Vec<PathBuf> {
    let Ok(names) = fs::read_dir(cluster.data_dir(id).join("snapshot")) else { return Vec::new() };
    let paths = names.map(|name| name.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "snapshot")).collect()
}

/// The names and contents of all files below a directory.
fn listing(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(dir).unwrap().to_owned();
        match path.is_dir() {
            true => {
                let below = listing(&path).into_iter();
                files.extend(below.map(|(path, bytes)| (name.join(path), bytes)));
            }
            false => files.push((name, fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

//! Members through restarts: the record in the log, files that are old, gone or another's, and
//! addresses that have all changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coracle::testing::drill::free_ports;

use crate::common::clients::{block_on, connect, scan_all};
use crate::common::members::BRISK;
use crate::common::{Cluster, code};

fn kill_all(cluster: &mut Cluster) {
    cluster.running().into_iter().for_each(|id| cluster.kill(id));
}

fn start_all(cluster: &mut Cluster) {
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
}

fn write(cluster: &Cluster, key: &str) {
    block_on(async { connect(cluster).await.set(key, 0, b"value").await.unwrap() });
}

/// Row A7: everything stops in the moment of a removal.
#[test]
fn after_a_removal_and_a_power_cut_all_servers_know_the_same_members() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    write(&cluster, "before");
    let leader = cluster.wait_for_leader();
    let leaver = leader % 5 + 1;
    let mut connection = cluster.connect(leader).unwrap();
    connection.send(&format!("member remove {leaver}\r\n")).unwrap();
    kill_all(&mut cluster);
    start_all(&mut cluster);
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leaver).collect();
    let list = cluster.wait_for_equal_lists(&others);
    if list.members.contains_key(&leaver) {
        assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).voters(), cluster.ids());
    } else {
        assert_eq!(list.voters(), others);
        cluster.wait_for_role(leaver, "removed");
    }
    write(&cluster, "after");
    assert_eq!(scan_all(&cluster).len(), 2);
    cluster.assert_equal_stores(&others);
}

/// Row A10: servers.toml is the seed of the first start, and of no other.
#[test]
fn an_old_servers_toml_changes_no_members_and_the_difference_is_said() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let added = cluster.add_server();
    cluster.change("member remove 1");
    cluster.wait_for_role(1, "removed");
    let members = [2, 3, added];
    let before = cluster.wait_for_equal_lists(&members);
    kill_all(&mut cluster);
    let logged: Vec<usize> = members.iter().map(|id| cluster.log(*id).len()).collect();
    start_all(&mut cluster);
    cluster.wait_for_leader_of(&members);
    let after = cluster.wait_for_equal_lists(&members);
    assert_eq!(after.record(), before.record());
    assert_eq!(after.voters(), members);
    cluster.wait_for_role(1, "removed");
    for (id, seen) in members.into_iter().zip(logged).filter(|(id, _)| *id != added) {
        let log = cluster.log(id);
        let lines = log[seen..].lines().filter(|line| line.contains("servers.toml"));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "server {id}: {lines:#?}");
    }
}

/// Row A15: changes of every kind, with crashes and snapshots between them.
#[test]
fn after_each_of_many_changes_and_restarts_all_servers_list_the_same() {
    let settings = "[log]\nsegment_bytes = 100000\nkeep_entries = 5\n[snapshot]\nentries_max = 20\n\
                    [limits]\nvalue_bytes_max = 10000\n";
    let mut cluster = Cluster::prepare_with(settings);
    cluster.start_members();
    let learner = cluster.add_learner();
    let dead = || {
        let ports = free_ports(2).unwrap();
        format!("127.0.0.1:{} 127.0.0.1:{}", ports[0], ports[1])
    };
    let mut expected: BTreeSet<u64> = cluster.ids().into_iter().collect();
    let mut voters: BTreeSet<u64> = expected.iter().copied().filter(|id| *id != learner).collect();
    for turn in 0..5 {
        let ghost = cluster.change(&format!("member add {} learner", dead()));
        expected.insert(ghost);
        let other = dead();
        let (log, client) = other.split_once(' ').unwrap();
        cluster.change(&format!("member update {ghost} log {log} client {client}"));
        let command = if voters.contains(&learner) { "demote" } else { "promote" };
        cluster.change(&format!("member {command} {learner}"));
        if !voters.remove(&learner) {
            voters.insert(learner);
        }
        (0..15).for_each(|n| write(&cluster, &format!("key{turn}-{n}")));
        let crashed = cluster.ids()[turn % 6];
        cluster.kill(crashed);
        cluster.start_server(crashed);
        if turn % 2 == 1 {
            cluster.change(&format!("member remove {ghost}"));
            expected.remove(&ghost);
        }
        let list = cluster.wait_for_equal_lists(&cluster.ids());
        assert_eq!(list.voters(), voters.iter().copied().collect::<Vec<u64>>(), "turn {turn}");
        let members: BTreeSet<u64> = list.members.keys().copied().collect();
        assert_eq!(members, expected, "turn {turn}");
    }
    let before = cluster.wait_for_equal_lists(&cluster.ids());
    kill_all(&mut cluster);
    start_all(&mut cluster);
    let after = cluster.wait_for_equal_lists(&cluster.ids());
    assert_eq!(after.record(), before.record());
    cluster.assert_equal_stores(&cluster.ids());
}

/// Row A21: a server from whose directory a file is gone.
#[test]
fn a_server_without_one_of_its_files_is_refused_or_a_clean_newcomer() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    write(&cluster, "key");
    let joined = cluster.add_server();
    cluster.change(&format!("member demote {joined}"));
    cluster.wait_for_role(joined, "learner");
    let record = cluster.wait_for_equal_lists(&cluster.ids()).record();
    let mut tried = 0;
    for victim in [3, joined] {
        for name in file_names(&cluster.data_dir(victim)) {
            cluster.kill(victim);
            let directory = cluster.data_dir(victim);
            let kept = directory.with_extension("kept");
            copy_tree(&directory, &kept);
            fs::remove_file(directory.join(&name)).unwrap();
            cluster.start_server(victim);
            let is_up = cluster.wait_for("an end or a place in the cluster", || {
                if cluster.has_ended(victim) {
                    return Some(false);
                }
                let status = cluster.status(victim)?;
                let is_in = matches!(status["role"].as_str(), "follower" | "leader" | "learner");
                (is_in && status["last_applied"] != "0").then_some(true)
            });
            if is_up {
                cluster.kill(victim);
            } else {
                let last = cluster.log(victim).lines().last().unwrap_or_default().to_owned();
                assert!(!last.contains("panicked"), "without {name}: {last}");
                let directory = directory.display().to_string();
                assert!(last.contains(&directory), "without {name}, it names nothing: {last}");
                cluster.forget_process(victim);
            }
            fs::remove_dir_all(&directory).unwrap();
            fs::rename(&kept, &directory).unwrap();
            cluster.start_server(victim);
            cluster.wait_for_leader();
            assert_eq!(cluster.wait_for_equal_lists(&cluster.ids()).record(), record, "{name}");
            tried += 1;
        }
    }
    assert!(tried >= 6, "only {tried} files were tried");
    cluster.assert_equal_stores(&cluster.ids());
}

/// The files of a directory and of those in it, without the lock, as paths from it.
fn file_names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(directory.join(&folder)).unwrap().flatten() {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if !entry.file_name().to_string_lossy().contains("lock") {
                names.push(path.display().to_string());
            }
        }
    }
    names.sort();
    names
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Row A22: every port and every address of a cluster has changed while it was down.
#[test]
fn a_cluster_whose_servers_have_all_moved_finds_itself_without_a_command() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    write(&cluster, "before");
    let before = cluster.wait_for_equal_lists(&cluster.ids());
    kill_all(&mut cluster);
    cluster.move_all("localhost");
    start_all(&mut cluster);
    cluster.wait_for_leader();
    write(&cluster, "after");
    assert_eq!(scan_all(&cluster).len(), 2);
    let ids = cluster.ids();
    cluster.wait_for("the new addresses in the log", || {
        let list = cluster.members(1)?;
        let has_moved = |id: &u64| {
            list.members[id].log_address.ends_with(&format!(":{}", cluster.log_port(*id)))
                && list.members[id].client_address == cluster.address(*id)
        };
        ids.iter().all(has_moved).then_some(())
    });
    let after = cluster.wait_for_equal_lists(&ids);
    assert_eq!(after.voters(), before.voters());
    assert_ne!(after.record(), before.record());
}

/// Row A24: SIGTERM stops a server, and takes nobody out.
#[test]
fn five_servers_that_were_all_terminated_are_the_same_five_members() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    let before = cluster.wait_for_equal_lists(&cluster.ids());
    cluster.ids().iter().for_each(|id| cluster.signal(*id, "TERM"));
    for id in cluster.ids() {
        assert!(cluster.wait_for_end(id).success(), "server {id}");
    }
    start_all(&mut cluster);
    cluster.wait_for_leader();
    let after = cluster.wait_for_equal_lists(&cluster.ids());
    assert_eq!((after.record(), after.removed), (before.record(), before.removed));
    write(&cluster, "key");
}

/// Row A25: the name of one server does not resolve.
#[test]
fn a_name_that_does_not_resolve_stops_no_other_server() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let text = fs::read_to_string(cluster.config()).unwrap();
    let third = text.find("id = 3").unwrap();
    let unresolved = text[third..].replace("127.0.0.1", "gone.coracle.invalid");
    cluster.kill(3);
    fs::write(cluster.config(), format!("{}{unresolved}", &text[..third])).unwrap();
    for id in [1, 2] {
        cluster.kill(id);
        cluster.start_server(id);
    }
    cluster.wait_for_leader();
    write(&cluster, "key");
    fs::write(cluster.config(), text).unwrap();
    cluster.start_server(3);
    cluster.wait_for_leader();
    cluster.assert_equal_stores(&[1, 2, 3]);
}

/// Row A27: directories of others, and directories of yesterday.
#[test]
fn a_directory_of_another_server_is_refused_and_one_of_yesterday_does_no_harm() {
    let mut cluster = Cluster::prepare_with("");
    cluster.start_members();
    write(&cluster, "early");
    let leader = cluster.wait_for_leader();
    let [one, other, old] = [1, 2, 3].map(|step| (leader + step - 1) % 5 + 1);
    cluster.kill(old);
    let yesterday = cluster.data_dir(old).with_extension("yesterday");
    copy_tree(&cluster.data_dir(old), &yesterday);
    cluster.start_server(old);
    cluster.wait_for_leader();
    (0..20).for_each(|n| write(&cluster, &format!("key{n}")));

    cluster.kill(one);
    cluster.kill(other);
    let aside = cluster.data_dir(one).with_extension("aside");
    let swap = |cluster: &Cluster| {
        fs::rename(cluster.data_dir(one), &aside).unwrap();
        fs::rename(cluster.data_dir(other), cluster.data_dir(one)).unwrap();
        fs::rename(&aside, cluster.data_dir(other)).unwrap();
    };
    swap(&cluster);
    for id in [one, other] {
        cluster.start_server(id);
        assert!(!cluster.wait_for_end(id).success(), "server {id} took another's directory");
    }
    swap(&cluster);
    cluster.start_server(one);
    cluster.start_server(other);
    cluster.wait_for_leader();

    cluster.kill(old);
    fs::remove_dir_all(cluster.data_dir(old)).unwrap();
    fs::rename(&yesterday, cluster.data_dir(old)).unwrap();
    cluster.start_server(old);
    cluster.wait_for("the server with the old directory to catch up, or to end", || {
        let caught_up = || Some(cluster.status(old)?["keys"] == "21");
        (cluster.has_ended(old) || caught_up() == Some(true)).then_some(())
    });
    if cluster.has_ended(old) {
        cluster.forget_process(old);
        fs::remove_dir_all(cluster.data_dir(old)).unwrap();
        cluster.start_server(old);
    }
    cluster.wait_for_leader();
    cluster.assert_equal_stores(&cluster.ids());
    let checked = cluster.coracle(&["check"]);
    assert_eq!(code(&checked), 0, "{}", String::from_utf8_lossy(&checked.stdout));
}

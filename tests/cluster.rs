//! Clusters of real processes whose servers are killed, stopped, damaged and filled up.

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::clients::{Counter, Writer, block_on, connect, scan_all};
use common::{Cluster, Connection, Status, code, serve_to_its_end};
use coracle::storage::{RealDisk, verify};

#[test]
fn every_server_redirects_to_the_leader_which_reads_what_was_written() {
    let cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    for id in cluster.ids() {
        let set = format!("set key{id} 0 5\r\nhel\r\n\r\n");
        let mut connection = cluster.connect(id).unwrap();
        let first = connection.ask(&set).unwrap();
        if id == leader {
            assert!(first.starts_with("OK "), "{first}");
            continue;
        }
        assert_eq!(first, format!("ERR_REDIRECT {}\r\n", cluster.address(leader)));
        let address = first.trim_end().strip_prefix("ERR_REDIRECT ").unwrap();
        let reply = Connection::open(address).unwrap().ask(&set).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
        // A follower answers no read from its own store.
        let read = connection.ask(&format!("get key{id}\r\n")).unwrap();
        assert_eq!(read, format!("ERR_REDIRECT {address}\r\n"));
    }
    let mut connection = cluster.connect(leader).unwrap();
    for id in cluster.ids() {
        let reply = connection.ask(&format!("get key{id}\r\n")).unwrap();
        assert_eq!(reply, "VALUE 5\r\nhel\r\n\r\n");
    }
}

#[test]
fn no_acknowledged_write_is_missing_after_three_killed_leaders() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    let writer = Writer::start(cluster.addresses());
    for _ in 0..3 {
        let leader = cluster.wait_for_leader();
        writer.wait_for_more(&cluster, 50);
        cluster.kill(leader);
        // These are acknowledged by the next leader.
        writer.wait_for_more(&cluster, 50);
        cluster.start_server(leader);
    }
    cluster.wait_for_leader();
    let acknowledged = writer.stop();

    let found = scan_all(&cluster);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        let item = item.unwrap_or_else(|| panic!("{key}, acknowledged at {version}, is gone"));
        assert_eq!(item.value, key.as_bytes());
        assert_eq!(item.version, *version);
    }

    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 5);
    for status in &statuses {
        assert_eq!(status["store_digest"], statuses[0]["store_digest"], "{statuses:#?}");
        assert_eq!(status["keys"], found.len().to_string());
    }
}

#[test]
fn five_killed_servers_come_back_with_every_value_at_its_version() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..100 {
            client.set(format!("key{number}"), 0, &[number; 3]).await.unwrap();
        }
        client.delete("key7").await.unwrap();
        let version = client.getm("key8").await.unwrap().version;
        client.cas("key8", 0, version, b"newer").await.unwrap();
    });
    let before = scan_all(&cluster);
    assert_eq!(before.len(), 99);

    for round in 0..2 {
        for id in cluster.ids() {
            cluster.kill(id);
        }
        for id in cluster.ids() {
            cluster.start_server(id);
        }
        cluster.wait_for_leader();
        assert_eq!(scan_all(&cluster), before, "round {round}");
    }
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|status| status["store_digest"] == statuses[0]["store_digest"]));
}

#[test]
fn a_server_that_lost_its_disk_follows_until_it_has_caught_up_with_all_others() {
    let mut cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    let forgetful = leader % 5 + 1;
    let absent = forgetful % 5 + 1;
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..20 {
            client.set(format!("key{number}"), 0, b"value").await.unwrap();
        }
    });
    cluster.kill(absent);
    cluster.kill(forgetful);
    std::fs::remove_dir_all(cluster.data_dir(forgetful)).unwrap();
    cluster.start_server(forgetful);
    let rejoining = cluster.wait_for("the wiped server to catch up", || {
        cluster.status(forgetful).filter(|status| status["keys"] == "20")
    });
    assert_eq!(rejoining["role"], "rejoining", "it has not heard from server {absent}");
    cluster.start_server(absent);
    cluster.wait_for("the wiped server to vote again", || {
        cluster.status(forgetful).filter(|status| status["role"] == "follower")
    });
}

/// Settings for a snapshot every 300 entries and a log of small files. A snapshot has the history
/// and waits for as many bytes of log, so the history is short.
const SMALL: &str = "[log]\nsegment_bytes = 150000\nkeep_entries = 50\n\
                     [snapshot]\nentries_max = 300\n\
                     [history]\nkeep_revisions = 100\n\
                     [limits]\nvalue_bytes_max = 20000\n";

/// Starts five servers with the settings of [`SMALL`] and sets 100 keys in turn, `writes`
/// times in all.
fn compacted(writes: u64) -> Cluster {
    let mut cluster = Cluster::prepare_with(SMALL);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    write_values(&cluster, writes);
    cluster
}

fn write_values(cluster: &Cluster, writes: u64) {
    let mut connection = cluster.connect(cluster.wait_for_leader()).unwrap();
    for n in 0..writes {
        let set = format!("set key{} 0 1000\r\n{n:01000}\r\n", n % 100);
        let reply = connection.ask(&set).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
    }
}

#[test]
fn a_log_is_compacted_and_all_come_back_from_their_snapshots() {
    let mut cluster = compacted(2000);
    let before = cluster.wait_for_quiet();
    for status in &before {
        assert!(status["snapshot_index"].parse::<u64>().unwrap() > 1000, "{status:?}");
    }
    for id in cluster.ids() {
        let log_bytes = directory_bytes(&cluster.data_dir(id).join("log"));
        let snapshots = std::fs::read_dir(cluster.data_dir(id).join("snapshot")).unwrap().count();
        assert!(log_bytes < 1_600_000, "{log_bytes} bytes of log are left of more than 2,000,000");
        assert!(snapshots <= 2, "{snapshots} snapshots");
        cluster.kill(id);
    }
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    write_values(&cluster, 100);
    let after = cluster.wait_for_quiet();
    let same = |status: &Status| (status["store_digest"].clone(), status["keys"].clone());
    assert!(after.iter().all(|status| same(status) == same(&after[0])));
    assert_eq!(after[0]["keys"], "100");
}

#[test]
fn a_server_that_was_away_or_lost_its_disk_is_brought_up_by_a_snapshot() {
    let mut cluster = compacted(300);
    let leader = cluster.wait_for_leader();
    let followers: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
    let (away, wiped) = (followers[0], followers[1]);
    cluster.kill(away);
    cluster.kill(wiped);
    std::fs::remove_dir_all(cluster.data_dir(wiped)).unwrap();
    write_values(&cluster, 2000);
    cluster.start_server(away);
    cluster.start_server(wiped);
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|s| s["store_digest"] == statuses[0]["store_digest"]));
    for id in [away, wiped] {
        let log = cluster.log(id);
        assert!(log.contains("received snapshot"), "{log}");
        assert!(log.contains("installs snapshot"), "{log}");
    }
    // Both vote again: without them there is no quorum.
    let others = cluster.ids().into_iter().filter(|id| ![away, wiped].contains(id));
    let gone: Vec<u64> = others.take(2).collect();
    gone.iter().for_each(|id| cluster.kill(*id));
    write_values(&cluster, 10);
}

fn directory_bytes(path: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(path).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_minority_acknowledges_nothing_and_a_majority_goes_on() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    for id in [1, 2] {
        cluster.kill(id);
    }
    cluster.wait_for_leader();
    assert_eq!(code(&cluster.coracle(&["set", "key", "three"])), 0);
    cluster.kill(3);
    let refused = cluster.coracle(&["set", "key", "two", "--timeout-ms", "1500"]);
    assert_eq!(code(&refused), 3, "{refused:?}");
    cluster.start_server(1);
    cluster.wait_for_leader();
    let value = cluster.coracle(&["get", "key"]).stdout;
    // The second write may have been in the log of server 1; then it is committed now.
    assert!(value == b"three" || value == b"two", "{value:?}");
}

#[test]
fn a_server_stops_on_sigterm_with_exit_code_0() {
    let mut cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    assert_eq!(cluster.terminate(leader).code(), Some(0));
    let next = cluster.wait_for_leader();
    assert_ne!(next, leader);
    for id in cluster.ids() {
        if id != leader {
            assert_eq!(cluster.terminate(id).code(), Some(0));
        }
    }
}

#[test]
fn a_server_that_cannot_start_says_why_in_one_sentence() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    for id in cluster.ids() {
        cluster.terminate(id);
    }

    let port = cluster.client_port(1);
    let occupant = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (status, said) = serve_to_its_end(&cluster.config(), &["--id", "1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, &port.to_string());
    drop(occupant);

    // A server starts on the files of another one.
    std::fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    std::fs::rename(cluster.data_dir(1), cluster.data_dir(2)).unwrap();
    let (status, said) = serve_to_its_end(&cluster.config(), &["--id", "2"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, &cluster.data_dir(2).display().to_string());

    // A server starts on the files of one that runs.
    let mut other = Cluster::prepare();
    other.start_server(3);
    other.wait_for("the server to answer", || other.status(3));
    let data_dir = other.data_dir(3);
    let data_dir = data_dir.parent().unwrap().to_str().unwrap();
    let (status, said) =
        serve_to_its_end(&cluster.config(), &["--id", "3", "--data-dir", data_dir]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, &other.data_dir(3).display().to_string());
}

#[test]
fn a_bad_servers_toml_is_a_usage_error() {
    let cluster = Cluster::prepare();
    let (status, said) = serve_to_its_end(&cluster.config(), &["--id", "6"]);
    assert_eq!(status.code(), Some(2));
    assert_sentence(&said, "has no server with id 6");

    let config = cluster.config();
    let (status, said) =
        serve_to_its_end(&config, &["--id", "1", "--heartbeat-interval-ms", "101"]);
    assert_eq!(status.code(), Some(2));
    assert_sentence(&said, "--heartbeat-interval-ms is 101");

    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("dat_dir = \"x\"\n{text}")).unwrap();
    let (status, said) = serve_to_its_end(&config, &["--id", "1"]);
    assert_eq!(status.code(), Some(2));
    assert_sentence(&said, "did you mean data_dir?");
    let refused = cluster.coracle(&["get", "key"]);
    assert_eq!(code(&refused), 2);
    assert_sentence(&String::from_utf8_lossy(&refused.stderr), "did you mean data_dir?");
}

#[test]
fn the_command_line_reads_and_writes_and_its_exit_code_shows_the_result() {
    let cluster = Cluster::start();
    cluster.wait_for_leader();
    let done = |arguments: &[&str]| {
        let output = cluster.coracle(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let no = |arguments: &[&str]| {
        let output = cluster.coracle(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    no(&["get", "key"]);
    no(&["delete", "key"]);
    let version = done(&["set", "key", "one"]);
    assert_eq!(done(&["get", "key"]), "one");
    assert_eq!(done(&["get", "key", "--meta"]), format!("{} 0 3\none", version.trim_end()));
    no(&["add", "key", "two"]);
    no(&["cas", "key", "0", "two"]);
    done(&["cas", "key", version.trim_end(), "two"]);
    no(&["cas", "key", version.trim_end(), "three"]);
    done(&["add", "kez", "2", "--exptime", "1000"]);
    done(&["set", "other", "3"]);

    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(code(&cluster.coracle_with_input(&["set", "bytes", "-"], &bytes)), 0);
    assert_eq!(cluster.coracle(&["get", "bytes"]).stdout, bytes);

    let scanned = done(&["scan", "ke"]);
    let lines: Vec<&str> = scanned.lines().collect();
    assert_eq!(lines.len(), 4, "{scanned}");
    assert!(lines[0].starts_with("key ") && lines[0].ends_with(" 0 3"), "{scanned}");
    assert_eq!((lines[1], lines[3]), ("two", "2"));
    assert!(cluster.coracle(&["scan", "", "--limit", "1"]).stdout.starts_with(b"bytes "));
    done(&["delete", "key"]);
    no(&["get", "key"]);

    for arguments in [&["get", ""][..], &["get", "a b"], &["set", "key"], &["bogus"]] {
        assert_eq!(code(&cluster.coracle(arguments)), 2, "{arguments:?}");
    }
    let large = vec![b'x'; 1_048_577];
    assert_eq!(code(&cluster.coracle_with_input(&["set", "large", "-"], &large)), 2);
}

#[test]
fn the_status_table_shows_the_leader_and_the_servers_that_do_not_answer() {
    let mut cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    let gone = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.kill(gone);
    cluster.wait_for_leader();
    let output = cluster.coracle(&["status"]);
    assert_eq!(code(&output), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let id: u64 = cells[0].parse().unwrap();
        assert_eq!(cells[1] == "-", id == gone, "{table}");
        assert_eq!(cells[7], if id == gone { "no" } else { "yes" }, "{table}");
    }
    assert_eq!(table.matches(" leader ").count(), 1, "{table}");

    for id in cluster.ids() {
        if id != gone {
            cluster.kill(id);
        }
    }
    assert_eq!(code(&cluster.coracle(&["status"])), 3);
    assert_eq!(code(&cluster.coracle(&["get", "key", "--timeout-ms", "200"])), 3);
}

#[test]
fn idle_clients_do_not_take_the_files_that_the_log_needs() {
    let mut cluster = Cluster::prepare_with("[log]\nsegment_bytes = 1200000");
    for id in cluster.ids() {
        cluster.start_server_within(id, "ulimit -n 256");
    }
    let leader = cluster.wait_for_leader();
    let mut writer = cluster.connect(leader).unwrap();
    assert!(writer.ask("set key 0 0\r\n\r\n").unwrap().starts_with("OK "));
    let idle: Vec<_> = (0..300).filter_map(|_| cluster.connect(leader).ok()).collect();
    assert!(idle.len() > 256, "the kernel takes them, whatever the server does");
    let value = "x".repeat(1_000_000);
    // Each write begins a segment of the log.
    for _ in 0..4 {
        let reply = writer.ask(&format!("set key 0 1000000\r\n{value}\r\n")).unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
    }
    let status = writer.ask("status\r\n").unwrap();
    assert!(status.contains("\r\nrole leader\r\n"), "{status}");
    drop(idle);
    assert_eq!(cluster.wait_for_leader(), leader);
}

#[test]
fn a_counter_is_exact_after_killed_leaders() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    let counters: Vec<Counter> = (0..3).map(|_| Counter::start(cluster.addresses())).collect();
    for _ in 0..3 {
        let leader = cluster.wait_for_leader();
        counters.iter().for_each(|counter| counter.wait_for_more(&cluster, 10));
        cluster.kill(leader);
        counters.iter().for_each(|counter| counter.wait_for_more(&cluster, 10));
        cluster.start_server(leader);
    }
    let counted: u64 = counters.into_iter().map(Counter::stop).sum();
    let found = block_on(async { connect(&cluster).await.get("counter").await.unwrap() });
    assert_eq!(String::from_utf8(found).unwrap(), counted.to_string());
}

#[test]
fn a_stopped_leader_is_replaced_and_answers_no_stale_read_when_it_goes_on() {
    let cluster = Cluster::start();
    let stopped = cluster.wait_for_leader();
    let mut reader = cluster.connect(stopped).unwrap();
    assert!(reader.ask("set key 0 3\r\nold\r\n").unwrap().starts_with("OK "));
    for signalled in [stopped, stopped % 5 + 1] {
        cluster.signal(signalled, "STOP");
    }
    // The old leader receives this read first when it goes on.
    reader.send("get key\r\n").unwrap();
    let written = block_on(async { connect(&cluster).await.set("key", 0, b"new").await });
    written.expect("three servers are a majority");
    for signalled in [stopped, stopped % 5 + 1] {
        cluster.signal(signalled, "CONT");
    }
    let read = reader.hear("get key\r\n").unwrap();
    assert!(read.starts_with("ERR_") || read == "VALUE 3\r\nnew\r\n", "{read}");
    cluster.wait_for_leader();
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|status| status["store_digest"] == statuses[0]["store_digest"]));
}

/// Damage to the log of one server is repaired from the others, and no acknowledged write is
/// lost. The damage is a flipped bit in an early segment, then one in the header of the
/// first segment, then a segment that is missing.
#[test]
fn a_damaged_log_is_repaired_from_the_others_and_its_server_counts_again() {
    let mut cluster =
        Cluster::prepare_with("[limits]\nvalue_bytes_max = 1024\n[log]\nsegment_bytes = 70000\n");
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    let damaged = cluster.wait_for_leader() % 5 + 1;
    let absent = damaged % 5 + 1;
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..200 {
            client.set(format!("large{number}"), 0, &[b'x'; 1024]).await.unwrap();
        }
    });
    let writer = Writer::start(cluster.addresses());
    let log = cluster.data_dir(damaged).join("log");
    let flip = |number: u64, offset: usize| {
        let path = log.join(format!("{number:08}.segment"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[offset] ^= 4;
        std::fs::write(&path, bytes).unwrap();
    };
    let damages: [&dyn Fn(); 3] = [&|| flip(2, 512 + 300), &|| flip(1, 20), &|| {
        std::fs::remove_file(log.join("00000003.segment")).unwrap()
    }];
    for (round, damage) in damages.into_iter().enumerate() {
        cluster.kill(damaged);
        cluster.kill(absent);
        assert!(log.join("00000003.segment").exists(), "there are as many segments");
        damage();
        verify(&RealDisk, &cluster.data_dir(damaged)).expect_err("it is damaged");
        writer.wait_for_more(&cluster, 50);
        cluster.start_server(damaged);
        // The end of its log is intact, so it need not hear from the server that is down.
        cluster.wait_for("the damaged server to be counted again", || {
            cluster.status(damaged).filter(|status| status["role"] != "rejoining")
        });
        let said = cluster.log(damaged);
        let told = said.lines().filter(|line| line.contains("this server rejoins")).count();
        assert_eq!(told, round + 1, "{said}");
        cluster.start_server(absent);
        assert_is_needed(&mut cluster, damaged, &writer);
    }
    let acknowledged = writer.stop();
    let found = scan_all(&cluster);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        let item = item.unwrap_or_else(|| panic!("{key}, acknowledged at {version}, is gone"));
        assert_eq!(item.version, *version);
    }
    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 5);
    for status in &statuses {
        assert_eq!(status["store_digest"], statuses[0]["store_digest"], "{statuses:#?}");
    }
    assert!(cluster.terminate(damaged).success());
    verify(&RealDisk, &cluster.data_dir(damaged)).expect("it is whole");
}

/// A majority acknowledges writes while two other servers are down, the leader among them,
/// so that the server with this id is needed for it.
fn assert_is_needed(cluster: &mut Cluster, id: u64, writer: &Writer) {
    let leader = cluster.wait_for_leader();
    let mut killed: Vec<u64> = cluster.ids();
    killed.retain(|other| *other != id && *other != leader);
    killed.truncate(if leader == id { 2 } else { 1 });
    killed.extend((leader != id).then_some(leader));
    killed.iter().for_each(|id| cluster.kill(*id));
    writer.wait_for_more(cluster, 50);
    killed.iter().for_each(|id| cluster.start_server(*id));
    cluster.wait_for_leader();
}

/// A server that has lost its disk, and whose settings list no other, looks like a new cluster.
#[test]
fn a_server_alone_founds_a_cluster_only_when_it_is_asked_to() {
    let mut alone = Cluster::prepare_like(1, "127.0.0.1", "");
    let (status, said) = serve_to_its_end(&alone.config(), &["--id", "1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, "start it with --new-cluster");
    alone.start_server(1);
    alone.wait_for_leader();
    assert_eq!(code(&alone.coracle(&["set", "key", "value"])), 0);
    assert!(alone.terminate(1).success());
    std::fs::remove_dir_all(alone.data_dir(1)).unwrap();
    let (status, said) = serve_to_its_end(&alone.config(), &["--id", "1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, "or list its other servers if it has lost its disk");
}

/// A single server has no other to repair it, and the others do not know the vote of a server
/// that has lost its hard state.
#[test]
fn damage_that_the_others_cannot_repair_is_refused_and_left_as_it_is() {
    let mut alone = Cluster::prepare_like(1, "127.0.0.1", "");
    alone.start_server(1);
    alone.wait_for_leader();
    for number in 0..20 {
        let key = format!("key{number}");
        assert_eq!(code(&alone.coracle(&["set", &key, "a value of no importance"])), 0);
    }
    assert!(alone.terminate(1).success());
    let log = alone.data_dir(1).join("log").join("00000001.segment");
    let end = std::fs::read(&log).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    // The byte is in the middle of the records, and not in the tag of a sector.
    let middle = end / 2 / 512 * 512 + 100;
    refuses(&mut alone, 1, &log, &[middle], "00000001.segment is damaged at byte ");
    assert_eq!(code(&alone.coracle(&["get", "key19"])), 0);

    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    assert!(cluster.terminate(3).success());
    let hard_state = cluster.data_dir(3).join("hard_state");
    refuses(&mut cluster, 3, &hard_state, &[30, 4096 + 30], "hard_state is damaged at byte 0: ");
}

/// A stopped server does not start while bits of `file` are flipped: it says so with
/// `sentence` and does not change the file. It starts when the file is as it was.
fn refuses(cluster: &mut Cluster, id: u64, file: &Path, offsets: &[usize], sentence: &str) {
    let whole = std::fs::read(file).unwrap();
    let mut damaged = whole.clone();
    offsets.iter().for_each(|offset| damaged[*offset] ^= 1);
    std::fs::write(file, &damaged).unwrap();
    let (status, said) = serve_to_its_end(&cluster.config(), &["--id", &id.to_string()]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_sentence(&said, sentence);
    assert!(std::fs::read(file).unwrap() == damaged, "it was changed");
    std::fs::write(file, &whole).unwrap();
    cluster.start_server(id);
    cluster.wait_for_leader();
}

#[test]
fn a_torn_tail_is_cut_and_logged_and_the_missing_entries_are_fetched() {
    let mut cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    let torn = leader % 5 + 1;
    assert_eq!(code(&cluster.coracle(&["set", "key", "value"])), 0);
    cluster.wait_for_quiet();
    cluster.kill(torn);
    assert_eq!(code(&cluster.coracle(&["set", "key", "newer"])), 0);
    let log = cluster.data_dir(torn).join("log").join("00000001.segment");
    let mut bytes = std::fs::read(&log).unwrap();
    let end = (bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8);
    // A write has reached the disk with a later sector, but without its first.
    let later = (end + 1).next_multiple_of(512);
    bytes[later..later + 512].fill(7);
    std::fs::write(&log, &bytes).unwrap();
    cluster.start_server(torn);
    cluster.wait_for_leader();
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|status| status["store_digest"] == statuses[0]["store_digest"]));
    let said = cluster.log(torn);
    assert!(said.contains(&format!("00000001.segment: a torn write at byte {end}")), "{said}");
}

#[test]
fn a_server_whose_disk_is_full_stops_with_a_sentence_and_comes_back() {
    let mut cluster = Cluster::prepare();
    for id in 1..=4 {
        cluster.start_server(id);
    }
    // The limit is 2 or 4 MiB a file, depending on the shell; a write beyond it fails.
    cluster.start_server_within(5, "ulimit -f 4096");
    cluster.wait_for_leader();
    let value = vec![b'x'; 1_000_000];
    block_on(async {
        let mut client = connect(&cluster).await;
        for number in 0..6 {
            client.set(format!("key{number}"), 0, &value).await.unwrap();
        }
    });
    assert_eq!(cluster.wait_for_end(5).code(), Some(1));
    let said = cluster.log(5);
    assert!(said.lines().last().unwrap().starts_with("coracle: cannot write "), "{said}");
    cluster.wait_for_leader();
    assert_eq!(code(&cluster.coracle(&["set", "meanwhile", "yes"])), 0);
    cluster.start_server(5);
    cluster.wait_for_leader();
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|status| status["keys"] == "7"), "{statuses:#?}");
}

/// The last line of `said` is the only one of the command line itself, and contains `part`.
fn assert_sentence(said: &str, part: &str) {
    let ours: Vec<&str> = said.lines().filter(|line| line.starts_with("coracle: ")).collect();
    assert_eq!(ours.len(), 1, "{said}");
    assert_eq!(said.lines().last(), Some(ours[0]), "{said}");
    assert!(ours[0].contains(part), "{said}");
}

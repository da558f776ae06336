//! Watches in large numbers, watches that do not read, watches under which the history is
//! compacted, and watches at every server.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::raw::{Raw, Server};
use crate::common::Cluster;

const MIB: u64 = 1 << 20;

/// One change, as the stream has it when the value has no line end.
fn event(key: &str, revision: u64, value: &str) -> String {
    format!("SET {key} {revision} 0 {}\r\n{value}\r\nEND {revision}\r\n", value.len())
}

/// Reads a stream up to the end of `last`. All of its revisions from `first` on have to come, each
/// once and as a whole. Notes of progress may come between them.
fn read_to_end_of(watch: &mut Raw, key: &str, (first, last): (u64, u64)) {
    let mut next = first;
    while next <= last {
        let line = watch.line();
        if let Some(revision) = line.strip_prefix("END ") {
            let revision: u64 = revision.trim_end().parse().unwrap();
            assert!(revision < next, "{line:?} comes before the changes of {next}");
            continue;
        }
        assert!(line.starts_with(&format!("SET {key} {next} 0 ")), "{line:?}, and not {next}");
        watch.line();
        assert_eq!(watch.line(), format!("END {next}\r\n"));
        next += 1;
    }
}

/// Reads the next change of a stream, to the end of its revision. Notes of progress may come before
/// it, when the watch was silent for long.
fn read_change(watch: &mut Raw, key: &str, revision: u64, value: &str) {
    let first = loop {
        let line = watch.line();
        let Some(progress) = line.strip_prefix("END ") else { break line };
        let progress: u64 = progress.trim_end().parse().unwrap();
        assert!(progress < revision, "{line:?} comes before the changes of {revision}");
    };
    let rest = event(key, revision, value);
    let rest = rest.strip_prefix(&first).unwrap_or_else(|| panic!("{first:?}, and not {rest:?}"));
    watch.expect(rest);
}

/// The number of connections that this process may open, at most `wanted`.
fn room_for(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    wanted.min(files.saturating_sub(200))
}

#[test]
fn ten_thousand_idle_watches_cost_less_than_20_mb_more_than_their_connections() {
    let server = Server::with("connections_max = 10100");
    let count = room_for(10_000);
    let mut writer = server.connect();
    writer.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    let mut watches: Vec<Raw> = (0..count).map(|_| server.connect()).collect();
    for watch in &mut watches {
        watch.ask("ping\r\n", "PONG\r\n");
    }
    let before = server.cluster.resident_bytes(1);
    for (number, watch) in watches.iter_mut().enumerate() {
        watch.ask(format!("watch key k{number}\r\n"), "WATCHING #\r\n");
    }
    let grown = server.cluster.resident_bytes(1).saturating_sub(before);
    assert!(grown < 2_000 * count, "{grown} bytes for {count} watches");
    // Each of them works, and nobody else hears of its key.
    for number in [0, count / 2, count - 1] {
        let revision = writer.ask(format!("set k{number} 0 1\r\nv\r\n"), "OK #\r\n")[0];
        let watch = &mut watches[number as usize];
        loop {
            // Notes of progress may have come.
            let line = watch.line();
            if line.starts_with("SET ") {
                assert_eq!(line, format!("SET k{number} {revision} 0 1\r\n"));
                watch.expect(&format!("v\r\nEND {revision}\r\n"));
                break;
            }
            assert!(line.starts_with("END "), "{line:?}");
        }
    }
}

#[test]
fn one_watch_more_than_there_may_be_is_busy_until_one_ends() {
    let server = Server::with("watches_max = 2");
    let mut watches: Vec<Raw> = (0..3).map(|_| server.connect()).collect();
    for watch in &mut watches[..2] {
        watch.ask("watch prefix *\r\n", "WATCHING #\r\n");
    }
    watches[2].ask("watch prefix *\r\nping\r\n", "ERR_BUSY\r\nPONG\r\n");
    watches.remove(0).close();
    let last = &mut watches[1];
    server.cluster.wait_for("the place of the watch that has ended", || {
        last.send("watch key k\r\n");
        last.line().starts_with("WATCHING ").then_some(())
    });
}

/// A thousand watches do not read what comes. They cost what their sockets hold and nothing else,
/// nobody waits for them, and in the end they are cut off.
#[test]
fn a_thousand_watches_that_do_not_read_cost_their_sockets_and_nothing_else() {
    const VALUE_BYTES: usize = 16 * 1024;
    const WRITES: u64 = 500;
    let server = Server::with("write_stall_ms_max = 10000");
    let value = "v".repeat(VALUE_BYTES);
    let mut writer = server.connect();
    let first = writer.ask("set k 0 1\r\n1\r\n", "OK #\r\n")[0] + 1;
    let mut reader = server.connect();
    reader.ask("watch key k\r\n", "WATCHING #\r\n");
    let stalled: Vec<Raw> = (0..1_000)
        .map(|_| {
            let mut watch = Raw::open_narrow(&server.cluster, 1);
            watch.ask("watch prefix k\r\n", "WATCHING #\r\n");
            watch
        })
        .collect();
    let before = server.cluster.resident_bytes(1);
    let mut most = 0;
    for number in 0..WRITES {
        writer.ask(format!("set k 0 {VALUE_BYTES}\r\n{value}\r\n"), "OK #\r\n");
        read_change(&mut reader, "k", first + number, &value);
        most = most.max(server.cluster.resident_bytes(1).saturating_sub(before));
    }
    // The history has the values; the log, of which newest entries are kept in memory, has them
    // too. Each of the watches would have 8 MB to read, and all of them 8 GB.
    let history_bytes = WRITES * VALUE_BYTES as u64;
    assert!(most < 3 * history_bytes + 24 * MIB, "{} MiB", most / MIB);
    // The connections of those who read stay: the writer, the one that watches, and that of the
    // status.
    server.cluster.wait_for("those who do not read to be cut off", || {
        (server.cluster.open_descriptors(1) < 100).then_some(())
    });
    let last = writer.ask("set k 0 3\r\nend\r\n", "OK #\r\n")[0];
    read_change(&mut reader, "k", last, "end");
    drop(stalled);
}

#[test]
fn a_watch_whose_changes_are_compacted_is_told_so() {
    const VALUE_BYTES: usize = 64 * 1024;
    let server = Server::start();
    let value = "v".repeat(VALUE_BYTES);
    let mut writer = server.connect();
    let first = writer.ask("set k 0 1\r\n1\r\n", "OK #\r\n")[0] + 1;
    let mut slow = Raw::open_narrow(&server.cluster, 1);
    slow.ask("watch key k\r\n", "WATCHING #\r\n");
    let mut idle = server.connect();
    idle.ask("watch key other\r\n", "WATCHING #\r\n");
    // More than the sockets hold.
    let mut last = first;
    for _ in 0..300 {
        last = writer.ask(format!("set k 0 {VALUE_BYTES}\r\n{value}\r\n"), "OK #\r\n")[0];
    }
    writer.ask(format!("compact {last}\r\n"), &format!("OK {last}\r\n"));
    let compacted = format!("ERR_COMPACTED {last}\r\n");
    // The stream is whole up to the place where it is told.
    let mut next = first;
    loop {
        let line = slow.line();
        if line == compacted {
            break;
        }
        if next == first && line.starts_with("END ") {
            // The first write took so long that the watch was silent.
            continue;
        }
        assert_eq!(line, format!("SET k {next} 0 {VALUE_BYTES}\r\n"));
        slow.line();
        assert_eq!(slow.line(), format!("END {next}\r\n"));
        next += 1;
    }
    assert!(next < last, "the sockets held everything");
    slow.expect_end();
    // One that missed nothing goes on, and so does one that begins where the history does.
    let revision = writer.ask("set other 0 1\r\n1\r\n", "OK #\r\n")[0];
    read_to_end_of(&mut idle, "other", (revision, revision));
    let mut late = server.connect();
    late.ask(format!("watch key k from {}\r\n", last - 1), &compacted);
    late.ask(format!("watch key k from {last}\r\n"), &format!("WATCHING {last}\r\n"));
    read_to_end_of(&mut late, "k", (last, last));
}

#[test]
fn every_server_sends_the_same_stream() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", "");
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    let leader = cluster.wait_for_leader();
    cluster.wait_until_named();
    let mut writer = Raw::open(&cluster, leader);
    let mut last = writer.ask("set k 0 1\r\n0\r\n", "OK #\r\n")[0];
    let first = last;
    let mut watches: Vec<Raw> = cluster.ids().iter().map(|id| Raw::open(&cluster, *id)).collect();
    for watch in &mut watches {
        // One that has not come so far waits.
        watch.ask(format!("watch prefix * from {first}\r\n"), &format!("WATCHING {first}\r\n"));
    }
    for number in 0..200 {
        last = writer.ask(format!("set k 0 3\r\n{number:03}\r\n"), "OK #\r\n")[0];
    }
    for watch in &mut watches {
        read_to_end_of(watch, "k", (first, last));
    }
}

/// A follower that was stopped gets a snapshot, which takes the place of its store. Its watches
/// miss nothing, because the history is in the snapshot.
#[test]
fn a_watch_goes_on_over_an_installed_snapshot() {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n[snapshot]\nentries_max = 200\n\
                    [log]\nkeep_entries = 10\nsegment_bytes = 2097152\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    let leader = cluster.wait_for_leader();
    cluster.wait_until_named();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut writer = Raw::open(&cluster, leader);
    let first = writer.ask("set k 0 1\r\n0\r\n", "OK #\r\n")[0];
    let mut watch = Raw::open(&cluster, follower);
    watch.ask(format!("watch key k from {first}\r\n"), "WATCHING #\r\n");
    read_to_end_of(&mut watch, "k", (first, first));
    cluster.signal(follower, "STOP");
    let mut last = first;
    for number in 0..3_000 {
        last = writer.ask(format!("set k 0 4\r\n{number:04}\r\n"), "OK #\r\n")[0];
    }
    let has_snapshot = |id: u64| {
        let status = cluster.status(id)?;
        (status["snapshot_index"].parse::<u64>().ok()? > 1_000).then_some(())
    };
    cluster.wait_for("a snapshot of the leader", || has_snapshot(leader));
    cluster.signal(follower, "CONT");
    read_to_end_of(&mut watch, "k", (first + 1, last));
    cluster.wait_for("the follower to have the snapshot", || has_snapshot(follower));
    // The connection that was there before still has the watch.
    let last = writer.ask("set k 0 1\r\nx\r\n", "OK #\r\n")[0];
    read_to_end_of(&mut watch, "k", (last, last));
}

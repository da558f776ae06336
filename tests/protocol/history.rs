//! Revisions and the past: reads `at` a revision, and `compact`.

use super::raw::Server;

#[test]
fn reads_see_the_store_as_it_was() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set a 0 1\r\n1\r\nset b 100 1\r\n1\r\n", "OK 2\r\nOK 3\r\n");
    client.ask("set a 0 1\r\n2\r\ndelete b\r\nset a 0 1\r\n3\r\n", "OK 4\r\nDELETED\r\nOK 6\r\n");
    for (revision, a, b) in [
        (1, "ERR_NOT_FOUND\r\n", "ERR_NOT_FOUND\r\n"),
        (2, "VALUE 2 0 1\r\n1\r\n", "ERR_NOT_FOUND\r\n"),
        (3, "VALUE 2 0 1\r\n1\r\n", "VALUE 3 100 1\r\n1\r\n"),
        (4, "VALUE 4 0 1\r\n2\r\n", "VALUE 3 100 1\r\n1\r\n"),
        (5, "VALUE 4 0 1\r\n2\r\n", "ERR_NOT_FOUND\r\n"),
        (6, "VALUE 6 0 1\r\n3\r\n", "ERR_NOT_FOUND\r\n"),
    ] {
        client.ask(format!("getm a at {revision}\r\n"), a);
        client.ask(format!("getm b AT {revision}\r\n"), b);
    }
    client.ask("get a at 4\r\nget a\r\n", "VALUE 1\r\n2\r\nVALUE 1\r\n3\r\n");
    let page = "KEY a 4 0 1\r\n2\r\nKEY b 3 100 1\r\n1\r\nEND\r\n";
    client.ask("scan * 10 at 4\r\n", page);
    client.ask("scan * 1 at 4\r\n", "KEY a 4 0 1\r\n2\r\nMORE\r\n");
    client.ask("scan * 1 after a at 4\r\n", "KEY b 3 100 1\r\n1\r\nEND\r\n");
    client.ask("scan b 10 at 5\r\nscan * 10 at 1\r\n", "END\r\nEND\r\n");
    let status = server.status();
    assert_eq!([&status["revision"], &status["compacted_revision"]], ["6", "1"]);
    assert_eq!(status["history_changes"], "5");
}

#[test]
fn the_future_and_what_is_compacted_are_told() {
    let server = Server::start();
    let mut client = server.connect();
    for value in 1..=8 {
        client.ask(format!("set a 0 1\r\n{value}\r\n"), "OK #\r\n");
    }
    for read in ["get a", "getm a", "scan * 1", "get absent"] {
        client.ask(format!("{read} at 10\r\n"), "ERR_FUTURE 9\r\n");
        client.ask(format!("{read} at 18446744073709551615\r\n"), "ERR_FUTURE 9\r\n");
    }
    client.ask("compact 10\r\n", "ERR_FUTURE 9\r\n");
    client.ask("compact 5\r\n", "OK 5\r\n");
    for read in ["get a", "getm a", "scan * 1", "get absent"] {
        client.ask(format!("{read} at 4\r\n"), "ERR_COMPACTED 5\r\n");
        client.ask(format!("{read} at 1\r\n"), "ERR_COMPACTED 5\r\n");
    }
    client.ask("get a at 5\r\nget a at 9\r\n", "VALUE 1\r\n4\r\nVALUE 1\r\n8\r\n");
    client.ask("compact 4\r\ncompact 0\r\n", "ERR_COMPACTED 5\r\nERR_COMPACTED 5\r\n");
    client.ask("compact 9\r\nget a at 9\r\n", "OK 9\r\nVALUE 1\r\n8\r\n");
    client.ask("get a at 8\r\nget a\r\n", "ERR_COMPACTED 9\r\nVALUE 1\r\n8\r\n");
    // To compact changes no key, so the revision stays.
    client.ask("set a 0 1\r\n9\r\n", "OK 10\r\n");
}

#[test]
fn the_past_is_kept_as_far_as_the_settings_say() {
    let server = Server::with("[history]\nkeep_revisions = 3\n");
    let mut client = server.connect();
    for value in 1..=8 {
        client.ask(format!("set a 0 1\r\n{value}\r\n"), "OK #\r\n");
    }
    // A new leader writes its settings into the log, which takes a moment.
    server.wait_for_status("compacted_revision", "6");
    client.ask("get a at 6\r\nget a at 5\r\n", "VALUE 1\r\n5\r\nERR_COMPACTED 6\r\n");
    let none = Server::with("[history]\nkeep_revisions = 0\n");
    let mut client = none.connect();
    client.ask("set a 0 1\r\n1\r\nset a 0 1\r\n2\r\n", "OK 2\r\nOK 3\r\n");
    // The change of revision 3 stays until the next write if the settings came after it.
    none.wait_for_status("compacted_revision", "3");
    client.ask("get a at 2\r\nget a at 3\r\n", "ERR_COMPACTED 3\r\nVALUE 1\r\n2\r\n");
    client.ask("set a 0 1\r\n3\r\nget a at 3\r\n", "OK 4\r\nERR_COMPACTED 4\r\n");
    none.wait_for_status("history_changes", "0");
}

#[test]
fn the_past_is_as_large_as_the_settings_say() {
    const BYTES_MAX: u64 = 4_000;
    let server = Server::with(&format!("[history]\nbytes_max = {BYTES_MAX}\n"));
    let mut client = server.connect();
    // With what surrounds them, no more than 7 values of 256 bytes fit.
    let value = "v".repeat(256);
    for revision in 2..=31 {
        client.ask(format!("set a 0 256\r\n{value}\r\n"), &format!("OK {revision}\r\n"));
    }
    let history_bytes = || server.status()["history_bytes"].parse::<u64>().unwrap();
    server
        .cluster
        .wait_for("the history to be small", || (history_bytes() <= BYTES_MAX).then_some(()));
    let status = server.status();
    let compacted: u64 = status["compacted_revision"].parse().unwrap();
    assert!((24..31).contains(&compacted), "{status:?}");
    client.ask("get a at 23\r\n", &format!("ERR_COMPACTED {compacted}\r\n"));
    client.ask(
        format!("get a at {compacted}\r\nget a at 31\r\n"),
        &format!("VALUE 256\r\n{value}\r\nVALUE 256\r\n{value}\r\n"),
    );
}

#[test]
fn malformed_reads_of_the_past_are_told() {
    let server = Server::start();
    for line in [
        "get k at",
        "get k at 0",
        "get k at x",
        "get k at -1",
        "get k 1",
        "get k at 1 1",
        "getm k at",
        "getm k at 1 at 1",
        "scan * 1 at",
        "scan * 1 at 0",
        "scan * 1 at 1 after k",
        "scan * at 1",
        "compact",
        "compact x",
        "compact 1 1",
        "once c 1 compact 1",
    ] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    server.check(format!("get {} at 1\r\nping\r\n", "k".repeat(251)), "ERR_TOO_LARGE~\r\nPONG\r\n");
}

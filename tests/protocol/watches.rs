//! Watches: the stream and its ends. Many watches, and watchers that do not read, are in
//! `watch_load`.

use super::raw::{Raw, Server};
use crate::common::PATIENCE;

/// A watch that runs.
fn watch(server: &Server, command: &str, from: u64) -> Raw {
    let mut watcher = server.connect();
    watcher.ask(format!("{command}\r\n"), &format!("WATCHING {from}\r\n"));
    watcher
}

#[test]
fn a_watch_has_the_changes_of_its_keys_from_then_on() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set a 0 1\r\n1\r\n", "OK 2\r\n");
    let mut of_key = watch(&server, "watch key a", 3);
    let mut of_prefix = watch(&server, "WATCH PREFIX a", 3);
    let mut of_all = watch(&server, "watch prefix *", 3);
    client.ask("set a 30 4\r\n\r\n\r\n\r\n", "OK 3\r\n");
    client.ask("set ab 0 0\r\n\r\nset b 0 1\r\n1\r\ndelete a\r\n", "OK 4\r\nOK 5\r\nDELETED\r\n");
    let set = "SET a 3 30 4\r\n\r\n\r\n\r\nEND 3\r\n";
    of_key.expect_changes(format!("{set}DELETED a 6\r\nEND 6\r\n").as_bytes());
    let both = format!("{set}SET ab 4 0 0\r\n\r\nEND 4\r\nDELETED a 6\r\nEND 6\r\n");
    of_prefix.expect_changes(both.as_bytes());
    of_all.expect_changes(
        format!(
            "{set}SET ab 4 0 0\r\n\r\nEND 4\r\nSET b 5 0 1\r\n1\r\nEND 5\r\n\
             DELETED a 6\r\nEND 6\r\n"
        )
        .as_bytes(),
    );
    // A command that changes nothing has no event.
    client.ask(
        "delete a\r\nadd b 0 1\r\n2\r\nset c 0 1\r\n1\r\n",
        "ERR_NOT_FOUND\r\nERR_EXISTS 5\r\nOK 7\r\n",
    );
    of_all.expect_changes(b"SET c 7 0 1\r\n1\r\nEND 7\r\n");
}

#[test]
fn the_changes_of_a_transaction_come_whole_and_in_their_order() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set b 0 1\r\n1\r\n", "OK 2\r\n");
    let mut watcher = watch(&server, "watch prefix * prev", 3);
    client.ask(
        "begin\r\nset c 0 1\r\n2\r\ndelete b\r\nset a 9 1\r\n3\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\nCOMMITTED 3 3\r\nOK 3\r\nDELETED\r\nOK 3\r\n",
    );
    watcher.expect_changes(
        b"SET c 3 0 1\r\n2\r\nPREV b 2 1\r\n1\r\nDELETED b 3\r\nSET a 3 9 1\r\n3\r\nEND 3\r\n",
    );
}

#[test]
fn a_watch_begins_in_the_past_or_in_the_future() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ask("set a 0 1\r\n1\r\nset b 0 1\r\n1\r\nset a 0 1\r\n2\r\n", "OK 2\r\nOK 3\r\nOK 4\r\n");
    let mut past = watch(&server, "watch key a from 1 prev", 1);
    past.expect_changes(
        b"SET a 2 0 1\r\n1\r\nEND 2\r\nPREV a 2 1\r\n1\r\nSET a 4 0 1\r\n2\r\nEND 4\r\n",
    );
    let mut goes_on = watch(&server, "watch key a from 3", 3);
    goes_on.expect_changes(b"SET a 4 0 1\r\n2\r\nEND 4\r\n");
    let mut future = watch(&server, "watch prefix * from 6", 6);
    let mut next = watch(&server, "watch prefix * from 0", 5);
    client.ask("set a 0 1\r\n3\r\nset b 0 1\r\n3\r\n", "OK 5\r\nOK 6\r\n");
    next.expect_changes(b"SET a 5 0 1\r\n3\r\nEND 5\r\nSET b 6 0 1\r\n3\r\nEND 6\r\n");
    future.expect_changes(b"SET b 6 0 1\r\n3\r\nEND 6\r\n");
    past.expect_changes(b"PREV a 4 1\r\n2\r\nSET a 5 0 1\r\n3\r\nEND 5\r\n");
}

#[test]
fn expiry_and_the_ends_of_leases_are_seen() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("grant 60 1\r\n", "LEASE 1 60\r\n");
    let mut watcher = watch(&server, "watch prefix * prev", 2);
    client.ask(
        "set b 0 1 lease 1\r\n1\r\nset a 0 1 lease 1\r\n1\r\nrevoke 1\r\n",
        "OK 2\r\nOK 3\r\nREVOKED\r\n",
    );
    watcher.expect_changes(b"SET b 2 0 1\r\n1\r\nEND 2\r\nSET a 3 0 1\r\n1\r\nEND 3\r\n");
    watcher.expect_changes(
        b"PREV a 3 1\r\n1\r\nDELETED a 4\r\nPREV b 2 1\r\n1\r\nDELETED b 4\r\nEND 4\r\n",
    );
    // Both commands are read at once, so that the lease is there for the second one.
    client.ask("grant 1 2\r\nset c 0 1 lease 2\r\n1\r\n", "LEASE 2 1\r\nOK 5\r\n");
    watcher.expect_changes(
        b"SET c 5 0 1\r\n1\r\nEND 5\r\nPREV c 5 1\r\n1\r\nEXPIRED c 6\r\nEND 6\r\n",
    );
    client.ask("set d 1 1\r\n1\r\n", "OK 7\r\n");
    watcher.expect_changes(
        b"SET d 7 1 1\r\n1\r\nEND 7\r\nPREV d 7 1\r\n1\r\nEXPIRED d 8\r\nEND 8\r\n",
    );
}

#[test]
fn a_silent_watch_is_told_how_far_it_is() {
    let server = Server::start();
    let mut client = server.connect();
    let mut watcher = watch(&server, "watch key quiet", 2);
    client.ask("set a 0 1\r\n1\r\nset a 0 1\r\n2\r\n", "OK 2\r\nOK 3\r\n");
    loop {
        let line = watcher.line();
        match line.as_str() {
            // The first may be older than the writes.
            "END 1\r\n" | "END 2\r\n" => {}
            line => break assert_eq!(line, "END 3\r\n"),
        }
    }
}

#[test]
fn a_watch_waits_for_the_commands_before_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask(
        "set a 0 1\r\n1\r\nget a\r\nwatch key a\r\n",
        "OK 2\r\nVALUE 1\r\n1\r\nWATCHING 3\r\n",
    );
    let mut other = server.connect();
    other.ask("set a 0 1\r\n2\r\n", "OK 3\r\n");
    client.expect_changes(b"SET a 3 0 1\r\n2\r\nEND 3\r\n");
}

#[test]
fn quit_the_end_of_the_input_and_mistakes_end_a_watch() {
    let server = Server::start();
    let mut watcher = watch(&server, "watch key a", 2);
    watcher.send("QUIT\r\n");
    watcher.expect_end_of_watch();
    let mut watcher = watch(&server, "watch key a", 2);
    watcher.end();
    watcher.expect_end_of_watch();
    server.check("watch key a\r\n", "WATCHING 2\r\n");
    server.check("watch key a\r\nquit\r\nping\r\n", "WATCHING 2\r\n");
    for line in ["ping\r\n", "get a\r\n", "watch key a\r\n", "\r\n", "what\r\n", "set a 0 1000\r\n"]
    {
        let mut watcher = watch(&server, "watch key a", 2);
        watcher.send(line);
        let told = watcher.rest();
        let told = String::from_utf8(told).expect("it is text");
        let mut lines = told.lines().skip_while(|line| line.starts_with("END "));
        assert!(lines.next().is_some_and(|line| line.starts_with("ERR_CMD_ERR ")), "{told}");
        assert_eq!(lines.next(), None);
    }
    server.check("get a\r\n", "ERR_NOT_FOUND\r\n");
}

#[test]
fn a_watch_from_what_is_compacted_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    for value in 1..=4 {
        client.ask(format!("set a 0 1\r\n{value}\r\n"), "OK #\r\n");
    }
    client.ask("compact 4\r\n", "OK 4\r\n");
    client.ask("watch key a from 3\r\nping\r\n", "ERR_COMPACTED 4\r\nPONG\r\n");
    client.ask("watch prefix b from 1\r\nget a\r\n", "ERR_COMPACTED 4\r\nVALUE 1\r\n4\r\n");
    // The revision that the error names can be watched from.
    client.ask("watch key a from 4\r\n", "WATCHING 4\r\n");
    client.expect_changes(b"SET a 4 0 1\r\n3\r\nEND 4\r\nSET a 5 0 1\r\n4\r\nEND 5\r\n");
}

/// Watches read from the history, and there is none.
#[test]
fn a_watch_without_a_history_ends_with_the_first_change() {
    let server = Server::with("[history]\nkeep_revisions = 0\n");
    let mut client = server.connect();
    client.ask("set a 0 1\r\n1\r\nset a 0 1\r\n2\r\n", "OK 2\r\nOK 3\r\n");
    // The leader has written its settings into the log, before these writes or after them. After
    // them the change of revision 3 stays until the next write.
    server.wait_for_status("compacted_revision", "3");
    let mut watcher = watch(&server, "watch key a", 4);
    client.ask("set a 0 1\r\n3\r\n", "OK 4\r\n");
    let told = String::from_utf8(watcher.rest()).expect("it is text");
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("END ")).collect();
    assert_eq!(told, ["ERR_COMPACTED 4"]);
}

#[test]
fn the_number_of_watches_is_bounded() {
    let server = Server::with("watches_max = 2\n");
    let first = watch(&server, "watch key a", 2);
    let _second = watch(&server, "watch key a", 2);
    let mut third = server.connect();
    third.ask("watch key a\r\nping\r\n", "ERR_BUSY\r\nPONG\r\n");
    first.close();
    // The server hears of the end a little later.
    let began = std::time::Instant::now();
    while !begins(&mut third) {
        assert!(began.elapsed() < PATIENCE, "the place of a watch that ended is free");
    }
}

/// Asks for a watch; true when it runs.
fn begins(client: &mut Raw) -> bool {
    client.send("watch key a\r\n");
    client.line().starts_with("WATCHING ")
}

#[test]
fn malformed_watches_are_told() {
    let server = Server::start();
    for line in [
        "watch",
        "watch a",
        "watch key",
        "watch prefix",
        "watch range a b",
        "watch key a b",
        "watch key a from",
        "watch key a from x",
        "watch key a prev from 1",
        "watch key a from 1 prev prev",
        "once c 1 watch key a",
    ] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    let long = "k".repeat(251);
    server.check(
        format!("watch key {long}\r\nwatch prefix {long}\r\nping\r\n"),
        "ERR_TOO_LARGE~\r\nERR_TOO_LARGE~\r\nPONG\r\n",
    );
}

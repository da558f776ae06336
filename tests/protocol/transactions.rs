//! Transactions: `begin`, `check`, the commands in between, `commit`, `discard`.

use super::raw::{Raw, Server, assert_matches};
use crate::common::Cluster;

#[test]
fn a_transaction_is_executed_as_one_and_answered_command_by_command() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .send("begin\r\ncheck a 0\r\nset a 0 1\r\nx\r\nset b 60 2\r\n\r\n\r\nget a\r\ngetm b\r\n");
    client.send("delete absent\r\nget absent\r\nset c 0 0\r\n\r\nCOMMIT\r\n");
    client.expect(&format!("OK\r\n{}", "QUEUED\r\n".repeat(8)));
    client.expect("COMMITTED 2 7\r\nOK 2\r\nOK 2\r\nVALUE 1\r\nx\r\n");
    client.expect_bytes(b"VALUE 2 60 2\r\n\r\n\r\nERR_NOT_FOUND\r\nERR_NOT_FOUND\r\nOK 2\r\n");
    // All that it wrote has its revision, and the next write a later one.
    client.ask("getm a\r\ngetm c\r\n", "VALUE 2 0 1\r\nx\r\nVALUE 2 0 0\r\n\r\n");
    client.ask("set d 0 1\r\n1\r\n", "OK 3\r\n");
    client.ask(
        "begin\r\ndelete a\r\ncommit\r\nget a\r\n",
        "OK\r\nQUEUED\r\nCOMMITTED 4 1\r\nDELETED\r\nERR_NOT_FOUND\r\n",
    );
}

#[test]
fn the_first_check_that_fails_is_named_and_nothing_is_executed() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set a 0 1\r\n1\r\nset b 0 1\r\n1\r\n", "OK 2\r\nOK 3\r\n");
    for (checks, aborted) in [
        ("check a 3\r\n", "a 2"),
        ("check a 0\r\n", "a 2"),
        ("check absent 2\r\n", "absent 0"),
        ("check a 2\r\ncheck b 2\r\ncheck absent 7\r\n", "b 3"),
        ("check absent 7\r\ncheck b 2\r\n", "absent 0"),
    ] {
        let queued = "QUEUED\r\n".repeat(checks.matches('\n').count() + 2);
        client.ask(
            format!("begin\r\n{checks}set a 0 1\r\n2\r\ndelete b\r\ncommit\r\n"),
            &format!("OK\r\n{queued}ABORTED {aborted}\r\n"),
        );
    }
    // A check stands for the whole transaction, wherever it is.
    client.ask(
        "begin\r\nset a 0 1\r\n2\r\ncheck b 2\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nABORTED b 3\r\n",
    );
    client.ask("getm a\r\ngetm b\r\n", "VALUE 2 0 1\r\n1\r\nVALUE 3 0 1\r\n1\r\n");
    client.ask("set c 0 1\r\n1\r\n", "OK 4\r\n");
    client.ask(
        "begin\r\ncheck a 2\r\ncheck b 3\r\ncheck absent 0\r\nset a 0 1\r\n2\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\nCOMMITTED 5 1\r\nOK 5\r\n",
    );
}

#[test]
fn a_command_that_is_refused_spoils_the_transaction() {
    let server = Server::start();
    let large = format!("set k 0 1048577\r\n{}", "v".repeat((1 << 20) + 1));
    let long_key = format!("check {} 0", "k".repeat(251));
    for (bad, error) in [
        ("what", "ERR_CMD_ERR"),
        ("", "ERR_CMD_ERR"),
        ("check k", "ERR_CMD_ERR"),
        ("set k x 4\r\nquit", "ERR_CMD_ERR"),
        ("set k 0 4 lease 0\r\nquit", "ERR_CMD_ERR"),
        ("set k 0 1\r\nxy", "ERR_CMD_ERR"),
        ("set k 0 1 noreply\r\nx", "ERR_CMD_ERR"),
        ("delete k noreply", "ERR_CMD_ERR"),
        ("once c 1 delete k", "ERR_CMD_ERR"),
        ("once c 0 commit", "ERR_CMD_ERR"),
        ("add k 0 4\r\nquit", "ERR_CMD_ERR"),
        ("cas k 0 0 4\r\nquit", "ERR_CMD_ERR"),
        ("scan * 1", "ERR_CMD_ERR"),
        ("begin", "ERR_CMD_ERR"),
        ("grant 60", "ERR_CMD_ERR"),
        ("watch key k", "ERR_CMD_ERR"),
        ("compact 1", "ERR_CMD_ERR"),
        ("mode any", "ERR_CMD_ERR"),
        ("ping", "ERR_CMD_ERR"),
        ("status", "ERR_CMD_ERR"),
        ("help", "ERR_CMD_ERR"),
        (&large, "ERR_TOO_LARGE"),
        (&long_key, "ERR_TOO_LARGE"),
    ] {
        server.check(
            format!("begin\r\nset a 0 1\r\n1\r\n{bad}\r\nget a\r\ncommit\r\nget a\r\n"),
            format!("OK\r\nQUEUED\r\n{error}~\r\nQUEUED\r\nERR_CMD_ERR~\r\nERR_NOT_FOUND\r\n"),
        );
    }
    // After the reply to commit the transaction is over, and so it is after discard.
    server.check(
        "begin\r\nwhat\r\ncommit\r\nbegin\r\nset a 0 1\r\n1\r\ncommit\r\n",
        "OK\r\nERR_CMD_ERR~\r\nERR_CMD_ERR~\r\nOK\r\nQUEUED\r\nCOMMITTED 2 1\r\nOK 2\r\n",
    );
    server.check(
        "begin\r\nwhat\r\ndiscard\r\nbegin\r\nget a\r\ncommit\r\n",
        "OK\r\nERR_CMD_ERR~\r\nOK\r\nOK\r\nQUEUED\r\nCOMMITTED 2 1\r\nVALUE 1\r\n1\r\n",
    );
}

#[test]
fn its_commands_are_refused_outside_of_a_transaction() {
    let server = Server::start();
    for line in ["check k 0", "commit", "once c 1 commit", "discard"] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    for line in ["begin now", "discard now", "check", "check k", "check k x", "check k 0 0"] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
}

#[test]
fn what_is_not_committed_is_forgotten() {
    let server = Server::start();
    server.check(
        "begin\r\nset a 0 1\r\n1\r\nDiscard\r\nget a\r\n",
        "OK\r\nQUEUED\r\nOK\r\nERR_NOT_FOUND\r\n",
    );
    server.check("begin\r\nset a 0 1\r\n1\r\nquit\r\n", "OK\r\nQUEUED\r\n");
    server.check("begin\r\nset a 0 1\r\n1\r\n", "OK\r\nQUEUED\r\n");
    server.check("begin\r\nset a 0 1\r\n1\r\ncommit", "OK\r\nQUEUED\r\n");
    // Nobody else sees, or waits for, a transaction in the making.
    let mut client = server.connect();
    client.ask("begin\r\nset a 0 1\r\n1\r\n", "OK\r\nQUEUED\r\n");
    server.check("get a\r\nset a 0 1\r\n2\r\n", "ERR_NOT_FOUND\r\nOK 2\r\n");
    client.ask("commit\r\nget a\r\n", "COMMITTED 3 1\r\nOK 3\r\nVALUE 1\r\n1\r\n");
}

#[test]
fn no_key_is_written_twice() {
    let server = Server::start();
    for (writes, is_good) in [
        ("set a 0 1\r\n1\r\nset a 0 1\r\n2\r\n", false),
        ("set a 0 1\r\n1\r\ndelete a\r\n", false),
        ("delete a\r\nset a 0 1\r\n1\r\n", false),
        ("set a 0 1\r\n1\r\nset aa 0 1\r\n2\r\n", true),
    ] {
        let reply = if is_good { "COMMITTED # 2\r\nOK #\r\nOK #\r\n" } else { "ERR_CMD_ERR~\r\n" };
        server.check(
            format!("begin\r\n{writes}commit\r\n"),
            format!("OK\r\nQUEUED\r\nQUEUED\r\n{reply}"),
        );
    }
    server.check("getm a\r\n", "VALUE 2 0 1\r\n1\r\n");
}

#[test]
fn a_transaction_has_128_operations_and_one_mebibyte_and_a_half() {
    let server = Server::start();
    let set = |n: usize| format!("set {n} 0 1\r\n1\r\n");
    let checks: String = (0..128).map(|n| format!("check {n} 0\r\n")).collect();
    let sets: String = (0..128).map(set).collect();
    let queued = "QUEUED\r\n".repeat(256);
    server.check(
        format!("begin\r\n{checks}{sets}commit\r\n"),
        format!("OK\r\n{queued}COMMITTED 2 128\r\n{}", "OK 2\r\n".repeat(128)),
    );
    let queued = "QUEUED\r\n".repeat(128);
    server.check(
        format!("begin\r\n{sets}get k\r\ncommit\r\nget 1\r\n"),
        format!("OK\r\n{queued}ERR_TOO_LARGE~\r\nERR_CMD_ERR~\r\nVALUE 1\r\n1\r\n"),
    );
    server.check(
        format!("begin\r\n{checks}check k 0\r\ncommit\r\n"),
        format!("OK\r\n{queued}ERR_TOO_LARGE~\r\nERR_CMD_ERR~\r\n"),
    );
    // There is room for one of 128 values of one mebibyte.
    let value = "v".repeat(1 << 20);
    let sets: String = (0..128).map(|n| format!("set {n} 0 1048576\r\n{value}\r\n")).collect();
    let got = server.connect().talk(format!("begin\r\n{sets}commit\r\nget 1\r\n").as_bytes());
    let got = String::from_utf8(got).expect("it is text");
    assert_eq!(got.matches("QUEUED\r\n").count() + got.matches("ERR_TOO_LARGE ").count(), 128);
    assert!(got.starts_with("OK\r\nQUEUED\r\nERR_TOO_LARGE "), "{got}");
    assert!(got.ends_with("VALUE 1\r\n1\r\n"), "nothing was executed");
}

#[test]
fn the_limits_are_those_of_the_settings() {
    let server = Server::with("transaction_ops_max = 2\ntransaction_bytes_max = 1000\n");
    let key = "k".repeat(100);
    server.check(
        format!("begin\r\nget {key}\r\nget {key}\r\nget {key}\r\ncommit\r\n"),
        "OK\r\nQUEUED\r\nQUEUED\r\nERR_TOO_LARGE~\r\nERR_CMD_ERR~\r\n",
    );
    // 40 bytes for the transaction and each command, the key, and the value.
    for (value_bytes, is_good) in [(820, true), (821, false)] {
        let value = "v".repeat(value_bytes);
        let end = match is_good {
            true => "QUEUED\r\nCOMMITTED 2 1\r\nOK 2\r\n",
            false => "ERR_TOO_LARGE~\r\nERR_CMD_ERR~\r\n",
        };
        server.check(
            format!("begin\r\nset {key} 0 {value_bytes}\r\n{value}\r\ncommit\r\n"),
            format!("OK\r\n{end}"),
        );
    }
}

#[test]
fn a_transaction_that_only_reads_is_not_written_to_the_log() {
    let server = Server::start();
    server.check("set a 0 1\r\n1\r\n", "OK 2\r\n");
    let before = server.status()["last_log_index"].clone();
    server.check("begin\r\ncommit\r\n", "OK\r\nCOMMITTED 2 0\r\n");
    server.check(
        "begin\r\ncheck a 2\r\nget a\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nCOMMITTED 2 1\r\nVALUE 1\r\n1\r\n",
    );
    server.check("begin\r\ncheck a 7\r\ncommit\r\n", "OK\r\nQUEUED\r\nABORTED a 2\r\n");
    assert_eq!(server.status()["last_log_index"], before);
    // A write that changes nothing is in the log, and has no revision of its own.
    server.check(
        "begin\r\ndelete absent\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nCOMMITTED 2 1\r\nERR_NOT_FOUND\r\n",
    );
    assert_ne!(server.status()["last_log_index"], before);
}

#[test]
fn once_covers_a_commit() {
    let server = Server::start();
    let mut client = server.connect();
    let begin = "begin\r\ncheck a 0\r\nget b\r\nset a 0 1\r\n1\r\ndelete c\r\nget a\r\n";
    let begun = format!("OK\r\n{}", "QUEUED\r\n".repeat(5));
    client.ask("set b 0 3\r\nold\r\n", "OK 2\r\n");
    let committed = "COMMITTED 3 4\r\nVALUE 3\r\nold\r\nOK 3\r\nERR_NOT_FOUND\r\nVALUE 1\r\n1\r\n";
    client.ask(format!("{begin}once t 1 commit\r\n"), &format!("{begun}{committed}"));
    client.ask("set b 0 3\r\nnew\r\nset a 0 1\r\n2\r\n", "OK 4\r\nOK 5\r\n");
    // The reads of a retry are those of the first try.
    for _ in 0..2 {
        client.ask(format!("{begin}once t 1 commit\r\n"), &format!("{begun}{committed}"));
    }
    client.ask("getm a\r\n", "VALUE 5 0 1\r\n2\r\n");
    // A check that failed is remembered as well.
    client.ask(format!("{begin}once t 2 commit\r\n"), &format!("{begun}ABORTED a 5\r\n"));
    client.ask("delete a\r\n", "DELETED\r\n");
    client.ask(format!("{begin}once t 2 commit\r\n"), &format!("{begun}ABORTED a 5\r\n"));
    client.ask(format!("{begin}once t 1 commit\r\n"), &format!("{begun}ERR_STALE\r\n"));
    client.ask("get a\r\n", "ERR_NOT_FOUND\r\n");
    // One that was refused has used no number.
    client.ask("begin\r\nwhat\r\nonce t 3 commit\r\n", "OK\r\nERR_CMD_ERR~\r\nERR_CMD_ERR~\r\n");
    client.ask("once t 3 set z 0 1\r\n1\r\n", "OK 7\r\n");
    client.ask(format!("{begin}once t 3 commit\r\n"), &format!("{begun}OK 7\r\n"));
}

#[test]
fn a_retry_says_that_what_it_had_read_is_compacted() {
    let server = Server::start();
    let mut client = server.connect();
    let transaction = "begin\r\nget b\r\nset a 0 1\r\n1\r\nonce t 1 commit\r\n";
    client.ask("set b 0 3\r\nold\r\n", "OK 2\r\n");
    let begun = "OK\r\nQUEUED\r\nQUEUED\r\nCOMMITTED 3 2\r\n";
    client.ask(transaction, &format!("{begun}VALUE 3\r\nold\r\nOK 3\r\n"));
    client.ask("set b 0 3\r\nnew\r\nset b 0 3\r\nnow\r\n", "OK 4\r\nOK 5\r\n");
    client.ask("compact 5\r\n", "OK 5\r\n");
    client.ask(transaction, &format!("{begun}ERR_COMPACTED 5\r\nOK 3\r\n"));
}

#[test]
fn reads_at_a_revision_are_part_of_a_transaction() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set a 0 1\r\n1\r\nset a 0 1\r\n2\r\n", "OK 2\r\nOK 3\r\n");
    client.ask(
        "begin\r\nset b 0 1\r\n1\r\nget a at 2\r\nget b at 2\r\ncommit\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\n\
         COMMITTED 4 3\r\nOK 4\r\nVALUE 1\r\n1\r\nERR_NOT_FOUND\r\n",
    );
    client.ask(
        "begin\r\nset b 0 1\r\n2\r\nget a at 99\r\ncommit\r\nget b\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nERR_FUTURE 4\r\nVALUE 1\r\n1\r\n",
    );
    client.ask("compact 4\r\n", "OK 4\r\n");
    client.ask(
        "begin\r\nset b 0 1\r\n2\r\nget a at 2\r\ncommit\r\nget b\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nERR_COMPACTED 4\r\nVALUE 1\r\n1\r\n",
    );
}

#[test]
fn a_transaction_that_cannot_be_executed_whole_is_not_executed_at_all() {
    let server = Server::with("store_bytes_max = 2000\n");
    let mut client = server.connect();
    let value = "v".repeat(900);
    client.ask(
        format!(
            "begin\r\nset a 0 900\r\n{value}\r\nset b 0 900\r\n{value}\r\n\
             set c 0 900\r\n{value}\r\ncommit\r\n"
        ),
        "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\nERR_FULL\r\n",
    );
    client.ask("get a\r\nget b\r\n", "ERR_NOT_FOUND\r\nERR_NOT_FOUND\r\n");
    client.ask(
        "begin\r\nset a 0 1\r\n1\r\nset b 0 1 lease 9\r\n1\r\ncommit\r\nget a\r\n",
        "OK\r\nQUEUED\r\nQUEUED\r\nERR_NO_LEASE\r\nERR_NOT_FOUND\r\n",
    );
}

#[test]
fn a_redirect_is_the_reply_to_the_commit() {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n[log]\nsegment_bytes = 4194304\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    let leader = cluster.wait_for_leader();
    cluster.wait_until_named();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).expect("there are three");
    let input = "begin\r\ncheck a 0\r\nset a 0 1\r\n1\r\nget a\r\ncommit\r\nbegin\r\ndiscard\r\n";
    let got = Raw::open(&cluster, follower).talk(input.as_bytes());
    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(leader));
    let begun = format!("OK\r\n{}", "QUEUED\r\n".repeat(3));
    assert_matches(&got, format!("{begun}{redirect}OK\r\nOK\r\n").as_bytes());
}

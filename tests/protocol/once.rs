//! Exactly-once retries on one server. Retries over a change of leader are in
//! `leadership`.

use super::raw::Server;
use crate::common::code;

#[test]
fn the_same_number_again_gets_the_same_reply_whatever_the_command_says() {
    let server = Server::start();
    let mut client = server.connect();
    let first = client.ask("once c 1 set k 0 3\r\none\r\n", "OK #\r\n")[0];
    for retry in [
        "once c 1 set k 0 3\r\none\r\n",
        "once c 1 set k 0 5\r\nother\r\n",
        "once c 1 set another 0 3\r\none\r\n",
        "once c 1 add k 0 3\r\none\r\n",
        "once c 1 cas k 0 77 3\r\none\r\n",
        "ONCE c 01 DELETE k\r\n",
    ] {
        client.ask(retry, &format!("OK {first}\r\n"));
    }
    client.ask("get k\r\nget another\r\n", "VALUE 3\r\none\r\nERR_NOT_FOUND\r\n");
    // Names differ when any byte differs.
    client.ask("once C 1 delete k\r\n", "DELETED\r\n");
    client.ask("once C 1 delete k\r\n", "DELETED\r\n");
    client.ask("get k\r\n", "ERR_NOT_FOUND\r\n");
}

#[test]
fn not_found_version_and_exists_are_remembered_too() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("once c 1 delete k\r\n", "ERR_NOT_FOUND\r\n");
    let version = client.ask("set k 0 1\r\n1\r\n", "OK #\r\n")[0];
    client.ask("once c 1 delete k\r\n", "ERR_NOT_FOUND\r\n");
    client.ask("once c 2 cas k 0 0 1\r\n2\r\n", &format!("ERR_VERSION {version}\r\n"));
    client.ask("once c 5 add k 0 1\r\n2\r\n", &format!("ERR_EXISTS {version}\r\n"));
    client.ask("delete k\r\n", "DELETED\r\n");
    client.ask("once c 5 add k 0 1\r\n2\r\n", &format!("ERR_EXISTS {version}\r\n"));
    client.ask("get k\r\n", "ERR_NOT_FOUND\r\n");
    client.ask("once d 1 cas k 0 3 1\r\n2\r\n", "ERR_VERSION 0\r\n");
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    client.ask("once d 1 cas k 0 3 1\r\n2\r\n", "ERR_VERSION 0\r\n");
}

#[test]
fn a_lower_number_is_stale_and_gaps_are_allowed() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("once c 10 set k 0 1\r\n1\r\n", "OK #\r\n");
    for seq in [1, 9] {
        client.ask(format!("once c {seq} delete k\r\n"), "ERR_STALE\r\n");
    }
    client.ask("once c 1000 set k 0 1\r\n2\r\n", "OK #\r\n");
    client.ask("once c 10 set k 0 1\r\n1\r\n", "ERR_STALE\r\n");
    client.ask("get k\r\n", "VALUE 1\r\n2\r\n");
}

#[test]
fn a_client_that_ends_is_forgotten_and_may_say_so_again() {
    let server = Server::start();
    let mut client = server.connect();
    let clients = || server.status()["once_clients"].clone();
    client
        .ask("once c 5 set k 0 1\r\n1\r\nonce d 1 delete absent\r\n", "OK #\r\nERR_NOT_FOUND\r\n");
    assert_eq!(clients(), "2");
    client.ask("once c 4 end\r\n", "ERR_STALE\r\n");
    assert_eq!(clients(), "2");
    client.ask("once c 5 end\r\nonce c 5 end\r\nONCE c 1 End\r\n", "ENDED\r\nENDED\r\nENDED\r\n");
    assert_eq!(clients(), "1");
    client.ask("once d 9 end noreply\r\nping\r\n", "PONG\r\n");
    assert_eq!(clients(), "0");
    client.ask("once never 1 end\r\n", "ENDED\r\n");
    // The name begins anew, with any number.
    client.ask("once c 1 delete k\r\nonce c 1 end\r\n", "DELETED\r\nENDED\r\n");
}

#[test]
fn an_end_is_a_whole_command_behind_once_and_nowhere_else() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("once c 1 set k 0 1\r\n1\r\n", "OK #\r\n");
    for wrong in ["end", "once c end", "once c 0 end", "once c 1 end k", "once c 1 end noreply x"] {
        client.ask(format!("{wrong}\r\n"), "ERR_CMD_ERR~\r\n");
    }
    client.ask("once c 1 delete k\r\n", "OK #\r\n");
    assert_eq!(server.status()["once_clients"], "1");
}

#[test]
fn a_malformed_or_too_large_command_uses_no_number() {
    let server = Server::start();
    let mut client = server.connect();
    let value = "v".repeat((1 << 20) + 1);
    client.ask("once c 1 set k x 1\r\n1\r\n", "ERR_CMD_ERR~\r\n");
    client.ask(format!("once c 1 set k 0 1048577\r\n{value}\r\n"), "ERR_TOO_LARGE~\r\n");
    client.ask(format!("once c 1 delete {}\r\n", "k".repeat(251)), "ERR_TOO_LARGE~\r\n");
    client.ask("once c 1 get k\r\n", "ERR_CMD_ERR~\r\n");
    client.ask("once c 1 set k 0 1\r\n1\r\n", "OK #\r\n");
}

#[test]
fn a_retry_in_the_same_write_and_on_another_connection_is_not_executed_again() {
    let server = Server::start();
    let versions = server.check(
        "once c 1 set k 0 1\r\n1\r\nonce c 1 set k 0 1\r\n2\r\nget k\r\n",
        "OK #\r\nOK #\r\nVALUE 1\r\n1\r\n",
    );
    assert_eq!(versions[0], versions[1]);
    assert_eq!(server.check("once c 1 set k 0 1\r\n3\r\n", "OK #\r\n")[0], versions[0]);
}

#[test]
fn the_numbers_and_replies_outlive_a_kill_and_a_restart() {
    let mut server = Server::start();
    let version = server.check("once c 7 set k 0 1\r\n1\r\n", "OK #\r\n")[0];
    server.check("once d 3 delete absent\r\n", "ERR_NOT_FOUND\r\n");
    server.check("set absent 0 1\r\n1\r\n", "OK #\r\n");
    for _ in 0..2 {
        server.cluster.kill(1);
        server.cluster.start_server(1);
        server.cluster.wait_for_leader();
        server.check(
            "once c 7 set k 0 1\r\n2\r\nonce c 6 delete k\r\nonce d 3 delete absent\r\nget k\r\n",
            format!("OK {version}\r\nERR_STALE\r\nERR_NOT_FOUND\r\nVALUE 1\r\n1\r\n"),
        );
    }
}

/// A shell that writes a key in a loop must not fill the table of names.
#[test]
fn the_command_line_leaves_no_name_behind() {
    let server = Server::start();
    let code = |arguments: &[&str]| code(&server.cluster.coracle(arguments));
    for n in 0..5 {
        assert_eq!(code(&["set", "key", &n.to_string()]), 0);
    }
    assert_eq!(code(&["get", "key"]), 0);
    assert_eq!(code(&["add", "key", "x"]), 1);
    assert_eq!(code(&["delete", "key"]), 0);
    assert_eq!(code(&["delete", "key"]), 1);
    assert_eq!(server.status()["once_clients"], "0");
}

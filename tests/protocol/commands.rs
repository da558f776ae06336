//! The effect of each command, and `noreply`.

use super::raw::Server;

#[test]
fn set_stores_and_every_write_has_a_higher_version() {
    let server = Server::start();
    let mut client = server.connect();
    let mut last = 0;
    for command in [
        "set k 0 1\r\n1\r\n",
        "set k 0 1\r\n1\r\n",
        "set other 0 1\r\n1\r\n",
        "cas k 0 0001 1\r\n1\r\n",
        "add new 0 1\r\n1\r\n",
    ] {
        let command = command.replace("0001", &last_version(&mut client, "k").to_string());
        let version = client.ask(command, "OK #\r\n")[0];
        assert!(version > last, "{version} after {last}");
        last = version;
    }
    let first = client.ask("set k 0 0\r\n\r\n", "OK #\r\n")[0];
    client.ask("delete k\r\n", "DELETED\r\n");
    let second = client.ask("set k 0 0\r\n\r\n", "OK #\r\n")[0];
    assert!(second > first, "a key that comes back does not come back to an old version");
}

fn last_version(client: &mut super::raw::Raw, key: &str) -> u64 {
    client.send(format!("getm {key}\r\n"));
    let line = client.line();
    if line == "ERR_NOT_FOUND\r\n" {
        return 0;
    }
    client.line();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn getm_returns_the_version_that_answered_the_write() {
    let server = Server::start();
    let mut client = server.connect();
    let stored = client.ask("set k 0 3\r\none\r\n", "OK #\r\n")[0];
    assert!(stored > 0);
    assert_eq!(client.ask("getm k\r\n", "VALUE # # 3\r\none\r\n"), [stored, 0]);
    let swapped = client.ask(format!("cas k 100 {stored} 2\r\n22\r\n"), "OK #\r\n")[0];
    let [version, left] = client.ask("getm k\r\n", "VALUE # # 2\r\n22\r\n")[..] else { panic!() };
    assert_eq!(version, swapped);
    assert!((1..=100).contains(&left));
    assert_eq!(client.ask("scan k 1\r\n", "KEY k # # 2\r\n22\r\nEND\r\n")[0], swapped);
}

#[test]
fn add_stores_only_what_is_absent() {
    let server = Server::start();
    let mut client = server.connect();
    let version = client.ask("add k 0 3\r\none\r\n", "OK #\r\n")[0];
    client.ask("add k 0 3\r\ntwo\r\n", &format!("ERR_EXISTS {version}\r\n"));
    client.ask("get k\r\n", "VALUE 3\r\none\r\n");
    client.ask("delete k\r\nadd k 0 3\r\ntwo\r\n", "DELETED\r\nOK #\r\n");
}

#[test]
fn cas_stores_only_at_the_version_it_names() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("cas k 0 7 3\r\none\r\n", "ERR_VERSION 0\r\n");
    let version = client.ask("cas k 0 0 3\r\none\r\n", "OK #\r\n")[0];
    client.ask("cas k 0 0 3\r\ntwo\r\n", &format!("ERR_VERSION {version}\r\n"));
    let other = version + 1;
    client.ask(format!("cas k 0 {other} 3\r\ntwo\r\n"), &format!("ERR_VERSION {version}\r\n"));
    client.ask("get k\r\n", "VALUE 3\r\none\r\n");
    let next = client.ask(format!("cas k 0 {version} 3\r\ntwo\r\n"), "OK #\r\n")[0];
    client.ask(format!("cas k 0 {version} 3\r\nxxx\r\n"), &format!("ERR_VERSION {next}\r\n"));
    client.ask("get k\r\n", "VALUE 3\r\ntwo\r\n");
    client.ask("delete k\r\n", "DELETED\r\n");
    client.ask(format!("cas k 0 {next} 3\r\nxxx\r\n"), "ERR_VERSION 0\r\n");
}

#[test]
fn an_absent_key_is_not_found() {
    let server = Server::start();
    server.check(
        "get k\r\ngetm k\r\ndelete k\r\nscan k 1\r\nset k 0 1\r\n1\r\ndelete k\r\ndelete k\r\n",
        "ERR_NOT_FOUND\r\nERR_NOT_FOUND\r\nERR_NOT_FOUND\r\nEND\r\nOK #\r\nDELETED\r\n\
         ERR_NOT_FOUND\r\n",
    );
}

#[test]
fn a_well_formed_noreply_is_never_answered() {
    let server = Server::start();
    server.check(
        "set k 0 1 noreply\r\n1\r\nget k\r\nadd k 0 1 noreply\r\n2\r\ncas k 0 0 1 noreply\r\n3\r\n\
         delete absent noreply\r\nonce c 2 set k 0 1 noreply\r\n4\r\n\
         once c 1 set k 0 1 noreply\r\n5\r\nonce c 2 set k 0 1 noreply\r\n6\r\nget k\r\n\
         delete k noreply\r\nget k\r\nping\r\n",
        "VALUE 1\r\n1\r\nVALUE 1\r\n4\r\nERR_NOT_FOUND\r\nPONG\r\n",
    );
}

#[test]
fn a_digest_is_that_of_the_store_after_the_entry_and_of_no_entry_to_come() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    let status = server.status();
    let (first, digest_now) = (&status["last_applied"], status["store_digest"].clone());
    client.ask("set k 0 1\r\n2\r\n", "OK #\r\n");
    assert_ne!(server.status()["store_digest"], digest_now);
    client.ask(format!("digest {first}\r\n"), &format!("DIGEST {first} {digest_now}\r\n"));
    client.ask(format!("digest {}\r\n", u64::MAX), "ERR_NOT_FOUND\r\n");
}

#[test]
fn a_hold_is_durable_when_it_is_answered() {
    let mut server = Server::start();
    for (command, is_held) in [("hold", "yes"), ("hold", "yes"), ("release", "no")] {
        server.connect().ask(format!("upgrade {command}\r\n"), "OK\r\n");
        assert_eq!(server.status()["upgrade_held"], is_held);
        server.cluster.kill(1);
        server.cluster.start_server(1);
        server.cluster.wait_for_leader();
        assert_eq!(server.status()["upgrade_held"], is_held, "after {command}");
    }
}

#[test]
fn a_malformed_or_too_large_command_is_answered_in_spite_of_noreply() {
    let server = Server::start();
    let (key, value) = ("k".repeat(251), "v".repeat((1 << 20) + 1));
    for (command, reply) in [
        ("set k x 1 noreply\r\n1\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("set k 0 1 noreply\r\n12\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("set k 0 noreply\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("delete k noreply x\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("delete noreply noreply noreply\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("get k noreply\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        ("ping noreply\r\n".to_owned(), "ERR_CMD_ERR~\r\n"),
        (format!("set {key} 0 1 noreply\r\n1\r\n"), "ERR_TOO_LARGE~\r\n"),
        (format!("delete {key} noreply\r\n"), "ERR_TOO_LARGE~\r\n"),
        (format!("set k 0 1048577 noreply\r\n{value}\r\n"), "ERR_TOO_LARGE~\r\n"),
    ] {
        server.check(format!("{command}ping\r\n"), format!("{reply}PONG\r\n"));
    }
    // In the place of a key the word is a key.
    server.check(
        "set noreply 0 1\r\n1\r\nget noreply\r\ndelete noreply\r\nget noreply\r\n",
        "OK #\r\nVALUE 1\r\n1\r\nDELETED\r\nERR_NOT_FOUND\r\n",
    );
}

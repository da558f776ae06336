//! Expiry. Nothing here depends on the speed of the machine: a key is never gone early by
//! clocks that are read before its write and after its absence, and the tests poll until it
//! is gone.

use std::time::Instant;

use super::raw::Server;

#[test]
fn a_key_is_there_until_its_deadline_and_goes_without_any_other_write() {
    let server = Server::start();
    let mut client = server.connect();
    let before = Instant::now();
    client.ask("set short 1 1\r\n1\r\nset long 100 1\r\n1\r\n", "OK #\r\nOK #\r\n");
    client.ask("add added 1 1\r\n1\r\ncas swapped 1 0 1\r\n1\r\n", "OK #\r\nOK #\r\n");
    for key in ["short", "added", "swapped"] {
        server.cluster.wait_for("the key to expire", || {
            client.send(format!("get {key}\r\n"));
            if client.line() == "ERR_NOT_FOUND\r\n" {
                return Some(());
            }
            client.line();
            None
        });
        let passed_ms = before.elapsed().as_millis();
        assert!(passed_ms >= 1_000, "{key} went after {passed_ms} ms");
        client.ask(format!("getm {key}\r\n"), "ERR_NOT_FOUND\r\n");
        client.ask(format!("delete {key}\r\n"), "ERR_NOT_FOUND\r\n");
        client.ask(format!("scan {key} 10\r\n"), "END\r\n");
        client.ask(format!("cas {key} 0 7 1\r\n1\r\n"), "ERR_VERSION 0\r\n");
    }
    assert_eq!(server.status()["keys"], "1", "long");
    // An expired key is absent in every respect.
    client.ask("add short 0 1\r\n2\r\n", "OK #\r\n");
    client.ask("cas added 0 0 1\r\n2\r\n", "OK #\r\n");
    client.ask("get short\r\nget added\r\n", "VALUE 1\r\n2\r\nVALUE 1\r\n2\r\n");
}

#[test]
fn getm_and_scan_return_the_remaining_seconds() {
    let server = Server::start();
    let mut client = server.connect();
    let before = Instant::now();
    client.ask("set k 3 1\r\n1\r\n", "OK #\r\n");
    loop {
        client.send("getm k\r\n");
        let line = client.line();
        if line == "ERR_NOT_FOUND\r\n" {
            break;
        }
        client.line();
        let left: u128 = line.split(' ').nth(2).unwrap().parse().unwrap();
        let passed_ms = before.elapsed().as_millis();
        assert!((1..=3).contains(&left), "{line}");
        // Seconds are rounded up: the time left and the time passed are together no less.
        assert!(left * 1_000 + passed_ms >= 3_000, "{left} after {passed_ms} ms");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    client.ask("set k 0 1\r\n1\r\ngetm k\r\n", "OK #\r\nVALUE # 0 1\r\n1\r\n");
    let left = client.ask("set k 9 1\r\n1\r\nscan k 1\r\n", "OK #\r\nKEY k # # 1\r\n1\r\nEND\r\n");
    assert!((1..=9).contains(&left[2]), "{left:?}");
}

#[test]
fn a_later_write_replaces_the_deadline() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("set kept 1 1\r\n1\r\nset kept 0 1\r\n2\r\n", "OK #\r\nOK #\r\n");
    client.ask("set later 1 1\r\n1\r\nset later 1000 1\r\n2\r\n", "OK #\r\nOK #\r\n");
    client.ask("set sooner 1000 1\r\n1\r\nset sooner 1 1\r\n2\r\n", "OK #\r\nOK #\r\n");
    server.cluster.wait_for("the key with the latest deadline to expire", || {
        client.send("get sooner\r\n");
        let gone = client.line() == "ERR_NOT_FOUND\r\n";
        if !gone {
            client.line();
        }
        gone.then_some(())
    });
    client.ask("get kept\r\nget later\r\n", "VALUE 1\r\n2\r\nVALUE 1\r\n2\r\n");
}

#[test]
fn an_expired_key_does_not_come_back_and_a_due_key_expires_after_a_restart() {
    let mut server = Server::start();
    server.check("set k 1 1\r\n1\r\nset stays 0 1\r\n1\r\n", "OK #\r\nOK #\r\n");
    server.cluster.kill(1);
    server.cluster.start_server(1);
    server.cluster.wait_for_leader();
    server.cluster.wait_for("the key to expire", || (server.status()["keys"] == "1").then_some(()));
    server.check("get k\r\nget stays\r\n", "ERR_NOT_FOUND\r\nVALUE 1\r\n1\r\n");
    server.cluster.kill(1);
    server.cluster.start_server(1);
    server.cluster.wait_for_leader();
    server.check("get k\r\nget stays\r\n", "ERR_NOT_FOUND\r\nVALUE 1\r\n1\r\n");
}

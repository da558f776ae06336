//! Leases: `grant`, `renew`, `revoke`, `lease`, and writes of keys that go with one.

use std::time::Instant;

use super::raw::Server;
use crate::common::PATIENCE;

#[test]
fn a_lease_is_granted_renewed_shown_and_revoked() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("grant 60 77\r\n", "LEASE 77 60\r\n");
    client.ask("set b 0 1 lease 77\r\n1\r\nset a 0 1 LEASE 077\r\n1\r\n", "OK 2\r\nOK 3\r\n");
    client.ask("add c 0 1 lease 77\r\n1\r\ncas c 0 4 1 lease 77\r\n2\r\n", "OK 4\r\nOK 5\r\n");
    client.ask("set other 0 1\r\n1\r\n", "OK 6\r\n");
    let left = client.ask("lease 77\r\n", "LEASE 77 #\r\nKEY a\r\nKEY b\r\nKEY c\r\nEND\r\n")[0];
    assert!((1..=60).contains(&left), "{left}");
    client.ask("renew 77\r\n", "LEASE 77 60\r\n");
    assert_eq!(server.status()["leases"], "1");
    // All its keys go with one revision.
    client.ask("REVOKE 77\r\n", "REVOKED\r\n");
    client.ask("scan * 10\r\n", "KEY other 6 0 1\r\n1\r\nEND\r\n");
    client.ask("set a 0 1\r\n2\r\n", "OK 8\r\n");
    client.ask("get c at 6\r\nget c at 7\r\n", "VALUE 1\r\n2\r\nERR_NOT_FOUND\r\n");
    assert_eq!(server.status()["leases"], "0");
}

#[test]
fn the_store_chooses_an_id_when_none_is_named() {
    let server = Server::start();
    let ids = server.check("grant 60\r\ngrant 60\r\n", "LEASE # 60\r\nLEASE # 60\r\n");
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| (1..=i64::MAX as u64).contains(id)), "{ids:?}");
    server.check(format!("lease {}\r\n", ids[1]), format!("LEASE {} #\r\nEND\r\n", ids[1]));
    server.check(format!("grant 60 {}\r\n", ids[0]), "ERR_LEASE_EXISTS\r\n");
}

#[test]
fn a_lease_that_is_not_there_is_told() {
    let server = Server::start();
    for line in ["renew 77", "revoke 77", "lease 77"] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_NO_LEASE\r\nPONG\r\n");
    }
    server.check(
        "set k 0 1 lease 77\r\n1\r\nadd k 0 1 lease 77\r\n1\r\n\
         cas k 0 0 1 lease 77\r\n1\r\nget k\r\n",
        "ERR_NO_LEASE\r\nERR_NO_LEASE\r\nERR_NO_LEASE\r\nERR_NOT_FOUND\r\n",
    );
    server.check("set k 0 1 lease 77 noreply\r\n1\r\nget k\r\n", "ERR_NOT_FOUND\r\n");
    server.check("once c 1 set k 0 1 lease 77\r\n1\r\n", "ERR_NO_LEASE\r\n");
    server.check("grant 60 77\r\n", "LEASE 77 60\r\n");
    server.check(
        "once c 1 set k 0 1 lease 77\r\n1\r\nset k 0 1 lease 77 noreply\r\n1\r\nget k\r\n",
        "ERR_NO_LEASE\r\nVALUE 1\r\n1\r\n",
    );
    server.check("revoke 77\r\nrevoke 77\r\n", "REVOKED\r\nERR_NO_LEASE\r\n");
}

#[test]
fn malformed_commands_about_leases_are_told_and_their_blocks_are_skipped() {
    let server = Server::start();
    for line in [
        "grant",
        "grant 0",
        "grant 3153600001",
        "grant x",
        "grant -1",
        "grant 60 0",
        "grant 60 x",
        "grant 60 9223372036854775808",
        "grant 60 77 1",
        "renew",
        "renew x",
        "renew 0",
        "renew 9223372036854775808",
        "renew 77 77",
        "revoke",
        "revoke 0",
        "revoke 77 noreply",
        "lease",
        "lease x",
        "lease 0",
        "lease 77 keys",
        "set k 0 4 lease\r\nquit",
        "set k 0 4 lease x\r\nquit",
        "set k 0 4 lease 0\r\nquit",
        "set k 0 4 noreply lease 77\r\nquit",
        "set k 0 4 lease 77 77\r\nquit",
        "add k 0 4 lease 77 now\r\nquit",
        "cas k 0 4 lease 77",
        "cas k 0 0 4 lease 77 77\r\nquit",
        "once c 1 grant 60",
        "once c 1 revoke 77",
        "once c 1 renew 77",
    ] {
        server.check(format!("{line}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    server.check(
        "grant 3153600000 9223372036854775807\r\n",
        "LEASE 9223372036854775807 3153600000\r\n",
    );
}

#[test]
fn a_write_without_a_lease_takes_the_key_from_its_lease() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("grant 60 1\r\ngrant 60 2\r\n", "LEASE 1 60\r\nLEASE 2 60\r\n");
    for key in ["a", "b", "c", "d"] {
        client.ask(format!("set {key} 0 1 lease 1\r\n1\r\n"), "OK #\r\n");
    }
    client.ask(
        "set a 0 1\r\n2\r\nset b 0 1 lease 2\r\n2\r\ndelete c\r\n",
        "OK #\r\nOK #\r\nDELETED\r\n",
    );
    client.ask(
        "lease 1\r\nlease 2\r\n",
        "LEASE 1 #\r\nKEY d\r\nEND\r\nLEASE 2 #\r\nKEY b\r\nEND\r\n",
    );
    client.ask(
        "revoke 1\r\nget a\r\nget b\r\nget d\r\n",
        "REVOKED\r\nVALUE 1\r\n2\r\nVALUE 1\r\n2\r\nERR_NOT_FOUND\r\n",
    );
}

#[test]
fn a_lease_is_not_gone_early_and_is_gone_within_a_second() {
    let server = Server::start();
    let mut client = server.connect();
    let granted = Instant::now();
    client.ask("grant 2 7\r\nset k 0 1 lease 7\r\n1\r\n", "LEASE 7 2\r\nOK 2\r\n");
    let told = Instant::now();
    loop {
        client.send("get k\r\n");
        if client.line() == "ERR_NOT_FOUND\r\n" {
            break;
        }
        client.expect("1\r\n");
        assert!(told.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    assert!(granted.elapsed().as_secs_f64() >= 2.0, "gone after {:?}", granted.elapsed());
    client.ask("renew 7\r\nlease 7\r\n", "ERR_NO_LEASE\r\nERR_NO_LEASE\r\n");
    client.ask("get k at 2\r\nget k at 3\r\n", "VALUE 1\r\n1\r\nERR_NOT_FOUND\r\n");
}

#[test]
fn the_number_of_leases_is_bounded() {
    let server = Server::with("leases_max = 2\n");
    let mut client = server.connect();
    client.ask("grant 60 1\r\ngrant 60 2\r\n", "LEASE 1 60\r\nLEASE 2 60\r\n");
    client.ask("grant 60 3\r\ngrant 60\r\nlease 3\r\n", "ERR_FULL\r\nERR_FULL\r\nERR_NO_LEASE\r\n");
    client.ask("renew 2\r\nrevoke 1\r\ngrant 60 3\r\n", "LEASE 2 60\r\nREVOKED\r\nLEASE 3 60\r\n");
}

#[test]
fn a_lease_of_very_many_keys_shows_ten_thousand() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("grant 600 7\r\n", "LEASE 7 600\r\n");
    let set = |n: usize| format!("set {n:05} 0 0 lease 7 noreply\r\n\r\n");
    client.send((0..10_000).map(set).collect::<String>());
    let keys: String = (0..10_000).map(|n| format!("KEY {n:05}\r\n")).collect();
    client.ask("lease 7\r\n", &format!("LEASE 7 #\r\n{keys}END\r\n"));
    client.ask(format!("{}lease 7\r\n", set(10_000)), &format!("LEASE 7 #\r\n{keys}MORE\r\n"));
    client.ask("revoke 7\r\nscan * 1\r\n", "REVOKED\r\nEND\r\n");
}

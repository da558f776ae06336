//! Transactions, leases and modes: what leaves the session, and what is told of the answers.

use std::sync::Arc;

use super::*;
use crate::kv::{OperationOutcome, TransactionOutcome};
use crate::types::Format;

/// With room for several replies that may be large.
const ROOMY: SessionSettings = SessionSettings { inflight_bytes_max: 64 * 1024 * KIB, ..SETTINGS };

/// The operation of a write that leaves the session.
fn operation(request: &ClientRequest) -> (kv::Operation, Option<kv::Once>) {
    let (ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command)) = request else {
        panic!("{request:?} is no write")
    };
    let command = kv::Command::decode(command, Format(4)).expect("it was encoded here");
    (command.operation, command.once)
}

fn put(count: usize) -> kv::Outcome {
    let operations = vec![OperationOutcome::Put { previous: None }; count];
    let outcome = TransactionOutcome { revision: 9, clock_ms: 0, failed: None, operations };
    kv::Outcome::Transaction(Arc::new(outcome))
}

#[test]
fn the_commands_of_a_transaction_leave_as_one() {
    let mut f = Fixture::new(SETTINGS);
    f.read("begin\r\ncheck a 0\r\nset a 0 1\r\nx\r\nset b 0 1\r\ny\r\n");
    assert_eq!(f.heard(), "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\n");
    assert!(f.requests().is_empty());
    f.read("once c 7 commit\r\nget a\r\n");
    let requests = f.requests();
    assert_eq!(requests.len(), 2, "the transaction is over");
    let (sent, once) = operation(&requests[0].1);
    let kv::Operation::Transaction(transaction) = sent else { panic!("{sent:?}") };
    assert_eq!((transaction.compares.len(), transaction.then.len()), (1, 2));
    assert_eq!(once, Some(kv::Once { client: "c".into(), seq: 7 }));
    assert!(f.session.answer_write(requests[0].0, put(2)));
    f.answer(requests[1].0, value("x"));
    assert_eq!(f.heard(), "COMMITTED 9 2\r\nOK 9\r\nOK 9\r\nVALUE 1\r\nx\r\n");
}

#[test]
fn a_transaction_that_only_reads_is_a_read_unless_its_number_counts() {
    let mut f = Fixture::new(SETTINGS);
    f.read("begin\r\ncheck a 1\r\nget a\r\ncommit\r\nbegin\r\ncommit\r\n");
    f.read("begin\r\nget a\r\nonce c 1 commit\r\n");
    let requests = f.requests();
    let is_read =
        |request: &ClientRequest| matches!(request, ClientRequest::Read(kv::Query::Transaction(_)));
    assert!(is_read(&requests[0].1) && is_read(&requests[1].1), "{requests:?}");
    assert!(matches!(requests[2].1, ClientRequest::Write(_)), "{requests:?}");
}

#[test]
fn a_refused_command_spoils_the_transaction_and_nothing_else() {
    for (bad, error) in [
        ("ping", "ERR_CMD_ERR"),
        ("begin", "ERR_CMD_ERR"),
        ("watch key k", "ERR_CMD_ERR"),
        ("mode any", "ERR_CMD_ERR"),
        ("what", "ERR_CMD_ERR"),
        ("delete k noreply", "ERR_CMD_ERR"),
        ("set k 0 1 noreply\r\nx", "ERR_CMD_ERR"),
        ("add k 0 1\r\nx", "ERR_CMD_ERR"),
        ("once c 1 delete k", "ERR_CMD_ERR"),
        ("set k x 4\r\nquit", "ERR_CMD_ERR"),
        ("set k 0 1\r\nxy", "ERR_CMD_ERR"),
        ("set k 0 1048577\r\n", "ERR_TOO_LARGE"),
    ] {
        let mut f = Fixture::new(SETTINGS);
        let block = if error == "ERR_TOO_LARGE" { "v".repeat(1_048_577) } else { String::new() };
        f.read(&format!("begin\r\nset a 0 1\r\nx\r\n{bad}{block}\r\nget a\r\ncommit\r\nping\r\n"));
        let heard = f.heard();
        let lines: Vec<&str> = heard.split_terminator("\r\n").collect();
        let [begun, first, told, last, commit, ping] = lines[..] else { panic!("{bad}: {heard}") };
        assert_eq!((begun, first, last, ping), ("OK", "QUEUED", "QUEUED", "PONG"), "{bad}");
        assert!(told.starts_with(error), "{bad}: {told}");
        assert!(commit.starts_with("ERR_CMD_ERR "), "{bad}: {commit}");
        assert!(f.requests().is_empty(), "{bad}");
    }
}

#[test]
fn the_limits_hold_for_a_transaction() {
    let mut f = Fixture::new(SETTINGS);
    f.read("begin\r\n");
    let command = "get k\r\n";
    f.read(&command.repeat(8));
    assert_eq!(f.heard(), format!("OK\r\n{}", "QUEUED\r\n".repeat(8)));
    f.read(command);
    let too_large = "ERR_TOO_LARGE the transaction has 9 operations; it must have at most 8\r\n";
    assert_eq!(f.heard(), too_large);
    f.read("commit\r\n");
    assert!(f.heard().starts_with("ERR_CMD_ERR "));
    // Two values that have room each, and none together.
    let half = format!("0 {}\r\n{}\r\n", 600 * KIB, "v".repeat(600 * KIB));
    f.read(&format!("begin\r\nset a {half}set b {half}commit\r\n"));
    let heard = f.heard();
    let lines: Vec<&str> = heard.split_terminator("\r\n").collect();
    assert_eq!(lines[..2], ["OK", "QUEUED"]);
    assert!(lines[2].starts_with("ERR_TOO_LARGE the transaction has "), "{heard}");
    assert!(lines[3].starts_with("ERR_CMD_ERR "), "{heard}");
    assert!(f.requests().is_empty());
}

#[test]
fn commands_of_transactions_outside_of_one_are_refused() {
    let mut f = Fixture::new(SETTINGS);
    for line in ["check k 1", "commit", "once c 1 commit", "discard"] {
        f.read(&format!("{line}\r\n"));
        assert!(f.heard().starts_with("ERR_CMD_ERR "), "{line}");
    }
    f.read("begin\r\nset a 0 1\r\nx\r\ndiscard\r\ncommit\r\n");
    let heard = f.heard();
    assert!(heard.starts_with("OK\r\nQUEUED\r\nOK\r\nERR_CMD_ERR "), "{heard}");
    f.read("begin\r\nwhat\r\ndiscard\r\nbegin\r\ncommit\r\n");
    assert_eq!(f.requests().len(), 1, "a spoiled one can be forgotten");
}

#[test]
fn what_a_transaction_keeps_is_counted_and_given_up_when_there_is_no_memory() {
    let mut f = Fixture::new(SETTINGS);
    let value = "v".repeat(100 * KIB);
    f.read(&format!("begin\r\nset a 0 {}\r\n{value}\r\n", value.len()));
    assert_eq!(f.heard(), "OK\r\nQUEUED\r\n");
    f.session.update_memory(&mut f.io);
    assert!(f.io.used_bytes as usize > value.len(), "{}", f.io.used_bytes);
    f.io.memory_bytes = 150 * KIB as u64;
    f.read("get a\r\n");
    assert_eq!(f.heard(), "ERR_BUSY\r\n");
    f.session.update_memory(&mut f.io);
    assert!((f.io.used_bytes as usize) < KIB, "two of them must not wait for each other");
    f.read("commit\r\nping\r\n");
    let heard = f.heard();
    assert!(heard.starts_with("ERR_CMD_ERR ") && heard.ends_with("\r\nPONG\r\n"), "{heard}");
    // There may be no memory only when the transaction is to leave.
    f.io.memory_bytes = 0;
    f.session.update_memory(&mut f.io);
    f.read("begin\r\n");
    assert_eq!(f.heard(), "OK\r\n");
    f.read("commit\r\n");
    assert_eq!(f.heard(), "ERR_BUSY\r\n");
    f.read("discard\r\n");
    assert!(f.heard().starts_with("ERR_CMD_ERR "), "the reply to commit ends a transaction");
}

#[test]
fn a_transaction_that_has_timed_out_costs_no_more_than_its_command() {
    let mut f = Fixture::new(SETTINGS);
    f.read(&format!("begin\r\nset a 0 1\r\nx\r\n{}commit\r\n", "get a\r\n".repeat(3)));
    let requests = f.requests();
    let ClientRequest::Write(command) = &requests[0].1 else { panic!("{requests:?}") };
    assert!(f.session.time_out(requests[0].0, outcome::timed_out()));
    f.step();
    assert!(f.heard().ends_with("ERR_TIMEOUT\r\n"));
    let held = f.session.window.held_bytes();
    assert!(held < command.len() + 2 * 64, "{held}");
    assert!(f.session.settle(command.len()));
    assert_eq!(f.session.window.held_bytes(), 0);
}

#[test]
fn leases_are_asked_for_with_the_limit_and_told_by_their_ids() {
    let mut f = Fixture::new(ROOMY);
    f.read("grant 60\r\nrenew 5\r\nlease 6\r\nrevoke 7\r\n");
    let requests = f.requests();
    let (granted, _) = operation(&requests[0].1);
    assert_eq!(granted, kv::Operation::Grant { id: 0, ttl: 60, leases_max: 50 });
    assert_eq!(requests[1].1, ClientRequest::Renew { id: 5, is_anywhere: false });
    let (revoked, _) = operation(&requests[3].1);
    assert_eq!(revoked, kv::Operation::Revoke { id: 7 });
    let lease = kv::Answer::Lease { left: 3, ttl: 60, keys: vec!["a".into()] };
    assert!(f.session.answer_write(requests[3].0, kv::Outcome::Revoked));
    assert!(f.session.answer_read(requests[2].0, lease));
    assert!(f.session.answer_write(requests[1].0, kv::Outcome::Renewed(vec![None])));
    assert!(f.session.answer_write(requests[0].0, kv::Outcome::Granted { id: 4, ttl: 60 }));
    f.step();
    let heard = f.heard();
    assert_eq!(heard, "LEASE 4 60\r\nERR_NO_LEASE\r\nLEASE 6 3\r\nKEY a\r\nEND\r\nREVOKED\r\n");
}

#[test]
fn the_mode_decides_where_the_commands_behind_it_go() {
    let show = |request: ClientRequest| match request {
        ClientRequest::Write(_) => "write",
        ClientRequest::WriteAnywhere(_) => "write anywhere",
        ClientRequest::Read(_) => "read",
        ClientRequest::ReadAnywhere(_) => "read anywhere",
        ClientRequest::ReadApplied(_) => "read applied",
        ClientRequest::Renew { is_anywhere: false, .. } => "renew",
        ClientRequest::Renew { is_anywhere: true, .. } => "renew anywhere",
        request => panic!("{request:?}"),
    };
    let commands = "set k 0 1\r\nx\r\nget k\r\nscan * 1\r\nget k at 3\r\nrenew 1\r\ngrant 1\r\n\
        begin\r\nget k\r\ncommit\r\n";
    for (mode, expected) in [
        ("", ["write", "read", "read", "read applied", "renew", "write", "read"]),
        ("mode leader\r\n", ["write", "read", "read", "read applied", "renew", "write", "read"]),
        (
            "mode any\r\n",
            [
                "write anywhere",
                "read anywhere",
                "read anywhere",
                "read applied",
                "renew anywhere",
                "write anywhere",
                "read anywhere",
            ],
        ),
        (
            "mode stale\r\n",
            [
                "write anywhere",
                "read applied",
                "read applied",
                "read applied",
                "renew anywhere",
                "write anywhere",
                "read applied",
            ],
        ),
    ] {
        let mut f = Fixture::new(ROOMY);
        f.read(&format!("{mode}{commands}"));
        let sent: Vec<&str> = f.requests().into_iter().map(|(_, it)| show(it)).collect();
        assert_eq!(sent, expected, "{mode}");
    }
    let mut f = Fixture::new(ROOMY);
    f.read("mode any\r\nget k\r\nmode leader\r\nget k\r\n");
    let sent: Vec<&str> = f.requests().into_iter().map(|(_, it)| show(it)).collect();
    assert_eq!(sent, ["read anywhere", "read"]);
    assert_eq!(f.heard(), "OK\r\n");
}

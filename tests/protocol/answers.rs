//! The commands that a server answers by itself: `ping`, `status`, `help`, `quit`.

use super::raw::Server;

#[test]
fn status_has_its_keys_in_order_and_ends() {
    let server = Server::start();
    let text = "id 1\r\nrole leader\r\nterm #\r\nleader 1\r\ncommit_index #\r\nlast_applied #\r\n\
                last_log_index #\r\nsnapshot_index 0\r\nkeys 1\r\nuptime_seconds #\r\n\
                wall_clock_ms #\r\nstore_clock_ms #\r\n\
                store_bytes #\r\nonce_clients #\r\nstore_digest ~\r\nmemory_bytes_used #\r\n\
                snapshot_transfers none\r\nsnapshot_refusals none\r\nversion ~\r\n\
                format #\r\nreads_formats 1..4\r\ncluster_id ~\r\nincarnation ~\r\n\
                upgrade_held no\r\nupgrade_waits_for ~\r\nremoved_at none\r\n\
                draining no\r\nrevision 2\r\ncompacted_revision 1\r\nhistory_changes 1\r\n\
                history_bytes #\r\nleases 0\r\nEND\r\n";
    let numbers = server.check("set k 0 1\r\n1\r\nSTATUS\r\n", format!("OK #\r\n{text}"));
    let [version, term, commit_index, last_applied, last_log_index, ..] = numbers[..] else {
        panic!("{numbers:?}")
    };
    assert!(term >= 1);
    assert_eq!(version, 2, "the first write of a new cluster makes its second revision");
    assert_eq!([commit_index, last_applied], [last_log_index; 2]);
}

#[test]
fn help_names_every_command_and_ends() {
    let server = Server::start();
    let help = String::from_utf8(server.connect().talk(b"help\r\n")).unwrap();
    let lines: Vec<&str> = help.split_terminator("\r\n").collect();
    assert_eq!(lines.iter().position(|line| *line == "END"), Some(lines.len() - 1), "{help}");
    for word in [
        "set",
        "add",
        "cas",
        "delete",
        "get",
        "getm",
        "scan",
        "once",
        "begin",
        "check",
        "commit",
        "grant",
        "renew",
        "watch key",
        "watch prefix",
        "compact",
        "mode leader",
        "upgrade hold",
        "upgrade raise",
        "digest",
        "ping",
        "status",
        "help",
        "quit",
    ] {
        let starts =
            |line: &&&str| line.strip_prefix(word).is_some_and(|l| l.starts_with([' ', ':']));
        assert_eq!(lines.iter().filter(starts).count(), 1, "{word} in {help}");
    }
    assert!(help.is_ascii() && !help.replace("\r\n", "").contains(['\r', '\n']));
}

#[test]
fn quit_sends_what_is_due_and_executes_nothing_after_it() {
    let server = Server::start();
    // The client does not shut down its sending side: the server hangs up by itself.
    let mut client = server.connect();
    client.send("set k 0 1\r\n1\r\nget k\r\nping\r\nquit\r\ndelete k\r\nping\r\n");
    client.expect("OK #\r\nVALUE 1\r\n1\r\nPONG\r\n");
    client.expect_end();
    server.check("QUIT\n", "");
    server.check("set k 0 1 noreply\r\n2\r\nquit\r\n", "");
    server.check(
        "get k\r\nquit now\r\nget k\r\n",
        "VALUE 1\r\n2\r\nERR_CMD_ERR~\r\nVALUE 1\r\n2\r\n",
    );
}

#[test]
fn a_server_that_is_stopped_sends_what_is_due_or_hangs_up() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    assert_eq!(server.cluster.terminate(1).code(), Some(0));
    client.end();
    client.expect_end();
    server.cluster.start_server(1);
    server.cluster.wait_for_leader();
    server.check("get k\r\n", "VALUE 1\r\n1\r\n");
}

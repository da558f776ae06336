//! Order, pipelining, half-closed connections.

use super::raw::{Server, assert_matches};

#[test]
fn a_get_sees_exactly_the_writes_before_it_on_its_connection() {
    let server = Server::start();
    let mut input = String::new();
    let mut template = String::new();
    for round in 0..200 {
        input += &format!(
            "set k 0 7\r\nA{round:06}\r\nget k\r\nset k 0 7\r\nB{round:06}\r\ngetm k\r\n\
             delete k\r\nget k\r\nadd k 0 1\r\nx\r\nscan k 1\r\n"
        );
        template += &format!(
            "OK #\r\nVALUE 7\r\nA{round:06}\r\nOK #\r\nVALUE # 0 7\r\nB{round:06}\r\n\
             DELETED\r\nERR_NOT_FOUND\r\nOK #\r\nKEY k # 0 1\r\nx\r\nEND\r\n"
        );
    }
    let versions = server.check(input, template);
    for versions in versions.chunks(5) {
        let [first, second, read, added, scanned] = versions[..] else { panic!("{versions:?}") };
        assert!(first < second && second == read && read < added && added == scanned);
    }
}

#[test]
fn status_is_one_point_in_time_between_the_commands_around_it() {
    let server = Server::start();
    let mut client = server.connect();
    let mut input = String::new();
    for round in 0..50 {
        input += &format!("set a{round} 0 1\r\n1\r\nstatus\r\nset b{round} 0 1\r\n1\r\n");
    }
    // Each write is one entry and one revision, and nothing else is written meanwhile.
    let quiet: u64 = server.status()["last_applied"].parse().unwrap();
    client.send(input);
    for round in 0..50_u64 {
        let before = client.expect("OK #\r\n")[0];
        assert_eq!(before, 2 * round + 2);
        let mut status = std::collections::BTreeMap::new();
        loop {
            let line = client.line();
            let Some((name, value)) = line.trim_end().split_once(' ') else { break };
            status.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(status["keys"], (2 * round + 1).to_string());
        assert_eq!(status["last_applied"], (quiet + 2 * round + 1).to_string());
        assert_eq!(client.expect("OK #\r\n")[0], before + 1);
    }
}

#[test]
fn commands_that_fail_do_not_stop_or_overtake_the_others() {
    let server = Server::start();
    server.check(
        "set k 0 1\r\n1\r\nbogus\r\nping\r\nadd k 0 1\r\n2\r\nset k x 1\r\n3\r\nget k\r\n\
         help me\r\ncas k 0 0 1\r\n4\r\nget\r\nset k 0 1\r\nxx\r\ndelete k\r\nping\r\nget k\r\n",
        "OK #\r\nERR_CMD_ERR~\r\nPONG\r\nERR_EXISTS #\r\nERR_CMD_ERR~\r\nVALUE 1\r\n1\r\n\
         ERR_CMD_ERR~\r\nERR_VERSION #\r\nERR_CMD_ERR~\r\nERR_CMD_ERR~\r\nDELETED\r\nPONG\r\n\
         ERR_NOT_FOUND\r\n",
    );
}

#[test]
fn ten_thousand_commands_in_one_write_are_answered_in_order() {
    let server = Server::start();
    let (mut input, mut template) = (String::new(), String::new());
    for round in 0..2_500 {
        input +=
            &format!("set k{round} 0 6\r\n{round:06}\r\nping\r\nget k{round}\r\nget {round}\n");
        template += &format!("OK #\r\nPONG\r\nVALUE 6\r\n{round:06}\r\nERR_NOT_FOUND\r\n");
    }
    assert!(server.check(input, template).is_sorted());

    // One connection is never too much for the server, not even with the smallest windows.
    let server = Server::with("inflight_commands_max = 1\nproposals_pending_max = 1");
    let input = "set k 0 1\r\n1\r\nget k\r\n".repeat(500);
    server.check(input, "OK #\r\nVALUE 1\r\n1\r\n".repeat(500));
}

#[test]
fn after_a_half_close_the_due_replies_come_and_what_was_cut_is_dropped() {
    let server = Server::start();
    // `check` shuts down its sending side at once.
    for cut in [
        "",
        "ping",
        "set k 0 1",
        "set k 0 1\r\n",
        "set k 0 3\r\nab",
        "set k 0 3\r\nabc",
        "set k 0 3\r\nabc\r",
        "once c 1 set k 0 3\r\nabc",
        "set k x 3\r\nabc",
        "set k 0 1048577\r\nabc",
        "set k 0 3\r\nabcd\r\nget k\r\n",
        "delete other",
        "\r",
        "x",
    ] {
        let due = if cut.contains("abcd") { "ERR_CMD_ERR~\r\nERR_NOT_FOUND\r\n" } else { "" };
        let input = format!("set other 0 1\r\n1\r\nget other\r\nstatus x\r\n{cut}");
        server.check(input, format!("OK #\r\nVALUE 1\r\n1\r\nERR_CMD_ERR~\r\n{due}"));
    }
    server.check("get k\r\nget other\r\n", "ERR_NOT_FOUND\r\nVALUE 1\r\n1\r\n");
    let status = server.connect().talk(b"set k 0 1\r\n1\r\nstatus\r\nget k\r\n");
    assert!(status.ends_with(b"END\r\nVALUE 1\r\n1\r\n"), "{}", status.escape_ascii());
}

#[test]
fn a_connection_that_ends_in_the_midst_of_everything_hinders_nobody() {
    let server = Server::start();
    let mut other = server.connect();
    let value = "v".repeat(100_000);
    for round in 0..50 {
        let mut client = server.connect();
        client.send(format!("set k 0 100000\r\n{value}\r\nget k\r\nget k\r\nset k 0 100000\r\nv"));
        if round % 2 == 0 {
            // Replies are unread, so closing now sends a reset.
            client.expect("OK #\r\n");
        }
        drop(client);
        other.ask("ping\r\n", "PONG\r\n");
    }
    server.check("get k\r\n", format!("VALUE 100000\r\n{value}\r\n"));
}

#[test]
fn replies_of_one_connection_are_not_mixed_with_those_of_another() {
    let server = Server::start();
    let connections = 8;
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let server = &server;
            scope.spawn(move || {
                let (mut input, mut template) = (String::new(), String::new());
                for round in 0..300 {
                    let value = format!("{connection}-{round}");
                    let length = value.len();
                    input += &format!("set {connection} 0 {length}\n{value}\nget {connection}\n");
                    template += &format!("OK #\r\nVALUE {length}\r\n{value}\r\n");
                }
                let got = server.connect().talk(input.as_bytes());
                assert_matches(&got, template.as_bytes());
            });
        }
    });
}

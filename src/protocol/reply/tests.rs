use super::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn print(reply: Reply) -> String {
    let mut text = Vec::new();
    reply.print(&mut text);
    String::from_utf8(text).expect("this test prints text")
}

fn redirect(host: &str) -> ErrorReply {
    ErrorReply::Redirect { host: host.into(), port: 9000 }
}

#[test]
fn every_reply_is_printed_as_the_protocol_says() {
    let item = |value, version, exptime| Item { value: bytes(value), version, exptime };
    let items = vec![(bytes("a"), item("1", 7, 0)), (bytes("b"), item("", 9, 60))];
    let table = [
        (Reply::Stored { version: 42 }, "OK 42\r\n"),
        (Reply::Deleted, "DELETED\r\n"),
        (Reply::Value(bytes("ab\r\n")), "VALUE 4\r\nab\r\n\r\n"),
        (Reply::Value(bytes("")), "VALUE 0\r\n\r\n"),
        (Reply::Meta(item("abc", 8, 3)), "VALUE 8 3 3\r\nabc\r\n"),
        (
            Reply::Scan { items: items.clone(), more: true },
            "KEY a 7 0 1\r\n1\r\nKEY b 9 60 0\r\n\r\nMORE\r\n",
        ),
        (Reply::Scan { items: vec![], more: false }, "END\r\n"),
        (Reply::Done, "OK\r\n"),
        (Reply::Raised { format: 2 }, "OK 2\r\n"),
        (Reply::Digest { index: 7, digest: 0xab }, "DIGEST 7 00000000000000ab\r\n"),
        (Reply::Pong, "PONG\r\n"),
        (Reply::Error(ErrorReply::CmdErr("text".into())), "ERR_CMD_ERR text\r\n"),
        (Reply::Error(ErrorReply::TooLarge("text".into())), "ERR_TOO_LARGE text\r\n"),
        (Reply::Error(ErrorReply::NotFound), "ERR_NOT_FOUND\r\n"),
        (Reply::Error(ErrorReply::Version { version: 0 }), "ERR_VERSION 0\r\n"),
        (Reply::Error(ErrorReply::Exists { version: 3 }), "ERR_EXISTS 3\r\n"),
        (Reply::Error(ErrorReply::Stale), "ERR_STALE\r\n"),
        (Reply::Error(redirect("db1.example")), "ERR_REDIRECT db1.example:9000\r\n"),
        (Reply::Error(redirect("10.0.0.1")), "ERR_REDIRECT 10.0.0.1:9000\r\n"),
        (Reply::Error(redirect("fe80::1")), "ERR_REDIRECT [fe80::1]:9000\r\n"),
        (Reply::Error(redirect("[::1]")), "ERR_REDIRECT [::1]:9000\r\n"),
        (Reply::Error(ErrorReply::NoLeader), "ERR_NO_LEADER\r\n"),
        (Reply::Error(ErrorReply::Busy), "ERR_BUSY\r\n"),
        (Reply::Error(ErrorReply::Full), "ERR_FULL\r\n"),
        (
            Reply::Error(ErrorReply::NotYet { sentence: "format 1 is in force".into() }),
            "ERR_NOT_YET format 1 is in force\r\n",
        ),
        (
            Reply::Error(ErrorReply::Refused { sentence: "1 is the last voter".into() }),
            "ERR_REFUSED 1 is the last voter\r\n",
        ),
        (Reply::Change { number: 17, id: 6 }, "CHANGE 17 6\r\n"),
        (Reply::Already, "ALREADY\r\n"),
        (Reply::ChangeEnded { number: 17, is_done: true }, "ENDED 17 done\r\n"),
        (Reply::ChangeEnded { number: 17, is_done: false }, "ENDED 17 cancelled\r\n"),
        (
            Reply::ChangeRunning { number: 17, sentence: "add 6; waits for: rounds".into() },
            "RUNNING 17 add 6; waits for: rounds\r\n",
        ),
        (Reply::Leader { id: 6, term: 42 }, "LEADER 6 42\r\n"),
        (Reply::Error(ErrorReply::Timeout), "ERR_TIMEOUT\r\n"),
        (Reply::Error(ErrorReply::Internal("text".into())), "ERR_INTERNAL text\r\n"),
    ];
    for (reply, text) in table {
        assert_eq!(print(reply.clone()), text, "{reply:?}");
    }
}

#[test]
fn replies_about_transactions_leases_and_watches_are_printed_as_the_protocol_says() {
    let table = [
        (Reply::Queued, "QUEUED\r\n"),
        (
            Reply::Committed {
                revision: 9,
                replies: vec![
                    Reply::Stored { version: 9 },
                    Reply::Error(ErrorReply::NotFound),
                    Reply::Value(bytes("x")),
                ],
            },
            "COMMITTED 9 3\r\nOK 9\r\nERR_NOT_FOUND\r\nVALUE 1\r\nx\r\n",
        ),
        (Reply::Committed { revision: 9, replies: Vec::new() }, "COMMITTED 9 0\r\n"),
        (Reply::Aborted { key: bytes("k"), version: 7 }, "ABORTED k 7\r\n"),
        (Reply::Lease { id: 77, seconds: 30 }, "LEASE 77 30\r\n"),
        (Reply::Revoked, "REVOKED\r\n"),
        (
            Reply::LeaseKeys { id: 77, left: 3, keys: vec![bytes("a"), bytes("b")], more: false },
            "LEASE 77 3\r\nKEY a\r\nKEY b\r\nEND\r\n",
        ),
        (
            Reply::LeaseKeys { id: 77, left: 3, keys: vec![bytes("a")], more: true },
            "LEASE 77 3\r\nKEY a\r\nMORE\r\n",
        ),
        (Reply::Watching { revision: 8 }, "WATCHING 8\r\n"),
        (Reply::Compacted { revision: 8 }, "OK 8\r\n"),
        (Reply::Error(ErrorReply::Compacted { revision: 8 }), "ERR_COMPACTED 8\r\n"),
        (Reply::Error(ErrorReply::Future { revision: 8 }), "ERR_FUTURE 8\r\n"),
        (Reply::Error(ErrorReply::NoLease), "ERR_NO_LEASE\r\n"),
        (Reply::Error(ErrorReply::LeaseExists), "ERR_LEASE_EXISTS\r\n"),
    ];
    for (reply, text) in table {
        assert_eq!(print(reply.clone()), text, "{reply:?}");
    }
}

#[test]
fn help_names_every_command_and_ends() {
    let help = print(Reply::Help);
    let lines: Vec<&str> = help.split_terminator("\r\n").collect();
    assert!(!help.replace("\r\n", "").contains(['\r', '\n']), "every line ends alike");
    for word in [
        "set ",
        "add ",
        "cas ",
        "delete ",
        "get ",
        "getm ",
        "scan ",
        "once ",
        "begin",
        "check ",
        "commit",
        "grant ",
        "renew ",
        "watch key ",
        "watch prefix ",
        "compact ",
        "mode ",
        "upgrade hold",
        "member list",
        "member add",
        "member remove",
        "member replace",
        "member promote",
        "member demote",
        "member update",
        "member wait",
        "leader transfer",
        "drain",
        "upgrade raise",
        "digest ",
        "ping",
        "status",
        "help",
        "quit",
    ] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(word)).count(), 1, "{word}");
    }
    assert_eq!(lines.last(), Some(&"END"));
}

//! Data blocks: any bytes, and the way to the next command after a bad one.

use super::raw::Server;

#[test]
fn a_value_may_be_any_bytes() {
    let server = Server::start();
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 8] = [
        b"",
        b"\r\n",
        b"\n",
        b"\r",
        b"END\r\n",
        b"\r\nset k 0 1\r\n1\r\nquit\r\n",
        &every_byte,
        &every_byte.repeat(100),
    ];
    for value in values {
        let length = value.len().to_string().into_bytes();
        for end in [&b"\r\n"[..], b"\n"] {
            let set = [b"set k 0 ", &length[..], end, value, end, b"get k", end].concat();
            let mut client = server.connect();
            client.send(set);
            client.expect("OK #\r\n");
            client.expect_bytes(&[b"VALUE ", &length[..], b"\r\n", value, b"\r\n"].concat());
            client.end();
            client.expect_end();
        }
    }
}

#[test]
fn a_value_is_taken_at_1_mib_and_read_past_above() {
    let server = Server::start();
    let (limit, over) = ("v".repeat(1 << 20), "w".repeat((1 << 20) + 1));
    for command in ["set k 0", "add new 0", "cas cas 0 0", "once c 1 set once 0"] {
        let taken = format!("{command} 1048576\r\n{limit}\r\n");
        let refused = format!("{command} 1048577\r\n{over}\r\n");
        let silent = format!("{command} 1048577 noreply\r\n{over}\r\n");
        server.check(
            format!("{refused}{silent}{taken}ping\r\n"),
            "ERR_TOO_LARGE~\r\nERR_TOO_LARGE~\r\nOK #\r\nPONG\r\n",
        );
    }
    server.check("get k\r\n", format!("VALUE 1048576\r\n{limit}\r\n"));
    server.check("get once\r\n", format!("VALUE 1048576\r\n{limit}\r\n"));
}

#[test]
fn a_value_of_64_mib_is_read_past_and_one_byte_more_ends_the_connection() {
    let server = Server::start();
    let block = vec![b'v'; 64 << 20];
    let input = [b"set k 0 67108864\r\n", &block[..], b"\r\nping\r\n"].concat();
    server.check(input, "ERR_TOO_LARGE~\r\nPONG\r\n");
    for line in [
        "set k 0 67108865",
        "set k 0 67108865 noreply",
        "add k 0 67108865",
        "cas k 0 0 67108865",
        "once c 1 set k 0 67108865",
    ] {
        // The input ends after the line, or within the block, which is not waited for.
        server.check(format!("ping\r\n{line}\r\n"), "PONG\r\nERR_TOO_LARGE~\r\n");
        let mut client = server.connect();
        client.send(format!("{line}\r\nping\r\nping\r\n"));
        client.expect("ERR_TOO_LARGE~\r\n");
        client.expect_end();
    }
    server.check("set k x 67108865\r\nping\r\n", "ERR_CMD_ERR~\r\n");
    assert_eq!(server.status()["keys"], "0");
}

#[test]
fn the_block_of_a_bad_command_is_skipped() {
    let server = Server::start();
    let too_long_key = "k".repeat(251);
    let lines = [
        "set k x 4",
        "set k 0 4 extra",
        "set k 0 4 noreply extra",
        "set k 3153600001 4",
        "set k\t 0 4",
        "SET k x 4 noreply",
        "add k -1 4",
        "add k 0 4 no_reply",
        "cas k x 1 4",
        "cas k 0 x 4",
        "cas k 0 1 4 5",
        "once c x set k 0 4",
        "once c 0 set k 0 4",
        "once c 1 set k x 4",
        "once c 1 cas k 0 x 4 noreply",
        "once c 1 once c 2 set k 0 4",
    ];
    for line in lines {
        for end in ["\r\n", "\n"] {
            let input = format!("{line}{end}quit{end}ping{end}");
            server.check(input, "ERR_CMD_ERR~\r\nPONG\r\n");
        }
    }
    let input = format!("set {too_long_key} 0 4\r\nquit\r\nping\r\n");
    server.check(input, "ERR_TOO_LARGE~\r\nPONG\r\n");
    // A word without a data block has none, whatever else is in the line.
    server.check("delete k 0 4\r\nping\r\n", "ERR_CMD_ERR~\r\nPONG\r\n");
    server.check("bogus k 0 4\r\nping\r\n", "ERR_CMD_ERR~\r\nPONG\r\n");
    assert_eq!(server.status()["keys"], "0");
}

#[test]
fn a_block_without_its_line_end_is_not_executed_and_the_next_line_is_found() {
    let server = Server::start();
    for rest in ["d\r\n", "d\n", "\r\r\n", "\rx\r\n", "d noreply\n", " \r\n", "quit quit\r\n"] {
        for command in ["set k 0 3", "set k 0 3 noreply", "add k 0 3", "cas k 0 0 3"] {
            let input = format!("{command}\r\nabc{rest}ping\r\n");
            server.check(input, "ERR_CMD_ERR~\r\nPONG\r\n");
        }
    }
    // Skipped bytes are no line, and have no limit.
    let long = "x".repeat(100_000);
    server.check(format!("set k 0 3\r\nabc{long}\r\nping\r\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    let over = "x".repeat((1 << 20) + 2);
    let input = format!("set k 0 1048577\r\n{over}\r\nping\r\n");
    server.check(input, "ERR_TOO_LARGE~\r\nPONG\r\n");
    server.check("once c 1 set k 0 3\r\nabcd\r\nget k\r\n", "ERR_CMD_ERR~\r\nERR_NOT_FOUND\r\n");
    // The malformed command has used no number.
    server.check("once c 1 set k 0 3\r\nabc\r\nget k\r\n", "OK #\r\nVALUE 3\r\nabc\r\n");
}

#[test]
fn input_in_single_bytes_is_answered_like_input_in_one_piece() {
    let server = Server::start();
    let input = b"set k 0 5\r\na\r\nbc\r\n  get  k\n\nset k x 4\nquit\nset k 0 1\r\nab\r\n\
        getm k\r\nscan k 2\r\ndelete k noreply\r\nget k\r\nset k 0 3 noreply\n\n\n\n\nping\r\n\
        once c 1 delete k\nonce c 1 add k 0 1\n1\nquit\nping\n";
    let replies = "OK #\r\nVALUE 5\r\na\r\nbc\r\nERR_CMD_ERR~\r\nERR_CMD_ERR~\r\nERR_CMD_ERR~\r\n\
        VALUE # 0 5\r\na\r\nbc\r\nKEY k # 0 5\r\na\r\nbc\r\nEND\r\nERR_NOT_FOUND\r\nPONG\r\n\
        DELETED\r\nDELETED\r\n";
    server.check(input, replies);
    // This is a client of another name, whose number 1 is not used.
    let input = String::from_utf8(input.to_vec()).unwrap().replace("once c", "once d");
    let mut client = server.connect();
    for byte in input.as_bytes() {
        // After quit the server may hang up at any time.
        client.try_send(&[*byte]);
    }
    super::raw::assert_matches(&client.rest(), replies.as_bytes());
}

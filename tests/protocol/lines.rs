//! Framing, limits, and the faults of a line.

use super::raw::Server;

#[test]
fn a_line_ends_with_cr_lf_or_lf_and_spaces_and_the_case_of_words_do_not_count() {
    let server = Server::start();
    server.check(
        "PING\r\nping\n   pInG  \r\n  SeT   k  0   1  \r\nv\r\ngEt k\n  GETM k \nset K 0 1\nV\n\
         get k\r\nget K\r\nScAn  *  1  aFtEr  K \nADD k 0 1 NoReply\nx\nCAS k 0 1 1 nOrEpLy\r\nx\n\
         ONCE Client 1 DeLeTe k\nOnce Client 2 Delete K NOREPLY\nget K\n",
        "PONG\r\nPONG\r\nPONG\r\nOK #\r\nVALUE 1\r\nv\r\nVALUE # 0 1\r\nv\r\nOK #\r\n\
         VALUE 1\r\nv\r\nVALUE 1\r\nV\r\nKEY k # 0 1\r\nv\r\nEND\r\n\
         DELETED\r\nERR_NOT_FOUND\r\n",
    );
}

const MALFORMED_LINES: &[&str] = &[
    "",
    " ",
    "    ",
    "\r",
    "\t",
    "bogus",
    "get",
    "get a b",
    "getm",
    "getm a b",
    "delete",
    "delete k x",
    "delete k noreply x",
    "delete k noreply noreply",
    "noreply",
    "scan",
    "scan *",
    "scan * 0",
    "scan * 10001",
    "scan * x",
    "scan * -1",
    "scan * 1 before k",
    "scan * 1 after",
    "scan * 1 after k x",
    "scan * 1 k",
    "scan * 18446744073709551616",
    "ping x",
    "status x",
    "help x",
    "upgrade",
    "upgrade x",
    "upgrade hold x",
    "upgrade raise 2",
    "digest",
    "digest x",
    "digest 1 2",
    "quit x",
    "PINGS",
    "pin",
    "set",
    "set k",
    "set k 0",
    "set k 0 x",
    "set k 0 +1",
    "set k 0 -1",
    "set k 0 1.0",
    "set k 0 0x1",
    "set k 0 noreply",
    "set k 0 18446744073709551616",
    "add",
    "add k",
    "add k 0",
    "add k 0 x",
    "cas",
    "cas k",
    "cas k 0",
    "cas k 0 1",
    "cas k 0 1 x",
    "cas k 0 1 noreply",
    "once",
    "once c",
    "once c 1",
    "once c 1 get k",
    "once c 1 getm k",
    "once c 1 scan * 1",
    "once c 1 ping",
    "once c 1 status",
    "once c 1 bogus",
    "once c 1 once c 1 delete k",
    "once c 0 delete k",
    "once c x delete k",
    "once c -1 delete k",
    "once c 18446744073709551616 delete k",
    "once c delete k",
    "get a\tb",
    "get \x7f",
    "get a\rb",
    "get \0",
    "get\tk",
    "once \x1f 1 delete k",
    "scan \x01 1",
    "scan * 1 after \x7f",
];

#[test]
fn a_malformed_line_gets_one_error_and_the_next_command_is_executed() {
    let server = Server::start();
    let too_long_name = format!("once {} 1 delete k", "c".repeat(65));
    let lines = MALFORMED_LINES.iter().copied().chain([too_long_name.as_str()]);
    let lines = lines.map(str::as_bytes).chain([&b"\xff\xfe"[..], b"\x1b[A", b"g\xc3\xa9t k"]);
    let (mut input, mut template) = (Vec::new(), String::new());
    for line in lines {
        for end in [&b"\r\n"[..], b"\n"] {
            input.extend([line, end, b"ping", end].concat());
            template += "ERR_CMD_ERR~\r\nPONG\r\n";
            server.check([line, end, b"ping", end].concat(), "ERR_CMD_ERR~\r\nPONG\r\n");
        }
    }
    // As the first bytes of a connection these are those of another protocol.
    for line in ["\0", "\x16\x03\x01\x02", "\x04\x01"] {
        input.extend([line.as_bytes(), b"\r\nping\r\n"].concat());
        template += "ERR_CMD_ERR~\r\nPONG\r\n";
    }
    server.check(input, template);
    assert_eq!(server.status()["keys"], "0");
}

#[test]
fn a_line_is_taken_at_1024_bytes_and_refused_at_1025() {
    let server = Server::start();
    for end in ["\r\n", "\n"] {
        server.check(format!("{:1024}{end}ping{end}", "ping"), "PONG\r\nPONG\r\n");
        server.check(format!("{:>1024}{end}ping{end}", "ping"), "PONG\r\nPONG\r\n");
        // Nothing after the long line is executed.
        let input = format!("set k 0 1\n1\n{:1025}{end}delete k\r\n", "ping");
        server.check(input, "OK #\r\nERR_TOO_LARGE~\r\n");
        server.check("get k\r\n", "VALUE 1\r\n1\r\n");
    }
    // The error comes as soon as the line is too long, not when it ends.
    let mut client = server.connect();
    client.send("x".repeat(1025));
    client.send("x");
    client.expect("ERR_TOO_LARGE~\r\n");
    client.expect_end();
}

#[test]
fn a_client_in_the_middle_of_sending_reads_why_it_is_cut_off() {
    let server = Server::start();
    // The input is more than the server reads at once: closing the socket with the rest
    // unread would reset the connection.
    let input = [b"ping\r\n".repeat(10), vec![b'x'; 2 << 20]].concat();
    for _ in 0..5 {
        let template = format!("{}ERR_TOO_LARGE~\r\n", "PONG\r\n".repeat(10));
        server.check(&input, template);
    }
}

#[test]
fn a_key_is_1_to_250_bytes_without_control_characters() {
    let server = Server::start();
    for key in [vec![b'k'; 250], vec![0xff; 250], vec![0x21], vec![0x80], b"#~*".to_vec()] {
        let commands: [(&[u8], &str); 8] = [
            (b"set K 0 1\r\n1\r\n", "OK #\r\n"),
            (b"get K\r\n", "VALUE 1\r\n1\r\n"),
            (b"getm K\r\n", "VALUE # 0 1\r\n1\r\n"),
            (b"scan K 1 after K\r\n", "END\r\n"),
            (b"add K 0 1\r\n1\r\n", "ERR_EXISTS #\r\n"),
            (b"cas K 0 1 1\r\n1\r\n", "ERR_VERSION #\r\n"),
            (b"delete K\r\n", "DELETED\r\n"),
            (b"cas K 0 0 1\r\n1\r\n", "OK #\r\n"),
        ];
        for (command, template) in commands {
            server.check(with_key(command, &key), template);
        }
    }
    let before = server.status()["last_log_index"].clone();
    for command in [
        &b"set K 0 1\r\n1\r\n"[..],
        b"set K 0 1 noreply\r\n1\r\n",
        b"add K 0 1\r\n1\r\n",
        b"cas K 0 0 1\r\n1\r\n",
        b"delete K\r\n",
        b"delete K noreply\r\n",
        b"get K\r\n",
        b"getm K\r\n",
        b"scan K 1\r\n",
        b"scan * 1 after K\r\n",
        b"once c 1 delete K\r\n",
        b"once c 1 set K 0 1\r\n1\r\n",
    ] {
        let check = |key: &[u8], template| {
            server.check([&with_key(command, key), &b"ping\r\n"[..]].concat(), template);
        };
        check(&[b'k'; 251], "ERR_TOO_LARGE~\r\nPONG\r\n");
        for byte in (0..0x20).filter(|byte| *byte != b'\n').chain([0x7f]) {
            check(&[b'k', byte, b'k'], "ERR_CMD_ERR~\r\nPONG\r\n");
        }
    }
    assert_eq!(server.status()["last_log_index"], before, "nothing of that was executed");
}

fn with_key(command: &[u8], key: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = command.split(|byte| *byte == b'K').collect();
    pieces.join(key)
}

#[test]
fn numbers_are_unsigned_64_bit_and_may_have_leading_zeros() {
    let server = Server::start();
    const MAX: &str = "18446744073709551615";
    const OVER: &str = "18446744073709551616";
    server.check("set k 00000000000000000000000 0001\r\n1\r\n", "OK #\r\n");
    server.check(format!("cas k 0 {MAX} 1\r\n1\r\n"), "ERR_VERSION #\r\n");
    server.check(format!("cas k 0 0{MAX} 1\r\n1\r\n"), "ERR_VERSION #\r\n");
    // The length of the block can be read, so the block is skipped.
    server.check(format!("cas k 0 {OVER} 4\r\nquit\r\nping\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    server.check(format!("set k {OVER} 4\r\nquit\r\nping\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    server.check(format!("once c {MAX} delete k\r\n"), "DELETED\r\n");
    server.check(format!("once c {MAX} delete k\r\n"), "DELETED\r\n");
    server.check(format!("once c {OVER} delete k\r\nping\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    server.check("scan * 0000000000000000000000000000001\r\n", "END\r\n");
    // The length cannot be read, so there is no block.
    server.check(format!("set k 0 {OVER}\r\nping\n"), "ERR_CMD_ERR~\r\nPONG\r\n");
    server.check(format!("set k 0 {MAX}\r\nping\n"), "ERR_TOO_LARGE~\r\n");
}

#[test]
fn an_exptime_is_at_most_a_hundred_years() {
    let server = Server::start();
    server.check("set k 3153600000 1\r\n1\r\n", "OK #\r\n");
    let left = server.check("getm k\r\n", "VALUE # # 1\r\n1\r\n")[1];
    assert!((3_153_500_000..=3_153_600_000).contains(&left), "{left}");
    for command in ["set k 3153600001 4", "add x 3153600001 4", "cas k 3153600001 0 4"] {
        let input = format!("{command}\r\nquit\r\nping\n");
        server.check(input, "ERR_CMD_ERR~\r\nPONG\r\n");
    }
    server.check("set k 18446744073709551615 1\r\n1\r\nping\n", "ERR_CMD_ERR~\r\nPONG\r\n");
}

#[test]
fn a_client_name_is_1_to_64_bytes() {
    let server = Server::start();
    let name = "c".repeat(64);
    server.check(format!("once {name} 1 set k 0 1\r\n1\r\n"), "OK #\r\n");
    server.check(
        format!("once {name}c 2 set k 0 4\r\nquit\r\nonce {name}c 2 delete k\r\nget k\r\n"),
        "ERR_CMD_ERR~\r\nERR_CMD_ERR~\r\nVALUE 1\r\n1\r\n",
    );
}

#[test]
fn the_limits_of_the_settings_are_the_limits() {
    let server = Server::with("line_bytes_max = 300\nkey_bytes_max = 5\nvalue_bytes_max = 9");
    server.check(format!("{:300}\n", "ping"), "PONG\r\n");
    server.check(format!("{:301}\n", "ping"), "ERR_TOO_LARGE~\r\n");
    server.check("get 12345\r\nget 123456\r\n", "ERR_NOT_FOUND\r\nERR_TOO_LARGE~\r\n");
    server.check(
        "set k 0 9\r\n123456789\r\nset k 0 10\r\n1234567890\r\nget k\r\n",
        "OK #\r\nERR_TOO_LARGE~\r\nVALUE 9\r\n123456789\r\n",
    );
}

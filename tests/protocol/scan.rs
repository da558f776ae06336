//! `scan`: the keys that it returns, their order and number, and the point in time.

use std::sync::atomic::{AtomicBool, Ordering};

use super::raw::{Raw, Server};

#[test]
fn scan_returns_the_keys_with_the_prefix_in_byte_order() {
    let server = Server::start();
    let mut input = b"set b\xff 0 1\r\n7\r\n".to_vec();
    for (value, key) in ["b", "a", "ab", "abc", "ac", "B", "*x"].iter().enumerate() {
        input.extend(format!("set {key} 0 1\r\n{value}\r\n").bytes());
    }
    server.check(input, "OK #\r\n".repeat(8));
    let scan = |command: &str, keys: &[(&[u8], u8)], end: &str| {
        let mut template = Vec::new();
        for (key, value) in keys {
            template.extend([b"KEY ", *key, b" # 0 1\r\n", &[*value], b"\r\n"].concat());
        }
        template.extend(end.bytes());
        server.check(format!("scan {command}\r\n"), template);
    };
    let all: [(&[u8], u8); 8] = [
        (b"*x", b'6'),
        (b"B", b'5'),
        (b"a", b'1'),
        (b"ab", b'2'),
        (b"abc", b'3'),
        (b"ac", b'4'),
        (b"b", b'0'),
        (b"b\xff", b'7'),
    ];
    scan("* 10000", &all, "END\r\n");
    scan("* 8", &all, "END\r\n");
    scan("* 7", &all[..7], "MORE\r\n");
    scan("* 1", &all[..1], "MORE\r\n");
    scan("* 7 after B", &all[2..], "END\r\n");
    scan("* 2 after a", &all[3..5], "MORE\r\n");
    scan("* 2 after nothing", &[], "END\r\n");
    scan("*x 2", &all[..1], "END\r\n");
    scan("a 10", &all[2..6], "END\r\n");
    scan("a 4", &all[2..6], "END\r\n");
    scan("a 3", &all[2..5], "MORE\r\n");
    scan("ab 10", &all[3..5], "END\r\n");
    scan("a 10 after ab", &all[4..6], "END\r\n");
    scan("a 10 after aa", &all[3..6], "END\r\n");
    scan("b 10 after a", &all[6..], "END\r\n");
    scan("a 10 after b", &[], "END\r\n");
    scan("a 10 after ac", &[], "END\r\n");
    scan("c 1", &[], "END\r\n");
}

#[test]
fn a_scan_asks_for_1_to_10_000_keys_and_goes_on_after_the_last() {
    let server = Server::start();
    let mut input = String::new();
    for key in 0..10_001 {
        input += &format!("set {key:05} 0 0 noreply\r\n\r\n");
    }
    server.check(input, "");
    let keys = |from: usize, to: usize| -> String {
        (from..to).map(|key| format!("KEY {key:05} # 0 0\r\n\r\n")).collect()
    };
    server.check("scan * 10000\r\n", format!("{}MORE\r\n", keys(0, 10_000)));
    server.check("scan * 10000 after 00000\r\n", format!("{}END\r\n", keys(1, 10_001)));
    server.check("scan * 1 after 09999\r\n", format!("{}END\r\n", keys(10_000, 10_001)));
    server.check("scan * 0\r\nscan * 10001\r\n", "ERR_CMD_ERR~\r\nERR_CMD_ERR~\r\n");
}

#[test]
fn a_scan_stops_after_4_mib_but_never_before_its_first_key() {
    const KEYS: u32 = 11;
    const VALUE_BYTES: usize = 900_000;
    let server = Server::start();
    let mut client = server.connect();
    let value = "v".repeat(VALUE_BYTES);
    for key in 0..KEYS {
        client.ask(format!("set {key:02} 0 {VALUE_BYTES}\r\n{value}\r\n"), "OK #\r\n");
    }
    let (mut seen, mut scans) = (0, 0);
    let mut command = "scan * 10000\r\n".to_owned();
    loop {
        client.send(&command);
        scans += 1;
        let mut bytes = 0;
        let end = loop {
            let line = client.line();
            if !line.starts_with("KEY ") {
                break line;
            }
            let header = format!("KEY {seen:02} ");
            assert!(line.starts_with(&header) && line.ends_with(" 0 900000\r\n"), "{line}");
            client.expect_bytes(format!("{value}\r\n").as_bytes());
            seen += 1;
            bytes += VALUE_BYTES;
            command = format!("scan * 10000 after {:02}\r\n", seen - 1);
        };
        assert!(bytes > 0 && bytes <= 4 << 20, "{bytes}");
        if end == "END\r\n" {
            break;
        }
        assert_eq!(end, "MORE\r\n");
    }
    assert_eq!((seen, scans), (KEYS, 3));
}

#[test]
fn a_scan_is_one_point_in_time() {
    const KEYS: usize = 40;
    let server = Server::start();
    let mut client = server.connect();
    let write = |client: &mut Raw, round: u32| {
        let input: String =
            (0..KEYS).map(|key| format!("set {key:02} 0 6\r\n{round:06}\r\n")).collect();
        client.ask(input, &"OK #\r\n".repeat(KEYS));
    };
    write(&mut client, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, done) = (&server, &done);
        scope.spawn(move || {
            let mut writer = server.connect();
            let mut round = 0;
            while !done.load(Ordering::SeqCst) {
                round += 1;
                write(&mut writer, round);
            }
        });
        let mut last = 0;
        for _ in 0..200 {
            client.send("scan * 100\r\n");
            let mut rounds: Vec<u32> = Vec::new();
            while client.line().starts_with("KEY ") {
                rounds.push(client.line().trim_end().parse().unwrap());
            }
            // The keys are written from the first to the last, round by round: at any point
            // in time the keys up to one are of this round, those after it of the one before.
            let is_one_point_in_time = rounds.len() == KEYS
                && rounds.is_sorted_by(|a, b| a >= b)
                && rounds[0] - rounds[KEYS - 1] <= 1
                && rounds[KEYS - 1] >= last;
            last = rounds[0].saturating_sub(1);
            if !is_one_point_in_time {
                done.store(true, Ordering::SeqCst);
                panic!("{rounds:?}");
            }
        }
        done.store(true, Ordering::SeqCst);
    });
}

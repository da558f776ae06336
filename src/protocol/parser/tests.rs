//! The rules for commands, one by one, and over input that is cut anywhere.

mod members;
mod store;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::super::request::SnapshotQuery;
use super::*;
use crate::kv::{Once, Operation, Query};
use crate::testing::byte_mutation::mutation;
use crate::types::{LogIndex, LogPosition, Term};

const LIMITS: Limits = Limits { line_bytes_max: 80, key_bytes_max: 10, value_bytes_max: 20 };

/// Parses `pieces` as they come, and holds the parser to its memory bound.
fn parse_pieces<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Parsed> {
    let mut parser = Parser::new(limits);
    let mut input = BytesMut::new();
    let mut parsed = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(found) = parser.next(&mut input) {
            parsed.push(found);
        }
        assert!(input.len() <= limits.line_bytes_max.max(limits.value_bytes_max) + 2);
    }
    parsed
}

fn parse(text: impl AsRef<[u8]>) -> Vec<Parsed> {
    parse_pieces(LIMITS, [text.as_ref()])
}

/// The results in short text, enough to tell them apart.
fn show(parsed: &[Parsed]) -> Vec<String> {
    parsed
        .iter()
        .map(|parsed| match parsed {
            Parsed::Request(request) => format!("{request:?}"),
            Parsed::Refused(error) => error.to_string(),
            Parsed::Dropped => "dropped".to_owned(),
            Parsed::Fatal(error) => format!("fatal {error}"),
            Parsed::Foreign(protocol) => format!("foreign {protocol}"),
        })
        .collect()
}

fn is_cmd_err(parsed: &Parsed) -> bool {
    matches!(parsed, Parsed::Refused(ErrorReply::CmdErr(_)))
}

fn is_too_large(parsed: &Parsed) -> bool {
    matches!(parsed, Parsed::Refused(ErrorReply::TooLarge(_)))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn set(key: &'static str, exptime: u64, value: &'static str) -> Operation {
    Operation::Set { key: bytes(key), exptime, value: bytes(value), lease: 0 }
}

fn write(operation: Operation) -> Request {
    Request::Write { operation, once: None, noreply: false }
}

fn quietly(operation: Operation) -> Request {
    Request::Write { operation, once: None, noreply: true }
}

fn once(client: &'static str, seq: u64, operation: Operation) -> Request {
    let once = Some(Once { client: bytes(client), seq });
    Request::Write { operation, once, noreply: false }
}

fn get(key: &'static str) -> Request {
    Request::Read(Query::Get { key: bytes(key), at: 0 })
}

fn scan(prefix: &'static str, limit: u64, after: Option<&'static str>) -> Request {
    Request::Read(Query::Scan { prefix: bytes(prefix), limit, after: after.map(bytes), at: 0 })
}

/// A backup is fetched in pieces of a snapshot file (docs/adr/0011).
#[test]
fn the_commands_of_backups() {
    let limits = Limits { line_bytes_max: 100, ..LIMITS };
    let parse = |line: &str| parse_pieces(limits, [format!("{line}\r\nping\r\n").as_bytes()]);
    let digest = "000102030405060708090a0b0c0d0eFf";
    let read = SnapshotQuery::Read {
        last: LogPosition { index: LogIndex(7), term: Term(2) },
        digest: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0eff,
        offset: 9,
        bytes_max: 1 << 20,
    };
    for (line, request) in [
        ("snapshot begin", Request::BeginSnapshot),
        ("Snapshot  FIND 7", Request::Snapshot(SnapshotQuery::Find { index: LogIndex(7) })),
        (&format!("snapshot read 7 2 {digest} 9 1048576"), Request::Snapshot(read)),
    ] {
        let parsed = parse(line);
        assert_eq!(parsed, [Parsed::Request(request), Parsed::Request(Request::Ping)]);
    }
    for wrong in [
        "snapshot",
        "snapshot take",
        "snapshot begin 1",
        "snapshot find",
        "snapshot find -1",
        "snapshot find 1 2",
        &format!("snapshot read 7 2 {digest} 9"),
        &format!("snapshot read 7 2 {digest} 9 0"),
        &format!("snapshot read 7 2 {digest} 9 1048577"),
        &format!("snapshot read 7 2 {digest} 9 1 1"),
        &format!("snapshot read 7 2 {}g 9 1", &digest[1..]),
        &format!("snapshot read 7 2 +{} 9 1", &digest[1..]),
        &format!("snapshot read 7 2 {} 9 1", &digest[1..]),
    ] {
        let parsed = parse(wrong);
        assert!(is_cmd_err(&parsed[0]), "{wrong}: {parsed:?}");
        assert_eq!(parsed[1..], [Parsed::Request(Request::Ping)], "{wrong}");
    }
}

#[test]
fn every_command_is_parsed() {
    let delete = |key| Operation::Delete { key: bytes(key) };
    let cas = |version| {
        let (key, value) = (bytes("k"), bytes("x"));
        Operation::Cas { key, exptime: 1, version, value, lease: 0 }
    };
    let table = [
        ("set k 0 3\r\nabc\r\n", write(set("k", 0, "abc"))),
        ("set k 0 3\nabc\n", write(set("k", 0, "abc"))),
        ("SeT  k   007 000\r\n\r\n", write(set("k", 7, ""))),
        ("  set k 0 2  \r\n\r\n\r\n", write(set("k", 0, "\r\n"))),
        ("set k 0 3\r\nabc\n", write(set("k", 0, "abc"))),
        ("set k 0 1\r\n\r\r\n", write(set("k", 0, "\r"))),
        ("set k 3153600000 1 noreply\r\nx\r\n", quietly(set("k", 3_153_600_000, "x"))),
        ("set noreply 0 1 NoReply\r\nx\r\n", quietly(set("noreply", 0, "x"))),
        ("set k 0 20\r\n12345678901234567890\r\n", write(set("k", 0, "12345678901234567890"))),
        (
            "add k 1 1\r\nx\r\n",
            write(Operation::Add { key: bytes("k"), exptime: 1, value: bytes("x"), lease: 0 }),
        ),
        ("cas k 1 18446744073709551615 1\r\nx\r\n", write(cas(u64::MAX))),
        ("cas k 1 2 1 noreply\r\nx\r\n", quietly(cas(2))),
        ("delete k\r\n", write(delete("k"))),
        ("DELETE k noreply\n", quietly(delete("k"))),
        ("delete noreply\n", write(delete("noreply"))),
        ("delete noreply noreply\n", quietly(delete("noreply"))),
        ("get k\r\n", get("k")),
        ("get noreply\r\n", get("noreply")),
        ("get 1234567890\r\n", get("1234567890")),
        ("get k\u{e9}y\r\n", get("k\u{e9}y")),
        ("getm K\r\n", Request::Read(Query::GetMeta { key: bytes("K"), at: 0 })),
        ("scan * 1\r\n", scan("", 1, None)),
        ("scan ** 10000\r\n", scan("**", 10_000, None)),
        ("scan p 5 AFTER p1\r\n", scan("p", 5, Some("p1"))),
        ("scan * 5 after *\r\n", scan("", 5, Some("*"))),
        ("scan after 5 after after\r\n", scan("after", 5, Some("after"))),
        ("once c 1 set k 0 1\r\nx\r\n", once("c", 1, set("k", 0, "x"))),
        ("ONCE Once 18446744073709551615 delete k\r\n", once("Once", u64::MAX, delete("k"))),
        ("once set 2 delete k\r\n", once("set", 2, delete("k"))),
        ("once c 7 end\r\n", once("c", 7, Operation::End)),
        ("once c 7 END\n", once("c", 7, Operation::End)),
        (
            "once end 7 end noreply\r\n",
            Request::Write {
                operation: Operation::End,
                once: Some(Once { client: bytes("end"), seq: 7 }),
                noreply: true,
            },
        ),
        ("ping\r\n", Request::Ping),
        ("PING\n", Request::Ping),
        ("status\r\n", Request::Status),
        ("help\r\n", Request::Help),
        ("quit\r\n", Request::Quit),
    ];
    for (text, request) in table {
        assert_eq!(parse(text), [Parsed::Request(request)], "{text:?}");
    }
}

#[test]
fn the_commands_of_operators() {
    for (line, request) in [
        ("upgrade hold\r\n", Request::SetHold { is_held: true }),
        (" UPGRADE  Release \n", Request::SetHold { is_held: false }),
        ("upgrade raise\r\n", Request::Raise),
        ("digest 0\r\n", Request::Digest { index: LogIndex(0) }),
        ("Digest 18446744073709551615\n", Request::Digest { index: LogIndex(u64::MAX) }),
    ] {
        assert_eq!(parse(line), [Parsed::Request(request)], "{line:?}");
    }
}

const MALFORMED_LINES: &[&str] = &[
    "",
    "   ",
    "\r",
    "\0",
    "get",
    "get ",
    "get a b",
    "get a noreply",
    "get a\x7f",
    "get a\tb",
    "get\ta",
    "get a\rb",
    "get a\r\r",
    "getm",
    "getm a b",
    "frob",
    "frob k 0 3",
    "pin",
    "pings",
    "ping 1",
    "status 1",
    "upgrade",
    "upgrade 2",
    "upgrade status",
    "upgrade hold 1",
    "upgrade release now",
    "upgrade raise 2",
    "upgrade raise noreply",
    "once c 1 upgrade hold",
    "digest",
    "digest x",
    "digest -1",
    "digest 1 2",
    "digest 18446744073709551616",
    "help me",
    "quit now",
];

#[test]
fn every_malformed_line_gets_cmd_err_and_leaves_the_connection_usable() {
    for line in MALFORMED_LINES {
        // A NUL that comes first is no text.
        let first = if line.starts_with('\0') { "ping\r\n" } else { "" };
        let parsed = parse(format!("{first}{line}\r\nping\r\n"));
        let [.., malformed, next] = &parsed[..] else { panic!("{line:?} {parsed:?}") };
        assert!(is_cmd_err(malformed), "{line:?} {parsed:?}");
        assert_eq!(*next, Parsed::Request(Request::Ping), "{line:?}");
    }
}

#[test]
fn a_client_name_has_1_to_64_bytes() {
    let limits = Limits { line_bytes_max: 200, ..LIMITS };
    for (name_bytes, is_good) in [(1, true), (64, true), (65, false)] {
        let line = format!("once {} 1 delete k\r\n", "c".repeat(name_bytes));
        let parsed = parse_pieces(limits, [line.as_bytes()]);
        assert_eq!(matches!(parsed[..], [Parsed::Request(_)]), is_good);
        assert_eq!(parsed.iter().all(is_cmd_err), !is_good);
    }
}

#[test]
fn a_key_over_its_limit_is_too_large_in_every_field() {
    for line in [
        "get 12345678901",
        "getm 12345678901",
        "delete 12345678901",
        "delete 12345678901 noreply",
        "scan 12345678901 1",
        "scan * 1 after 12345678901",
        "once c 1 delete 12345678901",
    ] {
        let parsed = parse(format!("{line}\r\nping\r\n"));
        assert!(is_too_large(&parsed[0]), "{line}");
        assert_eq!(parsed[1..], [Parsed::Request(Request::Ping)], "{line}");
    }
}

#[test]
fn the_data_block_of_a_bad_line_is_skipped_whenever_its_length_can_be_read() {
    let lines = [
        // The block is `quit`: the test would fail if it were executed.
        "set 12345678901 0 4",
        "set k\x01 0 4",
        "set k x 4",
        "set k 3153600001 4",
        "set k 99999999999999999999 4",
        "set k 0 4 extra",
        "set k 0 4 noreply extra",
        "set k 0 4 4 4 4 4",
        "add k x 4 noreply",
        "cas k 0 x 4",
        "cas k x 1 4 noreply",
        "once c 0 set k 0 4",
        "once c x set k 0 4",
        "once c\x01 1 set k 0 4",
        "ONCE c x CAS k 0 0 4",
        "once c 1 set k x 4",
        "once c 1 set 12345678901 0 4 extra",
        "once c 1 once d 2 add k 0 4",
        "set k 0 4 lease",
        "set k 0 4 lease x",
        "set k 0 4 lease 0",
        "set k 0 4 lease 7 lease 7",
        "set k 0 4 noreply lease 7",
        "add k 0 4 lease 7 extra",
        "cas k 0 1 4 lease -7 noreply",
        "set 12345678901 0 4 lease 7",
    ];
    for line in lines {
        for end in ["\r\n", "\n"] {
            let parsed = parse(format!("{line}{end}quit{end}ping{end}"));
            assert_eq!(parsed.len(), 2, "{line:?} {parsed:?}");
            assert!(is_cmd_err(&parsed[0]) || is_too_large(&parsed[0]), "{line:?} {parsed:?}");
            assert_eq!(parsed[1], Parsed::Request(Request::Ping), "{line:?}");
        }
    }
}

#[test]
fn the_fault_of_a_skipped_command_is_reported_after_its_block() {
    assert_eq!(parse("set k x 4\r\nqui"), []);
    assert_eq!(parse("set k x 4\r\nquit"), []);
    assert_eq!(parse("set k x 4\r\nquit\r"), []);
    assert_eq!(parse("set k x 4\r\nquit\r\n").len(), 1);
    let parsed = parse("set k x 4\r\nquitter\r\nping\r\n");
    assert_eq!(parsed.len(), 2, "one reply, although the block's end is wrong, too");
    assert_eq!(parsed[1], Parsed::Request(Request::Ping));
}

#[test]
fn a_block_without_its_line_end_is_not_executed_and_the_next_line_is_found() {
    for rest in ["d\r\n", "def\n", "\r\r\n", "\rx\n", "d noreply\r\n", "\0\0\0\r\n"] {
        for tail in ["", " noreply"] {
            let parsed = parse(format!("set k 0 3{tail}\r\nabc{rest}ping\r\n"));
            assert_eq!(parsed.len(), 2, "{rest:?} {parsed:?}");
            assert!(is_cmd_err(&parsed[0]), "{rest:?}");
            assert_eq!(parsed[1], Parsed::Request(Request::Ping), "{rest:?}");
        }
    }
    let long = format!("set k 0 3\r\nabc{}\r\nping\r\n", "x".repeat(10_000));
    assert_eq!(parse(long).len(), 2, "what is passed over is no line and has no limit");
}

#[test]
fn a_value_over_its_limit_is_read_past_and_not_kept() {
    let value_bytes = 64 * 1024 * 1024;
    let line = format!("set k 0 {value_bytes} noreply\r\n");
    let block = vec![b'v'; 1 << 16];
    let blocks = std::iter::repeat_n(&block[..], value_bytes / block.len());
    // parse_pieces checks the size of the input that is kept.
    let pieces = std::iter::once(line.as_bytes()).chain(blocks).chain([&b"\r\nping\r\n"[..]]);
    let parsed = parse_pieces(LIMITS, pieces);
    assert!(is_too_large(&parsed[0]), "noreply or not");
    assert_eq!(parsed[1..], [Parsed::Request(Request::Ping)]);
}

#[test]
fn a_block_over_64_mib_ends_the_connection() {
    for line in [
        "set k 0 67108865",
        "set k x 67108865",
        "cas k 0 0 18446744073709551615 noreply",
        "once c 1 add k 0 67108865",
    ] {
        let parsed = parse(format!("{line}\r\nping\r\nquit\r\n"));
        assert!(matches!(parsed[..], [Parsed::Fatal(_)]), "{line} {parsed:?}");
    }
    let limits = Limits { value_bytes_max: 1 << 27, ..LIMITS };
    let parsed = parse_pieces(limits, [&b"set k 0 67108865\r\nping\r\n"[..]]);
    assert_eq!(parsed, [], "it waits for a value that is within its limit");
}

#[test]
fn a_line_over_its_limit_ends_the_connection_as_soon_as_it_is_known() {
    let longest = format!("{:80}", "ping");
    assert_eq!(parse(format!("{longest}\r\n")), [Parsed::Request(Request::Ping)]);
    assert_eq!(parse(format!("{longest}\n")), [Parsed::Request(Request::Ping)]);
    assert_eq!(parse(format!("{longest}\r")), []);
    for too_long in [
        format!("{longest} "),
        format!("{longest}\r\r\n"),
        format!("{longest} \r\nping\r\n"),
        format!("{longest}\r "),
        "x".repeat(10_000),
        " ".repeat(100),
    ] {
        let parsed = parse(&too_long);
        assert!(
            matches!(parsed[..], [Parsed::Fatal(ErrorReply::TooLarge(_))]),
            "{too_long:?} {parsed:?}"
        );
    }
}

#[test]
fn a_last_line_without_its_end_is_no_command() {
    for text in ["ping", "set k 0 3\r\nabc", "set k 0 3\r\nabc\r", "set k 0 3\r\nab", "x"] {
        assert_eq!(parse(text), [], "{text:?}");
    }
}

/// Commands with every kind of fault, and good commands between them.
const TRICKY: &str = "set k 0 3\r\nabc\r\n\r\n  PING \nset k 0 4 noreply\nab\r\n\n\
    set k 0 3\r\nabcd\r\nget k\r\nset k x 5\r\nquit\n\r\ncas k 0 1 25\nquit\r\nquit\r\nquit\r\n\
    quit..\r\r\nget a\r\r\nonce c 1 add k 9 0\r\n\r\nset k 0 0 x\r\nping\r\nonce c 0 set k 0 2\n\
    \r\n\nscan * 3 after z\r\nset k 0 2\r\n\r\r\r\ndelete k noreply\r\nset k 0 1\r\nx\rstatus\r\n\
    ping\nquit\r\n12345678901234567890123456789012345678901234567890123456789012345678901234567890\
    12345 ping\r\n";

#[test]
fn a_cut_at_every_byte_changes_nothing() {
    let whole = parse(TRICKY);
    assert!(whole.len() > 18, "{:#?}", show(&whole));
    assert!(matches!(whole.last(), Some(Parsed::Fatal(_))));
    for cut in 0..TRICKY.len() {
        let (front, back) = TRICKY.as_bytes().split_at(cut);
        assert_eq!(parse_pieces(LIMITS, [front, back]), whole, "cut at {cut}");
    }
    assert_eq!(parse_pieces(LIMITS, TRICKY.as_bytes().chunks(1)), whole);
}

#[test]
fn another_protocol_is_found_however_slowly_it_comes() {
    for (text, protocol) in [
        ("POST / HTTP/1.1\r\nset k 0 1\r\n1\r\n", ForeignProtocol::Http),
        ("ping\r\nGET / HTTP/1.1\r\nset k 0 1\r\n1\r\n", ForeignProtocol::Http),
        ("\x16\x03\x01\nset k 0 1\r\n1\r\n", ForeignProtocol::Tls),
    ] {
        let whole = parse(text);
        assert_eq!(whole.last(), Some(&Parsed::Foreign(protocol)));
        assert_eq!(parse_pieces(LIMITS, text.as_bytes().chunks(1)), whole, "{text:?}");
    }
    assert_eq!(parse("\x16"), [Parsed::Foreign(ForeignProtocol::Tls)], "no line end is waited for");
    let later = parse("ping\r\n\x16\x03\r\n*3\r\nping\r\n");
    assert_eq!(later.len(), 4, "later lines are merely malformed: {:?}", show(&later));
}

/// The words of commands that HTTP has as methods, and keys that look like parts of a request.
#[test]
fn a_well_formed_command_is_no_other_protocol() {
    for line in
        ["get HTTP/1.1", "delete HTTP/1.1", "get Host:", "get /index", "scan * 3 after HTTP/1"]
    {
        let parsed = parse(format!("{line}\r\nping\r\n"));
        assert!(
            matches!(parsed[..], [Parsed::Request(_), Parsed::Request(Request::Ping)]),
            "{line}"
        );
    }
}

fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"once c 1 ".to_vec()),
        prop_oneof![
            Just("set"),
            Just("add"),
            Just("cas"),
            Just("delete"),
            Just("get"),
            Just("getm"),
            Just("scan"),
            Just("upgrade"),
            Just(" hold"),
            Just("digest"),
            Just("member "),
            Just(" add a:1 b:2 "),
            Just(" remove "),
            Just(" can-lose"),
            Just(" dry-run"),
            Just("leader transfer"),
            Just(" avoid"),
            Just("ping"),
            Just("quit"),
            Just(" after "),
            Just(" noreply"),
            Just(" lease "),
            Just("commit"),
            Just("check k "),
            Just("watch prefix p"),
            Just(" from "),
            Just(" at "),
        ]
        .prop_map(|word| word.as_bytes().to_vec()),
        (0..30_u64).prop_map(|number| format!(" {number} ").into_bytes()),
        Just(b"set k 0 3\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(fragment, 0..40).prop_map(|fragments| fragments.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_of_any_input_change_nothing(
        input in fragments(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &input[ends[0]..ends[1]]);
        prop_assert_eq!(parse_pieces(LIMITS, pieces), parse(&input));
        prop_assert_eq!(parse_pieces(LIMITS, input.chunks(1)), parse(&input));
    }

    #[test]
    fn changed_commands_are_parsed_alike_in_any_pieces_and_within_bounds(
        mutation in mutation(),
        piece_bytes in 1..40_usize,
    ) {
        let input = mutation.of(TRICKY.as_bytes());
        let whole = parse(&input);
        // No result is shorter than a line end.
        prop_assert!(whole.len() <= input.len());
        prop_assert_eq!(parse_pieces(LIMITS, input.chunks(piece_bytes)), whole);
    }

    #[test]
    fn after_any_complete_line_that_is_no_write_the_next_command_is_found(
        line in prop::collection::vec(prop_oneof![0..b'\n', b'\n' + 1..=u8::MAX], 0..79),
    ) {
        prop_assume!(line::block_bytes(&line).is_none());
        prop_assume!(foreign::of_line(&line, false).is_none());
        let parsed = parse([b"ping\n", &line[..], b"\nping\r\n"].concat());
        prop_assert_eq!(parsed.len(), 3);
        prop_assert_eq!(&parsed[2], &Parsed::Request(Request::Ping));
    }
}

/// The part of a refused value that is there is thrown away at once, and the rest as it
/// comes, wherever it is cut.
#[test]
fn a_value_that_is_refused_when_it_has_come_in_part_is_read_past() {
    let limits = Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: 1024 };
    for noreply in ["", " noreply"] {
        let block = "\nping\r\r\n";
        let text = format!("set k 0 {}{noreply}\r\n{block}\r\n", block.len());
        let line_bytes = text.len() - block.len() - 2;
        // The last cut leaves only the very last byte missing.
        for cut in line_bytes..text.len() {
            let mut parser = Parser::new(limits);
            let mut input = BytesMut::from(&text[..cut]);
            assert_eq!(parser.next(&mut input), None);
            parser.refuse_value(ErrorReply::Busy, &mut input);
            assert!(input.len() <= 1, "but for a line end that is not whole");
            input.extend_from_slice(&text.as_bytes()[cut..]);
            input.extend_from_slice(b"ping\r\n");
            let refused = if noreply.is_empty() {
                Parsed::Refused(ErrorReply::Busy)
            } else {
                Parsed::Dropped
            };
            assert_eq!(parser.next(&mut input), Some(refused));
            assert_eq!(parser.next(&mut input), Some(Parsed::Request(Request::Ping)));
            assert!(input.is_empty());
        }
    }
    let mut parser = Parser::new(limits);
    let mut input = BytesMut::from(&b"pin"[..]);
    assert_eq!(parser.next(&mut input), None);
    parser.refuse_value(ErrorReply::Busy, &mut input);
    input.extend_from_slice(b"g\r\n");
    assert_eq!(parser.next(&mut input), Some(Parsed::Request(Request::Ping)), "a line is no value");
}

#[test]
fn bytes_that_were_searched_are_not_searched_again() {
    let limits = Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: 1024 };
    let mut parser = Parser::new(limits);
    let mut input = BytesMut::new();
    for count in 1..=1024 {
        input.extend_from_slice(b"x");
        assert_eq!(parser.next(&mut input), None);
        assert!(matches!(parser.state, State::Line { searched } if searched == count));
    }
}

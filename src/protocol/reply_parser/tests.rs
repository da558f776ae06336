//! Replies out of text that is cut or changed anywhere.

use proptest::prelude::*;

use super::super::error_reply::ErrorReply;
use super::*;
use crate::testing::byte_mutation::mutation;

/// Parses `pieces` as they come.
fn parse_pieces<'a>(
    expect: Expect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Reply>, Malformed> {
    let mut parser = ReplyParser::new(expect);
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        if let Some(reply) = parser.next(&mut input)? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

fn parse(expect: Expect, text: impl AsRef<[u8]>) -> Result<Option<Reply>, Malformed> {
    parse_pieces(expect, [text.as_ref()])
}

const EXPECTATIONS: [Expect; 25] = [
    Expect::Stored,
    Expect::Deleted,
    Expect::Written,
    Expect::Value,
    Expect::Meta,
    Expect::Scan { limit: 2 },
    Expect::SnapshotBegun,
    Expect::Snapshot,
    Expect::Done,
    Expect::Raised,
    Expect::Digest,
    Expect::Queued,
    Expect::Committed,
    Expect::Lease,
    Expect::Revoked,
    Expect::LeaseKeys,
    Expect::Watching,
    Expect::Compacted,
    Expect::Change,
    Expect::ChangeWaited,
    Expect::Leader,
    Expect::Members,
    Expect::Pong,
    Expect::Status,
    Expect::Help,
];

const GOOD_REPLIES: [(Expect, &str); 33] = [
    (Expect::Stored, "OK 17\r\n"),
    (Expect::Written, "OK 17\r\n"),
    (Expect::Written, "DELETED\r\n"),
    (Expect::Value, "VALUE 3\r\nabc\r\n"),
    (Expect::Value, "VALUE 3\nabc\n"),
    (Expect::Meta, "VALUE 17 60 3\r\nabc\r\n"),
    (Expect::Scan { limit: 2 }, "KEY a 1 0 1\r\nx\r\nKEY b 2 9 0\r\n\r\nMORE\r\n"),
    (Expect::Status, "role leader\r\nterm 7\r\nEND\r\n"),
    (Expect::Deleted, "ERR_REDIRECT [::1]:9000\r\n"),
    (Expect::Done, "OK\r\n"),
    (Expect::Raised, "OK 2\r\n"),
    (Expect::Raised, "ERR_NOT_YET format 1 is in force; server 3 (0.1.0) reads formats 1..1\r\n"),
    (Expect::Digest, "DIGEST 17 0123456789abcDEF\r\n"),
    (Expect::Snapshot, "SNAPSHOT 9 2 3 00000000000000000000000000000abc\r\n"),
    (Expect::Queued, "QUEUED\r\n"),
    (Expect::Committed, "COMMITTED 9 0\r\n"),
    (
        Expect::Committed,
        "COMMITTED 9 5\r\nOK 9\r\nVALUE 3\r\na\r\n\r\nERR_NOT_FOUND\r\nVALUE 7 0 0\r\n\r\n\
         DELETED\r\n",
    ),
    (Expect::Committed, "COMMITTED 9 1\r\nERR_COMPACTED 8\r\n"),
    (Expect::Committed, "ABORTED k 7\r\n"),
    (Expect::Committed, "ERR_REDIRECT [::1]:9000\r\n"),
    (Expect::Lease, "LEASE 77 30\r\n"),
    (Expect::Revoked, "REVOKED\r\n"),
    (Expect::LeaseKeys, "LEASE 77 3\r\nKEY a\r\nKEY b\r\nEND\r\n"),
    (Expect::Watching, "WATCHING 8\r\n"),
    (Expect::Compacted, "OK 8\r\n"),
    (Expect::Change, "CHANGE 17 6\r\n"),
    (Expect::Change, "ERR_REFUSED 1 is the last voter\r\n"),
    (Expect::Change, "PLAN voters=3,4 needed=2,3 here=2,2 can_lose=0,none\r\n"),
    (Expect::ChangeWaited, "ENDED 17 cancelled\r\n"),
    (Expect::ChangeWaited, "RUNNING 17 add 6 as a voter; waits for: its snapshot\r\n"),
    (Expect::Leader, "LEADER 6 42\r\n"),
    (Expect::Leader, "ALREADY\r\n"),
    (
        Expect::Members,
        "MEMBERS 3 2 unknown unknown 3 2 9 no\r\nMEMBER 1 voter leader [::1]:9001 unknown\r\n\
         CHANGE 9 unknown update 1\r\nENDED 3 done add 4 as a learner\r\nREMOVED 2 7\r\nEND\r\n",
    ),
];

#[test]
fn a_reply_is_taken_only_as_a_whole_wherever_it_is_cut() {
    for (expect, text) in GOOD_REPLIES {
        let whole = parse(expect, text).unwrap();
        assert!(whole.is_some(), "{text:?}");
        for end in 0..text.len() {
            assert_eq!(parse(expect, &text[..end]), Ok(None), "{text:?} up to {end}");
            let (front, back) = text.as_bytes().split_at(end);
            assert_eq!(parse_pieces(expect, [front, back]), Ok(whole.clone()), "{text:?}");
        }
        assert_eq!(parse_pieces(expect, text.as_bytes().chunks(1)), Ok(whole), "{text:?}");
    }
}

#[test]
fn replies_about_members_out_of_bounds_or_out_of_place_are_refused() {
    let cases = [
        ("CHANGE 17\r\n", Expect::Change),
        ("CHANGE 17 6 5\r\n", Expect::Change),
        ("ALREADY 1\r\n", Expect::Change),
        ("ALREADY\r\n", Expect::ChangeWaited),
        ("PLAN voters=3,4 needed=2,3 here=2,2\r\n", Expect::Change),
        ("PLAN voters=3,4 needed=2,3 here=2,none can_lose=0,1\r\n", Expect::Change),
        ("PLAN needed=2,3 voters=3,4 here=2,2 can_lose=0,1\r\n", Expect::Change),
        ("PLAN voters=3 needed=2,3 here=2,2 can_lose=0,1\r\n", Expect::Change),
        ("ENDED\r\n", Expect::ChangeWaited),
        ("ENDED 17\r\n", Expect::ChangeWaited),
        ("ENDED 17 over\r\n", Expect::ChangeWaited),
        ("ENDED 17 done now\r\n", Expect::ChangeWaited),
        ("RUNNING x add 6\r\n", Expect::ChangeWaited),
        ("LEADER 6\r\n", Expect::Leader),
        ("LEADER none 6\r\n", Expect::Leader),
        ("END\r\n", Expect::Members),
        ("MEMBER 1 voter leader a:1 a:2\r\n", Expect::Members),
        ("MEMBERS 3 2 unknown unknown 3 leader 9 maybe\r\n", Expect::Members),
        ("MEMBERS 3 2 none unknown 3 leader 9 yes\r\n", Expect::Members),
        ("MEMBERS 3 2 unknown unknown 3 leader 9 yes yes\r\n", Expect::Members),
        ("MEMBERS 3 2 3 1 3 leader 9 yes\r\nMEMBER 1 king leader a:1 a:2\r\n", Expect::Members),
        ("MEMBERS 3 2 3 1 3 leader 9 yes\r\nMEMBER 1 voter leader a:1 a:0\r\n", Expect::Members),
        ("MEMBERS 3 2 3 1 3 leader 9 yes\r\nMEMBER 1 voter leader a:1\r\n", Expect::Members),
        ("MEMBERS 3 2 3 1 3 leader 9 yes\r\nREMOVED 1\r\n", Expect::Members),
        ("MEMBERS 3 2 3 1 3 leader 9 yes\r\nERR_BUSY\r\n", Expect::Members),
    ];
    for (text, expect) in cases {
        assert!(parse(expect, text).is_err(), "{text:?}");
    }
    let endless = "a line\r\n".repeat(HELP_LINES_MAX + 1);
    let endless = format!("MEMBERS 3 2 3 1 3 leader 9 yes\r\n{endless}");
    assert!(parse(Expect::Members, &endless).is_err());
}

#[test]
fn replies_about_transactions_and_leases_out_of_bounds_or_out_of_place_are_refused() {
    let cases = [
        ("COMMITTED 9\r\n", Expect::Committed),
        ("COMMITTED 9 1 1\r\n", Expect::Committed),
        ("COMMITTED x 1\r\n", Expect::Committed),
        ("COMMITTED 9 100001\r\n", Expect::Committed),
        ("COMMITTED 9 1\r\nQUEUED\r\n", Expect::Committed),
        ("COMMITTED 9 1\r\nCOMMITTED 9 1\r\n", Expect::Committed),
        ("COMMITTED 9 1\r\nKEY a 1 0 0\r\n", Expect::Committed),
        ("COMMITTED 9 1\r\nERR_VERSION x\r\n", Expect::Committed),
        ("COMMITTED 9 1\r\nVALUE 1\r\nxy\r\n", Expect::Committed),
        ("OK 9\r\n", Expect::Committed),
        ("ABORTED k\r\n", Expect::Committed),
        ("ABORTED  7\r\n", Expect::Committed),
        ("ABORTED k x\r\n", Expect::Committed),
        ("LEASE 7\r\n", Expect::Lease),
        ("LEASE 7 x\r\n", Expect::Lease),
        ("END\r\n", Expect::LeaseKeys),
        ("LEASE 7 3\r\nLEASE 7 3\r\n", Expect::LeaseKeys),
        ("LEASE 7 3\r\nKEY \r\n", Expect::LeaseKeys),
        ("LEASE 7 3\r\nKEY a 1 0 0\r\n", Expect::LeaseKeys),
        ("LEASE 7 3\r\nERR_BUSY\r\n", Expect::LeaseKeys),
        ("WATCHING\r\n", Expect::Watching),
        ("WATCHING x\r\n", Expect::Watching),
        ("OK\r\n", Expect::Compacted),
    ];
    for (text, expect) in cases {
        assert!(parse(expect, text).is_err(), "{text:?}");
    }
    let values = COMMITTED_BYTES_MAX / VALUE_BYTES_MAX;
    let mut parser = ReplyParser::new(Expect::Committed);
    assert_eq!(parser.take_line(&format!("COMMITTED 9 {}", values + 1).into()), Ok(None));
    for _ in 0..values {
        assert_eq!(parser.take_line(&format!("VALUE {VALUE_BYTES_MAX}").into()), Ok(None));
    }
    assert!(parser.take_line(&"VALUE 1".into()).is_err(), "the values have a bound together");
}

#[test]
fn replies_out_of_bounds_or_out_of_place_are_refused() {
    let cases = [
        ("OK\r\n", Expect::Stored),
        ("OK \r\n", Expect::Stored),
        ("OK 1 2\r\n", Expect::Stored),
        ("OK -1\r\n", Expect::Stored),
        ("OK 18446744073709551616\r\n", Expect::Stored),
        ("DELETED\r\n", Expect::Stored),
        ("OK 1\r\n", Expect::Deleted),
        ("OK 1\r\n", Expect::Done),
        ("OK \r\n", Expect::Done),
        ("OK\r\n", Expect::Raised),
        ("OK x\r\n", Expect::Raised),
        ("DIGEST 1\r\n", Expect::Digest),
        ("DIGEST 1 12\r\n", Expect::Digest),
        ("DIGEST 1 +123456789abcdef\r\n", Expect::Digest),
        ("DIGEST 1 0123456789abcdef 1\r\n", Expect::Digest),
        ("DIGEST x 0123456789abcdef\r\n", Expect::Digest),
        ("OK 1\r\n", Expect::Digest),
        ("OK 1\r\n", Expect::Value),
        ("VALUE 1 2 3\r\n", Expect::Value),
        ("VALUE 1\r\n", Expect::Meta),
        ("VALUE 67108865\r\n", Expect::Value),
        ("VALUE 18446744073709551615\r\nx", Expect::Value),
        ("VALUE 1\r\nxy\r\n", Expect::Value),
        ("MORE\r\n", Expect::Scan { limit: 2 }),
        ("KEY a 1 0 0\r\n\r\nKEY b 1 0 0\r\n\r\n", Expect::Scan { limit: 1 }),
        ("KEY a 1 0 0\r\n\r\nERR_BUSY\r\n", Expect::Scan { limit: 2 }),
        ("ERR_VERSION x\r\n", Expect::Stored),
        ("ERR_REDIRECT\r\n", Expect::Stored),
        ("ERR_REDIRECT nowhere\r\n", Expect::Stored),
        ("ERR_REDIRECT host:65536\r\n", Expect::Stored),
        ("role\r\nEND\r\n", Expect::Status),
        ("SNAPSHOT 1 2 +3 00000000000000000000000000000abc\r\n", Expect::Snapshot),
        ("SNAPSHOT 1 2 3 4\r\n", Expect::Snapshot),
        ("HTTP/1.1 400 Bad Request\r\n", Expect::Pong),
    ];
    for (text, expect) in cases {
        assert!(parse(expect, text).is_err(), "{text:?}");
    }
    for expect in EXPECTATIONS {
        assert!(parse(expect, vec![b'x'; LINE_BYTES_MAX]).is_err());
        assert_eq!(parse(expect, vec![b'x'; LINE_BYTES_MAX - 1]), Ok(None));
    }
    let endless = "a line\r\n".repeat(HELP_LINES_MAX + 1);
    assert!(parse(Expect::Help, &endless).is_err());
    assert!(parse(Expect::Status, &endless).is_err());
}

#[test]
fn a_page_has_a_bound_on_the_bytes_that_it_announces() {
    let mut parser = ReplyParser::new(Expect::Scan { limit: 3 });
    let item = |key: &str| format!("KEY {key} 1 0 {VALUE_BYTES_MAX}");
    let take = |parser: &mut ReplyParser, key| {
        parser.due = None;
        parser.take_line(&item(key).into())
    };
    assert_eq!(take(&mut parser, "a"), Ok(None));
    assert_eq!(take(&mut parser, "b"), Ok(None));
    assert!(take(&mut parser, "c").is_err());
}

#[test]
fn the_first_reply_is_found_without_copying() {
    let value = ReplyLine::Value { bytes: 5 };
    let whole = b"VALUE 5\r\nab\ncd\r\n";
    for end in 0..whole.len() {
        assert_eq!(first_reply(&whole[..end]), Ok(None), "of {end} bytes");
    }
    assert_eq!(first_reply(whole), Ok(Some((whole.len(), value))));
    assert_eq!(first_reply(b"OK 1"), Ok(None));
    assert_eq!(first_reply(b"OK 1\r\nOK 2\r\n"), Ok(Some((6, ReplyLine::Ok { number: 1 }))));
}

#[test]
fn errors_are_told_apart() {
    let error = |input: &'static [u8]| match first_reply(input) {
        Ok(Some((_, ReplyLine::Error(error)))) => (error.word(), error.reply().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(error(b"ERR_NOT_FOUND\r\n"), ("ERR_NOT_FOUND", ErrorReply::NotFound));
    let redirect = ErrorReply::Redirect { host: "::1".into(), port: 9000 };
    assert_eq!(error(b"ERR_REDIRECT [::1]:9000\r\n"), ("ERR_REDIRECT", redirect));
    assert_eq!(error(b"ERR_BUSY\r\n"), ("ERR_BUSY", ErrorReply::Busy));
    let internal = ErrorReply::Internal("of some kind".into());
    assert_eq!(error(b"ERR_INTERNAL of some kind\r\n"), ("ERR_INTERNAL", internal));
    let unknown = ErrorReply::Unknown("ERR_NEW of some kind".into());
    assert_eq!(error(b"ERR_NEW of some kind\r\n"), ("ERR_NEW", unknown));
}

#[test]
fn a_first_reply_out_of_bounds_is_malformed() {
    for length in [VALUE_BYTES_MAX + 1, usize::MAX - 10, usize::MAX] {
        assert!(first_reply(format!("VALUE {length}\r\n").as_bytes()).is_err());
    }
    for text in ["HTTP/1.1 400 Bad Request\r\n", "VALUE many\r\n", "VALUE 1\r\nab\r\n", "OK \r\n"] {
        assert!(first_reply(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(first_reply(b"\xff\r\n").is_err());
    assert!(first_reply(&[b'x'; LINE_BYTES_MAX]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_makes_a_parser_panic_or_take_bytes_that_have_not_come(
        start in prop::sample::select(vec![
            "", "OK ", "OK 1", "VALUE ", "VALUE 5\r\nab", "KEY a ", "ERR_", "ERR_REDIRECT ", "MORE",
            "SNAPSHOT 1 2 ", "role leader\r\n", "DIGEST 1 0123456789", "ERR_NOT_YET ",
            "CHANGE 17 ", "PLAN voters=3,4 needed=2,3 here=", "ENDED 17 ", "RUNNING 17 ",
            "LEADER 6 ",
            "MEMBERS 3 2 3 1 3 leader 9 yes\r\n",
            "MEMBERS 3 2 3 1 3 leader 9 yes\r\nMEMBER 1 voter leader a:1 a:2 formats=1.",
            "MEMBERS 3 2 3 1 3 leader 9 yes\r\nCHANGE 9 3 a; waits for:",
        ]),
        rest in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'9')],
            0..64,
        ),
    ) {
        let input = [start.as_bytes(), &rest].concat();
        for expect in EXPECTATIONS {
            let whole = parse(expect, &input);
            prop_assert_eq!(parse_pieces(expect, input.chunks(1)).is_err(), whole.is_err());
        }
        if let Ok(Some((taken, _))) = first_reply(&input) {
            prop_assert!(taken <= input.len());
        }
    }

    #[test]
    fn changed_replies_are_refused_or_no_larger_than_what_came(
        (expect, reply) in prop::sample::select(GOOD_REPLIES.to_vec()),
        mutation in mutation(),
    ) {
        let bytes = mutation.of(reply.as_bytes());
        if let Ok(Some(Reply::Value(value))) = parse(expect, &bytes) {
            prop_assert!(value.len() <= bytes.len());
        }
        if let Ok(Some((taken, _))) = first_reply(&bytes) {
            prop_assert!(taken <= bytes.len());
        }
    }
}

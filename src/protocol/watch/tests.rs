use super::*;
use crate::kv::{ChangeEvent, ChangeKind, Record};

/// All parts of a stream that comes in pieces of this size, or the error that ends it.
fn parse(text: &[u8], piece_bytes: usize) -> Result<Vec<WatchPart>, Malformed> {
    let (mut parser, mut input, mut parts) = (WatchParser::new(), BytesMut::new(), Vec::new());
    for piece in text.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        while let Some(part) = parser.next(&mut input)? {
            parts.push(part);
        }
    }
    Ok(parts)
}

fn event(key: &'static str, revision: u64, kind: WatchKind) -> WatchPart {
    WatchPart::Event(WatchEvent { key: key.into(), revision, kind, previous: None })
}

#[test]
fn a_stream_has_events_and_the_ends_of_revisions() {
    let text = b"SET a 7 30 3\r\nx\r\n\r\nDELETED b 7\r\nEND 7\r\nEXPIRED a 9\nEND 9\r\nEND 12\r\n\
        ERR_COMPACTED 20\r\n";
    let set = WatchKind::Set { exptime: 30, value: "x\r\n".into() };
    let expected = vec![
        event("a", 7, set),
        event("b", 7, WatchKind::Deleted),
        WatchPart::End { revision: 7 },
        event("a", 9, WatchKind::Expired),
        WatchPart::End { revision: 9 },
        WatchPart::End { revision: 12 },
        WatchPart::Ended(ErrorReply::Compacted { revision: 20 }),
    ];
    for piece_bytes in 1..text.len() {
        assert_eq!(parse(text, piece_bytes), Ok(expected.clone()), "{piece_bytes}");
    }
}

#[test]
fn a_replaced_record_belongs_to_the_event_behind_it() {
    let text = b"PREV a 3 1\r\nx\r\nSET a 7 0 0\r\n\r\nPREV b 4 0\r\n\r\nDELETED b 7\r\nEND 7\r\n";
    let parts = parse(text, text.len()).expect("it is a stream");
    let previous = |part: &WatchPart| match part {
        WatchPart::Event(event) => event.previous.clone(),
        _ => None,
    };
    let record =
        |revision, value: &'static str| Some(WatchPrevious { revision, value: Bytes::from(value) });
    let found: Vec<_> = parts.iter().map(previous).collect();
    assert_eq!(found, [record(3, "x"), record(4, ""), None]);
}

#[test]
fn what_is_no_stream_is_refused() {
    for text in [
        "END\r\n",
        "END x\r\n",
        "END 1 2\r\n",
        "OK 1\r\n",
        "SET a 7 0\r\n",
        "SET a 7 0 1 2\r\n",
        "SET a 7 x 1\r\n",
        "SET a 7 0 67108865\r\n",
        "DELETED a\r\n",
        "DELETED a -1\r\n",
        "EXPIRED a 1 2\r\n",
        "SET a 7 0 1\r\nxy\r\n",
        // A replaced record without the change that replaced it.
        "PREV a 3 1\r\nx\r\nEND 7\r\n",
        "PREV a 3 1\r\nx\r\nDELETED b 7\r\n",
        "PREV a 3 1\r\nx\r\nPREV a 3 1\r\nx\r\n",
        "ERR_COMPACTED x\r\n",
    ] {
        assert!(parse(text.as_bytes(), 1000).is_err(), "{text}");
    }
}

#[test]
fn a_line_that_never_ends_is_refused() {
    let mut input = BytesMut::from(&vec![b'x'; 200 * 1024][..]);
    assert!(WatchParser::new().next(&mut input).is_err());
}

#[test]
fn a_change_of_the_store_becomes_an_event() {
    let record = |revision, deadline_ms| Record::for_tests(b"k", b"value", revision, deadline_ms);
    let change = |kind, record, previous| {
        let event =
            ChangeEvent { revision: 9, kind, key: "k".into(), record, previous, at_ms: 500 };
        let mut text = Vec::new();
        WatchPart::from(event).print(&mut text);
        String::from_utf8(text).expect("this test prints text")
    };
    let put = |deadline_ms| change(ChangeKind::Put, Some(record(9, deadline_ms)), None);
    assert_eq!(put(None), "SET k 9 0 5\r\nvalue\r\n");
    assert_eq!(put(Some(30_500)), "SET k 9 30 5\r\nvalue\r\n", "the seconds it was given");
    assert_eq!(
        change(ChangeKind::Delete, None, Some(record(4, None))),
        "PREV k 4 5\r\nvalue\r\nDELETED k 9\r\n"
    );
    assert_eq!(change(ChangeKind::Expire, None, None), "EXPIRED k 9\r\n");
}

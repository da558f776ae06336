use super::*;

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

/// A range, keys that are in it, and keys that are not.
type Case<'a> = (KeyRange, &'a [&'a [u8]], &'a [&'a [u8]]);

#[test]
fn a_range_holds_what_its_kind_says() {
    let cases: &[Case<'_>] = &[
        (KeyRange::key(bytes(b"a")), &[b"a"], &[b"", b"aa", b"b"]),
        (KeyRange::all(), &[b"", b"a", b"\xff\xff"], &[]),
        (KeyRange::prefix(bytes(b"ab")), &[b"ab", b"ab\0", b"ab\xff\xff"], &[b"a", b"ac", b"aa"]),
        (KeyRange::prefix(bytes(b"a\xff")), &[b"a\xff", b"a\xff\xff"], &[b"a", b"b"]),
        (KeyRange::prefix(bytes(b"\xff\xff")), &[b"\xff\xff", b"\xff\xff\0"], &[b"\xff", b"a"]),
        (KeyRange::prefix(bytes(b"")), &[b"", b"z"], &[]),
        (KeyRange::from(bytes(b"b")), &[b"b", b"ba", b"\xff"], &[b"", b"a", b"az"]),
        (KeyRange::between(bytes(b"a"), bytes(b"c")), &[b"a", b"b", b"bz"], &[b"", b"c"]),
        (KeyRange::between(bytes(b"c"), bytes(b"a")), &[], &[b"a", b"b", b"c"]),
    ];
    for (range, inside, outside) in cases {
        inside.iter().for_each(|key| assert!(range.contains(key), "{range:?} {key:?}"));
        outside.iter().for_each(|key| assert!(!range.contains(key), "{range:?} {key:?}"));
    }
    assert!(KeyRange::between(bytes(b"c"), bytes(b"a")).is_empty());
    assert!(!KeyRange::key(bytes(b"c")).is_empty());
}

use super::*;

fn range(prefix: &str, from: &str) -> Range {
    Range::new(prefix.into(), from.into())
}

/// Bytes that a key may have.
fn is_key(key: &[u8]) -> bool {
    !key.is_empty() && key.iter().all(|byte| *byte > 0x20 && *byte != 0x7f)
}

#[test]
fn a_range_begins_right_after_a_key_that_is_before_it() {
    assert_eq!(range("", "").begin(), None);
    assert_eq!(range("user/", "").begin(), None);
    assert_eq!(range("*", "").begin(), Some(b")\xff".to_vec()));
    assert_eq!(range("user/", "user/5").begin(), Some(b"user/4\xff".to_vec()));
    assert_eq!(range("", "user/!").begin(), Some(b"user/".to_vec()));
    assert_eq!(range("", "!").begin(), None);
    assert_eq!(Range::new(Vec::new(), vec![b'a', 0x80]).begin(), Some(vec![b'a', 0x7e, 0xff]));
    let longest = "b".repeat(KEY_BYTES);
    assert_eq!(range("", &longest).begin().unwrap().len(), KEY_BYTES);
    assert_eq!(range("b", "a").begin(), None);
}

#[test]
fn no_key_of_a_range_is_passed_over_and_the_server_is_asked_with_a_key() {
    let bytes: Vec<u8> = vec![0x21, 0x22, b')', b'*', b'+', 0x7e, 0x80, 0x81, 0xfe, 0xff];
    let one = bytes.iter().map(|byte| vec![*byte]);
    let two = bytes.iter().flat_map(|first| bytes.iter().map(move |second| vec![*first, *second]));
    let keys: Vec<Vec<u8>> = one.chain(two).collect();
    for from in &keys {
        let range = Range::new(Vec::new(), from.clone());
        let begin = range.begin();
        assert!(begin.as_deref().is_none_or(is_key), "{from:x?}");
        for key in &keys {
            let is_asked = begin.as_ref().is_none_or(|begin| key > begin);
            assert_eq!(range.place(key) == Place::In, key >= from);
            assert!(is_asked || key < from, "{key:x?} is left out of those from {from:x?} on");
        }
    }
}

#[test]
fn a_prefix_is_taken_as_it_is() {
    let stars = range("*", "");
    assert_eq!(stars.asked_prefix(), b"");
    for (key, place) in [
        (")", Place::Before),
        ("*", Place::In),
        ("*a", Place::In),
        ("+", Place::Behind),
        ("a*", Place::Behind),
    ] {
        assert_eq!(stars.place(key.as_bytes()), place, "{key}");
    }
    assert_eq!(range("**", "").asked_prefix(), b"**");
    assert_eq!(range("a", "ac").place(b"ab"), Place::Before);
    assert_eq!(range("a", "ac").place(b"ac"), Place::In);
    assert_eq!(range("a", "b").place(b"ad"), Place::Before);
}

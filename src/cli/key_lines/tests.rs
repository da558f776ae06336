use super::*;

fn item(key: &[u8], value: &[u8], exptime: u64) -> Item {
    Item { key: key.to_vec(), version: 7, exptime, value: value.to_vec() }
}

/// The first line of a file with keys of any name.
fn first() -> String {
    header(&Header { revision: 9, prefix: Vec::new() })
}

/// All keys of a file, or the failure to read it.
fn read(text: &str) -> Result<Vec<KeyLine>, ReadError> {
    let mut reader = KeyReader::begin(text.as_bytes())?;
    let mut keys = Vec::new();
    while let Some(key) = reader.next()? {
        keys.push(key);
    }
    Ok(keys)
}

/// The sentence with which the reading of a file with this one line between its first and its last
/// ends.
fn refused(line: &str) -> String {
    read(&format!("{}{line}\n{}", first(), trailer(1))).unwrap_err().to_string()
}

#[test]
fn the_lines_are_json_and_tell_text_from_bytes_by_the_name_of_the_field() {
    assert_eq!(
        header(&Header { revision: 9, prefix: b"user/".to_vec() }),
        "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":9,\"prefix\":\"user/\"}\n"
    );
    assert_eq!(
        key_line(&item(b"a", b"two\nlines \"x\" \\", 0)),
        "{\"key\":\"a\",\"value\":\"two\\u000alines \\\"x\\\" \\\\\",\"version\":7}\n"
    );
    assert_eq!(
        key_line(&item(b"\xff", b"\x00\xfe", 60)),
        "{\"key_base64\":\"/w==\",\"value_base64\":\"AP4=\",\"version\":7,\"expires_in_s\":60}\n"
    );
    assert_eq!(trailer(2), "{\"end\":true,\"keys\":2}\n");
}

#[test]
fn every_key_and_value_is_read_as_it_was_written() {
    let values: [&[u8]; 6] =
        [b"", b"\n", b"caf\xc3\xa9 \xe2\x80\xae", b"\xff\x00", b"{\"end\":true,\"keys\":0}", b"\0"];
    let all_bytes: Vec<u8> = (0..=255).collect();
    let mut items: Vec<Item> = (1_u8..)
        .zip(values)
        .map(|(number, value)| item(&[b'a', b'0' + number], value, 0))
        .collect();
    items.push(item(b"b", &all_bytes, 3));
    items.push(item(b"\"\\", b"quoted", 0));
    items.push(item(b"\xc3\x28", b"not utf-8", EXPTIME_MAX));
    items.sort_by(|one, other| one.key.cmp(&other.key));
    let lines: String = items.iter().map(key_line).collect();
    let read = read(&(first() + &lines + &trailer(items.len() as u64))).unwrap();
    let read: Vec<Item> =
        read.into_iter().map(|line| item(&line.key, &line.value, line.exptime)).collect();
    assert_eq!(read, items);
}

#[test]
fn a_file_that_others_wrote_may_leave_out_the_versions_and_have_spaces() {
    let text = format!("{}{{ \"key\" : \"a\", \"value\": \"\" }}\r\n{}", first(), trailer(1));
    let expected = KeyLine { number: 2, key: b"a".to_vec(), value: Vec::new(), exptime: 0 };
    assert_eq!(read(&text).unwrap(), [expected]);
}

#[test]
fn a_file_that_was_cut_anywhere_is_told_from_a_whole_one() {
    let lines = [b"a", b"b"].map(|key| key_line(&item(key, b"value", 0))).concat();
    let whole = first() + &lines + &trailer(2);
    assert_eq!(read(&whole).unwrap().len(), 2);
    assert_eq!(read(whole.trim_end()).unwrap().len(), 2, "the last line needs no end");
    for length in first().len()..whole.trim_end().len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(matches!(error, ReadError::Cut { .. }), "{length}: {error}");
    }
    assert!(matches!(read(""), Err(ReadError::Cut { lines: 0 })));
    let said = read(&first()).unwrap_err().to_string();
    assert!(said.starts_with("it ends after line 1 without the last line"), "{said}");
}

#[test]
fn a_bad_line_is_named_with_its_column() {
    for (line, said) in [
        ("", "line 2, column 1: EOF while parsing a value"),
        (
            r#"{"key":"a","value":"b","x":1}"#,
            "line 2, column 26: unknown field `x`, expected one of `key`, `key_base64`, `value`, \
             `value_base64`, `version`, `expires_in_s`",
        ),
        (r#"{"key":"a","value":7}"#, "line 2, column 20: invalid type: integer `7`"),
        (r#"{"key":"a" "value":""}"#, "line 2, column 12: expected `,` or `}`"),
        (r#"{"key":"a"}"#, "line 2, column 1: there must be either value or value_base64"),
        (
            r#"{"key":"a","key_base64":"YQ==","value":""}"#,
            "line 2, column 2: there must be either key or key_base64",
        ),
        (
            r#"{"key":"a","value_base64":"?"}"#,
            "line 2, column 12: value_base64 is no base64: Invalid symbol 63, offset 0.",
        ),
        (r#"{"key":"","value":""}"#, "line 2, column 2: a key has at least one byte"),
        (r#"{"key":"a b","value":""}"#, "line 2, column 2: a key has at least one byte"),
        (r#"{"key":"\u007f","value":""}"#, "line 2, column 2: a key has at least one byte"),
        (r#"{"value":"","key":"a","expires_in_s":0}"#, "line 2, column 23: expires_in_s is from 1"),
        (r#"{"end":true,"keys":5}"#, "line 2, column 13: it counts 5 keys, and there are 0"),
        (r#"{"end":false,"keys":0}"#, "line 2, column 6: unknown field `end`"),
        (r#"{"end":true,"keys":0}"#, "line 3, column 1: nothing may follow"),
    ] {
        let refused = refused(line);
        assert!(refused.starts_with(said), "{line}: {refused}");
    }
}

#[test]
fn a_key_that_is_there_twice_or_out_of_order_is_refused() {
    for keys in [["a", "a"], ["b", "a"], ["a", "Z"]] {
        let lines = keys.map(|key| key_line(&item(key.as_bytes(), b"", 0))).concat();
        let said = read(&(first() + &lines + &trailer(2))).unwrap_err().to_string();
        assert!(said.starts_with("line 3, column 2: the keys must be in byte order"), "{said}");
    }
}

#[test]
fn only_the_first_line_of_an_export_that_this_program_knows_is_taken() {
    for (line, said) in [
        ("{\"key\":\"a\"}\n", "line 1, column 11: this is not the first line of an export"),
        ("hello\n", "line 1, column 1: this is not the first line of an export"),
        (
            "{\"format\":\"other\",\"format_version\":1,\"revision\":1}\n",
            "line 1, column 1: the format is \"other\", and not \"coracle-export\"",
        ),
        (
            "{\"format\":\"coracle-export\",\"format_version\":2,\"more\":1}\n",
            "line 1, column 1: the export is of format version 2, and this program reads version 1",
        ),
        (
            "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":1}\n",
            "line 1, column 1: there must be either prefix or prefix_base64",
        ),
    ] {
        let refused = read(line).unwrap_err().to_string();
        assert!(refused.starts_with(said), "{line}: {refused}");
    }
    let line = "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":5,\
                \"prefix_base64\":\"/w==\",\"later\":0}\n";
    let expected = Header { revision: 5, prefix: b"\xff".to_vec() };
    assert_eq!(*KeyReader::begin(line.as_bytes()).unwrap().header(), expected);
}

use super::*;

#[test]
fn a_text_of_another_machine_can_do_nothing_to_a_terminal() {
    assert_eq!(shown("server 3 (caf\u{e9})"), "server 3 (caf\u{e9})");
    let dangerous = "\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}";
    let escaped = r"\u{1b}[2J\u{d}\u{a}\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}";
    assert_eq!(shown(dangerous), escaped);
}

#[test]
fn times_and_numbers_are_short() {
    let of_ms = |ms| time(Duration::from_millis(ms));
    let times = [0, 12, 999, 1_000, 119_999, 120_000, 7_199_000, 7_200_000, 172_800_000];
    let words = ["0 ms", "12 ms", "999 ms", "1 s", "119 s", "2 min", "119 min", "2 h", "2 d"];
    assert_eq!(times.map(of_ms), words);
    let numbers = [0, 999, 1_000, 123_456, 1_234_567].map(grouped);
    assert_eq!(numbers, ["0", "999", "1,000", "123,456", "1,234,567"]);
    assert_eq!((plural("voter", 1), plural("voter", 2)), ("voter".into(), "voters".into()));
}

#[test]
fn bytes_are_told_in_the_unit_that_leaves_few_digits() {
    for (number, said) in [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (1_536, "1.5 KiB"),
        (1_048_524, "1023.9 KiB"),
        (1_048_575, "1.0 MiB"),
        (1 << 30, "1.0 GiB"),
        (u64::MAX, "16384.0 PiB"),
    ] {
        assert_eq!(bytes(number), said);
    }
}

#[test]
fn bytes_that_could_be_misread_stand_between_double_quotes() {
    for (bytes, said) in [
        (&b"plain words"[..], "plain words"),
        ("caf\u{e9} \\n 'x'".as_bytes(), "caf\u{e9} \\n 'x'"),
        (b"", r#""""#),
        (b" a", r#"" a""#),
        (b"a ", r#""a ""#),
        (b"a\"b", "a\"b"),
        (b"\"a\"", r#""\"a\"""#),
        (b"two\nlines\r\n\t\\", r#""two\nlines\r\n\t\\""#),
        (b"a\xff\0\x1bz", r#""a\xff\x00\x1bz""#),
        ("\u{202e}\u{e9}".as_bytes(), "\"\\xe2\\x80\\xae\u{e9}\""),
    ] {
        assert_eq!(quoted(bytes), said);
    }
}

use super::*;

fn decode(encoding: Encoding, text: &str) -> Result<Vec<u8>, String> {
    encoding.decode(text.as_bytes())
}

#[test]
fn bytes_are_typed_as_digits_or_as_base64_and_white_space_does_not_count() {
    assert_eq!(decode(Encoding::Bytes, " a\n").unwrap(), b" a\n");
    assert_eq!(decode(Encoding::Hex, "00fF\n7f 0a").unwrap(), [0, 0xff, 0x7f, 0x0a]);
    assert_eq!(decode(Encoding::Hex, "").unwrap(), b"");
    assert_eq!(decode(Encoding::Base64, "AP9/\nCg==\n").unwrap(), [0, 0xff, 0x7f, 0x0a]);
    assert_eq!(decode(Encoding::Base64, "AP9/Cg").unwrap(), [0, 0xff, 0x7f, 0x0a]);
    for wrong in ["0", "0g", "+1", "0x00"] {
        assert!(decode(Encoding::Hex, wrong).unwrap_err().contains("two hexadecimal digits"));
    }
    assert!(decode(Encoding::Base64, "AP9_").unwrap_err().starts_with("it is no base64: "));
}

#[test]
fn a_value_is_printed_in_the_form_in_which_it_is_typed() {
    let form = |hex, base64| ValueForm { hex, base64 };
    assert_eq!(form(false, false).line(b"a"), None);
    for (form, encoding) in
        [(form(true, false), Encoding::Hex), (form(false, true), Encoding::Base64)]
    {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encoding, &form.line(&all).unwrap()).unwrap(), all);
    }
}

#[test]
fn a_value_that_looks_like_a_misspelt_option_stands_behind_two_dashes() {
    let check = |value: &str, line: &[&str]| {
        let line = line.iter().map(OsString::from);
        refuse_unknown_option(OsStr::new(value), line).map_err(|failure| failure.to_string())
    };
    let said = check("--exptme=60", &["coracle", "set", "a", "--exptme=60"]).unwrap_err();
    let expected = "there is no option --exptme=60: did you mean --exptime? If it is the value, \
                    put it behind --";
    assert_eq!(said, expected);
    let said = check("--endpints=a:1", &["coracle", "set"]).unwrap_err();
    assert!(said.contains("did you mean --endpoints?"), "{said}");
    let said = check("--- a line ---", &["coracle", "set"]).unwrap_err();
    assert!(!said.contains("did you mean"), "{said}");
    check("--exptme=60", &["coracle", "set", "a", "--", "--exptme=60"]).unwrap();
    check("-5", &["coracle", "set", "a", "-5"]).unwrap();
}

use super::*;

#[test]
fn a_name_is_shown_escaped_and_cut() {
    assert_eq!(
        Corruption::of_key(b"a\"\n\xff", 7).to_string(),
        r#"the record of key "a\"\n\xff", version 7, does not match its hash"#
    );
    let long = Corruption::of_client(&[b'n'; 65]).to_string();
    assert_eq!(
        long,
        format!("the record of client \"{}...\" does not match its hash", "n".repeat(64))
    );
}

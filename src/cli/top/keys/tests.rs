use super::*;

fn of(bytes: &[u8]) -> Vec<Key> {
    pressed(bytes).collect()
}

#[test]
fn each_key_has_its_meaning_and_others_have_none() {
    assert_eq!(of(b"sp?q"), [Key::Sort, Key::Pause, Key::Help, Key::End]);
    assert_eq!(of(&[CONTROL_C]), [Key::End]);
    assert!(of(b"c\nxS").is_empty());
    // The third function key of some terminals, and the escape key itself.
    assert!(of(b"\x1bOs").is_empty());
    assert!(of(b"\x1b").is_empty());
}

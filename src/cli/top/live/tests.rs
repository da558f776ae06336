//! The keys.

use super::*;

fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    key(KeyEvent::new(code, modifiers))
}

#[test]
fn each_key_has_its_meaning_and_others_have_none() {
    let plain = |character| press(KeyCode::Char(character), KeyModifiers::NONE);
    assert_eq!(plain('q'), Some(Key::End));
    assert_eq!(plain('s'), Some(Key::Sort));
    assert_eq!(plain('p'), Some(Key::Pause));
    assert_eq!(plain('?'), Some(Key::Help));
    assert_eq!(plain('c'), None);
    assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::End));
    assert_eq!(press(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
    assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE), None);
    let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    released.kind = KeyEventKind::Release;
    assert_eq!(key(released), None);
}

#[test]
fn pause_and_help_are_switched_and_the_order_goes_on() {
    let wishes = Wishes::default();
    let paused = changed(wishes, Key::Pause);
    assert!(paused.is_paused && !changed(paused, Key::Pause).is_paused);
    let help = changed(wishes, Key::Help);
    assert!(help.is_help && !changed(help, Key::Help).is_help);
    assert_eq!(changed(wishes, Key::Sort).order.name(), "lag");
}

//! The effect of the keys.

use super::*;

#[test]
fn pause_and_help_are_switched_and_the_order_goes_on() {
    let wishes = Wishes::default();
    let paused = changed(wishes, Key::Pause);
    assert!(paused.is_paused && !changed(paused, Key::Pause).is_paused);
    let help = changed(wishes, Key::Help);
    assert!(help.is_help && !changed(help, Key::Help).is_help);
    assert_eq!(changed(wishes, Key::Sort).order.name(), "lag");
}

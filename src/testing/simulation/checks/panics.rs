//! Panics of simulated nodes: a task's runtime swallows them, so a hook remembers them.

use std::cell::RefCell;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers panics of simulated nodes, so that [`simulate`](super::super::simulate) reports
/// them. Every program that simulates calls it once.
pub fn catch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.borrow_mut().push(info.to_string()));
            previous(info);
        }));
    });
}

/// Takes the panics of this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    PANICS.with(RefCell::take)
}

//! The terminal: it is drawn anew when there is something new, and put back at any end.

use std::time::Duration;

use ratatui::crossterm::style::force_color_output;
use ratatui::{DefaultTerminal, try_init, try_restore};

use super::super::failure::Failure;
use super::super::paint::Paint;
use super::super::roster::Roster;
use super::keys::{Key, Keys};
use super::screen::{Wishes, draw};
use super::view::View;
use super::watcher::Watcher;

/// Maximum time until what is new is shown.
const LOOK: Duration = Duration::from_millis(100);

/// Shows the servers until a key or a signal ends it. The terminal is put back then, after an
/// error, and by a hook when something panics.
///
/// # Errors
/// When the terminal does not do what it is told.
pub fn run(roster: Roster, patience: Duration) -> Result<(), Failure> {
    // The library knows NO_COLOR, and not the option.
    force_color_output(Paint::of_stdout().is_colored());
    let watcher = Watcher::start(roster.targets.clone(), patience)?;
    let keys = Keys::read()?;
    let mut terminal = try_init().inspect_err(|_| put_back())?;
    let result = show(&mut terminal, &roster, &watcher, &keys);
    if terminal.show_cursor().is_err() {
        // The terminal is gone. When it is dropped it would complain of that, to itself.
        std::mem::forget(terminal);
    }
    put_back();
    result
}

/// Puts the terminal back. It cannot be told when that fails: the terminal is gone then.
fn put_back() {
    let _ = try_restore();
}

fn show(
    terminal: &mut DefaultTerminal,
    roster: &Roster,
    watcher: &Watcher,
    keys: &Keys,
) -> Result<(), Failure> {
    let mut wishes = Wishes::default();
    let mut view = View::of(roster, &watcher.heard());
    while !watcher.is_ended() {
        if !wishes.is_paused {
            view = View::of(roster, &watcher.heard());
        }
        terminal.draw(|frame| draw(frame, &view, wishes))?;
        match keys.next(LOOK) {
            Some(Key::End) => return Ok(()),
            Some(key) => wishes = changed(wishes, key),
            None => {}
        }
    }
    Ok(())
}

/// The wishes after a key.
fn changed(wishes: Wishes, key: Key) -> Wishes {
    match key {
        Key::Sort => Wishes { order: wishes.order.next(), ..wishes },
        Key::Pause => Wishes { is_paused: !wishes.is_paused, ..wishes },
        Key::Help => Wishes { is_help: !wishes.is_help, ..wishes },
        Key::End => wishes,
    }
}

#[cfg(test)]
mod tests;

//! The terminal: it is drawn anew when there is something new, and put back at any end.

use std::time::Duration;

use coracle::config::Settings;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, restore, try_init};

use super::super::failure::Failure;
use super::super::survey::listed;
use super::screen::{Wishes, draw};
use super::view::View;
use super::watcher::Watcher;

/// Maximum time until what is new is shown.
const LOOK: Duration = Duration::from_millis(100);

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    End,
    Sort,
    Pause,
    Help,
}

/// Shows the servers until a key or a signal ends it. The terminal is put back then, after an
/// error, and by a hook when something panics.
///
/// # Errors
/// When the terminal does not do what it is told, or is gone.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let watcher = Watcher::start(listed(settings))?;
    let mut terminal = try_init().inspect_err(|_| restore())?;
    let result = show(&mut terminal, &settings.cluster, &watcher);
    restore();
    result
}

fn show(terminal: &mut DefaultTerminal, cluster: &str, watcher: &Watcher) -> Result<(), Failure> {
    let mut wishes = Wishes::default();
    let mut view = View::new(cluster, &watcher.heard());
    while !watcher.is_ended() {
        if !wishes.is_paused {
            view = View::new(cluster, &watcher.heard());
        }
        terminal.draw(|frame| draw(frame, &view, wishes))?;
        if !event::poll(LOOK)? {
            continue;
        }
        if let Event::Key(pressed) = event::read()?
            && let Some(key) = key(pressed)
        {
            match key {
                Key::End => return Ok(()),
                other => wishes = changed(wishes, other),
            }
        }
    }
    Ok(())
}

/// The meaning of a key that was pressed; `None` when it has none.
fn key(pressed: KeyEvent) -> Option<Key> {
    let is_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    match pressed.code {
        _ if pressed.kind == KeyEventKind::Release => None,
        KeyCode::Char('c') if is_control => Some(Key::End),
        _ if is_control => None,
        KeyCode::Char('q') => Some(Key::End),
        KeyCode::Char('s') => Some(Key::Sort),
        KeyCode::Char('p') => Some(Key::Pause),
        KeyCode::Char('?') => Some(Key::Help),
        _ => None,
    }
}

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

//! The keys of the person who looks.
//!
//! They are bytes of standard input: a terminal that shows a table has no other use for it. The
//! reader of crossterm asks a terminal that is gone again and again, for ever.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The byte with which every key begins that is not a character.
const ESCAPE: u8 = 0x1b;
/// Ctrl-C, in a terminal that makes no signal of it.
const CONTROL_C: u8 = 0x03;

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    End,
    Sort,
    Pause,
    Help,
}

/// The keys as they are pressed. A thread reads them, because a read cannot be given up; it ends
/// with the process, or with the terminal.
pub struct Keys(Receiver<Key>);

impl Keys {
    /// Begins to read keys.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn read() -> io::Result<Keys> {
        let (sender, keys) = channel();
        thread::Builder::new().name("keys".to_owned()).spawn(move || {
            let mut bytes = [0; 64];
            loop {
                match io::stdin().lock().read(&mut bytes) {
                    // The terminal is gone.
                    Ok(0) => return,
                    Ok(read) => {
                        for key in pressed(&bytes[..read]) {
                            if sender.send(key).is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Keys(keys))
    }

    /// The next key that has an effect; `None` when there is none for this time. A terminal that
    /// is gone ends the table.
    pub fn next(&self, time: Duration) -> Option<Key> {
        match self.0.recv_timeout(time) {
            Ok(key) => Some(key),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Key::End),
        }
    }
}

/// The keys of bytes that came together. Those of a key that is not a character come in one
/// piece, and have no effect.
fn pressed(bytes: &[u8]) -> impl Iterator<Item = Key> {
    let is_special = bytes.first() == Some(&ESCAPE);
    bytes.iter().filter(move |_| !is_special).filter_map(|byte| match byte {
        b'q' | &CONTROL_C => Some(Key::End),
        b's' => Some(Key::Sort),
        b'p' => Some(Key::Pause),
        b'?' => Some(Key::Help),
        _ => None,
    })
}

#[cfg(test)]
mod tests;

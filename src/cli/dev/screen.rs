//! The lines on standard output: those of each server with its name before them.

use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use coracle::types::NodeId;
use tokio::sync::Notify;

use crate::cli::text::shown;

/// The colours of the servers' names, as the numbers of terminals: no white, no black.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// The width of the names.
const WIDTH: usize = 4;

/// Standard output, which several threads write to, a line at a time.
pub struct Screen {
    has_colours: bool,
    /// True when nobody reads it any more.
    is_closed: Mutex<bool>,
    closed: Notify,
}

impl Screen {
    /// The output. Names have colours when a person looks, and did not forbid it (`NO_COLOR`).
    pub fn new() -> Screen {
        let is_forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_colours = io::stdout().is_terminal() && !is_forbidden;
        Screen { has_colours, is_closed: Mutex::new(false), closed: Notify::new() }
    }

    /// Returns when nobody reads the output any more. Cancel-safe.
    pub async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Writes a line of this command itself.
    pub fn say(&self, line: &str) {
        self.write("dev", None, line);
    }

    /// Copies the lines of a server until it has ended.
    pub fn copy(self: &Arc<Screen>, id: NodeId, output: PipeReader) -> JoinHandle<()> {
        let screen = Arc::clone(self);
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // An error of the pipe is its end.
            while output.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line);
                screen.write(&format!("n{id}"), Some(id), text.trim_end());
                line.clear();
            }
        })
    }

    fn write(&self, name: &str, server: Option<NodeId>, text: &str) {
        let line = line(name, server.filter(|_| self.has_colours), text);
        let mut is_closed = self.is_closed.lock().expect("no thread panics while it writes");
        if *is_closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        if stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            *is_closed = true;
            self.closed.notify_one();
        }
    }
}

/// A line with the name of its origin, in the colour of the server if there is one.
fn line(name: &str, coloured: Option<NodeId>, text: &str) -> String {
    let text = shown(text);
    match coloured {
        Some(id) => {
            let colour = COLOURS[(id.0 as usize).wrapping_sub(1) % COLOURS.len()];
            format!("\u{1b}[{colour}m{name:<WIDTH$}|\u{1b}[0m {text}\n")
        }
        None => format!("{name:<WIDTH$}| {text}\n"),
    }
}

#[cfg(test)]
mod tests;

//! The lines on standard output: those of each server with its name before them.

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use anstyle::{AnsiColor, Style};
use coracle::types::NodeId;
use tokio::sync::Notify;

use crate::cli::paint::{PLAIN, Paint};
use crate::cli::text::shown;

/// The styles of the servers' names: no white, no black.
const STYLES: [Style; 6] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Green.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::Red.on_default(),
];

/// The width of the names.
const WIDTH: usize = 4;

/// Standard output, which several threads write to, a line at a time.
pub struct Screen {
    paint: Paint,
    /// True when nobody reads it any more.
    is_closed: Mutex<bool>,
    closed: Notify,
}

impl Screen {
    /// The output. The names of servers have colours if it shows them.
    pub fn new() -> Screen {
        let paint = Paint::of_stdout();
        Screen { paint, is_closed: Mutex::new(false), closed: Notify::new() }
    }

    /// Returns when nobody reads the output any more. Cancel-safe.
    pub async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Writes a line of this command itself.
    pub fn say(&self, line: &str) {
        self.write("dev", PLAIN, line);
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
                screen.write(&format!("n{id}"), style_of(id), text.trim_end());
                line.clear();
            }
        })
    }

    fn write(&self, name: &str, style: Style, text: &str) {
        let line = line(self.paint, (name, style), text);
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

/// The style of a server's name.
fn style_of(id: NodeId) -> Style {
    STYLES[(id.0 as usize).wrapping_sub(1) % STYLES.len()]
}

/// A line with the name of its origin.
fn line(paint: Paint, (name, style): (&str, Style), text: &str) -> String {
    let name = paint.text(style, &format!("{name:<WIDTH$}|"));
    format!("{name} {}\n", shown(text))
}

#[cfg(test)]
mod tests;

//! The output of commands: bytes on stdout, and tables; notes on stderr, and bars there while a
//! person waits, if it is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure::Failure;
use super::text::shown;

/// Writes to stdout. A reader that has seen enough (`| head`) is not an error.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Says on stderr what is no part of the output. A stderr that is closed hears nothing.
pub fn note(sentence: &str) {
    let _ = writeln!(io::stderr(), "coracle: {}", shown(sentence));
}

/// Stdout for output that is too long to be gathered first. It remembers when its reader
/// has seen enough (`| head`).
#[derive(Default)]
pub struct UntilClosed {
    is_closed: bool,
}

impl UntilClosed {
    /// True once the reader has closed its end.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn check<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let error = result.as_ref().err().map(io::Error::kind);
        self.is_closed |= error == Some(io::ErrorKind::BrokenPipe);
        result
    }
}

impl Write for UntilClosed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::stdout().lock().write(bytes);
        self.check(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = io::stdout().lock().flush();
        self.check(flushed)
    }
}

/// A table in text: a line a row, each column as wide as its widest cell. Cells may be texts of
/// other machines.
pub fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let rows: Vec<[String; COLUMNS]> =
        rows.iter().map(|row| row.each_ref().map(|cell| shown(cell))).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A bar for work of this many bytes.
pub fn bar(bytes: u64, what: &'static str) -> ProgressBar {
    let template = "{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let progress = styled(ProgressBar::new(bytes), template);
    progress.with_message(what)
}

/// A bar for work of this many keys, or their number alone when it is not known.
pub fn key_counter(what: &'static str, keys: Option<u64>) -> ProgressBar {
    let progress = match keys {
        Some(keys) => {
            let template = "{msg} [{bar:32}] {human_pos}/{human_len} keys {per_sec} {eta}";
            styled(ProgressBar::new(keys), template)
        }
        None => {
            let template = "{spinner} {msg} {human_pos} keys {per_sec} {elapsed}";
            styled(ProgressBar::new_spinner(), template)
        }
    };
    progress.with_message(what)
}

/// A spinner for work of unknown length.
pub fn spinner(what: String) -> ProgressBar {
    let progress = styled(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}");
    progress.enable_steady_tick(Duration::from_millis(100));
    progress.with_message(what)
}

/// A line that says what is waited for, cut to the width of the terminal.
pub fn status_line(what: String) -> ProgressBar {
    let progress = styled(ProgressBar::new_spinner(), "{spinner} {elapsed} {wide_msg}");
    progress.enable_steady_tick(Duration::from_millis(100));
    progress.with_message(what)
}

fn styled(progress: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("the templates here are valid");
    progress.with_style(style.progress_chars("=> "))
}

/// The bar of a load: its phase, how far it is, and the commands a second. It is removed
/// when it is dropped.
pub struct LoadBar {
    bar: ProgressBar,
}

impl LoadBar {
    /// A bar on stderr, if that is a terminal.
    pub fn new() -> LoadBar {
        LoadBar::to(ProgressDrawTarget::stderr())
    }

    fn to(target: ProgressDrawTarget) -> LoadBar {
        let style = ProgressStyle::with_template("{msg:28} [{wide_bar}] {prefix}")
            .expect("the templates here are valid");
        LoadBar { bar: ProgressBar::with_draw_target(Some(1), target).with_style(style) }
    }

    /// Shows a phase of unknown length.
    pub fn waiting(&self, what: &'static str) {
        self.bar.set_position(0);
        self.bar.set_prefix("");
        self.bar.set_message(what);
    }

    /// Shows a phase of which `done` of `all` is done.
    pub fn doing(&self, what: &'static str, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done.min(all));
        self.bar.set_message(what);
    }

    /// Shows the commands that were executed in the measurement so far and its errors.
    pub fn counted(&self, (commands, errors): (u64, u64), elapsed: Duration) {
        let per_second = commands as f64 / elapsed.as_secs_f64().max(0.001);
        let errors = if errors > 0 { format!(", {errors} errors") } else { String::new() };
        self.bar.set_prefix(format!("{per_second:.0} per second{errors}"));
    }
}

impl Drop for LoadBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;

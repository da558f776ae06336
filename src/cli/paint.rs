//! Colours of the output, for a person at a terminal. A pipe gets none, nor does a terminal that
//! shows none, or whose user does not want them (`NO_COLOR`, `--color never`).

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::output::table;

/// The first line of a table.
const HEADER: Style = Style::new().bold();
/// A key among values.
pub const KEY: Style = Style::new().bold();
/// A thing that is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// A thing that may become worse.
pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// A thing that does not work.
pub const BAD: Style = AnsiColor::Red.on_default();
/// A thing that needs no attention.
pub const PLAIN: Style = Style::new();

/// Puts colours around texts, or leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    is_colored: bool,
}

impl Paint {
    /// Colours if stdout shows them.
    pub fn of_stdout() -> Paint {
        Paint { is_colored: AutoStream::choice(&io::stdout()) != ColorChoice::Never }
    }

    /// Colours.
    #[cfg(test)]
    pub fn for_tests() -> Paint {
        Paint { is_colored: true }
    }

    /// True when there are colours.
    pub fn is_colored(self) -> bool {
        self.is_colored
    }

    /// The text in a style.
    pub fn text(self, style: Style, text: &str) -> String {
        if self.is_colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A table, whose first row is the header, with the style of each other row.
    pub fn table<const COLUMNS: usize>(
        self,
        rows: &[[String; COLUMNS]],
        style: impl Fn(&[String; COLUMNS]) -> Style,
    ) -> String {
        let table = table(rows);
        let styles = rows.iter().enumerate().map(|(at, row)| match at {
            0 => HEADER,
            _ => style(row),
        });
        // A row has one line: no cell keeps a line end.
        table.lines().zip(styles).map(|(line, style)| self.text(style, line) + "\n").collect()
    }
}

#[cfg(test)]
mod tests;

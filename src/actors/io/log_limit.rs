//! A bound on the log lines that strangers can cause: a scanner must not fill the log.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// The time for which [`LINES_MAX`] counts.
const PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of lines in a [`PERIOD`].
const LINES_MAX: u32 = 10;

/// Admits a bounded number of lines a minute and counts the others. Clones share the bound.
#[derive(Clone, Default)]
pub struct LogLimit {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    /// The start of the current period; `None` before the first line.
    since: Option<Instant>,
    /// Number of lines that were admitted in the current period.
    lines: u32,
    /// Number of lines that were not admitted since the last one that was.
    left_out: u64,
}

/// The end of a line that was admitted: it says how many were left out before it, and that more
/// may be left out after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    left_out: u64,
    is_last: bool,
}

impl LogLimit {
    /// Counts a line. Returns its end if it is to be logged.
    pub fn admit(&self) -> Option<Admitted> {
        let mut state = self.state.borrow_mut();
        if state.since.is_none_or(|since| since.elapsed() >= PERIOD) {
            state.since = Some(Instant::now());
            state.lines = 0;
        }
        if state.lines == LINES_MAX {
            state.left_out += 1;
            return None;
        }
        state.lines += 1;
        let left_out = std::mem::take(&mut state.left_out);
        Some(Admitted { left_out, is_last: state.lines == LINES_MAX })
    }
}

impl fmt::Display for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left_out > 0 {
            write!(f, " ({} such lines were left out before this one)", self.left_out)?;
        }
        if self.is_last {
            f.write_str(" (further ones within this minute are only counted)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

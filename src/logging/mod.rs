//! The lines of the log, as text for people and as JSON for programs, and the bound on lines that
//! repeat.
//!
//! A line is a record of the `log` crate: a message, and facts by key
//! (`log::info!(node = id, term = term; "became leader")`). Both formats are functions of the
//! record, so no program has to parse text. The program `coracle` chooses the format and writes.
//!
//! | file | contents |
//! |---|---|
//! | `record` | records to and from [`LogLine`](crate::types::LogLine), and the ids as facts |
//! | `json` | a line as an object of JSON |
//! | `limit` | [`LogLimit`], the bound on lines that repeat |

pub mod json;
mod limit;
mod record;

pub use limit::{Allowance, BURST, LogLimit, ONCE};
pub use record::{line_of, log_line};

use crate::types::NodeId;

/// A record as text: time, level, node, message and facts, without a line end. `time` is printed
/// as it is.
pub fn text(time: &str, node: NodeId, record: &log::Record<'_>) -> String {
    format!("{time} {:<5} n{node} {}", record.level(), line_of(record))
}

#[cfg(test)]
mod tests;

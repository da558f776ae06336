//! The columns of `top`.

use std::time::Duration;

use super::super::text::{bytes, grouped, time};

/// A column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The server's term.
    Term,
    /// Entries that the leader has and the server lacks, as the leader knows it.
    Lag,
    /// Entries that the server knows to be committed and has not applied.
    Unapplied,
    /// Commands of its clients that write, per second.
    Writes,
    /// Commands of its clients that read, per second.
    Reads,
    /// The time in milliseconds in which 99 of 100 writes were committed.
    Commit,
    /// The same of the syncs of its log.
    Fsync,
    /// Bytes of its log.
    Log,
    /// Bytes of its keys and values.
    Store,
    /// Bytes of memory that its process occupies.
    Memory,
    /// Free bytes of its disk.
    DiskFree,
    /// Milliseconds since the leader heard it.
    Seen,
}

impl Column {
    /// All columns, from left to right.
    pub const ALL: [Column; 12] = [
        Column::Term,
        Column::Lag,
        Column::Unapplied,
        Column::Writes,
        Column::Reads,
        Column::Commit,
        Column::Fsync,
        Column::Log,
        Column::Store,
        Column::Memory,
        Column::DiskFree,
        Column::Seen,
    ];

    /// The columns in the order in which they give way on a narrow terminal. The address gives way
    /// before all of them. The lag stays.
    pub const GIVE_WAY: [Column; 11] = [
        Column::Seen,
        Column::Memory,
        Column::Store,
        Column::Log,
        Column::Unapplied,
        Column::Term,
        Column::DiskFree,
        Column::Reads,
        Column::Fsync,
        Column::Commit,
        Column::Writes,
    ];

    /// The heading.
    pub fn heading(self) -> &'static str {
        match self {
            Column::Term => "term",
            Column::Lag => "lag",
            Column::Unapplied => "unapplied",
            Column::Writes => "writes/s",
            Column::Reads => "reads/s",
            Column::Commit => "commit p99",
            Column::Fsync => "fsync p99",
            Column::Log => "log",
            Column::Store => "store",
            Column::Memory => "memory",
            Column::DiskFree => "disk free",
            Column::Seen => "seen",
        }
    }

    /// The name in JSON, with its unit.
    pub fn json_name(self) -> &'static str {
        match self {
            Column::Term => "term",
            Column::Lag => "behind_entries",
            Column::Unapplied => "unapplied_entries",
            Column::Writes => "writes_per_second",
            Column::Reads => "reads_per_second",
            Column::Commit => "commit_p99_ms",
            Column::Fsync => "fsync_p99_ms",
            Column::Log => "log_bytes",
            Column::Store => "store_bytes",
            Column::Memory => "resident_bytes",
            Column::DiskFree => "disk_free_bytes",
            Column::Seen => "seen_ms",
        }
    }

    /// A number as a cell shows it.
    pub fn cell(self, number: f64) -> String {
        let whole = number.max(0.0).round() as u64;
        match self {
            Column::Term | Column::Lag | Column::Unapplied => grouped(whole),
            Column::Writes | Column::Reads => decimal(number),
            Column::Commit | Column::Fsync => format!("{} ms", decimal(number)),
            Column::Log | Column::Store | Column::Memory | Column::DiskFree => bytes(whole),
            Column::Seen => time(Duration::from_millis(whole)),
        }
    }

    /// True when the smallest number is the one to look at first.
    pub fn is_worst_when_small(self) -> bool {
        self == Column::DiskFree
    }
}

/// A number with a digit behind its point while it is small.
fn decimal(number: f64) -> String {
    match number {
        0.0..9.95 => format!("{number:.1}"),
        _ => grouped(number.max(0.0).round() as u64),
    }
}

#[cfg(test)]
mod tests;

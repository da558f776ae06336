//! The format of the cluster: one number that says what its servers may write to each other and
//! to disk (docs/adr/0023).
//!
//! [`FORMATS`] is the only place that says what each format has. A server writes exactly the
//! format that is in force, which an entry of the log says, and it reads a range of formats.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format of the cluster, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(pub u32);

impl Format {
    /// The format of a log that names none.
    pub const FIRST: Format = Format(1);

    /// The format from which on the store counts revisions.
    pub const REVISIONS: Format = Format(4);

    /// The format whose readers answer probes of idle connections.
    pub const PROBES: Format = Format(4);

    /// The format after this one.
    ///
    /// # Panics
    /// At the end of u32, which no table of formats reaches.
    #[must_use]
    pub fn next(self) -> Format {
        Format(self.0.checked_add(1).expect("formats are raised by one, from 1"))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The formats that a server reads, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatRange {
    /// The lowest.
    pub lowest: Format,
    /// The highest.
    pub highest: Format,
}

impl FormatRange {
    /// The formats that this program reads.
    pub const OWN: FormatRange =
        FormatRange { lowest: FORMATS[0].format, highest: FORMATS[FORMATS.len() - 1].format };

    /// The formats of a program from before servers said what they read.
    pub const FIRST_ONLY: FormatRange =
        FormatRange { lowest: Format::FIRST, highest: Format::FIRST };

    /// True when a server that reads these formats reads `format`.
    #[must_use]
    pub fn contains(self, format: Format) -> bool {
        (self.lowest..=self.highest).contains(&format)
    }
}

impl fmt::Display for FormatRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.lowest, self.highest)
    }
}

/// A format and the things that it adds to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatRow {
    /// The format.
    pub format: Format,
    /// The version of the oldest program that reads it.
    pub since: &'static str,
    /// The kinds of files, entries and messages that it adds, each as a short phrase.
    pub adds: &'static [&'static str],
}

/// Every format that this program reads, the lowest first. A row is never changed once a release
/// has it: a new kind of entry, message or file is a new row.
pub const FORMATS: &[FormatRow] = &[
    FormatRow {
        format: Format(1),
        since: "0.1.0",
        adds: &[
            "frames of kind 1, 2 and 16 to 26 (protocol version 2)",
            "entries of kind 0 to 2 (no-op, command, membership)",
            "store commands 1 to 5 (set, add, cas, delete, end)",
            "identity 2, hard state 3, log segment 2, snapshot file and backup 2",
        ],
    },
    FormatRow {
        format: Format(2),
        since: "0.2.0",
        adds: &[
            "entries of kind 3 and 4 (format, cluster id)",
            "frames of kind 27 to 30 (state check, its answer, diverged, remembered)",
            "snapshot file and backup 3 (format and cluster id in the head)",
        ],
    },
    FormatRow {
        format: Format(3),
        since: "0.3.0",
        adds: &[
            "entries of kind 5 (members with addresses, learners, joint memberships)",
            "frames of kind 31 to 34 (timeout now, transfer vote, transfer refused, admitted)",
            "snapshot file and backup 4 (such a membership in the head)",
        ],
    },
    FormatRow {
        format: Format(4),
        since: "0.4.0",
        adds: &[
            "revisions instead of log indexes as versions, and history",
            "store commands 6 to 14 (writes with a lease, transaction, grant, renew, revoke, \
             compact, set history)",
            "frames of kind 38 to 41 (read index, its answer, forward, its answer)",
            "frames of kind 42 and 43 (probe, its answer), once the receiver reads this format",
            "snapshot file and backup 5 (records with revisions, history, leases)",
        ],
    },
];

/// A format as an entry of the log puts it in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenFormat", into = "WrittenFormat")]
pub struct FormatInForce {
    /// The format.
    pub format: Format,
    /// The version of the oldest program that reads it. A server that does not read the format
    /// knows from this text which program does.
    pub since: String,
    /// True when no entry before this one has a command: nobody was given a version.
    pub is_in_unwritten_log: bool,
}

/// A format in force as the log, the wire and snapshots have it. Programs that do not know the mark
/// of an unwritten log refuse an entry with another field, and show the text as it is: so there the
/// mark follows the version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFormat {
    format: Format,
    since: String,
}

/// The mark of a log that has no command before the entry.
const UNWRITTEN: &str = " (new cluster)";

/// Maximum length in bytes of the version of a [`FormatInForce`], with the mark that is written
/// behind it.
pub const SINCE_BYTES_MAX: usize = 64;

impl FormatInForce {
    /// The format `format` as this program puts it in force.
    ///
    /// # Panics
    /// When this program does not know the format.
    pub fn of(format: Format) -> FormatInForce {
        let row = FORMATS.iter().find(|row| row.format == format);
        let row = row.expect("only a format of the table is put in force");
        FormatInForce::read(format, row.since)
    }

    /// The format `format` with the text that is written beside it.
    pub fn read(format: Format, text: &str) -> FormatInForce {
        let version = text.strip_suffix(UNWRITTEN);
        let since = version.unwrap_or(text).to_owned();
        FormatInForce { format, since, is_in_unwritten_log: version.is_some() }
    }

    /// The text that is written beside the format, of at most [`SINCE_BYTES_MAX`] bytes.
    pub fn text(&self) -> String {
        let mark = if self.is_in_unwritten_log { UNWRITTEN } else { "" };
        format!("{}{mark}", self.since)
    }

    /// The same, in a log that has no command before this entry.
    #[must_use]
    pub fn in_unwritten_log(self) -> FormatInForce {
        FormatInForce { is_in_unwritten_log: true, ..self }
    }
}

impl From<WrittenFormat> for FormatInForce {
    fn from(WrittenFormat { format, since }: WrittenFormat) -> FormatInForce {
        FormatInForce::read(format, &since)
    }
}

impl From<FormatInForce> for WrittenFormat {
    fn from(in_force: FormatInForce) -> WrittenFormat {
        WrittenFormat { format: in_force.format, since: in_force.text() }
    }
}

impl Default for FormatInForce {
    /// The format of a log that names none.
    fn default() -> FormatInForce {
        FormatInForce::of(Format::FIRST)
    }
}

#[cfg(test)]
mod tests;

//! What the command line shows of a stopped server's directory. Takes the lock,
//! so that nothing moves meanwhile, and changes nothing.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskLock};
use super::error::{IoContext, StorageError};
use super::recovery::{self, Scanned};
use super::{identity, segment, take_lock};
use crate::types::{Entry, HardState, LogIndex, LogPosition, Payload};

/// How much of a command is shown.
const PREVIEW_BYTES: usize = 48;
/// How many bytes of entries are in memory at a time.
const DUMP_BYTES: u64 = 1024 * 1024;

/// What [`verify`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segment files.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Those of them that a later record has superseded.
    pub superseded: u64,
    /// The end of the log.
    pub last: LogPosition,
    /// Term and vote.
    pub hard_state: HardState,
    /// What the next start would repair, in sentences.
    pub notes: Vec<String>,
}

/// Prints the hard state and the entries from `from` to `to`, one a line.
///
/// # Errors
/// When a server runs there, when the directory is damaged, and when `out`
/// cannot be written.
pub fn dump(
    disk: &dyn Disk,
    dir: &Path,
    from: LogIndex,
    to: LogIndex,
    out: &mut dyn io::Write,
) -> Result<(), StorageError> {
    let (mut scanned, _lock) = inspect(disk, dir)?;
    let output = Path::new("the output");
    let hard_state = scanned.loaded.newest.hard_state;
    let last = scanned.summary.runs.last();
    let voted_for = hard_state.voted_for.map_or("none".into(), |node| node.to_string());
    writeln!(
        out,
        "current_term={} voted_for={voted_for} last_log_index={} last_log_term={}",
        hard_state.current_term, last.index, last.term
    )
    .during("write", output)?;
    for note in &scanned.notes {
        writeln!(out, "# {note}").during("write", output)?;
    }
    let mut next = from.max(scanned.catalog.runs().base().index.next());
    loop {
        let entries = scanned.catalog.read(disk, next, to, DUMP_BYTES)?;
        let Some(last) = entries.last() else { return Ok(()) };
        next = last.index.next();
        for entry in &entries {
            writeln!(out, "{}", line(entry)).during("write", output)?;
        }
    }
}

/// Reads and checks everything.
///
/// # Errors
/// When a server runs there, and when the directory is damaged. A torn tail is
/// no damage: it is in the notes.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<VerifyReport, StorageError> {
    let (scanned, _lock) = inspect(disk, dir)?;
    let last = scanned.summary.runs.last();
    Ok(VerifyReport {
        segments: scanned.catalog.last_segment() + 1 - scanned.catalog.first_segment(),
        records: scanned.records,
        superseded: scanned.records - (last.index.0 - scanned.catalog.runs().base().index.0),
        last,
        hard_state: scanned.loaded.newest.hard_state,
        notes: scanned.notes,
    })
}

fn inspect(disk: &dyn Disk, dir: &Path) -> Result<(Scanned, Option<DiskLock>), StorageError> {
    let names = disk.list(dir).during("list", dir)?;
    // A copy of a directory may come without the lock, and is not given one.
    let is_lockable = names.iter().any(|name| name == "lock");
    let lock = if is_lockable { Some(take_lock(disk, dir)?) } else { None };
    let Some((node_id, _)) = identity::check(disk, dir, None)? else {
        return Err(if segment::segment_numbers(disk, dir)?.is_empty() {
            StorageError::NotADataDirectory { path: dir.to_owned() }
        } else {
            StorageError::FileMissing {
                path: identity::identity_path(dir),
                evidence: format!("{} is there", segment::log_dir(dir).display()),
            }
        });
    };
    Ok((recovery::scan(disk, dir, node_id)?, lock))
}

fn line(entry: &Entry) -> String {
    let (kind, body) = match &entry.payload {
        Payload::Noop => ("noop", String::new()),
        Payload::Command(bytes) => {
            let shown = &bytes[..bytes.len().min(PREVIEW_BYTES)];
            let cut = if shown.len() < bytes.len() { "..." } else { "" };
            ("command", format!(" body=\"{}\"{cut}", shown.escape_ascii()))
        }
        Payload::Membership(membership) => {
            let voters: Vec<String> = membership.voters.iter().map(ToString::to_string).collect();
            ("membership", format!(" voters={}", voters.join(",")))
        }
    };
    format!(
        "index={} term={} stamp_ms={} kind={kind} bytes={}{body}",
        entry.index,
        entry.term,
        entry.stamp_ms,
        entry.payload.body().len()
    )
}

//! The mark of a server whose store differs from that of a majority, or whose memory holds other
//! bytes than were written there (docs/adr/0025). A running server makes the mark and stops. The
//! next start moves the log and the snapshots aside, where they are kept for inspection, and the
//! server rejoins with nothing.
//!
//! ```text
//! <data_dir>/<id>/diverged               the mark
//!                 diverged-1200/log/     what was moved aside: the server differed at entry 1200
//!                 diverged-1200/snapshot/
//!                 diverged-1200/identity, hard_state, incarnation     copies
//! ```
//!
//! With the copies, `coracle log dump` and `coracle recover` read what was moved aside like any
//! data directory.
//!
//! A start after a crash at any step ends in the same state. After the copies, one record of the
//! hard state says that the server is rejoining and that its log begins anew. Only after that is
//! anything moved, and the mark is removed last.

use std::path::{Path, PathBuf};

use super::checked_text::{self, Lines};
use super::disk::Disk;
use super::durable_names::{create_file, sync_dir};
use super::error::{IoContext, StorageError, damaged};
use super::examine::Examined;
use super::hard_state::{
    DurableEnd, HardStateCopy, HardStateFile, LogStart, Lost, hard_state_path,
};
use super::identity::identity_path;
use super::incarnation::incarnation_path;
use super::log::files::segment_numbers;
use super::log::recovery::check_term;
use super::log::repair;
use super::snapshot;
use crate::types::{Divergence, LogIndex, LogPosition, NodeId};

const LINES: Lines<2> = Lines { names: ["index", "found"] };
const MARK: &str = "diverged";
/// The beginning of the name of a directory that was moved aside. The index follows.
const ASIDE: &str = "diverged-";
/// The directories that are moved aside.
const PARTS: [&str; 2] = ["log", "snapshot"];

/// The path of the mark.
pub(crate) fn mark_path(dir: &Path) -> PathBuf {
    dir.join(MARK)
}

/// Creates the mark, durably.
pub(super) fn mark(
    disk: &dyn Disk,
    dir: &Path,
    divergence: &Divergence,
) -> Result<(), StorageError> {
    let Divergence { index, found } = divergence;
    LINES.create(disk, &mark_path(dir), [index.to_string(), found.escape_debug().to_string()])
}

/// Reads the mark. Returns `None` when there is none.
fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Divergence>, StorageError> {
    let path = mark_path(dir);
    let Some([index, found]) = LINES.read(disk, &path)? else { return Ok(None) };
    let index = index.parse().map_err(|_| damaged(&path, 0, "its index is no number"))?;
    Ok(Some(Divergence { index: LogIndex(index), found }))
}

/// Returns a sentence that says what the next start does, if there is a mark.
pub(super) fn told(disk: &dyn Disk, dir: &Path) -> Result<Option<String>, StorageError> {
    let told = |Divergence { found, .. }| {
        let dir = dir.display();
        format!("{dir} is marked ({found}): the next start moves its log and its snapshots aside")
    };
    Ok(read(disk, dir)?.map(told))
}

/// Does what the mark says, if there is one: moves the log and the snapshots aside. Returns a
/// sentence for people. The caller reads the directory anew then. In a cluster whose other servers
/// are no majority without this one, nobody could send the data again, so the server keeps what is
/// on its disk, which is what was written there.
///
/// # Errors
/// When the mark is damaged, when the hard state is older than the log, and when the disk fails.
pub(super) fn set_aside(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    examined: &Examined,
    has_majority_of_others: bool,
) -> Result<Option<String>, StorageError> {
    let Some(Divergence { index, found }) = read(disk, dir)? else { return Ok(None) };
    if !examined.is_quorum_without(node_id, has_majority_of_others) {
        remove_mark(disk, dir)?;
        return Ok(Some(format!(
            "{} was marked: {found}; nobody can send its data again, because the others are no \
             majority without this server, so it goes on with its log and its snapshots",
            dir.display()
        )));
    }
    let aside = format!("{ASIDE}{index}");
    let lost = begin_anew(disk, dir, node_id, examined, &aside)?;
    move_parts(disk, dir, &aside)?;
    remove_older(disk, dir, &aside)?;
    remove_mark(disk, dir)?;
    Ok(Some(format!(
        "{} was marked: {found}; its log and its snapshots were moved to {}, where they are kept \
         for inspection, and this server begins anew with nothing, and rejoins until it has \
         fetched from the others what it had, up to entry {lost}",
        dir.display(),
        dir.join(aside).display()
    )))
}

/// Decides, in one record, that this server is rejoining and that its log begins anew. Before that
/// it makes the directory `aside`. Returns the position that it has lost.
fn begin_anew(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    examined: &Examined,
    aside: &str,
) -> Result<LogPosition, StorageError> {
    let loaded = &examined.scanned.loaded;
    let HardStateCopy { start, hard_state, .. } = loaded.newest;
    if start.resetting && start.base == LogPosition::default() {
        // An earlier start has decided it.
        return Ok(hard_state.lost);
    }
    let lost = find_lost(disk, dir, node_id, examined)?;
    check_term(dir, loaded, lost.position)?;
    make_aside(disk, dir, aside)?;
    let mut hard_state = HardStateFile::open(disk, dir, loaded)?;
    let last_segment = segment_numbers(disk, dir)?.last().copied().unwrap_or(0);
    let first_segment = last_segment.max(start.first_segment) + 1;
    let start = LogStart { first_segment, base: LogPosition::default(), resetting: true };
    hard_state.save_repair(start, DurableEnd::at_start(start), lost)?;
    Ok(hard_state.current().hard_state.lost)
}

/// Returns the end of what the directory holds.
fn find_lost(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    examined: &Examined,
) -> Result<Lost, StorageError> {
    let runs = &examined.scanned.summary.runs;
    let in_log = match examined.damage {
        None => Lost { position: runs.last(), is_end: true },
        Some(_) => repair::find_lost(disk, dir, node_id, &examined.scanned)?,
    };
    let listed = snapshot::positions(disk, dir).during("list", dir)?;
    // The last entry of a snapshot may have been acknowledged when the snapshot was received.
    let is_unreached = |last: &LogPosition| last.index > runs.base().index && !runs.contains(*last);
    let unreached = listed.iter().copied().filter(is_unreached).max().unwrap_or_default();
    // A received snapshot is acknowledged before the log begins after it. Without the file that the
    // log's base came from, another such file may be gone as well.
    let base = runs.base().index;
    let has_base = base == LogIndex(0) || listed.iter().any(|last| last.index >= base);
    let position = in_log.position.max(unreached);
    Ok(Lost { position, is_end: in_log.is_end && has_base })
}

/// Makes the directory `aside`, with copies of the files that stay. One that is there is of an
/// earlier difference at the same entry, or of a start that a crash interrupted here.
fn make_aside(disk: &dyn Disk, dir: &Path, aside: &str) -> Result<(), StorageError> {
    if is_there(disk, dir, aside)? {
        remove_aside(disk, dir, aside)?;
    }
    let to = dir.join(aside);
    disk.create_dir_all(&to).during("make the directory", &to)?;
    sync_dir(disk, dir)?;
    for path in [hard_state_path(dir), incarnation_path(dir), identity_path(dir)] {
        let name = path.file_name().expect("a file of the directory has a name");
        if let Some(bytes) = checked_text::read(disk, &path)? {
            create_file(disk, &to.join(name), &bytes)?;
        }
    }
    Ok(())
}

/// Moves the log and the snapshots to the directory `aside`. Those that are not there were moved
/// by an earlier start.
fn move_parts(disk: &dyn Disk, dir: &Path, aside: &str) -> Result<(), StorageError> {
    let to = dir.join(aside);
    for part in PARTS {
        if !is_there(disk, dir, part)? {
            continue;
        }
        // A process that was killed may have left names that are not durable.
        sync_dir(disk, &dir.join(part))?;
        disk.rename_dir(&dir.join(part), &to.join(part)).during("rename to", &to.join(part))?;
        sync_dir(disk, &to)?;
        sync_dir(disk, dir)?;
    }
    Ok(())
}

/// Removes every directory that was moved aside before `newest`.
fn remove_older(disk: &dyn Disk, dir: &Path, newest: &str) -> Result<(), StorageError> {
    let is_aside = |name: &&String| {
        let index = name.strip_prefix(ASIDE);
        index.is_some_and(|index| index.parse::<u64>().is_ok()) && *name != newest
    };
    let older: Vec<String> = disk.list(dir).during("list", dir)?;
    older.iter().filter(is_aside).try_for_each(|name| remove_aside(disk, dir, name))
}

/// Removes a directory that was moved aside.
fn remove_aside(disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), StorageError> {
    let aside = dir.join(name);
    for part in PARTS {
        if is_there(disk, &aside, part)? {
            remove_files(disk, &aside.join(part))?;
        }
    }
    remove_files(disk, &aside)
}

/// Removes a directory and the files in it, durably.
fn remove_files(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    for name in disk.list(dir).during("list", dir)? {
        let path = dir.join(name);
        disk.remove(&path).during("remove", &path)?;
    }
    sync_dir(disk, dir)?;
    disk.remove_dir(dir).during("remove", dir)?;
    sync_dir(disk, dir.parent().expect("it is in a data directory"))
}

fn is_there(disk: &dyn Disk, dir: &Path, name: &str) -> Result<bool, StorageError> {
    Ok(disk.list(dir).during("list", dir)?.iter().any(|found| found == name))
}

fn remove_mark(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = mark_path(dir);
    disk.remove(&path).during("remove", &path)?;
    sync_dir(disk, dir)
}

#[cfg(test)]
mod tests;

//! The state that a node begins with: its newest snapshot that is whole, and the log after
//! that (docs/adr/0008).
//!
//! A crash may have come after a received snapshot got its name, and before the log was
//! reset to it. Then the log does not reach the snapshot, and the installation is finished
//! here. A newest snapshot that is damaged is reported and removed; the one before it takes
//! its place, because the log reaches back to that one. The server does not start if no
//! snapshot is of use and the log alone is not enough.

use std::collections::BTreeSet;

use crate::actors::snapshot::load::{LoadError, load};
use crate::config::{Server, Settings};
use crate::kv::Store;
use crate::raft::SnapshotPositions;
use crate::storage::{
    Disk, SnapshotFile, SnapshotFiles, SnapshotHead, Storage, StorageError, StorageOptions,
};
use crate::types::{HardState, LogIndex, LogPosition, LogSummary, NodeId, TermRuns};

/// The contents of a data directory, recovered.
pub(super) struct Recovered {
    pub storage: Storage,
    /// The snapshots, to be changed.
    pub snapshots: SnapshotFiles,
    /// The same snapshots, to be read.
    pub snapshots_to_read: SnapshotFiles,
    /// The snapshots that were read from end to end.
    pub files: Vec<SnapshotFile>,
    pub store: Store,
    pub hard_state: HardState,
    pub log: LogSummary,
    pub positions: SnapshotPositions,
}

/// Opens the data directory of `server`.
///
/// # Errors
/// When it cannot be used, as [`Storage::open`] says, and when no snapshot holds the entries
/// that the log lacks.
pub(super) fn recover(
    settings: &Settings,
    server: &Server,
    disk: Box<dyn Disk>,
) -> Result<Recovered, StorageError> {
    let options = StorageOptions {
        cluster: settings.cluster.clone(),
        node_id: server.id,
        segment_bytes: settings.log.segment_bytes,
        can_repair: settings.servers.len() > 2,
    };
    let (mut storage, found) = Storage::open(disk.another_handle(), &server.data_dir, options)?;
    for note in &found.notes {
        log::warn!("{note} node={}", server.id);
    }
    let (hard_state, mut log) = (found.hard_state, found.log);
    let snapshots = SnapshotFiles::open(disk.another_handle(), &server.data_dir)?;
    storage.watch_snapshots(&snapshots)?;
    let snapshots_to_read = SnapshotFiles::at(disk, &server.data_dir);
    let mut listed = snapshots.list()?;
    let (mut files, mut store) = (Vec::new(), Store::new());
    let mut damaged = Vec::new();
    let newest = newest_whole(&snapshots, &listed, &mut damaged, server.id)?;
    // The last entry of a damaged snapshot may have been acknowledged when the snapshot was
    // received, so only a log that holds this entry can replace the snapshot.
    if damaged.iter().any(|last| !log.runs.contains(*last)) {
        return Err(snapshots.missing(damaged[0]));
    }
    match newest {
        Some((file, loaded)) if file.head.last.index >= storage.base().index => {
            snapshots.check_owner(&file, &settings.cluster)?;
            continue_from(&file.head, &mut storage, &mut log, server.id)?;
            (files, store) = (vec![file], loaded);
        }
        None if storage.base() == LogPosition::default() => {}
        _ => return Err(snapshots.missing(storage.base())),
    }
    for last in listed.drain(..damaged.len()) {
        snapshots.remove(last)?;
    }
    if let Some(difference) = other_members(settings, &log) {
        log::warn!("{difference} node={}", server.id);
    }
    let positions = SnapshotPositions {
        newest: listed.first().copied().unwrap_or_default(),
        newest_bytes: files.first().map_or(0, |newest| newest.bytes),
        older: listed.get(1).map_or(LogIndex(0), |older| older.index),
    };
    Ok(Recovered {
        storage,
        snapshots,
        snapshots_to_read,
        files,
        store,
        hard_state,
        log,
        positions,
    })
}

/// Loads the newest snapshot that is whole, and adds the newer ones to `damaged`.
fn newest_whole(
    snapshots: &SnapshotFiles,
    listed: &[LogPosition],
    damaged: &mut Vec<LogPosition>,
    id: NodeId,
) -> Result<Option<(SnapshotFile, Store)>, StorageError> {
    for last in listed {
        match load(snapshots, *last) {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(LoadError::Storage(
                error @ (StorageError::Io { .. } | StorageError::Unknown { .. }),
            )) => return Err(error),
            Err(error) => log::warn!("the snapshot up to {last} is of no use: {error} node={id}"),
        }
        damaged.push(*last);
    }
    Ok(None)
}

/// Makes sure that the log continues from the snapshot: replaces the log if it does not.
fn continue_from(
    head: &SnapshotHead,
    storage: &mut Storage,
    log: &mut LogSummary,
    id: NodeId,
) -> Result<(), StorageError> {
    let last = head.last;
    if log.runs.contains(last) {
        log.last_stamp_ms = log.last_stamp_ms.max(head.stamp_ms);
        // The log has only the memberships after its base.
        let is_in_log = |at: LogIndex| log.memberships.iter().any(|(index, _)| *index == at);
        if let Some((at, membership)) = head.membership.clone().filter(|(at, _)| !is_in_log(*at)) {
            log.memberships.insert(0, (at, membership));
        }
        return Ok(());
    }
    log::warn!("finishes the installation of the snapshot up to {last} node={id}");
    storage.reset(last)?;
    *log = LogSummary {
        runs: TermRuns::starting_after(last),
        memberships: head.membership.clone().into_iter().collect(),
        last_stamp_ms: head.stamp_ms,
    };
    Ok(())
}

/// Returns a warning when the settings list other servers than the members in the log. The
/// members in the log count; the other list changes nothing, and its author should know.
fn other_members(settings: &Settings, log: &LogSummary) -> Option<String> {
    let (_, membership) = log.memberships.last()?;
    let listed: BTreeSet<NodeId> = settings.servers.keys().copied().collect();
    if membership.voters == listed {
        return None;
    }
    let ids = |set: &BTreeSet<NodeId>| set.iter().map(NodeId::to_string).collect::<Vec<_>>();
    Some(format!(
        "{} lists the servers {}, but the members of this cluster are {}: they were written \
         into its log when it was new, and only they count; list these servers again",
        settings.path.display(),
        ids(&listed).join(", "),
        ids(&membership.voters).join(", "),
    ))
}

#[cfg(test)]
mod tests;

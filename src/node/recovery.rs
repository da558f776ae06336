//! The state that a node begins with: its newest snapshot that is whole, and the log after
//! that (docs/adr/0008).
//!
//! A crash may have come after a received snapshot got its name, and before the log was
//! reset to it. Then the log does not reach the snapshot, and the installation is finished
//! here. A newest snapshot that is damaged is reported and set aside; the one before it takes
//! its place, because the log reaches back to that one. If no snapshot is of use and the log
//! alone is not enough, the server begins anew and is rejoining: it fetches everything from the
//! others, as a server with a damaged log does (docs/adr/0019). In a cluster of one or two
//! servers it does not start.

use std::collections::BTreeSet;
use std::path::Path;

use super::environment::Surroundings;
use super::error::NodeError;
use crate::actors::snapshot::load::{LoadError, load};
use crate::config::{Server, Settings};
use crate::kv::Store;
use crate::raft::SnapshotPositions;
use crate::storage::{
    Disk, Lost, SnapshotFile, SnapshotFiles, SnapshotHead, Storage, StorageError, StorageOptions,
};
use crate::types::{
    ClusterHistory, HardState, LogIndex, LogPosition, LogSummary, NodeId, Term, TermRuns,
    is_quorum_without,
};

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
    surroundings: &Surroundings,
) -> Result<Recovered, StorageError> {
    let options = storage_options(settings, server, surroundings);
    let (mut storage, found) = Storage::open(disk.another_handle(), &server.data_dir, options)?;
    for note in &found.notes {
        log::warn!(node = server.id; "{note}");
    }
    let (mut hard_state, mut log) = (found.hard_state, found.log);
    let formats = surroundings.formats;
    let snapshots =
        SnapshotFiles::open(disk.another_handle(), &server.data_dir)?.of_formats(formats);
    storage.watch_snapshots(&snapshots)?;
    let snapshots_to_read = SnapshotFiles::at(disk, &server.data_dir).of_formats(formats);
    let mut listed = snapshots.list()?;
    let (mut files, mut store) = (Vec::new(), Store::new());
    let mut damaged = Vec::new();
    let newest = newest_whole(&snapshots, &listed, &mut damaged, server.id)?;
    if let Some((file, _)) = &newest {
        snapshots.check_owner(file, &settings.cluster)?;
    }
    let beginning = newest.as_ref().map_or(LogPosition::default(), |(file, _)| file.head.last);
    if let Some(loss) = SnapshotLoss::find(beginning, &listed, &damaged, &log) {
        let head = newest.as_ref().map(|(file, _)| &file.head);
        if !can_rejoin(settings, server.id, &log, head) {
            return Err(snapshots.missing(loss.needed));
        }
        hard_state = storage.rejoin(loss.new_base, loss.lost)?;
        log::warn!(node = server.id; "{}", loss.told(&server.data_dir));
        if let Some(base) = loss.new_base {
            let runs = TermRuns::starting_after(base);
            log = LogSummary { runs, ..LogSummary::default() };
        }
    }
    if let Some((file, loaded)) = newest {
        continue_from(&file.head, &mut storage, &mut log, server.id)?;
        (files, store) = (vec![file], loaded);
    }
    // The loss is recorded durably by now, so a crash from here on changes nothing.
    for last in listed.drain(..damaged.len()) {
        snapshots.set_aside(last)?;
    }
    if storage.joined().is_none()
        && let Some(difference) = other_members(settings, &log)
    {
        log::warn!(node = server.id; "{difference}");
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

fn storage_options(
    settings: &Settings,
    server: &Server,
    surroundings: &Surroundings,
) -> StorageOptions {
    StorageOptions {
        cluster: settings.cluster.clone(),
        node_id: server.id,
        segment_bytes: settings.log.segment_bytes,
        can_repair: true,
        has_majority_of_others: settings.servers.len() > 2,
        new_incarnation: surroundings.random.new_incarnation,
        formats: surroundings.formats,
    }
}

/// The loss of a server whose snapshots and log do not add up to what it had.
struct SnapshotLoss {
    /// The entry that a snapshot would have to reach.
    needed: LogPosition,
    /// The place after which the log begins anew; `None` when it can stay.
    new_base: Option<LogPosition>,
    lost: Lost,
}

impl SnapshotLoss {
    /// Returns the loss, if there is one. The store begins with the entry `beginning`: the last
    /// one of the newest whole snapshot, or 0@0.
    fn find(
        beginning: LogPosition,
        listed: &[LogPosition],
        damaged: &[LogPosition],
        log: &LogSummary,
    ) -> Option<SnapshotLoss> {
        let (base, last) = (log.runs.base(), log.runs.last());
        let has_gap = beginning.index < base.index;
        // The last entry of a damaged snapshot may have been acknowledged when the snapshot was
        // received, so only a log that holds this entry can replace the snapshot.
        let is_unreached =
            |last: &LogPosition| last.index > base.index && !log.runs.contains(*last);
        let unreached = damaged.iter().copied().filter(is_unreached).max();
        if !has_gap && unreached.is_none() {
            return None;
        }
        let position = unreached.map_or(last, |unreached| unreached.max(last));
        // A received snapshot is acknowledged before the log begins after it. Without the file
        // that the log's base came from, another such file may be gone as well.
        let is_end = listed.iter().any(|last| last.index >= base.index);
        Some(SnapshotLoss {
            needed: if has_gap { base } else { position },
            new_base: has_gap.then_some(beginning),
            lost: Lost { position, is_end },
        })
    }

    fn told(&self, data_dir: &Path) -> String {
        let SnapshotLoss { needed, new_base, lost: Lost { position, .. } } = self;
        let kept = match new_base {
            Some(base) if base.index > LogIndex(0) => format!("begins anew after entry {base}"),
            Some(_) => "begins anew with nothing".to_owned(),
            None => "keeps its log".to_owned(),
        };
        format!(
            "no whole snapshot in {} reaches entry {needed}, which the log does not hold: this \
             server {kept}, and rejoins until it has fetched from the others what it had, up to \
             entry {position}; the two newest damaged files stay there as damaged-*.snapshot",
            data_dir.join("snapshot").display()
        )
    }
}

/// True when the other servers are a majority without this one. The members in the log and in the
/// newest snapshot take precedence over the settings.
fn can_rejoin(
    settings: &Settings,
    id: NodeId,
    log: &LogSummary,
    newest: Option<&SnapshotHead>,
) -> bool {
    let in_snapshot = newest.map(|head| &head.state).into_iter();
    let known = in_snapshot.chain([log.cluster.newest()]);
    is_quorum_without(known, id, settings.servers.len() > 2)
}

/// Checks that the server is not alone in its settings while it has no data. Such a server would
/// take itself for a new cluster, also if it has lost its disk and the settings forget the
/// others.
///
/// # Errors
/// When it is.
pub(super) fn check_not_alone_and_blank(
    settings: &Settings,
    server: &Server,
    recovered: &Recovered,
) -> Result<(), NodeError> {
    let HardState { current_term, is_rejoining, .. } = recovered.hard_state;
    let has_data = current_term > Term(0) || recovered.log.runs.last() != LogPosition::default();
    let has_joined = recovered.storage.joined().is_some();
    if settings.servers.len() > 1 || has_data || !is_rejoining || has_joined {
        return Ok(());
    }
    Err(NodeError::AloneAndBlank {
        id: server.id,
        data_dir: server.data_dir.clone(),
        settings: settings.path.clone(),
    })
}

/// Loads the newest snapshot that is whole, and adds the newer ones to `damaged`. A snapshot
/// whose bytes are whole and that does not decode is not damaged: another version wrote it.
fn newest_whole(
    snapshots: &SnapshotFiles,
    listed: &[LogPosition],
    damaged: &mut Vec<LogPosition>,
    id: NodeId,
) -> Result<Option<(SnapshotFile, Store)>, StorageError> {
    for last in listed {
        match load(snapshots, *last) {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(LoadError::Storage(error)) if error.is_damage() => {
                log::warn!(node = id; "the snapshot up to {last} is of no use: {error}");
            }
            Err(LoadError::Storage(error)) => return Err(error),
            Err(LoadError::Store(error)) => return Err(snapshots.undecodable(*last, &error)),
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
        // The log has only the changes after its base.
        log.cluster = log.cluster.rebased(last.index, head.state.clone());
        return Ok(());
    }
    log::warn!(node = id; "finishes the installation of the snapshot up to {last}");
    storage.reset(last)?;
    *log = LogSummary {
        runs: TermRuns::starting_after(last),
        cluster: ClusterHistory::beginning_with(head.state.clone()),
        last_stamp_ms: head.stamp_ms,
    };
    Ok(())
}

/// Returns a warning when the settings list other servers than the members in the log. The
/// members in the log count; the other list changes nothing, and its author should know.
fn other_members(settings: &Settings, log: &LogSummary) -> Option<String> {
    let (_, membership) = log.cluster.newest().membership.as_ref()?;
    let listed: BTreeSet<NodeId> = settings.servers.keys().copied().collect();
    let members = membership.ids();
    if members == listed {
        return None;
    }
    let ids = |set: &BTreeSet<NodeId>| set.iter().map(NodeId::to_string).collect::<Vec<_>>();
    Some(format!(
        "{} lists the servers {}, and the log has the members {}: the log counts, and the file is \
         only asked for addresses; `coracle member list` prints the members",
        settings.path.display(),
        ids(&listed).join(", "),
        ids(&members).join(", "),
    ))
}

#[cfg(test)]
mod tests;

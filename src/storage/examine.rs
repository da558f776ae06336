//! The first look at a data directory. It reads everything and changes nothing, so that a
//! directory of a format that this server does not read is refused as it is (docs/adr/0023).

use std::path::Path;

use super::disk::Disk;
use super::error::StorageError;
use super::log::files::log_dir;
use super::log::recovery::{self, Scanned};
use super::snapshot::{self, SnapshotHead};
use crate::types::{FormatInForce, FormatRange, NodeId, is_quorum_without};

/// The contents of a data directory.
pub(super) struct Examined {
    /// The log, up to the damage if it is damaged.
    pub scanned: Scanned,
    /// The damage of the log.
    pub damage: Option<StorageError>,
    /// The head of the newest snapshot whose head is whole.
    pub newest_head: Option<SnapshotHead>,
}

impl Examined {
    /// The latest format that the log or the newest snapshot says.
    pub fn format(&self) -> &FormatInForce {
        let in_log = &self.scanned.summary.cluster.newest().format;
        let in_snapshot = self.newest_head.as_ref().map(|head| &head.state.format);
        in_snapshot.filter(|found| found.format > in_log.format).unwrap_or(in_log)
    }

    /// True when the others are a quorum without `id`. `configured` counts while neither the log
    /// nor the newest snapshot says who the members are.
    pub fn is_quorum_without(&self, id: NodeId, configured: bool) -> bool {
        let in_log = self.scanned.summary.cluster.newest();
        let in_snapshot = self.newest_head.as_ref().map(|head| &head.state);
        is_quorum_without(in_snapshot.into_iter().chain([in_log]), id, configured)
    }
}

/// Reads all of `dir`, whose identity names `node_id`, as [`recovery::scan_to_damage`] does.
///
/// # Errors
/// When the directory has a format that is not one of `formats`, and when a file other than the
/// log is damaged.
pub(super) fn examine(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    formats: FormatRange,
) -> Result<Examined, StorageError> {
    // The snapshots first: what an entry of a later format is called, only they may say.
    let newest_head = snapshot::newest_head(disk, dir, formats)?;
    let (scanned, damage) = recovery::scan_to_damage(disk, dir, node_id)?;
    let examined = Examined { scanned, damage, newest_head };
    let needed = examined.format();
    if !formats.contains(needed.format) {
        let (path, needed) = (log_dir(dir), needed.clone());
        return Err(StorageError::Unreadable { path, needed, reads: formats });
    }
    Ok(examined)
}

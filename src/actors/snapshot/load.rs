//! Loads a store from a snapshot file. The writer, the recovery of a node and the checks of
//! the simulation use it.

use crate::kv::{SnapshotError, Store, StoreLoader};
use crate::storage::{SnapshotFile, SnapshotFiles, StorageError};
use crate::types::LogPosition;

/// The reason why a snapshot cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, or is damaged.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The file is whole, but does not hold a store.
    #[error("{0}")]
    Store(#[from] SnapshotError),
}

/// Reads a snapshot from its first to its last byte, and builds the store from it.
///
/// # Errors
/// When it cannot be read, is damaged, or holds no store.
pub fn load(
    snapshots: &SnapshotFiles,
    last: LogPosition,
) -> Result<(SnapshotFile, Store), LoadError> {
    let mut loader = StoreLoader::new();
    let file = snapshots.read(last, |block| loader.load(block).map_err(LoadError::from))?;
    let format = file.head.state.format.format;
    Ok((file, loader.finish_in(format)?))
}

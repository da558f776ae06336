//! The identity: the file that says which server of which cluster a data directory belongs to.
//! It has three or four lines of text, and a checksum. It is created last, so a directory with
//! an identity is complete.

use std::path::{Path, PathBuf};

use super::checked_text::{self, sealed, unsealed};
use super::disk::Disk;
use super::durable_names::create_file;
use super::error::{StorageError, damaged, unknown};
use crate::types::NodeId;

const FORMAT_VERSION: u32 = 2;

/// The owner of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name of the cluster.
    pub cluster: String,
    /// The server.
    pub node_id: NodeId,
    /// The digest of the snapshot that the directory was restored from, if it was
    /// (docs/adr/0011).
    pub restore_id: Option<u128>,
}

/// The values in an identity's lines: cluster (escaped), node, restore id.
pub(crate) type Lines = (String, u64, Option<u128>);

impl Identity {
    fn encode(&self) -> String {
        let mut text = format!(
            "coracle {FORMAT_VERSION}\ncluster {}\nnode {}\n",
            escaped(&self.cluster),
            self.node_id
        );
        if let Some(restore_id) = self.restore_id {
            text.push_str(&format!("origin {restore_id:032x}\n"));
        }
        sealed(text)
    }

    /// Returns the version of a whole file that another version of this program wrote.
    fn other_version(bytes: &[u8]) -> Option<&str> {
        let version = unsealed(bytes).ok()?.lines().next()?.strip_prefix("coracle ")?;
        (version != FORMAT_VERSION.to_string()).then_some(version)
    }

    /// Returns the values of a file whose checksum is right, or a sentence that says what is
    /// wrong with the file.
    fn decode(bytes: &[u8]) -> Result<Lines, String> {
        let mut lines = unsealed(bytes)?.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("coracle ")).unwrap_or("");
        if version != FORMAT_VERSION.to_string() {
            return Err(format!(
                "it has format version {version:?}, this server knows {FORMAT_VERSION}"
            ));
        }
        let cluster = lines.next().and_then(|line| line.strip_prefix("cluster "));
        let node = lines.next().and_then(|line| line.strip_prefix("node "));
        let restore_id = match lines.next() {
            None => None,
            Some(line) => {
                let digits = line.strip_prefix("origin ").ok_or("it has an unknown line")?;
                Some(u128::from_str_radix(digits, 16).map_err(|_| "its origin is no digest")?)
            }
        };
        if lines.next().is_some() {
            return Err("it has an unknown line".into());
        }
        match (cluster, node.and_then(|node| node.parse().ok())) {
            (Some(cluster), Some(node)) => Ok((cluster.to_owned(), node, restore_id)),
            _ => Err("it lacks a line".into()),
        }
    }
}

/// The path of the identity.
pub(crate) fn identity_path(dir: &Path) -> PathBuf {
    dir.join("identity")
}

/// Creates the file, durably.
pub(crate) fn create(disk: &dyn Disk, dir: &Path, own: &Identity) -> Result<(), StorageError> {
    create_file(disk, &identity_path(dir), own.encode().as_bytes())
}

/// Reads the file. Returns the node that it names, and the restore id, or `None` when there is
/// no file. With `own`, any other owner is refused, whatever the restore id.
pub(crate) fn check(
    disk: &dyn Disk,
    dir: &Path,
    own: Option<&Identity>,
) -> Result<Option<(NodeId, Option<u128>)>, StorageError> {
    let Some((cluster, node, restore_id)) = read(disk, dir)? else { return Ok(None) };
    match own {
        Some(own) if own.node_id.0 != node || escaped(&own.cluster) != cluster => {
            Err(StorageError::OtherOwner {
                path: identity_path(dir),
                found_node: node,
                found_cluster: cluster,
                node: own.node_id.0,
                cluster: own.cluster.clone(),
            })
        }
        _ => Ok(Some((NodeId(node), restore_id))),
    }
}

/// The name of a cluster as it is in the file: one line, whatever characters it has.
pub(crate) fn escaped(cluster: &str) -> String {
    cluster.escape_default().to_string()
}

/// Reads the file. Returns the values of its lines, or `None` when there is no file.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Lines>, StorageError> {
    let path = identity_path(dir);
    let Some(bytes) = checked_text::read(disk, &path)? else { return Ok(None) };
    if let Some(version) = Identity::other_version(&bytes) {
        let what = format!("it has format version {version}, this server knows {FORMAT_VERSION}");
        return Err(unknown(&path, 0, what));
    }
    let lines = Identity::decode(&bytes).map_err(|what| damaged(&path, 0, what))?;
    Ok(Some(lines))
}

#[cfg(test)]
mod tests;

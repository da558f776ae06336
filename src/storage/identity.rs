//! The file that says whose data directory this is: three lines for people, and
//! a checksum. It is made last, so a directory with it is a complete one.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::segment::install;
use crate::types::NodeId;

const FORMAT_VERSION: u32 = 2;
/// More than any identity has; what is longer is none.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub cluster: String,
    pub node_id: NodeId,
    /// Which backup it was restored from, if it was (docs/adr/0011).
    pub origin: Option<u128>,
}

/// Its lines: cluster (escaped), node, origin.
type Lines = (String, u64, Option<u128>);

impl Identity {
    fn encode(&self) -> String {
        // The name is escaped, so that it is one line whatever is in it.
        let mut text = format!(
            "coracle {FORMAT_VERSION}\ncluster {}\nnode {}\n",
            self.cluster.escape_default(),
            self.node_id
        );
        if let Some(origin) = self.origin {
            text.push_str(&format!("origin {origin:032x}\n"));
        }
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(&format!("crc32c {crc:08x}\n"));
        text
    }

    /// The lines of a file whose checksum is right.
    fn decode(bytes: &[u8]) -> Result<Lines, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
        let body = text.rfind("crc32c ").ok_or("its last line is missing")?;
        let (lines, last) = text.split_at(body);
        if last != format!("crc32c {:08x}\n", crc32c::crc32c(lines.as_bytes())) {
            return Err("it does not match its checksum".into());
        }
        let mut lines = lines.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("coracle ")).unwrap_or("");
        if version != FORMAT_VERSION.to_string() {
            return Err(format!(
                "it has format version {version:?}, this server knows {FORMAT_VERSION}"
            ));
        }
        let cluster = lines.next().and_then(|line| line.strip_prefix("cluster "));
        let node = lines.next().and_then(|line| line.strip_prefix("node "));
        let origin = match lines.next() {
            None => None,
            Some(line) => {
                let digits = line.strip_prefix("origin ").ok_or("it has an unknown line")?;
                Some(u128::from_str_radix(digits, 16).map_err(|_| "its origin is no digest")?)
            }
        };
        match (cluster, node.and_then(|node| node.parse().ok())) {
            (Some(cluster), Some(node)) => Ok((cluster.to_owned(), node, origin)),
            _ => Err("it lacks a line".into()),
        }
    }
}

/// Where the identity stands.
pub(super) fn identity_path(dir: &Path) -> PathBuf {
    dir.join("identity")
}

/// Makes the file, durably.
pub(super) fn create(disk: &dyn Disk, dir: &Path, own: &Identity) -> Result<(), StorageError> {
    install(disk, &identity_path(dir), own.encode().as_bytes())
}

/// Reads the file: `None` when there is none, else the node that it names, and its
/// origin. With `own`, any other owner is refused, whatever the origin.
pub(super) fn check(
    disk: &dyn Disk,
    dir: &Path,
    own: Option<&Identity>,
) -> Result<Option<(NodeId, Option<u128>)>, StorageError> {
    let path = identity_path(dir);
    let file = match disk.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).during("open", &path),
    };
    let mut bytes = vec![0; FILE_BYTES_MAX];
    let read = file.read_at(0, &mut bytes).during("read", &path)?;
    let (cluster, node, origin) =
        Identity::decode(&bytes[..read]).map_err(|what| damaged(&path, 0, what))?;
    match own {
        Some(own)
            if own.node_id.0 != node || own.cluster.escape_default().to_string() != cluster =>
        {
            Err(StorageError::OtherOwner {
                path,
                found_node: node,
                found_cluster: cluster,
                node: own.node_id.0,
                cluster: own.cluster.clone(),
            })
        }
        _ => Ok(Some((NodeId(node), origin))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::mutation::mutation;

    #[test]
    fn an_identity_survives_its_encoding_whatever_the_name() {
        for cluster in ["coracle", "two words", "a\nnode 9", "caf\u{e9}", "crc32c x", ""] {
            for origin in [None, Some(0), Some(u128::MAX)] {
                let own = Identity { cluster: cluster.into(), node_id: NodeId(7), origin };
                let decoded = Identity::decode(own.encode().as_bytes());
                assert_eq!(decoded, Ok((cluster.escape_default().to_string(), 7, origin)));
            }
        }
    }

    #[test]
    fn golden_bytes_of_an_identity() {
        let own = Identity { cluster: "coracle".into(), node_id: NodeId(3), origin: None };
        assert_eq!(own.encode(), "coracle 2\ncluster coracle\nnode 3\ncrc32c 52189fef\n");
        let restored = Identity { origin: Some(0xabc), ..own }.encode();
        let lines: Vec<&str> = restored.lines().collect();
        assert_eq!(lines[..3], ["coracle 2", "cluster coracle", "node 3"]);
        assert_eq!(lines[3], "origin 00000000000000000000000000000abc");
    }

    proptest! {
        #[test]
        fn a_changed_identity_is_none(
            cluster in ".*",
            node in any::<u64>(),
            origin in any::<Option<u128>>(),
            mutation in mutation(),
        ) {
            let node_id = NodeId(node);
            let text = Identity { cluster: cluster.clone(), node_id, origin }.encode();
            let own = (cluster.escape_default().to_string(), node, origin);
            prop_assert_eq!(Identity::decode(text.as_bytes()), Ok(own));
            let changed = mutation.of(text.as_bytes());
            prop_assert!(changed == text.as_bytes() || Identity::decode(&changed).is_err());
        }
    }
}

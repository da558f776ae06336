//! The facts that a server has learned of the cluster that it joins, before it has anything of
//! the log: a file of its data directory, so that a restart need not ask again (docs/adr/0027).
//!
//! The file is created before the directory is, and never changed after the server has a log
//! with members. A server from before format 3 does not look at it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checked_text::{self, sealed, unsealed};
use super::directory::take_lock;
use super::disk::Disk;
use super::durable_names::{create_file, sync_ancestors};
use super::error::{IoContext, StorageError, damaged, unknown};
use super::identity::{Identity, escaped};
use crate::types::{ClusterId, LogIndex, Member, NodeId};

const VERSION: &str = "1";
/// The value of a line whose fact is not there.
const NONE: &str = "none";

/// The facts that a server has learned of the cluster that it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedCluster {
    /// The id with which the server has joined.
    pub id: NodeId,
    /// The name of the cluster.
    pub cluster: String,
    /// The id of the cluster, if the server that answered knew it.
    pub cluster_id: Option<ClusterId>,
    /// With leader leases, the promise that every server of the cluster makes, in whole
    /// milliseconds (docs/adr/0012).
    pub promise: Option<Duration>,
    /// The members, with their addresses.
    pub members: BTreeMap<NodeId, Member>,
    /// The entry that says so.
    pub at: LogIndex,
}

/// The path of the file.
pub(crate) fn members_path(dir: &Path) -> PathBuf {
    dir.join("members")
}

/// Keeps what a server has learned in its data directory, durably. The directory is made if
/// there is none.
///
/// # Errors
/// When the disk fails, and when another process has the directory.
pub fn keep_joined(
    disk: &dyn Disk,
    dir: &Path,
    joined: &JoinedCluster,
) -> Result<(), StorageError> {
    disk.create_dir_all(dir).during("make the directory", dir)?;
    let _lock = take_lock(disk, dir)?;
    create_file(disk, &members_path(dir), joined.encode().as_bytes())?;
    sync_ancestors(disk, dir)
}

/// Returns what the server of a data directory has learned when it joined, or `None` when it did
/// not join, or not yet. The directory need not be there.
///
/// # Errors
/// When the file is damaged, or another version of this program wrote it.
pub fn read_joined(disk: &dyn Disk, dir: &Path) -> Result<Option<JoinedCluster>, StorageError> {
    let path = members_path(dir);
    let Some(bytes) = checked_text::read(disk, &path)? else { return Ok(None) };
    let text = unsealed(&bytes).map_err(|what| damaged(&path, 0, what))?;
    let version = text.lines().next().and_then(|line| line.strip_prefix("coracle "));
    if version != Some(VERSION) {
        let what = format!("it has format version {}", version.unwrap_or("unknown"));
        return Err(unknown(&path, 0, what));
    }
    match JoinedCluster::decode(text) {
        Some(joined) => Ok(Some(joined)),
        None => Err(unknown(&path, 0, "it has other lines")),
    }
}

/// The same for the directory of `owner`.
///
/// # Errors
/// Also when another server has joined with it.
pub(super) fn read_of(
    disk: &dyn Disk,
    dir: &Path,
    owner: &Identity,
) -> Result<Option<JoinedCluster>, StorageError> {
    let joined = read_joined(disk, dir)?;
    match &joined {
        Some(JoinedCluster { id, cluster, .. })
            if *id != owner.node_id || *cluster != owner.cluster =>
        {
            Err(StorageError::OtherOwner {
                path: members_path(dir),
                found_node: id.0,
                found_cluster: escaped(cluster),
                node: owner.node_id.0,
                cluster: owner.cluster.clone(),
            })
        }
        _ => Ok(joined),
    }
}

impl JoinedCluster {
    fn encode(&self) -> String {
        let JoinedCluster { id, cluster, cluster_id, promise, members, at } = self;
        let cluster_id = cluster_id.map_or_else(|| NONE.to_owned(), |id| id.to_string());
        let promise_ms =
            promise.map_or_else(|| NONE.to_owned(), |time| time.as_millis().to_string());
        let mut text = format!(
            "coracle {VERSION}\nnode {id}\ncluster {}\ncluster_id {cluster_id}\n\
             promise_ms {promise_ms}\nmembers_at {at}\n",
            escaped(cluster)
        );
        for (id, Member { peer, client }) in members {
            text.push_str(&format!("member {id} {peer} {client}\n"));
        }
        sealed(text)
    }

    /// The facts in the lines of a file of this version.
    fn decode(text: &str) -> Option<JoinedCluster> {
        let mut lines = text.lines().skip(1);
        let id = NodeId(value(lines.next()?, "node")?.parse().ok()?);
        let cluster = unescaped(value(lines.next()?, "cluster")?)?;
        let cluster_id = optional(value(lines.next()?, "cluster_id")?, |digits| {
            u128::from_str_radix(digits, 16).ok().map(ClusterId)
        })?;
        let promise = optional(value(lines.next()?, "promise_ms")?, |number| {
            number.parse().ok().map(Duration::from_millis)
        })?;
        let at = LogIndex(value(lines.next()?, "members_at")?.parse().ok()?);
        let members = lines.map(member).collect::<Option<BTreeMap<NodeId, Member>>>()?;
        Some(JoinedCluster { id, cluster, cluster_id, promise, members, at })
    }
}

/// The value of a line with this name.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(' ')
}

/// The value of a fact that may not be there; the outer `None` says that it is no value.
fn optional<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text == NONE { Some(None) } else { read(text).map(Some) }
}

fn member(line: &str) -> Option<(NodeId, Member)> {
    let mut words = value(line, "member")?.split(' ');
    let id = NodeId(words.next()?.parse().ok()?);
    let peer = words.next()?.parse().ok()?;
    let client = words.next()?.parse().ok()?;
    words.next().is_none().then_some((id, Member { peer, client }))
}

/// The inverse of `escape_default`.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next()? {
            'u' => {
                let digits: String =
                    rest.by_ref().skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
                plain.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            quote @ ('\\' | '\'' | '"') => plain.push(quote),
            _ => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests;

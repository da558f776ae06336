//! The frames of a server that joins a cluster: it asks a member who the members are, before it
//! has anything of the cluster (docs/adr/0027).
//!
//! They begin a connection, as a hello does, so no format gates them. Their facts are in a map:
//! a reader ignores the keys that later versions add.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::kind;
use crate::types::{
    ClusterId, Format, FormatInForce, FormatRange, LogIndex, Membership, NodeId, Payload,
};

/// Maximum size of a [`JoinAnswer`]'s frame in bytes. That of a request is that of a hello.
///
/// The largest membership has 64 members with two addresses of 263 bytes each, 64 removals and
/// 16 changes, and is below 48 KiB.
pub const JOINED_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Maximum length of the name of a cluster in bytes.
pub const CLUSTER_BYTES_MAX: usize = 64;

/// The question of a server that joins. It is the first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The id with which the server was started.
    pub id: NodeId,
    /// The name of its cluster, when it knows one.
    pub cluster: Option<String>,
    /// The formats that it reads.
    pub formats: FormatRange,
    /// The version of its program, at most 64 bytes.
    pub binary: String,
}

/// The answer to a server that is a member. One that is none gets a refusal. Either is the last
/// frame of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The name of the cluster.
    pub cluster: String,
    /// The id of the cluster, when the sender knows it.
    pub cluster_id: Option<ClusterId>,
    /// The format in force, as far as the sender knows.
    pub format: FormatInForce,
    /// The newest membership in the sender's log.
    pub membership: Membership,
    /// The entry of that membership.
    pub at: LogIndex,
    /// With leader leases, the time for which a follower elects no other leader after it has
    /// heard its own, in whole milliseconds (docs/adr/0012); `None` without leader leases.
    pub promise: Option<Duration>,
    /// The digest of the snapshot that the sender's data directory was restored from, if it was
    /// (docs/adr/0011).
    pub restore_id: Option<u128>,
}

/// The map of a request.
pub(super) struct RequestMap<'a>(pub(super) &'a JoinRequest);

impl Serialize for RequestMap<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let JoinRequest { id, cluster, formats, binary } = self.0;
        let mut map = s.serialize_map(Some(3 + usize::from(cluster.is_some())))?;
        map.serialize_entry(kind::ID_KEY, id)?;
        map.serialize_entry(kind::FORMATS_KEY, &(formats.lowest, formats.highest))?;
        map.serialize_entry(kind::BINARY_KEY, binary)?;
        if let Some(cluster) = cluster {
            map.serialize_entry(kind::CLUSTER_KEY, cluster)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for JoinRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JoinRequest, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

/// Decodes the map of a request. A key that this version does not know is ignored.
struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = JoinRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the facts about a server that joins")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JoinRequest, A::Error> {
        let (mut id, mut cluster, mut formats, mut binary) = (None, None, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                kind::ID_KEY => id = Some(map.next_value()?),
                kind::CLUSTER_KEY => cluster = map.next_value()?,
                kind::FORMATS_KEY => formats = Some(map.next_value::<(Format, Format)>()?),
                kind::BINARY_KEY => binary = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let (lowest, highest) = there(formats, kind::FORMATS_KEY)?;
        Ok(JoinRequest {
            id: there(id, kind::ID_KEY)?,
            cluster,
            formats: FormatRange { lowest, highest },
            binary: there(binary, kind::BINARY_KEY)?,
        })
    }
}

/// A fact that every version sends.
fn there<T, E: de::Error>(fact: Option<T>, key: &'static str) -> Result<T, E> {
    fact.ok_or_else(|| de::Error::missing_field(key))
}

/// The map of an answer. Facts that are not there are left out.
pub(super) struct AnswerMap<'a>(pub(super) &'a JoinAnswer);

impl Serialize for AnswerMap<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let JoinAnswer { cluster, cluster_id, format, membership, at, promise, restore_id } =
            self.0;
        let optional = [cluster_id.is_some(), promise.is_some(), restore_id.is_some()];
        let entries = 4 + optional.into_iter().filter(|is_there| *is_there).count();
        let payload = Payload::Membership(membership.clone());
        let (kind, body) = (payload.kind(), payload.body());
        let mut map = s.serialize_map(Some(entries))?;
        map.serialize_entry(kind::CLUSTER_KEY, cluster)?;
        // The mark of an unwritten log is for the store alone, and other versions refuse it here.
        map.serialize_entry(kind::FORMAT_KEY, &(format.format, &format.since))?;
        map.serialize_entry(kind::MEMBERSHIP_KEY, &(kind, serde_bytes::Bytes::new(&body)))?;
        map.serialize_entry(kind::AT_KEY, at)?;
        if let Some(cluster_id) = cluster_id {
            map.serialize_entry(kind::CLUSTER_ID_KEY, cluster_id)?;
        }
        if let Some(promise) = promise {
            map.serialize_entry(kind::PROMISE_KEY, &(promise.as_millis() as u64))?;
        }
        if let Some(restore_id) = restore_id {
            let bytes = restore_id.to_be_bytes();
            map.serialize_entry(kind::RESTORE_ID_KEY, serde_bytes::Bytes::new(&bytes))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for JoinAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JoinAnswer, D::Error> {
        deserializer.deserialize_map(AnswerVisitor)
    }
}

/// Decodes the map of an answer. A key that this version does not know is ignored.
struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = JoinAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the facts about a cluster")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JoinAnswer, A::Error> {
        let (mut cluster, mut format, mut members, mut at) = (None, None, None, None);
        let (mut cluster_id, mut promise_ms, mut restore_id) = (None, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                kind::CLUSTER_KEY => cluster = Some(map.next_value()?),
                kind::FORMAT_KEY => format = Some(map.next_value::<(Format, String)>()?),
                kind::MEMBERSHIP_KEY => members = Some(map.next_value::<(u8, &[u8])>()?),
                kind::AT_KEY => at = Some(map.next_value()?),
                kind::CLUSTER_ID_KEY => cluster_id = map.next_value()?,
                kind::PROMISE_KEY => promise_ms = map.next_value::<Option<u64>>()?,
                kind::RESTORE_ID_KEY => restore_id = map.next_value::<Option<&[u8]>>()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let (format, since) = there(format, kind::FORMAT_KEY)?;
        let (kind, body) = there(members, kind::MEMBERSHIP_KEY)?;
        Ok(JoinAnswer {
            cluster: there(cluster, kind::CLUSTER_KEY)?,
            cluster_id,
            format: FormatInForce { format, since, is_in_unwritten_log: false },
            membership: membership(kind, body)?,
            at: there(at, kind::AT_KEY)?,
            promise: promise_ms.map(Duration::from_millis),
            restore_id: restore_id.map(digest).transpose()?,
        })
    }
}

/// The membership in the body of an entry.
fn membership<E: de::Error>(kind: u8, body: &[u8]) -> Result<Membership, E> {
    match Payload::decode(kind, Bytes::copy_from_slice(body)) {
        Ok(Payload::Membership(membership)) => Ok(membership),
        Ok(_) => Err(de::Error::custom("the members are an entry of another kind")),
        Err(error) => Err(de::Error::custom(error)),
    }
}

/// The map of the word that a server was removed.
pub(super) struct RemovedMap(pub(super) LogIndex);

impl Serialize for RemovedMap {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(1))?;
        map.serialize_entry(kind::AT_KEY, &self.0)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for RemovedMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RemovedMap, D::Error> {
        deserializer.deserialize_map(RemovedVisitor)
    }
}

/// Decodes the map of a removal. A key that this version does not know is ignored.
struct RemovedVisitor;

impl<'de> Visitor<'de> for RemovedVisitor {
    type Value = RemovedMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the facts about a removal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RemovedMap, A::Error> {
        let mut at = None;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                kind::AT_KEY => at = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        there(at, kind::AT_KEY).map(RemovedMap)
    }
}

/// A digest of 16 bytes.
pub(super) fn digest<E: de::Error>(bytes: &[u8]) -> Result<u128, E> {
    let bytes = bytes
        .try_into()
        .map_err(|_| de::Error::invalid_length(bytes.len(), &"a digest of 16 bytes"))?;
    Ok(u128::from_be_bytes(bytes))
}

//! Bodies of frames, by hand: positional arrays, each beginning with its kind.
//!
//! Not derived, because derived enums would put their variants' names on the
//! wire and derived `Vec<u8>` would be arrays of integers, and because the order
//! of a struct's fields is nobody's protocol: here a change of the wire is a
//! change of this file.

use std::fmt;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Frame, Hello, WireError};
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, InstallSnapshot,
    InstallSnapshotResponse, PreVote, PreVoteResponse, RejoinResponse, RequestVote,
    RequestVoteResponse, Rpc,
};
use crate::types::{Entry, LogIndex, LogPosition, NodeId, Payload, SnapshotId, Term};

/// The first element of a body. A number is never given to another kind.
mod kind {
    pub const HELLO: u8 = 1;
    pub const REFUSED: u8 = 2;
    pub const APPEND_ENTRIES: u8 = 16;
    pub const APPEND_ENTRIES_RESPONSE: u8 = 17;
    pub const REQUEST_VOTE: u8 = 18;
    pub const REQUEST_VOTE_RESPONSE: u8 = 19;
    pub const PRE_VOTE: u8 = 20;
    pub const PRE_VOTE_RESPONSE: u8 = 21;
    pub const REJOIN_REQUEST: u8 = 22;
    pub const REJOIN_RESPONSE: u8 = 23;
    pub const INSTALL_SNAPSHOT: u8 = 24;
    pub const INSTALL_SNAPSHOT_RESPONSE: u8 = 25;
}

/// The outcome in an AppendEntriesResponse.
mod outcome {
    pub const SUCCESS: u8 = 0;
    pub const CONFLICT: u8 = 1;
}

/// The second element of a hello: whoever sends it means this protocol.
const MAGIC: &str = "coracle";

/// What a count of elements may reserve before they are there.
const PREALLOCATED_ENTRIES_MAX: usize = 1024;

/// A frame as it is serialised.
pub(super) struct Body<'a>(pub &'a Frame);

impl Body<'_> {
    pub(super) fn encode(&self, output: &mut BytesMut) {
        rmp_serde::encode::write(&mut output.writer(), self)
            .expect("memory takes every write, and every type here has a MessagePack form");
    }

    /// What entries and pieces of snapshots hold are slices of `bytes`.
    pub(super) fn decode(bytes: &Bytes) -> Result<Frame, WireError> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(&bytes[..]);
        let frame = FrameVisitor { bytes }.deserialize(&mut deserializer)?;
        // Whatever still has a beginning is too much.
        match IgnoredAny::deserialize(&mut deserializer) {
            Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(frame),
            _ => Err(WireError::Trailing),
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Frame::Hello(Hello { cluster, from, to, origin: None, promise: None }) => {
                (kind::HELLO, MAGIC, cluster, from, to).serialize(serializer)
            }
            Frame::Hello(Hello { cluster, from, to, origin: Some(origin), promise: None }) => {
                let origin = origin.to_be_bytes();
                (kind::HELLO, MAGIC, cluster, from, to, serde_bytes::Bytes::new(&origin))
                    .serialize(serializer)
            }
            Frame::Hello(Hello { cluster, from, to, origin, promise: Some(promise) }) => {
                let origin = origin.map(u128::to_be_bytes);
                let origin = origin.as_ref().map(|bytes| serde_bytes::Bytes::new(bytes));
                let promise_ms = promise.as_millis() as u64;
                (kind::HELLO, MAGIC, cluster, from, to, origin, promise_ms).serialize(serializer)
            }
            Frame::Refused { reason } => (kind::REFUSED, reason).serialize(serializer),
            Frame::Rpc(envelope) => serialize_envelope(envelope, serializer),
        }
    }
}

fn serialize_envelope<S: Serializer>(envelope: &Envelope, s: S) -> Result<S::Ok, S::Error> {
    let Envelope { from, to, term, rpc } = envelope;
    match rpc {
        Rpc::AppendEntries(append) => (
            kind::APPEND_ENTRIES,
            from,
            to,
            term,
            append.request_seq,
            append.prev.index,
            append.prev.term,
            append.leader_commit,
            append.read_seq,
            Entries(&append.entries),
        )
            .serialize(s),
        Rpc::AppendEntriesResponse(response) => {
            let AppendEntriesResponse { request_seq, read_seq, is_rejoining: new, result } =
                response;
            let kind = kind::APPEND_ENTRIES_RESPONSE;
            match result {
                AppendResult::Success { match_index: index } => {
                    let outcome = outcome::SUCCESS;
                    (kind, from, to, term, request_seq, read_seq, new, outcome, index).serialize(s)
                }
                AppendResult::Conflict { conflict_index: index, conflict_term } => {
                    let (seq, outcome) = (request_seq, outcome::CONFLICT);
                    (kind, from, to, term, seq, read_seq, new, outcome, index, conflict_term)
                        .serialize(s)
                }
            }
        }
        Rpc::RequestVote(RequestVote { last }) => {
            (kind::REQUEST_VOTE, from, to, term, last.index, last.term).serialize(s)
        }
        Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted }) => {
            (kind::REQUEST_VOTE_RESPONSE, from, to, term, vote_granted).serialize(s)
        }
        Rpc::PreVote(PreVote { last }) => {
            (kind::PRE_VOTE, from, to, term, last.index, last.term).serialize(s)
        }
        Rpc::PreVoteResponse(PreVoteResponse { vote_granted }) => {
            (kind::PRE_VOTE_RESPONSE, from, to, term, vote_granted).serialize(s)
        }
        Rpc::InstallSnapshot(piece) => (
            kind::INSTALL_SNAPSHOT,
            from,
            to,
            term,
            piece.request_seq,
            piece.snapshot.last.index,
            piece.snapshot.last.term,
            piece.snapshot.bytes,
            serde_bytes::Bytes::new(&piece.snapshot.digest.to_be_bytes()),
            piece.offset,
            serde_bytes::Bytes::new(&piece.bytes),
        )
            .serialize(s),
        Rpc::InstallSnapshotResponse(response) => {
            let InstallSnapshotResponse { request_seq, is_rejoining, last, .. } = response;
            (
                kind::INSTALL_SNAPSHOT_RESPONSE,
                from,
                to,
                term,
                request_seq,
                is_rejoining,
                last.index,
                last.term,
                response.received,
                response.is_installed,
            )
                .serialize(s)
        }
        Rpc::RejoinRequest => (kind::REJOIN_REQUEST, from, to, term).serialize(s),
        Rpc::RejoinResponse(RejoinResponse { last }) => {
            (kind::REJOIN_RESPONSE, from, to, term, last.index, last.term).serialize(s)
        }
    }
}

struct Entries<'a>(&'a [Entry]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(EntryBody))
    }
}

struct EntryBody<'a>(&'a Entry);

impl Serialize for EntryBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Entry { index, term, stamp_ms, payload } = self.0;
        let body = payload.body();
        (index, term, stamp_ms, payload.kind(), serde_bytes::Bytes::new(&body))
            .serialize(serializer)
    }
}

/// Reads the body that `bytes` are.
struct FrameVisitor<'a> {
    bytes: &'a Bytes,
}

impl<'de> DeserializeSeed<'de> for FrameVisitor<'de> {
    type Value = Frame;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Frame, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FrameVisitor<'de> {
    type Value = Frame;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array that begins with the frame's kind")
    }

    // The deserializer refuses elements that are left over.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Frame, A::Error> {
        let array = &mut array;
        match next::<u8, A>(array, "kind")? {
            kind::HELLO => visit_hello(array),
            kind::REFUSED => Ok(Frame::Refused { reason: next(array, "reason")? }),
            kind => visit_envelope(kind, self.bytes, array),
        }
    }
}

/// The next element, which must be there.
fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    array: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    array.next_element()?.ok_or_else(|| de::Error::missing_field(name))
}

fn visit_hello<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<Frame, A::Error> {
    if next::<&str, A>(array, "magic")? != MAGIC {
        return Err(de::Error::custom("a hello of another protocol"));
    }
    Ok(Frame::Hello(Hello {
        cluster: next(array, "cluster")?,
        from: next(array, "from")?,
        to: next(array, "to")?,
        origin: array.next_element::<Option<&[u8]>>()?.flatten().map(digest).transpose()?,
        promise: array.next_element()?.map(Duration::from_millis),
    }))
}

fn visit_envelope<'de, A: SeqAccess<'de>>(
    kind: u8,
    bytes: &'de Bytes,
    array: &mut A,
) -> Result<Frame, A::Error> {
    let from: NodeId = next(array, "from")?;
    let to: NodeId = next(array, "to")?;
    let term: Term = next(array, "term")?;
    let rpc = match kind {
        kind::APPEND_ENTRIES => Rpc::AppendEntries(AppendEntries {
            request_seq: next(array, "request_seq")?,
            prev: visit_position(array)?,
            leader_commit: next(array, "leader_commit")?,
            read_seq: next(array, "read_seq")?,
            entries: array
                .next_element_seed(EntriesVisitor { bytes })?
                .ok_or_else(|| de::Error::missing_field("entries"))?,
        }),
        kind::APPEND_ENTRIES_RESPONSE => Rpc::AppendEntriesResponse(AppendEntriesResponse {
            request_seq: next(array, "request_seq")?,
            read_seq: next(array, "read_seq")?,
            is_rejoining: next(array, "is_rejoining")?,
            result: visit_append_result(array)?,
        }),
        kind::REQUEST_VOTE => Rpc::RequestVote(RequestVote { last: visit_position(array)? }),
        kind::REQUEST_VOTE_RESPONSE => Rpc::RequestVoteResponse(RequestVoteResponse {
            vote_granted: next(array, "vote_granted")?,
        }),
        kind::PRE_VOTE => Rpc::PreVote(PreVote { last: visit_position(array)? }),
        kind::PRE_VOTE_RESPONSE => {
            Rpc::PreVoteResponse(PreVoteResponse { vote_granted: next(array, "vote_granted")? })
        }
        kind::REJOIN_REQUEST => Rpc::RejoinRequest,
        kind::REJOIN_RESPONSE => {
            Rpc::RejoinResponse(RejoinResponse { last: visit_position(array)? })
        }
        kind::INSTALL_SNAPSHOT => Rpc::InstallSnapshot(visit_install_snapshot(bytes, array)?),
        kind::INSTALL_SNAPSHOT_RESPONSE => Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
            request_seq: next(array, "request_seq")?,
            is_rejoining: next(array, "is_rejoining")?,
            last: visit_position(array)?,
            received: next(array, "received")?,
            is_installed: next(array, "is_installed")?,
        }),
        kind => return Err(de::Error::custom(format_args!("a frame of unknown kind {kind}"))),
    };
    Ok(Frame::Rpc(Envelope { from, to, term, rpc }))
}

fn visit_position<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<LogPosition, A::Error> {
    let index: LogIndex = next(array, "index")?;
    Ok(LogPosition { index, term: next(array, "term")? })
}

fn visit_install_snapshot<'de, A: SeqAccess<'de>>(
    frame: &'de Bytes,
    array: &mut A,
) -> Result<InstallSnapshot, A::Error> {
    let request_seq = next(array, "request_seq")?;
    let last = visit_position(array)?;
    let bytes = next(array, "snapshot bytes")?;
    let snapshot = SnapshotId { last, bytes, digest: digest(next(array, "digest")?)? };
    let offset = next(array, "offset")?;
    let piece: &[u8] = next(array, "bytes")?;
    Ok(InstallSnapshot { request_seq, snapshot, offset, bytes: frame.slice_ref(piece) })
}

fn digest<E: de::Error>(bytes: &[u8]) -> Result<u128, E> {
    let bytes = bytes
        .try_into()
        .map_err(|_| de::Error::invalid_length(bytes.len(), &"a digest of 16 bytes"))?;
    Ok(u128::from_be_bytes(bytes))
}

fn visit_append_result<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<AppendResult, A::Error> {
    match next::<u8, A>(array, "outcome")? {
        outcome::SUCCESS => Ok(AppendResult::Success { match_index: next(array, "match_index")? }),
        outcome::CONFLICT => Ok(AppendResult::Conflict {
            conflict_index: next(array, "conflict_index")?,
            conflict_term: next(array, "conflict_term")?,
        }),
        other => Err(de::Error::custom(format_args!("a response of unknown outcome {other}"))),
    }
}

/// Reads the entries in the body that `bytes` are.
struct EntriesVisitor<'a> {
    bytes: &'a Bytes,
}

impl<'de> DeserializeSeed<'de> for EntriesVisitor<'de> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesVisitor<'de> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<Entry>, A::Error> {
        // The count is only a claim until the elements are there.
        let claimed = array.size_hint().unwrap_or(0);
        let mut entries = Vec::with_capacity(claimed.min(PREALLOCATED_ENTRIES_MAX));
        while let Some(fields) = array.next_element()? {
            let (index, term, stamp_ms, kind, body): (LogIndex, Term, u64, u8, &[u8]) = fields;
            let payload = Payload::decode(kind, self.bytes.slice_ref(body))
                .map_err(|error| de::Error::custom(format_args!("entry {index}: {error}")))?;
            entries.push(Entry { index, term, stamp_ms, payload });
        }
        Ok(entries)
    }
}

//! Decodes the bodies of frames: the inverse of `encode`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::error::WireError;
use super::frame::Frame;
use super::hello::Hello;
use super::join::{RemovedMap, digest};
use super::kind;
use crate::raft::{
    Admitted, AppendEntries, AppendEntriesResponse, AppendResult, Envelope, Forgotten, Forward,
    ForwardOutcome, Forwarded, InstallSnapshot, InstallSnapshotResponse, Introduction, PreVote,
    PreVoteResponse, ReadIndexRequest, ReadIndexResponse, RejoinResponse, Remembered, RequestVote,
    RequestVoteResponse, Rpc, SnapshotRefusal, StateCheck, StateCheckResponse, StateDiverged,
    TimeoutNow,
};
use crate::types::{
    Address, Entry, Format, FormatRange, LogIndex, LogPosition, Member, NodeId, Payload,
    SnapshotId, Term,
};

/// Maximum number of entries for which space is reserved because of a count alone.
const PREALLOCATED_ENTRIES_MAX: usize = 1024;

/// Decodes the body of a frame. The payloads of entries and the bytes of a snapshot's chunk
/// are slices of `body`.
pub(super) fn decode_body(body: &Bytes) -> Result<Frame, WireError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(&body[..]);
    let frame = FrameVisitor { body }.deserialize(&mut deserializer)?;
    // At the end of the bytes no further value can begin. Anything else is surplus.
    match IgnoredAny::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(frame),
        _ => Err(WireError::Trailing),
    }
}

/// Decodes the array that is the content of `body`.
struct FrameVisitor<'a> {
    body: &'a Bytes,
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

    // After this the deserializer returns an error when the array has more elements.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Frame, A::Error> {
        let array = &mut array;
        match next::<u8, A>(array, "kind")? {
            kind::HELLO => visit_hello(array),
            kind::REFUSED => Ok(Frame::Refused { reason: next(array, "reason")? }),
            kind::REMOVED => {
                let RemovedMap(at) = next(array, "removal")?;
                end_of_first_frame(array, Frame::Removed { at })
            }
            kind::JOIN => {
                check_magic(array)?;
                let request = next(array, "request")?;
                end_of_first_frame(array, Frame::Join(request))
            }
            kind::JOINED => {
                let answer = next(array, "answer")?;
                end_of_first_frame(array, Frame::Joined(answer))
            }
            kind::PROBE => Ok(Frame::Probe),
            kind::PROBE_ANSWER => Ok(Frame::ProbeAnswer),
            kind => visit_envelope(kind, self.body, array),
        }
    }
}

/// The next element of the array, or an error when there is none.
fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    array: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    array.next_element()?.ok_or_else(|| missing(name))
}

fn visit_hello<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<Frame, A::Error> {
    check_magic(array)?;
    let hello = Hello {
        cluster: next(array, "cluster")?,
        from: next(array, "from")?,
        to: next(array, "to")?,
        restore_id: array.next_element::<Option<&[u8]>>()?.flatten().map(digest).transpose()?,
        promise: array.next_element::<Option<u64>>()?.flatten().map(Duration::from_millis),
        introduction: array.next_element_seed(IntroductionVisitor)?,
    };
    end_of_first_frame(array, Frame::Hello(hello))
}

/// Checks the element by which the first frame of a connection names the protocol.
fn check_magic<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<(), A::Error> {
    match next::<&str, A>(array, "magic")? {
        kind::HELLO_MAGIC => Ok(()),
        _ => Err(de::Error::custom("a hello of another protocol")),
    }
}

/// Ignores the rest of a frame that begins a connection. A later version may add elements, and
/// such a frame must stay readable for all versions.
fn end_of_first_frame<'de, A: SeqAccess<'de>>(
    array: &mut A,
    frame: Frame,
) -> Result<Frame, A::Error> {
    while array.next_element::<IgnoredAny>()?.is_some() {}
    Ok(frame)
}

/// Decodes the map at the end of a hello. A key that this version does not know is ignored with
/// its value: a later version has added it.
struct IntroductionVisitor;

impl<'de> DeserializeSeed<'de> for IntroductionVisitor {
    type Value = Introduction;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Introduction, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IntroductionVisitor {
    type Value = Introduction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the facts about a server")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Introduction, A::Error> {
        let (mut formats, mut binary, mut incarnation, mut boot) = (None, None, None, None);
        let (mut cluster_id, mut is_held) = (None, false);
        let (mut member, mut is_draining, mut http) = (None, false, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                kind::FORMATS_KEY => formats = Some(map.next_value::<(Format, Format)>()?),
                kind::BINARY_KEY => binary = Some(map.next_value()?),
                kind::INCARNATION_KEY => incarnation = Some(map.next_value()?),
                kind::BOOT_KEY => boot = Some(map.next_value()?),
                kind::CLUSTER_ID_KEY => cluster_id = map.next_value()?,
                kind::HELD_KEY => is_held = map.next_value()?,
                kind::ADDRESSES_KEY => member = Some(addresses(map.next_value()?)?),
                kind::DRAINING_KEY => is_draining = map.next_value()?,
                kind::HTTP_KEY => http = Some(address(map.next_value()?)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let (lowest, highest) = formats.ok_or_else(|| missing(kind::FORMATS_KEY))?;
        Ok(Introduction {
            formats: FormatRange { lowest, highest },
            binary: binary.ok_or_else(|| missing(kind::BINARY_KEY))?,
            incarnation: incarnation.ok_or_else(|| missing(kind::INCARNATION_KEY))?,
            boot: boot.ok_or_else(|| missing(kind::BOOT_KEY))?,
            cluster_id,
            is_held,
            member,
            is_draining,
            http,
        })
    }
}

/// The addresses of a server: that for other servers, and that for clients.
fn addresses<E: de::Error>((peer, client): (&str, &str)) -> Result<Member, E> {
    Ok(Member { peer: address(peer)?, client: address(client)? })
}

fn address<E: de::Error>(text: &str) -> Result<Address, E> {
    text.parse().map_err(de::Error::custom)
}

fn missing<E: de::Error>(name: &'static str) -> E {
    de::Error::missing_field(name)
}

fn visit_envelope<'de, A: SeqAccess<'de>>(
    kind: u8,
    body: &'de Bytes,
    array: &mut A,
) -> Result<Frame, A::Error> {
    let from: NodeId = next(array, "from")?;
    let to: NodeId = next(array, "to")?;
    let term: Term = next(array, "term")?;
    let rpc = match kind {
        kind::APPEND_ENTRIES => Rpc::AppendEntries(visit_append(body, array)?),
        kind::APPEND_ENTRIES_RESPONSE => Rpc::AppendEntriesResponse(visit_append_response(array)?),
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
        kind::INSTALL_SNAPSHOT => Rpc::InstallSnapshot(visit_install(body, array)?),
        kind::INSTALL_SNAPSHOT_RESPONSE => {
            Rpc::InstallSnapshotResponse(visit_install_response(array)?)
        }
        kind::FORGOTTEN => Rpc::Forgotten(Forgotten { acknowledged: visit_position(array)? }),
        kind::STATE_CHECK => Rpc::StateCheck(visit_state_check(array)?),
        kind::STATE_CHECK_RESPONSE => Rpc::StateCheckResponse(StateCheckResponse {
            index: next(array, "index")?,
            digest: next(array, "digest")?,
        }),
        kind::STATE_DIVERGED => Rpc::StateDiverged(StateDiverged {
            index: next(array, "index")?,
            digest: next(array, "digest")?,
        }),
        kind::REMEMBERED => Rpc::Remembered(Remembered {
            boot: next(array, "boot")?,
            leader_term: next(array, "leader_term")?,
            acknowledged: visit_position(array)?,
        }),
        kind::TIMEOUT_NOW => Rpc::TimeoutNow(TimeoutNow { last: visit_position(array)? }),
        kind::TRANSFER_VOTE => Rpc::TransferVote(RequestVote { last: visit_position(array)? }),
        kind::TRANSFER_REFUSED => Rpc::TransferRefused,
        kind::ADMITTED => Rpc::Admitted(Admitted {
            boot: next(array, "boot")?,
            membership: next(array, "membership")?,
        }),
        kind::READ_INDEX => Rpc::ReadIndex(ReadIndexRequest {
            boot: next(array, "boot")?,
            number: next(array, "number")?,
        }),
        kind::READ_INDEX_RESPONSE => Rpc::ReadIndexResponse(ReadIndexResponse {
            boot: next(array, "boot")?,
            number: next(array, "number")?,
            index: next(array, "index")?,
        }),
        kind::FORWARD => Rpc::Forward(visit_forward(body, array)?),
        kind::FORWARDED => Rpc::Forwarded(Forwarded {
            boot: next(array, "boot")?,
            number: next(array, "number")?,
            outcome: visit_forward_outcome(array)?,
        }),
        kind => return Err(de::Error::custom(format_args!("a frame of unknown kind {kind}"))),
    };
    Ok(Frame::Rpc(Envelope { from, to, term, rpc }))
}

fn visit_append<'de, A: SeqAccess<'de>>(
    body: &'de Bytes,
    array: &mut A,
) -> Result<AppendEntries, A::Error> {
    Ok(AppendEntries {
        request_seq: next(array, "request_seq")?,
        prev: visit_position(array)?,
        leader_commit: next(array, "leader_commit")?,
        read_seq: next(array, "read_seq")?,
        entries: array
            .next_element_seed(EntriesVisitor { body })?
            .ok_or_else(|| de::Error::missing_field("entries"))?,
    })
}

fn visit_append_response<'de, A: SeqAccess<'de>>(
    array: &mut A,
) -> Result<AppendEntriesResponse, A::Error> {
    Ok(AppendEntriesResponse {
        request_seq: next(array, "request_seq")?,
        read_seq: next(array, "read_seq")?,
        is_rejoining: next(array, "is_rejoining")?,
        result: visit_append_result(array)?,
    })
}

fn visit_state_check<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<StateCheck, A::Error> {
    let (index, digest) = (next(array, "index")?, next(array, "digest")?);
    let acknowledged: Vec<(NodeId, LogIndex, Term)> = next(array, "acknowledged")?;
    let of = |(peer, index, term)| (peer, LogPosition { index, term });
    Ok(StateCheck { index, digest, acknowledged: acknowledged.into_iter().map(of).collect() })
}

fn visit_install_response<'de, A: SeqAccess<'de>>(
    array: &mut A,
) -> Result<InstallSnapshotResponse, A::Error> {
    Ok(InstallSnapshotResponse {
        request_seq: next(array, "request_seq")?,
        is_rejoining: next(array, "is_rejoining")?,
        last: visit_position(array)?,
        received: next(array, "received")?,
        is_installed: next(array, "is_installed")?,
        refusal: next::<Option<u8>, A>(array, "refusal")?.map(refusal).transpose()?,
    })
}

fn visit_position<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<LogPosition, A::Error> {
    let index: LogIndex = next(array, "index")?;
    Ok(LogPosition { index, term: next(array, "term")? })
}

fn visit_install<'de, A: SeqAccess<'de>>(
    body: &'de Bytes,
    array: &mut A,
) -> Result<InstallSnapshot, A::Error> {
    let request_seq = next(array, "request_seq")?;
    let last = visit_position(array)?;
    let bytes = next(array, "snapshot bytes")?;
    let snapshot = SnapshotId { last, bytes, digest: digest(next(array, "digest")?)? };
    let offset = next(array, "offset")?;
    let chunk: &[u8] = next(array, "bytes")?;
    Ok(InstallSnapshot { request_seq, snapshot, offset, bytes: body.slice_ref(chunk) })
}

fn visit_forward<'de, A: SeqAccess<'de>>(
    body: &'de Bytes,
    array: &mut A,
) -> Result<Forward, A::Error> {
    let (boot, number) = (next(array, "boot")?, next(array, "number")?);
    let command: &[u8] = next(array, "command")?;
    Ok(Forward { boot, number, command: body.slice_ref(command) })
}

fn visit_forward_outcome<'de, A: SeqAccess<'de>>(
    array: &mut A,
) -> Result<ForwardOutcome, A::Error> {
    let (outcome, index): (u8, Option<LogIndex>) = (next(array, "outcome")?, next(array, "index")?);
    match (outcome, index) {
        (kind::FORWARDED_APPENDED, Some(index)) => Ok(ForwardOutcome::Appended(index)),
        (kind::FORWARDED_NOT_LEADER, None) => Ok(ForwardOutcome::NotLeader),
        (kind::FORWARDED_BUSY, None) => Ok(ForwardOutcome::Busy),
        (kind::FORWARDED_NOT_YET, None) => Ok(ForwardOutcome::NotYet),
        (other, index) => Err(de::Error::custom(format_args!(
            "a forwarded command of unknown outcome {other} at {index:?}"
        ))),
    }
}

fn refusal<E: de::Error>(number: u8) -> Result<SnapshotRefusal, E> {
    match number {
        kind::REFUSAL_NO_ROOM => Ok(SnapshotRefusal::NoRoom),
        kind::REFUSAL_UNUSABLE => Ok(SnapshotRefusal::Unusable),
        number => Err(de::Error::custom(format_args!("a refusal of unknown number {number}"))),
    }
}

fn visit_append_result<'de, A: SeqAccess<'de>>(array: &mut A) -> Result<AppendResult, A::Error> {
    match next::<u8, A>(array, "outcome")? {
        kind::OUTCOME_SUCCESS => {
            Ok(AppendResult::Success { match_index: next(array, "match_index")? })
        }
        kind::OUTCOME_CONFLICT => Ok(AppendResult::Conflict {
            conflict_index: next(array, "conflict_index")?,
            conflict_term: next(array, "conflict_term")?,
        }),
        other => Err(de::Error::custom(format_args!("a response of unknown outcome {other}"))),
    }
}

/// Decodes the array of entries in an AppendEntries. Their payloads are slices of `body`.
struct EntriesVisitor<'a> {
    body: &'a Bytes,
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
        // The count is a claim of the sender, so it reserves only a bounded space.
        let claimed = array.size_hint().unwrap_or(0);
        let mut entries = Vec::with_capacity(claimed.min(PREALLOCATED_ENTRIES_MAX));
        while let Some(fields) = array.next_element()? {
            let (index, term, stamp_ms, kind, bytes): (LogIndex, Term, u64, u8, &[u8]) = fields;
            let payload = Payload::decode(kind, self.body.slice_ref(bytes))
                .map_err(|error| de::Error::custom(format_args!("entry {index}: {error}")))?;
            entries.push(Entry { index, term, stamp_ms, payload });
        }
        Ok(entries)
    }
}

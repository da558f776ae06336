//! Encodes the bodies of frames: positional arrays that begin with their kind.
//!
//! The encoding is written by hand. A derived enum would put the names of its variants on
//! the wire, a derived `Vec<u8>` would be an array of integers, and a new order of a struct's
//! fields would change the protocol. Here a change of the wire is a change of this file.

use bytes::{BufMut, BytesMut};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::frame::Frame;
use super::hello::Hello;
use super::join::{AnswerMap, RemovedMap, RequestMap};
use super::kind;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, Forward, ForwardOutcome,
    Forwarded, InstallSnapshot, InstallSnapshotResponse, Introduction, ReadIndexResponse,
    Remembered, Rpc, SnapshotRefusal, StateCheck,
};
use crate::types::{Entry, LogPosition, Member, NodeId};

/// Appends the body of `frame` to `output`.
pub(super) fn encode_body(frame: &Frame, output: &mut BytesMut) {
    rmp_serde::encode::write(&mut output.writer(), &Body(frame))
        .expect("memory takes every write, and every type here has a MessagePack form");
}

/// A frame whose serialisation is the body of the frame.
struct Body<'a>(&'a Frame);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Frame::Hello(hello) => serialize_hello(hello, s),
            Frame::Refused { reason } => (kind::REFUSED, reason).serialize(s),
            Frame::Removed { at } => (kind::REMOVED, RemovedMap(*at)).serialize(s),
            Frame::Join(request) => {
                (kind::JOIN, kind::HELLO_MAGIC, RequestMap(request)).serialize(s)
            }
            Frame::Joined(answer) => (kind::JOINED, AnswerMap(answer)).serialize(s),
            Frame::Probe => (kind::PROBE,).serialize(s),
            Frame::ProbeAnswer => (kind::PROBE_ANSWER,).serialize(s),
            Frame::Rpc(envelope) => serialize_envelope(envelope, s),
        }
    }
}

/// Elements at the end that are `None` are left out.
fn serialize_hello<S: Serializer>(hello: &Hello, s: S) -> Result<S::Ok, S::Error> {
    let Hello { cluster, from, to, restore_id, promise, introduction } = hello;
    let (kind, magic) = (kind::HELLO, kind::HELLO_MAGIC);
    let restore_id = restore_id.map(u128::to_be_bytes);
    let restore_id = restore_id.as_ref().map(|bytes| serde_bytes::Bytes::new(bytes));
    if let Some(introduction) = introduction {
        let promise_ms = promise.map(|promise| promise.as_millis() as u64);
        let map = IntroductionMap(introduction);
        return (kind, magic, cluster, from, to, restore_id, promise_ms, map).serialize(s);
    }
    match (restore_id, promise) {
        (None, None) => (kind, magic, cluster, from, to).serialize(s),
        (Some(restore_id), None) => (kind, magic, cluster, from, to, restore_id).serialize(s),
        (restore_id, Some(promise)) => {
            let promise_ms = promise.as_millis() as u64;
            (kind, magic, cluster, from, to, restore_id, promise_ms).serialize(s)
        }
    }
}

/// The map at the end of a hello. Facts that are not there are left out.
struct IntroductionMap<'a>(&'a Introduction);

impl Serialize for IntroductionMap<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Introduction {
            formats,
            binary,
            incarnation,
            boot,
            cluster_id,
            is_held,
            member,
            is_draining,
            http,
        } = self.0;
        let optional =
            [cluster_id.is_some(), *is_held, member.is_some(), *is_draining, http.is_some()];
        let entries = 4 + optional.into_iter().filter(|is_there| *is_there).count();
        let mut map = s.serialize_map(Some(entries))?;
        map.serialize_entry(kind::FORMATS_KEY, &(formats.lowest, formats.highest))?;
        map.serialize_entry(kind::BINARY_KEY, binary)?;
        map.serialize_entry(kind::INCARNATION_KEY, incarnation)?;
        map.serialize_entry(kind::BOOT_KEY, boot)?;
        if let Some(cluster_id) = cluster_id {
            map.serialize_entry(kind::CLUSTER_ID_KEY, cluster_id)?;
        }
        if *is_held {
            map.serialize_entry(kind::HELD_KEY, is_held)?;
        }
        if let Some(Member { peer, client }) = member {
            map.serialize_entry(kind::ADDRESSES_KEY, &(peer.to_string(), client.to_string()))?;
        }
        if *is_draining {
            map.serialize_entry(kind::DRAINING_KEY, is_draining)?;
        }
        if let Some(http) = http {
            map.serialize_entry(kind::HTTP_KEY, &http.to_string())?;
        }
        map.end()
    }
}

fn serialize_envelope<S: Serializer>(envelope: &Envelope, s: S) -> Result<S::Ok, S::Error> {
    let Envelope { from, to, term, rpc } = envelope;
    let empty = |kind: u8, s: S| (kind, from, to, term).serialize(s);
    let position = |kind: u8, last: LogPosition, s: S| {
        (kind, from, to, term, last.index, last.term).serialize(s)
    };
    let vote = |kind: u8, granted: bool, s: S| (kind, from, to, term, granted).serialize(s);
    match rpc {
        Rpc::AppendEntries(append) => serialize_append(envelope, append, s),
        Rpc::AppendEntriesResponse(response) => serialize_append_response(envelope, response, s),
        Rpc::RequestVote(request) => position(kind::REQUEST_VOTE, request.last, s),
        Rpc::RequestVoteResponse(response) => {
            vote(kind::REQUEST_VOTE_RESPONSE, response.vote_granted, s)
        }
        Rpc::PreVote(request) => position(kind::PRE_VOTE, request.last, s),
        Rpc::PreVoteResponse(response) => vote(kind::PRE_VOTE_RESPONSE, response.vote_granted, s),
        Rpc::InstallSnapshot(chunk) => serialize_install(envelope, chunk, s),
        Rpc::InstallSnapshotResponse(response) => serialize_install_response(envelope, response, s),
        Rpc::RejoinRequest => empty(kind::REJOIN_REQUEST, s),
        Rpc::RejoinResponse(response) => position(kind::REJOIN_RESPONSE, response.last, s),
        Rpc::Forgotten(word) => position(kind::FORGOTTEN, word.acknowledged, s),
        Rpc::StateCheck(check) => serialize_state_check(envelope, check, s),
        Rpc::StateCheckResponse(response) => {
            let kind = kind::STATE_CHECK_RESPONSE;
            (kind, from, to, term, response.index, response.digest).serialize(s)
        }
        Rpc::StateDiverged(word) => {
            (kind::STATE_DIVERGED, from, to, term, word.index, word.digest).serialize(s)
        }
        Rpc::Remembered(word) => {
            let Remembered { boot, leader_term, acknowledged } = word;
            let LogPosition { index, term: entry_term } = acknowledged;
            (kind::REMEMBERED, from, to, term, boot, leader_term, index, entry_term).serialize(s)
        }
        Rpc::TimeoutNow(order) => position(kind::TIMEOUT_NOW, order.last, s),
        Rpc::TransferVote(request) => position(kind::TRANSFER_VOTE, request.last, s),
        Rpc::TransferRefused => empty(kind::TRANSFER_REFUSED, s),
        Rpc::Admitted(word) => {
            (kind::ADMITTED, from, to, term, word.boot, word.membership).serialize(s)
        }
        Rpc::ReadIndex(request) => {
            (kind::READ_INDEX, from, to, term, request.boot, request.number).serialize(s)
        }
        Rpc::ReadIndexResponse(response) => {
            let ReadIndexResponse { boot, number, index } = response;
            (kind::READ_INDEX_RESPONSE, from, to, term, boot, number, index).serialize(s)
        }
        Rpc::Forward(Forward { boot, number, command }) => {
            let command = serde_bytes::Bytes::new(command);
            (kind::FORWARD, from, to, term, boot, number, command).serialize(s)
        }
        Rpc::Forwarded(word) => serialize_forwarded(envelope, word, s),
    }
}

fn serialize_append<S: Serializer>(
    envelope: &Envelope,
    append: &AppendEntries,
    s: S,
) -> Result<S::Ok, S::Error> {
    (
        kind::APPEND_ENTRIES,
        envelope.from,
        envelope.to,
        envelope.term,
        append.request_seq,
        append.prev.index,
        append.prev.term,
        append.leader_commit,
        append.read_seq,
        Entries(&append.entries),
    )
        .serialize(s)
}

fn serialize_append_response<S: Serializer>(
    envelope: &Envelope,
    response: &AppendEntriesResponse,
    s: S,
) -> Result<S::Ok, S::Error> {
    let Envelope { from, to, term, .. } = envelope;
    let AppendEntriesResponse { request_seq: seq, read_seq, is_rejoining: new, result } = response;
    let kind = kind::APPEND_ENTRIES_RESPONSE;
    match result {
        AppendResult::Success { match_index: index } => {
            let outcome = kind::OUTCOME_SUCCESS;
            (kind, from, to, term, seq, read_seq, new, outcome, index).serialize(s)
        }
        AppendResult::Conflict { conflict_index: index, conflict_term } => {
            let outcome = kind::OUTCOME_CONFLICT;
            (kind, from, to, term, seq, read_seq, new, outcome, index, conflict_term).serialize(s)
        }
    }
}

fn serialize_state_check<S: Serializer>(
    envelope: &Envelope,
    check: &StateCheck,
    s: S,
) -> Result<S::Ok, S::Error> {
    let Envelope { from, to, term, .. } = envelope;
    let StateCheck { index, digest, acknowledged } = check;
    let of = |(peer, last): &(NodeId, LogPosition)| (*peer, last.index, last.term);
    let acknowledged: Vec<_> = acknowledged.iter().map(of).collect();
    (kind::STATE_CHECK, from, to, term, index, digest, acknowledged).serialize(s)
}

fn serialize_forwarded<S: Serializer>(
    envelope: &Envelope,
    word: &Forwarded,
    s: S,
) -> Result<S::Ok, S::Error> {
    let Envelope { from, to, term, .. } = envelope;
    let Forwarded { boot, number, outcome } = word;
    let (outcome, index) = match outcome {
        ForwardOutcome::Appended(index) => (kind::FORWARDED_APPENDED, Some(index)),
        ForwardOutcome::NotLeader => (kind::FORWARDED_NOT_LEADER, None),
        ForwardOutcome::Busy => (kind::FORWARDED_BUSY, None),
        ForwardOutcome::NotYet => (kind::FORWARDED_NOT_YET, None),
    };
    (kind::FORWARDED, from, to, term, boot, number, outcome, index).serialize(s)
}

fn serialize_install<S: Serializer>(
    envelope: &Envelope,
    chunk: &InstallSnapshot,
    s: S,
) -> Result<S::Ok, S::Error> {
    (
        kind::INSTALL_SNAPSHOT,
        envelope.from,
        envelope.to,
        envelope.term,
        chunk.request_seq,
        chunk.snapshot.last.index,
        chunk.snapshot.last.term,
        chunk.snapshot.bytes,
        serde_bytes::Bytes::new(&chunk.snapshot.digest.to_be_bytes()),
        chunk.offset,
        serde_bytes::Bytes::new(&chunk.bytes),
    )
        .serialize(s)
}

fn serialize_install_response<S: Serializer>(
    envelope: &Envelope,
    response: &InstallSnapshotResponse,
    s: S,
) -> Result<S::Ok, S::Error> {
    (
        kind::INSTALL_SNAPSHOT_RESPONSE,
        envelope.from,
        envelope.to,
        envelope.term,
        response.request_seq,
        response.is_rejoining,
        response.last.index,
        response.last.term,
        response.received,
        response.is_installed,
        response.refusal.map(refusal_number),
    )
        .serialize(s)
}

fn refusal_number(refusal: SnapshotRefusal) -> u8 {
    match refusal {
        SnapshotRefusal::NoRoom => kind::REFUSAL_NO_ROOM,
        SnapshotRefusal::Unusable => kind::REFUSAL_UNUSABLE,
    }
}

/// The array of the entries in an AppendEntries.
struct Entries<'a>(&'a [Entry]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(EntryBody))
    }
}

/// One entry, as an array of five elements.
struct EntryBody<'a>(&'a Entry);

impl Serialize for EntryBody<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Entry { index, term, stamp_ms, payload } = self.0;
        let body = payload.body();
        (index, term, stamp_ms, payload.kind(), serde_bytes::Bytes::new(&body)).serialize(s)
    }
}

//! Validates the content of frames, as far as a frame alone can be validated.

use super::error::WireError;
use super::frame::Frame;
use super::hello::{BINARY_BYTES_MAX, Hello};
use super::join::{CLUSTER_BYTES_MAX, JoinAnswer, JoinRequest};
use crate::raft::{
    AppendEntries, AppendResult, Envelope, Forward, ForwardOutcome, Forwarded, InstallSnapshot,
    Introduction, Rpc, StateCheck,
};
use crate::types::{
    Format, FormatInForce, FormatRange, LogIndex, LogPosition, NodeId, SINCE_BYTES_MAX,
    STAMP_MS_MAX, Term,
};

/// Maximum number of peers in the table of a StateCheck, and so of members of a cluster of which
/// a frame can speak. Clusters are far smaller.
pub(super) const STATE_CHECK_PEERS_MAX: usize = 1000;

/// Checks everything that the core and its log rely on and that a frame alone shows. So a
/// frame of a broken peer causes an error here, and never a failed assertion there.
pub(super) fn validate(frame: &Frame) -> Result<(), WireError> {
    match frame {
        Frame::Hello(hello) => validate_hello(hello),
        Frame::Refused { .. } | Frame::Probe | Frame::ProbeAnswer => Ok(()),
        Frame::Removed { at } => validate_index(*at),
        Frame::Join(request) => validate_join(request),
        Frame::Joined(answer) => validate_joined(answer),
        Frame::Rpc(envelope) => validate_envelope(envelope),
    }
}

fn validate_hello(hello: &Hello) -> Result<(), WireError> {
    validate_nodes(hello.from, hello.to)?;
    hello.introduction.as_ref().map_or(Ok(()), validate_introduction)
}

/// The version goes to the logs and to `status`, so it must be a short text of one line.
fn validate_introduction(introduction: &Introduction) -> Result<(), WireError> {
    validate_program(introduction.formats, &introduction.binary)
}

fn validate_program(formats: FormatRange, binary: &str) -> Result<(), WireError> {
    if formats.lowest < Format::FIRST || formats.highest < formats.lowest {
        return Err(WireError::Formats(formats));
    }
    let is_printable = binary.bytes().all(|byte| byte.is_ascii_graphic());
    if binary.is_empty() || binary.len() > BINARY_BYTES_MAX || !is_printable {
        return Err(WireError::Binary { bytes: binary.len() });
    }
    Ok(())
}

fn validate_join(request: &JoinRequest) -> Result<(), WireError> {
    let JoinRequest { id, cluster, formats, binary } = request;
    if *id == NodeId(0) {
        return Err(WireError::NoPeer);
    }
    cluster.as_deref().map_or(Ok(()), validate_cluster)?;
    validate_program(*formats, binary)
}

/// The facts go to a file of lines, and the version into sentences.
fn validate_joined(answer: &JoinAnswer) -> Result<(), WireError> {
    validate_cluster(&answer.cluster)?;
    let FormatInForce { format, since, .. } = &answer.format;
    let is_printable = since.bytes().all(|byte| byte.is_ascii_graphic());
    if *format < Format::FIRST || since.len() > SINCE_BYTES_MAX || !is_printable {
        return Err(WireError::FormatInForce);
    }
    Ok(())
}

fn validate_cluster(cluster: &str) -> Result<(), WireError> {
    if cluster.is_empty() || cluster.len() > CLUSTER_BYTES_MAX || cluster.contains(char::is_control)
    {
        return Err(WireError::Cluster { bytes: cluster.len() });
    }
    Ok(())
}

fn validate_nodes(from: NodeId, to: NodeId) -> Result<(), WireError> {
    if from == NodeId(0) || to == NodeId(0) {
        return Err(WireError::NoNode { from, to });
    }
    Ok(())
}

fn validate_envelope(envelope: &Envelope) -> Result<(), WireError> {
    validate_nodes(envelope.from, envelope.to)?;
    if envelope.term == Term(u64::MAX) {
        return Err(WireError::LastTerm);
    }
    match &envelope.rpc {
        Rpc::AppendEntries(append) => validate_append(append, envelope.term),
        Rpc::RequestVote(request) => validate_position(request.last, envelope.term),
        Rpc::PreVote(request) => validate_position(request.last, envelope.term),
        Rpc::RejoinResponse(response) => validate_position(response.last, envelope.term),
        Rpc::Forgotten(word) => validate_position(word.acknowledged, envelope.term),
        Rpc::InstallSnapshot(chunk) => validate_chunk(chunk, envelope.term),
        Rpc::InstallSnapshotResponse(response) => validate_position(response.last, envelope.term),
        Rpc::AppendEntriesResponse(response) => validate_result(&response.result, envelope.term),
        Rpc::StateCheck(check) => validate_state_check(check, envelope.term),
        Rpc::StateCheckResponse(response) => validate_index(response.index),
        Rpc::StateDiverged(word) => validate_index(word.index),
        Rpc::Remembered(word) => validate_position(word.acknowledged, word.leader_term),
        Rpc::TimeoutNow(order) => validate_position(order.last, envelope.term),
        Rpc::TransferVote(request) => validate_position(request.last, envelope.term),
        Rpc::Admitted(word) => validate_index(word.membership),
        Rpc::ReadIndexResponse(response) => response.index.map_or(Ok(()), validate_entry_index),
        Rpc::Forward(Forward { command, .. }) if command.is_empty() => Err(WireError::NoCommand),
        Rpc::Forwarded(Forwarded { outcome: ForwardOutcome::Appended(index), .. }) => {
            validate_entry_index(*index)
        }
        Rpc::RequestVoteResponse(_)
        | Rpc::PreVoteResponse(_)
        | Rpc::RejoinRequest
        | Rpc::TransferRefused
        | Rpc::ReadIndex(_)
        | Rpc::Forward(_)
        | Rpc::Forwarded(_) => Ok(()),
    }
}

/// Checks a position in the log: the beginning of the log is 0@0, every entry has an index
/// and a term of 1 or more, and no log has a term above the term of its node.
fn validate_position(position: LogPosition, term: Term) -> Result<(), WireError> {
    let is_beginning = position.index == LogIndex(0);
    if is_beginning != (position.term == Term(0)) || position.term > term {
        return Err(WireError::Position { position, term });
    }
    validate_index(position.index)
}

/// Checks that the arithmetic of the core cannot overflow. The indexes in a frame can reach
/// the end of u64, although those of a log never do.
fn validate_index(index: LogIndex) -> Result<(), WireError> {
    if index > LogIndex::MAX {
        return Err(WireError::Index(index));
    }
    Ok(())
}

/// Checks the index of an entry, which is 1 or more.
fn validate_entry_index(index: LogIndex) -> Result<(), WireError> {
    if index == LogIndex(0) {
        return Err(WireError::NoEntry);
    }
    validate_index(index)
}

fn validate_result(result: &AppendResult, term: Term) -> Result<(), WireError> {
    match *result {
        AppendResult::Success { match_index } => validate_index(match_index),
        AppendResult::Conflict { conflict_index: LogIndex(0), .. } => Err(WireError::ConflictIndex),
        AppendResult::Conflict { conflict_index, conflict_term: None } => {
            validate_index(conflict_index)
        }
        AppendResult::Conflict { conflict_index: index, conflict_term: Some(conflict_term) } => {
            validate_position(LogPosition { index, term: conflict_term }, term)
        }
    }
}

fn validate_state_check(check: &StateCheck, term: Term) -> Result<(), WireError> {
    validate_index(check.index)?;
    let peers = check.acknowledged.len();
    if peers > STATE_CHECK_PEERS_MAX {
        return Err(WireError::Peers { peers, peers_max: STATE_CHECK_PEERS_MAX });
    }
    for (peer, position) in &check.acknowledged {
        if *peer == NodeId(0) {
            return Err(WireError::NoPeer);
        }
        validate_position(*position, term)?;
    }
    Ok(())
}

fn validate_chunk(chunk: &InstallSnapshot, term: Term) -> Result<(), WireError> {
    let InstallSnapshot { snapshot, offset, bytes, .. } = chunk;
    validate_position(snapshot.last, term)?;
    let end = offset.checked_add(bytes.len() as u64);
    if end.is_none_or(|end| end > snapshot.bytes) {
        return Err(WireError::Chunk { offset: *offset, snapshot_bytes: snapshot.bytes });
    }
    Ok(())
}

fn validate_append(append: &AppendEntries, term: Term) -> Result<(), WireError> {
    validate_position(append.prev, term)?;
    validate_index(append.leader_commit)?;
    let mut before = append.prev;
    for entry in &append.entries {
        if entry.index != before.index.next() {
            return Err(WireError::EntryIndex {
                expected: before.index.next(),
                found: entry.index,
            });
        }
        // An entry has a term of 1 or more, also the first entry of the log.
        let lowest = before.term.max(Term(1));
        if entry.term < lowest || entry.term > term {
            return Err(WireError::EntryTerm {
                index: entry.index,
                found: entry.term,
                lowest,
                highest: term,
            });
        }
        validate_index(entry.index)?;
        if entry.stamp_ms > STAMP_MS_MAX {
            return Err(WireError::Stamp { index: entry.index, stamp_ms: entry.stamp_ms });
        }
        before = entry.position();
    }
    Ok(())
}

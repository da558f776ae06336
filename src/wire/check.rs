//! What can be wrong with a frame, and the checks that a frame alone allows.

use std::io;

use super::{Frame, Hello};
use crate::raft::{AppendEntries, Envelope, InstallSnapshot, Rpc};
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// Bytes that are not a frame, or a frame that no node sends.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The header tells of another protocol version.
    #[error("the frame is of protocol version {theirs}, and this server speaks version {ours}")]
    Version {
        /// The frame's.
        theirs: u8,
        /// Ours.
        ours: u8,
    },
    /// A length of 0.
    #[error("the frame has no body")]
    Empty,
    /// A length above the limit.
    #[error("the frame has {frame_bytes} bytes, and the limit is {frame_bytes_max}")]
    TooLarge {
        /// Header and body.
        frame_bytes: u64,
        /// The limit.
        frame_bytes_max: usize,
    },
    /// The bytes are not those that were sent.
    #[error("the frame's checksum is {stored:08x}, and its bytes give {computed:08x}")]
    Checksum {
        /// In the header.
        stored: u32,
        /// Of what came.
        computed: u32,
    },
    /// The body is not the MessagePack of any frame.
    #[error("the frame's body does not decode: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// Bytes behind the body's end.
    #[error("the frame's body ends before the frame does")]
    Trailing,
    /// A sender or a recipient of 0.
    #[error("the frame goes from node {from} to node {to}, and 0 is no node")]
    NoNode {
        /// The sender.
        from: NodeId,
        /// The recipient.
        to: NodeId,
    },
    /// A position that no log of a node in that term can have.
    #[error("the frame of term {term} names the log position {position}, which cannot be")]
    Position {
        /// The position.
        position: LogPosition,
        /// The envelope's term.
        term: Term,
    },
    /// The last term that there is: no election could follow it.
    #[error("the frame is of term {}, and no term follows it", Term(u64::MAX))]
    LastTerm,
    /// Entries with a gap, or out of order.
    #[error("the frame has entry {found} where entry {expected} belongs")]
    EntryIndex {
        /// The index that must come next.
        expected: LogIndex,
        /// The index that comes.
        found: LogIndex,
    },
    /// Entries whose terms fall, or rise above their leader's.
    #[error("entry {index} is of term {found}, and must be of one from {lowest} to {highest}")]
    EntryTerm {
        /// Which entry.
        index: LogIndex,
        /// Its term.
        found: Term,
        /// The term of the entry before it.
        lowest: Term,
        /// The leader's term.
        highest: Term,
    },
    /// A piece of a snapshot that does not lie within it.
    #[error("a piece at byte {offset} does not lie within a snapshot of {snapshot_bytes} bytes")]
    Piece {
        /// Where it begins.
        offset: u64,
        /// The snapshot's size.
        snapshot_bytes: u64,
    },
    /// The stream below the codec broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Checks all that the core and its log rely on and that a frame alone tells, so
/// that a broken peer runs into an error here and not into an assertion there.
pub(super) fn check(frame: &Frame) -> Result<(), WireError> {
    match frame {
        Frame::Hello(Hello { from, to, .. }) => check_nodes(*from, *to),
        Frame::Refused { .. } => Ok(()),
        Frame::Rpc(envelope) => check_envelope(envelope),
    }
}

fn check_nodes(from: NodeId, to: NodeId) -> Result<(), WireError> {
    if from == NodeId(0) || to == NodeId(0) {
        return Err(WireError::NoNode { from, to });
    }
    Ok(())
}

fn check_envelope(envelope: &Envelope) -> Result<(), WireError> {
    check_nodes(envelope.from, envelope.to)?;
    if envelope.term == Term(u64::MAX) {
        return Err(WireError::LastTerm);
    }
    match &envelope.rpc {
        Rpc::AppendEntries(append) => check_append(append, envelope.term),
        Rpc::RequestVote(request) => check_position(request.last, envelope.term),
        Rpc::PreVote(request) => check_position(request.last, envelope.term),
        Rpc::RejoinResponse(response) => check_position(response.last, envelope.term),
        Rpc::InstallSnapshot(piece) => check_piece(piece, envelope.term),
        Rpc::InstallSnapshotResponse(response) => check_position(response.last, envelope.term),
        Rpc::AppendEntriesResponse(_)
        | Rpc::RequestVoteResponse(_)
        | Rpc::PreVoteResponse(_)
        | Rpc::RejoinRequest => Ok(()),
    }
}

/// The beginning of the log is 0@0, every entry has an index and a term, and
/// no log knows a term above its node's.
fn check_position(position: LogPosition, term: Term) -> Result<(), WireError> {
    let is_beginning = position.index == LogIndex(0);
    if is_beginning != (position.term == Term(0)) || position.term > term {
        return Err(WireError::Position { position, term });
    }
    Ok(())
}

fn check_piece(piece: &InstallSnapshot, term: Term) -> Result<(), WireError> {
    let InstallSnapshot { snapshot, offset, bytes, .. } = piece;
    check_position(snapshot.last, term)?;
    let end = offset.checked_add(bytes.len() as u64);
    if end.is_none_or(|end| end > snapshot.bytes) {
        return Err(WireError::Piece { offset: *offset, snapshot_bytes: snapshot.bytes });
    }
    Ok(())
}

fn check_append(append: &AppendEntries, term: Term) -> Result<(), WireError> {
    check_position(append.prev, term)?;
    // No log gets anywhere near the end of u64; a frame can, and must not overflow.
    if append.prev.index.0.checked_add(append.entries.len() as u64).is_none() {
        return Err(WireError::Position { position: append.prev, term });
    }
    let mut before = append.prev;
    for entry in &append.entries {
        if entry.index != before.index.next() {
            return Err(WireError::EntryIndex {
                expected: before.index.next(),
                found: entry.index,
            });
        }
        // An entry has a term of 1 or more, even right behind the beginning.
        let lowest = before.term.max(Term(1));
        if entry.term < lowest || entry.term > term {
            return Err(WireError::EntryTerm {
                index: entry.index,
                found: entry.term,
                lowest,
                highest: term,
            });
        }
        before = entry.position();
    }
    Ok(())
}

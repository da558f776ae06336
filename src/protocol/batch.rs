//! The commands of one connection that were parsed in one go and leave together.

use bytes::{Bytes, BytesMut};

use super::request::SnapshotQuery;
use crate::kv::{self, Query};
use crate::types::{LogIndex, MemberRequest, TransferTarget};

/// One command of a client that a session does not answer by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientRequest {
    /// Propose a `kv::Command`, which is encoded already.
    Write(Bytes),
    /// Answer a linearizable read.
    Read(kv::Query),
    /// The same as `Write`; a server that does not lead forwards it to the leader.
    WriteAnywhere(Bytes),
    /// The same as `Read`, on a server that leads or does not.
    ReadAnywhere(kv::Query),
    /// Answer a read at once, from what this node has applied.
    ReadApplied(kv::Query),
    /// Let a lease begin its time anew.
    Renew {
        /// The lease.
        id: u64,
        /// True when a server that does not lead forwards it to the leader.
        is_anywhere: bool,
    },
    /// Have a snapshot taken that holds every write acknowledged before.
    BeginSnapshot,
    /// Answer a question about the snapshots of this node.
    Snapshot(SnapshotQuery),
    /// Keep the format of the cluster where it is, or no longer.
    SetHold {
        /// True to keep it.
        is_held: bool,
    },
    /// Put the next format in force.
    Raise,
    /// Answer with the digest of this node's store after an entry.
    Digest {
        /// The entry.
        index: LogIndex,
    },
    /// Change the members.
    Member(MemberRequest),
    /// Report the members as this node knows them.
    Members,
    /// Answer when a change of the members has ended.
    WaitForChange {
        /// The number of the change.
        number: LogIndex,
    },
    /// Hand the leadership over.
    Transfer(TransferTarget),
    /// Drain this node (true), or no longer.
    SetDraining(bool),
    /// Report this node's state at one point in time.
    Status,
}

impl ClientRequest {
    /// True when another node than the leader takes the command, too. Its client is not redirected.
    pub fn is_anywhere(&self) -> bool {
        matches!(
            self,
            ClientRequest::WriteAnywhere(_)
                | ClientRequest::ReadAnywhere(_)
                | ClientRequest::ReadApplied(_)
                | ClientRequest::Renew { is_anywhere: true, .. }
        )
    }

    /// The name of the command, as docs/protocol.md has it. The commands of operators share one.
    pub fn name(&self) -> &'static str {
        match self {
            ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) => {
                command.first().map_or("other", |operation| kv::operation_name(*operation))
            }
            ClientRequest::Read(query)
            | ClientRequest::ReadAnywhere(query)
            | ClientRequest::ReadApplied(query) => match query {
                Query::Get { .. } => "get",
                Query::GetMeta { .. } => "getm",
                Query::Scan { .. } => "scan",
                Query::Range(_) => "range",
                Query::Transaction(_) => "commit",
                _ => "lease",
            },
            ClientRequest::Renew { .. } => "renew",
            _ => "other",
        }
    }
}

/// Commands that leave together, each with the slot that its reply goes to.
#[derive(Debug, Default)]
pub struct Batch {
    requests: Vec<(u64, ClientRequest)>,
    /// The bytes of the writes among the requests.
    bytes: usize,
    /// Room for further writes of this batch; without capacity when the batch is empty.
    room: BytesMut,
}

/// Maximum room for the writes after the first of a batch, in bytes.
const ROOM_BYTES_MAX: usize = 16 * 1024;
/// Maximum unused room, in bytes, that a batch may keep as long as one of its commands is
/// under way.
pub(super) const UNUSED_BYTES_MAX: usize = 1024;

impl Batch {
    pub(super) fn push(&mut self, slot: u64, request: ClientRequest) {
        if let ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) = &request {
            self.bytes += command.len();
        }
        self.requests.push((slot, request));
    }

    /// Encodes a write. The writes of a batch share an allocation: those in the remaining
    /// `input_bytes` of the input will need about as many bytes as they have there.
    pub(super) fn encode(&mut self, command: &kv::Command, input_bytes: usize) -> Bytes {
        if self.room.capacity() == 0 {
            let more_bytes = input_bytes.min(ROOM_BYTES_MAX);
            self.room.reserve(command.encoded_bytes_max() + more_bytes);
        }
        command.encode_to(&mut self.room);
        self.room.split().freeze()
    }

    /// The bytes of the writes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all commands, and the bytes of the writes among them. `None` when there is no
    /// command.
    pub(super) fn take(&mut self) -> Option<(Vec<(u64, ClientRequest)>, usize)> {
        if self.requests.is_empty() {
            return None;
        }
        let Batch { mut requests, bytes, room } = std::mem::take(self);
        if room.capacity() > bytes.max(UNUSED_BYTES_MAX) {
            give_each_its_own(&mut requests);
        }
        Some((requests, bytes))
    }
}

/// Copies every write into an allocation of its own. The shared one is mostly unused, and
/// would stay as long as one of its commands does, while no budget counts it.
fn give_each_its_own(requests: &mut [(u64, ClientRequest)]) {
    for (_, request) in requests {
        if let ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) = request {
            *command = Bytes::copy_from_slice(command);
        }
    }
}

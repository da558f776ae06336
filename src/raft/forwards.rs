//! The commands that nodes which do not lead forward to their leader (docs/adr/0031).

use bytes::Bytes;

use super::rpc::ForwardOutcome;
use crate::types::{BootId, NodeId, Term};

/// The commands on their way between this node and others.
#[derive(Default)]
pub(super) struct Forwards {
    /// The number of the last command that this run has forwarded.
    last_number: u64,
    /// The commands that peers have forwarded, until the shell takes them.
    arrived: Vec<ForwardedCommand>,
}

/// A command that a peer has forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedCommand {
    /// The place that the outcome goes to.
    pub origin: ForwardOrigin,
    /// The command.
    pub command: Bytes,
}

/// The place that the outcome of a forwarded command goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardOrigin {
    /// The peer.
    pub peer: NodeId,
    /// The run of its process.
    pub boot: BootId,
    /// The number of the command in that run.
    pub number: u64,
}

/// The outcome of a command that this node has forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardAnswer {
    /// The node that says so.
    pub from: NodeId,
    /// The number of the command.
    pub number: u64,
    /// The term of the entry, if there is one.
    pub term: Term,
    /// The outcome.
    pub outcome: ForwardOutcome,
}

impl Forwards {
    /// The number of the next command that this run forwards.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A peer has forwarded a command.
    pub(super) fn add(&mut self, command: ForwardedCommand) {
        self.arrived.push(command);
    }

    /// Takes the commands that peers have forwarded.
    pub(super) fn take_arrived(&mut self) -> Vec<ForwardedCommand> {
        std::mem::take(&mut self.arrived)
    }
}

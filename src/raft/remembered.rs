//! The memory of what each peer has acknowledged, and the words to a peer that has started
//! again: its disk may have lost that (docs/adr/0024).

use std::collections::BTreeMap;

use super::rpc::Remembered;
use super::start::Start;
use crate::types::{BootId, LogPosition, NodeId, Term};

/// The run of a peer that had not introduced itself when this node heard of its
/// acknowledgement.
const UNKNOWN_BOOT: BootId = BootId(0);

/// The acknowledgements of earlier runs.
pub(super) struct Recall {
    /// The acknowledgements of the peers.
    pub(super) peers: Memories,
    /// This node's own, as far as its disk has kept them.
    pub(super) start: Start,
}

/// The memory of all peers.
#[derive(Default)]
pub(super) struct Memories {
    peers: BTreeMap<NodeId, Memory>,
}

/// The memory of one peer.
struct Memory {
    /// The run of its process that was connected last.
    boot: BootId,
    /// The last entry that it has acknowledged, and the term of the leader to which it did.
    /// It never falls: what an earlier run acknowledged binds every later one.
    acknowledged: (Term, LogPosition),
    /// The word to the run that was connected last about those before it.
    word: Option<Remembered>,
}

impl Memory {
    fn new() -> Memory {
        let acknowledged = (Term(0), LogPosition::default());
        Memory { boot: UNKNOWN_BOOT, acknowledged, word: None }
    }
}

impl Memories {
    fn of(&mut self, peer: NodeId) -> &mut Memory {
        self.peers.entry(peer).or_insert_with(Memory::new)
    }

    /// The peer has acknowledged this entry to the leader of `leader_term`.
    pub(super) fn learn(&mut self, peer: NodeId, leader_term: Term, acknowledged: LogPosition) {
        let memory = self.of(peer);
        memory.acknowledged = memory.acknowledged.max((leader_term, acknowledged));
    }

    /// The last entry that each peer has acknowledged to the leader of `leader_term`, as far as
    /// this node knows.
    pub(super) fn acknowledged_to(&self, leader_term: Term) -> Vec<(NodeId, LogPosition)> {
        let peers = self.peers.iter().map(|(peer, memory)| (*peer, memory.acknowledged));
        let in_term = peers.filter(|(_, (term, _))| *term == leader_term);
        in_term.map(|(peer, (_, acknowledged))| (peer, acknowledged)).collect()
    }

    /// Forgets the peers that were removed: their ids are never used again.
    pub(super) fn forget_removed(&mut self, is_removed: impl Fn(NodeId) -> bool) {
        self.peers.retain(|peer, _| !is_removed(*peer));
    }

    /// The run `boot` of the peer has connected. Returns the word to it about what earlier runs
    /// have acknowledged, if this node knows of any. The run hears it again when it connects
    /// again, because a connection may end with the word on it.
    pub(super) fn on_attached(&mut self, peer: NodeId, boot: BootId) -> Option<Remembered> {
        let memory = self.of(peer);
        if memory.boot != boot {
            let before = std::mem::replace(&mut memory.boot, boot);
            let (leader_term, acknowledged) = memory.acknowledged;
            let is_known = leader_term > Term(0);
            let word = Remembered { boot: before, leader_term, acknowledged };
            memory.word = is_known.then_some(word);
        }
        memory.word
    }
}

#[cfg(test)]
mod tests;

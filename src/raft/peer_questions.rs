//! The questions of peers that do not lead, and the commands that they pass on, as their leader
//! keeps them (docs/adr/0031).
//!
//! A question is confirmed like a read of the leader's own (`read_index`), but its answer does not
//! wait for the store: the peer waits for its own. A peer has one question here at most. It asks
//! the next one when it has the answer, or has given the question up.

use std::collections::BTreeMap;

use crate::types::{BootId, LogIndex, NodeId};

/// A question of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerQuestion {
    /// The run of the peer's process.
    pub(super) boot: BootId,
    /// The number of the question in that run.
    pub(super) number: u64,
    /// The newest entry that a read of the peer must see.
    pub(super) index: LogIndex,
    /// The end of the log when the question came.
    pub(super) place: LogIndex,
    /// The round that confirms it.
    pub(super) seq: u64,
}

/// The questions and the forwarded commands of one leadership.
#[derive(Default)]
pub(super) struct PeerQuestions {
    questions: BTreeMap<NodeId, PeerQuestion>,
    /// The last command that each peer has forwarded.
    forwarded: BTreeMap<NodeId, (BootId, u64)>,
}

impl PeerQuestions {
    /// True when this question of the peer, or a later one, is here: the peer has sent it again,
    /// or it is late.
    pub(super) fn has(&self, peer: NodeId, boot: BootId, number: u64) -> bool {
        let question = self.questions.get(&peer);
        question.is_some_and(|known| known.boot == boot && known.number >= number)
    }

    /// Adds a question. It takes the place of one that the peer has given up.
    pub(super) fn add(&mut self, peer: NodeId, question: PeerQuestion) {
        self.questions.insert(peer, question);
    }

    /// Removes the questions that are confirmed: a quorum has answered the rounds up to
    /// `confirmed_seq`, and the entry at `commit_index`, of the leader's own term, is committed.
    pub(super) fn take_confirmed(
        &mut self,
        confirmed_seq: u64,
        commit_index: LogIndex,
    ) -> Vec<(NodeId, PeerQuestion)> {
        let is_confirmed = |question: &PeerQuestion| {
            question.seq <= confirmed_seq || question.place < commit_index
        };
        let confirmed = self.questions.iter().filter(|(_, question)| is_confirmed(question));
        let confirmed = confirmed.map(|(peer, question)| (*peer, *question)).collect();
        self.questions.retain(|_, question| !is_confirmed(question));
        confirmed
    }

    /// True when the peer has not forwarded this command before. Numbers rise, so one that does
    /// not was sent twice, and must not be executed twice.
    pub(super) fn is_new_command(&mut self, peer: NodeId, boot: BootId, number: u64) -> bool {
        let last = self.forwarded.get(&peer);
        let is_new = last.is_none_or(|(known, last)| *known != boot || *last < number);
        if is_new {
            self.forwarded.insert(peer, (boot, number));
        }
        is_new
    }
}

#[cfg(test)]
mod tests;

//! The reads of a node that does not lead (docs/adr/0031).
//!
//! The node asks the leader for an index: the newest entry that a read must see which comes now.
//! One question is under way at a time. All reads that came before it was first sent share its
//! answer; a read that came later waits for the next question (docs/bugs.md B38). With its answer
//! a read waits until the store was given everything up to the index.
//!
//! A question is bound to the leader, the term and the run of the process in which it was asked,
//! and to its number. An answer to any other counts for nothing (docs/bugs.md B44). When an answer
//! may be lost the same question is sent again: that is safe, because the index of a later answer
//! is no lower. When there is another leader, its reads go to the next question.

use std::collections::BTreeSet;

use super::effect::ReadToken;
use super::read_index::ConfirmedReads;
use crate::types::{LogIndex, NodeId, Term};

/// The reads of a node that does not lead, and its question.
#[derive(Default)]
pub(super) struct Inquiry {
    /// The number of the last question of this run.
    last_number: u64,
    question: Option<Question>,
    /// The reads for the next question.
    waiting: BTreeSet<ReadToken>,
    /// The reads whose index is known.
    confirmed: ConfirmedReads,
    /// Ticks for which no leader was heard, beyond an election timeout.
    pub(super) leaderless_ticks: u32,
    /// True when reads have failed since the effects were taken.
    pub(super) has_failed_reads: bool,
}

/// The question under way.
struct Question {
    number: u64,
    leader: NodeId,
    term: Term,
    /// The reads that came before it was first sent.
    reads: BTreeSet<ReadToken>,
    /// Ticks since it was sent.
    silent_ticks: u32,
    /// True when it is to be sent again.
    is_due: bool,
}

impl Inquiry {
    /// Adds a read.
    pub(super) fn add(&mut self, token: ReadToken) {
        self.waiting.insert(token);
    }

    /// Removes a read that nobody waits for any more.
    pub(super) fn cancel(&mut self, token: ReadToken) {
        self.waiting.remove(&token);
        self.confirmed.cancel(token);
        if let Some(question) = &mut self.question {
            question.reads.remove(&token);
            if question.reads.is_empty() {
                self.question = None;
            }
        }
    }

    /// The number of reads.
    pub(super) fn len(&self) -> usize {
        let asked = self.question.as_ref().map_or(0, |question| question.reads.len());
        self.waiting.len() + asked + self.confirmed.len()
    }

    /// True when a read waits for its index.
    pub(super) fn is_asking(&self) -> bool {
        self.question.is_some() || !self.waiting.is_empty()
    }

    /// The number of the question that is to be sent now to the leader of the term, if one is.
    pub(super) fn ask(&mut self, leader: NodeId, term: Term) -> Option<u64> {
        let is_other = |question: &mut Question| (question.leader, question.term) != (leader, term);
        if let Some(question) = self.question.take_if(is_other) {
            self.waiting.extend(question.reads);
        }
        if let Some(question) = &mut self.question {
            let is_due = std::mem::take(&mut question.is_due);
            return is_due.then_some(question.number);
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.last_number += 1;
        let number = self.last_number;
        let reads = std::mem::take(&mut self.waiting);
        let question = Question { number, leader, term, reads, silent_ticks: 0, is_due: false };
        self.question = Some(question);
        Some(number)
    }

    /// Time passes: a question without an answer for `ticks` is sent again.
    pub(super) fn tick(&mut self, ticks: u32) {
        if let Some(question) = &mut self.question {
            question.silent_ticks += 1;
            if question.silent_ticks >= ticks {
                (question.silent_ticks, question.is_due) = (0, true);
            }
        }
    }

    /// A connection to this peer has just come up. What was sent on the one before may be lost.
    pub(super) fn on_reached(&mut self, peer: NodeId) {
        if let Some(question) = self.question.as_mut().filter(|question| question.leader == peer) {
            (question.silent_ticks, question.is_due) = (0, true);
        }
    }

    /// The leader of the term answers a question.
    pub(super) fn on_answer(&mut self, leader: NodeId, term: Term, number: u64, index: LogIndex) {
        let is_meant = |question: &mut Question| {
            (question.leader, question.term, question.number) == (leader, term, number)
        };
        let Some(question) = self.question.take_if(is_meant) else { return };
        // An earlier read may wait for an entry that this leader does not have. No later read of
        // its session is answered before it.
        let index = self.confirmed.last_index().map_or(index, |last| last.max(index));
        for token in question.reads {
            self.confirmed.add(token, index);
        }
    }

    /// The next read that may be answered when the store was given everything up to
    /// `submitted_index`, with its index.
    pub(super) fn pop_ready(&mut self, submitted_index: LogIndex) -> Option<(ReadToken, LogIndex)> {
        self.confirmed.pop(submitted_index)
    }

    /// Removes the reads that have no index, by arrival: no leader is there to ask.
    pub(super) fn give_up(&mut self) -> Vec<ReadToken> {
        let mut reads = std::mem::take(&mut self.waiting);
        reads.extend(self.question.take().into_iter().flat_map(|question| question.reads));
        reads.into_iter().collect()
    }

    /// Removes all reads, by arrival.
    pub(super) fn take_all(&mut self) -> Vec<ReadToken> {
        let mut reads = self.give_up();
        reads.extend(std::mem::take(&mut self.confirmed).into_tokens());
        reads.sort_unstable();
        reads
    }
}

#[cfg(test)]
mod tests;

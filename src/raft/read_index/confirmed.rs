//! The reads that are confirmed, and wait until the store has the entries that they must
//! see.
//!
//! They are ordered by that entry, and not by their arrival: a read that must see an entry
//! which no quorum has yet holds up no read that needs less.

use std::collections::{BTreeMap, BTreeSet};

use crate::raft::effect::ReadToken;
use crate::types::LogIndex;

/// The confirmed reads of one leadership, or of a node that asks its leader.
#[derive(Default)]
pub(in crate::raft) struct ConfirmedReads {
    /// By the entry that the read must see, and then by arrival, because tokens rise.
    by_index: BTreeSet<(LogIndex, ReadToken)>,
    /// The same reads by their token. Invariant: as many as in `by_index`.
    by_token: BTreeMap<ReadToken, LogIndex>,
}

impl ConfirmedReads {
    /// Adds a read that must see everything up to `read_index`.
    pub(in crate::raft) fn add(&mut self, token: ReadToken, read_index: LogIndex) {
        self.by_index.insert((read_index, token));
        self.by_token.insert(token, read_index);
    }

    /// Removes the next read that needs nothing after `submitted_index`.
    pub(in crate::raft) fn pop(
        &mut self,
        submitted_index: LogIndex,
    ) -> Option<(ReadToken, LogIndex)> {
        let (read_index, token) = *self.by_index.first()?;
        if read_index > submitted_index {
            return None;
        }
        self.by_index.pop_first();
        self.by_token.remove(&token);
        Some((token, read_index))
    }

    /// Removes a read; false when it does not wait here.
    pub(in crate::raft) fn cancel(&mut self, token: ReadToken) -> bool {
        let read_index = self.by_token.remove(&token);
        read_index.is_some_and(|read_index| self.by_index.remove(&(read_index, token)))
    }

    /// The lowest entry that a read waits for.
    pub(in crate::raft) fn first_index(&self) -> Option<LogIndex> {
        self.by_index.first().map(|(read_index, _)| *read_index)
    }

    /// The highest entry that a read waits for.
    pub(in crate::raft) fn last_index(&self) -> Option<LogIndex> {
        self.by_index.last().map(|(read_index, _)| *read_index)
    }

    /// The number of reads.
    pub(in crate::raft) fn len(&self) -> usize {
        self.by_index.len()
    }

    /// The reads, by arrival.
    pub(in crate::raft) fn into_tokens(self) -> impl Iterator<Item = ReadToken> {
        self.by_token.into_keys()
    }
}

#[cfg(test)]
mod tests;

//! The rules of AppendEntries at its receiver (Figure 2, §5.3).

use super::event::Event;
use super::rpc::{AppendEntries, AppendEntriesResponse, AppendResult, Rpc};
use super::state::Raft;
use crate::types::{Entry, LogIndex, LogPosition, NodeId};

impl Raft {
    /// A request of the leader of our term: `Raft::step` has checked that.
    ///
    /// # Panics
    /// When a committed entry would have to be dropped (Leader Completeness): going on
    /// would spread the damage.
    pub(super) fn on_append_entries(&mut self, from: NodeId, request: AppendEntries) {
        // The last line of defence (docs/adr/0023): entries after this one may be of a kind that
        // this node would take for something else. So nothing of the request is stored.
        if let Some(needed) = self.first_unreadable(&request.entries) {
            self.stop_at(needed);
            return;
        }
        self.follow(from);
        let AppendEntries { request_seq, prev, leader_commit, read_seq, entries } = request;
        let is_rejoining = self.hard_state().is_rejoining;
        let respond = |result| {
            let response = AppendEntriesResponse { request_seq, read_seq, is_rejoining, result };
            Rpc::AppendEntriesResponse(response)
        };
        // The request vouches for the log up to here, and no further: after it there may
        // be entries of ours that this leader does not have (docs/bugs.md B23).
        let verified_index = LogIndex(prev.index.0 + entries.len() as u64);
        let (prev, entries) = self.skip_compacted(prev, entries);
        if !self.log.contains(prev) {
            self.send(from, respond(self.conflict_at(prev.index)));
            return;
        }
        let has_appended = self.append_missing(entries);
        self.recall.start.on_acknowledged(self.term(), verified_index);
        let durable_index = self.persistence.persisted_index();
        let success = |match_index| respond(AppendResult::Success { match_index });
        if verified_index <= durable_index {
            self.send(from, success(verified_index));
        } else {
            // The leader is to hear us even if our disk does not answer.
            if !has_appended && self.persistence.is_hard_state_durable() {
                self.send(from, success(durable_index));
            }
            // Entries of an earlier request may be on their way to the disk: then the leader
            // of a new term learns of them as soon as they are durable.
            self.send_when_persisted(from, success(verified_index));
        }
        let committed = leader_commit.min(verified_index);
        self.commit_index = self.commit_index.max(committed);
        self.submit();
    }

    /// Drops the part of a request that is before our log. That part is committed, and so
    /// the same as in our snapshot (State Machine Safety): only the rest is to
    /// be compared (docs/bugs.md B24). A leader of another history shows itself where that is
    /// known.
    fn skip_compacted(
        &self,
        prev: LogPosition,
        mut entries: Vec<Entry>,
    ) -> (LogPosition, Vec<Entry>) {
        let base = self.log.base();
        if prev.index >= base.index {
            return (prev, entries);
        }
        let skipped = entries.len().min((base.index.0 - prev.index.0) as usize);
        let rest = entries.split_off(skipped);
        self.check_before_log(entries.last().map_or(prev, Entry::position));
        (base, rest)
    }

    /// Checks an entry of the leader's history, at or before our base. The terms of the entries
    /// before the base are not known any more, but they are not above that of the base.
    ///
    /// # Panics
    /// When the entry cannot be the one that is committed here (State Machine Safety).
    pub(super) fn check_before_log(&self, position: LogPosition) {
        let base = self.log.base();
        let is_possible =
            position == base || position.index < base.index && position.term <= base.term;
        assert!(
            is_possible,
            "the leader lacks an entry that is committed here: it has {position}, and {base} is \
             the last entry before this log"
        );
    }

    /// Appends the entries that the log lacks; true when there were any.
    ///
    /// "If an existing entry conflicts with a new one (same index but different
    /// terms), delete the existing entry and all that follow it. Append any new
    /// entries not already in the log." An old request that holds nothing new
    /// changes nothing (docs/bugs.md B24).
    fn append_missing(&mut self, entries: Vec<Entry>) -> bool {
        let is_known = |entry: &&Entry| self.log.contains(entry.position());
        let known = entries.iter().take_while(is_known).count();
        let Some(first) = entries.get(known).map(|entry| entry.index) else { return false };
        let last = self.log.last().index;
        if first <= last {
            assert!(
                first > self.commit_index,
                "the leader's entry {first} conflicts with a committed one (commit_index {})",
                self.commit_index
            );
            self.log.truncate_from(first);
            self.persistence.truncate_from(first);
            self.tell(Event::TruncatedLog { from: first, to: last });
        }
        for entry in entries.into_iter().skip(known) {
            self.log.append(entry);
        }
        true
    }

    /// The answer to a request whose `prev` is not in our log. It lets the leader find the
    /// place where the logs part in one round trip a term instead of one an entry (§5.3, at
    /// its end).
    fn conflict_at(&self, prev_index: LogIndex) -> AppendResult {
        match self.log.term_at(prev_index) {
            None => AppendResult::Conflict {
                conflict_index: self.log.last().index.next(),
                conflict_term: None,
            },
            Some(term) => AppendResult::Conflict {
                conflict_index: self
                    .log
                    .runs()
                    .first_index_of_run(prev_index)
                    .unwrap_or(prev_index),
                conflict_term: Some(term),
            },
        }
    }
}

//! The bounds of the store's history. They are in the settings of each server and in the replicated
//! state: a leader whose settings differ from what is in force writes an entry (docs/adr/0029).

use super::RaftActor;
use crate::actors::messages::kv::Applied;
use crate::kv::{Command, HistoryLimits, Operation};
use crate::raft::Role;
use crate::types::{LogIndex, LogPosition, Payload, Term};

/// The bounds that are in force, and the last entry of this node that sets them.
#[derive(Debug, Default)]
pub(super) struct HistoryBounds {
    /// The bounds in force, as KvActor reported them last.
    in_force: Option<HistoryLimits>,
    written: Option<LogPosition>,
}

impl HistoryBounds {
    /// The store has reported its state.
    pub(super) fn on_applied(&mut self, applied: &Applied) {
        self.in_force = Some(applied.history);
    }

    /// True when a leader of `term` has to write the bounds `wanted`. One such entry is under way
    /// at most.
    pub(super) fn needs_entry(
        &self,
        wanted: HistoryLimits,
        term: Term,
        last_applied: LogIndex,
    ) -> bool {
        // An entry of another term may have been truncated.
        let written = self.written.filter(|position| position.term == term);
        let is_under_way = written.is_some_and(|position| position.index > last_applied);
        !is_under_way && self.in_force.is_some_and(|in_force| in_force != wanted)
    }

    /// This node has written such an entry.
    pub(super) fn on_written(&mut self, position: LogPosition) {
        self.written = Some(position);
    }
}

impl RaftActor {
    /// Proposes the bounds in this server's settings, if it leads and others are in force. Its
    /// store must have an entry of its term: until then it may lack one that has set them.
    pub(super) fn maybe_set_history(&mut self) {
        let (term, last_applied) = (self.raft.term(), self.raft.last_applied());
        let wanted = self.settings.history;
        if self.raft.role() != Role::Leader
            || self.raft.term_at(last_applied) != Some(term)
            || !self.upkeep.history.needs_entry(wanted, term, last_applied)
        {
            return;
        }
        let operation = Operation::SetHistory(wanted);
        let command = Command { once: None, store_bytes_max: 0, operation }.encode();
        if self.not_yet(&command).is_none() && self.raft.propose(Payload::Command(command)).is_ok()
        {
            self.upkeep.history.on_written(self.raft.last_log());
        }
    }
}

#[cfg(test)]
mod tests;

//! The bounds of the store's history. They are in the settings of each server and in the replicated
//! state: a leader whose settings differ from what is in force writes an entry (docs/adr/0029).

use crate::actors::messages::kv::Applied;
use crate::kv::HistoryLimits;
use crate::types::{LogIndex, LogPosition, Term};

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

#[cfg(test)]
mod tests;

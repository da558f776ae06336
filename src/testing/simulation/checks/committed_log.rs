//! The committed log from its first entry on. No disk holds all of it any more, so it is put
//! together from all segments that have ever existed.
//!
//! Index and term identify an entry, and each record has the term of the entry before it. So the
//! last entry leads back to the first one (Log Matching, §5.3).

use std::collections::BTreeMap;

use super::wire::{Written, entries_of_segment};
use crate::testing::simulation::world::{Machine, World};
use crate::types::{Entry, LogIndex, LogPosition};

/// All entries of all segments.
#[derive(Default)]
pub(crate) struct CommittedLog {
    /// Every entry that any disk has ever held, with the term of the entry before it.
    entries: BTreeMap<LogPosition, Written>,
    /// Two different entries at one position, if there are any.
    conflict: Option<String>,
}

impl CommittedLog {
    pub(crate) fn of(world: &World) -> CommittedLog {
        let mut log = CommittedLog::default();
        for machine in world.machines.values() {
            log.add_all(machine);
        }
        log
    }

    fn add_all(&mut self, machine: &Machine) {
        let mut terms = BTreeMap::new();
        for segment in machine.disk.written_files() {
            for written in entries_of_segment(&segment, &mut terms) {
                self.add(machine.id, written);
            }
        }
    }

    /// A term that is not sure counts only until a sure one is known: when a segment is read that a
    /// repair has removed, the segments before it no longer have all that it was built on.
    fn add(&mut self, id: u64, new: Written) {
        let position = new.entry.position();
        let Some(known) = self.entries.get(&position) else {
            self.entries.insert(position, new);
            return;
        };
        let are_sure = known.is_sure && new.is_sure;
        let is_same = known.entry == new.entry && (known.prev_term == new.prev_term || !are_sure);
        if !is_same && self.conflict.is_none() {
            self.conflict = Some(format!("n{id} has held {new:?}, and not {known:?}"));
        }
        if new.is_sure {
            self.entries.insert(position, new);
        }
    }

    /// The log that ends at `last`, from its first entry on.
    ///
    /// # Errors
    /// When there were two entries at one position, or an entry is missing.
    pub(crate) fn log_to(&self, last: LogPosition) -> Result<Vec<Entry>, String> {
        if let Some(conflict) = &self.conflict {
            return Err(conflict.clone());
        }
        let (mut log, mut at) = (Vec::new(), last);
        while at.index > LogIndex(0) {
            let known = self.entries.get(&at);
            let Written { entry, prev_term, .. } =
                known.ok_or_else(|| format!("no disk has ever held entry {at}, behind {last}"))?;
            log.push(entry.clone());
            at = LogPosition { term: *prev_term, index: at.index.prev() };
        }
        log.reverse();
        Ok(log)
    }
}

//! The committed log from its first entry on. No disk holds all of it any more, so it is put
//! together from all segments that have ever existed.
//!
//! Index and term identify an entry, and each record has the term of the entry before it. So the
//! last entry leads back to the first one (Log Matching, §5.3).

use std::collections::BTreeMap;

use super::wire::entries_of_segment;
use crate::testing::simulation::world::{Machine, World};
use crate::types::{Entry, LogIndex, LogPosition, Term};

/// All entries of all segments.
#[derive(Default)]
pub(crate) struct CommittedLog {
    /// Every entry that any disk has ever held, with the term of the entry before it.
    entries: BTreeMap<LogPosition, (Entry, Term)>,
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
            for (entry, prev_term) in entries_of_segment(&segment, &mut terms) {
                self.add(machine.id, entry, prev_term);
            }
        }
    }

    fn add(&mut self, id: u64, entry: Entry, prev_term: Term) {
        let new = (entry, prev_term);
        let known = self.entries.entry(new.0.position()).or_insert_with(|| new.clone());
        if *known != new && self.conflict.is_none() {
            self.conflict = Some(format!("n{id} has held {new:?}, and not {known:?}"));
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
            let (entry, prev_term) =
                known.ok_or_else(|| format!("no disk has ever held entry {at}, behind {last}"))?;
            log.push(entry.clone());
            at = LogPosition { term: *prev_term, index: at.index.prev() };
        }
        log.reverse();
        Ok(log)
    }
}

//! The committed log from its first entry on, though no disk holds all of it any more:
//! put together from every segment that there ever was.
//!
//! An entry is known by its index and term, and knows the term of the one before it: so
//! the last one leads back to the first (Log Matching, §5.3).

use std::collections::BTreeMap;

use super::oracle::entries_of_segment;
use super::world::{Machine, World};
use crate::types::{Entry, LogIndex, LogPosition, Term};

/// See the module.
#[derive(Default)]
pub(super) struct Chronicle {
    /// Every entry that any disk ever held, with the term of the one before it.
    entries: BTreeMap<LogPosition, (Entry, Term)>,
    /// Two that are not the same, at one position.
    conflict: Option<String>,
}

impl Chronicle {
    pub(super) fn of(world: &World) -> Chronicle {
        let mut chronicle = Chronicle::default();
        for machine in world.machines.values() {
            chronicle.add_all(machine);
        }
        chronicle
    }

    fn add_all(&mut self, machine: &Machine) {
        let disk = machine.disk.undamaged();
        let is_segment =
            |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "segment");
        let present = disk.paths().into_iter().filter(is_segment);
        let present = present.map(|path| disk.contents(&path));
        let removed = machine.disk.removed().into_iter().map(|(_, bytes)| bytes);
        let mut terms = BTreeMap::new();
        for segment in removed.chain(present) {
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

    /// The log that ends so, from its first entry on.
    ///
    /// # Errors
    /// When two entries stood at one position, or one is nowhere.
    pub(super) fn log_to(&self, last: LogPosition) -> Result<Vec<Entry>, String> {
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

//! The warning that the exactly-once table fills up.

use crate::kv::CLIENTS_MAX;

/// Number of clients at which a warning is due: four fifths of the table.
const CLIENTS_WARNED: usize = CLIENTS_MAX / 5 * 4;
/// Number of clients below which the next warning may come: the number moves by the second,
/// and each filling of the table is to be logged once.
const CLIENTS_CALM: usize = CLIENTS_MAX / 5 * 3;

/// Tells when the table is nearly full, once each time that it becomes so.
#[derive(Debug, Default)]
pub(super) struct OnceAlarm {
    has_warned: bool,
}

impl OnceAlarm {
    /// Takes the number of clients in the table. Returns the sentence of a warning when one is
    /// due.
    pub fn observe(&mut self, clients: usize) -> Option<String> {
        if clients < CLIENTS_CALM {
            self.has_warned = false;
        }
        if clients < CLIENTS_WARNED || self.has_warned {
            return None;
        }
        self.has_warned = true;
        Some(format!(
            "the store remembers {clients} names of `once`, and takes {CLIENTS_MAX}: beyond that \
             new names get ERR_BUSY; let clients end their names (`once <client> <seq> end`), or \
             keep them instead of taking a new one for each command"
        ))
    }
}

#[cfg(test)]
mod tests;

//! Keys and clients ordered by expiry time.

use imbl::OrdSet;

use super::key_bytes::KeyBytes;

/// A set of names, each with the time at which it expires. The owner of the names keeps
/// the deadline of each one as well, and must report every change here.
///
/// The order is by deadline and then by name, so that names that are due at the same time
/// expire in the same order on every node. A clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadlines {
    order: OrdSet<(u64, KeyBytes)>,
}

impl Deadlines {
    /// Adds `name`, which must not be in the set with this deadline.
    pub fn insert(&mut self, deadline_ms: u64, name: KeyBytes) {
        let replaced = self.order.insert((deadline_ms, name));
        assert!(replaced.is_none(), "a name has one deadline");
    }

    /// Removes `name`, which must be in the set with this deadline.
    pub fn remove(&mut self, deadline_ms: u64, name: KeyBytes) {
        let removed = self.order.remove(&(deadline_ms, name));
        assert!(removed.is_some(), "the order of deadlines has lost a name");
    }

    /// True when the first deadline is `clock_ms` or earlier.
    pub fn has_due(&self, clock_ms: u64) -> bool {
        self.order.get_min().is_some_and(|(deadline_ms, _)| *deadline_ms <= clock_ms)
    }

    /// The first name, if its deadline is `clock_ms` or earlier.
    pub fn first_due(&self, clock_ms: u64) -> Option<&KeyBytes> {
        self.order.get_min().filter(|(due_ms, _)| *due_ms <= clock_ms).map(|(_, name)| name)
    }

    /// Removes and returns the first name, with its deadline, if that is `clock_ms` or
    /// earlier.
    pub fn pop_due(&mut self, clock_ms: u64) -> Option<(u64, KeyBytes)> {
        if self.has_due(clock_ms) { self.order.remove_min() } else { None }
    }
}

#[cfg(test)]
mod tests;

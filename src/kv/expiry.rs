//! What goes when: names in the order of their deadlines.

use imbl::OrdSet;

use super::name::Name;

/// Names, each with the time at which it goes. Whoever owns the names keeps
/// their deadlines too, and must tell of every change.
///
/// Ordered by deadline and then by name, so that what is due together goes in
/// the same order on every node. A clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadlines {
    order: OrdSet<(u64, Name)>,
}

impl Deadlines {
    /// Adds `name`, which must not be there.
    pub fn insert(&mut self, deadline_ms: u64, name: Name) {
        let replaced = self.order.insert((deadline_ms, name));
        assert!(replaced.is_none(), "a name has one deadline");
    }

    /// Takes `name` out, which must be there with this deadline.
    pub fn remove(&mut self, deadline_ms: u64, name: Name) {
        let removed = self.order.remove(&(deadline_ms, name));
        assert!(removed.is_some(), "the order of deadlines has lost a name");
    }

    /// The earliest deadline.
    pub fn next_ms(&self) -> Option<u64> {
        self.order.get_min().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Takes out the first name whose deadline is `clock_ms` or earlier.
    pub fn pop_due(&mut self, clock_ms: u64) -> Option<Name> {
        if self.next_ms()? > clock_ms {
            return None;
        }
        self.order.remove_min().map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from(text.as_bytes())
    }

    #[test]
    fn names_come_due_by_deadline_and_then_by_name() {
        let mut deadlines = Deadlines::default();
        for (deadline_ms, text) in [(20, "a"), (10, "c"), (10, "b"), (30, "d")] {
            deadlines.insert(deadline_ms, name(text));
        }
        deadlines.remove(30, name("d"));
        assert_eq!(deadlines.pop_due(9), None);
        assert_eq!(deadlines.pop_due(10), Some(name("b")));
        assert_eq!(deadlines.pop_due(10), Some(name("c")));
        assert_eq!(deadlines.pop_due(10), None);
        assert_eq!(deadlines.next_ms(), Some(20));
        assert_eq!(deadlines.pop_due(u64::MAX), Some(name("a")));
        assert_eq!(deadlines.pop_due(u64::MAX), None);
    }

    #[test]
    #[should_panic(expected = "has lost a name")]
    fn removing_with_the_wrong_deadline_is_noticed() {
        let mut deadlines = Deadlines::default();
        deadlines.insert(10, name("a"));
        deadlines.remove(11, name("a"));
    }
}

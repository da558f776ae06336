//! Who can reach whom.

use super::world::{World, host};

impl World {
    /// Nothing gets from one side to the other, or back.
    pub(super) fn cut_between(&self, side: &[u64], other: &[u64]) {
        for a in side {
            for b in other {
                self.network.cut(&host(*a), &host(*b));
                self.network.cut(&host(*b), &host(*a));
            }
        }
    }

    /// The lines between the two sides are good again.
    pub(super) fn mend_between(&self, side: &[u64], other: &[u64]) {
        for a in side {
            for b in other {
                self.network.mend(&host(*a), &host(*b));
                self.network.mend(&host(*b), &host(*a));
            }
        }
    }

    /// All nodes reach `hub`, and nobody else.
    pub(super) fn cut_to_star(&self, hub: u64) {
        let spokes: Vec<u64> = self.machines.keys().copied().filter(|id| *id != hub).collect();
        for (place, a) in spokes.iter().enumerate() {
            self.cut_between(&[*a], &spokes[place + 1..]);
        }
    }

    /// Each node reaches its neighbours in `line` only.
    pub(super) fn cut_to_chain(&self, line: &[u64]) {
        for (place, a) in line.iter().enumerate() {
            self.cut_between(&[*a], line.get(place + 2..).unwrap_or_default());
        }
    }

    /// Nobody reaches it, and it reaches nobody.
    pub(super) fn isolate(&self, id: u64) {
        let rest: Vec<u64> = self.machines.keys().copied().filter(|other| *other != id).collect();
        self.cut_between(&[id], &rest);
    }
}

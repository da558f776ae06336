//! Leader leases (dissertation §6.4.1, docs/adr/0012): followers promise to elect
//! nobody else for a while, so that a leader may answer reads without asking them.
//!
//! All of it is counted in the time of this node's monotonic clock, which the core is
//! told with each event ([`Raft::set_now`]): ticks stand still with a process that is
//! stopped, and need not keep the time to a tick.

use core::time::Duration;

use super::{Raft, RoleState};

/// Leader leases, where they are on: the same on all nodes but for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// A follower elects nobody for so long after it heard its leader: the shortest
    /// election timeout.
    pub promise: Duration,
    /// The time at which this node starts, by the clock of [`Raft::set_now`].
    pub started_at: Duration,
}

impl LeaseSettings {
    /// How long a leader counts on a promise. The quarter that is left is for clocks of
    /// different rates: two that are each off by a seventh, in opposite directions.
    pub(super) fn lease(&self) -> Duration {
        let allowance = if mutant!(B41c) { Duration::ZERO } else { self.promise / 4 };
        self.promise - allowance
    }
}

impl Raft {
    /// The time of this node's monotonic clock, to be told before each event: a read
    /// and a leader's message above all, for which an old time is a wrong one.
    pub fn set_now(&mut self, now: Duration) {
        if !mutant!(B41d) {
            self.now = now;
        }
    }

    /// Whether this node must be told the time.
    pub fn has_leases(&self) -> bool {
        self.settings.leader_lease.is_some()
    }

    /// The term's leader was heard.
    pub(super) fn promise(&mut self) {
        if let Some(lease) = &self.settings.leader_lease {
            self.promise_ends_at = self.now + lease.promise;
        }
    }

    /// What this node may have promised in the life before, and forgotten (bugs.md B09).
    pub(super) fn promise_at_start(&mut self) {
        if let Some(lease) = &self.settings.leader_lease
            && !mutant!(B09)
        {
            self.promise_ends_at = lease.started_at + lease.promise;
        }
    }

    /// True while this node has promised to elect nobody, whatever its role is by now.
    pub(super) fn has_promised(&self) -> bool {
        self.now < self.promise_ends_at
    }

    /// True while nobody else can have been elected: a quorum answered what was sent
    /// after its round began, and promised then at the earliest.
    pub(super) fn holds_lease(&self) -> bool {
        let (Some(lease), RoleState::Leader(leadership)) =
            (&self.settings.leader_lease, &self.role)
        else {
            return false;
        };
        let confirmed_at = leadership.reads.confirmed_at();
        confirmed_at.is_some_and(|began_at| self.now < began_at + lease.lease())
    }

    /// How many rounds wait for their answers.
    #[cfg(test)]
    pub(super) fn rounds_under_way(&self) -> usize {
        let RoleState::Leader(leadership) = &self.role else { return 0 };
        leadership.reads.begun_rounds()
    }
}

//! Leader leases (dissertation §6.4.1, docs/adr/0012): followers promise to elect nobody
//! else for a while, so that a leader may answer reads without asking them.
//!
//! Promises and leases are measured by this node's monotonic clock, which the shell sets
//! before each event (`Raft::set_now`). Ticks would be wrong: they do not advance while a
//! process is stopped, and a tick may take longer than it should.

use core::time::Duration;

/// The settings of leader leases, where they are on. They are the same on all nodes,
/// except for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The time for which a follower elects nobody after it heard its leader: the shortest
    /// election timeout.
    pub promise: Duration,
    /// The time at which this node starts, by the clock of `Raft::set_now`.
    pub started_at: Duration,
}

impl LeaseSettings {
    /// The time for which a leader counts on a promise: three quarters of it. The last
    /// quarter allows for clocks of different rates, even for two that are each off by a
    /// seventh in opposite directions.
    fn lease(&self) -> Duration {
        self.promise - self.promise / 4
    }
}

/// This node's monotonic clock, and the promise that it has given. Without leases no promise
/// is given.
pub(super) struct LeaseClock {
    settings: Option<LeaseSettings>,
    now: Duration,
    /// The time until which this node elects nobody, in every role and term.
    pub(super) promise_ends_at: Duration,
}

impl LeaseClock {
    /// The clock of a node that starts. The node promises at once, because it may have
    /// given a promise before its start and forgotten it (docs/bugs.md B09).
    pub(super) fn starting(settings: Option<LeaseSettings>) -> LeaseClock {
        let mut clock = LeaseClock {
            settings,
            now: settings.map_or(Duration::ZERO, |lease| lease.started_at),
            promise_ends_at: Duration::ZERO,
        };
        clock.promise();
        clock
    }

    pub(super) fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    pub(super) fn settings(&self) -> Option<&LeaseSettings> {
        self.settings.as_ref()
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    /// The leader of the term was heard: this node promises anew.
    pub(super) fn promise(&mut self) {
        if let Some(lease) = &self.settings {
            self.promise_ends_at = self.now + lease.promise;
        }
    }

    /// True while this node has promised to elect nobody, in every role.
    pub(super) fn has_promised(&self) -> bool {
        self.now < self.promise_ends_at
    }

    /// True while a leader whose newest confirmed round began at `confirmed_at` knows that
    /// nobody else can have been elected: a quorum answered a message that was sent after
    /// the round began, and promised then at the earliest.
    pub(super) fn holds_lease(&self, confirmed_at: Option<Duration>) -> bool {
        let (Some(lease), Some(began_at)) = (&self.settings, confirmed_at) else { return false };
        self.now < began_at + lease.lease()
    }
}

#[cfg(test)]
mod tests;

//! The rounds in which a learner catches up before it becomes a voter (dissertation §4.2.1).
//!
//! In a round the learner gets all that the leader's log has at the round's beginning. Meanwhile
//! the log grows, and the next round gets that. Each round of a learner that is fast enough is
//! shorter than the one before. A learner that becomes a voter after a short round keeps commits
//! waiting for no longer than that. "Equal to the leader" would never be true under load.

use crate::types::{LogIndex, NodeId};

/// The rounds of one learner.
#[derive(Clone, Debug)]
pub(super) struct CatchUp {
    /// The number of the change that waits for the learner.
    number: LogIndex,
    learner: NodeId,
    /// The number of the present round, from 1.
    round: u32,
    /// The end of the leader's log when the round began.
    goal: LogIndex,
    /// Ticks since then.
    ticks: u32,
    /// Ticks that the round before took.
    last_ticks: Option<u32>,
}

/// A round that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Ticks that it took.
    pub(super) ticks: u32,
}

impl CatchUp {
    /// The first round of the learner that the change `number` waits for. The leader's log ends
    /// with `last`.
    pub(super) fn new(number: LogIndex, learner: NodeId, last: LogIndex) -> CatchUp {
        CatchUp { number, learner, round: 1, goal: last, ticks: 0, last_ticks: None }
    }

    /// True of the rounds of this learner for this change.
    pub(super) fn is_of(&self, number: LogIndex, learner: NodeId) -> bool {
        (self.number, self.learner) == (number, learner)
    }

    /// The number of the present round, from 1.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    pub(super) fn tick(&mut self) {
        self.ticks = self.ticks.saturating_add(1);
    }

    /// The learner holds everything up to `match_index`, and the leader's log ends with `last`.
    /// Returns the round that has ended by that.
    pub(super) fn advance(&mut self, match_index: LogIndex, last: LogIndex) -> Option<Round> {
        if match_index < self.goal {
            return None;
        }
        if self.last_ticks.is_some() && last == self.goal {
            // Nothing has come since the last round, and the learner has everything: a round that
            // began now would end now.
            self.last_ticks = Some(0);
            self.ticks = 0;
            return None;
        }
        let ended = Round { number: self.round, ticks: self.ticks };
        self.last_ticks = Some(self.ticks);
        self.round += 1;
        self.goal = last;
        self.ticks = 0;
        Some(ended)
    }

    /// True when the last round took less than `ticks_max`, and the present one has not taken
    /// longer yet.
    pub(super) fn is_caught_up(&self, ticks_max: u32) -> bool {
        self.last_ticks.is_some_and(|ticks| ticks < ticks_max) && self.ticks < ticks_max
    }
}

#[cfg(test)]
mod tests;

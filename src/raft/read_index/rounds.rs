//! Rounds of messages to the peers, and the reads that wait to be confirmed by them.
//!
//! A round is a number in the messages to the peers. When a quorum has repeated it, this
//! node still led after the round had begun. That confirms every read that arrived before
//! the round began. All reads that arrive while [`ROUNDS_MAX`] rounds are under way share
//! the next one.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use crate::raft::effect::ReadToken;
use crate::raft::leader_lease::LeaseSettings;
use crate::types::LogIndex;

/// Maximum number of rounds under way. Two, so that a read rarely waits for a whole round
/// of others; not more, so that the reads of a burst share a round.
const ROUNDS_MAX: u64 = 2;

/// The rounds of one leadership.
#[derive(Default)]
pub(super) struct Rounds {
    /// By arrival, because tokens rise. Invariant: `place` and `seq` never fall along it.
    unconfirmed: BTreeMap<ReadToken, UnconfirmedRead>,
    /// The newest round that a question of a peer waits for; 0 for none.
    wanted_seq: u64,
    /// The newest round that was started.
    started_seq: u64,
    /// The newest round that a quorum has answered. Invariant: at most `started_seq`.
    confirmed_seq: u64,
    /// With leases: the rounds under way, and the time at which each began.
    begun: VecDeque<(u64, Duration)>,
    /// With leases: the time at which the newest confirmed round began.
    confirmed_at: Option<Duration>,
}

/// A read that waits to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnconfirmedRead {
    /// The newest entry that the read must see.
    pub(super) read_index: LogIndex,
    /// The end of the log when the read arrived.
    pub(super) place: LogIndex,
    /// The round that confirms the read.
    seq: u64,
}

impl Rounds {
    /// Adds a read, which the next round confirms. A round already in flight may have been
    /// answered before this read arrived (docs/bugs.md B38).
    pub(super) fn add(&mut self, token: ReadToken, read_index: LogIndex, place: LogIndex) {
        let seq = self.started_seq + 1;
        self.unconfirmed.insert(token, UnconfirmedRead { read_index, place, seq });
    }

    /// Asks for the next round without a read of this node's own, and returns its number.
    pub(super) fn want(&mut self) -> u64 {
        self.wanted_seq = self.started_seq + 1;
        self.wanted_seq
    }

    /// The newest round that a quorum has answered.
    pub(super) fn confirmed_seq(&self) -> u64 {
        self.confirmed_seq
    }

    /// Removes a read; false when it does not wait here.
    pub(super) fn cancel(&mut self, token: ReadToken) -> bool {
        self.unconfirmed.remove(&token).is_some()
    }

    /// The newest round, for every message to a peer.
    pub(super) fn started_seq(&self) -> u64 {
        self.started_seq
    }

    /// With leases: the time at which the newest confirmed round began.
    pub(super) fn confirmed_at(&self) -> Option<Duration> {
        self.confirmed_at
    }

    /// Starts the next round, if a read waits for it and not too many are under way.
    pub(super) fn maybe_start(&mut self) -> bool {
        let last = self.unconfirmed.last_key_value();
        let is_wanted = self.wanted_seq > self.started_seq
            || last.is_some_and(|(_, read)| read.seq > self.started_seq);
        let is_possible = self.started_seq - self.confirmed_seq < ROUNDS_MAX;
        if is_wanted && is_possible {
            self.started_seq += 1;
        }
        is_wanted && is_possible
    }

    /// Starts the next round like [`Rounds::maybe_start`], and with each heartbeat as well.
    /// The round begins at `now`, before any of its messages is sent.
    pub(super) fn maybe_start_leased(
        &mut self,
        is_heartbeat_due: bool,
        now: Duration,
        lease: &LeaseSettings,
    ) -> bool {
        let has_round = self.maybe_start();
        if !has_round && is_heartbeat_due {
            self.started_seq += 1;
        }
        if has_round || is_heartbeat_due {
            // Answers to older rounds come too late for a lease.
            while self.begun.front().is_some_and(|(_, began_at)| *began_at + lease.promise < now) {
                self.begun.pop_front();
            }
            self.begun.push_back((self.started_seq, now));
        }
        has_round || is_heartbeat_due
    }

    /// A quorum has answered the rounds up to `seq`. A round that was never started was
    /// answered by nobody, whatever the peers say: it counts as the newest that was.
    pub(super) fn confirm(&mut self, seq: u64) {
        let seq = seq.min(self.started_seq);
        self.confirmed_seq = self.confirmed_seq.max(seq);
        while let Some((begun_seq, began_at)) = self.begun.front()
            && *begun_seq <= seq
        {
            self.confirmed_at = Some(*began_at);
            self.begun.pop_front();
        }
    }

    /// Removes the first read if its round is confirmed.
    pub(super) fn pop_confirmed(&mut self) -> Option<(ReadToken, UnconfirmedRead)> {
        self.pop_if(|rounds, read| read.seq <= rounds.confirmed_seq)
    }

    /// Removes the first read if it arrived before the entry at `index` was appended.
    pub(super) fn pop_before(&mut self, index: LogIndex) -> Option<(ReadToken, UnconfirmedRead)> {
        self.pop_if(|_, read| read.place < index)
    }

    /// Removes the first read.
    pub(super) fn pop(&mut self) -> Option<(ReadToken, UnconfirmedRead)> {
        self.unconfirmed.pop_first()
    }

    fn pop_if(
        &mut self,
        is_due: impl FnOnce(&Rounds, &UnconfirmedRead) -> bool,
    ) -> Option<(ReadToken, UnconfirmedRead)> {
        let (_, first) = self.unconfirmed.first_key_value()?;
        if is_due(self, first) { self.unconfirmed.pop_first() } else { None }
    }

    /// The place of the first read.
    pub(super) fn first_place(&self) -> Option<LogIndex> {
        self.unconfirmed.first_key_value().map(|(_, read)| read.place)
    }

    /// The number of reads that are not confirmed.
    pub(super) fn len(&self) -> usize {
        self.unconfirmed.len()
    }

    /// The reads that are not confirmed, by arrival.
    pub(super) fn into_tokens(self) -> impl Iterator<Item = ReadToken> {
        self.unconfirmed.into_keys()
    }

    /// The number of rounds that wait for their answers.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.begun.len()
    }
}

#[cfg(test)]
mod tests;

//! Linearizable reads without a log entry: ReadIndex (dissertation §6.4).
//!
//! A read is answered from the leader's store once (1) the leader has committed an entry of
//! its own term, (2) a quorum has answered a message that was sent after the read arrived,
//! so that no later leader can have been elected before it, and (3) the store has applied
//! what was committed when the read arrived. Reads share rounds: all that arrive while
//! [`ROUNDS_MAX`] are under way share the next. With leader leases a round confirms the
//! reads that arrive while the lease lasts, too.
//!
//! A read also has a place in the order of its session: after the session's earlier
//! writes, before its later ones. Hence (3) also waits for `after`, the session's last
//! write; and a read is answered before any entry that was appended after it arrived. Such
//! an answer needs no round: when an entry of the leader's own term is committed that was
//! appended after the read, a quorum has answered a message sent after the read.

use core::time::Duration;
use std::collections::VecDeque;

use super::effect::ReadToken;
use super::leader_lease::LeaseSettings;
use crate::types::LogIndex;

/// Maximum number of rounds under way. Two, so that a read rarely waits for a whole round
/// of others; not more, so that the reads of a burst share a round.
const ROUNDS_MAX: u64 = 2;

/// A leader's reads and its rounds.
pub(super) struct ReadIndex {
    /// The first entry of the leader's term. The entries before it are committed with it,
    /// and not earlier (§5.4.2).
    first_index: LogIndex,
    /// Invariant: `place`, `seq` and `token` never fall along the queue.
    waiting: VecDeque<WaitingRead>,
    /// The newest round that was started.
    started_seq: u64,
    /// The newest round that a quorum has answered; at most `started_seq`.
    confirmed_seq: u64,
    /// With leases: the rounds under way, and the time at which each began.
    begun: VecDeque<(u64, Duration)>,
    /// With leases: the time at which the newest confirmed round began.
    pub(super) confirmed_at: Option<Duration>,
}

/// A read that waits for its answer.
struct WaitingRead {
    token: ReadToken,
    /// The newest entry that the store must have applied: (1), (3) and the session's writes.
    read_index: LogIndex,
    /// The end of the log when the read arrived. The read is answered before any later
    /// entry is applied.
    place: LogIndex,
    /// The round that confirms the read.
    seq: u64,
}

impl ReadIndex {
    /// A leader without reads, whose first entry is `first_index`.
    pub(super) fn new(first_index: LogIndex) -> ReadIndex {
        ReadIndex {
            first_index,
            waiting: VecDeque::new(),
            started_seq: 0,
            confirmed_seq: 0,
            begun: VecDeque::new(),
            confirmed_at: None,
        }
    }

    /// The first entry of the leader's term.
    pub(super) fn first_index(&self) -> LogIndex {
        self.first_index
    }

    /// The place of the first waiting read.
    pub(super) fn first_place(&self) -> Option<LogIndex> {
        self.waiting.front().map(|read| read.place)
    }

    /// Adds a read. `after` is the last entry that its session proposed, `last` the end of
    /// the log. A read that a lease has confirmed needs no round of its own.
    pub(super) fn add(
        &mut self,
        token: ReadToken,
        after: LogIndex,
        commit_index: LogIndex,
        last: LogIndex,
        is_confirmed: bool,
    ) {
        // The session may have proposed `after` in an earlier leadership of this node. If
        // that entry was truncated since, a read waits for no entry past the log's end.
        let own_write = after.min(last);
        // (1): more may be committed before our first entry than we know (docs/bugs.md B37).
        let read_index = commit_index.max(own_write).max(self.first_index);
        let seq = if is_confirmed { self.seq_of_last_read() } else { self.seq_of_next_read() };
        self.waiting.push_back(WaitingRead { token, read_index, place: last, seq });
    }

    /// The round that confirms a read which arrives now. A round already in flight may have
    /// been answered before this read arrived, so the read needs the next one
    /// (docs/bugs.md B38).
    fn seq_of_next_read(&self) -> u64 {
        self.started_seq + 1
    }

    /// The round of a read that needs none: it only waits for the reads before it.
    fn seq_of_last_read(&self) -> u64 {
        self.waiting.back().map_or(0, |read| read.seq)
    }

    /// The newest round, for every message to a peer.
    pub(super) fn started_seq(&self) -> u64 {
        self.started_seq
    }

    /// Starts the next round, if a read waits for it and not too many are under way.
    pub(super) fn maybe_start_round(&mut self) -> bool {
        let is_wanted = self.waiting.back().is_some_and(|read| read.seq > self.started_seq);
        let is_possible = self.started_seq - self.confirmed_seq < ROUNDS_MAX;
        if is_wanted && is_possible {
            self.started_seq += 1;
        }
        is_wanted && is_possible
    }

    /// Starts the next round like [`ReadIndex::maybe_start_round`], and with each heartbeat
    /// as well. The round begins at `now`, before any of its messages is sent.
    pub(super) fn maybe_start_leased_round(
        &mut self,
        is_heartbeat_due: bool,
        now: Duration,
        lease: &LeaseSettings,
    ) -> bool {
        let has_round = self.maybe_start_round();
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

    /// A quorum has answered the rounds up to `seq`.
    pub(super) fn confirm(&mut self, seq: u64) {
        self.confirmed_seq = self.confirmed_seq.max(seq);
        while let Some((begun_seq, began_at)) = self.begun.front()
            && *begun_seq <= seq
        {
            self.confirmed_at = Some(*began_at);
            self.begun.pop_front();
        }
    }

    /// The next read that may be answered, with its read index. Reads complete in order: a
    /// read waits for every read before it.
    pub(super) fn pop_confirmed(
        &mut self,
        submitted_index: LogIndex,
    ) -> Option<(ReadToken, LogIndex)> {
        let read = self.waiting.front()?;
        if read.seq > self.confirmed_seq || read.read_index > submitted_index {
            return None;
        }
        self.waiting.pop_front().map(|read| (read.token, read.read_index))
    }

    /// The next read that must be answered before the committed entry `next` is submitted,
    /// because it arrived before that entry was appended. The entry confirms it: reads only
    /// ever wait before entries of the leader's own term, since no read's place is before
    /// the term's first entry.
    ///
    /// # Panics
    /// When the read needs an entry that was not submitted.
    pub(super) fn pop_before(
        &mut self,
        next: LogIndex,
        submitted_index: LogIndex,
    ) -> Option<(ReadToken, LogIndex)> {
        let read = self.waiting.front().filter(|read| read.place < next)?;
        assert!(
            read.read_index <= submitted_index && read.place >= self.first_index,
            "a read must see entry {}, and its place is before {next}",
            read.read_index
        );
        self.waiting.pop_front().map(|read| (read.token, read.read_index))
    }

    /// The reads that are not answered.
    pub(super) fn into_tokens(self) -> impl Iterator<Item = ReadToken> {
        self.waiting.into_iter().map(|read| read.token)
    }

    /// The number of rounds that wait for their answers.
    #[cfg(test)]
    pub(super) fn rounds_under_way(&self) -> usize {
        self.begun.len()
    }
}

#[cfg(test)]
mod tests;
